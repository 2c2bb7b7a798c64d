"""Finds how far a frame must be turned for its face to stand upright.

YuNet takes many a sideways or upside-down face for an upright one, with points
that lie on neither eyes nor mouth. Its score and the fit of FaceMesh tell the
two apart. Measured on two photographs and six rendered faces, blurred, noisy,
dark, half covered and down to 5 pixels between the eyes: upright faces have
scores of at least 0.86; turned ones, taken for upright, at most 0.90, with a
fit of at most 9 (12 if tilted as well), where upright ones of any size that
flow can use have 13 or more.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

from jaxtyping import UInt8
import numpy as np

from mejax.motion import mesh
from mejax.motion.detection import DetectedFace

# Below one of these a face may be turned, and the three turns are tried.
_SURE_SCORE, _SURE_FIT = 0.8, 15.0
# Below both of these it is no face.
_LEAST_SCORE, _LEAST_FIT = 0.75, 0.0
# Score 1 is worth as much as this fit; another turn must be better by a margin.
_WORTH, _MARGIN = 30.0, 4.0
# Quarter turns anticlockwise, the likeliest first.
_TURNS = (2, 1, 3)
# Frames that agree on the turn of a recording, and, if it has fewer with a
# face, those that are enough to turn it: one may be anything.
_AGREE, _LEAST = 3, 2

Detector = Callable[[UInt8[np.ndarray, 'h w 3']], list[DetectedFace]]
Found = list[list[DetectedFace]]


def search(
  images: Sequence[UInt8[np.ndarray, 'h w 3']], detector: Detector
) -> tuple[Found, int]:
  """Detects the faces of all images, in the turn in which they are faces.

  Args:
    images: RGB frames of a clip.
    detector: image to faces, of upright faces only.

  Returns:
    The faces of each image, in its pixels as they are; points have the order of
    the upright face. And how many degrees anticlockwise would put it upright.
    What is no face in any turn is not among them.
  """
  found = [detector(image) for image in images]
  best = _best(images, found)
  if best is not None and _is_sure(best):
    return found, 0
  # One frame decides: the one that shows the doubtful face best.
  image = images[len(images) // 2 if best is None else best[0]]
  chosen, turn = best, 0
  for other in _TURNS:
    faces = _detect_turned(image, other, detector)
    rival = _best([np.rot90(image, other)], [faces])
    if rival is None:
      continue
    margin = _MARGIN if turn == 0 else 0.0
    if chosen is None or _quality(rival) > _quality(chosen) + margin:
      chosen, turn = rival, other
  if chosen is None or not _is_face(chosen):
    return [[] for _ in images], 0
  if turn:
    found = [
      [
        _turned_back(face, turn, image.shape)
        for face in _detect_turned(image, turn, detector)
      ]
      for image in images
    ]
  return found, 90 * turn


def turn_of(
  images: Iterable[UInt8[np.ndarray, '_ _ 3']], detector: Detector
) -> int:
  """Returns how many degrees anticlockwise put a recording's face upright.

  Each frame that shows a face has a vote; 0, 90, 180 or 270 is returned, and 0
  unless most votes agree on another.

  Args:
    images: RGB frames from all of the recording; no more are taken as soon as
      three agree.
    detector: image to faces, of upright faces only.
  """
  votes = collections.Counter()
  for image in images:
    found, turn = search([image], detector)
    votes[turn] += bool(found[0])
    if votes[turn] == _AGREE:
      return turn
  for turn, count in votes.items():
    if count >= _LEAST and 2 * count > votes.total():
      return turn
  return 0


# Position of the image, score, fit.
_Best = tuple[int, float, float]


def _best(
  images: Sequence[UInt8[np.ndarray, 'h w 3']], found: Found
) -> _Best | None:
  """Returns the face of highest score, and the fit of FaceMesh to it."""
  faces = [(face.score, at) for at, some in enumerate(found) for face in some]
  if not faces:
    return None
  _, at = max(faces)
  face = max(found[at], key=lambda face: face.score)
  fit = face.fit
  if fit is None:
    _, fit = mesh.find_mesh(np.ascontiguousarray(images[at]), face.points)
  return at, face.score, fit


def _quality(best: _Best) -> float:
  _, score, fit = best
  return fit + _WORTH * score


def _is_sure(best: _Best) -> bool:
  _, score, fit = best
  return score >= _SURE_SCORE and fit >= _SURE_FIT


def _is_face(best: _Best) -> bool:
  _, score, fit = best
  return score >= _LEAST_SCORE or fit >= _LEAST_FIT


def _detect_turned(
  image: UInt8[np.ndarray, 'h w 3'], turn: int, detector: Detector
) -> list[DetectedFace]:
  """Returns the faces of a turned image, in pixels of the turned image."""
  return detector(np.ascontiguousarray(np.rot90(image, turn)))


def _turned_back(
  face: DetectedFace, turn: int, shape: tuple[int, ...]
) -> DetectedFace:
  """Returns a face of a turned image in the pixels of the image."""
  height, width = shape[:2]

  def back(places: np.ndarray) -> np.ndarray:
    x, y = places.T
    if turn == 1:
      x, y = width - 1 - y, x
    elif turn == 2:
      x, y = width - 1 - x, height - 1 - y
    else:
      x, y = y, height - 1 - x
    return np.stack([x, y], axis=-1)

  left, top, across, down = face.box
  # Boxes count from edges of pixels, points from their centres.
  corners = np.array([[left, top], [left + across, top + down]]) - 0.5
  corners = back(corners) + 0.5
  low, extent = corners.min(0), np.ptp(corners, axis=0)
  return dataclasses.replace(
    face,
    points=back(face.points).astype(np.float32),
    box=(*map(float, low), *map(float, extent)),
  )
