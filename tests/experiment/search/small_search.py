"""A small search, also in a process of its own, so that a test can kill it."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import numpy as np

from mejax import experiment
from tests import child
from tests import own_parts
from tests.training import setup_trials


def space(trial):
  trial.suggest_float('setting.learning_rate', 1e-3, 1e-1, log=True)
  trial.suggest_float('setting.label_smoothing', 0.0, 0.3)


def make_task(**changes):
  inputs, labels, subjects = setup_trials.make_arrays(num_subjects=5, n=40)
  options = {
    'inputs': inputs,
    'labels': labels,
    'corpus': np.full(40, 'own'),
    'subject': subjects,
    'clip': np.arange(40).astype(str),
    'class_names': ('a', 'b', 'c'),
    'protocol': 'Ours.',
    'groups': subjects,
  }
  return experiment.Task(**options | changes)


def load_config(*changes):
  return experiment.load_config(
    'synthetic:smoke',
    [
      'num_epochs=4',
      'inner_folds=2',
      'setting.mirror=0',
      'setting.label_smoothing=0.1',
      *changes,
    ],
  )


def sweep(workdir, *, config=None, task=None, **changes):
  """Carries it out in this process."""
  options = {'space': space, 'num_settings': 3, 'model': own_parts.Linear()}
  return experiment.sweep(
    config or load_config(),
    task=task or make_task(),
    workdir=workdir,
    **options | changes,
  )


def results(workdir: pathlib.Path):
  """Returns all that must be the same to the last bit."""
  found = {
    name: (workdir / name).read_bytes()
    for name in ('search.json', 'metrics.json', 'predictions.csv')
  }
  for path in sorted((workdir / 'units').glob('*.npz')):
    with np.load(path) as arrays:
      found[path.name] = {
        name: arrays[name].tobytes()
        for name in arrays.files
        if name != 'seconds'
      }
  return found


def start(workdir: pathlib.Path) -> subprocess.Popen:
  """Begins the search, or goes on with it."""
  return subprocess.Popen(
    [
      sys.executable,
      '-m',
      'tests.experiment.search.small_search',
      str(workdir),
    ],
    env=child.environment(),
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  )


def main(workdir: str) -> None:
  experiment.sweep(
    load_config(
      'num_epochs=400', 'checkpoint_every_s=0', 'num_seeds=3', 'mode=map'
    ),
    space=space,
    task=make_task(),
    model=own_parts.Linear(),
    workdir=workdir,
    sampler='tpe',
    num_settings=12,
    round_size=4,
    halving=2,
  )


if __name__ == '__main__':
  main(sys.argv[1])
