"""Measures how much models read of each level, and where they look.

Each model is applied to the people that it held out. Both measures need a model
that declares what it shows in its `out`, as ARTNet, HTNet and MMNet do (see
`mejax.models.capabilities`).
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
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
from mejax.experiment.packs.saved import Saved
from mejax.experiment.task import Clips
from mejax.experiment.task import Task
from mejax.models import capabilities

# The regions of a clip, in their order.
_PARTS = ('upper_left', 'upper_right', 'lower_left', 'lower_right')


def has_levels(model: nn.Module) -> bool:
  """Returns whether a model has several levels and shows their weights."""
  declared = capabilities.declared_by(model)
  return declared.shows == 'levels' and len(declared.levels or ()) > 1


def write_levels(
  workdir: pathlib.Path, saved: Saved, task: Task
) -> dict[str, Any]:
  """Compares predictions from all levels with those from each level alone.

  Writes `levels.json`, which the report shows, and `levels.csv`, the weights of
  every clip and seed. Of a model that reads the levels at a factor of each clip
  (`out['factor']`, as of an adaptive ARTNet), both have the factors, beside how
  much the clip moves.

  Args:
    workdir: folder of the files.
    saved: models that pool levels by weights (`out['level_weights']`).
    task: the clips; each is shown to the model that held out its group.

  Returns:
    The content of `levels.json`: `levels`, the amplification factors; `scores`,
    see `evaluation.levels.scores`, of all levels first and then of each alone;
    `subjects`, see `evaluation.levels.per_subject`; with factors also `clips`,
    see `evaluation.levels.per_clip`, and `unit`, that of their motion.
  """
  every = task.levels

  def read(levels):
    """Returns logits and weights when only these levels are read."""
    chosen = [every.index(alpha) for alpha in levels]
    return applying.apply_folds(
      dataclasses.replace(saved, model=saved.model.clone(levels=levels)),
      dataclasses.replace(task, inputs=task.inputs[:, chosen], levels=levels),
      task.groups,
      keep=lambda out: (out['level_weights'], out.get('factor')),
    )

  logits, (weights, factors) = read(every)
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
  motion, unit = _motion(task)
  if factors is not None:
    numbers['unit'] = unit
    names = zip(task.people.tolist(), task.clip.tolist(), strict=True)
    names = ['/'.join(name) for name in names]
    numbers['clips'] = levels_lib.per_clip(factors, motion, names)
  _write_csv(
    workdir / 'levels.csv', saved.seeds, task, weights, factors, motion
  )
  owner = {files.OWNER: workdir_lib.owner(workdir)}
  workdir_lib.write_json(workdir / 'levels.json', numbers | owner)
  return numbers


def _motion(task: Task) -> tuple[Float[np.ndarray, ' n'], str]:
  """Returns how much each clip moves without amplification, and the unit."""
  flow = task.baseline_inputs
  if flow is not None and task.dataset.get('units') == 'pixel':
    squares = np.square(flow[..., :2], dtype=np.float64).sum(-1)
    return np.sqrt(squares.mean((1, 2))), 'px'
  flow = task.inputs[:, np.argmin(task.levels)].astype(np.float64)
  return np.sqrt(np.mean(flow**2, axis=(1, 2, 3))), 'units of the input'


def _write_csv(path, seeds, clips, weights, factors, motion) -> None:
  """Writes a row for each seed and clip, with the weight of each level."""
  names = [f'alpha_{alpha:g}' for alpha in clips.levels]
  columns = np.asarray(weights)
  if factors is not None:
    several = factors.shape[-1] > 1
    names += [
      f'factor_{part}' if several else 'factor'
      for part in _PARTS[: factors.shape[-1]]
    ]
    names.append('motion')
    moved = np.broadcast_to(motion[:, None], (*factors.shape[:2], 1))
    columns = np.concatenate([columns, factors, moved], -1)
  with files.writing(path) as file:
    writer = files.CsvWriter(file)
    writer.writerow(['seed', 'corpus', 'subject', 'clip', *names])
    for seed, rows in zip(seeds, columns, strict=True):
      for i, row in enumerate(rows):
        clip = [str(x[i]) for x in (clips.corpus, clips.subject, clips.clip)]
        writer.writerow([seed, *clip, *(f'{value:.6f}' for value in row)])


def find_maps(model: nn.Module, clips: Clips) -> list[attention.AttentionMap]:
  """Lists the maps that a model shows of clips; computes shapes only."""
  model = model_checks.fill_levels(model, clips.levels)
  declared = capabilities.declared_by(model)
  _, out = model_checks.output_shapes(model, clips)
  return attention.list_maps(out, declared.shows, declared.levels or ())


def make_maps(
  saved: Saved, clips: Clips, groups: Shaped[np.ndarray, ' n'] | None = None
) -> tuple[Float[np.ndarray, 's n r g g'], ...]:
  """Computes the attention maps of clips, one array for each of `find_maps`.

  Args:
    saved: models that show where they look.
    clips: the clips; labels are not read.
    groups: str[n], decides the model of each clip; see `applying.apply_folds`.
  """
  model = model_checks.fill_levels(saved.model, clips.levels)
  declared = capabilities.declared_by(model)

  def keep(out):
    # A model may compute in bfloat16, which is too coarse for means.
    out = jax.tree.map(lambda x: x.astype(jnp.float32), out)
    # Only the small maps leave the program; the weights would fill the memory.
    found = attention.list_maps(out, declared.shows, declared.levels or ())
    return tuple(each.make() for each in found)

  return applying.apply_folds(saved, clips, groups, keep=keep)[1]


def write_attention(
  workdir: pathlib.Path, saved: Saved, task: Task
) -> dict[str, np.ndarray]:
  """Averages the attention maps of held-out clips over each class.

  Writes `attention.npz`, which the report shows.

  Args:
    workdir: folder of the file.
    saved: the models.
    task: the clips; each is shown to the model that held out its group.

  Returns:
    The arrays of `attention.npz`: `classes` str[k]; `clips` i64[k], number of
    clips of each class; `seeds`, number of seeds; `titles` and `kinds` str[p]
    of the p maps; `map0`, `map1`, ... f32[k, r, g, g], each map averaged over
    the clips of a class and over seeds; and the arrays of `task.scene`.

  Raises:
    ValueError: the models show no maps, or were not kept.
  """
  found = find_maps(saved.model, task)
  if not found:
    raise ValueError('these models do not show where they look.')
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
  owner = {files.OWNER: np.array(workdir_lib.owner(workdir))}
  workdir_lib.save_npz(workdir / workdir_lib.ATTENTION, arrays | owner)
  return arrays


def _mean(maps) -> np.ndarray:
  """Averages finite maps over seeds and clips [s, n, ...]; 0 if none are."""
  sound = np.isfinite(maps).all((2, 3, 4))
  return maps[sound].sum(0) / np.float32(max(sound.sum(), 1))
