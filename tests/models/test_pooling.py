"""Our max-pools and their gradients against XLA's own."""

from __future__ import annotations

import flax.linen as nn
import jax
from jax import export
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import pooling
from tests import closeness


def normal(*shape, seed=0):
  return jax.random.normal(jax.random.key(seed), shape)


def xla_pool(x, stride):
  return lax.reduce_window(
    x,
    -jnp.inf,
    lax.max,
    (1, 3, 3, 1),
    (1, stride, stride, 1),
    ((0, 0), (1, 1), (1, 1), (0, 0)),
  )


@pytest.mark.parametrize('stride', [2, 3])
@pytest.mark.parametrize('size', [(1, 1), (2, 2), (4, 4), (7, 5), (30, 30)])
def test_max_pool_and_its_gradient_equal_xla_reduce_window(stride, size):
  x = normal(2, *size, 3)

  def both(pool):
    @jax.jit
    def both(x):
      y, backward = jax.vjp(pool, x)
      return y, *backward(jnp.cos(y))

    return both(x)

  ours = both(lambda x: pooling.max_pool3x3(x, stride))
  for mine, true in zip(ours, both(lambda x: xla_pool(x, stride)), strict=True):
    closeness.assert_close(mine, true, 5e-7)


@pytest.mark.parametrize('stride', [2, 3])
@pytest.mark.parametrize('size', [(1, 1), (4, 4), (7, 5)])
def test_derivatives_of_max_pool_to_second_order_equal_those_of_its_places(
  stride, size
):
  x, direction = normal(2, *size, 3), normal(2, *size, 3, seed=1)
  # Without ties the maximum is the value at a fixed place. XLA's own maximum
  # over windows has no second derivative.
  index = jnp.arange(x.size, dtype=jnp.float32).reshape(x.shape)
  order = jnp.argsort(x.ravel())
  rank = jnp.zeros(x.size).at[order].set(index.ravel()).reshape(x.shape)
  where = order[xla_pool(rank, stride).astype(int)]

  def derive(pool):
    def loss(x):
      return jnp.sin(pool(x)).sum()

    @jax.jit
    def derive(x, direction):
      gradient = jax.grad(loss)
      return (
        jax.jvp(pool, (x,), (direction,))[1],
        jax.jvp(gradient, (x,), (direction,))[1],
        jax.grad(lambda x: jnp.vdot(gradient(x), direction))(x),
      )

    return derive(x, direction)

  ours = derive(lambda x: pooling.max_pool3x3(x, stride))
  true = derive(lambda x: x.ravel()[where])
  for mine, other in zip(ours, true, strict=True):
    closeness.assert_close(mine, other, 1e-6)


def test_max_pool_exported_for_any_batch_equals_max_pool():
  (batch,) = export.symbolic_shape('batch')
  shape = jax.ShapeDtypeStruct((batch, 7, 6, 2), jnp.float32)
  for call in (
    lambda x: pooling.max_pool3x3(x, 2),
    lambda x: pooling.max_pool(x, 2),
  ):
    exported = export.export(jax.jit(call))(shape)
    for size in (1, 2, 7):
      x = normal(size, 7, 6, 2)
      np.testing.assert_array_equal(exported.call(x), call(x))


def test_max_pool_follows_the_first_of_equals_forwards():
  x, change = jnp.ones((1, 2, 2, 1)), jnp.arange(1.0, 5).reshape(1, 2, 2, 1)
  moved = jax.jvp(lambda x: pooling.max_pool3x3(x, 3), (x,), (change,))[1]
  np.testing.assert_array_equal(moved, jnp.ones((1, 1, 1, 1)))


def test_max_pool_side_by_side_equals_reduce_window_and_cuts_the_end():
  x = normal(2, 8, 7, 3)
  ours = pooling.max_pool(x, 3)
  np.testing.assert_array_equal(ours, nn.max_pool(x, (3, 3), (3, 3)))
  assert ours.shape == (2, 2, 2, 3)


def test_max_pool_with_ceil_keeps_what_is_left_at_the_end():
  x = normal(2, 8, 7, 3) - 5
  ours = pooling.max_pool(x, 3, ceil=True)
  ends = ((0, 1), (0, 2))
  expected = nn.max_pool(x, (3, 3), (3, 3), padding=ends)
  np.testing.assert_array_equal(ours, expected)
  assert ours.shape == (2, 3, 3, 3)


def test_max_pool_gives_the_whole_gradient_to_the_first_of_equals():
  gradient = jax.grad(lambda x: pooling.max_pool3x3(x, 3).sum())
  expected = np.zeros((1, 2, 2, 1))
  expected[0, 0, 0, 0] = 1
  np.testing.assert_array_equal(gradient(jnp.ones((1, 2, 2, 1))), expected)


@pytest.mark.parametrize('ceil', [False, True])
def test_gradient_side_by_side_is_that_of_reduce_window(ceil):
  x, out = normal(2, 7, 7, 3), normal(2, 3 + ceil, 3 + ceil, 3, seed=1)
  padding = [(0, 1), (0, 1)] if ceil else 'VALID'
  ours = jax.grad(lambda x: (pooling.max_pool(x, 2, ceil=ceil) * out).sum())(x)
  expected = jax.grad(
    lambda x: (nn.max_pool(x, (2, 2), (2, 2), padding=padding) * out).sum()
  )(x)
  np.testing.assert_array_equal(ours, expected)


def test_largest_of_last_and_its_gradient_are_those_of_the_place():
  x, out = normal(2, 3, 3, 5), normal(2, 3, 3, seed=1)
  np.testing.assert_array_equal(pooling.largest_of_last(x), x.max(-1))
  ours = jax.grad(lambda x: (pooling.largest_of_last(x) * out).sum())(x)
  place = np.argmax(x, -1)[..., None]
  expected = np.zeros_like(x)
  np.put_along_axis(expected, place, np.asarray(out)[..., None], -1)
  np.testing.assert_array_equal(ours, expected)
  nan = x.at[0, 0, 0, 2].set(jnp.nan)
  assert np.isnan(pooling.largest_of_last(nan)).sum() == 1


@pytest.mark.parametrize(
  'largest',
  [lambda x: pooling.max_pool(x, 2), lambda x: pooling.largest_of_last(x)],
  ids=['squares', 'last axis'],
)
def test_the_gradient_is_finite_where_xla_computes_values_twice(largest):
  """That of `max` is not: what rounds differently the second time wins not."""

  norm = nn.BatchNorm(use_running_average=False)
  kernel, images = normal(5, 5, 3, 32) / 9, normal(8, 28, 28, 3, seed=1)

  def loss(kernel):
    maps = lax.conv_general_dilated(
      images, kernel, (2, 2), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )
    maps, _ = norm.init_with_output(jax.random.key(0), maps)
    return (largest(maps) ** 2).sum()

  program = (
    jax.jit(jax.grad(loss))
    .lower(kernel)
    .compile({'xla_backend_optimization_level': 0})
  )
  assert np.isfinite(program(kernel)).all()


def test_max_pool_of_nan_is_nan():
  x = jnp.ones((1, 4, 4, 1)).at[0, 1, 1, 0].set(jnp.nan)
  pooled = np.asarray(pooling.max_pool3x3(x, 3))[0, :, :, 0]
  np.testing.assert_array_equal(np.isnan(pooled), [[True, False], [False] * 2])
  pooled = np.asarray(pooling.max_pool(x, 2))[0, :, :, 0]
  np.testing.assert_array_equal(np.isnan(pooled), [[True, False], [False] * 2])
