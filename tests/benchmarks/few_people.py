"""What a few real people are worth, with and without generated faces before.

  mejax pretrain --config generated --workdir RUN
  mejax pack RUN --out MODEL --recipe_of htnet_release --data_dir DATA
  python -m tests.benchmarks.few_people --data_dir DATA --init MODEL \
    --groupings groupings.csv --workdir DIR

People are left out in the parts of a CSV file with the columns corpus, subject
and one for each grouping. Of the other people of a fold, k are drawn for each
seed, the same with and without `--init`; the next larger k has them too. Every
training has as many steps as that of `cnn` on all people. From a model it
starts with a quarter of the learning rate; that was fixed beforehand. What is
finished is not trained again. Prints UF1 / UAR, means over the seeds, and the
standard deviation of UF1 over them.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import io
import math
import pathlib

from jaxtyping import Shaped
import numpy as np

from mejax.evaluation import metrics
from mejax.evaluation import selection
from mejax.experiment import configuration
from mejax.experiment import planning
from mejax.experiment import record as record_lib
from mejax.experiment import resolve
from mejax.experiment import running
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import saved as saved_lib
from mejax.training import folds as folds_lib

PEOPLE = (4, 8, 16, 32, 0)  # 0: all that are not left out
EPOCHS = 12


def read_parts(
  path: pathlib.Path, people: Shaped[np.ndarray, ' n'], column: str
) -> Shaped[np.ndarray, ' n']:
  """Returns the part of each clip, by its person, `corpus/subject`."""
  with path.open(newline='', encoding='utf-8') as file:
    part = {
      f'{row["corpus"]}/{row["subject"]}': f'part {row[column]}'
      for row in csv.DictReader(file)
    }
  return np.array([part[person] for person in people])


def few(
  folds: folds_lib.Folds,
  people: Shaped[np.ndarray, ' n'],
  count: int,
  seed: int,
) -> folds_lib.Folds:
  """Returns folds that train on some of their people; 0 stands for all."""
  train = folds.train.copy()
  for row, number in zip(train, folds.outer.tolist(), strict=True):
    there = np.unique(people[row > 0])
    drawn = np.random.default_rng([seed, number]).permutation(there)
    row *= np.isin(people, drawn[: count or None])
  return folds._replace(train=train)


def train(
  args: argparse.Namespace, count: int, seed: int, init: pathlib.Path | None
) -> pathlib.Path:
  """Trains all folds on some of their people; returns the folder."""
  config = configuration.load_config('cnn')
  with config.unlocked():
    config.update(
      num_seeds=1, seed=seed, selection=('last',), keep_models=False
    )
    config.model.num_units = 18 if init else 0
    if init:
      config.setting.learning_rate /= 4
  task = resolve.load_task(config, args.data_dir)
  people = task.people
  parts = read_parts(args.groupings, people, args.grouping)
  task = dataclasses.replace(task, groups=parts)
  folds = few(folds_lib.leave_one_group_out(parts), people, count, seed)
  batch = config.batch_size
  whole = EPOCHS * math.ceil(
    _most(folds_lib.leave_one_group_out(parts)) / batch
  )
  with config.unlocked():
    config.num_epochs = max(1, round(whole / math.ceil(_most(folds) / batch)))
    config.eval_every = config.num_epochs
  plan = planning.plan(config, task=task, init=init)
  trials, numbers = resolve.make_trials(config, folds)
  plan = dataclasses.replace(
    plan,
    folds=folds,
    trainer=resolve.make_trainer(config, task, folds),
    trials=trials,
    numbers=numbers,
    description={**plan.description, 'people': count},
  )
  name = f'{"init" if init else "drawn"}_{count or "all"}_{seed}'
  workdir = args.workdir / name
  if not (workdir / 'record.npz').exists():
    with running.claimed(plan, workdir) as run:
      outcome = running.run_trials(plan, workdir, run)
      record = record_lib.make_record(
        outcome, plan.trials.held_out, plan.numbers, plan.task, folds.names
      )
      workdir_lib.save_npz(workdir / 'record.npz', record)
  return workdir


def _most(folds: folds_lib.Folds) -> int:
  return int((folds.train > 0).sum(1).max())


def zero_shot(args: argparse.Namespace) -> tuple[float, float]:
  """Returns UF1 and UAR of the model as it is."""
  saved = saved_lib.read_models(args.init)
  task = resolve.load_task(configuration.load_config('cnn'), args.data_dir)
  order = [saved.classes.index(name) for name in task.class_names]
  said = saved.packed.log_probabilities(task.inputs)[:, order].argmax(1)
  return scores(task.labels, said)


def scores(
  labels: Shaped[np.ndarray, ' n'], said: Shaped[np.ndarray, ' n']
) -> tuple[float, float]:
  """Returns UF1 and UAR."""
  return tuple(
    score(labels, said, num_classes=3) for score in (metrics.uf1, metrics.uar)
  )


def read_scores(workdir: pathlib.Path) -> tuple[float, float]:
  with np.load(workdir / 'record.npz') as arrays:
    record = dict(arrays)
  (logits,) = selection.select(record, 'last').logits
  return scores(record['labels'], logits.argmax(-1))


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument('--data_dir', type=pathlib.Path, required=True)
  parser.add_argument('--init', type=pathlib.Path, required=True)
  parser.add_argument('--groupings', type=pathlib.Path, required=True)
  parser.add_argument('--grouping', default='A', help='a column of it')
  parser.add_argument('--workdir', type=pathlib.Path, required=True)
  parser.add_argument('--seeds', type=int, default=1)
  parser.add_argument('--people', default=','.join(map(str, PEOPLE)))
  args = parser.parse_args()
  print('| training people | drawn weights | from generated faces |')
  print('|---|---|---|')
  uf1, uar = zero_shot(args)
  print(f'| 0 | - | {uf1:.3f} / {uar:.3f} |')
  for count in map(int, args.people.split(',')):
    cells = []
    for init in (None, args.init):
      found = []
      for seed in range(args.seeds):
        with contextlib.redirect_stdout(io.StringIO()):
          found.append(read_scores(train(args, count, seed, init)))
      uf1, uar = np.mean(found, 0)
      spread = ''
      if args.seeds > 1:
        spread = f' +- {np.std(found, 0, ddof=1)[0]:.3f}'
      cells.append(f'{uf1:.3f}{spread} / {uar:.3f}')
    print(f'| {count or "all"} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
  main()
