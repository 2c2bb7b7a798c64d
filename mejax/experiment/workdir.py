"""Reads and writes the files of a run; refuses to mix two runs in a folder.

    config.json      the config the run was started with
    run.json         its data, library versions and placement on devices
    checkpoints/     states of the round at work, results of finished rounds
    log.jsonl        a line for each evaluation; tensorboard/ shows the same
    record.npz       held-out logits of every trial at every evaluation
    baselines.npz    predictions of the simple baselines on the same folds
    predictions.csv  a row for each example, seed and selection rule
    metrics.json     every number of the table
    levels.json      for models of several amplification levels: scores of each
                     level alone, and weights of each level for each subject;
                     levels.csv has the weights of every clip
    attention.npz    for models that show it: the mean attention of each class
    report/          index.html

A file appears under its name only when it is whole. The functions below also
read files that older versions wrote under other names.
"""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import json
import pathlib
from typing import Any

import numpy as np

from mejax import files
from mejax.experiment import schema

SCHEMA_VERSION = 1
LOCK = '.lock'
BASELINES = 'baselines.npz'
ATTENTION = 'attention.npz'
AGAIN = (
  'It may be deleted: the `mejax train` or `evaluate` command that wrote it'
  ' makes it again.'
)
# What `evaluate` writes has other names.
_ONLY_OF_RUNS = ('config.json', 'run.json', 'log.jsonl', 'checkpoints')
# What a run writes before it has anything to lose.
_FIRST = ('config.json', 'run.json', LOCK)


def write_json(path: pathlib.Path, content: Any) -> None:
  """Writes JSON; the file is there whole or not at all."""
  with files.writing(path) as file:
    file.write(json.dumps(content, indent=2) + '\n')


def save_npz(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes arrays, strings included; the file is there whole or not at all."""
  with files.writing(path, 'wb') as file:
    np.savez_compressed(file, **arrays)


def load_npz(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads every array of a file that `save_npz` wrote.

  Raises:
    ValueError: the file is damaged; the message says so.
  """
  return files.read_npz(path, hint=AGAIN)


def read_baselines(workdir: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads the predictions of the baselines; {} if there are none yet."""
  return _read_first(workdir, BASELINES, 'floors.npz')


def read_attention(workdir: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads the attention maps of the models; {} if there are none."""
  return _read_first(workdir, ATTENTION, 'looked.npz')


def read_levels(workdir: pathlib.Path) -> dict[str, Any]:
  """Reads the scores and weights of levels; {} if there are none."""
  path = workdir / 'levels.json'
  if not path.exists():
    return {}
  numbers = files.read_json(path, hint=AGAIN)
  if 'alphas' in numbers:  # An older name.
    numbers['levels'] = numbers.pop('alphas')
  return numbers


def _read_first(workdir: pathlib.Path, *names: str) -> dict[str, np.ndarray]:
  """Reads the first of these files that exists."""
  for name in names:
    if (workdir / name).exists():
      return load_npz(workdir / name)
  return {}


def is_run(folder: pathlib.Path) -> bool:
  """Returns whether a folder holds a run, or what is left of one."""
  return any((folder / name).exists() for name in _ONLY_OF_RUNS)


def locked(workdir: pathlib.Path) -> contextlib.AbstractContextManager[None]:
  """Locks a folder against a second process; makes it if it is missing.

  Raises:
    ValueError: another process has locked it, or a link leads out of it.
  """
  workdir.mkdir(parents=True, exist_ok=True)
  files.refuse_links(workdir)
  return files.locked(
    workdir / LOCK,
    refusal=f'{workdir} is in use by another process. Wait for it, or choose'
    ' another --workdir.',
  )


def claim(
  workdir: pathlib.Path, config: Mapping[str, Any], run: Mapping[str, Any]
) -> dict[str, Any]:
  """Claims a locked folder for a run, or refuses a folder of another run.

  The folder belongs to the config and the data of its run as long as any file
  is left that depends on them. A run that failed before it wrote one has
  nothing to lose, so another run may take its folder.

  Args:
    workdir: folder of the run.
    config: the config of the run, see `Plan.description`.
    run: data, backend and library versions; `data_sha256` identifies the data.

  Returns:
    The content of `run.json`: `run` for a new run, with its schema version.

  Raises:
    ValueError: the folder holds a run of another config, other data or another
      schema, or files that do not belong to a run.
  """
  config = json.loads(json.dumps(config))
  run = {'schema_version': SCHEMA_VERSION, **run}
  config_path, run_path = workdir / 'config.json', workdir / 'run.json'
  strangers = [
    path.name
    for path in workdir.iterdir()
    if path.name != LOCK and path.suffix != files.SUFFIX
  ]
  if strangers and not config_path.exists():
    raise ValueError(
      f'{workdir} is not empty and holds no run (no config.json, but'
      f' {", ".join(sorted(strangers)[:3])}). Choose a new folder as --workdir.'
    )
  if not set(strangers) - set(_FIRST):
    write_json(config_path, config)
    write_json(run_path, run)
    return run
  old = schema.read_run(workdir)
  if old['schema_version'] != SCHEMA_VERSION:
    raise ValueError(
      f'{workdir} was written by a mejax with schema {old["schema_version"]};'
      f' this one reads {SCHEMA_VERSION}.'
    )
  files.refuse_other(
    workdir,
    schema.complete(schema.read_config(workdir), old['schema_version']),
    schema.complete(config, SCHEMA_VERSION),
    what='a run with another config',
    hint='Repeat that config to resume it, or choose a new --workdir.',
  )
  # Runs of mejax 0.1 did not record them.
  if 'named_objects' in old:
    files.refuse_other(
      workdir,
      old['named_objects'],
      json.loads(json.dumps(run.get('named_objects', {}))),
      what='a run with another version of your own code',
      hint='Restore that version, or name a new --workdir.',
    )
  if old['data_sha256'] != run['data_sha256']:
    raise ValueError(
      f'{workdir} was trained on other data than there is now. Choose a new'
      ' --workdir, or prepare the dataset as it was.'
    )
  return old
