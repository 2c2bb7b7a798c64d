"""What the models of a run read of each amplification level.

For models that pool levels by weights (`out['level_weights']`, as ARTNet).
"""

from __future__ import annotations

import csv
import dataclasses
import os
import pathlib
from typing import Any

from flax import linen as nn
import numpy as np

from mejax import files
from mejax.evaluation import levels as levels_lib
from mejax.evaluation import selection
from mejax.experiment import evaluating
from mejax.experiment import saved as saved_lib
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.task import Task


def look(
  workdir: str | os.PathLike, task: Task, *, model: nn.Module | None = None
) -> dict[str, Any]:
  """Shows each fold's model its held-out clips: all levels, and each alone.

  Writes `levels.json`, which the report shows, and `levels.csv`, the weights of
  every clip and seed.

  Args:
    workdir: a finished run that kept its models.
    task: its data.
    model: the module of a run that was trained with an object of a user's own.

  Returns:
    levels; scores, see `evaluation.levels.scores`: all levels first, then each
    alone, the motion as it is among them; subjects, see `per_subject`.
  """
  workdir, saved = pathlib.Path(workdir), saved_lib.read(workdir, model)
  every = task.levels

  def read(levels):
    """Logits and weights from some of the levels, and nothing of the others."""
    chosen = [every.index(alpha) for alpha in levels]
    return evaluating.apply_folds(
      dataclasses.replace(saved, model=saved.model.clone(levels=levels)),
      dataclasses.replace(task, inputs=task.inputs[:, chosen], levels=levels),
      keep=lambda out: out['level_weights'],
    )

  logits, weights = read(every)
  found = {every: logits}
  found |= {(alpha,): read((alpha,))[0] for alpha in every}
  numbers = {
    'levels': list(every),
    'scores': levels_lib.scores(
      {levels: selection.predictions(x) for levels, x in found.items()},
      task.labels,
      task.groups,
      num_classes=len(task.class_names),
    ),
    'subjects': levels_lib.per_subject(weights, task.groups, every),
  }
  _write_csv(workdir / 'levels.csv', saved.seeds, task, weights)
  workdir_lib.write_json(workdir / 'levels.json', numbers)
  return numbers


def _write_csv(path, seeds, task, weights) -> None:
  """A row for each seed and clip, a column for each level."""
  with files.writing(path) as file:
    writer = csv.writer(file)
    names = [f'alpha_{alpha:g}' for alpha in task.levels]
    writer.writerow(['seed', 'corpus', 'subject', 'clip', *names])
    for seed, rows in zip(seeds, np.asarray(weights), strict=True):
      for i, row in enumerate(rows):
        clip = [task.corpus[i], task.subject[i], task.clip[i]]
        writer.writerow([seed, *clip, *(f'{weight:.6f}' for weight in row)])
