"""What units share: the compiled program of their trainings, and the clips.

Whoever does several units in a process prepares these once.
"""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import dataclasses
import io
import json
from typing import Any

import ml_collections
import numpy as np

from mejax.experiment import configuration
from mejax.experiment import planning
from mejax.experiment import resolve
from mejax.experiment.engine import worker
from mejax.experiment.planning import Plan
from mejax.experiment.task import Task
from mejax.training import folds as folds_lib
from mejax.training import placement as placement_lib
from mejax.training import trial as trial_lib
from mejax.training.setting import Setting

# Programs that stay compiled in a process.
_KEPT = 32
# Clips of different views that stay in memory in a worker.
_KEPT_TASKS = 2


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
  """What the units of one program share.

  Attributes:
    plan: the config of the program, resolved.
    folds: the folds that it trains.
    trainer: the pure functions of one trial.
    eval_every: epochs between two windows.
    programs: what was compiled, by placement.
    source: where the data came from.
  """

  plan: Plan
  folds: folds_lib.Folds
  trainer: trial_lib.Trainer
  eval_every: int
  programs: dict[placement_lib.Placement, placement_lib.Program]
  source: Mapping[str, Any]

  def stack(self, unit: Mapping[str, Any]):
    """Returns the trials of a unit and their numbers."""
    asked = {key: np.array(x, np.int32) for key, x in unit['trials'].items()}
    rows = {
      place: row
      for row, place in enumerate(
        zip(self.folds.outer.tolist(), self.folds.inner.tolist(), strict=True)
      )
    }
    places = zip(asked['fold'].tolist(), asked['inner'].tolist(), strict=True)
    return resolve.stack_trials(
      self.folds,
      [Setting(**each) for each in unit['settings']],
      row=np.array([rows[place] for place in places], np.int32),
      seed=asked['seed'],
      setting=asked['setting'],
    )


_prepared: dict[str, Prepared] = {}
_tasks: dict[str, Task] = {}
# The last task and its arrays on the device, which all its programs share.
_placed: list[Any] = [None, None]


def prepare(program: Mapping[str, Any], **source: Any) -> Prepared:
  """Resolves the program of a unit; the last few stay in memory.

  Args:
    program: `config` is a whole config as JSON; `ends` are settings that tell
      which numbers are ever above 0; `inner` says if inner folds are trained.
    **source: where the data come from: `data_dir`, `task`, `model`, `protocol`
      and `view`, as `planning.plan` takes them.

  Raises:
    ValueError: config, data and model do not fit each other.
  """
  # What is handed over in Python is the same only if it is the same object.
  own = [
    (name, str(each) if name == 'data_dir' else id(each))
    for name, each in sorted(source.items())
  ]
  key = json.dumps([program, own])
  if key not in _prepared:
    while len(_prepared) >= _KEPT:
      del _prepared[next(iter(_prepared))]
    _prepared[key] = _prepare(program, source)
  return _prepared[key]


def _prepare(program, source) -> Prepared:
  config = configuration.from_json(program['config'])
  plan = planning.plan(config, **source)
  folds = plan.folds
  if program['inner']:
    folds = inner_folds(plan, config.inner_folds)
  trainer = resolve.make_trainer(
    config,
    plan.task,
    folds,
    source.get('model'),
    settings=[Setting(**each) for each in program['ends']],
  )
  # The source is kept, so that no other object gets the identity of one in it.
  return Prepared(plan, folds, trainer, config.eval_every, {}, source)


def inner_folds(plan: Plan, num_inner: int) -> folds_lib.Folds:
  """Returns the inner folds of all outer folds, without the outer ones."""
  folds = folds_lib.with_inner(
    plan.folds, plan.task.groups, num_inner=num_inner
  )
  rows = folds.inner >= 0
  arrays = (folds.train, folds.test, folds.outer, folds.inner)
  return folds_lib.Folds(*(array[rows] for array in arrays), folds.names)


def read_task(
  config: ml_collections.ConfigDict, data_dir: str, data_sha256: str | None
) -> Task:
  """Reads the clips of a config; the last few stay in memory."""
  parts = [config[key] for key in ('dataset', 'protocol', 'view', 'order')]
  key = str([data_dir, parts])
  if key not in _tasks:
    while len(_tasks) >= _KEPT_TASKS:
      del _tasks[next(iter(_tasks))]
    # The command has said already what this says.
    with contextlib.redirect_stdout(io.StringIO()):
      _tasks[key] = resolve.load_task(config, data_dir)
  task = _tasks[key]
  worker.check_data(data_dir, task.sha256, data_sha256)
  return task


def arrays_of(plan: Plan) -> trial_lib.Data:
  """Returns the clips of a plan on the device, once for all plans of a task."""
  if _placed[0] is not plan.task:
    _placed[:] = plan.task, plan.data
  return _placed[1]
