"""Dense landmarks: FaceMesh's 468 points of one face."""

from __future__ import annotations

import math

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.motion import face_models
from mejax.motion.alignment import straighten

_SIDE = 192
# The network sees the face with a quarter of its size around it.
_ROOM = 1.5
_PASSES = 3
# Corners of the left and the right eye; lids are left out, as they blink.
_EYES = ((33, 133), (362, 263))
_NOSE = (1, 4)
_MOUTH = (61, 291)


def mesh(
  image: UInt8[np.ndarray, 'h w 3'], points: Float[np.ndarray, '5 2']
) -> Float[np.ndarray, '468 2']:
  """The 468 points of the face with the given five, in pixels of the image.

  The network looks three times, each time at where it last saw the face, which
  makes the result depend little on `points`. Kartynnik et al., "Real-time
  facial surface geometry from monocular video on mobile GPUs" (2019).
  """
  return _mesh(image, points)[0]


def steady_five(
  image: UInt8[np.ndarray, 'h w 3'], points: Float[np.ndarray, '5 2']
) -> Float[np.ndarray, '5 2']:
  """The five points by FaceMesh; as given, where it sees no face."""
  found, score = _mesh(image, points)
  return five_from_mesh(found) if score > 0 else points


def _mesh(
  image: UInt8[np.ndarray, 'h w 3'], points: Float[np.ndarray, '5 2']
) -> tuple[Float[np.ndarray, '468 2'], float]:
  """The points, and the log-odds that they are of a face."""
  eyes, mouth = points[:2].mean(0), points[3:].mean(0)
  across = points[1] - points[0]
  # A face in profile has its eyes close to each other, but not to its mouth.
  unit = max(math.hypot(*across), 0.9 * math.hypot(*(mouth - eyes)))
  middle, side = (eyes + mouth) / 2, 2.6 * _ROOM * unit
  for _ in range(_PASSES):
    found, score = _look(image, middle, side, across)
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
  """Eye centres, nose tip and mouth corners of a mesh.

  An eye's centre is the middle of its corners: it stays where it is when the
  eye closes.
  """
  eyes = [points[list(corners)].mean(0) for corners in _EYES]
  nose = points[list(_NOSE)].mean(0)
  return np.stack([*eyes, nose, *points[list(_MOUTH)]]).astype(np.float32)


def _look(
  image: UInt8[np.ndarray, 'h w 3'],
  middle: np.ndarray,
  side: float,
  across: np.ndarray,
) -> tuple[Float[np.ndarray, '468 2'], float]:
  """One pass over a square that is as tilted as the line across the eyes."""
  linear = _rotation(across) * (max(side, 1.0) / _SIDE)
  matrix = np.c_[linear, middle - linear @ np.full(2, (_SIDE - 1) / 2)]
  crop = straighten(image, matrix.astype(np.float32), side=_SIDE)
  network = face_models.landmarker()
  network.setInput(cv2.dnn.blobFromImage(crop, 1 / 255))
  outputs = network.forward(network.getUnconnectedOutLayersNames())
  score, flat = sorted(outputs, key=np.size)
  # A mirrored image shows that they count from the centre of the first pixel.
  flat = flat.reshape(468, 3)[:, :2]
  found = (flat @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
  return found, float(score.item())


def _rotation(across: np.ndarray) -> np.ndarray:
  """Turns the x axis into the direction of `across`."""
  length = np.linalg.norm(across)
  x, y = across / length if length > 0 else (1.0, 0.0)
  return np.array([[x, -y], [y, x]])
