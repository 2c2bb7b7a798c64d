"""Whether an adaptive ARTNet finds how expressive a person is, and gains by it.

  python -m tests.benchmarks.expressiveness --workdir DIR [--train CASE ...]

Renders people whose expressions differ by known factors, prepares their flow at
levels 1, 2, 4 and 8, trains each case in the same folds with the same recipe
(`artnet:adaptive`), and prints the table. Everything resumes. The table has all
cases that are trained; without --train all of them are.

Only the image that is read differs between the cases: but for `all levels`,
they are one network with one image.

  level 1, 2, 4, 8   one level of everybody
  uniform            the mean of all levels
  all levels         ARTNet with attention among the levels
  adaptive           levels read at a factor that the model predicts of a clip
  adaptive region    of each region of a clip
  adaptive times 8   with inputs 8 times as large, so that no factor has to be
                     large just to bring motion to the scale of the embeddings
  oracle             at the inverse of the true factor of the person, which only
                     a renderer knows
  level 1 times 8    not amplified frames: flow that is multiplied
  own deviation      level 1, each clip divided by its own deviation

A row `permuted` is no training: the clips are shown to the models of the row
above, read at the factors of other clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import dataclasses
import pathlib

import jax
import jax.numpy as jnp
from jaxtyping import Float
from jaxtyping import Integer
import numpy as np
import scipy.stats

from mejax import experiment
from mejax.corpora import synthetic
from mejax.datasets import prepare
from mejax.datasets.recipe import Recipe
from mejax.evaluation import bootstrap
from mejax.evaluation import metrics
from mejax.evaluation import selection
from mejax.experiment import applying
from mejax.experiment import configuration
from mejax.experiment import record as record_lib
from mejax.experiment import resolve
from mejax.experiment.packs import saved as saved_lib
from mejax.experiment.task import Task
from mejax.models import adaptive

LEVELS = (1.0, 2.0, 4.0, 8.0)
EXPRESSIVENESS = (0.25, 2.0)
CASES = (
  *(f'level {alpha:g}' for alpha in LEVELS),
  'uniform',
  'all levels',
  'adaptive',
  'adaptive region',
  'adaptive times 8',
  'oracle',
  'level 1 times 8',
  'own deviation',
)
PERMUTATIONS = 5
# The share of people, the least expressive, that a column of the table is for.
LEAST = 1 / 3


@dataclasses.dataclass(frozen=True)
class Truth:
  """What the renderer knows of each clip.

  Attributes:
    expressiveness: factor of the person.
    amplitude: length of the expression at the apex, in pixels of 128.
  """

  expressiveness: Float[np.ndarray, ' n']
  amplitude: Float[np.ndarray, ' n']


def make_data(
  workdir: pathlib.Path, *, subjects: int, clips: int, seed: int
) -> pathlib.Path:
  """Renders and prepares the people once; returns the folder of the corpus."""
  source = workdir / 'faces'
  if (workdir / 'prepared').exists():
    return source
  synthetic.write(
    source,
    num_subjects=subjects,
    clips_per_subject=clips,
    seed=seed,
    expressiveness=EXPRESSIVENESS,
  )
  prepare.prepare(
    'synthetic',
    source=source,
    data_dir=workdir / 'data',
    recipe=Recipe(
      levels=LEVELS, size=64, faces='given', remove_head_motion=True
    ),
  )
  (workdir / 'prepared').touch()
  return source


def read_truth(source: pathlib.Path, task: Task) -> Truth:
  """Returns the truth of each clip of the task."""
  found = {}
  for clip in synthetic.read(source):
    with np.load(clip.truth) as arrays:
      flow = arrays['expression_flow']
      longest = np.hypot(flow[..., 0], flow[..., 1]).max() * 128 / len(flow)
      found[clip.subject, clip.name] = float(arrays['expressiveness']), longest
  rows = zip(task.subject.tolist(), task.clip.tolist(), strict=True)
  return Truth(*np.array([found[row] for row in rows]).T)


def load_config(*changes: str):
  """Returns the recipe of all cases, with changes."""
  return configuration.load_config('artnet:adaptive', changes)


def read_at(task: Task, shares: Float[np.ndarray, 'n a f']) -> Task:
  """Returns the task with one image of each clip, the sum of its levels."""
  inputs = jax.jit(adaptive.read)(task.inputs, jnp.asarray(shares, jnp.float32))
  return _only(task, np.asarray(inputs))


def shares_at(task: Task, factor: Float[np.ndarray, 'n f']):
  """Returns the shares of the levels that an adaptive model has at factors."""
  scale = jnp.log(jnp.array([task.levels]))
  return np.asarray(adaptive.share_levels(scale, jnp.log(jnp.array(factor))))


def _only(task: Task, inputs) -> Task:
  # As if not amplified: no case is told its factor.
  layout = dataclasses.replace(task.layout, levels=1)
  return dataclasses.replace(task, inputs=inputs, levels=(1.0,), layout=layout)


def make_case(name: str, task: Task, truth: Truth, data_dir):
  """Returns the config and the data of a case."""
  plain = load_config('model.adaptive=')
  clips = len(task.inputs)
  if name.startswith('adaptive'):
    kind = 'region' if name == 'adaptive region' else 'clip'
    gain = np.float32(8 if name == 'adaptive times 8' else 1)
    own = dataclasses.replace(task, inputs=task.inputs * gain)
    return load_config(f'model.adaptive={kind}'), own
  if name == 'all levels':
    return load_config('model.adaptive=', 'model.level_dropout=0.25'), task
  if name == 'uniform':
    shares = np.full((clips, len(task.levels), 1), 1 / len(task.levels))
    return plain, read_at(task, shares)
  if name == 'oracle':
    factor = EXPRESSIVENESS[1] / truth.expressiveness
    return plain, read_at(task, shares_at(task, factor[:, None]))
  if name == 'own deviation':
    config = load_config('model.adaptive=', 'view.normalise=centre_std')
    own = resolve.load_task(config, data_dir)
    return config, _only(own, own.inputs[:, :1])
  _, level, *times = name.split(' ')
  inputs = task.inputs[:, [task.levels.index(float(level))]]
  return plain, _only(task, inputs * np.float32(times[-1] if times else 1))


def train(
  name: str, workdir: pathlib.Path, task: Task, truth: Truth, changes
) -> None:
  config, own = make_case(name, task, truth, workdir / 'data')
  # Only those of `adaptive` are shown anything after the training.
  keep = f'keep_models={name.startswith("adaptive")}'
  config = configuration.override(config, [keep, *changes])
  experiment.train(config, workdir=workdir / name, task=own)


def logits_of(folder: pathlib.Path) -> Float[np.ndarray, 's n k']:
  return selection.select(record_lib.read_record(folder), 'last').logits


def factors_of(folder: pathlib.Path, task: Task) -> Float[np.ndarray, 's n f']:
  """Returns the factor at which each clip was read by those who held it out."""
  saved = saved_lib.read_models(folder)
  keep = applying.apply_folds(
    saved, task, task.groups, keep=lambda out: out['factor']
  )
  return keep[1]


def permuted_logits(
  folder: pathlib.Path, task: Task, factors: Float[np.ndarray, 's n f']
) -> Float[np.ndarray, 's n k']:
  """Returns logits of the same models, with the factors of other clips.

  A model of one level reads just that level, so the images are read before.
  Each permutation counts as a seed.
  """
  saved = saved_lib.read_models(folder)
  rows = []
  for number in range(PERMUTATIONS):
    order = np.random.default_rng(number).permutation(len(task.inputs))
    for seed, factor in zip(saved.seeds, factors, strict=True):
      own = read_at(task, shares_at(task, factor[order]))
      model = saved.model.clone(levels=(1.0,))
      one = dataclasses.replace(saved, seeds=(seed,), model=model)
      rows.append(
        applying.apply_folds(one, own, task.groups, keep=lambda out: {})[0]
      )
  return np.concatenate(rows)


def rank_correlation(
  ours: Float[np.ndarray, ' n'],
  true: Float[np.ndarray, ' n'],
  people: np.ndarray,
  *,
  each: str,
) -> tuple[float, float, float]:
  """Returns Spearman's correlation and its 95 % interval over people.

  Args:
    ours: a number of each clip.
    true: its truth.
    people: str[n], the person of each clip.
    each: `person` to correlate the means over the clips of a person, or `clip`.
  """
  names, index = np.unique(people, return_inverse=True)
  if each == 'person':
    count = np.bincount(index)
    ours, true = (np.bincount(index, x) / count for x in (ours, true))
    index = np.arange(len(names))
  rows = [np.flatnonzero(index == i) for i in range(len(names))]
  draw = np.random.default_rng(0).integers
  found = []
  for _ in range(1000):
    chosen = np.concatenate([rows[i] for i in draw(len(rows), size=len(rows))])
    found.append(scipy.stats.spearmanr(ours[chosen], true[chosen])[0])
  value = scipy.stats.spearmanr(ours, true)[0]
  # A draw of one person over and over has no correlation.
  return float(value), *map(float, np.nanpercentile(found, [2.5, 97.5]))


def correlations(
  factors: Mapping[str, Float[np.ndarray, 's n f']], task: Task, truth: Truth
) -> list[str]:
  """Returns a line of Markdown for each kind of factor, and one for motion.

  They are Spearman's correlations, by `rank_correlation`.
  """
  flow = task.inputs[:, 0].astype(np.float64)
  numbers = {name: np.log(each).mean((0, 2)) for name, each in factors.items()}
  # What the head reads; without a model.
  motion = np.sqrt(np.mean(flow**2, axis=(1, 2, 3)))
  numbers['1 / motion of the clip, no model'] = -np.log(motion)
  lines = []
  for name, ours in numbers.items():
    cells = [name]
    for true, each in (
      (truth.expressiveness, 'person'),
      (truth.amplitude, 'clip'),
    ):
      rho = rank_correlation(ours, -np.log(true), task.people, each=each)
      cells.append('{:.2f} ({:.2f} to {:.2f})'.format(*rho))
    low, high = np.exp(np.percentile(ours, [5, 95]))
    cells.append(f'{low:.2f} to {high:.2f}' if name in factors else '')
    lines.append(f'| {" | ".join(cells)} |')
  return lines


def confusion(
  logits: Float[np.ndarray, 's n k'], task: Task, chosen=slice(None)
) -> Integer[np.ndarray, 's g k k']:
  return bootstrap.group_confusion(
    task.labels[chosen],
    selection.predictions(logits)[:, chosen],
    task.people[chosen],
    num_classes=len(task.class_names),
  )


def scores(
  logits: Mapping[str, Float[np.ndarray, 's n k']], task: Task, truth: Truth
) -> list[str]:
  """Returns a line of Markdown for each case."""
  least = np.quantile(np.unique(truth.expressiveness), LEAST)
  weak = np.flatnonzero(truth.expressiveness <= least)
  lines = []
  for name, each in logits.items():
    own = confusion(each, task)
    low, high = bootstrap.interval(own)
    few = metrics.uf1_of(confusion(each, task, weak).sum(1)).mean()
    cells = [
      name,
      f'{metrics.uf1_of(own.sum(1)).mean():.3f} ({low:.3f} to {high:.3f})',
      f'{few:.3f}',
    ]
    if 'adaptive' in logits:
      ours = confusion(logits['adaptive'], task)
      difference = bootstrap.paired_difference(own, ours)
      cells.append('{:+.3f} ({:+.3f} to {:+.3f})'.format(*difference))
    lines.append(f'| {" | ".join(cells)} |')
  return lines


def main(arguments: list[str] | None = None) -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--workdir', type=pathlib.Path, required=True)
  parser.add_argument('--subjects', type=int, default=32)
  parser.add_argument('--clips', type=int, default=9)
  parser.add_argument('--seed', type=int, default=14)
  parser.add_argument(
    '--changes', nargs='*', default=['num_folds=4'], metavar='KEY=VALUE'
  )
  parser.add_argument('--train', nargs='*', default=CASES, choices=CASES)
  options = parser.parse_args(arguments)
  experiment.keep_compiled_programs()
  workdir = options.workdir
  source = make_data(
    workdir, subjects=options.subjects, clips=options.clips, seed=options.seed
  )
  task = resolve.load_task(load_config(), workdir / 'data')
  truth = read_truth(source, task)
  for name in options.train:
    if not (workdir / name / 'metrics.json').exists():
      train(name, workdir, task, truth, options.changes)
  logits, factors = {}, {}
  for name in CASES:
    folder = workdir / name
    if not (folder / 'metrics.json').exists():
      continue
    logits[name] = logits_of(folder)
    if name.startswith('adaptive'):
      _, own = make_case(name, task, truth, workdir / 'data')
      factors[name] = factors_of(folder, own)
      logits[f'{name} permuted'] = permuted_logits(folder, own, factors[name])
  print(
    _head(
      'factor',
      'with 1 / expressiveness, by person',
      'with 1 / amplitude, by clip',
      '5 to 95 % of clips',
    )
  )
  print('\n'.join(correlations(factors, task, truth)), end='\n\n')
  print(
    _head(
      'image that is read',
      'UF1, 95 %',
      'UF1, least expressive third',
      'adaptive minus this',
    )
  )
  print('\n'.join(scores(logits, task, truth)))


def _head(*cells: str) -> str:
  return f'| {" | ".join(cells)} |\n{"|---" * len(cells)}|'


if __name__ == '__main__':
  main()
