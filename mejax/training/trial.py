"""One training, as pure functions.

A trial is (fold, seed, setting). Nothing here knows that there are others:
`placement.py` runs many by `vmap` or `lax.map` over these functions.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import inspect
import itertools
import math
from typing import Any

from flax import linen as nn
from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import PRNGKeyArray
from jaxtyping import PyTree
import numpy as np
import optax

# Leaves of the trees below are arrays, or whatever JAX puts in their place
# while it traces, maps and shards; their shapes stand in the docstrings.
Leaf = Any


class Setting(struct.PyTreeNode):
  """The numbers that may differ between trials of one compiled program."""

  learning_rate: Leaf = 1e-3
  weight_decay: Leaf = 0.0
  b1: Leaf = 0.9
  b2: Leaf = 0.999
  eps: Leaf = 1e-8
  warmup_fraction: Leaf = 0.0
  label_smoothing: Leaf = 0.0
  mirror: Leaf = 0.0


class Trial(struct.PyTreeNode):
  """What makes one training differ from the next.

  Attributes:
    key: everything random in the trial derives from it.
    train: f32[n], weight of every example in training; 0 = never seen.
    held_out: i32[h], positions of the held-out examples, padded with -1.
    setting: the numbers of this trial.
  """

  key: Leaf
  train: Leaf
  held_out: Leaf
  setting: Setting


class Data(struct.PyTreeNode):
  """All examples, resident on the device and shared by all trials.

  Attributes:
    inputs: f32[n ...].
    labels: i32[n].
  """

  inputs: Leaf
  labels: Leaf


class Batch(struct.PyTreeNode):
  """Training examples of a step.

  Attributes:
    index: i32[b], positions.
    weight: f32[b]; 0 marks a repeat that only pads.
  """

  index: Leaf
  weight: Leaf


class TrialState(struct.PyTreeNode):
  """What a step changes.

  Attributes:
    step: i32, steps done.
    params: parameters of the model.
    collections: its other variables, e.g. batch statistics.
    opt_state: moments of the optimiser.
  """

  step: Leaf
  params: PyTree
  collections: PyTree
  opt_state: PyTree


def _adam(setting: Setting) -> optax.GradientTransformation:
  return optax.scale_by_adam(setting.b1, setting.b2, setting.eps)


def _adamw(setting: Setting) -> optax.GradientTransformation:
  decay = optax.add_decayed_weights(setting.weight_decay)
  return optax.chain(_adam(setting), decay)


Optimizer = Callable[[Setting], optax.GradientTransformation]
Schedule = Callable[[Array, Setting], Array]
Augmentation = Callable[[PRNGKeyArray, Array, Setting], Array]

# Directions only: the learning rate is applied in `apply_gradients`, because
# optax's warm-up schedules cannot take a traced peak value.
OPTIMIZERS: dict[str, Optimizer] = {
  'adam': _adam,
  'adamw': _adamw,
  'sgd': lambda setting: optax.trace(setting.b1),
}


def _warmup_cosine(progress: Array, setting: Setting) -> Array:
  warmup = setting.warmup_fraction
  rise = progress / jnp.maximum(warmup, 1e-9)
  fall = 0.5 + 0.5 * jnp.cos(
    jnp.pi * (progress - warmup) / jnp.maximum(1.0 - warmup, 1e-9)
  )
  return jnp.where(progress < warmup, rise, fall)


# Share of the peak learning rate after the share `progress` of all steps.
SCHEDULES: dict[str, Schedule] = {
  'constant': lambda progress, setting: jnp.ones_like(progress),
  'warmup_cosine': _warmup_cosine,
}


@dataclasses.dataclass(frozen=True)
class Trainer:
  """The pure functions of one trial, and the static choices behind them.

  Attributes:
    model: Linen module, `(inputs, *, train[, mask]) -> (logits, out)`.
    num_epochs: epochs of the whole training.
    batch_sizes: examples of each step of an epoch, padding included; the same
      for every fold; see `epoch_batch_sizes`.
    shuffle: draw a new order every epoch; else the order of the data.
    optimizer: from a setting to a direction; see `OPTIMIZERS`.
    schedule: from progress and setting to a rate; see `SCHEDULES`.
    augment: functions applied in turn to the inputs of a training batch.
  """

  model: nn.Module
  num_epochs: int
  batch_sizes: tuple[int, ...]
  shuffle: bool = True
  optimizer: Optimizer = OPTIMIZERS['adam']
  schedule: Schedule = SCHEDULES['constant']
  augment: tuple[Augmentation, ...] = ()

  @property
  def takes_mask(self) -> bool:
    """Whether the model wants to know which rows of a batch only pad."""
    return 'mask' in inspect.signature(type(self.model).__call__).parameters

  def init(self, trial: Trial, data: Data) -> TrialState:
    """The state before the first step."""
    key = jax.random.fold_in(trial.key, 0)
    # A model that looks at what it is initialised with must not see anybody.
    blank = jnp.zeros_like(data.inputs[:1])
    variables = dict(self.model.init(key, blank, train=False))
    params = variables.pop('params')
    if 'batch_stats' in variables and not self.takes_mask:
      raise ValueError(
        f'{type(self.model).__name__} keeps batch statistics, but its __call__'
        ' takes no `mask`, so examples that only pad a batch would count in'
        ' them. Add `mask=None` and hand it to every nn.BatchNorm.'
      )
    opt_state = self.optimizer(trial.setting).init(params)
    return TrialState(jnp.int32(0), params, variables, opt_state)

  def batches(self, trial: Trial, epoch: Int[Array, '']) -> tuple[Batch, ...]:
    """An epoch of batches that hold the trial's own training examples only.

    Returns:
      Batches of equal size stacked [step, b]: one stack, or a second one for a
      last step of another size.
    """
    size = trial.train.shape[0]
    order = jnp.arange(size)
    if self.shuffle:
      key = jax.random.fold_in(jax.random.fold_in(trial.key, 1), epoch)
      order = jax.random.permutation(key, size)
    unseen = trial.train[order] <= 0
    order = order[jnp.argsort(unseen, stable=True)]
    count = size - unseen.sum()
    slot = jnp.arange(sum(self.batch_sizes))
    index = order[slot % count]
    weight = jnp.where(slot < count, trial.train[index], 0.0)
    stacks, start = [], 0
    for size, group in itertools.groupby(self.batch_sizes):
      shape = (len(list(group)), size)
      part = slice(start, start + math.prod(shape))
      stacks.append(
        Batch(index[part].reshape(shape), weight[part].reshape(shape))
      )
      start = part.stop
    return tuple(stacks)

  def loss(
    self,
    params: PyTree,
    state: TrialState,
    trial: Trial,
    data: Data,
    batch: Batch,
  ) -> tuple[Array, PyTree]:
    """Weighted mean cross-entropy of a batch, and the updated collections."""
    key = jax.random.fold_in(jax.random.fold_in(trial.key, 2), state.step)
    inputs = data.inputs[batch.index]
    for number, augment in enumerate(self.augment, start=1):
      inputs = augment(jax.random.fold_in(key, number), inputs, trial.setting)
    mask = {'mask': batch.weight > 0} if self.takes_mask else {}
    (logits, _), collections = self.model.apply(
      {'params': params, **state.collections},
      inputs,
      train=True,
      mutable=list(state.collections),
      rngs={'dropout': jax.random.fold_in(key, 0)},
      **mask,
    )
    targets = optax.smooth_labels(
      jax.nn.one_hot(data.labels[batch.index], logits.shape[-1]),
      trial.setting.label_smoothing,
    )
    losses = optax.softmax_cross_entropy(logits, targets)
    total = jnp.maximum(batch.weight.sum(), 1e-9)
    return (losses * batch.weight).sum() / total, collections

  def apply_gradients(
    self,
    state: TrialState,
    trial: Trial,
    gradients: PyTree,
    collections: PyTree,
    batch: Batch,
  ) -> TrialState:
    """The state after a step; a batch of zero weight only counts the step."""
    optimizer = self.optimizer(trial.setting)
    updates, opt_state = optimizer.update(
      gradients, state.opt_state, state.params
    )
    progress = state.step / (self.num_epochs * len(self.batch_sizes))
    share = self.schedule(progress, trial.setting)
    rate = trial.setting.learning_rate * share
    params = jax.tree.map(lambda p, u: p - rate * u, state.params, updates)
    # Not one moment may move on padding alone: Adam would turn a zero gradient
    # into a full step along its momentum.
    seen = batch.weight.sum() > 0
    old = (state.params, state.collections, state.opt_state)
    kept = jax.tree.map(
      lambda new, old: jnp.where(seen, new, old),
      (params, collections, opt_state),
      old,
    )
    return TrialState(state.step + 1, *kept)

  def predict(
    self, state: TrialState, inputs: Float[Array, 'b ...']
  ) -> Float[Array, 'b k']:
    """Logits, as they would be for a clip never seen before."""
    variables = {'params': state.params, **state.collections}
    return self.model.apply(variables, inputs, train=False)[0]


def epoch_batch_sizes(
  train: Float[np.ndarray, 'f n'], batch_size: int
) -> tuple[int, ...]:
  """Sizes of the steps of an epoch, enough for the fold with most examples.

  Each is `batch_size`, except that the last of one or two is no larger than it
  must be: among few steps its padding would cost most.
  """
  most = int((train > 0).sum(1).max())
  steps = -(-most // batch_size)
  last = most - (steps - 1) * batch_size if steps <= 2 else batch_size
  return (batch_size,) * (steps - 1) + (last,)
