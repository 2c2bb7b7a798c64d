"""Layers against flax and known truths."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import convolution
from mejax.models import layers
from mejax.models.dtypes import DTypes
from tests import closeness
from tests.models import platforms

BF16 = DTypes('bfloat16')
# The result is rounded once, by half an epsilon of its size.
ROUNDED = float(jnp.finfo('bfloat16').eps)


def normal(*shape, seed=0):
  return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize('platform', ['cpu', 'cuda'])
def test_layer_norm_and_gelu_equal_flax(platform, monkeypatch):
  platforms.pretend(monkeypatch, platform)
  x = 100 * normal(4, 6) + 50
  ours, flax = layers.LayerNorm(), nn.LayerNorm(epsilon=1e-5)
  variables = {'params': {'scale': normal(6), 'bias': normal(6, seed=1)}}
  closeness.assert_close(
    ours.apply(variables, x), flax.apply(variables, x), 5e-6
  )
  closeness.assert_close(
    layers.gelu(x / 50), nn.gelu(x / 50, approximate=False), 5e-7
  )


def test_linear_and_conv_start_uniform_within_one_over_root_fan_in():
  key = jax.random.key(0)
  dense = layers.linear(300, 64).init(key, jnp.ones((1, 64)))['params']
  conv = convolution.Conv3x3(200).init(key, jnp.ones((1, 4, 4, 4)))['params']
  for params, fan_in in ((dense, 64), (conv, 36)):
    for value in params.values():
      scaled = np.asarray(value) * fan_in**0.5
      assert 0.97 < np.abs(scaled).max() <= 1
      assert np.std(scaled) == pytest.approx(3**-0.5, rel=0.1)


def test_batch_norm_without_mask_equals_flax_and_unbiased_running_variance():
  x = 3 * normal(6, 5, 4) + 2
  ours = layers.BatchNorm(4)
  flax = nn.BatchNorm(use_running_average=False, momentum=0.9, epsilon=1e-5)
  variables = ours.init(jax.random.key(0), x, train=True)
  mine, state = ours.apply(variables, x, train=True, mutable=['batch_stats'])
  true, flax_state = flax.apply(variables, x, mutable=['batch_stats'])
  closeness.assert_close(mine, true, 5e-6)
  mean, var = state['batch_stats']['mean'], state['batch_stats']['var']
  np.testing.assert_allclose(mean, flax_state['batch_stats']['mean'], atol=1e-6)
  unbiased = np.asarray(x).reshape(-1, 4).var(0, ddof=1)
  np.testing.assert_allclose(var, 0.9 + 0.1 * unbiased, rtol=1e-5)
  evaluated = ours.apply({**variables, **state}, x, train=False)
  closeness.assert_close(evaluated, (x - mean) / np.sqrt(var + 1e-5), 5e-6)


@pytest.mark.parametrize('marked', [3, 0])
def test_batch_norm_counts_the_marked_rows_or_all_if_none_is_marked(marked):
  x = normal(6, 5, 4).at[3:].mul(100)
  norm = layers.BatchNorm(4)
  variables = norm.init(jax.random.key(0), x, train=True)
  result, state = norm.apply(
    variables, x, train=True, mask=jnp.arange(6) < marked, mutable=True
  )
  counted = x[: marked or 6]
  expected, expected_state = norm.apply(
    variables, counted, train=True, mutable=True
  )
  closeness.assert_close(result[: marked or 6], expected, 5e-6)
  closeness.assert_trees_close(state, expected_state, 1e-5)


@pytest.mark.parametrize('rate', [0.5, 0.25, 0.3, 0.0625])
def test_dropout_keeps_the_mean_and_drops_at_its_rate(rate):
  x = jnp.ones((64, 50, 40))
  rngs = {'dropout': jax.random.key(3)}
  y = layers.Dropout(rate).apply({}, x, train=True, rngs=rngs)
  kept = np.asarray(y > 0)
  error = 5 * (rate * (1 - rate) / x.size) ** 0.5
  assert 1 - kept.mean() == pytest.approx(rate, abs=error + 1 / 512)
  assert y.mean() == pytest.approx(1, abs=2 * error)
  assert len(np.unique(y)) == 2
  # Neighbours on no axis know of each other.
  for axis in range(3):
    one, other = kept.take(0, axis), kept.take(1, axis)
    correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert abs(correlation) < 5 / one.size**0.5


def test_dropout_does_nothing_in_evaluation_and_refuses_a_rate_of_one():
  x = normal(3, 4)
  y = layers.Dropout(0.5).apply({}, x, train=False)
  np.testing.assert_array_equal(x, y)
  with pytest.raises(ValueError, match='rate is 1.0'):
    layers.Dropout(1.0).apply({}, x, train=True)


# A rate of .3 is rounded to 77 / 256.
@pytest.mark.parametrize(('rate', 'rounded'), [(0.25, 0.25), (0.3, 77 / 256)])
def test_drop_path_drops_whole_examples_and_keeps_the_mean(rate, rounded):
  x = 1 + jnp.abs(normal(4000, 3, 2))
  rngs = {'dropout': jax.random.key(0)}
  y = layers.DropPath(rate).apply({}, x, train=True, rngs=rngs)
  kept = np.asarray(y != 0)
  assert (kept == kept[:, :1, :1]).all()
  assert 1 - kept.mean() == pytest.approx(rate, abs=0.03)
  assert float(y.mean()) == pytest.approx(float(x.mean()), rel=0.05)
  scale = np.asarray(y / x)[kept]
  np.testing.assert_allclose(scale, 1 / (1 - rounded), rtol=1e-6)
  for module, train in (
    (layers.DropPath(0.0), True),
    (layers.DropPath(rate), False),
  ):
    np.testing.assert_array_equal(module.apply({}, x, train=train), x)


def test_dropout_under_vmap_equals_each_alone():
  x, keys = normal(4, 33, 5), jax.random.split(jax.random.key(0), 4)

  def drop(key, x):
    rngs = {'dropout': key}
    return layers.Dropout(0.5).apply({}, x, train=True, rngs=rngs)

  together = jax.vmap(drop)(keys, x)
  alone = [drop(key, one) for key, one in zip(keys, x, strict=True)]
  np.testing.assert_array_equal(together, alone)


def far_from_zero(*shape: int) -> tuple[jax.Array, np.ndarray]:
  """Values around 100, in bfloat16 and, the same, in float64."""
  x = (4 * normal(*shape) + 100).astype(jnp.bfloat16)
  return x, np.asarray(x, np.float64)


def test_layer_norm_in_bfloat16_is_rounded_only_at_the_end():
  x, exact = far_from_zero(5, 64)
  y, variables = layers.LayerNorm(dtypes=BF16).init_with_output(
    jax.random.key(0), x
  )
  exact = exact - exact.mean(-1, keepdims=True)
  exact /= np.sqrt(np.square(exact).mean(-1, keepdims=True) + 1e-5)
  assert y.dtype == jnp.bfloat16
  assert variables['params']['scale'].dtype == jnp.float32
  closeness.assert_close(np.asarray(y, np.float64), exact, ROUNDED / 2)


def test_batch_norm_in_bfloat16_is_rounded_only_at_the_end():
  x, exact = far_from_zero(40, 7, 6)
  norm = layers.BatchNorm(6, momentum=0.0, dtypes=BF16)
  variables = norm.init(jax.random.key(0), x, train=True)
  y, state = norm.apply(variables, x, train=True, mutable=['batch_stats'])
  exact = exact.reshape(-1, 6)
  statistics = state['batch_stats']
  assert y.dtype == jnp.bfloat16
  assert statistics['mean'].dtype == statistics['var'].dtype == jnp.float32
  closeness.assert_close(statistics['mean'], exact.mean(0), 1e-6)
  # A difference of squares of 100 in float32.
  variance = exact.var(0, ddof=1)
  closeness.assert_close(statistics['var'], variance, 1e-5, scale=100.0**2)
  exact = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-5)
  y = np.asarray(y, np.float64).reshape(-1, 6)
  closeness.assert_close(y, exact, ROUNDED)


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16', 'float32'])
def test_layers_without_parameters_keep_the_dtype(dtype):
  x = normal(4, 3, 2).astype(dtype)
  options = {'train': True, 'rngs': {'dropout': jax.random.key(0)}}
  assert layers.gelu(x).dtype == dtype
  assert layers.Dropout(0.3).apply({}, x, **options).dtype == dtype
  assert layers.DropPath(0.3).apply({}, x, **options).dtype == dtype


def test_layers_promote_input_and_parameters_as_in_flax():
  x = jnp.ones((1, 4, 4, 3), jnp.bfloat16)
  for layer, options in (
    (layers.linear(2, 3), {}),
    (convolution.Conv3x3(2), {}),
    (layers.LayerNorm(), {}),
    (layers.BatchNorm(3), {'train': True}),
  ):
    init = functools.partial(layer.init_with_output, **options)
    assert jax.eval_shape(init, jax.random.key(0), x)[0].dtype == jnp.float32
