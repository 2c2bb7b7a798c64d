"""What trained models show of themselves, on people they did not see.

Two things: what a model of several amplification levels reads of each level,
and where a model looks. Both need a model that declares what it shows, as
ARTNet, HTNet and MMNet do (see `mejax.models.capabilities`).
"""

from __future__ import annotations

import csv
import dataclasses
import pathlib
from typing import Any

from flax import linen as nn
from jaxtyping import Float
from jaxtyping import Shaped
import numpy as np

from mejax import files
from mejax.evaluation import attention
from mejax.evaluation import levels as levels_lib
from mejax.evaluation import selection
from mejax.experiment import applying
from mejax.experiment import model_checks
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.saved import Saved
from mejax.experiment.task import Clips
from mejax.experiment.task import Task
from mejax.models import capabilities


def has_levels(model: nn.Module) -> bool:
  """Whether there are levels to compare, and the model shows their weights."""
  declared = capabilities.declared_by(model)
  return declared.shows == 'levels' and len(declared.levels or ()) > 1


def write_levels(
  workdir: pathlib.Path, saved: Saved, task: Task
) -> dict[str, Any]:
  """Shows each fold's model its held-out clips: all levels, and each alone.

  Writes `levels.json`, which the report shows, and `levels.csv`, the weights of
  every clip and seed.

  Args:
    workdir: folder of the files.
    saved: models that pool levels by weights (`out['level_weights']`).
    task: the clips.

  Returns:
    levels; scores, see `evaluation.levels.scores`: all levels first, then each
    alone, the motion as it is among them; subjects, see `per_subject`.
  """
  every = task.levels

  def read(levels):
    """Logits and weights from some of the levels, and nothing of the others."""
    chosen = [every.index(alpha) for alpha in levels]
    return applying.apply_folds(
      dataclasses.replace(saved, model=saved.model.clone(levels=levels)),
      dataclasses.replace(task, inputs=task.inputs[:, chosen], levels=levels),
      task.groups,
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


def _write_csv(path, seeds, clips, weights) -> None:
  """A row for each seed and clip, a column for each level."""
  with files.writing(path) as file:
    writer = csv.writer(file)
    names = [f'alpha_{alpha:g}' for alpha in clips.levels]
    writer.writerow(['seed', 'corpus', 'subject', 'clip', *names])
    for seed, rows in zip(seeds, np.asarray(weights), strict=True):
      for i, row in enumerate(rows):
        clip = [clips.corpus[i], clips.subject[i], clips.clip[i]]
        writer.writerow([seed, *clip, *(f'{weight:.6f}' for weight in row)])


def find_maps(model: nn.Module, clips: Clips) -> list[attention.AttentionMap]:
  """Returns what a model shows of such clips, by the shapes of `out` alone."""
  model = model_checks.fill_levels(model, clips.levels)
  declared = capabilities.declared_by(model)
  _, out = model_checks.output_shapes(model, clips)
  return attention.list_maps(out, declared.shows, declared.levels or ())


def make_maps(
  saved: Saved, clips: Clips, groups: Shaped[np.ndarray, ' n'] | None = None
) -> tuple[Float[np.ndarray, 's n r g g'], ...]:
  """Returns where the models look, for each map of `find_maps`.

  Args:
    saved: models that show where they look.
    clips: the clips; labels are not read.
    groups: by which the model of a clip is found, see `applying.apply_folds`.
  """
  model = model_checks.fill_levels(saved.model, clips.levels)
  declared = capabilities.declared_by(model)

  def keep(out):
    # Small maps are all that is kept of a clip, not the weights.
    found = attention.list_maps(out, declared.shows, declared.levels or ())
    return tuple(each.make() for each in found)

  return applying.apply_folds(saved, clips, groups, keep=keep)[1]


def write_attention(
  workdir: pathlib.Path, saved: Saved, task: Task
) -> dict[str, np.ndarray]:
  """Shows each fold's model its held-out clips, and averages where it looks.

  Writes `attention.npz`, which the report shows.

  Args:
    workdir: folder of the file.
    saved: the models.
    task: the clips.

  Returns:
    classes str[k]; clips i64[k], how many of each class are averaged; seeds,
    their number; titles and kinds str[p] of the maps;
    for each of them, numbered from 0, `map0` f32[k, r, g, g]: the mean over
    the held-out clips of a class and over seeds; and what `task.scene` has.

  Raises:
    ValueError: the models show nothing, or were not kept.
  """
  found = find_maps(saved.model, task)
  if not found:
    raise ValueError('these models do not show where they looked.')
  classes = range(len(task.class_names))
  arrays = {
    'classes': np.array(task.class_names),
    'clips': np.array([(task.labels == label).sum() for label in classes]),
    'seeds': np.array(len(saved.seeds)),
    'titles': np.array([each.title for each in found]),
    'kinds': np.array([each.kind for each in found]),
    **task.scene,
  }
  for number, each in enumerate(make_maps(saved, task, task.groups)):
    means = [_mean(each[:, task.labels == label]) for label in classes]
    arrays[f'map{number}'] = np.stack(means)
  workdir_lib.save_npz(workdir / workdir_lib.ATTENTION, arrays)
  return arrays


def _mean(maps) -> np.ndarray:
  """Over seeds and clips `[s, n, ...]` whose maps are finite; 0 if none are."""
  sound = np.isfinite(maps).all((2, 3, 4))
  return maps[sound].sum(0) / np.float32(max(sound.sum(), 1))
