"""What a config or an old run does not say, filled in.

Every value of an experiment stands in `configs/default.py`. A config says what
differs from it, and the `config.json` of an old run lists what there was then.
"""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
import pathlib
from typing import Any

import ml_collections

from mejax.configs import default

# For each version of a run's schema: what a `config.json` of that version means
# where it lists no value. A default that changes must not change what old runs
# were, so the old value comes here, under the versions that had it.
_MEANT: dict[int, dict[str, Any]] = {
  1: {
    'num_folds': 0,
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
      'ema': 0.0,
      'test_mirror': 0.0,
    },
  }
}
# Fields of models that had another name, by model.
_RENAMED = {'artnet': {'alphas': 'levels'}}


def fill(config: ml_collections.ConfigDict) -> ml_collections.ConfigDict:
  """A locked copy of a config; what it lacks is that of `configs/default.py`.

  The sections `view` and `model` are taken whole, because their options belong
  to the view and the model that they name.
  """
  filled = config.copy_and_resolve_references()
  with filled.unlocked():
    _add(filled, default.get_config())
  return filled.lock()


def _add(config: Any, defaults: Any) -> None:
  """Adds in place what a config, or a dict, lacks."""
  for key, value in defaults.items():
    if key not in config:
      config[key] = value
    elif key in ('setting', 'grid'):
      _add(config[key], value)


def read_run_config(
  workdir: str | os.PathLike,
) -> ml_collections.ConfigDict:
  """The config of a run, complete; see `complete`."""
  workdir = pathlib.Path(workdir)
  run = json.loads((workdir / 'run.json').read_text())
  config = json.loads((workdir / 'config.json').read_text())
  return ml_collections.ConfigDict(complete(config, run['schema_version']))


def complete(config: Mapping[str, Any], schema_version: int) -> dict[str, Any]:
  """The content of a `config.json` with all that its mejax did not list yet.

  Args:
    config: as JSON has it.
    schema_version: of the run, from its `run.json`. What the config lacks gets
      the value that this version meant, not what is the default today.

  Raises:
    ValueError: an unknown version.
  """
  if schema_version not in _MEANT:
    raise ValueError(
      f'A config of schema {schema_version} cannot be read; this mejax reads'
      f' {", ".join(map(str, _MEANT))}.'
    )
  config = json.loads(json.dumps(config))
  # An own object of the user's stands there as a description.
  model = config.get('model')
  if isinstance(model, dict):
    for old, new in _RENAMED.get(model.get('name'), {}).items():
      if old in model:
        model[new] = model.pop(old)
  _add(config, _MEANT[schema_version])
  _add(config, json.loads(default.get_config().to_json()))
  return config
