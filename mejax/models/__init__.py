"""Models: `Model(...)(inputs, train=...) -> (logits, out)`.

`MODELS` maps a name to the function that makes the model from a preset.
"""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn

from mejax.models import artnet
from mejax.models import htnet
from mejax.models import linear
from mejax.models import mmnet
from mejax.models import offapexnet
from mejax.models import resnet
from mejax.models import sssnet
from mejax.models import ststnet

MODELS: dict[str, Callable[..., nn.Module]] = {
  'artnet': artnet.make,
  'htnet': htnet.make,
  'linear': linear.make,
  'mmnet': mmnet.make,
  'offapexnet': offapexnet.make,
  'resnet': resnet.make,
  'sssnet': sssnet.make,
  'ststnet': ststnet.make,
}
