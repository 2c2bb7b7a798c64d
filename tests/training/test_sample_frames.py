"""What becomes of a batch of frames on its way from the device to the loss."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mejax.training import augment
from mejax.training import batches
from mejax.training import sample as sample_lib
from mejax.training import schedule
from mejax.training import trial as trial_lib
from tests import closeness

FRAMES = sample_lib.Layout('frames', windows=True)


def make_frames(n=6):
  """Pairs of frames, and three more of each, all different."""
  source = np.random.default_rng(0)
  frames = source.integers(0, 256, (n, 2, 3, 4, 4, 3), np.uint8)
  pairs = np.stack([frames[:, 0, 0], frames[:, 1, 1]], 1)
  extra = {
    'onset_frames': frames[:, 0],
    'apex_frames': frames[:, 1],
    'windows': np.tile(np.int32([2, 1, 1]), (n, 1)),
  }
  return jnp.asarray(pairs), jax.tree.map(jnp.asarray, extra)


class Spare(nn.Module):
  """A line through the motion, with two outputs that no label asks for."""

  @nn.compact
  def __call__(self, inputs, *, train: bool):
    del train
    motion = inputs[:, 1] - inputs[:, 0]
    return nn.Dense(5)(motion.reshape(len(motion), -1)), {}


def take(data, count):
  batch = batches.Batch(jnp.arange(count), jnp.ones(count))
  return sample_lib.take(
    data, batch, train=jnp.ones(len(data.labels)), num_classes=3
  )


def test_frames_lie_as_u8_and_are_read_normalised():
  pairs, extra = make_frames()
  sample = take(trial_lib.Data(pairs, jnp.zeros(6, jnp.int32), extra), 4)
  np.testing.assert_array_equal(sample.inputs, sample_lib.normalise(pairs[:4]))
  flow = jnp.ones((6, 4, 4, 3))
  assert sample_lib.decode(flow) is flow


def test_certain_jitter_draws_the_whole_window_and_none_keeps_the_pair():
  pairs, extra = make_frames(1)
  data = trial_lib.Data(pairs, jnp.zeros(1, jnp.int32), extra)
  ((_, jitter),) = augment.compose(['jitter'], FRAMES)

  def drawn(key, amount):
    sample = take(data, 1)
    setting = trial_lib.Setting(jitter=amount)
    return jitter(key, sample, setting).inputs

  keys = jax.random.split(jax.random.key(0), 64)
  found = jax.vmap(drawn, (0, None))(keys, 1.0)
  assert len(np.unique(found[:, 0, 0], axis=0)) == 3
  assert len(np.unique(found[:, 0, 1], axis=0)) == 3
  same = jax.vmap(drawn, (0, None))(keys, 0.0)
  np.testing.assert_array_equal(
    same[:, 0], jnp.tile(sample_lib.decode(pairs), (64, 1, 1, 1, 1))
  )


def test_jitter_comes_first_so_that_what_is_drawn_is_turned_too():
  names = [
    number for number, _ in augment.compose(['rotation', 'jitter'], FRAMES)
  ]
  assert names == [8, 9]


@pytest.mark.parametrize(
  'name, layout, message',
  [
    ('jitter', sample_lib.Layout('frames'), 'set view.windows'),
    ('jitter', sample_lib.Layout('image'), 'frame_pair'),
    ('rotation', sample_lib.Layout('mosaic'), 'not the directions of flow'),
  ],
)
def test_what_does_not_fit_the_inputs_is_refused(name, layout, message):
  with pytest.raises(ValueError, match=message):
    augment.compose([name], layout)


def test_a_step_on_frames_with_spare_outputs_equals_optax():
  pairs, extra = make_frames()
  labels = jnp.array([0, 1, 2, 0, 1, 2])
  data = trial_lib.Data(pairs, labels, extra)
  trainer = trial_lib.Trainer(
    model=Spare(), num_classes=3, num_epochs=2, batch_sizes=(6,)
  )
  setting = trial_lib.Setting(label_smoothing=0.3)
  trial = trial_lib.Trial(jax.random.key(0), jnp.ones(6), None, setting)
  state = trainer.init(trial, data)
  batch = batches.Batch(jnp.arange(6), jnp.ones(6))
  loss, _ = trainer.loss(
    state.params, state, trial, trainer.sample(state, trial, data, batch)
  )
  logits = trainer.predict(state, trial, pairs)
  assert logits.shape == (6, 5)
  normal = sample_lib.normalise(pairs)
  expected, _ = Spare().apply({'params': state.params}, normal, train=False)
  closeness.assert_close(logits, expected, 5e-6)
  targets = 0.7 * jax.nn.one_hot(labels, 5)
  targets += 0.1 * jnp.array([1, 1, 1, 0, 0])
  losses = optax.softmax_cross_entropy(expected, targets)
  assert float(loss) == pytest.approx(float(losses.mean()), rel=1e-5)


def test_mmnet_schedule_falls_by_epochs_and_then_stays():
  trainer = trial_lib.Trainer(
    model=Spare(),
    num_classes=3,
    num_epochs=74,
    batch_sizes=(3, 3),
    schedule=schedule.SCHEDULES['mmnet'],
    optimizer=lambda setting: optax.identity(),
  )
  setting = trial_lib.Setting(learning_rate=8e-4)
  trial = trial_lib.Trial(jax.random.key(0), jnp.ones(6), None, setting)
  batch = batches.Batch(jnp.arange(3), jnp.ones(3))
  for epoch, rate in (
    (1, 8e-4),
    (2, 8e-4 * 0.987),
    (51, 4.16e-4),
    (74, 4.16e-4),
  ):
    for step in (2 * epoch - 2, 2 * epoch - 1):
      state = trial_lib.TrialState(step, jnp.zeros(()), {}, optax.EmptyState())
      state = state.replace(step=jnp.int32(step))
      after = trainer.apply_gradients(state, trial, jnp.ones(()), {}, batch)
      assert -float(after.params) == pytest.approx(rate, rel=1e-3)


def test_normalise_makes_the_mean_colour_of_imagenet_zero():
  frames = jnp.asarray([[[[124, 116, 104], [255, 0, 0]]]], jnp.uint8)
  normal = sample_lib.normalise(frames)[0, 0]
  assert np.abs(normal[0]).max() < 0.02
  np.testing.assert_allclose(
    normal[1], [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-5
  )
