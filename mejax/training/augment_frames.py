"""Augments frames of a face by random changes, inside the compiled step.

The functions have the same form as those of `augment.py`. All frames of an
example are changed alike. Frames are normalised before they are turned or
moved, so that places without a source pixel, which are 0, have the mean colour
of ImageNet.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import PRNGKeyArray
from jaxtyping import UInt8

from mejax.training import sample as sample_lib
from mejax.training.sample import Augmentation
from mejax.training.sample import Layout


def jitter(layout: Layout) -> Augmentation:
  """Replaces onset and apex by frames near them; see `draw_pairs`.

  Each example is changed with a probability of `setting.jitter`.
  """
  if layout.kind != 'frames' or not layout.windows:
    raise ValueError(
      'setting.jitter draws other frames near onset and apex: use frame_pair as'
      ' the view and set view.windows, or set setting.jitter to 0.'
    )

  def apply(key, sample, setting):
    draw, whether = jax.random.split(key)
    names = ('onset_frames', 'apex_frames', 'windows')
    frames = (sample.extra[name] for name in names)
    drawn = sample_lib.decode(draw_pairs(draw, *frames))
    chosen = jax.random.bernoulli(whether, setting.jitter, (len(drawn),))
    chosen = chosen[:, None, None, None, None]
    return sample.replace(inputs=jnp.where(chosen, drawn, sample.inputs))

  return apply


def draw_pairs(
  key: PRNGKeyArray,
  onset: UInt8[Array, 'b p h w 3'],
  apex: UInt8[Array, 'b q h w 3'],
  windows: Int[Array, 'b 3'],
) -> UInt8[Array, 'b 2 h w 3']:
  """Draws pairs of frames near the annotated onset and apex.

  Args:
    key: one key for the batch; each example has its own draws.
    onset: the onset and the frames after it, in order.
    apex: frames around the apex, which is in the middle.
    windows: for each example, how many frames after the onset, before the apex
      and after the apex may be drawn; all of these are equally likely.
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


def rotation(layout: Layout) -> Augmentation:
  """Turns each example by an angle of up to `setting.rotation` degrees."""
  if layout.kind != 'frames':
    raise ValueError(
      'setting.rotation turns pictures but not the directions of flow: use'
      ' frame_pair as the view, or set it to 0.'
    )

  def apply(key, sample, setting):
    frames = sample.inputs
    draw = jax.random.uniform(key, len(frames), minval=-1, maxval=1)
    return sample.replace(inputs=turn(frames, draw * setting.rotation))

  return apply


def turn(
  frames: Float[Array, 'b *t h w c'], degrees: Float[Array, ' b']
) -> Float[Array, 'b *t h w c']:
  """Turns pictures about their centre, counter-clockwise to the viewer.

  Each pixel gets the value of the nearest source pixel, or 0 if that is outside
  the picture, as in torchvision's rotation of tensors.
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
