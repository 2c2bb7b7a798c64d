"""Fills in the values that a config, or the config of an old run, lacks.

`configs/default.py` lists every value of an experiment. A config sets only the
values that differ from it, and the `config.json` of an old run lacks the values
that were added since.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import json
import os
import pathlib
from typing import Any

import ml_collections

from mejax import files
from mejax import forms
from mejax import own_code
from mejax.configs import default

_NOT_AGAIN = (
  'It cannot be made again: restore it from a copy, or train anew in another'
  ' --workdir.'
)
# The key, in the `config.json` of a search, of how it searched.
SEARCH = 'search'
# What a user may hand over as an object; then its description is stored.
_OBJECTS = ('protocol', 'view', 'model')
_RUN = {
  'schema_version': int,
  'data_sha256': str,
  'data?': dict,
  'data_dir?': str,
  'dataset?': dict,
  'named_objects?': dict,
  'numerics?': dict,
  'inputs?': dict,
  'init?': {
    'people': [str],
    'clips': [str],
    'unknown': bool,
    'licences': [str],
  },
  'placement?': {'round_size': int, 'mode': str, 'width?': int},
}
_PLACEMENT = {'mode', 'width', 'round_size'}
# The meaning of a missing value in the `config.json` of each schema version.
# When a default changes, its old value is added here under the versions that
# had it, because a new default must not change what an old run did.
_MEANT: dict[int, dict[str, Any]] = {
  1: {
    'folds': 'held_out',
    'init': '',
    'num_folds': 0,
    'folds_over': 'people',
    'setting': {
      'learning_rate': 1e-3,
      'weight_decay': 0.0,
      'b1': 0.9,
      'b2': 0.999,
      'eps': 1e-8,
      'warmup_fraction': 0.0,
      'label_smoothing': 0.0,
      'jitter': 0.0,
      'mirror': 0.0,
      'rotation': 0.0,
      'shift': 0.0,
      'scale_jitter': 0.0,
      'region_dropout': 0.0,
      'level_dropout': 0.0,
      'balance': 0.0,
      'mixup': 0.0,
      'units': 0.0,
      'ema': 0.0,
      'test_mirror': 0.0,
    },
  }
}
# Old and new names of model fields, by model.
_RENAMED = {'artnet': {'alphas': 'levels'}}


def check(config: Mapping[str, Any]) -> None:
  """Refuses JSON values of other types than those of `configs/default.py`.

  What may also be the description of a user's own object is left to whoever
  makes the object.

  Raises:
    ValueError: a value has another type; the message names it.
  """
  values = json.loads(default.get_config().to_json())
  form = {
    f'{key}?': _form_of(value)
    for key, value in values.items()
    if key not in _OBJECTS
  }
  form |= {f'{key}?': (str, dict) for key in _OBJECTS}
  forms.check(config, form, 'config')
  for key in _OBJECTS:
    if isinstance(config.get(key), dict):
      forms.check(config[key], {'name?': str}, f'config.{key}')


def check_names(config: Mapping[str, Any]) -> None:
  """Refuses the config of a run from which no other run can be started.

  Raises:
    ValueError: it has a key that no config has, or describes the owner's own
      view or model in the place of its name.
  """
  unknown = config.keys() - default.get_config().keys()
  if unknown:
    raise ValueError(f'no config has the key {min(unknown)!r}')
  for key in ('view', 'model'):
    if key in config and 'name' not in getattr(config[key], 'keys', tuple)():
      raise ValueError(
        f'its {key} is {config[key]!r}, which is not the name of one: it was'
        ' handed over in Python'
      )


def _form_of(value: Any) -> forms.Form:
  if isinstance(value, dict):
    return {f'{key}?': _form_of(each) for key, each in value.items()}
  if isinstance(value, list):
    return [(str, int, float)]
  return forms.NUMBER if isinstance(value, float) else type(value)


def fill(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """Returns a locked copy of a config, with missing values from `default.py`.

  A section `view` or `model` is kept as it is, because its options belong to
  the view or the model that it names.
  """
  filled = config.copy_and_resolve_references()
  with filled.unlocked():
    _add(filled, default.get_config())
  return filled.lock()


def _add(config: Any, defaults: Any) -> None:
  """Adds missing values to a config or a dict, in place."""
  for key, value in defaults.items():
    if key not in config:
      config[key] = value
    elif key in ('setting', 'grid', 'generated', 'spotting'):
      _add(config[key], value)


def read_run_config(
  workdir: str | os.PathLike,
  *,
  given: Collection[str] = (),
  replaced: Collection[str] = (),
  trust_code: bool = False,
) -> ml_collections.ConfigDict:
  """Returns the complete config of a run; see `complete`.

  Args:
    workdir: folder of the run.
    given: names of code that the user has given himself.
    replaced: keys whose values are not used, because the user has handed over
      what they name.
    trust_code: whether all code that the config names may be run.

  Raises:
    ValueError: the config names other code; see `own_code.refuse_strange`.
  """
  config, run = read_config(workdir), read_run(workdir)
  own_code.refuse_strange(
    {key: value for key, value in config.items() if key not in replaced},
    where=pathlib.Path(workdir) / 'config.json',
    given=given,
    trust_code=trust_code,
  )
  return ml_collections.ConfigDict(complete(config, run['schema_version']))


def read_config(workdir: str | os.PathLike) -> dict[str, Any]:
  """Returns the content of `config.json`; errors are those of `read_run`."""
  path = pathlib.Path(workdir) / 'config.json'
  return files.read_json(path, hint=_NOT_AGAIN)


def read_run(workdir: str | os.PathLike) -> dict[str, Any]:
  """Returns the content of `run.json`.

  Raises:
    FileNotFoundError: the file is missing.
    ValueError: the file is damaged.
  """
  path = pathlib.Path(workdir) / 'run.json'
  run = files.read_json(path, hint=_NOT_AGAIN)
  with files.reading(path, hint=_NOT_AGAIN):
    forms.check(run, _RUN)
    placement = run.get('placement', {})
    if unknown := placement.keys() - _PLACEMENT:
      raise ValueError(f'placement has {", ".join(sorted(unknown))}')
    size = placement.get('round_size', 1)
    if size < 1:
      raise ValueError(f'placement.round_size is {size}; expected 1 or more')
  return run


def complete(config: Mapping[str, Any], schema_version: int) -> dict[str, Any]:
  """Completes the content of a `config.json` that an older mejax wrote.

  Args:
    config: the content, as JSON values.
    schema_version: schema of the run, from its `run.json`. Missing values get
      the meaning that they had in this version, not the default of today.

  Raises:
    ValueError: the version is unknown, or a value has a wrong type.
  """
  if schema_version not in _MEANT:
    raise ValueError(
      f'A config of schema {schema_version} cannot be read; this mejax reads'
      f' {", ".join(map(str, _MEANT))}.'
    )
  config = json.loads(json.dumps(config))
  check(config)
  # The section may also be the description of a user's own model, a string or
  # a dict without a name.
  model = config.get('model')
  if isinstance(model, dict):
    for old, new in _RENAMED.get(model.get('name'), {}).items():
      if old in model:
        model[new] = model.pop(old)
  _add(config, _MEANT[schema_version])
  _add(config, json.loads(default.get_config().to_json()))
  return config
