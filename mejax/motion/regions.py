"""Cuts the regions of a face into a mosaic, and makes masks of a face.

The five points of a face are (x, y) of left eye, right eye, nose, left and
right mouth corner, where "left" is left in the image. A crop is half as wide as
the square image, so four crops fill an image of the same size.
"""

from __future__ import annotations

from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Num
import numpy as np

# The points whose crops fill the upper left, upper right, lower left and lower
# right of the mosaic; the nose has no crop.
BLOCKS = (0, 1, 3, 4)


def face_corners(
  points: Float[np.ndarray, '5 2'], *, size: int
) -> Int[np.ndarray, '4 2']:
  """Returns the upper left (row, column) of the crops around eyes and mouth.

  A crop of even width is centred on the line between two pixels. Points count
  from the centre of the upper left pixel, so this line is x + 1/2, rounded
  (ties to even) and clamped so that the crop stays inside. Then a mirrored
  face, x -> size - 1 - x, has exactly the mirrored crops wherever the
  subtraction is exact, as for points on a grid of 1/1024 pixel.

  Args:
    points: in pixels of the image.
    size: side of the image in pixels.
  """
  half = size // 4
  centres = np.rint(points[list(BLOCKS), ::-1].astype(np.float64) + 0.5)
  return np.clip(centres.astype(np.int64), half, size - half) - half


def released_corners(
  crop_points: Int[np.ndarray, '5 2'], *, size: int
) -> Int[np.ndarray, '4 2']:
  """Returns the corners (row, column) of the crops of the released HTNet code.

  That code takes x for the row and y for the column. So the crop of the right
  eye shows the left half of the mouth, the crop of the left mouth corner shows
  the right eye, and the mosaic is a face with its blocks transposed.
  """
  return crop_points[list(BLOCKS)].astype(np.int64) - size // 4


def mosaic(
  image: Num[np.ndarray, '*a h h c'], corners: Int[np.ndarray, '4 2']
) -> Num[np.ndarray, '*a h h c']:
  """Cuts four crops at their upper left corners and joins them row by row."""
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
  """Returns a mask of the eyelids, an ellipse around each eye.

  A blink moves more than most expressions, so `~eyelids(...)` serves as a mask
  for flow. By default an ellipse contains an eye (0.24 by 0.1 of the distance
  between the eyes when it is open) and ends below the eyebrow.

  Args:
    points: in pixels of the images.
    size: rows and columns of the images.
    half_width: half axis along the line of the eyes, in distances between them.
    half_height: half axis across that line, in the same unit.

  Raises:
    ValueError: both eyes are in one place, or are not finite.
  """
  left, right = points[..., 0, :], points[..., 1, :]
  distance = np.linalg.norm(right - left, axis=-1)
  if not (distance > 0).all():
    raise ValueError('the two eyes are in one place, or are not numbers')
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
  """Returns a mask of the face, from the brows to below the mouth.

  Args:
    points: in pixels of the image.
    size: rows and columns of the image.
  """
  return _ellipse(points, size, (0.0, 0.55), (1.05, 1.35))


def expressive(
  points: Float[np.ndarray, '5 2'], *, size: tuple[int, int]
) -> Bool[np.ndarray, '4 h w']:
  """Returns masks of the parts that express: left and right eye, and mouth.

  Each eye comes with its brow, and the mouth is halved below the nose; left is
  left in the image. The arguments are those of `face`.
  """
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
  """Returns a filled ellipse along the line of the eyes.

  Args:
    points: in pixels.
    size: rows and columns of the image.
    centre: to the right of the point between the eyes and below it, in
      distances between the eyes; None for the middle of the mouth.
    axes: half axes along and across, in distances between the eyes.
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
