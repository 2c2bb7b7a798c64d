"""Layers that the models share, in the form that XLA runs fast.

Maps are `[b, h, w, c]`. Weights and biases start as PyTorch starts them:
uniform within 1 / sqrt(fan-in).
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
import numpy as np

ConvFn = Callable[..., Array]

# Patches larger than this leave a CPU's caches and fill its memory for nothing.
PATCH_BYTES = 2**26


def uniform_init(fan_in: int) -> nn.initializers.Initializer:
  """Initialiser uniform within 1 / sqrt(fan_in), PyTorch's default."""
  limit = fan_in**-0.5

  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -limit, limit)

  return init


def linear(
  features: int, fan_in: int, *, use_bias: bool = True, name: str | None = None
) -> nn.Dense:
  """Dense layer with PyTorch's initialisation of weight and bias."""
  init = uniform_init(fan_in)
  return nn.Dense(
    features, use_bias=use_bias, kernel_init=init, bias_init=init, name=name
  )


def patches(
  x: Float[Array, 'b h w c'], size: int, *, padding: int, stride: int = 1
) -> Float[Array, 'b h2 w2 p']:
  """Square neighbourhoods of a map, as vectors of (row, column, channel)."""
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
  """Convolution by a square kernel in the form that suits the backend.

  XLA runs a convolution 30 times slower on a CPU when it stands in a loop or
  under `vmap` over the kernel; there it is slices and a matrix product, of as
  many examples at a time as fit into `PATCH_BYTES`. `padding` is less than the
  kernel, on every side; `stride` 2 is for a 3x3 kernel with padding 1.
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
  """3x3 convolution; see `conv`."""
  return conv(x, kernel, padding=padding, stride=stride)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _im2col(padding, stride, x, kernel):
  flat = kernel.reshape(-1, kernel.shape[-1])

  def convolve(x):
    return patches(x, len(kernel), padding=padding, stride=stride) @ flat

  parts = _parts(x, len(kernel), stride)
  if len(parts) == 1:
    return convolve(x)
  y = jax.lax.map(convolve, parts)
  return y.reshape(-1, *y.shape[2:])


def _im2col_forward(padding, stride, x, kernel):
  return _im2col(padding, stride, x, kernel), (x, kernel)


def _im2col_backward(padding, stride, saved, gradient):
  """The slices' own gradient, padded sums, is slow: gather instead."""
  x, kernel = saved
  size = len(kernel)

  def part_backward(total, part):
    x, gradient = part
    seen = patches(x, size, padding=padding, stride=stride)
    total += jnp.einsum('bhwp,bhwd->pd', seen, gradient)
    if stride == 1:
      turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
      turned = turned.reshape(-1, turned.shape[-1])
      reached = patches(gradient, size, padding=size - 1 - padding)
      return total, reached @ turned
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
  """Examples in equal groups whose patches fit into `PATCH_BYTES`."""
  whole = size**2 * x.dtype.itemsize * x.size // stride**2
  counts = (count for count in range(1, len(x)) if len(x) % count == 0)
  fitting = (count for count in counts if whole // count <= PATCH_BYTES)
  return x.reshape(next(fitting, len(x)), -1, *x.shape[1:])


def _spread(gradient, kernel):
  """Gradient of the input of a convolution with stride 2, padding 1.

  An even row of the input is read by the kernel's middle row alone, an odd one
  by the last row of one window and the first of the next; so are columns.
  """
  b, h, w, _ = gradient.shape
  gradient = jnp.pad(gradient, ((0, 0), (0, 1), (0, 1), (0, 0)))
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
  """3x3 convolution, by default with bias and PyTorch's initialisation."""

  features: int
  padding: int = 1
  stride: int = 1
  use_bias: bool = True
  kernel_init: nn.initializers.Initializer | None = None
  conv: ConvFn = conv3x3

  @nn.compact
  def __call__(self, x: Float[Array, 'b h w c']) -> Float[Array, 'b h2 w2 d']:
    init = uniform_init(9 * x.shape[-1])
    shape = (3, 3, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init or init, shape)
    x = self.conv(x, kernel, padding=self.padding, stride=self.stride)
    if self.use_bias:
      x += self.param('bias', init, (self.features,))
    return x


def max_pool(
  x: Float[Array, 'b h w c'], size: int
) -> Float[Array, 'b h2 w2 c']:
  """Largest of each square, side by side; what is left at the end is cut."""
  b, h, w, c = x.shape
  rows, columns = h // size, w // size
  x = x[:, : rows * size, : columns * size]
  return x.reshape(b, rows, size, columns, size, c).max((2, 4))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def max_pool3x3(
  x: Float[Array, 'b h w c'], stride: int
) -> Float[Array, 'b h2 w2 c']:
  """Largest of each 3x3 window; the map is padded by one with -inf.

  The gradient goes to the first of equals, as PyTorch's. It is written out:
  that of `reduce_window` is very slow on a CPU, that of nine slices slow.
  """
  return _max_pool(x, stride)[0]


def _max_pool(x, stride):
  h, w = (stride * ((side - 1) // stride) + 1 for side in x.shape[1:3])
  pads = ((0, 0), (1, 1), (1, 1), (0, 0))
  padded = jnp.pad(x, pads, constant_values=-jnp.inf)
  parts = jnp.stack(
    [
      padded[:, row : row + h : stride, column : column + w : stride]
      for row in range(3)
      for column in range(3)
    ]
  )
  place = jax.lax.broadcasted_iota(jnp.int32, parts.shape, 0)
  start = (jnp.array(-jnp.inf, x.dtype), jnp.int32(0))
  largest, place = jax.lax.reduce((parts, place), start, first_largest, (0,))
  return largest, (place, x.shape)


def first_largest(
  one: tuple[Array, Array], other: tuple[Array, Array]
) -> tuple[Array, Array]:
  """Reducer of (value, place) that keeps the first of the largest, or NaN.

  On a CPU XLA runs its own maximum over a leading axis 40 times slower.
  """
  (value, place), (new_value, new_place) = one, other
  equal = (new_value == value) & (new_place < place)
  better = (new_value > value) | (new_value != new_value) | equal
  return (
    jnp.where(better, new_value, value),
    jnp.where(better, new_place, place),
  )


def _max_pool_backward(stride, saved, gradient):
  """Rows and columns by their remainder: each has at most 4 windows."""
  place, (b, h, w, c) = saved
  rows, columns = place.shape[1:3]
  place = jnp.pad(place, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-1)
  gradient = jnp.pad(gradient, ((0, 0), (1, 1), (1, 1), (0, 0)))

  def received(row, column):
    near = (
      slice(None),
      slice(1 - row // stride, rows + 2 - row // stride),
      slice(1 - column // stride, columns + 2 - column // stride),
    )
    return jnp.where(place[near] == 3 * row + column, gradient[near], 0)

  phases = jnp.stack(
    [
      sum(
        received(row, column)
        for row in range(first, 3, stride)
        for column in range(second, 3, stride)
      )
      for first in range(stride)
      for second in range(stride)
    ]
  )
  phases = phases.reshape(stride, stride, b, rows + 1, columns + 1, c)
  x = phases.transpose(2, 3, 0, 4, 1, 5)
  x = x.reshape(b, (rows + 1) * stride, (columns + 1) * stride, c)
  return (x[:, 1 : h + 1, 1 : w + 1],)


max_pool3x3.defvjp(_max_pool, _max_pool_backward)


class Weights(nn.Module):
  """Kernel and bias on their own, for a model that applies them itself."""

  shape: tuple[int, ...]

  @nn.compact
  def __call__(self) -> tuple[Array, Array]:
    init = uniform_init(int(np.prod(self.shape[:-1])))
    kernel = self.param('kernel', init, self.shape)
    return kernel, self.param('bias', init, self.shape[-1:])


class LayerNorm(nn.Module):
  """Layer norm over the channels, variance biased, eps inside the root."""

  epsilon: float = 1e-5

  @nn.compact
  def __call__(self, x: Float[Array, '*b c']) -> Float[Array, '*b c']:
    scale = self.param('scale', nn.initializers.ones, x.shape[-1:])
    bias = self.param('bias', nn.initializers.zeros, x.shape[-1:])
    x = x - x.mean(-1, keepdims=True)
    variance = jnp.square(x).mean(-1, keepdims=True)
    return x * jax.lax.rsqrt(variance + self.epsilon) * scale + bias


def gelu(x: Float[Array, '*b']) -> Float[Array, '*b']:
  """The exact GELU, x times the normal distribution function."""
  return 0.5 * x * (1 + jax.lax.erf(x * np.float32(0.5**0.5)))


class BatchNorm(nn.Module):
  """Batch norm over all axes but the last, as PyTorch's.

  In training the statistics are those of the rows that `mask` marks (True
  counts), of all rows if it marks none. The running variance is unbiased.
  """

  features: int
  momentum: float = 0.9
  epsilon: float = 1e-5

  def setup(self) -> None:
    shape = (self.features,)
    self.scale = self.param('scale', nn.initializers.ones, shape)
    self.bias = self.param('bias', nn.initializers.zeros, shape)
    self.mean = self.variable('batch_stats', 'mean', jnp.zeros, shape)
    self.var = self.variable('batch_stats', 'var', jnp.ones, shape)

  def __call__(
    self,
    x: Float[Array, 'b *h c'],
    *,
    train: bool,
    mask: Bool[Array, 'b'] | None = None,
  ) -> Float[Array, 'b *h c']:
    gain, offset = self.affine(moments(x, mask) if train else None)
    return x * gain + offset

  def affine(
    self, batch: tuple[Array, Array, Array] | None
  ) -> tuple[Float[Array, 'c'], Float[Array, 'c']]:
    """Gain and offset that normalise, by a batch or the running statistics.

    Args:
      batch: mean, biased variance and count of the batch in training, which
        enter the running statistics; None in evaluation.
    """
    mean, var = self.mean.value, self.var.value
    if batch is not None:
      mean, var, count = batch
      if not self.is_initializing():
        new = 1 - self.momentum
        unbiased = var * count / jnp.maximum(count - 1, 1)
        self.mean.value += new * (mean - self.mean.value)
        self.var.value += new * (unbiased - self.var.value)
    gain = self.scale * jax.lax.rsqrt(var + self.epsilon)
    return gain, self.bias - mean * gain


def moments(
  x: Float[Array, 'b *h c'], mask: Bool[Array, 'b'] | None
) -> tuple[Float[Array, 'c'], Float[Array, 'c'], Float[Array, '']]:
  """Mean, biased variance and count of the rows that `mask` marks, or all."""
  rows = x.reshape(x.shape[0], -1, x.shape[-1])
  weight = row_weights(mask, x.shape[0])
  count = weight.sum() * rows.shape[1]
  # Statistics are not for the short numbers of an accelerator's matrix units.
  dot = functools.partial(jnp.dot, precision=jax.lax.Precision.HIGHEST)
  mean = dot(weight, rows.sum(1)) / count
  square = dot(weight, jnp.square(rows).sum(1)) / count
  return mean, jnp.maximum(square - jnp.square(mean), 0), count


def row_weights(mask: Bool[Array, 'b'] | None, size: int) -> Float[Array, 'b']:
  """One for each row that counts: all of them if `mask` marks none."""
  if mask is None:
    return jnp.ones(size)
  return jnp.where(mask.any(), mask, True).astype(jnp.float32)


class Dropout(nn.Module):
  """Dropout from as few random bits as the rate needs.

  A rate that is a multiple of 1/2, 1/4 or 1/16 takes 1, 2 or 4 bits a value
  and is exact; any other takes 8 and is rounded to a multiple of 1/256. What
  is kept is divided by the true probability of keeping it.
  """

  rate: float

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b *h'], *, train: bool
  ) -> Float[Array, 'b *h']:
    if not 0 <= self.rate < 1:
      raise ValueError(f'dropout rate is {self.rate}; expected 0 <= rate < 1')
    if not train or self.rate == 0:
      return x
    exact = (p for p in (1, 2, 4) if (self.rate * 2**p).is_integer())
    width = next(exact, 8)
    threshold = min(round(self.rate * 2**width), 2**width - 1)
    bits = random_bits(self.make_rng('dropout'), x.shape, width=width)
    scale = 2**width / (2**width - threshold)
    return jnp.where(bits >= threshold, x * scale, 0)


class DropPath(nn.Module):
  """Stochastic depth: the whole branch of an example is dropped, or kept.

  Huang et al., "Deep networks with stochastic depth", arXiv 1603.09382. What is
  kept is divided by the probability of keeping it; the rate is that of
  `Dropout`, rounded in the same way.
  """

  rate: float

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b *h'], *, train: bool
  ) -> Float[Array, 'b *h']:
    ones = jnp.ones((x.shape[0], *(1 for _ in x.shape[1:])), x.dtype)
    kept = Dropout(self.rate)(ones, train=train)
    return x * kept if train and self.rate else x


def random_bits(key: Array, shape: tuple[int, ...], *, width: int) -> Array:
  """Random integers of `width` (1, 2, 4, 8) bits, as uint32 of that shape.

  `jax.random.bits` spends a whole 32-bit word on each, whatever the width. A
  word is cut along the first axis, so that the others stay contiguous.
  """
  rows, *rest = shape
  cuts = 32 // width
  words = jax.random.bits(key, (-(-rows // cuts), *rest), jnp.uint32)
  shifts = np.arange(cuts, dtype=np.uint32) * np.uint32(width)
  bits = words[:, None] >> shifts.reshape(-1, *(1 for _ in rest))
  bits = bits & np.uint32(2**width - 1)
  return bits.reshape(-1, *rest)[:rows]
