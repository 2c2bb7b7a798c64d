"""Turns the names in a config into objects; no other file does.

`planning.plan` puts the objects together. Saved models and their evaluation
need some of them alone.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import os
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Int
import ml_collections
import numpy as np

from mejax import models
from mejax.experiment import configuration
from mejax.experiment import model_checks
from mejax.experiment import task as task_lib
from mejax.experiment.task import Task
from mejax.models import capabilities
from mejax.training import augment as augment_lib
from mejax.training import batches
from mejax.training import folds as folds_lib
from mejax.training import optimizer as optimizer_lib
from mejax.training import schedule as schedule_lib
from mejax.training import setting as setting_lib
from mejax.training import trial as trial_lib
from mejax.training.setting import Setting

# Each has weights of all examples in memory, and takes seconds to train.
_MOST_TRIALS = 1_000_000


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
  return task_lib.load_task(
    config.dataset,
    data_dir,
    **find_reading(config, protocol=protocol, view=view),
    order=config.order,
  )


def find_reading(
  config: ml_collections.ConfigDict,
  *,
  protocol: Any = None,
  view: Callable[..., Any] | None = None,
) -> dict[str, Any]:
  """Returns the protocol, the view and its options; see `load_task`."""
  from mejax.datasets import protocol_file
  from mejax.datasets import protocols
  from mejax.datasets import views

  if not protocol and str(config.protocol).lower().endswith('.csv'):
    protocol = protocol_file.read(config.protocol)
  protocol = protocol or configuration.named(
    config.protocol, protocols.PROTOCOLS, 'protocol'
  )
  if not isinstance(protocol, protocols.Protocol):
    raise ValueError(
      f'protocol {config.protocol!r} is {type(protocol).__name__}; expected a'
      ' Protocol.'
    )
  options = {}
  if not view:
    if 'name' not in getattr(config.view, 'keys', tuple)():
      raise ValueError(
        f'The config has no name of a view, but {config.view!r}. Hand the view'
        ' over, or the task.'
      )
    options = dict(config.view)
    view = configuration.named(options.pop('name'), views.VIEWS, 'view')
  if not (isinstance(view, views.View) or callable(view)):
    raise ValueError(f'view is {type(view).__name__}; expected a function.')
  return {
    'protocol': protocol,
    'view': views.declared(view),
    'options': options,
  }


def make_model(config: ml_collections.ConfigDict, num_classes: int):
  """Makes the model of a config, see `models.make`."""
  options = dict(config.model)
  name = options.pop('name')
  return models.make(name, num_classes=num_classes, **options)


def make_trainer(
  config: ml_collections.ConfigDict,
  task: Task,
  folds: folds_lib.Folds,
  model: nn.Module | None = None,
  *,
  settings: Sequence[Setting] = (),
) -> trial_lib.Trainer:
  """Returns the pure functions of one trial of this config.

  Args:
    config: names model, optimizer and schedule, and has the settings.
    task: the clips that the model reads.
    folds: the largest training set among them decides the number of steps.
    model: your module, in place of the config's.
    settings: they decide what is compiled in, in place of the config's.

  Raises:
    ValueError: settings, model and data do not fit each other.
  """
  settings = settings or make_settings(config)
  decay = max(setting.weight_decay for setting in settings)
  if config.optimizer in optimizer_lib.WITHOUT_DECAY and decay:
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
  if 'units' in in_use:
    model_checks.check_units(model, task)
  return trial_lib.Trainer(
    model=model,
    num_classes=num_classes,
    num_epochs=config.num_epochs,
    batch_sizes=batches.epoch_batch_sizes(
      folds.train, config.batch_size, even=config.even_batches
    ),
    even_batches=config.even_batches,
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
    microbatch=config.microbatch,
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

  Raises:
    ValueError: there are too many.
  """
  settings = make_settings(config)
  num_folds = len(folds.outer)
  count = len(settings) * config.num_seeds * num_folds
  if count > _MOST_TRIALS:
    raise ValueError(
      f'{len(settings)} settings, {config.num_seeds} seeds and {num_folds}'
      f' folds are {count:,} trainings; expected at most {_MOST_TRIALS:,}.'
    )
  setting, seed, fold = (
    axis.ravel().astype(np.int32)
    for axis in np.meshgrid(
      np.arange(len(settings)),
      np.arange(config.num_seeds) + config.seed,
      np.arange(num_folds),
      indexing='ij',
    )
  )
  return stack_trials(folds, settings, row=fold, seed=seed, setting=setting)


def stack_trials(
  folds: folds_lib.Folds,
  settings: Sequence[Setting],
  *,
  row: Int[np.ndarray, ' t'],
  seed: Int[np.ndarray, ' t'],
  setting: Int[np.ndarray, ' t'],
) -> tuple[trial_lib.Trial, dict[str, np.ndarray]]:
  """Returns trials and their numbers, as `make_trials` does.

  Args:
    folds: all folds.
    settings: all settings.
    row: position in `folds` of the fold of each trial, an inner one or not.
    seed: seed of each trial.
    setting: position in `settings` of the setting of each trial.
  """

  def key(seed, outer, inner):
    # The setting is left out of the key, so that all settings are compared on
    # the same random draws. + 1 because outer folds have the inner number -1,
    # and fold_in takes unsigned numbers.
    key = jax.random.fold_in(jax.random.key(seed), outer)
    return jax.random.fold_in(key, inner + 1)

  numbers = {
    'fold': folds.outer[row],
    'inner': folds.inner[row],
    'seed': seed,
    'setting': setting,
  }
  trials = trial_lib.Trial(
    key=jax.vmap(key)(seed, folds.outer[row], folds.inner[row]),
    train=jnp.asarray(folds.train[row]),
    held_out=jnp.asarray(folds_lib.held_out_index(folds.test)[row]),
    setting=jax.tree.map(
      lambda *values: jnp.asarray(values, jnp.float32)[setting], *settings
    ),
  )
  return trials, numbers
