"""Compares runs of `mejax pretrain` on people whom none of them has seen.

  mejax render FACES --subjects 36 --clips 6 --seed 50
  mejax prepare synthetic --source FACES --size 128 --remove_head_motion \
    --faces given --name held_out --data_dir DATA
  python -m tests.benchmarks.generated_recipes RUN RUN RUN+RUN \
    --rendered held_out --data_dir DATA

Runs that are joined by + are taken together: their mean probability counts.
Prints UF1 on generated people who move around points, on others who move along
lines, both with more disturbance and variety than training has, and on rendered
ones; and the mean of the three, by which a recipe is chosen. No real clip takes
part.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from collections.abc import Mapping
import pathlib
from typing import Any

from jaxtyping import Float
import numpy as np

from mejax.datasets import generated
from mejax.datasets import rendered
from mejax.evaluation import bootstrap
from mejax.evaluation import metrics
from mejax.evaluation import selection
from mejax.experiment import applying
from mejax.experiment import resolve
from mejax.experiment import task as task_lib
from mejax.experiment.packs import saved as saved_lib

SEED = 9001
HARDER = {'disturbance': 1.6, 'variety': 1.4}


def tasks(
  saved: saved_lib.Saved, name: str, data_dir: pathlib.Path, people: int
) -> Iterator[tuple[str, task_lib.Task]]:
  """Yields the held-out people as a run reads them."""
  asked = saved.config.generated
  same = {key: asked[key] for key in ('size', 'crop', 'units')}
  same |= {'seed': SEED, 'levels': tuple(asked.levels)}
  for pulling in ('points', 'lines'):
    made = generated.examples(
      people=people, pictures=3, pulling=pulling, **same, **HARDER
    )
    yield pulling, _task(saved, *made)
  found, recipe = rendered.examples(name, data_dir, **same)
  yield 'rendered', _task(saved, found, recipe)


def _task(
  saved: saved_lib.Saved,
  examples: Mapping[str, np.ndarray],
  metadata: Mapping[str, Any],
) -> task_lib.Task:
  reading = resolve.find_reading(saved.config, protocol=generated.PROTOCOL)
  return task_lib.make_task(examples, metadata, **reading)


def shares(saved: saved_lib.Saved, task: task_lib.Task) -> np.ndarray:
  """Returns the mean probability of each class over the seeds, f32[n, k]."""
  logits, _ = applying.apply_folds(saved, task, task.groups)
  return selection.probabilities(logits).mean(0)


def describe(
  task: task_lib.Task, told: Float[np.ndarray, 'n k']
) -> tuple[float, str]:
  """Returns UF1, and as text with its 95 % interval over people."""
  matrices = bootstrap.group_confusion(
    task.labels, told.argmax(-1)[None], task.groups, num_classes=3
  )
  uf1 = metrics.uf1(task.labels, told.argmax(-1), num_classes=3)
  low, high = bootstrap.interval(matrices, metrics.uf1_of)
  return uf1, f'{uf1:.3f} ({low:.3f}-{high:.3f})'


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument('recipes', nargs='+', metavar='RUN[+RUN]')
  parser.add_argument('--rendered', required=True)
  parser.add_argument('--data_dir', type=pathlib.Path, required=True)
  parser.add_argument('--people', type=int, default=300)
  args = parser.parse_args()
  folders = dict.fromkeys(
    folder for recipe in args.recipes for folder in recipe.split('+')
  )
  runs = {folder: saved_lib.read_models(folder) for folder in folders}
  first = next(iter(runs.values()))
  found = {recipe: [] for recipe in args.recipes}
  held_out = tasks(first, args.rendered, args.data_dir, args.people)
  for name, task in held_out:
    told = {folder: shares(saved, task) for folder, saved in runs.items()}
    for recipe, numbers in found.items():
      together = np.mean([told[folder] for folder in recipe.split('+')], 0)
      uf1, words = describe(task, together)
      numbers.append(uf1)
      print(f'{name:<9} {recipe}: {words}')
  for recipe, numbers in found.items():
    print(f'mean      {recipe}: {np.mean(numbers):.4f}')


if __name__ == '__main__':
  main()
