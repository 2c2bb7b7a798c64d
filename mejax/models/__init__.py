"""The models, by name: `make(name, preset, **fields)` builds one.

  htnet.py, mmnet.py, artnet.py   the three systems
  ststnet.py, sssnet.py, ...      small networks
  attention.py       attention as a function
  layers.py          shared layers; convolution.py and pooling.py for CPUs
  capabilities.py    what a model declares of itself
  convert.py         PyTorch weights -> ours, by the tables of originals.py

Every model is called alike: `model(inputs, train=...) -> (logits, out)`, where
`out` is a dict of intermediate arrays, for example attention weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import difflib
import importlib
from typing import Any
from typing import NamedTuple

import flax.linen as nn

from mejax.models import artnet
from mejax.models import htnet
from mejax.models import linear
from mejax.models import mmnet
from mejax.models import offapexnet
from mejax.models import resnet
from mejax.models import sssnet
from mejax.models import ststnet


class Known(NamedTuple):
  """A model that `make` knows by name.

  Attributes:
    module: its class.
    presets: fields that differ from the class's defaults, for each preset.
    default: the preset that is used if none is named.
  """

  module: type[nn.Module]
  presets: Mapping[str, Mapping[str, Any]]
  default: str


MODELS: dict[str, Known] = {
  'artnet': Known(artnet.ARTNet, artnet.PRESETS, 'base'),
  'htnet': Known(htnet.HTNet, htnet.PRESETS, 'released'),
  'linear': Known(linear.Linear, linear.PRESETS, 'linear'),
  'mmnet': Known(mmnet.MMNet, mmnet.PRESETS, 'released-5'),
  'offapexnet': Known(offapexnet.OffApexNet, offapexnet.PRESETS, 'offapexnet'),
  'resnet': Known(resnet.ResNet, resnet.PRESETS, 'small'),
  'sssnet': Known(sssnet.SSSNet, sssnet.PRESETS, 'sssnet'),
  'ststnet': Known(ststnet.STSTNet, ststnet.PRESETS, 'ststnet'),
}


def make(name: str, preset: str | None = None, **fields: Any) -> nn.Module:
  """Builds a model from a preset, with single fields replaced.

  Args:
    name: a name of `MODELS`, or `package.module:name` of a class or function
      of your own, which is called with the fields as they are.
    preset: a name of the model's presets; the default preset if None.
    **fields: fields of the model that differ from the preset's.

  Raises:
    ValueError: the model, the preset or a field is unknown, or a model of your
      own cannot be imported.
  """
  # A Linen module must be hashable, so it has tuples where JSON has lists.
  fields = {
    field: tuple(value) if isinstance(value, list) else value
    for field, value in fields.items()
  }
  if name not in MODELS:
    own = {} if preset is None else {'preset': preset}
    return _import_own(name)(**own, **fields)
  known = MODELS[name]
  preset = known.default if preset is None else preset
  _check_names(known, preset, fields)
  if 'levels' in fields:
    # (1, 2) is the same model as (1.0, 2.0).
    fields['levels'] = tuple(float(alpha) for alpha in fields['levels'])
  return known.module(**{**known.presets[preset], **fields})


def _check_names(known: Known, preset: str, fields: Mapping[str, Any]) -> None:
  """Refuses presets and fields that a model does not have."""
  title = known.module.__name__
  if preset not in known.presets:
    raise ValueError(
      f'{title} has no preset {preset!r}.'
      + _closest(preset, list(known.presets), 'presets')
    )
  # `parent` and `name` are Linen's own.
  names = [field.name for field in dataclasses.fields(known.module)]
  names = [field for field in names if field not in ('parent', 'name')]
  for field in fields:
    if field not in names:
      raise ValueError(
        f'{title} has no field {field!r}.' + _closest(field, names, 'fields')
      )


def _import_own(name: str) -> Any:
  """Imports a model that is named as `package.module:name`."""
  module, colon, attribute = name.partition(':')
  if not colon:
    raise ValueError(
      f'Unknown model {name!r}.'
      + _closest(name, list(MODELS), 'models')
      + ' Your own is named as package.module:name.'
    )
  try:
    return getattr(importlib.import_module(module), attribute)
  except (ImportError, AttributeError) as error:
    raise ValueError(
      f'model {name!r} cannot be imported: {error}. Run the command in the'
      ' folder of that module, or add the folder to PYTHONPATH.'
    ) from error


def _closest(word: str, known: Sequence[str], what: str) -> str:
  """Returns sentences that suggest the closest name and list the known ones."""
  close = difflib.get_close_matches(word, known, n=1)
  meant = f' Did you mean {close[0]!r}?' if close else ''
  return f'{meant} Known {what}: {", ".join(known)}.'
