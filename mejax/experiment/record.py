"""Makes and reads the record of a run, from which its metrics are computed."""

from __future__ import annotations

from collections.abc import Mapping
import pathlib

from jaxtyping import Array
from jaxtyping import Int
import numpy as np

from mejax import files
from mejax.evaluation import selection
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.task import Task
from mejax.training import loop


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


def read_record(workdir: pathlib.Path) -> dict[str, np.ndarray]:
  """Reads the `record.npz` of a folder.

  Raises:
    FileNotFoundError: it is missing.
    ValueError: it is damaged, or of another version.
  """
  path = workdir / 'record.npz'
  record = workdir_lib.load_npz(path)
  with files.reading(path, hint=workdir_lib.AGAIN):
    selection.check(record)
  return record
