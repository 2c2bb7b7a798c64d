"""A linear probe: how far a linear function of the pixels goes.

preset  parameters at 28x28x3  GFLOP per sample, forward
linear  7,059                  0.000
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
from jaxtyping import Array
from jaxtyping import Float

from mejax.models import base
from mejax.models import layers


class Linear(base.Model):
  """One linear layer.

  Attributes:
    num_classes: k.
  """

  num_classes: int = 3

  @nn.compact
  def __call__(
    self, inputs: Float[Array, 'b ...'], *, train: bool | None = None
  ) -> tuple[Float[Array, 'b k'], dict[str, Any]]:
    """Computes logits, and an empty dict."""
    x = inputs.reshape(inputs.shape[0], -1)
    return layers.linear(self.num_classes, x.shape[-1], name='head')(x), {}


PRESETS: dict[str, dict[str, Any]] = {'linear': {}}
