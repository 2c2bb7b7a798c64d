"""Four square crops of a face, put together into one image.

The five points of a face are (x, y) of left eye, right eye, nose, left and
right mouth corner, "left" being left in the image. A crop is half as wide as
the square image, so four crops fill an image of the same size.
"""

from __future__ import annotations

from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Num
import numpy as np

# Points whose crops fill the upper left, upper right, lower left and lower
# right of the mosaic; the nose has none.
BLOCKS = (0, 1, 3, 4)


def face_corners(
  points: Float[np.ndarray, '5 2'], *, size: int
) -> Int[np.ndarray, '4 2']:
  """Upper left (row, column) of the crops around eyes and mouth corners.

  A crop of even width is centred on the line between two pixels. Points count
  from the centre of the upper left pixel, so that line is x + 1/2, rounded
  (ties to even) and clamped so that the crop stays inside. With this a mirrored
  face, x -> size - 1 - x, has exactly the mirrored crops wherever that
  subtraction is exact, as for points on a grid of 1/1024 pixel.
  """
  half = size // 4
  centres = np.rint(points[list(BLOCKS), ::-1].astype(np.float64) + 0.5)
  return np.clip(centres.astype(np.int64), half, size - half) - half


def released_corners(
  crop_points: Int[np.ndarray, '5 2'], *, size: int
) -> Int[np.ndarray, '4 2']:
  """Upper left (row, column) of the crops as the released HTNet code cuts them.

  The code takes x for the row and y for the column. So the crop of the right
  eye holds the left half of the mouth, that of the left mouth corner the right
  eye, and the mosaic is a face with its blocks transposed.
  """
  return crop_points[list(BLOCKS)].astype(np.int64) - size // 4


def mosaic(
  image: Num[np.ndarray, '*a h h c'], corners: Int[np.ndarray, '4 2']
) -> Num[np.ndarray, '*a h h c']:
  """Puts four crops of an image together, row by row."""
  side = image.shape[-2] // 2
  upper_left, upper_right, lower_left, lower_right = (
    image[..., row : row + side, column : column + side, :]
    for row, column in corners
  )
  return np.block(
    [[[upper_left], [upper_right]], [[lower_left], [lower_right]]]
  )


def eyelids(
  points: Float[np.ndarray, '*b 5 2'],
  *,
  size: tuple[int, int],
  half_width: float = 0.3,
  half_height: float = 0.2,
) -> Bool[np.ndarray, '*b h w']:
  """Where the eyelids are, in images of `size` (rows, columns).

  An ellipse about each eye, along the line of the eyes, its half axes given in
  distances between the eyes. A blink moves more than most expressions; flow is
  kept clear of it by `~eyelids(...)` as a mask. The defaults hold an eye, 0.24
  by 0.1 of that distance when open, and end below the eyebrow.

  Raises:
    ValueError: eyes in one place.
  """
  left, right = points[..., 0, :], points[..., 1, :]
  distance = np.linalg.norm(right - left, axis=-1)
  if not (distance > 0).all():
    raise ValueError('the two eyes are in one place, or are no numbers')
  along = ((right - left) / distance[..., None])[..., None, None, :]
  across = np.stack([-along[..., 1], along[..., 0]], -1)
  places = np.stack(np.meshgrid(*map(np.arange, size[::-1])), -1)
  covered = False
  for eye in (left, right):
    offset = (places - eye[..., None, None, :]) / distance[
      ..., None, None, None
    ]
    x = (offset * along).sum(-1) / half_width
    y = (offset * across).sum(-1) / half_height
    covered |= x**2 + y**2 <= 1
  return covered


def face(
  points: Float[np.ndarray, '5 2'], *, size: tuple[int, int]
) -> Bool[np.ndarray, 'h w']:
  """An ellipse from the brows to below the mouth, in an image of `size`."""
  return _ellipse(points, size, (0.0, 0.55), (1.05, 1.35))


def expressive(
  points: Float[np.ndarray, '5 2'], *, size: tuple[int, int]
) -> Bool[np.ndarray, '4 h w']:
  """Brow and eye, left and right, and mouth, left and right in the image."""
  upper = [
    _ellipse(points, size, (side * 0.5, 0.0), (0.45, 0.3))
    | _ellipse(points, size, (side * 0.5, -0.33), (0.5, 0.22))
    | _ellipse(points, size, (0.0, -0.25), (0.3, 0.3))
    for side in (-1, 1)
  ]
  mouth = _ellipse(points, size, None, (0.65, 0.45))
  is_left = np.arange(size[1]) < points[2, 0]
  return np.stack(
    [
      part & half
      for part, half in zip(
        [*upper, mouth, mouth], [is_left, ~is_left] * 2, strict=True
      )
    ]
  )


def _ellipse(
  points: Float[np.ndarray, '5 2'],
  size: tuple[int, int],
  centre: tuple[float, float] | None,
  axes: tuple[float, float],
) -> Bool[np.ndarray, 'h w']:
  """Lengths in distances between the eyes; the mouth if no centre is given.

  A centre is to the right of the point between the eyes and below it, along the
  line of the eyes and across.
  """
  left, right = points[:2]
  along = right - left
  across = np.array([-along[1], along[0]])
  if centre is None:
    middle = points[3:].mean(0)
  else:
    middle = (left + right) / 2 + centre[0] * along + centre[1] * across
  offset = np.stack(np.meshgrid(*map(np.arange, size[::-1])), -1) - middle
  scale = along @ along
  x, y = offset @ along / scale / axes[0], offset @ across / scale / axes[1]
  return x**2 + y**2 <= 1
