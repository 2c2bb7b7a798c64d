"""Convolution by a square kernel, in the form that is fast on each backend.

Accelerators get XLA's own convolution. On a CPU XLA runs a convolution about 30
times slower inside a loop or under `vmap` over the kernel, and a training of
many folds has both. So on a CPU the convolution is slices and a matrix product
("im2col"), with a gradient of its own.

Maps are `[b, h, w, c]`.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float

from mejax.models import dtypes as dtypes_lib
from mejax.models import layers
from mejax.models.dtypes import DTypes

ConvFn = Callable[..., Array]

# Largest size of the patches at a time, in bytes. More would leave a CPU's
# caches and fill its memory, and would not be faster.
PATCH_BYTES = 2**26


def patches(
  x: Float[Array, 'b h w c'], size: int, *, padding: int, stride: int = 1
) -> Float[Array, 'b h2 w2 p']:
  """Returns the square neighbourhoods of a map, each flattened to a vector.

  The order in a vector is (row, column, channel), that of a kernel's axes.
  """
  x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
  h, w = (side - size + 1 for side in x.shape[1:3])
  return jnp.concatenate(
    [
      x[:, row : row + h : stride, column : column + w : stride]
      for row in range(size)
      for column in range(size)
    ],
    -1,
  )


def conv(
  x: Float[Array, 'b h w c'],
  kernel: Float[Array, 's s c d'],
  *,
  padding: int,
  stride: int = 1,
) -> Float[Array, 'b h2 w2 d']:
  """Convolves a map with a square kernel.

  Args:
    x: the map.
    kernel: weights of s x s neighbours.
    padding: zeros on every side, fewer than s.
    stride: 1, or 2 for a 3x3 kernel with padding 1.

  Raises:
    ValueError: another combination of kernel, stride and padding.
  """
  size = kernel.shape[0]
  if not 0 <= padding < size or (stride, size, padding) not in (
    (1, size, padding),
    (2, 3, 1),
  ):
    raise ValueError(
      f'kernel {size}x{size}, stride {stride}, padding {padding}; expected'
      ' stride 1 and a padding less than the kernel, or kernel 3x3, stride 2'
      ' and padding 1'
    )

  def native(x, kernel):
    pads = [(padding, padding)] * 2
    return jax.lax.conv_general_dilated(
      x, kernel, (stride,) * 2, pads, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
    )

  # The choice is made when the program is compiled; it leaves no branch in it.
  return jax.lax.platform_dependent(
    x,
    kernel,
    cpu=functools.partial(_im2col, padding, stride),
    default=native,
  )


def conv3x3(
  x: Float[Array, 'b h w c'],
  kernel: Float[Array, '3 3 c d'],
  *,
  padding: int = 1,
  stride: int = 1,
) -> Float[Array, 'b h2 w2 d']:
  """Convolves a map with a 3x3 kernel; see `conv`."""
  return conv(x, kernel, padding=padding, stride=stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _im2col(padding, stride, x, kernel):
  """Convolves on a CPU: patches times the flattened kernel."""
  flat = kernel.reshape(-1, kernel.shape[-1])

  def convolve(x):
    return patches(x, len(kernel), padding=padding, stride=stride) @ flat

  parts = _parts(x, len(kernel), stride)
  if len(parts) == 1:
    return convolve(x)
  # One group after the other, because the patches of a batch are 9 or 25 times
  # as large as its maps.
  y = jax.lax.map(convolve, parts)
  return y.reshape(-1, *y.shape[2:])


def _im2col_forward(padding, stride, x, kernel):
  return _im2col(padding, stride, x, kernel), (x, kernel)


def _im2col_backward(padding, stride, saved, gradient):
  """Returns the gradients of map and kernel.

  JAX's own gradient of the slices is a sum of nine padded maps, which reads and
  writes the map nine times. Here each place gathers what reaches it: patches of
  the output's gradient times the kernel, turned by half a circle.
  """
  x, kernel = saved
  size = len(kernel)

  def part_backward(total, part):
    x, gradient = part
    # The patches are made again. Kept since the forward pass, they would take
    # nine times the memory of the map.
    seen = patches(x, size, padding=padding, stride=stride)
    total += jnp.einsum('bhwp,bhwd->pd', seen, gradient)
    if stride == 1:
      # The outputs around a place read it, and the one above does so through
      # the kernel's last row. So the kernel is turned, and its inputs and
      # outputs are exchanged.
      turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
      turned = turned.reshape(-1, turned.shape[-1])
      # The full padding, size - 1, less what the forward pass had.
      reached = patches(gradient, size, padding=size - 1 - padding)
      return total, reached @ turned
    # If a side is odd, the outputs spread to one row too many.
    return total, _spread(gradient, kernel)[:, : x.shape[1], : x.shape[2]]

  total = jnp.zeros((size**2 * kernel.shape[2], kernel.shape[3]), kernel.dtype)
  xs = _parts(x, size, stride)
  gradients = gradient.reshape(*xs.shape[:2], *gradient.shape[1:])
  if len(xs) == 1:
    total, x_gradient = part_backward(total, (xs[0], gradients[0]))
  else:
    total, x_gradient = jax.lax.scan(part_backward, total, (xs, gradients))
  return x_gradient.reshape(x.shape), total.reshape(kernel.shape)


_im2col.defvjp(_im2col_forward, _im2col_backward)


def _parts(x, size, stride):
  """Splits the examples into equal groups with patches of `PATCH_BYTES`.

  Groups are equal because they are the steps of one loop. If no divisor of the
  batch fits, each example is a group.
  """
  whole = size**2 * x.dtype.itemsize * x.size // stride**2
  counts = (count for count in range(1, len(x)) if len(x) % count == 0)
  fitting = (count for count in counts if whole // count <= PATCH_BYTES)
  return x.reshape(next(fitting, len(x)), -1, *x.shape[1:])


def _spread(gradient, kernel):
  """Returns the gradient of the input of a convolution of stride 2, padding 1.

  Only the kernel's middle row reads an even row of the input. An odd row is
  read by the kernel's last row, and by its first row in the next window. The
  same holds for columns. So each of the four kinds of places is a dense
  product, and the four are interleaved in the end. Written with stride 1 on a
  map with zeros between, it would mostly multiply by zero.
  """
  b, h, w, _ = gradient.shape
  gradient = jnp.pad(gradient, ((0, 0), (0, 1), (0, 1), (0, 0)))
  # (row of the kernel, 0 for this window or 1 for the next), for an even and
  # for an odd row of the input.
  readers = ([(1, 0)], [(2, 0), (0, 1)])
  phases = []
  for rows, columns in itertools.product(readers, readers):
    taps = list(itertools.product(rows, columns))
    near = [gradient[:, i : i + h, j : j + w] for (_, i), (_, j) in taps]
    weights = [kernel[row, column].T for (row, _), (column, _) in taps]
    phases.append(jnp.concatenate(near, -1) @ jnp.concatenate(weights))
  x = jnp.stack(phases).reshape(2, 2, b, h, w, -1)
  return x.transpose(2, 3, 0, 4, 1, 5).reshape(b, 2 * h, 2 * w, -1)


class Conv3x3(nn.Module):
  """3x3 convolution, by default with bias and PyTorch's initialisation.

  Attributes:
    features: number of channels of the output.
    padding: number of zeros on every side.
    stride: 1 or 2.
    use_bias: whether a bias is added.
    kernel_init: initialiser of the kernel, in place of PyTorch's.
    conv: computes the convolution, called as `conv3x3` is.
    dtypes: of the convolution and the parameters.
  """

  features: int
  padding: int = 1
  stride: int = 1
  use_bias: bool = True
  kernel_init: nn.initializers.Initializer | None = None
  conv: ConvFn = conv3x3
  dtypes: DTypes = dtypes_lib.DEFAULT

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 d']:
    dtype, param_dtype = self.dtypes
    init = layers.uniform_init(9 * x.shape[-1])
    shape = (3, 3, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init or init, shape, param_dtype)
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=dtype)
    x = self.conv(x, kernel, padding=self.padding, stride=self.stride)
    if self.use_bias:
      bias = self.param('bias', init, shape[-1:], param_dtype)
      x += bias.astype(x.dtype)
    return x
