"""From cut-out faces to flow: align, amplify, measure; batched and compiled.

Every clip keeps its place in a batch of one size, so that a clip gives the same
bits whatever else is in its batch.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.datasets.recipe import FLOWS
from mejax.datasets.recipe import Recipe
from mejax.motion import flow as motion_flow
from mejax.motion import head
from mejax.motion import regions
from mejax.motion import warp


@functools.partial(jax.jit, static_argnames='size')
def align(
  patches: UInt8[Array | np.ndarray, '*b t p p 3'],
  matrices: Float[Array | np.ndarray, '*b 2 3'],
  *,
  size: int,
) -> UInt8[Array, '*b t {size} {size} 3']:
  """All frames of a clip, warped by its one transform, in 8 bits.

  What follows is computed from these 8 bits: they are stored, so that anybody
  can compute it again.
  """
  times = patches.shape[-4]
  matrices = jnp.repeat(matrices[..., None, :, :], times, axis=-3)
  frames = warp.by_matrix(
    patches.astype(jnp.float32), matrices, size=(size, size), method='bicubic'
  )
  return jnp.rint(frames).clip(0, 255).astype(jnp.uint8)


def compute(
  frames: UInt8[Array | np.ndarray, 'b t s s 3'],
  landmarks: Float[np.ndarray, 'b 5 2'],
  recipe: Recipe,
) -> dict[str, np.ndarray]:
  """Amplified faces and their flow from the onset.

  Args:
    frames: aligned frames, those of `staging.kept_numbers`.
    landmarks: five points of each aligned face.
    recipe: how.

  Returns:
    flow f32[b, a, s, s, 3] as (u, v, strain) in pixels and amplified
    u8[b, a, s, s, 3], the apex at each level; with `remove_head_motion` also
    head_motion f32[b, a, 2, 3], what was taken away (see `head.remove_rigid`).
  """
  onset = _unit(frames[:, 0])
  apex = _unit(frames[:, recipe.apex_slot])
  amplified, fields = [], []
  for level in recipe.levels:
    seen = apex if level == 1 else recipe.amplify(onset, apex, alpha=level)
    amplified.append(np.asarray(jnp.rint(seen * 255).astype(jnp.uint8)))
    fields.append(_flow(onset, seen, recipe.flow))
  flow = np.stack(fields, 1)
  made = {'amplified': np.stack(amplified, 1)}
  weight = np.ones(landmarks.shape[:1] + frames.shape[2:4], bool)
  if recipe.mask_eyelids:
    weight = ~regions.eyelids(landmarks, size=frames.shape[2:4])
  if recipe.remove_head_motion:
    flow, motion = head.remove_rigid(
      flow, mask=np.broadcast_to(weight[:, None], flow.shape[:-1])
    )
    flow, made['head_motion'] = np.asarray(flow), np.asarray(motion)
  strain = motion_flow.strain(flow, definition=recipe.strain)
  flow = np.concatenate([flow, strain[..., None]], -1)
  made['flow'] = np.where(weight[:, None, ..., None], flow, 0)
  return made


@jax.jit
def _unit(frames: UInt8[Array, '*b h w 3']) -> Float[Array, '*b h w 3']:
  return frames.astype(jnp.float32) / 255


def _flow(
  first: Float[Array, 'b h w 3'], second: Float[Array, 'b h w 3'], name: str
) -> Float[np.ndarray, 'b h w 2']:
  if name != 'tvl1':  # OpenCV's take NumPy arrays.
    first, second = np.asarray(first), np.asarray(second)
  return np.asarray(FLOWS[name](first, second))
