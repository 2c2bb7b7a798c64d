"""Random changes of a training batch, inside the compiled step.

Each is a pure function of a key, arrays and a strength. The strength may be
traced, so that it can be swept; at 0 the arrays come back as they were. Every
example draws for itself unless it says otherwise. `sample.py` composes them.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import PRNGKeyArray
import numpy as np

Strength = float | Float[Array, '']


def flip(
  images: Float[Array, 'b *a h w c'], *, u_channel: int | None
) -> Float[Array, 'b *a h w c']:
  """The mirrored faces: columns reversed, horizontal flow negated.

  Flow must be centred (0 = no motion). A four-region mosaic that stands as on
  a face is mirrored the same way, because its regions change places with it.

  Args:
    images: flow, of one or several amplification levels, or frames.
    u_channel: which channel holds the horizontal flow; None for frames.
  """
  images = images[..., ::-1, :]
  if u_channel is None:
    return images
  return images * jnp.ones(images.shape[-1]).at[u_channel].set(-1.0)


def mirror(
  key: PRNGKeyArray,
  images: Float[Array, 'b *a h w c'],
  *,
  probability: Strength,
  u_channel: int | None,
) -> Float[Array, 'b *a h w c']:
  """Mirrors faces left-right with some probability; see `flip`."""
  ones = (1,) * (images.ndim - 1)
  drawn = jax.random.bernoulli(key, probability, (images.shape[0], *ones))
  return jnp.where(drawn, flip(images, u_channel=u_channel), images)


def shift(
  key: PRNGKeyArray,
  images: Float[Array, 'b *a h w c'],
  *,
  pixels: Strength,
  blocks: int = 1,
  border: str = 'edge',
) -> Float[Array, 'b *a h w c']:
  """Moves pictures by whole pixels, all offsets up to `pixels` equally likely.

  Levels or frames of an example move together. In a mosaic every block moves
  within itself, by an offset of its own, as if the face points were slightly
  elsewhere.

  Args:
    images: flow or frames.
    pixels: most rows and columns, rounded down to a whole number.
    blocks: blocks on each side; 2 for a mosaic of four regions.
    border: `edge` repeats the last pixel, `zero` is 0 beyond it.
  """
  height, width = images.shape[-3:-1]
  reach = jnp.floor(pixels)
  draw = jax.random.uniform(key, (images.shape[0], 2, blocks, blocks))
  offsets = (jnp.floor(draw * (2 * reach + 1)) - reach).astype(jnp.int32)
  # Which block a pixel stands in, and where that block begins and ends.
  place = np.stack(np.indices((height, width)))
  sides = np.array([height, width]).reshape(2, 1, 1) // blocks
  block = place // sides
  first, last = block * sides, (block + 1) * sides - 1

  def move(image, offset):
    source = place - offset[:, block[0], block[1]]
    row, column = inside = jnp.clip(source, first, last)
    moved = image[..., row, column, :]
    if border == 'zero':
      moved = jnp.where((inside == source).all(0)[..., None], moved, 0)
    return moved

  return jax.vmap(move)(images, offsets)


def scale_jitter(
  key: PRNGKeyArray, flow: Float[Array, 'b *h'], *, amount: Strength
) -> Float[Array, 'b *h']:
  """Multiplies each example's motion by a factor: the same, more or less of it.

  The factor lies between 1 / (1 + amount) and 1 + amount, uniform in its
  logarithm. Strain is linear in the flow, hence scales with it. The flow must
  be centred. An amplification in the flow instead of in the frames.
  """
  ones = (1,) * (flow.ndim - 1)
  draw = jax.random.uniform(key, (flow.shape[0], *ones), minval=-1.0)
  return flow * jnp.exp(draw * jnp.log1p(amount))


def region_dropout(
  key: PRNGKeyArray, images: Float[Array, 'b *a h w c'], *, rate: Strength
) -> Float[Array, 'b *a h w c']:
  """Zeroes quarters of the image, which are the regions of a mosaic.

  Each is dropped with probability `rate`; if all were, one stays. Cutout
  (DeVries and Taylor, arXiv 1708.04552) with regions of the face as patches.
  """
  batch, height, width = images.shape[0], *images.shape[-3:-1]
  row, column = np.indices((height, width))
  region = 2 * (2 * row // height) + 2 * column // width
  keep = _keep(key, (batch, 4), rate)[:, region]
  axes = (1,) * (images.ndim - 4)
  return jnp.where(keep.reshape(batch, *axes, height, width, 1), images, 0)


def level_dropout(
  key: PRNGKeyArray, stack: Float[Array, 'b a h w c'], *, rate: Strength
) -> Float[Array, 'b a h w c']:
  """Zeroes amplification levels, each with probability `rate`, never all."""
  keep = _keep(key, stack.shape[:2], rate)
  return jnp.where(keep[..., None, None, None], stack, 0)


def _keep(key, shape: tuple[int, int], rate: Strength) -> Bool[Array, 'b r']:
  """What stays when parts are dropped at `rate`: at least one of each row."""
  draw = jax.random.uniform(key, shape)
  return (draw >= rate) | (draw == draw.max(1, keepdims=True))


def balance(
  targets: Float[Array, 'b k'],
  share: Float[Array, ' k'],
  *,
  strength: Strength,
) -> Float[Array, ' b']:
  """Factors of the loss weights that make up for rare classes.

  At strength 1 every class has the same total weight (scikit-learn's
  `balanced`); between, its power, e.g. 1/2 (Mahajan et al., arXiv 1805.00932).

  Args:
    targets: share of each class in each example.
    share: weight of each class in the fold's own training examples, in any
      unit.
    strength: exponent, 0 to 1.
  """
  present = (share > 0).sum()
  even = share.sum() / (present * jnp.where(share > 0, share, 1.0))
  factor = jnp.where(share > 0, even, 1.0) ** strength
  return (targets * factor).sum(-1)


def mixup(
  key: PRNGKeyArray,
  inputs: Float[Array, 'b *h'],
  targets: Float[Array, 'b k'],
  weight: Float[Array, ' b'],
  *,
  alpha: Strength,
) -> tuple[Float[Array, 'b *h'], Float[Array, 'b k'], Float[Array, ' b']]:
  """Mixes each example with another of the batch (Zhang et al., 1710.09412).

  The share is Beta(alpha, alpha), one draw a batch, as in the authors' code.
  Rows of weight 0 neither change nor mix into others. A mixed row weighs, and
  counts for the classes, as much as its parts do: with weights w and targets t
  its loss is that of share * w t + (1 - share) * w' t'.

  Returns:
    inputs, targets and weight of the mixed batch.
  """
  pair_key, share_key = jax.random.split(key)
  drawn = jax.random.beta(share_key, *[jnp.where(alpha > 0, alpha, 1.0)] * 2)
  share = jnp.where((weight > 0) & (alpha > 0), drawn, 1.0)
  other = _partners(pair_key, weight > 0)

  def mix(x):
    rows = share.reshape(-1, *(1,) * (x.ndim - 1))
    return rows * x + (1 - rows) * x[other]

  mixed = mix(weight)
  parts = mix(targets * weight[:, None])
  # Rows that only pad have no parts.
  divisor = jnp.where(mixed > 0, mixed, 1.0)[:, None]
  targets = jnp.where(mixed[:, None] > 0, parts / divisor, targets)
  return mix(inputs), targets, mixed


def _partners(key: PRNGKeyArray, real: Bool[Array, ' b']) -> Int[Array, ' b']:
  """A random cycle through the rows that are real; the others stay alone."""
  draw = jnp.where(real, jax.random.uniform(key, real.shape), 2.0)
  order = jnp.argsort(draw)
  place = jnp.arange(len(real))
  following = order[(place + 1) % jnp.maximum(real.sum(), 1)]
  return jnp.where(real, jnp.zeros_like(order).at[order].set(following), place)
