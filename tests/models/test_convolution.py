"""Our convolution and its gradients against XLA's own."""

from __future__ import annotations

import jax
from jax import export
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import convolution
from tests import closeness


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
  [
    (3, 0, 1),
    (3, 1, 1),
    (3, 2, 1),
    (3, 1, 2),
    (5, 0, 1),
    (5, 2, 1),
    (5, 2, 2),
    (4, 1, 3),
  ],
)
def test_conv_and_its_gradients_equal_xla_convolution(
  size, padding, stride, patch_bytes, monkeypatch
):
  monkeypatch.setattr(convolution, 'PATCH_BYTES', patch_bytes)
  x, kernel = normal(6, 7, 6, 3), normal(size, size, 3, 5, seed=1)

  def both(conv):
    @jax.jit
    def both(x, kernel):
      y, backward = jax.vjp(conv, x, kernel)
      return y, *backward(jnp.cos(y))

    return both(x, kernel)

  options = {'padding': padding, 'stride': stride}
  ours = both(lambda x, k: convolution.conv(x, k, **options))
  xla = both(lambda x, k: xla_conv(x, k, **options))
  for mine, true in zip(ours, xla, strict=True):
    closeness.assert_close(mine, true, 5e-6)


@pytest.mark.parametrize('patch_bytes', [2**26, 3000])
@pytest.mark.parametrize(
  'size, padding, stride',
  [(3, 0, 1), (3, 2, 1), (3, 1, 2), (5, 2, 1), (5, 2, 2)],
)
def test_derivatives_of_conv_to_second_order_equal_those_of_xla_convolution(
  size, padding, stride, patch_bytes, monkeypatch
):
  monkeypatch.setattr(convolution, 'PATCH_BYTES', patch_bytes)
  options = {'padding': padding, 'stride': stride}

  def derive(conv):
    def loss(point):
      return jnp.sin(conv(*point, **options)).sum()

    @jax.jit
    def derive(point, direction):
      gradient = jax.grad(loss)
      return (
        jax.jvp(lambda p: conv(*p, **options), (point,), (direction,)),
        jax.jvp(gradient, (point,), (direction,)),
        jax.grad(
          lambda p: sum(
            jnp.vdot(*pair) for pair in zip(gradient(p), direction, strict=True)
          )
        )(point),
      )

    return derive(point, direction)

  with jax.enable_x64(True):
    point = normal(6, 7, 6, 3), normal(size, size, 3, 5, seed=1)
    direction = normal(6, 7, 6, 3, seed=2), normal(size, size, 3, 5, seed=3)
    ours, xla = derive(convolution.conv), derive(xla_conv)
  assert jax.tree.leaves(ours)[0].dtype == np.float64
  for mine, true in zip(
    jax.tree.leaves(ours), jax.tree.leaves(xla), strict=True
  ):
    closeness.assert_close(mine, true, 1e-12)


def test_conv_has_second_derivatives_under_vmap_over_the_kernel():
  x, kernels = normal(2, 6, 5, 3), normal(4, 3, 3, 3, 2, seed=1)

  def curvature(conv):
    def loss(kernel):
      return jnp.sin(conv(x, kernel, padding=1, stride=2)).sum()

    def along(kernel):
      return jax.jvp(jax.grad(loss), (kernel,), (kernel,))[1]

    return jax.jit(jax.vmap(along))(kernels)

  closeness.assert_close(curvature(convolution.conv), curvature(xla_conv), 1e-5)


@pytest.mark.parametrize('patch_bytes', [2**26, 3000])
@pytest.mark.parametrize('stride', [1, 2])
def test_conv_exported_for_any_batch_equals_conv(
  stride, patch_bytes, monkeypatch
):
  monkeypatch.setattr(convolution, 'PATCH_BYTES', patch_bytes)
  kernel = normal(3, 3, 2, 4, seed=1)

  def call(x):
    return convolution.conv3x3(x, kernel, stride=stride)

  (batch,) = export.symbolic_shape('batch')
  shape = jax.ShapeDtypeStruct((batch, 7, 6, 2), jnp.float32)
  exported = export.export(jax.jit(call))(shape)
  for size in (1, 2, 7):
    x = normal(size, 7, 6, 2)
    closeness.assert_close(exported.call(x), call(x), 1e-6)


def test_patches_of_a_few_examples_at_a_time_take_less_memory(monkeypatch):
  def bytes_needed(limit):
    monkeypatch.setattr(convolution, 'PATCH_BYTES', limit)
    # A function of its own, so that nothing is found in a cache.
    program = jax.jit(jax.grad(lambda k, x: convolution.conv3x3(x, k).sum()))
    shapes = normal(3, 3, 8, 8), normal(16, 32, 32, 8)
    memory = program.lower(*shapes).compile().memory_analysis()
    return memory.temp_size_in_bytes

  if jax.default_backend() != 'cpu':
    pytest.skip('other backends use the convolution')
  patches = 4 * 16 * 32 * 32 * 72
  assert bytes_needed(patches) > patches > 3 * bytes_needed(patches // 8)


@pytest.mark.parametrize('padding, stride', [(3, 1), (-1, 2), (1, 0)])
def test_conv_refuses_other_paddings_and_strides(padding, stride):
  with pytest.raises(ValueError, match='expected a stride of 1 or more'):
    convolution.conv3x3(
      normal(1, 8, 8, 1), normal(3, 3, 1, 1), padding=padding, stride=stride
    )


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('loop', [jax.vmap, lambda f: lambda *a: lax.map(f, a)])
def test_cpu_program_holds_no_convolution_and_no_branch(loop, stride):
  """XLA's convolutions in loops and under vmap are 30 times slower there."""
  if jax.default_backend() != 'cpu':
    pytest.skip('other backends use the convolution')

  def loss(kernel, x):
    return jnp.square(convolution.conv3x3(x, kernel, stride=stride)).sum()

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
