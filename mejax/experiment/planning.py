"""Resolves a config once: every name in it becomes an object of the plan.

Only this file turns the names of a config into objects. Training, the dry run
and the attention maps take the plan or a part of it; the evaluation of saved
models calls single functions of this file.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import json
import os
import re
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Shaped
import ml_collections
import numpy as np

from mejax import models
from mejax.evaluation import selection
from mejax.experiment import configuration
from mejax.experiment import identity
from mejax.experiment import model_checks
from mejax.experiment import schema
from mejax.experiment import task as task_lib
from mejax.experiment.task import Task
from mejax.models import attention
from mejax.models import capabilities
from mejax.models import mmnet
from mejax.training import augment as augment_lib
from mejax.training import batches
from mejax.training import cost as cost_lib
from mejax.training import devices as devices_lib
from mejax.training import folds as folds_lib
from mejax.training import optimizer as optimizer_lib
from mejax.training import placement as placement_lib
from mejax.training import schedule as schedule_lib
from mejax.training import setting as setting_lib
from mejax.training import trial as trial_lib
from mejax.training.setting import Setting

# Model fields that a config sets by name, and the objects for these names.
_TABLES = {
  'attention_fn': attention.ATTENTION,
  'level_attention_fn': attention.ATTENTION,
  'gate': mmnet.GATES,
}


# An object of the user's own: `package.module:name`.
_OWN_NAME = r'[\w.]+:\w+'


@dataclasses.dataclass(frozen=True)
class RunOptions:
  """Options of how a plan is carried out; they do not change what is trained.

  Attributes:
    eval_every: epochs between evaluations on the held-out clips.
    checkpoint_every_s: seconds between checkpoints.
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
    description: the config as JSON, with descriptions of the user's own objects
      in place of their names; a workdir belongs to one description.
    named_objects: for each value of the config that identifies an object of the
      user as `package.module:name`, a description of that object.
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
  description: Mapping[str, Any]
  named_objects: Mapping[str, Any]

  @property
  def model(self) -> nn.Module:
    """The model, with the amplification levels of the data filled in."""
    return self.trainer.model

  @functools.cached_property
  def data(self) -> trial_lib.Data:
    """All clips as arrays on the device."""
    return trial_lib.Data(
      jnp.asarray(self.task.inputs),
      jnp.asarray(self.task.labels, jnp.int32),
      jax.tree.map(jnp.asarray, dict(self.task.extra)),
    )

  def place(self, devices: Sequence[jax.Device]) -> placement_lib.Placement:
    """Chooses how the trials are laid out on devices.

    The placement is not a field, because a resumed run reuses the one in its
    workdir, and because choosing one may compile a program.
    """
    return cost_lib.choose(
      self.trainer,
      self.trials,
      self.data,
      mode=self.options.mode,
      devices=devices,
    )


def plan(
  config: ml_collections.ConfigDict,
  *,
  data_dir: str | os.PathLike | None = None,
  task: Task | None = None,
  model: nn.Module | None = None,
  protocol: Any = None,
  view: Callable[..., Any] | None = None,
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

  Raises:
    ValueError: config, data and model do not fit each other.
    FileNotFoundError: the dataset has not been prepared.
  """
  if (task is None) == (data_dir is None):
    raise ValueError('An experiment needs either data_dir or task.')
  config = schema.fill(config)
  _check_counts(config)
  devices_lib.use_every_core()
  devices_lib.keep_compiled_programs()
  if task is None:
    task = load_task(config, data_dir, protocol=protocol, view=view)
  task_lib.check_task(task)
  for rule in config.selection:
    configuration.named(rule, selection.RULES, 'selection rule')
  left_out = folds_lib.left_out_together(task.groups, config.num_folds)
  folds = folds_lib.leave_one_group_out(left_out)
  if 'inner' in config.selection:
    folds = folds_lib.with_inner(
      folds, task.groups, num_inner=config.inner_folds
    )
  trainer = make_trainer(config, task, folds, model)
  trials, numbers = make_trials(config, folds)
  caution = capabilities.declared_by(trainer.model).caution
  sentences = [task.protocol, say_parts(config.num_folds), caution]
  own = {'model': model, 'protocol': protocol, 'view': view}
  return Plan(
    task=task,
    left_out=left_out,
    folds=folds,
    settings=make_settings(config),
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
    description=_describe(config, own),
    named_objects=_describe_named(config),
  )


def _check_counts(config) -> None:
  """Refuses counts of which nothing could be trained."""
  for key in ('batch_size', 'num_epochs', 'eval_every', 'num_seeds'):
    if config[key] < 1:
      raise ValueError(f'{key} is {config[key]}; expected 1 or more.')
  if 'inner' in config.selection and config.inner_folds < 2:
    raise ValueError(
      f'inner_folds is {config.inner_folds}; the rule inner needs 2 or more.'
    )
  if config.num_epochs % config.eval_every:
    raise ValueError(
      f'eval_every={config.eval_every} must divide'
      f' num_epochs={config.num_epochs}, so that the last epoch is evaluated.'
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
    if re.fullmatch(_OWN_NAME, str(value))
  }


def load_task(
  config: ml_collections.ConfigDict,
  data_dir: str | os.PathLike,
  *,
  protocol: Any = None,
  view: Callable[..., Any] | None = None,
) -> Task:
  """Reads the dataset of a config, and applies its protocol and view.

  Args:
    config: names the dataset, the protocol (a name of `PROTOCOLS`, a CSV file,
      or `package.module:name`) and the view.
    data_dir: home of the prepared datasets.
    protocol: your `Protocol`, in place of the config's.
    view: your view, in place of the config's; or a function from examples to
      inputs, or to a pair of inputs and `extra`.
  """
  from mejax.datasets import protocols
  from mejax.datasets import views

  if not protocol and str(config.protocol).lower().endswith('.csv'):
    protocol = protocols.from_csv(config.protocol)
  protocol = protocol or configuration.named(
    config.protocol, protocols.PROTOCOLS, 'protocol'
  )
  options = {} if view else dict(config.view)
  view = view or configuration.named(options.pop('name'), views.VIEWS, 'view')
  return task_lib.load_task(
    config.dataset,
    data_dir,
    protocol=protocol,
    view=views.declared(view),
    options=options,
    order=config.order,
  )


def say_parts(count: int) -> str:
  """Returns the sentence on parts to add to a protocol's; '' without parts."""
  if not count:
    return ''
  return f'Here they are left out in {count} parts, not one at a time.'


def make_model(config: ml_collections.ConfigDict, num_classes: int):
  """Makes the model of a config; fields set by a name get the named object."""
  options = dict(config.model)
  name = options.pop('name')
  for field, value in options.items():
    table = _TABLES.get(field, {})
    if table or re.fullmatch(_OWN_NAME, str(value)):
      options[field] = configuration.named(value, table, field)
  return models.make(name, num_classes=num_classes, **options)


def make_trainer(
  config: ml_collections.ConfigDict,
  task: Task,
  folds: folds_lib.Folds,
  model: nn.Module | None = None,
) -> trial_lib.Trainer:
  """Returns the pure functions of one trial of this config.

  Args:
    config: names model, optimizer and schedule, and has the settings.
    task: the clips that the model reads.
    folds: the largest training set among them decides the number of steps.
    model: your module, in place of the config's.

  Raises:
    ValueError: settings, model and data do not fit each other.
  """
  settings = make_settings(config)
  decay = max(setting.weight_decay for setting in settings)
  if config.optimizer in ('adam', 'sgd') and decay:
    raise ValueError(
      f'setting.weight_decay={decay} has no effect with the optimizer'
      f' {config.optimizer!r}; use adamw or set it to 0.'
    )
  in_use = setting_lib.in_use(settings)
  num_classes = len(task.class_names)
  if model is None:
    model = make_model(config, num_classes)
  model = model_checks.fill_levels(model, task.levels)
  model_checks.check_model(model, task)
  return trial_lib.Trainer(
    model=model,
    num_classes=num_classes,
    num_epochs=config.num_epochs,
    batch_sizes=batches.epoch_batch_sizes(folds.train, config.batch_size),
    shuffle=config.shuffle,
    optimizer=configuration.named(
      config.optimizer, optimizer_lib.OPTIMIZERS, 'optimizer'
    ),
    schedule=configuration.named(
      config.schedule, schedule_lib.SCHEDULES, 'schedule'
    ),
    augment=augment_lib.compose(in_use, task.layout),
    in_use=frozenset(in_use),
    flip=augment_lib.flip(task.layout) if 'test_mirror' in in_use else None,
    takes_mask=capabilities.declared_by(model).takes_mask,
  )


def make_settings(config: ml_collections.ConfigDict) -> list[Setting]:
  """Returns the setting of a config, or every combination of its grid."""
  return setting_lib.combinations(config.setting, config.grid)


def make_trials(
  config: ml_collections.ConfigDict, folds: folds_lib.Folds
) -> tuple[trial_lib.Trial, dict[str, np.ndarray]]:
  """Makes a trial for every (setting, seed, fold), the fold varying fastest.

  Returns:
    The trials, stacked on the leading axis, and the fold, inner fold, seed and
    setting of each, by these names.
  """
  settings = make_settings(config)
  num_folds = len(folds.outer)
  setting, seed, fold = (
    axis.ravel().astype(np.int32)
    for axis in np.meshgrid(
      np.arange(len(settings)),
      np.arange(config.num_seeds) + config.seed,
      np.arange(num_folds),
      indexing='ij',
    )
  )

  def key(seed, outer, inner):
    # The setting is left out of the key, so that all settings are compared on
    # the same random draws. + 1 because outer folds have the inner number -1,
    # and fold_in takes unsigned numbers.
    key = jax.random.fold_in(jax.random.key(seed), outer)
    return jax.random.fold_in(key, inner + 1)

  numbers = {
    'fold': folds.outer[fold],
    'inner': folds.inner[fold],
    'seed': seed,
    'setting': setting,
  }
  trials = trial_lib.Trial(
    key=jax.vmap(key)(seed, folds.outer[fold], folds.inner[fold]),
    train=jnp.asarray(folds.train[fold]),
    held_out=jnp.asarray(folds_lib.held_out_index(folds.test)[fold]),
    setting=jax.tree.map(
      lambda *values: jnp.asarray(values, jnp.float32)[setting], *settings
    ),
  )
  return trials, numbers
