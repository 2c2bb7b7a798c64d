"""Our max-pools and their gradients against XLA's own."""

from __future__ import annotations

import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import pooling
from tests import closeness


def normal(*shape, seed=0):
  return jax.random.normal(jax.random.key(seed), shape)


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

  ours = both(lambda x: pooling.max_pool3x3(x, stride))
  for mine, true in zip(ours, both(xla_pool), strict=True):
    closeness.assert_close(mine, true, 5e-7)


def test_max_pool_side_by_side_equals_reduce_window_and_cuts_the_end():
  x = normal(2, 8, 7, 3)
  ours = pooling.max_pool(x, 3)
  np.testing.assert_array_equal(ours, nn.max_pool(x, (3, 3), (3, 3)))
  assert ours.shape == (2, 2, 2, 3)


def test_max_pool_gives_the_whole_gradient_to_the_first_of_equals():
  gradient = jax.grad(lambda x: pooling.max_pool3x3(x, 3).sum())
  expected = np.zeros((1, 2, 2, 1))
  expected[0, 0, 0, 0] = 1
  np.testing.assert_array_equal(gradient(jnp.ones((1, 2, 2, 1))), expected)


def test_max_pool_of_nan_is_nan():
  x = jnp.ones((1, 4, 4, 1)).at[0, 1, 1, 0].set(jnp.nan)
  pooled = np.asarray(pooling.max_pool3x3(x, 3))[0, :, :, 0]
  np.testing.assert_array_equal(np.isnan(pooled), [[True, False], [False] * 2])
