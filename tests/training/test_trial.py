"""One training: its batches, its steps, against PyTorch's rules and optax."""

from __future__ import annotations

import functools

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mejax.training import batches
from mejax.training import optimizer as optimizer_lib
from mejax.training import trial as trial_lib
from tests import closeness
from tests.training import setup_trials as given_lib


def test_epochs_differ_in_order():
  trainer = given_lib.make_trainer(np.array(list('aabb')))
  trial = _trial(np.ones(16, np.float32))
  first, second = (
    trainer.batches(trial, jnp.int32(e))[0].index for e in (0, 1)
  )
  assert (first != second).any()


@pytest.mark.parametrize('everything', [False, True])
def test_a_step_of_zero_weight_changes_nothing_but_the_count(everything):
  inputs, labels, groups = given_lib.make_arrays()
  trainer = given_lib.make_trainer(groups)
  trials = given_lib.make_trials(groups)
  if everything:
    inputs = given_lib.make_stacks(inputs)
    trainer = given_lib.make_full_trainer(groups)
    trials = given_lib.make_trials(groups, setting=given_lib.EVERYTHING)
  trial = jax.tree.map(lambda x: x[0], trials)
  data = given_lib.make_data(inputs, labels)
  state = trainer.init(trial, data)
  full = jax.tree.map(lambda x: x[0], trainer.batches(trial, jnp.int32(0))[0])
  state = _step(trainer, state, trial, data, full)
  empty = full.replace(weight=jnp.zeros_like(full.weight))
  after = _step(trainer, state, trial, data, empty)
  assert after.step == state.step + 1
  jax.tree.map(
    np.testing.assert_array_equal, after.replace(step=0), state.replace(step=0)
  )


def test_padding_rows_do_not_count_in_loss_statistics_or_gradient():
  inputs, labels, groups = given_lib.make_arrays()
  trainer = given_lib.make_trainer(groups, model=_NoDropout())
  trial = jax.tree.map(lambda x: x[0], given_lib.make_trials(groups))
  data = given_lib.make_data(inputs, labels)
  state = trainer.init(trial, data)
  index = jnp.arange(20, 28)
  short = batches.Batch(index, jnp.ones(8))
  padded = batches.Batch(
    jnp.concatenate([index, jnp.full(5, 20)]),
    jnp.concatenate([jnp.ones(8), jnp.zeros(5)]),
  )
  closeness.assert_trees_close(
    _step(trainer, state, trial, data, short),
    _step(trainer, state, trial, data, padded),
    5e-6,
  )


@pytest.mark.parametrize('name', ['adam', 'adamw', 'sgd'])
def test_steps_equal_optax_with_its_own_schedule(name):
  setting = trial_lib.Setting(
    learning_rate=3e-3,
    weight_decay=0.1 if name == 'adamw' else 0.0,
    warmup_fraction=0.25,
  )
  inputs, labels, groups = given_lib.make_arrays()
  trainer = given_lib.make_trainer(
    groups,
    optimizer=optimizer_lib.OPTIMIZERS[name],
    model=_NoDropout(),
    num_epochs=4,
    batch_sizes=(16, 16),
  )
  trials = given_lib.make_trials(groups, setting=setting)
  trial = jax.tree.map(lambda x: x[0], trials)
  data = given_lib.make_data(inputs, labels)
  state = trainer.init(trial, data)
  schedule = optax.warmup_cosine_decay_schedule(0.0, 3e-3, 2, 8)
  optimizer = {
    'adam': lambda: optax.adam(schedule),
    'adamw': lambda: optax.adamw(schedule, weight_decay=0.1),
    'sgd': lambda: optax.sgd(schedule, momentum=0.9),
  }[name]()
  params, opt_state = state.params, optimizer.init(state.params)
  for epoch in range(4):
    (batches,) = trainer.batches(trial, jnp.int32(epoch))
    for i in range(2):
      batch = jax.tree.map(lambda x, i=i: x[i], batches)
      gradients, _ = _gradients(
        trainer, params, state.replace(params=params), trial, data, batch
      )
      updates, new_opt_state = optimizer.update(gradients, opt_state, params)
      state = _step(trainer, state, trial, data, batch)
      params = optax.apply_updates(params, updates)
      opt_state = new_opt_state
  closeness.assert_trees_close(state.params, params, 2e-6)


def test_loss_is_the_weighted_smoothed_cross_entropy_by_hand():
  groups = given_lib.make_arrays()[2]
  setting = trial_lib.Setting(label_smoothing=0.3)
  trainer = given_lib.make_trainer(groups, model=_Passes(), takes_mask=False)
  trial = jax.tree.map(
    lambda x: x[0], given_lib.make_trials(groups, setting=setting)
  ).replace(train=jnp.ones(2))
  logits = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]], np.float32)
  data = given_lib.make_data(logits, np.array([1, 2], np.int32))
  state = trainer.init(trial, data)
  batch = batches.Batch(jnp.array([0, 1]), jnp.array([1.0, 3.0]))
  loss, _ = trainer.loss(
    state.params, state, trial, trainer.sample(state, trial, data, batch)
  )
  log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
  each = -(0.7 * log_p[[0, 1], [1, 2]] + 0.3 * log_p.mean(1))
  assert loss == pytest.approx((each[0] + 3 * each[1]) / 4, rel=1e-6)


def test_predictions_are_made_with_the_average_of_all_steps():
  inputs, labels, groups = given_lib.make_arrays()
  trainer = given_lib.make_trainer(
    groups, in_use=frozenset({'ema'}), model=_NoDropout()
  )
  trials = given_lib.make_trials(
    groups, setting=trial_lib.Setting(learning_rate=1e-2, ema=0.6)
  )
  # The first fold has a step that only pads.
  trial = jax.tree.map(lambda x: x[4], trials)
  data = given_lib.make_data(inputs, labels)
  state = trainer.init(trial, data)
  reference = optax.ema(0.6, debias=True)
  ema = reference.init(state.variables)
  (steps,) = trainer.batches(trial, jnp.int32(0))
  for i in range(len(steps.weight)):
    batch = jax.tree.map(lambda x, i=i: x[i], steps)
    state = _step(trainer, state, trial, data, batch)
    mean, ema = reference.update(state.variables, ema)
  plain = given_lib.make_trainer(groups, model=_NoDropout())
  averaged = state.replace(average=None, **mean)
  closeness.assert_close(
    trainer.predict(state, trial, data.inputs),
    plain.predict(averaged, trial, data.inputs),
    5e-6,
  )
  own = plain.predict(state.replace(average=None), trial, data.inputs)
  assert np.abs(own - trainer.predict(state, trial, data.inputs)).max() > 1e-3


@pytest.mark.parametrize('share', [0.0, 0.3, 0.5])
def test_test_mirror_weighs_the_mirrored_image(share):
  inputs, labels, groups = given_lib.make_arrays()

  def flip(x):
    return x[:, :, ::-1] * jnp.array([1.0, 1.0, -1.0])

  trainer = given_lib.make_trainer(groups, flip=flip)
  plain = given_lib.make_trainer(groups)
  setting = trial_lib.Setting(test_mirror=share)
  trial = jax.tree.map(
    lambda x: x[0], given_lib.make_trials(groups, setting=setting)
  )
  data = given_lib.make_data(inputs, labels)
  state = trainer.init(trial, data)
  one, other = (
    plain.predict(state, trial, x) for x in (data.inputs, flip(data.inputs))
  )
  both = trainer.predict(state, trial, data.inputs)
  closeness.assert_close(both, (1 - share) * one + share * other, 1e-6)
  if share == 0.5:
    mirrored = trainer.predict(state, trial, flip(data.inputs))
    closeness.assert_close(both, mirrored, 1e-6)


def test_batch_statistics_without_a_mask_are_refused():
  class Careless(nn.Module):
    @nn.compact
    def __call__(self, inputs, *, train):
      x = nn.BatchNorm(use_running_average=not train)(inputs)
      return nn.Dense(3)(x.reshape(x.shape[0], -1)), {}

  inputs, labels, groups = given_lib.make_arrays()
  trainer = given_lib.make_trainer(groups, model=Careless(), takes_mask=False)
  trial = jax.tree.map(lambda x: x[0], given_lib.make_trials(groups))
  with pytest.raises(ValueError, match='Careless.*mask=None'):
    trainer.init(trial, given_lib.make_data(inputs, labels))


class _NoDropout(nn.Module):
  @nn.compact
  def __call__(self, inputs, *, train, mask=None):
    x = inputs.reshape(inputs.shape[0], -1)
    rows = None if mask is None else mask[:, None]
    x = nn.BatchNorm(use_running_average=not train)(x, mask=rows)
    return nn.Dense(3)(x), {}


class _Passes(nn.Module):
  @nn.compact
  def __call__(self, inputs, *, train):
    return inputs + 0 * self.param('p', nn.initializers.zeros, ()), {}


def _trial(train):
  return trial_lib.Trial(
    key=jax.random.key(0),
    train=jnp.asarray(train),
    held_out=jnp.array([-1]),
    setting=trial_lib.Setting(),
  )


@functools.partial(jax.jit, static_argnums=0)
def _gradients(trainer, params, state, trial, data, batch):
  gradient = jax.grad(trainer.loss, has_aux=True)
  sample = trainer.sample(state, trial, data, batch)
  return gradient(params, state, trial, sample)


@functools.partial(jax.jit, static_argnums=0)
def _step(trainer, state, trial, data, batch):
  gradients, collections = _gradients(
    trainer, state.params, state, trial, data, batch
  )
  return trainer.apply_gradients(state, trial, gradients, collections, batch)


class Units(nn.Module):
  """Logits of classes and of action units that are the inputs themselves."""

  @nn.compact
  def __call__(self, inputs, *, train: bool):
    bias = self.param('bias', nn.initializers.zeros, (5,))
    both = inputs + bias
    return both[:, :3], {'units': both[:, 3:]}


def test_the_loss_of_action_units_is_added_with_its_weight():
  draw = np.random.default_rng(0)
  inputs = draw.normal(size=(6, 5)).astype(np.float32)
  labels, units = draw.integers(0, 3, 6), draw.integers(0, 2, (6, 2))
  weight = np.array([1.0, 1.0, 2.0, 0.0, 1.0, 1.0], np.float32)
  data = trial_lib.Data(
    jnp.asarray(inputs),
    jnp.asarray(labels),
    {'units': jnp.asarray(units, jnp.float32)},
  )
  trainer = trial_lib.Trainer(
    model=Units(),
    num_classes=3,
    num_epochs=1,
    batch_sizes=(6,),
    in_use=frozenset({'units'}),
  )
  trial = trial_lib.Trial(
    jax.random.key(0), jnp.ones(6), None, trial_lib.Setting(units=0.7)
  )
  state = trainer.init(trial, data)
  batch = batches.Batch(jnp.arange(6), jnp.asarray(weight))
  ours, _ = trainer.loss(
    state.params, state, trial, trainer.sample(state, trial, data, batch)
  )
  wide = inputs.astype(np.float64)
  share = np.exp(wide[:, :3]) / np.exp(wide[:, :3]).sum(1, keepdims=True)
  chance = 1 / (1 + np.exp(-wide[:, 3:]))
  right = np.where(units > 0, chance, 1 - chance)
  losses = -np.log(share[np.arange(6), labels])
  losses -= 0.7 * np.log(right).mean(1)
  true = (losses * weight).sum() / weight.sum()
  np.testing.assert_allclose(ours, true, rtol=1e-5)
