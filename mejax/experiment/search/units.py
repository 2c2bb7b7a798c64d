"""Units of work: trainings that one process does, as plain JSON.

A unit says what to train; `do` trains it and writes one file of results, whole
or not at all. A unit whose file is there is done. Nothing else passes between
units, so it does not matter who does which, or in which order.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import hashlib
import json
import pathlib
import shutil
import time
from typing import Any

import jax
import numpy as np
import tqdm

from mejax import files
from mejax import forms
from mejax.experiment import configuration
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.engine import worker
from mejax.experiment.search import preparing
from mejax.training import cost as cost_lib
from mejax.training import loop
from mejax.training import placement as placement_lib

# A unit of the same trainings has the same name, whoever makes it.
_DIGITS = 12
_PLACEMENT = 'placement.json'
_AGAIN = 'It may be deleted: the command that wrote it makes it again.'
# Kinds and axes of the arrays: t trainings, h clips held out, k outputs.
_ARRAYS = {
  'fold': ('iu', 't'), 'inner': ('i', 't'), 'seed': ('i', 't'),
  'setting': ('iu', 't'), 'index': ('i', 'th'), 'logits': ('f', 'thk'),
  'train_loss': ('f', 't'), 'seconds': ('f', ''),
}  # fmt: skip


def split(
  unit: Mapping[str, Any], folder: pathlib.Path, *, most: int, label: str
) -> list[dict[str, Any]]:
  """Cuts a unit into several of nearly equal size.

  Args:
    unit: `program` (see `preparing.prepare`), `settings`, `trials` (lists
      `fold`, `inner`, `seed` and `setting`), `keep_models`, `may_diverge` and
      `owner`.
    folder: the folder of all results.
    most: the most trainings of a unit.
    label: begins the name of each.

  Returns:
    Units, each with the path of its `result` and the `count` of its trainings.
  """
  count = len(unit['trials']['fold'])
  parts = np.array_split(np.arange(count), max(1, -(-count // most)))
  found = []
  for part in parts:
    trials = {
      key: [values[i] for i in part.tolist()]
      for key, values in unit['trials'].items()
    }
    # Only the settings that it trains, so that its name tells its content.
    used = sorted(set(trials['setting']))
    own = {
      **unit,
      'settings': [unit['settings'][i] for i in used],
      'trials': trials
      | {'setting': [used.index(i) for i in trials['setting']]},
    }
    path = folder.absolute() / f'{label}_{_digest(own)}.npz'
    found.append({**own, 'result': str(path), 'count': len(part)})
  return found


def identify(program: Mapping[str, Any], setting: Mapping[str, float]) -> str:
  """Returns a name of a setting that is trained by a program."""
  return _digest([program, setting])


def _digest(content: Any) -> str:
  text = json.dumps(content, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def do(
  unit: Mapping[str, Any],
  *,
  progress: bool = False,
  title: str = '',
  call_seconds: float = loop.CALL_SECONDS,
  **source: Any,
) -> None:
  """Trains a unit and writes its results, or goes on with one that was killed.

  Args:
    unit: see `split`.
    progress: whether to show a bar of progress.
    title: its title.
    call_seconds: see `loop.run`.
    **source: see `preparing.prepare`.

  Raises:
    ValueError: config, data and model do not fit each other, or the training
      loss of every trial is not finite and may not be so.
  """
  path = pathlib.Path(unit['result'])
  with files.locked(
    path.with_suffix('.lock'),
    remove=True,
    notice=f'Another process is at {path}; this one waits for it.',
  ):
    if is_done(unit):
      return
    path.unlink(missing_ok=True)  # It is damaged.
    options = {
      'progress': progress, 'title': title, 'call_seconds': call_seconds
    }  # fmt: skip
    _do(unit, path, options, source)


def is_done(unit: Mapping[str, Any]) -> bool:
  """Returns whether a unit has its results; removes what a kill has left.

  One whose file is damaged is not done, and says so: it leads to the same
  numbers again.

  Raises:
    OSError: the file cannot be read now.
  """
  path = pathlib.Path(unit['result'])
  try:
    _read(path, hint='It is removed, and the unit done again.')
  except FileNotFoundError:
    return False
  except ValueError as error:
    # A disk or a server that fails has damaged nothing.
    if isinstance(error.__cause__, OSError):
      raise error.__cause__ from None
    tqdm.tqdm.write(str(error))
    return False
  _clear(unit, path.with_suffix(''))
  return True


def count_done(unit: Mapping[str, Any]) -> int:
  """Returns how many trainings are done of a unit that is at work."""
  folder = pathlib.Path(unit['result']).with_suffix('')
  try:
    size = json.loads((folder / _PLACEMENT).read_text())['round_size']
  except FileNotFoundError:  # It has not begun, or is done.
    return 0
  rounds = len(list(folder.glob('checkpoints/round_*.npz')))
  return min(size * rounds, unit['count'])


def do_from_disk(
  unit: Mapping[str, Any], *, data_dir: str, data_sha256: str | None
) -> None:
  """Does a unit as a worker of a cluster does, with data read from disk.

  Args:
    unit: see `split`.
    data_dir: home of the prepared datasets.
    data_sha256: digest of the data of all units; None if their views differ.

  Raises:
    ValueError: as `do`, or the data are others.
  """
  config = configuration.from_json(unit['program']['config'])
  task = preparing.read_task(config, data_dir, data_sha256)
  do(unit, call_seconds=worker.CALL_SECONDS, task=task)


def _do(unit, path: pathlib.Path, options, source) -> None:
  """Does a unit that nobody else does."""
  start, folder = time.monotonic(), path.with_suffix('')
  prepared = preparing.prepare(unit['program'], **source)
  folder.mkdir(parents=True, exist_ok=True)
  trials, numbers = prepared.stack(unit)
  with jax.default_matmul_precision(prepared.plan.options.matmul_precision):
    outcome = _train(prepared, trials, unit, folder, options)
  with files.writing(path, 'wb') as file:
    np.savez(
      file,
      **numbers,
      index=np.asarray(trials.held_out),
      logits=outcome.logits[:, -1],
      train_loss=outcome.train_loss[:, -1],
      seconds=np.float64(time.monotonic() - start),
      **{files.OWNER: np.array(unit['owner'])},
    )
  _clear(unit, folder)


def _clear(unit: Mapping[str, Any], folder: pathlib.Path) -> None:
  """Removes what a unit that is done, or was killed then, has left."""
  if not unit['keep_models']:
    shutil.rmtree(folder, ignore_errors=True)


def _train(prepared, trials, unit, folder, options) -> loop.Outcome:
  devices = jax.local_devices()
  placement = _place(prepared, trials, folder, devices)
  if placement not in prepared.programs:
    prepared.programs[placement] = loop.compile_program(
      prepared.trainer,
      placement,
      devices=devices,
      eval_every=prepared.eval_every,
    )
  return loop.run(
    prepared.trainer,
    trials,
    preparing.arrays_of(prepared.plan),
    workdir=folder,
    placement=placement,
    devices=devices,
    eval_every=prepared.eval_every,
    checkpoint_every_s=prepared.plan.options.checkpoint_every_s,
    keep_models=unit['keep_models'],
    names=name_trials(prepared.folds.names, unit),
    owner=unit['owner'],
    may_diverge=unit['may_diverge'],
    program=prepared.programs[placement],
    **options,
  )


def _place(prepared, trials, folder, devices) -> placement_lib.Placement:
  """Chooses a placement; whoever goes on with the unit takes the same."""
  path = folder / _PLACEMENT
  if path.exists():
    there = files.read_json(path, hint=_AGAIN)
    with files.reading(path, hint=_AGAIN):
      forms.check(there, {'mode': str, 'width': int, 'round_size': int})
      return placement_lib.Placement(**there)
  placement = cost_lib.choose(
    prepared.trainer,
    trials,
    preparing.arrays_of(prepared.plan),
    mode=prepared.plan.options.mode,
    devices=devices,
    eval_every=prepared.eval_every,
    disk=cost_lib.Disk(folder),
  )
  workdir_lib.write_json(path, dataclasses.asdict(placement))
  return placement


def name_trials(
  fold_names: Sequence[str], unit: Mapping[str, Any]
) -> list[str]:
  """Returns the fold, seed and setting of each training, for messages."""
  trials, settings = unit['trials'], unit['settings']
  names = [
    ', '.join(
      f'{name} {value:.3g}'
      for name, value in each.items()
      if any(value != other[name] for other in settings)
    )
    for each in settings
  ]
  return [
    f'fold {fold_names[fold]}{f", inner fold {inner}" * (inner >= 0)}, seed'
    f' {seed} ({names[setting]})'
    for fold, inner, seed, setting in zip(
      *(trials[key] for key in ('fold', 'inner', 'seed', 'setting')),
      strict=True,
    )
  ]


def read(unit: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Returns the results of a unit.

  The arrays are `fold`, `inner`, `seed` and `setting` (position in the unit's
  `settings`) of each training, `index` and `logits` of the clips that it holds
  out, its last `train_loss`, and the `seconds` of the unit.

  Raises:
    FileNotFoundError: it is not done.
    ValueError: the file is damaged, or another's.
  """
  path = pathlib.Path(unit['result'])
  arrays = _read(path, hint=_AGAIN)
  found = arrays.pop(files.OWNER, None)
  files.check_owner(path, found, unit['owner'], hint=_AGAIN)
  return arrays


def _read(path: pathlib.Path, *, hint: str) -> dict[str, np.ndarray]:
  """Returns the arrays of a file of results; errors are those of `reading`."""
  arrays = files.read_npz(path, hint=hint)
  with files.reading(path, hint=hint):
    forms.check_arrays(arrays, _ARRAYS)
  return arrays
