"""Finds dense landmarks: FaceMesh's 468 points of one face.

Kartynnik et al., "Real-time facial surface geometry from monocular video on
mobile GPUs" (2019).
"""

from __future__ import annotations

import math

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.motion import alignment
from mejax.motion import face_models

_SIDE = 192
# The network's input is the face with a quarter of its size on every side.
_ROOM = 1.5
# Each pass crops the image where the pass before found the face. After three
# passes the result hardly depends on the first guess.
_PASSES = 3
# Points at the corners of the left and of the right eye. Those of the lids
# would move with a blink.
_EYES = ((33, 133), (362, 263))
_NOSE = (1, 4)
_MOUTH = (61, 291)


def steady_five(
  image: UInt8[np.ndarray, 'h w 3'], points: Float[np.ndarray, '5 2']
) -> tuple[Float[np.ndarray, '5 2'], float]:
  """Returns FaceMesh's five points, or those given if it finds no face.

  The second value is the log-odds that it is one.
  """
  found, score = find_mesh(image, points)
  return (five_from_mesh(found) if score > 0 else points), score


def find_mesh(
  image: UInt8[np.ndarray, 'h w 3'], points: Float[np.ndarray, '5 2']
) -> tuple[Float[np.ndarray, '468 2'], float]:
  """Finds the 468 points of the face that has the given five points.

  Args:
    image: RGB.
    points: (x, y) in pixels, as in `faces`; a rough guess is enough.

  Returns:
    (x, y) in pixels, and the log-odds that they belong to a face.
  """
  eyes, mouth = points[:2].mean(0), points[3:].mean(0)
  across = points[1] - points[0]
  # A face in profile has its eyes close to each other, but not to its mouth.
  unit = max(math.hypot(*across), 0.9 * math.hypot(*(mouth - eyes)))
  middle, side = (eyes + mouth) / 2, 2.6 * _ROOM * unit
  for _ in range(_PASSES):
    found, score = _run_network(image, middle, side, across)
    five = five_from_mesh(found)
    across = five[1] - five[0]
    turn = _rotation(across)
    upright = found @ turn
    low, high = upright.min(0), upright.max(0)
    middle, side = turn @ ((low + high) / 2), _ROOM * float((high - low).max())
  return found, score


def five_from_mesh(
  points: Float[np.ndarray, '468 2'],
) -> Float[np.ndarray, '5 2']:
  """Returns eye centres, nose tip and mouth corners of a mesh.

  The centre of an eye is the middle between its corners, which does not move
  when the eye closes.
  """
  eyes = [points[list(corners)].mean(0) for corners in _EYES]
  nose = points[list(_NOSE)].mean(0)
  return np.stack([*eyes, nose, *points[list(_MOUTH)]]).astype(np.float32)


def _run_network(
  image: UInt8[np.ndarray, 'h w 3'],
  middle: np.ndarray,
  side: float,
  across: np.ndarray,
) -> tuple[Float[np.ndarray, '468 2'], float]:
  """Runs FaceMesh on a square that is tilted like the line across the eyes."""
  linear = _rotation(across) * (max(side, 1.0) / _SIDE)
  matrix = np.c_[linear, middle - linear @ np.full(2, (_SIDE - 1) / 2)]
  crop = alignment.straighten(image, matrix.astype(np.float32), side=_SIDE)
  network = face_models.landmarker()
  network.setInput(cv2.dnn.blobFromImage(crop, 1 / 255))
  outputs = network.forward(network.getUnconnectedOutLayersNames())
  score, flat = sorted(outputs, key=np.size)
  # Points count from the centre of the first pixel: with any other origin a
  # mirrored image would not give mirrored points.
  flat = flat.reshape(468, 3)[:, :2]
  found = (flat @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
  return found, float(score.item())


def _rotation(across: np.ndarray) -> np.ndarray:
  """Returns the rotation of the x axis into the direction of `across`."""
  length = np.linalg.norm(across)
  x, y = across / length if length > 0 else (1.0, 0.0)
  return np.array([[x, -y], [y, x]])
