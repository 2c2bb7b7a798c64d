"""One training, as pure functions.

A trial is (fold, seed, setting). The functions here see a single trial;
`steps.py` and `placement.py` run many trials, together or one after another.
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

# Leaves of the trees below are arrays, or the objects that JAX puts in their
# place while it traces, maps and shards. The docstrings give their shapes.
Leaf = Any


# `Setting` is registered here, because `setting.py` must not import JAX.
jax.tree_util.register_dataclass(Setting)


class Trial(struct.PyTreeNode):
  """The values that differ between trainings.

  Attributes:
    key: random key from which all draws of the trial derive.
    train: f32[n], weight of every example in training; 0 = never seen.
    held_out: i32[h], positions of the held-out examples, padded with -1.
    setting: learning rate, weight decay and the other numbers of the trial.
  """

  key: Leaf
  train: Leaf
  held_out: Leaf
  setting: Setting


class Data(struct.PyTreeNode):
  """All examples, resident on the device and shared by all trials.

  Attributes:
    inputs: f32[n ...], or frames u8[n ...]; see `sample.decode`.
    labels: i32[n], class of each example.
    extra: arrays [n ...] by name that augmentations read beside the inputs.
  """

  inputs: Leaf
  labels: Leaf
  extra: Mapping[str, Leaf] = struct.field(default_factory=dict)


class TrialState(struct.PyTreeNode):
  """The arrays that a training step changes.

  Attributes:
    step: i32, number of steps done.
    params: parameters of the model.
    collections: the model's other variables, e.g. batch statistics.
    opt_state: moments of the optimiser.
    average: `average.Average` of `params` and `collections`; None if no average
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
    batch_sizes: number of examples in each step of an epoch, padding included;
      the same for every fold; see `batches.epoch_batch_sizes`.
    even_batches: whether the examples of an epoch are spread evenly over its
      steps; see `batches.draw`.
    shuffle: whether every epoch draws a new order of the examples.
    optimizer: makes the optimiser of a setting; see `optimizer.py`.
    schedule: gives the share of the learning rate at a step; see `schedule.py`.
    augment: the augmentations in the order in which they act, each with the
      number of its random stream; see `augment.compose`.
    in_use: names of the setting's numbers that are not 0 in every trial; what
      they switch on is compiled in. With `ema` that is a moving average of the
      weights, which then makes the predictions.
    flip: mirrors inputs; None if predictions ignore the mirrored inputs.
    takes_mask: whether the model is called with `mask`, Bool [b], which is
      False for rows that only pad a batch; a model with batch statistics must
      take it.
    microbatch: largest number of examples whose gradient is computed at a time;
      those of a batch are added up. 0 computes that of the whole batch.

  Raises:
    ValueError: the model looks across the examples of a batch, which the parts
      of one would change.
  """

  model: nn.Module
  num_classes: int
  num_epochs: int
  batch_sizes: tuple[int, ...]
  even_batches: bool = False
  shuffle: bool = True
  optimizer: optimizer_lib.Optimizer = optimizer_lib.OPTIMIZERS['adam']
  schedule: schedule_lib.Schedule = schedule_lib.SCHEDULES['constant']
  augment: tuple[tuple[int, sample_lib.Augmentation], ...] = ()
  in_use: frozenset[str] = frozenset()
  flip: Callable[[Array], Array] | None = None
  takes_mask: bool = False
  microbatch: int = 0

  def __post_init__(self):
    if self.microbatch and self.takes_mask:
      raise ValueError(
        f'microbatch is {self.microbatch}, but {type(self.model).__name__}'
        ' takes a mask, as models with batch norm do: what it makes of an'
        ' example depends on the whole batch. Set microbatch to 0, or choose'
        ' another model.'
      )

  def takes_parts(self, batch_size: int) -> bool:
    """Returns whether a batch of this size is taken in parts."""
    return 0 < self.microbatch < batch_size

  def init(self, trial: Trial, data: Data) -> TrialState:
    """Returns the state before the first step."""
    key = jax.random.fold_in(trial.key, 0)
    # Zeros, because a model may initialise itself from its inputs, and none of
    # the examples may leak.
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
    if self.microbatch and variables:
      raise ValueError(
        f'microbatch is {self.microbatch}, but {type(self.model).__name__}'
        f' keeps {", ".join(sorted(variables))}, which each part of a batch'
        ' would update by itself. Set microbatch to 0, or choose another model.'
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
      key if self.shuffle else None,
      trial.train,
      sizes=self.batch_sizes,
      even=self.even_batches,
    )

  def sample(
    self,
    state: TrialState,
    trial: Trial,
    data: Data,
    batch: batches_lib.Batch,
  ) -> sample_lib.Sample:
    """Reads the examples of a step, and augments them.

    Args:
      state: its number of steps decides the draws.
      trial: the trial, whose key, training weights and setting are read.
      data: all examples.
      batch: positions and weights of the examples; those of weight 0 only pad.
    """
    # Every key derives from the number of the step, not from the previous key,
    # so that the draws do not depend on where calls begin or a run is resumed.
    # Of the trial's key, stream 0 is for initialisation, 1 for the order of
    # examples, and 2 for the steps. Of a step's key, stream 0 is for dropout,
    # and each augmentation has its own.
    key = jax.random.fold_in(jax.random.fold_in(trial.key, 2), state.step)
    sample = sample_lib.take(
      data, batch, train=trial.train, num_classes=self.num_classes
    )
    for number, augment in self.augment:
      sample = augment(jax.random.fold_in(key, number), sample, trial.setting)
    return sample.replace(
      total=jnp.maximum(sample.weight.sum(), 1e-9),
      counts=batch.weight > 0,
      key=jax.random.fold_in(key, 0),
    )

  def loss(
    self,
    params: PyTree,
    state: TrialState,
    trial: Trial,
    sample: sample_lib.Sample,
  ) -> tuple[Array, PyTree]:
    """Returns the weighted mean cross-entropy, and the updated collections.

    With `setting.units`, that of `extra['units']`, which of the action units
    are shown, is added with this weight.

    Args:
      params: parameters of the model, separate from the state because the
        gradient is taken for them.
      state: all other variables; its `params` are not read.
      trial: the trial, whose setting is read.
      sample: a batch, or a part of it, whose loss is its share in the mean.
    """
    mask = {'mask': sample.counts} if self.takes_mask else {}
    (logits, out), collections = self.model.apply(
      {'params': params, **state.collections},
      sample.inputs,
      train=True,
      mutable=list(state.collections),
      rngs={'dropout': sample.key},
      **mask,
    )
    targets = optax.smooth_labels(sample.targets, trial.setting.label_smoothing)
    # Spare outputs that a model may have belong to no class: their target is 0.
    spare = logits.shape[-1] - self.num_classes
    targets = jnp.pad(targets, ((0, 0), (0, spare)))
    losses = optax.softmax_cross_entropy(logits, targets)
    if 'units' in self.in_use:
      each = optax.sigmoid_binary_cross_entropy(
        out['units'], sample.extra['units']
      )
      losses += trial.setting.units * each.mean(-1)
    return (losses * sample.weight).sum() / sample.total, collections

  def apply_gradients(
    self,
    state: TrialState,
    trial: Trial,
    gradients: PyTree,
    collections: PyTree,
    batch: batches_lib.Batch,
  ) -> TrialState:
    """Returns the state after a step.

    A batch of zero weight changes nothing but the number of steps. Every fold
    makes the same number of steps, so an epoch of a small fold may end with
    batches that hold only padding.
    """
    optimizer = self.optimizer(trial.setting)
    updates, opt_state = optimizer.update(
      gradients, state.opt_state, state.params
    )
    progress = state.step / (self.num_epochs * len(self.batch_sizes))
    epoch = state.step // len(self.batch_sizes)
    share = self.schedule(progress, epoch, trial.setting)
    # The rate is applied here, because optax's schedules cannot take a traced
    # peak, which differs between the trials of a program.
    rate = trial.setting.learning_rate * share
    params = jax.tree.map(lambda p, u: p - rate * u, state.params, updates)
    new = state.replace(
      params=params, collections=collections, opt_state=opt_state
    )
    if state.average is not None:
      # Batch statistics are averaged too, so that they fit averaged weights.
      decay = trial.setting.ema
      new = new.replace(
        average=average_lib.add(state.average, new.variables, decay=decay)
      )
    # A batch of padding must not change the moments either: with a zero
    # gradient, Adam would still step along its momentum.
    seen = batch.weight.sum() > 0

    # The numbers of a setting are float32 and would widen narrower parameters,
    # but a state keeps its dtypes from step to step.
    def keep(new, old):
      return jnp.where(seen, new, old).astype(old.dtype)

    kept = jax.tree.map(keep, new, state)
    return kept.replace(step=state.step + 1)

  def predict(
    self, state: TrialState, trial: Trial, inputs: Num[Array, 'b ...']
  ) -> Float[Array, 'b k']:
    """Returns the logits of inputs, with dropout and augmentation off.

    With `flip` they are a weighted mean of the logits of both mirror images.
    """
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
    """Returns the `params` and `collections` that predictions are made with."""
    if state.average is None:
      return state.variables
    return average_lib.mean(state.average, state.variables)
