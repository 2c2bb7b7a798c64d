"""Makes flow of real faces look like the pictures of `generated`.

A model of generated flow has seen faces that are cut and shrunk in one way. The
flow of a video is measured in the aligned face; here it is cut, shrunk and, if
those pictures are, stretched in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import jax.numpy as jnp
from jaxtyping import Float
import numpy as np

from mejax.corpora.faces import individuals
from mejax.datasets import generated
from mejax.datasets.recipe import Recipe

# Side of the aligned face in which flow is measured, if that is fine enough.
_SIDE = 128


def recipe_of(*, size: int, crop: str, levels: Sequence[float | int]) -> Recipe:
  """Returns the recipe by which videos are prepared for `convert`.

  As in generated pictures, the flow of aligned faces is measured in their size.
  Elsewhere it is measured more finely, and the motion of the head is removed,
  of which generated people have little.

  Args:
    size, crop, levels: of the generated pictures, see `individuals.Options`.
  """
  if crop == 'aligned' and size >= 16 and not size % 4:
    return Recipe(levels=tuple(float(level) for level in levels), size=size)
  needed = size / min(_sides(crop))
  return Recipe(
    levels=tuple(float(level) for level in levels),
    size=max(_SIDE, 4 * int(np.ceil(needed / 4))),
    remove_head_motion=True,
  )


def convert(
  flow: Float[np.ndarray, 'n a s s 3'], *, size: int, crop: str, units: str
) -> Float[np.ndarray, 'n a h h 3']:
  """Returns flow of aligned faces as generated pictures have it.

  Args:
    flow: (u, v, strain) of each level, in pixels of the aligned face.
    size, crop, units: of the generated pictures, see `generated.examples`.
  """
  finer = generated.FINER[crop]
  fine = size * finer
  # Cut out no smaller than it is, then shrunk by means: nothing aliases.
  times = max(int(np.ceil(flow.shape[2] * max(_sides(crop)) / fine)), 1)
  matrix = _cut(crop, flow.shape[2], fine * times)
  cut = np.stack([_warp(one, matrix, fine * times) for one in flow])
  n, a = cut.shape[:2]
  cut = generated.shrink(jnp.asarray(cut.reshape(-1, *cut.shape[2:])), times)
  cut /= jnp.array([matrix[0, 0], matrix[1, 1]]) * times
  image = generated.shrink(generated.with_strain(cut), finer)
  image *= jnp.array([1 / finer, 1 / finer, 1.0])
  image = np.asarray(image).reshape(n, a, *image.shape[1:])
  return generated.stretch(image) if units == 'minmax255' else image


def convert_points(
  points: Float[np.ndarray, 'n 5 2'], *, side: int, size: int, crop: str
) -> Float[np.ndarray, 'n 5 2']:
  """Returns places of an aligned face as places of such a picture."""
  matrix = _cut(crop, side, size)
  places = (points - matrix[:, 2]) / np.diag(matrix)
  return places.astype(np.float32)


def _sides(crop: str) -> tuple[float, float]:
  """Returns width and height of a cut, in sides of the aligned face."""
  *_, own, own_height = individuals.usual_crop('aligned')
  *_, apart, height = individuals.usual_crop(crop)
  return own / apart, own * own_height / (apart * height)


def _cut(crop: str, side: int, into: int) -> Float[np.ndarray, '2 3']:
  """Returns the matrix from places in a cut to places in the aligned face."""
  places = [
    np.array(individuals.usual_crop(name)[:2]) for name in ('aligned', crop)
  ]
  sides = np.array(_sides(crop))
  scale = sides * side / into
  # Whole numbers are the centres of pixels.
  shift = (places[0] - sides * places[1]) * side + (scale - 1) / 2
  return np.column_stack([np.diag(scale), shift])


def _warp(flow, matrix, side: int) -> Float[np.ndarray, 'a t t 2']:
  # Skin beyond the edge of the aligned face moves as that at the edge.
  return np.stack(
    [
      cv2.warpAffine(
        np.ascontiguousarray(level[..., :2], np.float32),
        matrix,
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
      )
      for level in flow
    ]
  )
