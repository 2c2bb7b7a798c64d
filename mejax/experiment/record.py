"""Makes and reads the record of a run, from which its metrics are computed."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import json
import pathlib
from typing import Any

from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Shaped
import numpy as np

from mejax import files
from mejax import forms
from mejax.evaluation import selection
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.task import Task
from mejax.training import folds as folds_lib
from mejax.training import loop

# The words and values beside the numbers: how the protocol and the rules are
# named, the values of each setting, a warning of all numbers, whether it is of
# the model that a training started from; and of an evaluation what makes it
# again, see `evaluated`.
TOLD = {
  'protocol': str,
  'rules': [str],
  'settings?': [{str: forms.NUMBER}],
  'warning?': str,
  'started?': bool,
  'evaluation?': dict,
}
# What is read of the metrics.json of older versions.
_OLD = {
  'protocol': str,
  'selection': {'last': {'full': {'warning?': str}}},
  'settings?': [{'values?': {str: forms.NUMBER}}],
}


def make_record(
  outcome: loop.Outcome,
  held_out: Int[Array | np.ndarray, 't h'],
  numbers: Mapping[str, np.ndarray],
  task: Task,
  fold_names: tuple[str, ...],
) -> dict[str, np.ndarray]:
  """Returns the arrays of `record.npz`.

  Args:
    outcome: held-out logits and training losses of every trial.
    held_out: positions of the held-out clips of each trial, padded with -1.
    numbers: fold, inner, seed and setting of each trial.
    task: the clips.
    fold_names: the name of each outer fold.
  """
  return {
    'schema_version': np.array(selection.RECORD_VERSION),
    'logits': outcome.logits,
    'train_loss': outcome.train_loss,
    'epochs': outcome.epochs,
    'index': np.asarray(held_out),
    **numbers,
    'labels': task.labels.astype(np.int32),
    'groups': task.groups,
    'corpus': task.corpus,
    'subject': task.subject,
    'clip': task.clip,
    'fold_names': np.asarray(fold_names),
    'class_names': np.asarray(task.class_names),
  }


def of_one_evaluation(
  task: Task,
  left_out: Shaped[np.ndarray, ' n'],
  logits: Float[np.ndarray, 's n k'],
  *,
  seeds: Sequence[int],
  epoch: int,
) -> dict[str, np.ndarray]:
  """Returns a record with a single evaluation of every fold and seed.

  Args:
    task: the clips.
    left_out: the fold that held each clip out.
    logits: held-out logits of each seed.
    seeds: the seeds.
    epoch: number of epochs that were trained.
  """
  folds = folds_lib.leave_one_group_out(left_out)
  index = folds_lib.held_out_index(folds.test)
  num_seeds, num_folds = len(seeds), len(folds.outer)
  each = logits[:, np.maximum(index, 0)]  # [s, f, h, k]
  outcome = loop.Outcome(
    logits=each.reshape(-1, 1, *each.shape[2:]),
    train_loss=np.full((num_seeds * num_folds, 1), np.nan, np.float32),
    epochs=np.array([epoch], np.int32),
  )
  numbers = {
    'fold': np.tile(folds.outer, num_seeds),
    'inner': np.tile(folds.inner, num_seeds),
    'seed': np.repeat(np.array(seeds, np.int32), num_folds),
    'setting': np.zeros(num_seeds * num_folds, np.int32),
  }
  return make_record(
    outcome, np.tile(index, (num_seeds, 1)), numbers, task, folds.names
  )


def about(owner: str, told: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """Returns the arrays of a record that say whose it is.

  Args:
    owner: what it belongs to; see `workdir.owner`.
    told: see `TOLD`.
  """
  return {
    files.OWNER: np.array(owner),
    'told': np.array(json.dumps(told)),
  }


def read_record(workdir: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads the `record.npz` of a folder.

  Raises:
    FileNotFoundError: it is missing.
    ValueError: it is damaged, of another version, or another run's.
  """
  path = workdir / 'record.npz'
  record = workdir_lib.load_npz(path)
  with files.reading(path, hint=workdir_lib.AGAIN):
    selection.check(record)
  found = record.get(files.OWNER)
  workdir_lib.check_owner(path, found, workdir_lib.owner(workdir))
  return record


def owner_of(record: selection.Record) -> str:
  """Returns what a record belongs to; '' for one of an older mejax."""
  return str(record.get(files.OWNER, ''))


def read_told(
  workdir: pathlib.Path, record: selection.Record
) -> dict[str, Any]:
  """Returns what stands beside the numbers of a record; see `TOLD`.

  A record of an older mejax does not hold it; then metrics.json does.

  Raises:
    ValueError: a file is damaged.
  """
  if 'told' in record:
    path = workdir / 'record.npz'
    with files.reading(path, hint=workdir_lib.AGAIN):
      told = json.loads(str(record['told']))
      forms.check(told, TOLD)
    return told
  path = workdir / 'metrics.json'
  numbers = files.read_json(path, hint=workdir_lib.AGAIN)
  with files.reading(path, hint=workdir_lib.AGAIN):
    forms.check(numbers, _OLD)
    warning = numbers['selection']['last']['full'].get('warning', '')
    # That one is found in the record itself.
    warning = '' if warning == selection.BOTH_SIDES else warning
    told = {
      'protocol': numbers['protocol'],
      'rules': list(numbers['selection']),
      'settings': [
        one['values'] for one in numbers.get('settings', []) if 'values' in one
      ],
      'warning': warning,
    }
    forms.check(told, TOLD)
  return told
