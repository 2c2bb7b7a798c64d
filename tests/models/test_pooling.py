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


def test_max_pool_of_nan_is_nan():
  x = jnp.ones((1, 4, 4, 1)).at[0, 1, 1, 0].set(jnp.nan)
  pooled = np.asarray(pooling.max_pool3x3(x, 3))[0, :, :, 0]
  np.testing.assert_array_equal(np.isnan(pooled), [[True, False], [False] * 2])
