"""The models, by name: `make(name, preset, **fields)` builds one.

  htnet.py, mmnet.py, artnet.py   the three systems
  cnn.py, ststnet.py, ...         small networks
  spotter.py         tells of each frame of a recording, and is no classifier
  attention.py       attention as a function; scores.py is its arithmetic
  hearing.py         asks a function whether tokens hear of each other
  base.py            what all models decide alike
  adaptive.py        reads amplification levels at a factor of each clip
  readout.py         what the last layer reads of the last map
  layers.py          shared layers; convolution.py and pooling.py for CPUs
  dtypes.py          what a model computes in, and keeps its parameters in
  capabilities.py    what a model declares of itself
  convert.py         PyTorch weights -> ours, by the tables of originals.py

Every model is called alike: `model(inputs, train=...) -> (logits, out)`, where
`out` is a dict of intermediate arrays, for example attention weights. The call
that draws the weights needs no `train`, nor does a model without dropout and
batch statistics. The classes are here by name, too:
`from mejax.models import HTNet`. All have the fields `dtype` and `param_dtype`,
with Flax's meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import Any
from typing import NamedTuple

import flax.linen as nn

from mejax import own_code
from mejax.models import artnet
from mejax.models import attention
from mejax.models import base
from mejax.models import cnn
from mejax.models import htnet
from mejax.models import linear
from mejax.models import mmnet
from mejax.models import offapexnet
from mejax.models import resnet
from mejax.models import sssnet
from mejax.models import ststnet
from mejax.models.artnet import ARTNet
from mejax.models.cnn import CNN
from mejax.models.htnet import HTNet
from mejax.models.linear import Linear
from mejax.models.mmnet import MMNet
from mejax.models.offapexnet import OffApexNet
from mejax.models.resnet import ResNet
from mejax.models.sssnet import SSSNet
from mejax.models.ststnet import STSTNet

__all__ = [
  'ARTNet',
  'CNN',
  'HTNet',
  'Linear',
  'MMNet',
  'MODELS',
  'OffApexNet',
  'ResNet',
  'SSSNet',
  'STSTNet',
  'make',
]


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
  'artnet': Known(ARTNet, artnet.PRESETS, 'base'),
  'cnn': Known(CNN, cnn.PRESETS, 'cnn'),
  'htnet': Known(HTNet, htnet.PRESETS, 'released'),
  'linear': Known(Linear, linear.PRESETS, 'linear'),
  'mmnet': Known(MMNet, mmnet.PRESETS, 'released-5'),
  'offapexnet': Known(OffApexNet, offapexnet.PRESETS, 'offapexnet'),
  'resnet': Known(ResNet, resnet.PRESETS, 'small'),
  'sssnet': Known(SSSNet, sssnet.PRESETS, 'sssnet'),
  'ststnet': Known(STSTNet, ststnet.PRESETS, 'ststnet'),
}

# Fields that hold a function, and the functions that have a name.
FUNCTIONS: dict[str, Mapping[str, Any]] = {
  'attention_fn': attention.ATTENTION,
  'level_attention_fn': attention.ATTENTION,
  'gate': mmnet.GATES,
}


def make(name: str, preset: str | None = None, **fields: Any) -> nn.Module:
  """Builds a model from a preset, with single fields replaced.

  Args:
    name: a name of `MODELS`, or `package.module:name` of a class or function
      of your own, which is called with the fields.
    preset: a name of the model's presets; the default preset if None.
    **fields: fields of the model that differ from the preset's. One that holds
      a function takes a name, too: one of `FUNCTIONS`, or of your own.

  Raises:
    ValueError: the model, the preset or a field is unknown, or a model of your
      own cannot be imported.
  """
  # A Linen module must be hashable, so it has tuples where JSON has lists.
  fields = {
    field: tuple(value) if isinstance(value, list) else _named(field, value)
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


def defaults(name: str, preset: str | None = None) -> dict[str, Any]:
  """Returns the fields of a model of mejax as a config writes them.

  A function is its name. What has no such value is left out.

  Args:
    name: a name of `MODELS`; of any other nothing is known.
    preset: a name of the model's presets, likewise; the default preset if None.
  """
  known = MODELS.get(name)
  preset = known.default if known and preset is None else preset
  if known is None or preset not in known.presets:
    return {}
  fields = {
    field.name: field.default
    for field in dataclasses.fields(known.module)
    if field.default is not dataclasses.MISSING
  } | dict(known.presets[preset])
  found = {}
  for field, value in fields.items():
    for word, function in FUNCTIONS.get(field, {}).items():
      value = word if value is function else value
    if isinstance(value, str | int | float | tuple):
      found[field] = value
  return found


def _check_names(known: Known, preset: str, fields: Mapping[str, Any]) -> None:
  """Refuses presets and fields that a model does not have."""
  title = known.module.__name__
  if preset not in known.presets:
    raise ValueError(
      f'{title} has no preset {preset!r}.'
      + base.closest(preset, list(known.presets), 'presets')
    )
  if wrong := base.unknown_field(known.module, fields):
    raise ValueError(wrong)


def _named(field: str, value: Any) -> Any:
  """Returns the function of a name; any other value as it is."""
  known = FUNCTIONS.get(field, {})
  if own_code.is_name(value):
    return own_code.load(value, field)
  if not known or not isinstance(value, str):
    return value
  if value not in known:
    raise ValueError(
      f'Unknown {field} {value!r}.'
      + base.closest(value, list(known), 'names')
      + ' Your own is named as package.module:name.'
    )
  return known[value]


def _import_own(name: str) -> Any:
  """Imports a model that is named as `package.module:name`."""
  known, _, preset = name.partition(':')
  if known in MODELS:
    raise ValueError(
      f'{name!r} is no model. A preset is given apart: --config.model.name='
      f'{known} --config.model.preset={preset}; in Python, models.make('
      f'{known!r}, {preset!r}), or model={known!r}, model__preset={preset!r}.'
    )
  if ':' not in name:
    raise ValueError(
      f'Unknown model {name!r}.'
      + base.closest(name, list(MODELS), 'models')
      + ' Your own is named as package.module:name.'
    )
  found = own_code.load(name, 'model')
  if not callable(found):
    raise ValueError(
      f'model {name!r} is {type(found).__name__}; expected a class or function.'
    )
  return found
