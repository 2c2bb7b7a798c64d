"""Trains the network for spotting, leaving people out, and scores it.

Nothing is chosen on people who are scored: the threshold of each type is that
which leaves a budget of false alarms among the training people, each of them
spotted by a network of an inner fold that has not seen them either. The spotter
without training is scored on the same people, with thresholds from the same
budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import pathlib
from typing import Any

import jax
from jaxtyping import Float
import ml_collections
import numpy as np

from mejax import files
from mejax.evaluation.spotting import events as events_lib
from mejax.experiment import planning
from mejax.experiment import running
from mejax.experiment import schema
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import card
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.planning import Plan
from mejax.experiment.spotting import comparing
from mejax.experiment.spotting import filming
from mejax.experiment.spotting import packing
from mejax.experiment.spotting import signal_sets
from mejax.experiment.spotting import trained as trained_lib
from mejax.experiment.spotting import windows as windows_lib
from mejax.experiment.spotting.comparing import Fold
from mejax.experiment.spotting.signal_sets import Recorded
from mejax.experiment.spotting.trained import Trained
from mejax.experiment.spotting.windows import Windows
from mejax.experiment.task import Task
from mejax.models.spotter import Spotter
from mejax.motion.spotting import curves as curves_lib
from mejax.motion.spotting import inputs as inputs_lib
from mejax.motion.spotting.candidates import Candidate
from mejax.training import batches
from mejax.training import checkpoint
from mejax.training import curves as curve_training
from mejax.training import loop
from mejax.training import optimizer as optimizer_lib
from mejax.training import schedule as schedule_lib

# Weight of a frame of an expression in the loss.
_RARE = 4.0


def train(
  config: ml_collections.ConfigDict,
  *,
  data_dir: str | os.PathLike,
  workdir: str | os.PathLike,
  dry_run: bool = False,
) -> dict[str, Any]:
  """Trains, writes `scores.txt` and `metrics.json`, and prints the table.

  The same call on the same workdir resumes. With `config.folds` `all`,
  `spotter/` is a network of everybody with its card, for `mejax spot
  --spotter`, see `packing.pack`.

  Args:
    config: its dataset is a folder of `data_dir`, see `signal_sets`.
    data_dir: home of the folder.
    workdir: folder of the run; made if it is not there.
    dry_run: only print what would be trained, and how long.

  Returns:
    The content of `metrics.json`; empty for a dry run.

  Raises:
    FileNotFoundError: the folder of signals is not there.
    ValueError: config and data do not fit each other.
  """
  config = schema.fill(config)
  _check(config)
  recordings = signal_sets.read(pathlib.Path(data_dir) / config.dataset)
  own = config.spotting
  windows = windows_lib.cut_all(
    recordings, length=own.window, margin=own.margin
  )
  plan = make_plan(config, recordings, windows)
  if dry_run:
    running.print_forecast(plan, workdir)
    return {}
  workdir = pathlib.Path(workdir)
  with running.claimed(plan, workdir) as run:
    outcome = running.run_trials(plan, workdir, run)
    spotted = _Spotted(plan, outcome, recordings, windows)
    compared = comparing.compare(
      recordings, spotted.folds(), spotted.spot, a_minute=own.budget
    )
    text, metrics = comparing.report(
      compared, sentence=plan.sentence, a_minute=own.budget
    )
    if config.folds == 'all':
      trained = spotted.everybody(run, workdir, metrics)
      packing.write(workdir / trained_lib.NAME, trained)
    with files.writing(workdir / 'scores.txt') as file:
      file.write(text + '\n')
    workdir_lib.write_json(workdir / 'metrics.json', metrics)
  print(text)
  return metrics


def _check(config: ml_collections.ConfigDict) -> None:
  if tuple(config.selection) != ('inner',):
    raise ValueError(
      f'selection is {tuple(config.selection)}; expected only inner: inner '
      'folds choose the thresholds, and the last epoch is taken'
    )
  if config.model.get('name') != 'spotter':
    raise ValueError(
      f'model.name is {config.model.get("name")!r}; expected spotter'
    )
  if config.eval_every != config.num_epochs:
    raise ValueError(
      f'eval_every is {config.eval_every}; expected {config.num_epochs}, the '
      'number of epochs, after which the people who are held out are spotted'
    )
  own = config.spotting
  if not 0 < 2 * own.margin < own.window or not own.budget > 0:
    raise ValueError(
      f'spotting.window is {own.window}, margin {own.margin}, budget '
      f'{own.budget}; expected margins that leave a middle, and a budget > 0'
    )


def make_plan(
  config: ml_collections.ConfigDict,
  recordings: Sequence[Recorded],
  windows: Windows,
) -> Plan:
  """Resolves a config for windows of recordings."""
  corpus = np.array([recordings[i].corpus for i in windows.recording])
  subjects = np.array([recordings[i].video.subject for i in windows.recording])
  names = np.array([recordings[i].video.name for i in windows.recording])
  task = Task(
    inputs=windows.inputs,
    corpus=corpus,
    subject=subjects,
    clip=names,
    labels=np.zeros(len(subjects), np.int32),
    class_names=events_lib.TYPES,
    protocol=(
      'Spotting of micro- and macro-expressions, one subject left out at a '
      'time.'
    ),
    groups=subjects,
    extra={'targets': windows.targets, 'counted': windows.counted},
  )
  fields = {k: v for k, v in config.model.items() if k != 'name'}
  return planning.plan(
    config,
    task=task,
    model=Spotter(**fields),
    make_trainer=_make_trainer,
  )


def _make_trainer(config, task, folds, model) -> curve_training.CurveTrainer:
  del task
  return curve_training.CurveTrainer(
    model=model,
    num_classes=len(events_lib.TYPES),
    num_epochs=config.num_epochs,
    batch_sizes=batches.epoch_batch_sizes(
      folds.train, config.batch_size, even=config.even_batches
    ),
    even_batches=config.even_batches,
    shuffle=config.shuffle,
    microbatch=config.microbatch,
    optimizer=optimizer_lib.OPTIMIZERS[config.optimizer],
    schedule=schedule_lib.SCHEDULES[config.schedule],
    rare=_RARE,
    mirror=inputs_lib.mirrored,
  )


@dataclasses.dataclass(frozen=True, eq=False)
class _Spotted:
  """What the networks of a run say of recordings that they have not seen."""

  plan: Plan
  outcome: loop.Outcome
  recordings: Sequence[Recorded]
  windows: Windows

  def folds(self) -> list[Fold]:
    """Returns the outer folds that hold somebody out."""
    found = []
    for row in np.flatnonzero(self.plan.folds.inner < 0):
      test = self.plan.folds.test[row]
      if test.any():
        out = set(self.windows.recording[test].tolist())
        others = [i for i in range(len(self.recordings)) if i not in out]
        number = int(self.plan.folds.outer[row])
        found.append(Fold(number, sorted(out), others))
    return found

  def spot(
    self, i: int, fold: Fold, is_inner: bool, thresholds: Mapping[str, float]
  ) -> list[Candidate]:
    """Spots in recording i, as `comparing.compare` takes it."""
    curve = self.curve(i, fold.number, is_inner)
    return curves_lib.spot(
      self.recordings[i].tracks, curve, thresholds=thresholds
    )

  def curve(
    self, i: int, number: int, is_inner: bool
  ) -> Float[np.ndarray, 't q']:
    """Returns the curves of recording i, of the mean logits of all seeds."""
    numbers, index = self.plan.numbers, np.asarray(self.plan.trials.held_out)
    rows = np.flatnonzero(self.windows.recording == i)
    own = (numbers['fold'] == number) & ((numbers['inner'] >= 0) == is_inner)
    own &= (index == rows[0]).any(1)
    found = [
      self.outcome.logits[
        trial, -1, [list(index[trial]).index(r) for r in rows]
      ]
      for trial in np.flatnonzero(own)
    ]
    logits = windows_lib.join(
      np.mean(found, 0),
      length=self.windows.lengths[i],
      margin=self.windows.margin,
    )
    return trained_lib.probability(logits)

  def everybody(
    self,
    run: Mapping[str, Any],
    workdir: pathlib.Path,
    metrics: Mapping[str, Any],
  ) -> Trained:
    """Returns the networks of everybody, with thresholds of people held out.

    Args:
      run: content of `run.json`.
      workdir: of the run.
      metrics: scores of people held out.
    """
    config, task = self.plan.description, self.plan.task
    own, numbers = config['spotting'], self.plan.numbers
    least = dict.fromkeys(curves_lib.TYPES, curves_lib.LEAST)
    videos = [
      comparing.video_of(self.recordings[i], self.spot(i, fold, False, least))
      for fold in self.folds()
      for i in fold.held_out
    ]
    last = int(self.plan.folds.outer.max())
    trials = np.flatnonzero(numbers['fold'] == last)
    owner, params = workdir_lib.owner(workdir), []
    for trial in trials.tolist():
      number, row = divmod(trial, run['placement']['round_size'])
      tree = checkpoint.Round(workdir, number, owner).model()
      params.append(jax.tree.map(lambda x, row=row: x[row], tree['params']))
    is_rendered = bool((task.corpus == filming.CORPUS).all())
    told = {
      'config': dict(config),
      'members': [{'seed': int(numbers['seed'][trial])} for trial in trials],
      'seen': seen_lib.of(task.corpus, task.subject, task.clip).to_json(),
      'data': {
        'dataset': config['dataset'],
        'rendered': is_rendered,
        'recordings': metrics['recordings'],
        'people': metrics['people'],
      },
      'scores': dict(metrics),
      'not_for': list(card.NOT_FOR),
      'licences': [] if is_rendered else card.licences_of(task.corpus),
      'versions': run['versions'],
    }
    return Trained(
      model=self.plan.model,
      params=jax.tree.map(lambda *x: np.stack(x), *params),
      thresholds=comparing.choose(videos, own['budget']),
      length=own['window'],
      margin=own['margin'],
      told=told,
    )
