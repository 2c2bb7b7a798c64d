"""Convolution by a square kernel, in the form that is fast on each backend.

Accelerators get XLA's own convolution. On a CPU XLA runs a convolution about 30
times slower inside a loop or under `vmap` over the kernel, and a training of
many folds has both. So on a CPU the convolution is slices and a matrix product
("im2col"), and so is its gradient.

Maps are `[b, h, w, c]`.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import itertools
import math

import flax.linen as nn
import jax
from jax import custom_derivatives
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float

from mejax.models import dtypes as dtypes_lib
from mejax.models import layers
from mejax.models import product
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
  # Neighbours in a row first, then rows of them: of few and long pieces, which
  # takes XLA a fraction of the time that size**2 short ones take.
  for axis in (2, 1):
    end = x.shape[axis] - size + 1
    x = jnp.concatenate(
      [jax.lax.slice_in_dim(x, i, i + end, stride, axis) for i in range(size)],
      -1,
    )
  return x


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
    stride: places between two outputs, 1 or more.

  Raises:
    ValueError: the padding or the stride is another number.
  """
  size = kernel.shape[0]
  if not 0 <= padding < size or stride < 1:
    raise ValueError(
      f'kernel {size}x{size}, stride {stride}, padding {padding}; expected a'
      ' stride of 1 or more and a padding less than the kernel'
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


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _im2col(padding, stride, x, kernel):
  """Convolves on a CPU: patches times the flattened kernel."""
  flat = kernel.reshape(-1, kernel.shape[-1])

  def convolve(x):
    return patches(x, len(kernel), padding=padding, stride=stride) @ flat

  return _in_groups(convolve, x, _count_groups(x, len(kernel), stride))


@functools.partial(_im2col.defjvp, symbolic_zeros=True)
def _im2col_jvp(padding, stride, primals, tangents):
  """Returns the convolution, and its derivative in a direction.

  JAX makes the gradient by transposing the derivative. The transpose of slices
  is a sum of padded maps, here nine of them, and reads and writes the map nine
  times; the transpose of padded maps is a sum of slices, in one pass. Training
  needs the gradient, so the slices are on its side: the derivative by the map
  is made of padded maps, with stride 2 a sum of them. All of it is plain JAX,
  so derivatives of every order and mode exist.
  """
  x, kernel = primals
  # None does not vary, as the images in training.
  dx, d_kernel = (
    None if isinstance(tangent, custom_derivatives.SymbolicZero) else tangent
    for tangent in tangents
  )

  # The backward pass makes the patches again. Kept since the forward pass, they
  # would take nine times the memory of the map.
  @functools.partial(jax.checkpoint, prevent_cse=False)
  def derive(group):
    x, dx = group
    terms = []
    if d_kernel is not None:
      seen = patches(x, len(kernel), padding=padding, stride=stride)
      flat = d_kernel.reshape(-1, d_kernel.shape[-1])
      # The gradient by the kernel then reads that of the outputs as it lies.
      # XLA would fuse a transposed copy with all that it comes from.
      terms.append(product.by_rows(seen, flat))
    if dx is not None and stride == 1:
      terms.append(_spread(dx, kernel, padding))
    elif dx is not None and (len(kernel), padding, stride) == (3, 1, 2):
      terms.append(_spread_by_two(dx, kernel))
    elif dx is not None:
      # Only first layers are of another kind, and training does not ask for the
      # gradient by its images.
      seen = patches(dx, len(kernel), padding=padding, stride=stride)
      terms.append(seen @ kernel.reshape(-1, kernel.shape[-1]))
    return sum(terms)

  count = _count_groups(x, len(kernel), stride)
  dy = _in_groups(derive, (x, dx), count)
  return _im2col(padding, stride, x, kernel), dy


def _count_groups(x, size, stride):
  """Returns in how many equal groups the patches fit into `PATCH_BYTES`.

  Groups are equal because they are the steps of one loop. If no divisor of the
  batch fits, each example is a group.
  """
  batch, *shape = x.shape
  example = size**2 * x.dtype.itemsize * math.prod(shape) / stride**2
  if not isinstance(batch, int):
    # The batch of an exported model is unknown: all at once, or one by one.
    return batch if 16 * example > PATCH_BYTES else 1
  counts = (count for count in range(1, batch) if batch % count == 0)
  fitting = (c for c in counts if batch // c * example <= PATCH_BYTES)
  return next(fitting, batch)


def _in_groups(function, maps, count):
  """Applies a function of maps to one group of examples after the other."""
  if isinstance(count, int) and count == 1:
    return function(maps)
  y = jax.lax.map(
    function,
    jax.tree.map(
      lambda x: x.reshape(count, x.shape[0] // count, *x.shape[1:]), maps
    ),
  )
  return y.reshape(-1, *y.shape[2:])


def _spread(x, kernel, padding):
  """Convolves with stride 1; the patches are made of padded maps, not slices.

  So the gradient is a product and a sum of slices: the share of each of the
  s x s places that an output has read in its gradient, and for each place the
  sum of its shares. Patches of the outputs' gradient would be one more copy,
  and a wider one where a layer widens.
  """
  size = len(kernel)
  # The full padding, size - 1, less what the convolution has.
  room, cut = size - 1, size - 1 - padding
  around = jnp.concatenate(
    [
      jnp.pad(x, ((0, 0), (room - i, i), (room - j, j), (0, 0)))
      for i, j in itertools.product(range(size), repeat=2)
    ],
    -1,
  )
  around = around[:, cut : around.shape[1] - cut, cut : around.shape[2] - cut]
  return around @ kernel.reshape(-1, kernel.shape[-1])


def _spread_by_two(x, kernel):
  """Convolves with stride 2 and padding 1: products first, then padded maps.

  Only the kernel's middle row reads an even row of the map. An odd row is read
  by the kernel's last row, and by its first row in the next window. The same
  holds for columns. So each of the four kinds of places is a dense product.
  Written with stride 1 on a map with zeros between, the gradient would mostly
  multiply by zero.
  """
  b, h, w, c = x.shape
  rows, columns = (h + 1) // 2, (w + 1) // 2
  x = jnp.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)))
  x = x.reshape(b, rows, 2, columns, 2, c).transpose(2, 4, 0, 1, 3, 5)
  phases = jax.lax.split(x.reshape(4, b, rows, columns, c), (1,) * 4)
  # (row of the kernel, 0 for this window or 1 for the next), for an even and
  # for an odd row of the map.
  readers = ([(1, 0)], [(2, 0), (0, 1)])
  total = 0
  kinds = itertools.product(readers, readers)
  for phase, (rows_of, columns_of) in zip(phases, kinds, strict=True):
    taps = list(itertools.product(rows_of, columns_of))
    weights = [kernel[row, column].T for (row, _), (column, _) in taps]
    parts = jnp.einsum('bhwc,pc->bhwp', phase[0], jnp.concatenate(weights))
    total += _add_up(parts, [(i, j) for (_, i), (_, j) in taps], 1)
  # If a side is odd, the places spread to one row too many.
  return total[:, :rows, :columns]


def _add_up(parts, places, room):
  """Adds maps that lie side by side in the channels, each moved to its place.

  Args:
    parts: the maps.
    places: row and column of each map's corner in the sum.
    room: rows and columns by which the sum is larger than a map.
  """
  places = list(places)
  width = parts.shape[-1] // len(places)
  # The transpose of `split` joins; that of slices would add padded maps.
  parts = jax.lax.split(parts, (width,) * len(places), parts.ndim - 1)
  return sum(
    jnp.pad(part, ((0, 0), (i, room - i), (j, room - j), (0, 0)))
    for part, (i, j) in zip(parts, places, strict=True)
  )


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
