"""Aligns a face to a canonical position, the same in every clip.

Points are (x, y) in pixels, whole numbers at pixel centres, in the order left
eye, right eye, nose, left and right mouth corner; left is left in the image.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

import cv2
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

# The five points in a square of side 1, measured from its upper left corner:
# pixel i of `size` lies at (i + 0.5) / size. The eyes are 0.36 apart. On an
# upright face the brows are then near 0.10 and the chin is near 0.95, and the
# cheeks reach from 0.1 to 0.9.
CANONICAL = np.array(
  [[0.32, 0.26], [0.68, 0.26], [0.5, 0.47], [0.355, 0.66], [0.645, 0.66]],
  np.float32,
)
# A point this far from its place, in distances between the eyes, has a quarter
# of the full weight. A tenth is common in faces that smile or differ from the
# mean; with less weight for those the alignment would be noisier than by plain
# least squares.
_DOUBT = 0.35
_ROUNDS = 20
# Pixels of a patch for each pixel of the aligned image. At 1, reduction and
# bicubic interpolation would both blur; at 2, the interpolation would alias.
_FINER = 1.25


def alignment(
  points: Float[np.ndarray, '5 2'], *, size: int
) -> Float[np.ndarray, '2 3']:
  """Fits the similarity from the canonical face to the points of a frame.

  The fit is by least squares over the five points (Umeyama, "Least-squares
  estimation of transformation parameters between two point patterns", 1991),
  reweighted so that one wrong point has little influence (the weights of Geman
  and McClure).

  Args:
    points: in pixels of the frame.
    size: side in pixels of the aligned image.

  Returns:
    [A b] as `warp.by_matrix` takes it: from places in the aligned image to
    places in the frame.

  Raises:
    ValueError: `size` is not positive, a point is not finite, or all points
      are in one place.
  """
  if size < 1:
    raise ValueError(f'size is {size}; expected 1 or more')
  points = points.astype(np.float64)
  if not np.isfinite(points).all():
    raise ValueError(f'points are {points.tolist()}; expected finite numbers')
  home = CANONICAL.astype(np.float64) * size - 0.5
  apart = (CANONICAL[1, 0] - CANONICAL[0, 0]) * size
  if np.ptp(points, axis=0).max() < 1e-6:
    raise ValueError(f'all points are at {points[0].tolist()}')
  weights = _first_weights(home, points)
  for _ in range(_ROUNDS):
    matrix = _similarity(home, points, weights)
    scale = max(math.hypot(*matrix[:, 0]), 1e-9)
    miss = np.linalg.norm(
      home @ matrix[:, :2].T + matrix[:, 2] - points, axis=1
    )
    weights = 1 / (1 + (miss / (scale * apart * _DOUBT)) ** 2) ** 2
  return matrix.astype(np.float32)


def cut(
  frames: Sequence[UInt8[np.ndarray, 'h w 3']],
  matrix: Float[np.ndarray, '2 3'],
  *,
  size: int,
) -> tuple[UInt8[np.ndarray, 't p p 3'], Float[np.ndarray, '2 3']]:
  """Cuts patches around the aligned face, of one size for frames of any size.

  A frame with more pixels than the aligned image is reduced by means over
  areas, so that nothing aliases. Outside a frame its edge repeats. The patch is
  large enough for the aligned square in any rotation.

  Args:
    frames: of one clip, all of the same size.
    matrix: from the aligned image to the frame, see `alignment`.
    size: side of the aligned image; p depends on it alone, see `patch_side`.

  Returns:
    The patches, and the matrix from the aligned image to any of the patches.
    With it `warp.by_matrix(patches, matrices, size=(size, size),
    method='bicubic')` is the aligned clip.

  Raises:
    ValueError: the frames differ in size, or there is no frame.
  """
  sizes = sorted({frame.shape[:2] for frame in frames})
  if len(sizes) != 1:
    raise ValueError(
      f'frames have the sizes {sizes} (rows, columns); expected one size'
    )
  side = patch_side(size)
  matrix = matrix.astype(np.float64)
  # Pixels of the frame for each pixel of the patch, never fewer than one.
  reduce = max(math.hypot(*matrix[:, 0]) / _FINER, 1.0)
  reach = math.ceil(side * reduce)
  reduce = reach / side
  middle = matrix[:, :2] @ np.full(2, (size - 1) / 2) + matrix[:, 2]
  corner = np.rint(middle - (reach - 1) / 2).astype(int)
  patches = [_patch(frame, corner, reach, side) for frame in frames]
  inner = matrix / reduce
  # From pixel centres to edges, and back in the smaller pixels of the patch.
  inner[:, 2] = (matrix[:, 2] - corner + 0.5) / reduce - 0.5
  return np.stack(patches), inner.astype(np.float32)


def covered(
  matrix: Float[np.ndarray, '2 3'],
  *,
  size: int,
  frame: tuple[int, int],
) -> Bool[np.ndarray, '{size} {size}']:
  """Returns which pixels of the aligned image come from inside the frame.

  The repeated edge outside makes streaks, which must not count as motion.

  Args:
    matrix: from the aligned image to the frame, see `alignment`.
    size: side of the aligned image.
    frame: rows and columns of the frame.
  """
  y, x = np.mgrid[:size, :size]
  places = np.stack([x, y], -1) @ matrix[:, :2].T + matrix[:, 2]
  last = np.array(frame[::-1]) - 1
  # Half a pixel more, because the centre of a pixel is its place.
  return ((places >= -0.5) & (places <= last + 0.5)).all(-1)


def straighten(
  image: UInt8[np.ndarray, 'h w 3'],
  matrix: Float[np.ndarray, '2 3'],
  *,
  side: int,
) -> UInt8[np.ndarray, '{side} {side} 3']:
  """Cuts one upright square of `side` pixels out of an image, without aliasing.

  `matrix` leads from places in the square to places in the image.
  """
  patches, inner = cut([image], matrix, size=side)
  return cv2.warpAffine(
    patches[0],
    inner,
    (side, side),
    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    borderMode=cv2.BORDER_REPLICATE,
  )


def patch_side(size: int) -> int:
  """Returns the side of the patches that `cut` makes for images of `size`."""
  # The diagonal of the square, and the pixels that bicubic interpolation reads
  # beyond it, rounded up to a multiple of 8.
  return 8 * math.ceil((math.sqrt(2) * _FINER * size + 6) / 8)


def _patch(
  frame: UInt8[np.ndarray, 'h w 3'],
  corner: np.ndarray,
  reach: int,
  side: int,
) -> UInt8[np.ndarray, '{side} {side} 3']:
  """Cuts `reach` pixels a side from `corner` (x, y) on, reduced to `side`."""
  rows, columns = (
    np.arange(start, start + reach).clip(0, length - 1)
    for start, length in zip(corner[::-1], frame.shape[:2], strict=True)
  )
  top, left = rows[0], columns[0]
  patch = frame[top : rows[-1] + 1, left : columns[-1] + 1]
  if patch.shape[:2] != (reach, reach):
    patch = patch[(rows - top)[:, None], columns - left]
  return cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)


def _first_weights(home: np.ndarray, points: np.ndarray) -> np.ndarray:
  """Returns 1 for each point, and 0 for the one that fits the others worst."""
  # Plain least squares would be a bad start for the reweighting: a point that
  # is far off pulls the first fit so much that the good points look wrong.
  misses = []
  for left_out in range(5):
    weights = np.ones(5)
    weights[left_out] = 0
    matrix = _similarity(home, points, weights)
    miss = home @ matrix[:, :2].T + matrix[:, 2] - points
    misses.append((weights * (miss**2).sum(1)).sum())
  weights = np.ones(5)
  weights[np.argmin(misses)] = 0
  return weights


def _similarity(
  source: np.ndarray, target: np.ndarray, weights: np.ndarray
) -> np.ndarray:
  """Fits [A b] from source to target by weighted least squares, unmirrored."""
  weights = weights / weights.sum()
  here, there = weights @ source, weights @ target
  x, y = (source - here).T
  u, v = (target - there).T
  # In the plane, rotation and scale are one complex number with a closed form.
  norm = weights @ (x * x + y * y)
  turn = np.array([weights @ (x * u + y * v), weights @ (x * v - y * u)]) / norm
  linear = np.array([[turn[0], -turn[1]], [turn[1], turn[0]]])
  return np.c_[linear, there - linear @ here]
