"""What a config names, put together: task, model, trainer, trials, record."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
import hashlib
import importlib
import itertools
import os
from typing import Any

from flax import linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float
from jaxtyping import Int
import ml_collections
import numpy as np

from mejax import models
from mejax.evaluation import selection as selection_lib
from mejax.models import attention
from mejax.training import augment
from mejax.training import folds as folds_lib
from mejax.training import loop
from mejax.training import trial as trial_lib


@dataclasses.dataclass(frozen=True)
class Task:
  """What is learnt, whatever learns it.

  Attributes:
    inputs: model input of each example.
    labels: class of each example.
    corpus: database of each example.
    subject: subject of each example, unique within its database.
    clip: clip name of each example.
    class_names: a word for each class.
    protocol: one sentence: which clips count and how they are split.
    groups: what is left out together; `corpus/subject` unless given.
    u_channel: channel of the horizontal flow, None where there is none.
    centred: whether 0 means no motion.
  """

  inputs: Float[np.ndarray, 'n ...']
  labels: Int[np.ndarray, ' n']
  corpus: np.ndarray
  subject: np.ndarray
  clip: np.ndarray
  class_names: tuple[str, ...]
  protocol: str
  groups: np.ndarray
  u_channel: int | None = None
  centred: bool = True

  @functools.cached_property
  def sha256(self) -> str:
    """Names the data, so that a run is not resumed on other data."""
    digest = hashlib.sha256()
    for array in (self.inputs, self.labels, np.char.encode(self.groups)):
      digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def named(spec: str | Any, table: Mapping[str, Any], what: str) -> Any:
  """What `spec` names: an entry of `table` or `package.module:name`.

  Anything that is not a string is taken as the thing itself.
  """
  if not isinstance(spec, str):
    return spec
  if spec in table:
    return table[spec]
  module, colon, name = spec.partition(':')
  if not colon:
    raise ValueError(
      f'Unknown {what} {spec!r}. Known: {", ".join(sorted(table))}; your own'
      ' is named as package.module:name.'
    )
  try:
    return getattr(importlib.import_module(module), name)
  except (ImportError, AttributeError) as error:
    raise ValueError(f'{what} {spec!r} cannot be imported: {error}') from error


def load_task(
  config: ml_collections.ConfigDict, data_dir: str | os.PathLike
) -> Task:
  """Reads the dataset of a config and takes its view of it."""
  from mejax.datasets import load
  from mejax.datasets import protocols
  from mejax.datasets import views

  examples = load.load(config.dataset, data_dir)
  protocol = named(config.protocol, protocols.PROTOCOLS, 'protocol')
  selection = protocols.apply(protocol, examples)
  for note in selection.notes:
    print(note)
  order = np.arange(len(selection.labels))
  if config.order == 'class_descending':
    # The file order of the released HTNet pipeline: surprise first.
    order = np.argsort(-selection.labels, kind='stable')
  elif config.order:
    raise ValueError(
      f"Unknown order {config.order!r}; expected '' or 'class_descending'."
    )
  chosen = selection.indices[order]
  examples = {name: array[chosen] for name, array in examples.items()}
  options = dict(config.view)
  view = named(options.pop('name'), views.VIEWS, 'view')
  channels = options.get('channels', 'strain_v_u').split('_')
  normalise = options.get('normalise', 'none')
  units = load.metadata(config.dataset, data_dir)['units']
  return Task(
    inputs=np.asarray(view(examples, **options), np.float32),
    labels=selection.labels[order],
    corpus=examples['corpus'],
    subject=examples['subject'],
    clip=examples['clip'],
    class_names=protocol.classes,
    protocol=protocol.sentence,
    groups=selection.groups[order],
    u_channel=channels.index('u') if 'u' in channels else None,
    centred=normalise.startswith('centre')
    or (units == 'pixel' and normalise in ('none', 'fixed')),
  )


def make_model(config: ml_collections.ConfigDict, num_classes: int):
  """The model of a config, with the names in it resolved."""
  options = dict(config.model)
  make = named(options.pop('name'), models.MODELS, 'model')
  if 'attention_fn' in options:
    options['attention_fn'] = named(
      options['attention_fn'], attention.ATTENTION, 'attention_fn'
    )
  return make(num_classes=num_classes, **options)


def make_trainer(
  config: ml_collections.ConfigDict,
  task: Task,
  folds: folds_lib.Folds,
  model: nn.Module | None = None,
) -> trial_lib.Trainer:
  """The pure functions of one trial of this config."""
  if config.optimizer in ('adam', 'sgd') and config.setting.weight_decay:
    raise ValueError(
      f'setting.weight_decay={config.setting.weight_decay} has no effect with'
      f' the optimizer {config.optimizer!r}; use adamw or set it to 0.'
    )
  augmentations = []
  if config.setting.mirror:
    if task.u_channel is None or not task.centred:
      raise ValueError(
        'setting.mirror negates the horizontal flow, which needs a view with a'
        " u channel and 0 for no motion: set view.normalise to 'centre_std', or"
        ' setting.mirror to 0.'
      )
    augmentations.append(
      lambda key, inputs, setting: augment.mirror(
        key, inputs, probability=setting.mirror, u_channel=task.u_channel
      )
    )
  model = model or make_model(config, len(task.class_names))
  _check_outputs(model, task)
  return trial_lib.Trainer(
    model=model,
    num_epochs=config.num_epochs,
    batch_sizes=trial_lib.epoch_batch_sizes(folds.train, config.batch_size),
    shuffle=config.shuffle,
    optimizer=named(config.optimizer, trial_lib.OPTIMIZERS, 'optimizer'),
    schedule=named(config.schedule, trial_lib.SCHEDULES, 'schedule'),
    augment=tuple(augmentations),
  )


def _check_outputs(model: nn.Module, task: Task) -> None:
  """The model must take these inputs and give a logit for each class."""
  inputs = jax.ShapeDtypeStruct((1, *task.inputs.shape[1:]), jnp.float32)
  (logits, _), _ = jax.eval_shape(
    functools.partial(model.init_with_output, train=False),
    jax.random.key(0),
    inputs,
  )
  expected = (1, len(task.class_names))
  if logits.shape != expected:
    raise ValueError(
      f'{type(model).__name__} gives logits of shape {logits.shape} for one'
      f' example; expected {expected}, for the classes'
      f' {", ".join(task.class_names)}. Set its num_classes.'
    )


def make_trials(
  config: ml_collections.ConfigDict, folds: folds_lib.Folds
) -> tuple[trial_lib.Trial, dict[str, np.ndarray]]:
  """Every (setting, seed, fold), and the numbers of each."""
  grid = dict(config.grid)
  settings = [
    trial_lib.Setting(
      **{**config.setting, **dict(zip(grid, values, strict=True))}
    )
    for values in itertools.product(*grid.values())
  ]
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
    'schema_version': np.array(selection_lib.RECORD_VERSION),
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
