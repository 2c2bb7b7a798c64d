"""Detects the faces in an image by YuNet, if asked with points from FaceMesh.

A caller may pass a detector of its own to `faces.locate`: a function from an
image to a list of `DetectedFace`.
"""

from __future__ import annotations

import dataclasses
import math

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.motion import alignment
from mejax.motion import face_models
from mejax.motion import mesh

THRESHOLD = 0.6
# Scales at which a frame is searched, until one of them finds a face: the side
# of the square that the frame is put into, and the share of the square that it
# fills. YuNet finds faces of 10 to 300 pixels, and needs a margin around a face
# that fills the frame.
SCALES = ((320, 0.75), (640, 1.0), (320, 0.4), (1280, 1.0))
# Score at which a place that should show a face does.
_LEAST = 0.5
# The close-up of a face: its side, and the distance between the eyes (pixels)
# at which YuNet's points are steadiest.
_CLOSE_SIDE, _CLOSE_EYES = 320, 100.0


@dataclasses.dataclass(frozen=True)
class DetectedFace:
  """A face in an image.

  Attributes:
    points: the five points, (x, y) in pixels, as in `faces`.
    box: left, top, width, height in pixels; it may reach beyond the image.
    score: 0 to 1.
    fit: log-odds by FaceMesh that its points belong to a face; None if it was
      not asked.
  """

  points: Float[np.ndarray, '5 2']
  box: tuple[float, float, float, float]
  score: float
  fit: float | None = None


def detect(
  image: UInt8[np.ndarray, 'h w 3'],
  *,
  threshold: float = THRESHOLD,
  thorough: bool = False,
) -> list[DetectedFace]:
  """Returns the faces in an RGB image of any size, highest score first.

  Faces may be tilted by up to about 40 degrees, and must be at least 8 pixels
  tall. YuNet searches the frame scaled down or up, with a margin around it
  (`SCALES`), and then detects each face again, upright and in close-up. Wu,
  Peng, Yu, "YuNet: a tiny millisecond-level face detector" (2023).

  Args:
    image: RGB.
    threshold: the least score.
    thorough: whether a frame that shows a face is searched at the other scales
      too, for faces of other sizes.

  Raises:
    ValueError: the image is empty.
  """
  return [
    dataclasses.replace(face, points=_close_up_points(image, face.points))
    for face in _search(image, threshold, thorough)
  ]


def detect_dense(
  image: UInt8[np.ndarray, 'h w 3'],
  *,
  threshold: float = THRESHOLD,
  thorough: bool = False,
) -> list[DetectedFace]:
  """Detects like `detect`, with points from FaceMesh: several times steadier.

  If FaceMesh finds no face (if it is a dozen pixels wide, say), YuNet's points
  are kept.
  """
  faces = []
  for face in _search(image, threshold, thorough):
    points, fit = mesh.steady_five(image, face.points)
    faces.append(dataclasses.replace(face, points=points, fit=fit))
  return faces


def is_face_at(
  image: UInt8[np.ndarray, 'h w 3'], points: Float[np.ndarray, '5 2']
) -> bool:
  """Returns whether a face with about these five points is in the image.

  It may be blurred or blink: YuNet or FaceMesh has to find it.
  """
  apart = math.hypot(*(points[1] - points[0]))
  if len(_close_up(image, points, _LEAST)[0]):
    return True
  five, fit = mesh.steady_five(image, points)
  moved = math.hypot(*(five.mean(0) - points.mean(0)))
  return fit > 0 and moved < 0.5 * apart


def _search(
  image: UInt8[np.ndarray, 'h w 3'], threshold: float, thorough: bool
) -> list[DetectedFace]:
  """Returns the faces at the first scale that shows any, or at all scales."""
  if not image.size:
    raise ValueError(f'the image has shape {image.shape}; expected pixels')
  found = []
  for side, share in SCALES:
    found += [
      face
      for face in _search_scale(image, side, share, threshold)
      if not any(_overlap(face, other) for other in found)
    ]
    if found and not thorough:
      break
  return sorted(found, key=lambda face: -face.score)


def _overlap(face: DetectedFace, other: DetectedFace) -> bool:
  """Returns whether the middle of one face lies in the other."""
  return holds(face.box, other.points.mean(0)) or holds(
    other.box, face.points.mean(0)
  )


def holds(
  box: tuple[float, float, float, float], place: Float[np.ndarray, '2']
) -> bool:
  """Returns whether a place (x, y) lies in a box of a face."""
  left, top, across, down = box
  x, y = place
  return bool(left <= x <= left + across and top <= y <= top + down)


def _search_scale(
  image: UInt8[np.ndarray, 'h w 3'], side: int, share: float, threshold: float
) -> list[DetectedFace]:
  """Returns the faces of an image scaled into a black square."""
  height, width = image.shape[:2]
  scale = share * side / max(height, width)
  rows, columns = (max(1, round(n * scale)) for n in (height, width))
  canvas = np.zeros((side, side, 3), np.uint8)
  top, left = (side - rows) // 2, (side - columns) // 2
  canvas[top : top + rows, left : left + columns] = cv2.resize(
    image,
    (columns, rows),
    interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
  )
  zoom = np.array([width / columns, height / rows])
  corner = np.array([left, top])
  faces = []
  for row in _yunet(canvas, threshold):
    # Scaling acts on edges of pixels, and points count from their centres.
    points = (row[4:14].reshape(5, 2) - corner + 0.5) * zoom - 0.5
    place, extent = (row[:2] - corner) * zoom, row[2:4] * zoom
    box = (*map(float, place), *map(float, extent))
    faces.append(DetectedFace(points.astype(np.float32), box, float(row[14])))
  return faces


def _close_up_points(
  image: UInt8[np.ndarray, 'h w 3'], points: Float[np.ndarray, '5 2']
) -> Float[np.ndarray, '5 2']:
  """Returns better points of a face, or the same if it is not found again."""
  if math.hypot(*(points[1] - points[0])) < 1:
    return points
  again, matrix = _close_up(image, points, THRESHOLD)
  if not again:
    return points
  return (again[0] @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


def _close_up(
  image: UInt8[np.ndarray, 'h w 3'],
  points: Float[np.ndarray, '5 2'],
  threshold: float,
) -> tuple[list[Float[np.ndarray, '5 2']], Float[np.ndarray, '2 3']]:
  """Finds a face again, upright and near.

  Returns:
    Its points in the close-up, those of the highest score first, and the matrix
    from places in the close-up to places in the image.
  """
  x, y = (points[1] - points[0]) / _CLOSE_EYES
  linear = np.array([[x, -y], [y, x]])
  centre = (_CLOSE_SIDE - 1) / 2
  matrix = np.c_[linear, points.mean(0) - linear @ np.full(2, centre)]
  matrix = matrix.astype(np.float32)
  close = alignment.straighten(image, matrix, side=_CLOSE_SIDE)
  again = [row[4:14].reshape(5, 2) for row in _yunet(close, threshold)]
  # Another person may stand beside this one.
  return [
    five
    for five in again
    if abs(five.mean(0) - centre).max() < 0.5 * _CLOSE_EYES
  ], matrix


def _yunet(
  square: UInt8[np.ndarray, 'n n 3'], threshold: float
) -> Float[np.ndarray, 'f 15']:
  """Runs YuNet; returns rows of box, points and score, highest score first."""
  network = face_models.detector(len(square), least=threshold)
  # The network was trained on BGR.
  rows = network.detect(np.ascontiguousarray(square[..., ::-1]))[1]
  if rows is None:
    return np.zeros((0, 15), np.float32)
  return rows[np.argsort(-rows[:, 14], kind='stable')]
