"""Layers against XLA's own operations, flax, and known truths."""

from __future__ import annotations

import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import layers


def normal(*shape, seed=0):
  return jax.random.normal(jax.random.key(seed), shape)


def xla_conv(x, kernel, padding, stride):
  return lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    [(padding, padding)] * 2,
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )


@pytest.mark.parametrize('patch_bytes', [2**26, 3000])
@pytest.mark.parametrize(
  'size, padding, stride',
  [(3, 0, 1), (3, 1, 1), (3, 2, 1), (3, 1, 2), (5, 0, 1), (5, 2, 1)],
)
def test_conv_and_its_gradients_equal_xla_convolution(
  size, padding, stride, patch_bytes, monkeypatch
):
  monkeypatch.setattr(layers, 'PATCH_BYTES', patch_bytes)
  x, kernel = normal(6, 7, 6, 3), normal(size, size, 3, 5, seed=1)

  def both(conv):
    y, backward = jax.vjp(conv, x, kernel)
    return y, *backward(jnp.cos(y))

  options = {'padding': padding, 'stride': stride}
  ours = both(lambda x, k: layers.conv(x, k, **options))
  xla = both(lambda x, k: xla_conv(x, k, **options))
  for mine, true in zip(ours, xla, strict=True):
    np.testing.assert_allclose(mine, true, rtol=1e-5, atol=1e-4)


def test_patches_of_a_few_examples_at_a_time_take_less_memory(monkeypatch):
  def bytes_needed(limit):
    monkeypatch.setattr(layers, 'PATCH_BYTES', limit)
    # A function of its own, so that nothing is found in a cache.
    program = jax.jit(jax.grad(lambda k, x: layers.conv3x3(x, k).sum()))
    shapes = normal(3, 3, 8, 8), normal(16, 32, 32, 8)
    memory = program.lower(*shapes).compile().memory_analysis()
    return memory.temp_size_in_bytes

  if jax.default_backend() != 'cpu':
    pytest.skip('other backends use the convolution')
  patches = 4 * 16 * 32 * 32 * 72
  assert bytes_needed(patches) > patches > 3 * bytes_needed(patches // 8)


@pytest.mark.parametrize('padding, stride', [(0, 2), (1, 3)])
def test_conv_refuses_strides_that_it_does_not_know(padding, stride):
  with pytest.raises(ValueError, match='expected stride 1 and a padding'):
    layers.conv3x3(
      normal(1, 8, 8, 1), normal(3, 3, 1, 1), padding=padding, stride=stride
    )


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('loop', [jax.vmap, lambda f: lambda *a: lax.map(f, a)])
def test_cpu_program_holds_no_convolution_and_no_branch(loop, stride):
  """XLA's convolutions in loops and under vmap are 30 times slower there."""
  if jax.default_backend() != 'cpu':
    pytest.skip('other backends use the convolution')

  def loss(kernel, x):
    return jnp.square(layers.conv3x3(x, kernel, stride=stride)).sum()

  def total(kernels, x):
    return loop(lambda k: loss(k, x))(kernels).sum()

  def total_map(kernels, x):
    return loop(lambda k: loss(k[0], x))(kernels).sum()

  kernels = normal(4, 3, 3, 3, 8)
  function = total if loop is jax.vmap else total_map
  program = jax.jit(jax.grad(function)).lower(kernels, normal(2, 8, 8, 3))
  text = program.compile().as_text()
  assert 'convolution(' not in text
  assert 'conditional(' not in text


@pytest.mark.parametrize('stride', [2, 3])
@pytest.mark.parametrize('size', [(1, 1), (2, 2), (4, 4), (7, 5), (30, 30)])
def test_max_pool_and_its_gradient_equal_xla_reduce_window(stride, size):
  x = normal(2, *size, 3)

  def xla_pool(x):
    return lax.reduce_window(
      x,
      -jnp.inf,
      lax.max,
      (1, 3, 3, 1),
      (1, stride, stride, 1),
      ((0, 0), (1, 1), (1, 1), (0, 0)),
    )

  def both(pool):
    y, backward = jax.vjp(pool, x)
    return y, *backward(jnp.cos(y))

  ours = both(lambda x: layers.max_pool3x3(x, stride))
  for mine, true in zip(ours, both(xla_pool), strict=True):
    np.testing.assert_allclose(mine, true, atol=1e-6)


def test_max_pool_side_by_side_equals_reduce_window_and_cuts_the_end():
  x = normal(2, 8, 7, 3)
  ours = layers.max_pool(x, 3)
  np.testing.assert_array_equal(ours, nn.max_pool(x, (3, 3), (3, 3)))
  assert ours.shape == (2, 2, 2, 3)


def test_max_pool_gives_the_whole_gradient_to_the_first_of_equals():
  gradient = jax.grad(lambda x: layers.max_pool3x3(x, 3).sum())
  expected = np.zeros((1, 2, 2, 1))
  expected[0, 0, 0, 0] = 1
  np.testing.assert_array_equal(gradient(jnp.ones((1, 2, 2, 1))), expected)


def test_max_pool_of_nan_is_nan():
  x = jnp.ones((1, 4, 4, 1)).at[0, 1, 1, 0].set(jnp.nan)
  pooled = np.asarray(layers.max_pool3x3(x, 3))[0, :, :, 0]
  np.testing.assert_array_equal(np.isnan(pooled), [[True, False], [False] * 2])


def test_layer_norm_and_gelu_equal_flax():
  x = 100 * normal(4, 6) + 50
  ours, flax = layers.LayerNorm(), nn.LayerNorm(epsilon=1e-5)
  variables = {'params': {'scale': normal(6), 'bias': normal(6, seed=1)}}
  np.testing.assert_allclose(
    ours.apply(variables, x), flax.apply(variables, x), atol=1e-5
  )
  np.testing.assert_allclose(
    layers.gelu(x / 50), nn.gelu(x / 50, approximate=False), atol=1e-6
  )


def test_linear_and_conv_start_uniform_within_one_over_root_fan_in():
  key = jax.random.key(0)
  dense = layers.linear(300, 64).init(key, jnp.ones((1, 64)))['params']
  conv = layers.Conv3x3(200).init(key, jnp.ones((1, 4, 4, 4)))['params']
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
  np.testing.assert_allclose(mine, true, atol=1e-5)
  mean, var = state['batch_stats']['mean'], state['batch_stats']['var']
  np.testing.assert_allclose(mean, flax_state['batch_stats']['mean'], atol=1e-6)
  unbiased = np.asarray(x).reshape(-1, 4).var(0, ddof=1)
  np.testing.assert_allclose(var, 0.9 + 0.1 * unbiased, rtol=1e-5)
  evaluated = ours.apply({**variables, **state}, x, train=False)
  np.testing.assert_allclose(
    evaluated, (x - mean) / np.sqrt(var + 1e-5), atol=1e-5
  )


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
  np.testing.assert_allclose(result[: marked or 6], expected, atol=1e-5)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    state,
    expected_state,
  )


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


def test_drop_path_drops_whole_examples_at_its_rate():
  x = 1 + jnp.abs(normal(4000, 3, 2))
  rngs = {'dropout': jax.random.key(0)}
  y = layers.DropPath(0.25).apply({}, x, train=True, rngs=rngs)
  kept = np.asarray(y != 0)
  assert (kept == kept[:, :1, :1]).all()
  assert 1 - kept.mean() == pytest.approx(0.25, abs=0.03)
  scale = np.asarray(y / x)[kept]
  np.testing.assert_allclose(scale, 4 / 3, rtol=1e-6)
  for module, train in (
    (layers.DropPath(0.0), True),
    (layers.DropPath(0.25), False),
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
