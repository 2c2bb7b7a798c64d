"""Resolves a config once: every name in it becomes an object of the plan.

Training, the dry run and the attention maps take the plan or a part of it;
nothing below reads a config. `resolve.py` makes the single objects.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import json
import os
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Shaped
import ml_collections
import numpy as np

from mejax import own_code
from mejax.evaluation import selection
from mejax.experiment import bounds
from mejax.experiment import configuration
from mejax.experiment import copies
from mejax.experiment import fold_words
from mejax.experiment import identity
from mejax.experiment import resolve
from mejax.experiment import schema
from mejax.experiment import task as task_lib
from mejax.experiment.packs import starting
from mejax.experiment.task import Task
from mejax.models import capabilities
from mejax.training import cost as cost_lib
from mejax.training import devices as devices_lib
from mejax.training import folds as folds_lib
from mejax.training import loop
from mejax.training import numerics
from mejax.training import placement as placement_lib
from mejax.training import trial as trial_lib
from mejax.training.setting import Setting

_EVERYBODY = (
  'One more model is trained on everybody, and no number here is of it.'
)


@dataclasses.dataclass(frozen=True)
class RunOptions:
  """Options of how a plan is carried out; they do not change what is trained.

  Attributes:
    eval_every: epochs between evaluations on the held-out clips.
    checkpoint_every_s: seconds between checkpoints, at least.
    keep_models: whether the parameters of finished trials are kept.
    mode: `vmap`, `map`, or `auto` for the faster of the two.
    matmul_precision: value for `jax.default_matmul_precision`.
  """

  eval_every: int
  checkpoint_every_s: float
  keep_models: bool
  mode: str
  matmul_precision: str


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
  """An experiment: the objects for all the names in a config.

  Attributes:
    task: the clips, their labels and their groups.
    left_out: str[n], the fold that holds each clip out: its group, or the part
      that its group was dealt to.
    folds: training weights and held-out clips of each fold, inner folds
      included.
    settings: all settings to train; the first is the one reported.
    trainer: the pure functions of one trial, with the model.
    trials: every (setting, seed, fold), stacked on the leading axis.
    numbers: fold, inner, seed and setting of each trial, by these names.
    rules: names of the selection rules.
    sentence: the sentence above the numbers in every table of this experiment.
    options: how the plan is carried out.
    start: the model that training starts from; None for weights that are drawn.
    description: the config as JSON, with descriptions of the user's own objects
      in place of their names; a workdir belongs to one description.
    named_objects: for each value of the config that identifies an object of the
      user as `package.module:name`, a description of that object.
    data_dir: home of the prepared dataset, as it was given; None for a task.
  """

  task: Task
  left_out: Shaped[np.ndarray, ' n']
  folds: folds_lib.Folds
  settings: Sequence[Setting]
  trainer: trial_lib.Trainer
  trials: trial_lib.Trial
  numbers: Mapping[str, np.ndarray]
  rules: tuple[str, ...]
  sentence: str
  options: RunOptions
  start: starting.Start | None
  description: Mapping[str, Any]
  named_objects: Mapping[str, Any]
  data_dir: str | None = None

  @property
  def model(self) -> nn.Module:
    """The model, with the amplification levels of the data filled in."""
    return self.trainer.model

  @property
  def divides_people(self) -> bool:
    """Whether folds share the clips of a person, as folds over clips do."""
    return fold_words.divides_people(self.task.groups, self.left_out)

  @property
  def trial_names(self) -> list[str]:
    """The fold, seed and setting of each trial, for messages."""
    several = len(self.settings) > 1
    return [
      f'fold {self.folds.names[fold]}{f", inner fold {inner}" * (inner >= 0)},'
      f' seed {seed}{f", setting {setting}" * several}'
      for fold, inner, seed, setting in zip(
        *(
          self.numbers[k].tolist() for k in ('fold', 'inner', 'seed', 'setting')
        ),
        strict=True,
      )
    ]

  @functools.cached_property
  def data(self) -> trial_lib.Data:
    """All clips as arrays on the device."""
    return trial_lib.Data(
      jnp.asarray(self.task.inputs),
      jnp.asarray(self.task.labels, jnp.int32),
      jax.tree.map(jnp.asarray, dict(self.task.extra)),
    )

  def place(
    self,
    devices: Sequence[jax.Device],
    workdir: str | os.PathLike,
    *,
    processes: int = 1,
  ) -> placement_lib.Placement:
    """Chooses how the trials are laid out on devices, and fit into a workdir.

    The placement is not a field, because a resumed run reuses the one in its
    workdir, and because choosing one may compile a program.

    Args:
      devices: devices of this process.
      workdir: folder of the run.
      processes: how many train rounds of it at the same time.
    """
    return cost_lib.choose(
      self.trainer,
      self.trials,
      self.data,
      mode=self.options.mode,
      devices=devices,
      eval_every=self.options.eval_every,
      disk=cost_lib.Disk(workdir, self.options.keep_models, processes),
    )


def plan(
  config: ml_collections.ConfigDict,
  *,
  data_dir: str | os.PathLike | None = None,
  task: Task | None = None,
  model: nn.Module | None = None,
  protocol: Any = None,
  view: Callable[..., Any] | None = None,
  init: str | os.PathLike | None = None,
  leave_out_seen: bool = False,
  make_trainer: Callable[..., trial_lib.Trainer] = resolve.make_trainer,
) -> Plan:
  """Resolves everything that a config names.

  Args:
    config: the config, from `load_config`.
    data_dir: home of the prepared datasets, unless `task` is given.
    task: your data, in place of the config's dataset, protocol and view.
    model: your Linen module, in place of the config's model.
    protocol: your `datasets.protocols.Protocol`, in place of the config's.
    view: your function from examples to inputs, or your `datasets.views.View`,
      in place of the config's.
    init: folder of the model that training starts from.
    leave_out_seen: whether people whom that model has seen are left out;
      otherwise data with any of them are refused.
    make_trainer: makes the functions of one trial, as `resolve.make_trainer`.

  Raises:
    ValueError: config, data and model do not fit each other, or the model that
      training starts from has seen people of the data.
    FileNotFoundError: the dataset has not been prepared.
  """
  if (task is None) == (data_dir is None):
    raise ValueError('An experiment needs either data_dir or task.')
  config = schema.fill(config)
  bounds.check(config)
  loop.count_windows(config.num_epochs, config.eval_every)
  devices_lib.use_every_core()
  devices_lib.keep_compiled_programs()
  numerics.check_precision(config.matmul_precision)
  from_config = task is None and view is None
  if task is None:
    task = resolve.load_task(config, data_dir, protocol=protocol, view=view)
  task_lib.check_task(task)
  start = None if init is None else starting.read(init, config=config)
  if start is not None:
    made_by = config.view if from_config else None
    task = starting.leave_out(
      start, task, made_by, leave_out_seen=leave_out_seen
    )
  config = starting.note(config, start)
  for rule in config.selection:
    configuration.named(rule, selection.RULES, 'selection rule')
  left_out = _left_out(config, task)
  folds = folds_lib.leave_one_group_out(left_out)
  if 'inner' in config.selection:
    folds = folds_lib.with_inner(
      folds, task.groups, num_inner=config.inner_folds
    )
  if config.folds == 'all':
    folds = folds_lib.with_everybody(folds)
  trainer = make_trainer(config, task, folds, model)
  trials, numbers = resolve.make_trials(config, folds)
  caution = capabilities.declared_by(trainer.model).caution
  folds_said = fold_words.say(task.protocol, task.groups, left_out)
  more = _EVERYBODY * (config.folds == 'all')
  begun = start.sentence if start else ''
  sentences = [folds_said, more, begun, copies.say(task), caution]
  own = {'model': model, 'protocol': protocol, 'view': view}
  return Plan(
    task=task,
    left_out=left_out,
    folds=folds,
    settings=resolve.make_settings(config),
    trainer=trainer,
    trials=trials,
    numbers=numbers,
    rules=tuple(config.selection),
    sentence=' '.join(filter(None, sentences)),
    options=RunOptions(
      eval_every=config.eval_every,
      checkpoint_every_s=config.checkpoint_every_s,
      keep_models=config.keep_models,
      mode=config.mode,
      matmul_precision=config.matmul_precision,
    ),
    start=start,
    description=_describe(config, own),
    named_objects=_describe_named(config),
    data_dir=data_dir and str(data_dir),
  )


def _describe(config, own: Mapping[str, Any]) -> dict[str, Any]:
  """Returns the config as JSON, with the user's own objects described."""
  objects = {
    name: identity.describe(thing)
    for name, thing in own.items()
    if thing is not None
  }
  return {**json.loads(config.to_json()), **objects}


def _describe_named(config) -> dict[str, Any]:
  """Returns what the user's own names stand for today, by dotted key."""
  return {
    key: identity.describe(configuration.named(value, {}, key))
    for key, value in configuration.leaves(config)
    if own_code.is_name(value)
  }


def _left_out(config, task: Task) -> Shaped[np.ndarray, ' n']:
  """Returns the fold that holds each clip out."""
  if config.folds_over == 'people':
    return folds_lib.left_out_together(task.groups, config.num_folds)
  count = config.num_folds or len(np.unique(task.groups))
  return folds_lib.over_clips(task.labels, count)
