"""Linear layers, norms and dropout that the models share.

Convolutions are in `convolution.py`, max-pooling is in `pooling.py`. Weights
and biases start as in PyTorch: uniform within 1 / sqrt(fan-in). Every layer
with parameters takes its dtypes; see `dtypes.py`.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
import numpy as np

from mejax.models import dtypes as dtypes_lib
from mejax.models import product
from mejax.models.dtypes import DTypes

# An int, or a symbol where a model is exported for batches of any size.
Size = Any


def uniform_init(fan_in: int) -> nn.initializers.Initializer:
  """Returns PyTorch's default initialiser: uniform within 1 / sqrt(fan_in)."""
  limit = fan_in**-0.5

  def init(key, shape, dtype=jnp.float32):
    return jax.random.uniform(key, shape, dtype, -limit, limit)

  return init


def linear(
  features: int,
  fan_in: int,
  *,
  use_bias: bool = True,
  dtypes: DTypes = dtypes_lib.DEFAULT,
  name: str | None = None,
) -> nn.Dense:
  """Returns a dense layer with PyTorch's initialisation of weight and bias."""
  init = uniform_init(fan_in)
  return nn.Dense(
    features,
    use_bias=use_bias,
    kernel_init=init,
    bias_init=init,
    name=name,
    dot_general=product.dot_general,
    **dtypes._asdict(),
  )


class Weights(nn.Module):
  """Kernel and bias (or None) alone, for a model that applies them itself."""

  shape: tuple[int, ...]
  dtypes: DTypes = dtypes_lib.DEFAULT
  use_bias: bool = True

  @nn.compact
  def __call__(self) -> tuple[Array, Array | None]:
    dtype, param_dtype = self.dtypes
    init = uniform_init(int(np.prod(self.shape[:-1])))
    kernel = self.param('kernel', init, self.shape, param_dtype)
    if not self.use_bias:
      return nn.dtypes.promote_dtype(kernel, dtype=dtype)[0], None
    bias = self.param('bias', init, self.shape[-1:], param_dtype)
    return tuple(nn.dtypes.promote_dtype(kernel, bias, dtype=dtype))


class LayerNorm(nn.Module):
  """Layer norm over the channels, with PyTorch's conventions.

  The variance is biased, and epsilon is added to it before the root is taken.
  """

  epsilon: float = 1e-5
  dtypes: DTypes = dtypes_lib.DEFAULT

  @nn.compact
  def __call__(self, x: Float[Array, '*b c']) -> Float[Array, '*b c']:
    kind = x.shape[-1:], self.dtypes.param_dtype
    scale = self.param('scale', nn.initializers.ones, *kind)
    bias = self.param('bias', nn.initializers.zeros, *kind)
    dtype = self.dtypes.of(x, scale, bias)
    x = x.astype(dtypes_lib.widen(dtype))

    def normalise(x, scale, bias):
      # Flax takes E[x^2] - E[x]^2 instead, which cancels where the mean is
      # large.
      x = x - x.mean(-1, keepdims=True)
      variance = jnp.square(x).mean(-1, keepdims=True)
      return x * jax.lax.rsqrt(variance + self.epsilon) * scale + bias

    def normalise_rows(x, scale, bias):
      return normalise(x.reshape(-1, x.shape[-1]), scale, bias).reshape(x.shape)

    # As rows: over an axis of one, as that of a lone block, XLA's CPU library
    # takes ten times as long for the sums of products in the gradient. For a
    # GPU the rows would lead to copies.
    x = jax.lax.platform_dependent(
      x, scale, bias, cuda=normalise, rocm=normalise, default=normalise_rows
    )
    return x.astype(dtype)


def gelu(x: Float[Array, '*b']) -> Float[Array, '*b']:
  """Returns the exact GELU, x times the normal distribution function."""
  return 0.5 * x * (1 + jax.lax.erf(x * 0.5**0.5))


class BatchNorm(nn.Module):
  """Batch norm over all axes but the last, with PyTorch's conventions.

  In training the statistics are those of the examples that `mask` marks. The
  batches of a small fold are filled up with repeated examples, so that all
  folds have equal shapes; the repeats must not shift the statistics. They are
  normalised like the others, but do not enter the statistics. The running
  variance is unbiased.

  Attributes:
    features: number of channels.
    momentum: share of the old running statistics that a step keeps.
    epsilon: added to the variance before the root is taken.
    dtypes: of the result and the parameters; the statistics are float32, or
      wider if the parameters are.
  """

  features: int
  momentum: float = 0.9
  epsilon: float = 1e-5
  dtypes: DTypes = dtypes_lib.DEFAULT

  def setup(self) -> None:
    shape, dtype = (self.features,), self.dtypes.param_dtype
    self.scale = self.param('scale', nn.initializers.ones, shape, dtype)
    self.bias = self.param('bias', nn.initializers.zeros, shape, dtype)
    dtype = dtypes_lib.widen(dtype)
    self.mean = self.variable('batch_stats', 'mean', jnp.zeros, shape, dtype)
    self.var = self.variable('batch_stats', 'var', jnp.ones, shape, dtype)

  def __call__(
    self,
    x: Float[Array, 'b *h c'],
    *,
    train: bool,
    mask: Bool[Array, 'b'] | None = None,
  ) -> Float[Array, 'b *h c']:
    gain, offset = self.affine(moments(x, mask) if train else None)
    dtype = self.dtypes.of(x, self.scale, self.bias)
    return (x * gain + offset).astype(dtype)

  def affine(
    self, batch: tuple[Array, Array, Array] | None
  ) -> tuple[Float[Array, 'c'], Float[Array, 'c']]:
    """Returns gain and offset that normalise, and updates the statistics.

    Args:
      batch: mean, biased variance and count of the batch in training, which
        enter the running statistics; None in evaluation, where the running
        statistics normalise.
    """
    mean, var = self.mean.value, self.var.value
    if batch is not None:
      mean, var, count = batch
      # The batch that only draws the weights must not enter the statistics.
      if not self.is_initializing():
        new, dtype = 1 - self.momentum, self.mean.value.dtype
        # A count of one has no unbiased variance: it stays 0, not 0 / 0.
        unbiased = var * count / jnp.maximum(count - 1, 1)
        self.mean.value += (new * (mean - self.mean.value)).astype(dtype)
        self.var.value += (new * (unbiased - self.var.value)).astype(dtype)
    # Two numbers a channel, so that the map is read and written only once.
    gain = self.scale * jax.lax.rsqrt(var + self.epsilon)
    return gain, self.bias - mean * gain


def moments(
  x: Float[Array, 'b *h c'], mask: Bool[Array, 'b'] | None
) -> tuple[Float[Array, 'c'], Float[Array, 'c'], Float[Array, '']]:
  """Returns mean, biased variance and count per channel.

  Args:
    x: maps or vectors.
    mask: examples that count; all of them if None, or if it marks none.
  """
  rows = x.reshape(x.shape[0], -1, x.shape[-1])
  rows = rows.astype(dtypes_lib.widen(x.dtype))
  weight = row_weights(mask, x.shape[0])
  count = weight.sum() * rows.shape[1]
  # An accelerator's matrix units round to bfloat16 or TF32 by default: too
  # coarse for a difference of squares.
  dot = functools.partial(jnp.dot, precision=jax.lax.Precision.HIGHEST)
  mean = dot(weight, rows.sum(1)) / count
  square = dot(weight, jnp.square(rows).sum(1)) / count
  # One pass over the map instead of two. Rounding can make the difference of a
  # constant channel negative, and its root NaN.
  return mean, jnp.maximum(square - jnp.square(mean), 0), count


def row_weights(mask: Bool[Array, 'b'] | None, size: Size) -> Float[Array, 'b']:
  """Returns 1 for each row that counts and 0 for the others.

  If `mask` marks no row, all count: a fold that has run out of batches goes
  through a step that changes nothing, in which a mean over no rows would be
  NaN.
  """
  if mask is None:
    return jnp.ones(size, jnp.float32)
  return jnp.where(mask.any(), mask, True).astype(jnp.float32)


class Dropout(nn.Module):
  """Dropout that draws only as many random bits as its rate needs.

  A rate that is a multiple of 1/2, 1/4 or 1/16 takes 1, 2 or 4 bits a value
  and is exact; any other takes 8 bits and is rounded to a multiple of 1/256.
  The values that stay are divided by the probability with which they stay after
  rounding, so that the mean is kept.

  Attributes:
    rate: probability that a value is set to zero.
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
    # The fewest bits in which the rate is a whole number of steps.
    exact = (p for p in (1, 2, 4) if (self.rate * 2**p).is_integer())
    width = next(exact, 8)
    # A rate just below one is rounded down: something must stay.
    threshold = min(round(self.rate * 2**width), 2**width - 1)
    bits = random_bits(self.make_rng('dropout'), x.shape, width=width)
    scale = 2**width / (2**width - threshold)
    return jnp.where(bits >= threshold, x * scale, 0)


class DropPath(nn.Module):
  """Stochastic depth: drops a branch for whole examples.

  Huang et al., "Deep networks with stochastic depth", arXiv 1603.09382. The
  rate is rounded, and the examples that keep the branch are scaled, as in
  `Dropout`.

  Attributes:
    rate: probability that an example loses the branch.
  """

  rate: float

  @nn.compact
  def __call__(
    self, x: Float[Array, 'b *h'], *, train: bool
  ) -> Float[Array, 'b *h']:
    # Dropout of one value for each example, which stands for the whole branch.
    ones = jnp.ones((x.shape[0], *(1 for _ in x.shape[1:])), x.dtype)
    kept = Dropout(self.rate)(ones, train=train)
    return x * kept if train and self.rate else x


def random_bits(key: Array, shape: tuple[Size, ...], *, width: int) -> Array:
  """Returns random integers of `width` (1, 2, 4 or 8) bits, as uint32.

  `jax.random.bits` spends a 32-bit word on each, whatever the width. Here each
  word is cut into 32 / width integers along the first axis, so that the other
  axes stay contiguous.
  """
  rows, *rest = shape
  cuts = 32 // width
  words = jax.random.bits(key, (-(-rows // cuts), *rest), jnp.uint32)
  shifts = np.arange(cuts, dtype=np.uint32) * np.uint32(width)
  bits = words[:, None] >> shifts.reshape(-1, *(1 for _ in rest))
  bits = bits & np.uint32(2**width - 1)
  return bits.reshape(-1, *rest)[:rows]
