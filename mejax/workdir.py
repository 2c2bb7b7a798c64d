"""The files of a run, and the refusal to mix two runs in one folder.

    config.json      the config the run was started with
    run.json         the data it saw and how its trials were placed
    checkpoints/     states of unfinished and finished rounds
    log.jsonl        a line for each evaluation; tensorboard/ shows the same
    record.npz       held-out logits of every trial at every evaluation
    floors.npz       predictions of the simple baselines on the same folds
    predictions.csv  a row for each example, seed and selection rule
    metrics.json     every number of the table
    report/          index.html

A file appears under its name only when it is whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import json
import os
import pathlib
from typing import Any

import numpy as np

SCHEMA_VERSION = 1


def write_json(path: pathlib.Path, content: Any) -> None:
  """Writes atomically."""
  temporary = path.with_suffix('.tmp')
  temporary.write_text(json.dumps(content, indent=2) + '\n')
  os.replace(temporary, path)


def save_npz(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes atomically; strings are stored as such, never pickled."""
  temporary = path.with_suffix('.tmp')
  with temporary.open('wb') as file:
    np.savez_compressed(file, **arrays)
  os.replace(temporary, path)


def load_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Every array of a file written by `save_npz`."""
  with np.load(path, allow_pickle=False) as file:
    return dict(file)


def claim(
  workdir: pathlib.Path, config: Mapping[str, Any], data_sha256: str
) -> dict[str, Any]:
  """Makes the folder this run's own, or finds that it is.

  Args:
    workdir: folder of the run; made if it is not there.
    config: what the run was asked to do, as JSON would have it.
    data_sha256: names the examples and labels.

  Returns:
    The content of `run.json`: empty placement for a new run.

  Raises:
    ValueError: the folder holds another config, other data, a newer schema, or
      files that are not a run's.
  """
  config = json.loads(json.dumps(config))
  path = workdir / 'config.json'
  if not path.exists():
    if workdir.exists() and any(workdir.iterdir()):
      raise ValueError(
        f'{workdir} is not empty and holds no run (no config.json). Name a new'
        ' folder as --workdir.'
      )
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(path, config)
  differences = list(_differences(json.loads(path.read_text()), config))
  if differences:
    raise ValueError(
      f'{workdir} belongs to a run with another config:\n  '
      + '\n  '.join(differences)
      + '\nRepeat that config to resume it, or name a new --workdir.'
    )
  run_path = workdir / 'run.json'
  run = {
    'schema_version': SCHEMA_VERSION,
    'data_sha256': data_sha256,
    'placement': None,
  }
  if run_path.exists():
    run = json.loads(run_path.read_text())
    if run['schema_version'] != SCHEMA_VERSION:
      raise ValueError(
        f'{workdir} was written by a mejax with schema'
        f' {run["schema_version"]}; this one reads {SCHEMA_VERSION}.'
      )
    if run['data_sha256'] != data_sha256:
      raise ValueError(
        f'{workdir} was trained on other data than the dataset holds now. Name'
        ' a new --workdir, or prepare the dataset as it was.'
      )
  return run


def _differences(old: Any, new: Any, key: str = '') -> Iterator[str]:
  """A line for every leaf in which two nested dicts differ."""
  if isinstance(old, dict) and isinstance(new, dict):
    for name in sorted(old.keys() | new.keys()):
      yield from _differences(
        old.get(name, 'absent'), new.get(name, 'absent'), f'{key}.{name}'
      )
  elif old != new:
    yield f'{key.lstrip(".")}: there {old!r}, asked for {new!r}'
