"""One training, as pure functions.

A trial is (fold, seed, setting). Nothing here knows that there are others:
`placement.py` runs many by `vmap` or `lax.map` over these functions.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
from typing import Any

from flax import linen as nn
from flax import struct
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Num
from jaxtyping import PyTree
import optax

from mejax.training import average as average_lib
from mejax.training import batches as batches_lib
from mejax.training import optimizer as optimizer_lib
from mejax.training import sample as sample_lib
from mejax.training import schedule as schedule_lib
from mejax.training.setting import Setting

# Leaves of the trees below are arrays, or whatever JAX puts in their place
# while it traces, maps and shards; their shapes stand in the docstrings.
Leaf = Any


# `setting.py` is read before JAX is imported, so that it becomes a pytree here.
jax.tree_util.register_dataclass(Setting)


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
    extra: what else augmentations want of each example, arrays [n ...] by name.
  """

  inputs: Leaf
  labels: Leaf
  extra: Mapping[str, Leaf] = struct.field(default_factory=dict)


class TrialState(struct.PyTreeNode):
  """What a step changes.

  Attributes:
    step: i32, steps done.
    params: parameters of the model.
    collections: its other variables, e.g. batch statistics.
    opt_state: moments of the optimiser.
    average: `average.Average` of `params` and `collections`; None where none
      is kept.
  """

  step: Leaf
  params: PyTree
  collections: PyTree
  opt_state: PyTree
  average: PyTree = None

  @property
  def variables(self) -> dict[str, PyTree]:
    """The model's variables after the last step, not averaged."""
    return {'params': self.params, 'collections': self.collections}


@dataclasses.dataclass(frozen=True)
class Trainer:
  """The pure functions of one trial, and the static choices behind them.

  Attributes:
    model: Linen module, `(inputs, *, train[, mask]) -> (logits, out)`.
    num_classes: k.
    num_epochs: epochs of the whole training.
    batch_sizes: examples of each step of an epoch, padding included; the same
      for every fold; see `batches.epoch_batch_sizes`.
    shuffle: draw a new order every epoch; else the order of the data.
    optimizer: from a setting to the direction of a step; see `optimizer.py`.
    schedule: from progress to a share of the learning rate; see `schedule.py`.
    augment: what changes a training batch, in turn, each with the number that
      its draws derive from; see `augment.compose`.
    in_use: names of the numbers of a setting that are not 0 in every trial.
      What they switch on is compiled in; with `ema` this is a moving average of
      the weights, which predicts.
    flip: mirrors inputs, if predictions are to look at both.
    takes_mask: whether the model is called with `mask`, Bool [b], which says
      what rows of a batch count; a model with batch statistics must be.
  """

  model: nn.Module
  num_classes: int
  num_epochs: int
  batch_sizes: tuple[int, ...]
  shuffle: bool = True
  optimizer: optimizer_lib.Optimizer = optimizer_lib.OPTIMIZERS['adam']
  schedule: schedule_lib.Schedule = schedule_lib.SCHEDULES['constant']
  augment: tuple[tuple[int, sample_lib.Augmentation], ...] = ()
  in_use: frozenset[str] = frozenset()
  flip: Callable[[Array], Array] | None = None
  takes_mask: bool = False

  def init(self, trial: Trial, data: Data) -> TrialState:
    """Returns the state before the first step."""
    key = jax.random.fold_in(trial.key, 0)
    # A model that looks at what it is initialised with must not see anybody.
    blank = sample_lib.decode(jnp.zeros_like(data.inputs[:1]))
    variables = dict(self.model.init(key, blank, train=False))
    params = variables.pop('params')
    if 'batch_stats' in variables and not self.takes_mask:
      raise ValueError(
        f'{type(self.model).__name__} keeps batch statistics, but does not'
        ' declare that it takes a mask, so examples that only pad a batch would'
        ' count in them. Add `mask=None` to its __call__, hand it to every'
        ' nn.BatchNorm, and declare in the class: capabilities ='
        ' mejax.models.capabilities.Capabilities(takes_mask=True).'
      )
    opt_state = self.optimizer(trial.setting).init(params)
    state = TrialState(jnp.int32(0), params, variables, opt_state)
    if 'ema' in self.in_use:
      state = state.replace(average=average_lib.start(state.variables))
    return state

  def batches(
    self, trial: Trial, epoch: Int[Array, '']
  ) -> tuple[batches_lib.Batch, ...]:
    """Draws the steps of an epoch; see `batches.draw`."""
    key = jax.random.fold_in(jax.random.fold_in(trial.key, 1), epoch)
    return batches_lib.draw(
      key if self.shuffle else None, trial.train, sizes=self.batch_sizes
    )

  def loss(
    self,
    params: PyTree,
    state: TrialState,
    trial: Trial,
    data: Data,
    batch: batches_lib.Batch,
  ) -> tuple[Array, PyTree]:
    """Returns the weighted mean cross-entropy, and the updated collections.

    Args:
      params: of the model, apart from the state because they are what the
        gradient is taken for.
      state: everything else, of which `params` is not read.
      trial: whose key and setting are used.
      data: all examples.
      batch: which of them, with weights; those of weight 0 only pad.
    """
    # A key follows from the step, not from the key before, so that chunks and
    # restarts draw the same. 0 is for initialisation, 1 for the order of
    # examples, 2 for dropout (0 again) and augmentations (by their streams).
    key = jax.random.fold_in(jax.random.fold_in(trial.key, 2), state.step)
    sample = sample_lib.take(
      data, batch, train=trial.train, num_classes=self.num_classes
    )
    for number, augment in self.augment:
      sample = augment(jax.random.fold_in(key, number), sample, trial.setting)
    mask = {'mask': batch.weight > 0} if self.takes_mask else {}
    (logits, _), collections = self.model.apply(
      {'params': params, **state.collections},
      sample.inputs,
      train=True,
      mutable=list(state.collections),
      rngs={'dropout': jax.random.fold_in(key, 0)},
      **mask,
    )
    targets = optax.smooth_labels(sample.targets, trial.setting.label_smoothing)
    # No label asks for the spare outputs that a model may have.
    spare = logits.shape[-1] - self.num_classes
    targets = jnp.pad(targets, ((0, 0), (0, spare)))
    losses = optax.softmax_cross_entropy(logits, targets)
    total = jnp.maximum(sample.weight.sum(), 1e-9)
    return (losses * sample.weight).sum() / total, collections

  def apply_gradients(
    self,
    state: TrialState,
    trial: Trial,
    gradients: PyTree,
    collections: PyTree,
    batch: batches_lib.Batch,
  ) -> TrialState:
    """Returns the state after a step.

    A batch of zero weight only counts the step: every fold makes the same
    number of steps, so that small folds end epochs with padding alone.
    """
    optimizer = self.optimizer(trial.setting)
    updates, opt_state = optimizer.update(
      gradients, state.opt_state, state.params
    )
    progress = state.step / (self.num_epochs * len(self.batch_sizes))
    epoch = state.step // len(self.batch_sizes)
    share = self.schedule(progress, epoch, trial.setting)
    # Applied here and not by optax, whose schedules cannot take a traced peak.
    rate = trial.setting.learning_rate * share
    params = jax.tree.map(lambda p, u: p - rate * u, state.params, updates)
    new = state.replace(
      params=params, collections=collections, opt_state=opt_state
    )
    if state.average is not None:
      # Batch statistics are averaged with the weights that made them.
      decay = trial.setting.ema
      new = new.replace(
        average=average_lib.add(state.average, new.variables, decay=decay)
      )
    # Not one moment may move on padding alone: Adam would turn a zero gradient
    # into a full step along its momentum.
    seen = batch.weight.sum() > 0
    kept = jax.tree.map(lambda new, old: jnp.where(seen, new, old), new, state)
    return kept.replace(step=state.step + 1)

  def predict(
    self, state: TrialState, trial: Trial, inputs: Num[Array, 'b ...']
  ) -> Float[Array, 'b k']:
    """Returns the logits, as they would be for a clip never seen before."""
    inputs = sample_lib.decode(inputs)
    variables = self.variables(state)
    variables = {'params': variables['params'], **variables['collections']}
    logits = self.model.apply(variables, inputs, train=False)[0]
    if self.flip is None:
      return logits
    mirrored = self.model.apply(variables, self.flip(inputs), train=False)[0]
    share = trial.setting.test_mirror
    return (1 - share) * logits + share * mirrored

  def variables(self, state: TrialState) -> dict[str, PyTree]:
    """Returns `params` and `collections` that predictions are made with."""
    if state.average is None:
      return state.variables
    return average_lib.mean(state.average, state.variables)
