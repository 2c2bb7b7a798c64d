"""What each change of a recipe gives, on grouped folds of people.

  python -m tests.benchmarks.ablations --data_dir data --groupings FILE.csv
    --workdir RUN [--seeds 3] [CASE ...]

The file has the columns corpus, subject and one column for each grouping, which
holds the part of each person; each part is held out once. A case is one change
of its base, and its row gives the UF1, averaged over seeds, pooled over parts,
the difference to the base, paired over people, and the UF1 of the mean
probability of the seeds. Results stay in the workdir; a seed of a case that is
there is not trained again. With no case, all that are there are listed.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import pathlib
import time
from typing import NamedTuple

import jax
import numpy as np
import scipy.special

from mejax.evaluation import bootstrap
from mejax.evaluation import metrics
from mejax.evaluation import selection
from mejax.experiment import configuration
from mejax.experiment import planning
from mejax.experiment import record as record_lib
from mejax.experiment import resolve
from mejax.experiment import workdir as workdir_lib
from mejax.training import loop

MOSAIC = (
  'view.name=region_mosaic',
  'view.mode=landmarks',
  'view.normalise=centre_std_each',
)
# One change each of the recipe that cnn and htnet_face share.
RECIPE = {
  'full batches': ('even_batches=False',),
  'one deviation': ('view.normalise=centre_std',),
  'mosaic': MOSAIC,
  'raw': ('view.normalise=none', 'setting.mirror=0', 'setting.test_mirror=0'),
  'no mirror': ('setting.mirror=0', 'setting.test_mirror=0'),
  'no test mirror': ('setting.test_mirror=0',),
  'no shift': ('setting.shift=0',),
  'no mixup': ('setting.mixup=0',),
  'no smoothing': ('setting.label_smoothing=0',),
  'warmup_cosine': ('schedule=warmup_cosine', 'setting.warmup_fraction=0.1'),
}


class Case(NamedTuple):
  """A config, its changes, and the case with which it is compared."""

  config: str
  changes: tuple[str, ...] = ()
  base: str = ''


CASES = {
  'cnn': Case('cnn'),
  'cnn mean': Case('cnn', ('model.readout=mean',), 'cnn'),
  'cnn regions': Case('cnn', ('model.readout=regions',), 'cnn'),
  'cnn ema': Case('cnn', ('setting.ema=0.95',), 'cnn'),
  **{f'cnn {name}': Case('cnn', x, 'cnn') for name, x in RECIPE.items()},
  'htnet': Case('htnet_face:small'),
  'htnet mean': Case('htnet_face:small', ('model.readout=mean',), 'htnet'),
  'htnet regions': Case(
    'htnet_face:small', ('model.readout=regions',), 'htnet'
  ),
  'htnet positions': Case(
    'htnet_face:small', ('model.channel_positions=True',), 'htnet'
  ),
  'htnet overlap': Case('htnet_face:small', ('model.overlap=True',), 'htnet'),
  **{
    f'htnet {name}': Case('htnet_face:small', x, 'htnet')
    for name, x in RECIPE.items()
  },
  'resnet': Case('resnet', ('num_epochs=30',)),
  'resnet regions': Case(
    'resnet',
    ('num_epochs=30', 'model.readout=regions'),
    'resnet',
  ),
  'resnet flat': Case(
    'resnet',
    (
      'num_epochs=30',
      'model.readout=flat',
      'model.dropout=0.5',
    ),
    'resnet',
  ),
}


def read_groupings(path: pathlib.Path) -> dict[str, dict[str, str]]:
  """Returns the part of each person, `corpus/subject`, for each grouping."""
  with path.open(newline='') as file:
    rows = list(csv.DictReader(file))
  names = [name for name in rows[0] if name not in ('corpus', 'subject')]
  return {
    name: {f'{r["corpus"]}/{r["subject"]}': f'part {r[name]}' for r in rows}
    for name in names
  }


def train(case: Case, seed: int, parts, *, data_dir, workdir) -> None:
  """Trains a seed of the case on every part; writes `record.npz`."""
  config = configuration.load_config(case.config, case.changes)
  with config.unlocked():
    config.update(seed=seed, num_seeds=1, keep_models=False)
    # Only the last epoch counts; between evaluations a kill costs everything.
    config.eval_every = max(
      n for n in range(1, 7) if config.num_epochs % n == 0
    )
  task = resolve.load_task(config, data_dir)
  groups = np.array([parts[person] for person in task.people])
  plan = planning.plan(config, task=dataclasses.replace(task, groups=groups))
  devices = jax.devices()
  start = time.monotonic()
  outcome = loop.run(
    plan.trainer,
    plan.trials,
    plan.data,
    workdir=workdir,
    placement=plan.place(devices, workdir),
    devices=devices,
    eval_every=plan.options.eval_every,
    checkpoint_every_s=plan.options.checkpoint_every_s,
    keep_models=False,
    names=plan.trial_names,
  )
  print(f'{workdir}: {time.monotonic() - start:.0f} s', flush=True)
  record = record_lib.make_record(
    outcome, plan.trials.held_out, plan.numbers, plan.task, plan.folds.names
  )
  workdir_lib.save_npz(workdir / 'record.npz', record)


def confusions(folder: pathlib.Path):
  """Returns the matrices of each seed and person, and of the seeds together."""
  paths = sorted(folder.glob('*/record.npz'))
  records = [record_lib.read_record(path.parent) for path in paths]
  first = records[0]
  logits = np.concatenate(
    [selection.select(record, 'last').logits for record in records]
  )
  people = np.char.add(np.char.add(first['corpus'], '/'), first['subject'])
  mean = scipy.special.softmax(logits, -1).mean(0, keepdims=True)
  return [
    bootstrap.group_confusion(
      first['labels'],
      selection.predictions(x),
      people,
      num_classes=len(first['class_names']),
    )
    for x in (logits, mean)
  ]


def show(name: str, grouping: str, workdir: pathlib.Path) -> str:
  seeds, together = confusions(workdir / f'{name} {grouping}')
  uf1 = metrics.uf1_of(seeds.sum(1))
  cells = [
    f'{name} {grouping}',
    f'{uf1.mean():.3f} ± {uf1.std(ddof=len(uf1) > 1):.3f} ({len(uf1)})',
    f'{metrics.uf1_of(together.sum(1))[0]:.3f}',
  ]
  base = CASES[name].base and workdir / f'{CASES[name].base} {grouping}'
  if base and list(base.glob('*/record.npz')):
    value, low, high = bootstrap.paired_difference(confusions(base)[0], seeds)
    cells.append(f'{value:+.3f} ({low:+.3f} to {high:+.3f})')
  return f'| {" | ".join(cells)} |'


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--data_dir', type=pathlib.Path, required=True)
  parser.add_argument('--groupings', type=pathlib.Path, required=True)
  parser.add_argument('--workdir', type=pathlib.Path, required=True)
  parser.add_argument('--seeds', type=int, default=3)
  parser.add_argument('cases', nargs='*', metavar='CASE')
  options = parser.parse_args()
  groupings = read_groupings(options.groupings)
  for name in options.cases or CASES:
    for grouping, parts in groupings.items():
      folder = options.workdir / f'{name} {grouping}'
      for seed in range(options.seeds if options.cases else 0):
        run = folder / str(seed)
        if not (run / 'record.npz').exists():
          train(
            CASES[name], seed, parts, data_dir=options.data_dir, workdir=run
          )
      if list(folder.glob('*/record.npz')):
        print(show(name, grouping, options.workdir), flush=True)


if __name__ == '__main__':
  main()
