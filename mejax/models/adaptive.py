"""Reads amplification levels at one factor, which a small head predicts.

For models whose input holds flow at several levels `[b, a, h, w, c]`. In place
of all levels they read one image, between the two levels whose factors lie
around the one that is asked for. The image is interpolated linearly in
log(alpha), so it is differentiable in the factor.

Flow in proportion to alpha is exact at the levels themselves and up to 6 % too
long between two levels that differ by a factor of 2.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float

from mejax.models import layers
from mejax.models.dtypes import DTypes

# What shares a factor, and how many factors an example has: its regions are the
# 2 x 2 quarters of the image.
FACTORS = {'clip': 1, 'region': 4}
# Added to the mean square of the motion, whose logarithm is taken. In a view of
# `fixed` pixels it is that of .002 px, which is below any noise.
_STILL = 1e-6


class Head(nn.Module):
  """Predicts the logarithm of each factor from how much the regions move.

  It reads the logarithm of the root mean square of every region and channel,
  over alpha, averaged over the levels that count: what a level would hold if it
  were not amplified. So the order of levels means nothing. A sigmoid keeps the
  factor between those of the lowest and the highest level that counts.

  Attributes:
    factors: number of factors of an example.
    width: of the hidden layer.
  """

  factors: int
  dtypes: DTypes
  width: int = 16

  @nn.compact
  def __call__(
    self,
    inputs: Float[Array, 'b a h w c'],
    scale: Float[Array, '#b a'],
    present: Bool[Array, 'b a'] | None = None,
  ) -> Float[Array, 'b f']:
    """Returns log(factor).

    Args:
      inputs: flow at each level; 0 where a level does not count.
      scale: log(alpha) of each level.
      present: which levels count; all by default.
    """
    wide = self.dtypes.wide
    b, a, h, w, c = inputs.shape
    x = inputs.astype(wide.dtype).reshape(b, a, 2, h // 2, 2, w // 2, c)
    x = jnp.log(jnp.square(x).mean((3, 5)) + _STILL) / 2
    x = x.reshape(b, a, -1) - scale[..., None]
    counts = jnp.ones((b, a), bool) if present is None else present
    # An example without a level gets logits of NaN, but no gradient of NaN.
    counts |= ~counts.any(1, keepdims=True)
    x = x.mean(1, where=counts[..., None])
    inner = layers.linear(self.width, x.shape[-1], dtypes=wide, name='inner')
    outer = layers.linear(self.factors, self.width, dtypes=wide, name='outer')
    share = jax.nn.sigmoid(outer(layers.gelu(inner(x))))
    scale = jnp.broadcast_to(scale, (b, a))
    low = scale.min(1, keepdims=True, where=counts, initial=jnp.inf)
    high = scale.max(1, keepdims=True, where=counts, initial=-jnp.inf)
    return low + share * (high - low)


def share_levels(
  scale: Float[Array, '#b a'],
  wanted: Float[Array, 'b f'],
  present: Bool[Array, 'b a'] | None = None,
) -> Float[Array, 'b a f']:
  """Returns the share of each level in the image at each factor.

  Only the two levels around a factor have one. A factor outside of the range of
  the levels reads the nearest level, and its derivative is 0 there. Levels with
  the same factor have equal shares.

  Args:
    scale: log(alpha) of each level.
    wanted: logarithm of each factor.
    present: which levels count, at least one of them; all by default.
  """
  scale, wanted = scale[..., None], wanted[:, None]
  counts = True if present is None else present[..., None]
  below, above = counts & (scale <= wanted), counts & (scale > wanted)
  low = jnp.where(below, scale, -jnp.inf).max(1, keepdims=True)
  high = jnp.where(above, scale, jnp.inf).min(1, keepdims=True)
  # Outside of the range there is only one of them.
  low = jnp.where(jnp.isfinite(low), low, high)
  high = jnp.where(jnp.isfinite(high), high, low)
  between = high > low
  gap = jnp.where(between, high - low, 1)
  share = jnp.where(between, (wanted - jnp.where(between, low, 0)) / gap, 0)

  def at(place):
    levels = counts & (scale == place)
    return levels / jnp.maximum(levels.sum(1, keepdims=True), 1)

  return (1 - share) * at(low) + share * at(high)


def read(
  inputs: Float[Array, 'b a h w c'], shares: Float[Array, 'b a f']
) -> Float[Array, 'b 1 h w c']:
  """Returns the sum of the levels by their shares, as the only level.

  Args:
    inputs: flow at each level; finite where a level has no share.
    shares: of each level in the whole image, or in each of its quarters.
  """
  b, a, h, w, c = inputs.shape
  shares = jnp.broadcast_to(shares, (b, a, FACTORS['region']))
  x = jnp.einsum(
    'bayx,bayhxwc->byhxwc',
    shares.reshape(b, a, 2, 2).astype(inputs.dtype),
    inputs.reshape(b, a, 2, h // 2, 2, w // 2, c),
  )
  return x.reshape(b, 1, h, w, c)
