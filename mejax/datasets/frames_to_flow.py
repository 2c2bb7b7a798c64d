"""Aligns cut-out faces, amplifies their motion and measures the flow.

All functions take batches of a fixed size, in which every clip keeps its place.
A clip then gives the same bits whatever else is in its batch.
"""

from __future__ import annotations

import functools

import cv2
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.datasets.recipe import FLOWS
from mejax.datasets.recipe import Recipe
from mejax.motion import flow as motion_flow
from mejax.motion import head
from mejax.motion import magnify as motion_magnify
from mejax.motion import regions
from mejax.motion import warp

# The neighbourhood of a place outside the frame whose flow does not count.
_MARGIN = np.ones((5, 5), np.uint8)
# Shares of an aligned face that may lie outside of the frame without a word and
# without a warning: at .05 it is the corners, where no muscle moves.
_TOLD, _WARNED = 0.01, 0.05
# In sides of the aligned face; no micro-expression moves by 10 px of 128.
LONGEST = 0.08
# A motion of the whole face below this, in the same unit, is told by nobody.
_MOVED = 0.004
# The quantile of motion that counts as the longest.
_LONG = 0.99
# What can be done about a face that moves as a whole, when data are prepared or
# a model of such data is shown a recording.
_REMEDY = (
  'hold the head still, or take data, and a model of data, that'
  ' `mejax prepare --remove_head_motion` made'
)


@functools.partial(jax.jit, static_argnames='size')
def align(
  patches: UInt8[Array | np.ndarray, '*b p p 3'],
  matrices: Float[Array | np.ndarray, '*b 2 3'],
  *,
  size: int,
) -> UInt8[Array, '*b {size} {size} 3']:
  """Warps frames by their transforms and rounds them to 8 bits.

  Everything else is computed from the rounded frames. They are stored, so that
  anybody can compute it again.
  """
  frames = warp.by_matrix(
    patches.astype(jnp.float32), matrices, size=(size, size), method='bicubic'
  )
  return jnp.rint(frames).clip(0, 255).astype(jnp.uint8)


def align_frames(
  patches: UInt8[np.ndarray, 'b t p p 3'],
  matrices: Float[np.ndarray, 'b 2 3'],
  weight: Bool[np.ndarray, 'b s s'],
  recipe: Recipe,
) -> dict[str, np.ndarray]:
  """Aligns the frames of clips; with `remove_head_motion`, also to the onset.

  If a head drifts by half a pixel, two frames differ at every edge, and
  amplification takes that for expression. So the motion of the head is measured
  in frames that are aligned by one transform per clip. Then the patches are
  aligned again by both transforms in one, so that every pixel is interpolated
  only once.

  Args:
    patches: cut-out faces of the frames that `staging.kept_numbers` lists.
    matrices: from places in the aligned face to places in the patches.
    weight: the pixels that count, from `weights`.
    recipe: how frames become examples.

  Returns:
    frames u8[b, t, s, s, 3]; with `remove_head_motion` also head_motion
    f32[b, 2, 3], from places in the onset to those in the apex (see
    `head.remove_rigid`).
  """
  b, t = patches.shape[:2]
  matrices = np.repeat(matrices[:, None], t, axis=1)
  seen = align(patches, matrices, size=recipe.size)
  if not recipe.remove_head_motion:
    return {'frames': np.asarray(seen)}
  later = _unit(seen[:, 1:])
  onset = jnp.broadcast_to(_unit(seen[:, :1]), later.shape)
  flat = (-1, *later.shape[2:])
  flow = _flow(onset.reshape(flat), later.reshape(flat), recipe.flow)
  flow = flow.reshape(*later.shape[:-1], 2)
  mask = np.broadcast_to(weight[:, None], flow.shape[:-1])
  _, motion = head.remove_rigid(flow, mask=mask)
  still = np.broadcast_to(np.eye(2, 3, dtype=np.float32), (b, 1, 2, 3))
  motion = np.concatenate([still, motion], axis=1)
  # First the motion of the head in the aligned face, then the alignment: with
  # [A b] and [M m], A (M x + m) + b.
  moved = matrices[..., :2] @ motion
  moved[..., 2] += matrices[..., 2]
  return {
    'frames': np.asarray(align(patches, moved, size=recipe.size)),
    'head_motion': motion[:, recipe.apex_slot],
  }


def measure_motion(
  frames: UInt8[Array | np.ndarray, 'b t s s 3'],
  weight: Bool[np.ndarray, 'b s s'],
  recipe: Recipe,
) -> dict[str, np.ndarray]:
  """Amplifies the apex and measures its flow from the onset.

  With `remove_head_motion`, the head motion that is left in the frames is
  removed from the flow of each level, since amplification has made it larger.

  Args:
    frames: aligned frames, as `staging.kept_numbers` lists them.
    weight: the pixels that count, from `weights`.
    recipe: how frames become examples.

  Returns:
    flow f32[b, a, s, s, 3] as (u, v, strain) in pixels and amplified
    u8[b, a, s, s, 3], the apex at each level.
  """
  onset = _unit(frames[:, 0])
  apex = _unit(frames[:, recipe.apex_slot])
  amplified, fields = [], []
  for level in recipe.levels:
    # Every method returns the apex unchanged at level 1, so it need not run.
    seen = apex if level == 1 else recipe.amplify(onset, apex, alpha=level)
    amplified.append(np.asarray(jnp.rint(seen * 255).astype(jnp.uint8)))
    fields.append(_flow(onset, seen, recipe.flow))
  flow = np.stack(fields, 1)
  made = {'amplified': np.stack(amplified, 1)}
  weight = weight[:, None]
  if recipe.remove_head_motion:
    flow, _ = head.remove_rigid(
      flow, mask=np.broadcast_to(weight, flow.shape[:-1])
    )
  strain = motion_flow.strain(flow, definition=recipe.strain)
  flow = np.concatenate([flow, strain[..., None]], -1)
  # Masked after the strain, which would see the edge of the mask as motion.
  made['flow'] = np.where(weight[..., None], flow, 0)
  return made


def weights(
  landmarks: Float[np.ndarray, 'b 5 2'],
  covered: Bool[np.ndarray, 'b s s'],
  recipe: Recipe,
) -> Bool[np.ndarray, 'b s s']:
  """Returns the pixels of an aligned face whose flow counts.

  Args:
    landmarks: five points of each aligned face.
    covered: the pixels that come from inside the frame. A margin around the
      others does not count either: flow is smooth, and strain is a difference.
    recipe: whether the eyelids count.
  """
  counts = np.stack(
    [
      cv2.erode(mask.astype(np.uint8), _MARGIN, borderValue=1)
      for mask in covered
    ]
  ).astype(bool)
  if recipe.mask_eyelids:
    counts &= ~regions.eyelids(landmarks, size=(recipe.size, recipe.size))
  return counts


def remarks(
  flow: Float[np.ndarray, 'a s s 3'],
  covered: Bool[np.ndarray, 's s'],
  recipe: Recipe,
  *,
  scale: float,
  is_rendered: bool = False,
) -> tuple[list[str], list[str]]:
  """Says where the motion of one clip is not what it seems.

  Returns remarks, at which a person should look, and notes.

  Args:
    flow: (u, v, strain) of each level, as `measure_motion` returns it.
    covered: the pixels that come from inside the frame.
    recipe: how the flow was made.
    scale: pixels of the recording to one of the aligned face; remarks tell
      motion in those of the recording.
    is_rendered: whether the face was rendered; its head then drifts on purpose.
  """
  said, notes = [], []
  outside = 1 - covered.mean()
  if outside > _TOLD:
    (said if outside > _WARNED else notes).append(
      f'{outside:.0%} of the aligned face lies outside of the frame; flow and '
      'strain are 0 there'
    )
  lowest, highest = min(recipe.levels), max(recipe.levels)
  uv = flow[recipe.levels.index(lowest), ..., :2]
  if not recipe.remove_head_motion:
    whole = _of_the_whole(uv / lowest, covered, scale)
    if is_rendered:
      notes += [f'{words}; it was rendered to do so' for words in whole]
    else:
      said += whole
  # The longest motion, without the few pixels where any flow goes astray.
  motion = np.quantile(_length(uv), _LONG) / lowest
  if motion > LONGEST * recipe.size:
    said.append(
      f'moves by {scale * motion:.1f} px of the recording; no micro-expression '
      'does: look at its onset and apex'
    )
  reach = motion_magnify.REACH[recipe.magnify]
  if highest > 1 and highest * motion > reach:
    said.append(
      f'moves by {scale * motion:.1f} px of the recording, which '
      f'{recipe.magnify} cannot amplify {highest:g} times: its range ends at '
      f'{scale * reach:.1f} px'
    )
  return said, notes


def _of_the_whole(
  uv: Float[np.ndarray, 's s 2'], covered: Bool[np.ndarray, 's s'], scale: float
) -> list[str]:
  """Returns a remark if the face moves as a whole more than its parts do."""
  counts = cv2.erode(covered.astype(np.uint8), _MARGIN, borderValue=1) > 0
  if not counts.any():
    return []
  rest, _ = head.remove_rigid(uv, mask=counts)
  rest = np.asarray(rest)
  whole = float(np.median(_length(uv - rest)[counts]))
  parts = float(np.quantile(_length(rest)[counts], _LONG))
  if whole < max(_MOVED * len(uv), parts):
    return []
  return [
    f'the whole face moves by {scale * whole:.1f} px of the recording, more '
    f'than its parts do ({scale * parts:.1f} px): {_REMEDY}'
  ]


def _length(uv: Float[np.ndarray, '*b 2']) -> Float[np.ndarray, '*b']:
  return np.hypot(uv[..., 0], uv[..., 1])


@jax.jit
def _unit(frames: UInt8[Array, '*b h w 3']) -> Float[Array, '*b h w 3']:
  return frames.astype(jnp.float32) / 255


def _flow(
  first: Float[Array, 'b h w 3'], second: Float[Array, 'b h w 3'], name: str
) -> Float[np.ndarray, 'b h w 2']:
  if 'tvl1' not in name:  # The other methods are OpenCV's, on NumPy arrays.
    first, second = np.asarray(first), np.asarray(second)
  return np.asarray(FLOWS[name](first, second))
