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
                     levels.csv has the weights of every clip. Of an adaptive
                     model both have the factor at which a clip was read
    attention.npz    for models that show it: the mean attention of each class
    report/          index.html

A file appears under its name only when it is whole. What is read again carries
a digest of the config and the data that it belongs to, so that no run shows
what is another's. The functions below also read files that older versions wrote
without it, or under other names.
"""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import functools
import hashlib
import json
import pathlib
from typing import Any

import numpy as np

from mejax import files
from mejax import forms
from mejax.experiment import schema

SCHEMA_VERSION = 1
LOCK = '.lock'
BASELINES = 'baselines.npz'
ATTENTION = 'attention.npz'
AGAIN = (
  'It may be deleted: the `mejax train` or `evaluate` command that wrote it'
  ' makes it again.'
)
_LEVELS = {
  'levels': [forms.NUMBER],
  'scores': [
    {
      'levels': [forms.NUMBER],
      'uf1': forms.NUMBER,
      'uf1_ci': [forms.NUMBER],
      'uar': forms.NUMBER,
      'difference': [forms.NUMBER],
    }
  ],
  'subjects': [
    {
      'subject': str,
      'clips': int,
      'weights': [forms.NUMBER],
      'amplification': forms.NUMBER,
    }
  ],
  'unit?': str,
  'clips?': [{'clip': str, 'factor': forms.NUMBER, 'motion': forms.NUMBER}],
}
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


def owner(workdir: pathlib.Path) -> str:
  """Returns a digest of the config and the data that a folder belongs to.

  It is that of `config.json` and `run.json` as they lie there; '' for a folder
  that holds no run, such as that of an evaluation, and for the run of an older
  mejax, of which the files do not say to whom they belong.

  Raises:
    ValueError: one of them is damaged.
  """
  if not (workdir / 'run.json').exists():
    return ''
  run = schema.read_run(workdir)
  if 'data' not in run:
    _remark_unowned(workdir)
    return ''
  return describe_owner(schema.read_config(workdir), run)


def describe_owner(config: Mapping[str, Any], run: Mapping[str, Any]) -> str:
  """Returns the digest of a config and the data of a run."""
  about = [run.get(key) for key in ('data_sha256', 'data', 'named_objects')]
  content = json.dumps([config, about], sort_keys=True)
  return hashlib.sha256(content.encode()).hexdigest()


def check_owner(path: pathlib.Path, found: Any, expected: str) -> None:
  """Refuses a file whose digest is not what `owner` returned.

  Raises:
    ValueError: see `files.check_owner`.
  """
  files.check_owner(
    path,
    found,
    expected,
    hint='Put the file back to its own run. If config.json or run.json beside'
    ' it were changed by hand, undo that, or train anew in another --workdir.',
  )


@functools.cache
def _remark_unowned(workdir: pathlib.Path) -> None:
  """Says once of a folder that its files do not say whose they are."""
  print(
    f'{workdir} was written by an older mejax, which did not note in the'
    ' results which config and data they belong to: it is not checked.'
  )


def read_baselines(
  workdir: pathlib.Path, expected: str | None = None
) -> dict[str, np.ndarray]:
  """Reads the predictions of the baselines; {} if there are none yet.

  Args:
    workdir: the folder.
    expected: the owner that they must have; by default that of the folder.

  Raises:
    ValueError: they are damaged, or another's.
  """
  return _read_first(workdir, BASELINES, 'floors.npz', expected=expected)


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
  check_owner(path, numbers.pop(files.OWNER, None), owner(workdir))
  with files.reading(path, hint=AGAIN):
    forms.check(numbers, _LEVELS)
  return numbers


def _read_first(
  workdir: pathlib.Path, *names: str, expected: str | None = None
) -> dict[str, np.ndarray]:
  """Reads the first of these files that exists."""
  for name in names:
    if (workdir / name).exists():
      arrays = load_npz(workdir / name)
      expected = owner(workdir) if expected is None else expected
      check_owner(workdir / name, arrays.pop(files.OWNER, None), expected)
      return arrays
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
    run: data, backend and library versions; `data_sha256` and `data` identify
      the data.

  Returns:
    The content of `run.json`: `run` for a new run, with its schema version.

  Raises:
    ValueError: the folder holds a run of another config, other data or another
      schema, or files that do not belong to a run.
  """
  config = json.loads(json.dumps(config))
  run = {'schema_version': SCHEMA_VERSION, **run}
  config_path, run_path = workdir / 'config.json', workdir / 'run.json'
  # A run on arrays comes from Python, where nothing has dashes.
  flag, as_it_was = '--workdir', 'prepare the dataset as it was'
  if run.get('dataset') == {}:
    flag, as_it_was = 'workdir', 'give the data as they were'
  strangers = [
    path.name
    for path in workdir.iterdir()
    if path.name != LOCK and path.suffix != files.SUFFIX
  ]
  if strangers and not config_path.exists():
    raise ValueError(
      f'{workdir} is not empty and holds no run (no config.json, but'
      f' {", ".join(sorted(strangers)[:3])}). Choose a new folder as {flag}.'
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
  there = schema.complete(schema.read_config(workdir), old['schema_version'])
  config = schema.complete(config, SCHEMA_VERSION)
  hint = f'Repeat that config to resume it, or choose a new {flag}.'
  files.refuse_other(
    workdir,
    there,
    config,
    what='a run with another config',
    hint=_hint_at_seeds(workdir, old, there, config) or hint,
  )
  for key, what, hint in (
    (
      'named_objects',
      'a run with another version of your own code',
      f'Restore that version, or name a new {flag}.',
    ),
    (
      'data',
      'a run on other data',
      f'Choose a new {flag}, or {as_it_was}.',
    ),
    (
      'numerics',
      'a run with other options of JAX, which change its numbers',
      'Set them as they were: each is the environment variable of that name in'
      f' capitals. Or choose a new {flag}.',
    ),
  ):
    # Runs of mejax 0.1 recorded none of them, those of 0.2 only the first.
    if key in old:
      new = json.loads(json.dumps(run.get(key, {})))
      files.refuse_other(workdir, old[key], new, what=what, hint=hint)
  if old['data_sha256'] != run['data_sha256']:
    raise ValueError(
      f'{workdir} was trained on other data than there is now. Choose a new'
      f' {flag}, or {as_it_was}.'
    )
  return old


def _hint_at_seeds(
  workdir: pathlib.Path,
  run: Mapping[str, Any],
  there: Mapping[str, Any],
  asked: Mapping[str, Any],
) -> str:
  """Says how seeds are added to a run; '' if more than they differs."""
  differ = {key for key in asked if there.get(key) != asked[key]}
  if differ - {'seed', 'num_seeds'} or schema.SEARCH in there:
    return ''
  # A run on arrays comes from Python; generated clips have no results.
  if not there['dataset'] or 'generator' in run.get('dataset', {}):
    return ''
  following = there['seed'] + there['num_seeds']
  more = asked['seed'] + asked['num_seeds'] - following
  if more < 1:
    return ''
  return (
    'Repeat that config to resume it. Train further seeds in a --workdir of'
    f' their own, --config.seed={following} --config.num_seeds={more}, and put'
    ' both together:\n'
    f'  mejax report {workdir} --export results/NAME\n'
    '  mejax report NEW_WORKDIR --export results/NAME --add_seeds\n'
    '  mejax score results/NAME'
  )
