"""A step whose examples are taken in parts is the step of the whole batch."""

from __future__ import annotations

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mejax.training import curves
from mejax.training import forecast
from mejax.training import placement
from mejax.training import sample as sample_lib
from mejax.training import steps
from mejax.training import trial as trial_lib
from tests import closeness
from tests.training import setup_trials as given


class Plain(nn.Module):
  """A model of which every example is computed by itself, without draws."""

  width: int = 16

  @nn.compact
  def __call__(self, inputs, *, train: bool):
    del train
    x = nn.gelu(nn.Dense(self.width)(inputs.reshape(len(inputs), -1)))
    return nn.Dense(3)(x), {}


class Curve(nn.Module):
  """Two logits of each frame."""

  @nn.compact
  def __call__(self, inputs, *, train: bool):
    del train
    return nn.Dense(2)(nn.gelu(nn.Dense(5)(inputs))), {}


# A batch has 16 examples: as many parts as examples, 4 equal ones, 3 of which
# the last is filled up, and the whole.
@pytest.mark.parametrize('mode', placement.MODES)
@pytest.mark.parametrize('microbatch', [1, 5, 7, 100])
def test_training_in_parts_equals_training_with_whole_batches(mode, microbatch):
  inputs, labels, groups = given.make_arrays()
  inputs = given.make_stacks(inputs)
  trials = given.make_trials(groups, setting=given.EVERYTHING)

  def train(microbatch):
    trainer = given.make_full_trainer(
      groups, model=Plain(), takes_mask=False, microbatch=microbatch
    )
    return given.train(trainer, trials, inputs, labels, mode=mode)

  states, logits, losses = train(microbatch)
  whole_states, whole_logits, whole_losses = train(0)
  # Rounding grows over the steps, from 1e-7 of a gradient.
  closeness.assert_close(losses, whole_losses, 1e-4)
  closeness.assert_close(logits, whole_logits, 1e-3)
  np.testing.assert_array_equal(states.step, whole_states.step)


def test_each_part_has_its_own_dropout_and_what_fills_up_has_no_weight():
  batch, size = 16, 7
  rows = jnp.arange(float(batch))
  whole = sample_lib.Sample(
    inputs=rows[:, None],
    targets=rows[:, None],
    weight=1 + rows,
    extra={'units': rows},
    counts=rows < 15,
    total=jnp.float32(3),
    key=jax.random.key(0),
  )
  parts = sample_lib.parts(whole, size)
  assert parts.inputs.shape == (3, 6, 1)
  np.testing.assert_array_equal(parts.inputs.ravel()[:batch], rows)
  np.testing.assert_array_equal(parts.extra['units'].ravel()[:batch], rows)
  np.testing.assert_array_equal(parts.weight.ravel(), [*(1 + rows), 0, 0])
  np.testing.assert_array_equal(parts.total, [3, 3, 3])
  assert len(np.unique(jax.random.key_data(parts.key), axis=0)) == 3


def test_parts_need_less_memory_and_are_counted_as_the_whole():
  inputs, labels, groups = given.make_arrays()
  trials, data = given.make_trials(groups), given.make_data(inputs, labels)

  def measure(microbatch):
    trainer = given.make_trainer(
      groups,
      model=Plain(width=2048),
      takes_mask=False,
      batch_sizes=(48,),
      microbatch=microbatch,
    )
    return forecast.measure(
      trainer,
      trials,
      data,
      placement.Placement('map', 1, 1),
      devices=jax.devices()[:1],
      eval_every=given.EVAL_EVERY,
    )

  whole, parts = measure(0), measure(4)
  # The hidden layer of 48 and of 4 examples, in float32.
  saved = 4 * 2048 * (48 - 4)
  assert whole.temporary_bytes - parts.temporary_bytes > saved
  # Sums for the gradient of each part are not among those of the whole.
  assert parts.step.flops == pytest.approx(whole.step.flops, rel=0.05)
  # Each of the twelve reads the weights, and the sum of gradients, which it
  # writes again.
  weights = parts.state_bytes / 3
  assert 3 < parts.step.bytes / (12 * weights) < 20


def test_a_model_with_batch_norm_is_refused():
  groups = given.make_arrays()[2]
  with pytest.raises(ValueError, match='Tiny takes a mask.*microbatch to 0'):
    given.make_trainer(groups, microbatch=8)


class Counting(nn.Module):
  """Keeps how often it was called."""

  @nn.compact
  def __call__(self, inputs, *, train: bool):
    calls = self.variable('calls', 'number', jnp.zeros, ())
    calls.value += train
    return nn.Dense(3)(inputs.reshape(len(inputs), -1)), {}


def test_a_model_that_keeps_what_parts_would_update_is_refused():
  inputs, labels, groups = given.make_arrays()
  trainer = given.make_trainer(
    groups, model=Counting(), takes_mask=False, microbatch=8
  )
  trial = jax.tree.map(lambda x: x[0], given.make_trials(groups))
  with pytest.raises(ValueError, match='Counting keeps calls.*microbatch to 0'):
    trainer.init(trial, given.make_data(inputs, labels))


def test_curves_are_trained_in_parts_as_with_whole_batches():
  source = np.random.default_rng(0)
  shape = 10, 6
  data = trial_lib.Data(
    jnp.asarray(source.normal(size=(*shape, 4)), jnp.float32),
    jnp.zeros(10, jnp.int32),
    {
      'targets': jnp.asarray(source.uniform(size=(*shape, 2)), jnp.float32),
      # A window may have no frame that counts.
      'counted': jnp.asarray(source.integers(0, 2, shape), jnp.float32),
    },
  )
  trial = trial_lib.Trial(
    jax.random.key(0), jnp.ones(10), jnp.array([0]), trial_lib.Setting(1e-2)
  )

  def gradients(microbatch):
    trainer = curves.CurveTrainer(
      model=Curve(),
      num_classes=2,
      num_epochs=1,
      batch_sizes=(10,),
      rare=3.0,
      microbatch=microbatch,
      # Its step is the gradient itself.
      optimizer=lambda setting: optax.identity(),
    )
    state = trainer.init(trial, data)
    run = steps.make_epoch(trainer, trial, data, many=False)
    state, loss, _ = jax.jit(run)(0, (state, jnp.zeros(()), jnp.zeros(())))
    return state.params, loss

  closeness.assert_trees_close(gradients(4), gradients(0), 1e-6)
