"""A trainer of models that say something of each frame."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.training import batches
from mejax.training import curves
from mejax.training import trial as trial_lib
from mejax.training.setting import Setting
from tests import closeness


class Line(nn.Module):
  """Reads each frame alone."""

  @nn.compact
  def __call__(self, inputs, *, train):
    del train
    return nn.Dense(2)(inputs), {}


@pytest.fixture(scope='module')
def parts():
  generator = np.random.default_rng(0)
  data = trial_lib.Data(
    jnp.asarray(generator.normal(size=(5, 7, 3)), jnp.float32),
    jnp.zeros(5, jnp.int32),
    {
      'targets': jnp.asarray(generator.uniform(size=(5, 7, 2)), jnp.float32),
      'counted': jnp.asarray(generator.uniform(size=(5, 7)) > 0.3, jnp.float32),
    },
  )
  trial = trial_lib.Trial(
    jax.random.key(0), jnp.ones(5), jnp.array([4]), Setting()
  )
  trainer = curves.CurveTrainer(
    model=Line(), num_classes=2, num_epochs=1, batch_sizes=(3,), rare=4.0
  )
  return trainer, trial, data, trainer.init(trial, data)


def batch(*weights):
  return batches.Batch(jnp.array([0, 2, 3]), jnp.array(weights, jnp.float32))


def test_loss_is_the_weighted_mean_over_frames_and_channels(parts):
  trainer, trial, data, state = parts
  sample = trainer.sample(state, trial, data, batch(1, 1, 0))
  loss, _ = trainer.loss(state.params, state, trial, sample)
  x = np.asarray(data.inputs, np.float64)[[0, 2]]
  own = jax.tree.map(lambda a: np.asarray(a, np.float64), state.params)
  logits = x @ own['Dense_0']['kernel'] + own['Dense_0']['bias']
  y = np.asarray(data.extra['targets'], np.float64)[[0, 2]]
  p = 1 / (1 + np.exp(-logits))
  each = -(y * np.log(p) + (1 - y) * np.log(1 - p)) * (1 + 3 * y)
  w = np.asarray(data.extra['counted'], np.float64)[[0, 2], :, None]
  closeness.assert_close(loss, (each * w).sum() / (2 * w.sum()), 1e-5)


def test_what_only_pads_and_what_does_not_count_changes_nothing(parts):
  trainer, trial, data, state = parts
  counted = np.asarray(data.extra['counted'])
  other = np.asarray(data.inputs).copy()
  other[3], other[1] = 99, np.nan
  other[counted == 0] = 7
  changed = data.replace(inputs=jnp.asarray(other))
  samples = (
    trainer.sample(state, trial, some, batch(1, 1, 0))
    for some in (data, changed)
  )
  found = [
    trainer.loss(state.params, state, trial, sample)[0] for sample in samples
  ]
  assert found[0] == found[1]


def test_predictions_are_the_mean_of_both_mirror_images(parts):
  trainer, trial, data, state = parts
  flip = curves.CurveTrainer(
    model=Line(),
    num_classes=2,
    num_epochs=1,
    batch_sizes=(3,),
    mirror=lambda x: x[..., ::-1],
  )
  plain = trainer.predict(state, trial, data.inputs)
  other = trainer.predict(state, trial, data.inputs[..., ::-1])
  assert plain.shape == (5, 7, 2)
  closeness.assert_close(
    flip.predict(state, trial, data.inputs), (plain + other) / 2, 1e-5
  )
