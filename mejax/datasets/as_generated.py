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

# Where a face lies in a picture; see `individuals.usual_crop`.
Place = Sequence[float] | Float[np.ndarray, '4']
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
  needed = size / min(_sides(individuals.usual_crop(crop)))
  return Recipe(
    levels=tuple(float(level) for level in levels),
    size=max(_SIDE, 4 * int(np.ceil(needed / 4))),
    remove_head_motion=True,
  )


def convert(
  flow: Float[np.ndarray, 'n a s s 3'],
  *,
  size: int,
  crop: str,
  units: str,
  places: Float[np.ndarray, 'n 4'] | None = None,
) -> Float[np.ndarray, 'n a h h 3']:
  """Returns flow of aligned faces as generated pictures have it.

  Args:
    flow: (u, v, strain) of each level, in pixels of the aligned face.
    size, crop, units: of the generated pictures, see `generated.examples`.
    places: where each face lies in its picture, as `individuals.usual_crop`
      returns it; by default the usual place of the crop.
  """
  finer = generated.FINER[crop]
  fine = size * finer
  if places is None:
    places = np.tile(individuals.usual_crop(crop), (len(flow), 1))
  # Cut out no smaller than it is, then shrunk by means: nothing aliases.
  largest = max(max(_sides(place)) for place in places)
  times = max(int(np.ceil(flow.shape[2] * largest / fine)), 1)
  matrices = [_cut(place, flow.shape[2], fine * times) for place in places]
  cut = np.stack(
    [
      _warp(one, matrix, fine * times)
      for one, matrix in zip(flow, matrices, strict=True)
    ]
  )
  n, a = cut.shape[:2]
  # From pixels of the aligned face to those of the cut.
  cut /= np.array([np.diag(matrix) for matrix in matrices])[:, None, None, None]
  cut = generated.shrink(jnp.asarray(cut.reshape(-1, *cut.shape[2:])), times)
  cut /= times
  image = generated.shrink(generated.with_strain(cut), finer)
  image *= jnp.array([1 / finer, 1 / finer, 1.0])
  image = np.asarray(image).reshape(n, a, *image.shape[1:])
  return generated.stretch(image) if units == 'minmax255' else image


def convert_points(
  points: Float[np.ndarray, 'n 5 2'],
  *,
  side: int,
  size: int,
  crop: str,
  places: Float[np.ndarray, 'n 4'] | None = None,
) -> Float[np.ndarray, 'n 5 2']:
  """Returns points of an aligned face of `side` pixels in such a picture."""
  if places is None:
    places = np.tile(individuals.usual_crop(crop), (len(points), 1))
  matrices = np.stack([_cut(place, side, size) for place in places])
  away = points - matrices[:, None, :, 2]
  scale = np.diagonal(matrices, axis1=1, axis2=2)
  return (away / scale[:, None]).astype(np.float32)


def _sides(place: Place) -> tuple[float, float]:
  """Returns width and height of a cut, in sides of the aligned face."""
  *_, own, own_height = individuals.usual_crop('aligned')
  *_, apart, height = place
  return own / apart, own * own_height / (apart * height)


def _cut(place: Place, side: int, into: int) -> Float[np.ndarray, '2 3']:
  """Returns the matrix from places in a cut to places in the aligned face."""
  middles = [
    np.array(where[:2]) for where in (individuals.usual_crop('aligned'), place)
  ]
  sides = np.array(_sides(place))
  scale = sides * side / into
  # Whole numbers are the centres of pixels.
  shift = (middles[0] - sides * middles[1]) * side + (scale - 1) / 2
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
