"""What a config names, put together: model, trainer, trials, record."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re

from flax import linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from mejax import models
from mejax.evaluation import selection
from mejax.experiment import configuration
from mejax.experiment.task import Task
from mejax.models import attention
from mejax.models import mmnet
from mejax.training import batches
from mejax.training import folds as folds_lib
from mejax.training import loop
from mejax.training import sample as sample_lib
from mejax.training import trial as trial_lib

# Fields of a model that are named, and what the names stand for.
_TABLES = {
  'attention_fn': attention.ATTENTION,
  'level_attention_fn': attention.ATTENTION,
  'gate': mmnet.GATES,
}

# Bounds of the numbers that augment and regularise; none is below 0.
_LARGEST = {
  'label_smoothing': 1.0,
  'jitter': 1.0,
  'mirror': 1.0,
  'rotation': 180.0,
  'shift': math.inf,
  'scale_jitter': math.inf,
  'region_dropout': 1.0,
  'level_dropout': 1.0,
  'balance': 1.0,
  'mixup': math.inf,
  'ema': 0.9999,
  'test_mirror': 1.0,
}


def left_out(config: ml_collections.ConfigDict, task: Task) -> np.ndarray:
  """Which fold holds each example out; see `folds.left_out_together`."""
  return folds_lib.left_out_together(task.groups, config.get('num_folds', 0))


def sentence_on_parts(num_folds: int) -> list[str]:
  """What a protocol's sentence does not tell; empty if there is nothing."""
  if not num_folds:
    return []
  return [f'Here they are left out in {num_folds} parts, not one at a time.']


def make_model(config: ml_collections.ConfigDict, num_classes: int):
  """The model of a config, with the names in it resolved."""
  # Of a finished run they come back from JSON, which has no tuples.
  options = {
    field: tuple(value) if isinstance(value, list) else value
    for field, value in config.model.items()
  }
  name = options.pop('name')
  for field, value in options.items():
    table = _TABLES.get(field, {})
    if table or re.fullmatch(r'[\w.]+:\w+', str(value)):
      options[field] = configuration.named(value, table, field)
  return models.make(name, num_classes=num_classes, **options)


def tell_levels(model: nn.Module, task: Task) -> nn.Module:
  """The model, told how much each level of its input is amplified.

  That is the data's to know: it fills the field `levels` of a model that has
  one, unless it is set.
  """
  if getattr(model, 'levels', None) == ():
    return model.clone(levels=task.levels)
  return model


def make_trainer(
  config: ml_collections.ConfigDict,
  task: Task,
  folds: folds_lib.Folds,
  model: nn.Module | None = None,
) -> trial_lib.Trainer:
  """The pure functions of one trial of this config."""
  settings = make_settings(config)
  decay = max(setting.weight_decay for setting in settings)
  if config.optimizer in ('adam', 'sgd') and decay:
    raise ValueError(
      f'setting.weight_decay={decay} has no effect with the optimizer'
      f' {config.optimizer!r}; use adamw or set it to 0.'
    )
  used = _used(settings)
  model = model or make_model(config, len(task.class_names))
  model = tell_levels(model, task)
  _check_outputs(model, task)
  return trial_lib.Trainer(
    model=model,
    num_classes=len(task.class_names),
    num_epochs=config.num_epochs,
    batch_sizes=batches.epoch_batch_sizes(folds.train, config.batch_size),
    shuffle=config.shuffle,
    optimizer=configuration.named(
      config.optimizer, trial_lib.OPTIMIZERS, 'optimizer'
    ),
    schedule=configuration.named(
      config.schedule, trial_lib.SCHEDULES, 'schedule'
    ),
    augment=sample_lib.compose(used, task.layout),
    average='ema' in used,
    flip=sample_lib.flip(task.layout) if 'test_mirror' in used else None,
  )


def _used(settings: list[trial_lib.Setting]) -> set[str]:
  """Names of the numbers that are not 0 in every setting."""
  used = set()
  for field in dataclasses.fields(trial_lib.Setting):
    values = [getattr(setting, field.name) for setting in settings]
    largest = _LARGEST.get(field.name)
    if largest and not 0 <= min(values) <= max(values) <= largest:
      raise ValueError(
        f'setting.{field.name} is {", ".join(map(str, values))}; expected'
        f' 0 to {largest}.'
      )
    if any(values):
      used.add(field.name)
  return used


def _check_outputs(model: nn.Module, task: Task) -> None:
  """The model must take these inputs and give a logit for each class."""
  shape = (1, *task.inputs.shape[1:])
  inputs = jax.ShapeDtypeStruct(shape, task.inputs.dtype)
  (logits, _), _ = jax.eval_shape(
    functools.partial(model.init_with_output, train=False),
    jax.random.key(0),
    jax.eval_shape(sample_lib.decode, inputs),
  )
  expected = (1, len(task.class_names) + getattr(model, 'spare_outputs', 0))
  if logits.shape != expected:
    raise ValueError(
      f'{type(model).__name__} gives logits of shape {logits.shape} for one'
      f' example; expected {expected}, for the classes'
      f' {", ".join(task.class_names)}. Set its num_classes.'
    )


def make_settings(
  config: ml_collections.ConfigDict,
) -> list[trial_lib.Setting]:
  """The config's setting, or every combination of its grid."""
  grid = dict(config.grid)
  return [
    trial_lib.Setting(
      **{**config.setting, **dict(zip(grid, values, strict=True))}
    )
    for values in itertools.product(*grid.values())
  ]


def make_trials(
  config: ml_collections.ConfigDict, folds: folds_lib.Folds
) -> tuple[trial_lib.Trial, dict[str, np.ndarray]]:
  """Every (setting, seed, fold), and the numbers of each."""
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
    # Settings share keys: they are compared on the same draws.
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


def make_record(
  outcome: loop.Outcome,
  trials: trial_lib.Trial,
  numbers: dict[str, np.ndarray],
  task: Task,
  folds: folds_lib.Folds,
) -> dict[str, np.ndarray]:
  """All that metrics and selection rules need to know of a run."""
  return {
    'schema_version': np.array(selection.RECORD_VERSION),
    'logits': outcome.logits,
    'train_loss': outcome.train_loss,
    'epochs': outcome.epochs,
    'index': np.asarray(trials.held_out),
    **numbers,
    'labels': task.labels.astype(np.int32),
    'groups': task.groups,
    'corpus': task.corpus,
    'subject': task.subject,
    'clip': task.clip,
    'fold_names': np.asarray(folds.names),
    'class_names': np.asarray(task.class_names),
  }
