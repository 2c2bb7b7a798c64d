"""STSTNet against the network as it is told, layer after layer."""

from __future__ import annotations

import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mejax import models
from mejax.models import ststnet
from tests import closeness

REAL = 9


def images():
  """Twelve images, some with flat areas: there the pool meets equals."""
  x = np.random.default_rng(0).integers(0, 256, (12, 28, 28, 3))
  x[:4, 5:20] = 7
  return jnp.array(x, jnp.float32)


def init(model):
  return jax.jit(model.init, static_argnames='train')(
    jax.random.key(0), images(), train=False
  )


def parameters(model):
  """Initial parameters with biases and with gains of both signs."""
  variables = init(model)
  params, stats = variables['params'], variables['batch_stats']
  for i in range(3):
    size = params[f'norm{i}']['scale'].size
    params[f'norm{i}']['scale'] = jnp.linspace(1.2, -0.7, size)
    params[f'norm{i}']['bias'] = jnp.linspace(-0.2, 0.3, size)
    params[f'conv{i}']['bias'] += 3
  return params, stats


def told(params, x):
  """The network as the paper tells it, batch statistics, no dropout."""
  parts = []
  for i in range(3):
    conv, norm = params[f'conv{i}'], params[f'norm{i}']
    y = lax.conv_general_dilated(
      x,
      conv['kernel'],
      (1, 1),
      [(2, 2)] * 2,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )
    y = nn.relu(y + conv['bias'])
    y = (y - y.mean((0, 1, 2))) / jnp.sqrt(y.var((0, 1, 2)) + 1e-5)
    y = y * norm['scale'] + norm['bias']
    parts.append(nn.max_pool(y, (3, 3), (3, 3), ((1, 1), (1, 1))))
  y = nn.avg_pool(jnp.concatenate(parts, -1), (2, 2), (2, 2))
  y = y.transpose(0, 3, 1, 2).reshape(len(x), -1)
  return y @ params['head']['kernel'] + params['head']['bias']


def cross_entropy(logits):
  labels = jnp.arange(len(logits)) % 3
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def test_ststnet_has_the_published_1683_parameters():
  model = models.make('ststnet')
  variables = init(model)
  sizes = jax.tree.map(jnp.size, variables['params'])
  assert sum(jax.tree.leaves(sizes)) == 1683
  assert [sizes[f'conv{i}']['bias'] for i in range(3)] == [3, 5, 8]


@pytest.mark.parametrize('form', ['pool_at_once', 'pool_by_place'])
def test_logits_gradients_and_statistics_equal_the_network_as_told(
  form, monkeypatch
):
  # A TPU's form is computed here too, in the place of the other one.
  monkeypatch.setattr(ststnet, 'pool_at_once', getattr(ststnet, form))
  model = models.make('ststnet', dropout=0.0)
  params, stats = parameters(model)
  mask = jnp.arange(12) < REAL

  def loss(params):
    (logits, _), state = model.apply(
      {'params': params, 'batch_stats': stats},
      images(),
      train=True,
      mask=mask,
      mutable=['batch_stats'],
    )
    return cross_entropy(logits)[:REAL].mean(), (logits[:REAL], state)

  def told_loss(params):
    logits = told(params, images()[:REAL])
    return cross_entropy(logits).mean(), logits

  ours = jax.jit(jax.grad(loss, has_aux=True))(params)
  true = jax.jit(jax.grad(told_loss, has_aux=True))(params)
  grads, (logits, state) = ours
  closeness.assert_close(logits, true[1], 1e-5)
  # A bias in front of a batch norm has a gradient of zero but for rounding. The
  # variance is a difference of squares here, which costs a digit: 2e-5 seen.
  closeness.assert_trees_close(grads, true[0], 1e-4)
  evaluated, _ = model.apply({'params': params, **state}, images(), train=False)
  assert np.all(np.isfinite(evaluated))
  assert np.all(state['batch_stats']['norm0']['mean'] > 0)


def test_padding_rows_change_neither_logits_nor_statistics():
  model = models.make('ststnet', dropout=0.0)
  params, stats = parameters(model)
  variables = {'params': params, 'batch_stats': stats}

  def run(x, mask):
    return model.apply(
      variables, x, train=True, mask=mask, mutable=['batch_stats']
    )

  (alone, _), state = run(images()[:REAL], jnp.ones(REAL, bool))
  (padded, _), padded_state = run(images(), jnp.arange(12) < REAL)
  closeness.assert_close(padded[:REAL], alone, 1e-5)
  closeness.assert_trees_close(padded_state, state, 1e-5)
  (none, _), _ = run(images(), jnp.zeros(12, bool))
  assert np.all(np.isfinite(none))


def test_running_statistics_of_many_steps_become_those_of_the_data():
  model = models.make('ststnet', dropout=0.0)
  params, stats = parameters(model)
  step = jax.jit(
    lambda stats: model.apply(
      {'params': params, 'batch_stats': stats},
      images(),
      train=True,
      mutable=['batch_stats'],
    )
  )
  for _ in range(150):
    (trained, _), state = step(stats)
    stats = state['batch_stats']
  evaluated, out = model.apply(
    {'params': params, 'batch_stats': stats}, images(), train=False
  )
  closeness.assert_close(evaluated, trained, 2e-3)
  assert out['features'].shape == (12, 10, 10, 16)


def test_dropout_changes_training_and_leaves_evaluation_alone():
  model = models.make('ststnet')
  params, stats = parameters(model)
  variables = {'params': params, 'batch_stats': stats}

  def features(train, seed):
    return model.apply(
      variables,
      images(),
      train=train,
      rngs={'dropout': jax.random.key(seed)},
      mutable=['batch_stats'],
    )[0][1]['features']

  dropped = np.asarray(features(True, 0) == 0)
  assert dropped.mean() == pytest.approx(0.5, abs=0.02)
  assert np.any(dropped != np.asarray(features(True, 1) == 0))
  np.testing.assert_array_equal(features(False, 0), features(False, 1))


def test_wrong_input_or_preset_is_an_error_that_says_what_was_expected():
  with pytest.raises(ValueError, match=r'expected \[b, 28, 28, 3\]'):
    models.make('ststnet').init(
      jax.random.key(0), jnp.ones((2, 64, 64, 3)), train=True
    )
  with pytest.raises(ValueError, match='ststnet'):
    models.make('ststnet', 'nothing')
