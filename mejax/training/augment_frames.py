"""Random changes of pictures of a face, inside the compiled step.

As those of `augment`: pure functions of a key, arrays and numbers that may be
traced. All frames of an example are changed alike. Frames are normalised before
they are turned or moved, so that 0, which fills what no pixel comes to, is the
mean colour of ImageNet.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import PRNGKeyArray
from jaxtyping import UInt8
import numpy as np

# Of ImageNet's pixels, red, green, blue in 0..1.
MEAN = np.float32([0.485, 0.456, 0.406])
STD = np.float32([0.229, 0.224, 0.225])


def normalise(frames: UInt8[Array, '*b h w 3']) -> Float[Array, '*b h w 3']:
  """Frames as models of the ImageNet tradition read them."""
  return (frames.astype(jnp.float32) / 255 - MEAN) / STD


def jitter(
  key: PRNGKeyArray,
  onset: UInt8[Array, 'b p h w 3'],
  apex: UInt8[Array, 'b q h w 3'],
  windows: Int[Array, 'b 3'],
) -> UInt8[Array, 'b 2 h w 3']:
  """Pairs of frames near the annotated onset and apex.

  Args:
    key: one key for the batch; each example draws for itself.
    onset: the onset, and frames after it in their order.
    apex: frames around the apex, which is in the middle.
    windows: how many frames later than the onset, earlier than the apex and
      later than the apex may be drawn; all within are equally likely.
  """
  late, early, later = windows.T
  draw = jax.random.uniform(key, (2, len(windows)))
  middle = apex.shape[1] // 2
  places = (
    jnp.floor(draw[0] * (late + 1)),
    jnp.floor(draw[1] * (early + later + 1)) - early + middle,
  )
  rows = jnp.arange(len(windows))
  pairs = (
    frames[rows, place.astype(jnp.int32)]
    for frames, place in zip((onset, apex), places, strict=True)
  )
  return jnp.stack(list(pairs), 1)


def rotate(
  key: PRNGKeyArray,
  frames: Float[Array, 'b *t h w c'],
  *,
  degrees: float | Float[Array, ''],
) -> Float[Array, 'b *t h w c']:
  """Turns each example by an angle drawn from -degrees to degrees."""
  draw = jax.random.uniform(key, len(frames), minval=-1, maxval=1)
  return turn(frames, draw * degrees)


def turn(
  frames: Float[Array, 'b *t h w c'], degrees: Float[Array, ' b']
) -> Float[Array, 'b *t h w c']:
  """Pictures turned about their centre, counter-clockwise if seen.

  A pixel takes the value of the nearest, 0 where that is outside: as
  torchvision's rotation of tensors.
  """
  height, width = frames.shape[-3:-1]
  row, column = jnp.indices((height, width), jnp.float32)
  centre_row, centre_column = (height - 1) / 2, (width - 1) / 2
  row, column = row - centre_row, column - centre_column

  def turn_one(frames, degrees):
    sin, cos = jnp.sin(jnp.radians(degrees)), jnp.cos(jnp.radians(degrees))
    near_row = jnp.round(sin * column + cos * row + centre_row)
    near_column = jnp.round(cos * column - sin * row + centre_column)
    inside = (near_row >= 0) & (near_row < height)
    inside &= (near_column >= 0) & (near_column < width)
    place = jnp.where(inside, near_row * width + near_column, 0)
    flat = frames.reshape(*frames.shape[:-3], -1, frames.shape[-1])
    turned = flat[..., place.astype(jnp.int32), :]
    return jnp.where(inside[..., None], turned, 0)

  return jax.vmap(turn_one)(frames, degrees)
