"""The product of layers and its gradients against float64 NumPy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import product
from tests import closeness


def normal(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape)


def multiply(x, kernel):
  return product.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))


@pytest.mark.parametrize('rows', [(), (6,), (3, 4)])
@pytest.mark.parametrize('width', [4, 7])
def test_product_and_its_gradients_are_those_of_numpy(rows, width):
  x, kernel = normal(*rows, 5), normal(5, width)
  seed = normal(*rows, width, seed=1)

  @jax.jit
  def both(x, kernel, seed):
    y, backward = jax.vjp(multiply, x, kernel)
    return y, *backward(seed)

  ours = both(*map(jnp.float32, (x, kernel, seed)))
  flat = x.reshape(-1, 5).T @ seed.reshape(-1, width)
  for mine, true in zip(ours, (x @ kernel, seed @ kernel.T, flat), strict=True):
    closeness.assert_close(mine, true, 1e-6)


@pytest.mark.parametrize('width', [4, 7])
def test_product_of_many_kernels_and_its_second_derivative_are_those_of_jax(
  width,
):
  x, kernels = jnp.float32(normal(6, 5)), jnp.float32(normal(3, 5, width))

  def curvature(multiply):
    def loss(kernel):
      return jnp.sin(multiply(x, kernel)).sum()

    def along(kernel):
      return jax.jvp(jax.grad(loss), (kernel,), (kernel,))[1]

    return jax.jit(jax.vmap(along))(kernels)

  closeness.assert_close(curvature(multiply), curvature(jnp.matmul), 1e-5)
