"""Where the models of a run looked, on clips of people they did not see.

For models that show it: ARTNet, HTNet and MMNet, with an attention function
that forms weights (see `mejax.evaluation.attention`).
"""

from __future__ import annotations

import functools
import os
import pathlib

from flax import linen as nn
import jax
import numpy as np

from mejax.evaluation import attention
from mejax.experiment import evaluating
from mejax.experiment import planning
from mejax.experiment import saved as saved_lib
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.task import Task
from mejax.training import sample

FILE = 'looked.npz'


def pictures(model: nn.Module, task: Task) -> list[attention.AttentionMap]:
  """What a model shows of itself, by the shapes of its output alone."""
  model = planning.tell_levels(model, task)
  inputs = jax.eval_shape(
    sample.decode,
    jax.ShapeDtypeStruct((1, *task.inputs.shape[1:]), task.inputs.dtype),
  )
  (_, out), _ = jax.eval_shape(
    functools.partial(model.init_with_output, train=False),
    jax.random.key(0),
    inputs,
  )
  return attention.list_maps(out, _levels(model))


def look(
  workdir: str | os.PathLike, task: Task, *, model: nn.Module | None = None
) -> dict[str, np.ndarray]:
  """Shows each fold's model its held-out clips, and averages where it looked.

  Writes `looked.npz`, which the report shows.

  Args:
    workdir: a finished run that kept its models.
    task: its data.
    model: the module of a run that was trained with an object of a user's own.

  Returns:
    classes str[k]; clips i64[k], how many of each class are averaged; seeds,
    their number; titles and kinds str[p] of the pictures;
    for each of them, numbered from 0, `map0` f32[k, r, g, g]: the mean over
    the held-out clips of a class and over seeds; and what `task.scene` has.

  Raises:
    ValueError: the models show nothing, or were not kept.
  """
  workdir, saved = pathlib.Path(workdir), saved_lib.read(workdir, model)
  found = pictures(saved.model, task)
  if not found:
    raise ValueError(f'the models in {workdir} do not show where they looked.')
  levels = _levels(planning.tell_levels(saved.model, task))
  _, maps = evaluating.apply_folds(
    saved,
    task,
    # Small maps are all that is kept of a clip, not the weights.
    keep=lambda out: tuple(p.make() for p in attention.list_maps(out, levels)),
  )
  classes = range(len(task.class_names))
  arrays = {
    'classes': np.array(task.class_names),
    'clips': np.array([(task.labels == label).sum() for label in classes]),
    'seeds': np.array(len(saved.seeds)),
    'titles': np.array([picture.title for picture in found]),
    'kinds': np.array([picture.kind for picture in found]),
    **task.scene,
  }
  for number, each in enumerate(maps):
    means = [_mean(each[:, task.labels == label]) for label in classes]
    arrays[f'map{number}'] = np.stack(means)
  workdir_lib.save_npz(workdir / FILE, arrays)
  return arrays


def _levels(model) -> tuple[float, ...]:
  return getattr(model, 'levels', ())


def _mean(maps) -> np.ndarray:
  """Over seeds and clips `[s, n, ...]` whose maps are finite; 0 if none are."""
  sound = np.isfinite(maps).all((2, 3, 4))
  return maps[sound].sum(0) / np.float32(max(sound.sum(), 1))
