"""What the samplers of a search find, and what halving saves.

  python -m tests.benchmarks.samplers --workdir DIR [--seeds 3] [--settings 48]

Each of 8 rendered people with 3 clips searches for the settings of a linear
model by 2 inner folds of the others, for 27 epochs. Prints a row for each way
to search: epochs of inner folds, the best inner UF1 after 8 settings, half of
them and all, a mean over people and seeds, and the score of those who were held
out. A seed decides what is tried, and the initial weights. What is in DIR is
not done again.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np

from mejax import experiment
from mejax.corpora import synthetic
from mejax.datasets import prepare
from mejax.datasets import recipe
from mejax.training import devices

PEOPLE, CLIPS, SEED, SIDE = 8, 3, 0, 28
SEARCHES = {
  'qmc': {},
  'qmc --halving 3': {'halving': 3},
  'tpe': {'sampler': 'tpe'},
  'tpe --round 16 --halving 3': {
    'sampler': 'tpe',
    'round_size': 16,
    'halving': 3,
  },
}


def get_space(trial):
  trial.suggest_float('setting.learning_rate', 1e-4, 1e-1, log=True)
  trial.suggest_float('setting.label_smoothing', 0.0, 0.3)
  trial.suggest_float('setting.mixup', 0.0, 0.6)


def make_data(workdir: pathlib.Path) -> pathlib.Path:
  """Renders and prepares the clips; returns the folder of the dataset."""
  data_dir = workdir / 'data'
  source = synthetic.write(
    workdir / 'faces', num_subjects=PEOPLE, clips_per_subject=CLIPS, seed=SEED
  )
  prepare.prepare(
    'synthetic',
    source=source,
    data_dir=data_dir,
    recipe=recipe.Recipe(size=SIDE),
  )
  return data_dir


def search(
  name: str,
  seed: int,
  workdir: pathlib.Path,
  data_dir: pathlib.Path,
  count: int,
):
  """Carries out a search; returns its numbers."""
  config = experiment.load_config(
    'linear',
    [
      'dataset=synthetic', 'protocol=synthetic', 'num_epochs=27',
      'inner_folds=2', 'num_seeds=1', f'seed={seed}',
    ],
  )  # fmt: skip
  folder = name.replace('--', '').replace(' ', '_')
  return experiment.sweep(
    config,
    space=get_space,
    data_dir=data_dir,
    workdir=workdir / f'seed{seed}_{folder}',
    num_settings=count,
    **SEARCHES[name],
  )


def describe(name: str, found: list[dict]) -> str:
  """Returns the row of a way to search, from its numbers for each seed."""
  trace = np.mean([numbers['trace'] for numbers in found], (0, 1))
  places = (min(8, len(trace)), (len(trace) + 1) // 2, len(trace))
  best = ', '.join(f'{trace[each - 1]:.3f}' for each in places)
  return (
    f'{name:<28}{found[0]["cost"]["epochs"]:>8,}  {best}'
    f'  {_scores("searched", found)}'
  )


def _scores(row: str, found: list[dict]) -> str:
  """Returns the mean score over seeds, and the score of each."""
  uf1 = [numbers['scores'][row]['full']['uf1'] for numbers in found]
  return f'{np.mean(uf1):.3f} ({", ".join(f"{x:.3f}" for x in uf1)})'


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--workdir', type=pathlib.Path, required=True)
  parser.add_argument('--seeds', type=int, default=3)
  parser.add_argument('--settings', type=int, default=48)
  args = parser.parse_args()
  devices.use_every_core()
  data_dir = make_data(args.workdir)
  found = {name: [] for name in SEARCHES}
  for seed in range(args.seeds):
    for name, own in found.items():
      own.append(search(name, seed, args.workdir, data_dir, args.settings))
  for name, own in found.items():
    print(describe(name, own))
  print('as configured', _scores('as configured', found['qmc']))
  ends = {
    name: np.array([np.mean(x['trace'], 0)[-1] for x in own])
    for name, own in found.items()
  }
  first, *others = ends
  for name in others:
    print(f'best of {name} minus that of {first}: {ends[name] - ends[first]}')


if __name__ == '__main__':
  main()
