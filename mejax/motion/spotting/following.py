"""Follows the points of a face through a segment of a recording.

The points are followed from one quiet frame, the reference, so that a signal is
a displacement and not a speed. What counts is how bright each place is compared
to what is around it.
"""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import NamedTuple

import cv2
from jaxtyping import Float
from jaxtyping import Float32
from jaxtyping import UInt8
import numpy as np
from scipy import ndimage

from mejax.motion import scenes
from mejax.motion.detection import DetectedFace
from mejax.motion.spotting import head
from mejax.motion.spotting import places as places_lib

# Pixels between the eyes; larger faces are reduced.
_EYES = 64.0
# Distances between the eyes around the points that are cut out.
_MARGIN = 1.0
# Window and smoothing of the tracking, in distances between the eyes.
_WINDOW, _BLUR = 0.3, 0.02
# Side of what is around a place, in distances between the eyes, and grey levels
# below which a difference is noise.
_AROUND, _DARK = 0.7, 8.0
# A picture that differs this much from the reference does not show the face.
_OTHER = 0.35

Detector = Callable[[UInt8[np.ndarray, 'h w 3']], list[DetectedFace]]


class Signals(NamedTuple):
  """Signals of some frames as in `tracks.Tracks`; `light` in grey levels."""

  motion: Float[np.ndarray, 't r 2']
  lids: Float[np.ndarray, 't 2']
  head: Float[np.ndarray, ' t']
  light: Float[np.ndarray, ' t']

  def cut(self, start: int, stop: int | None = None) -> Signals:
    return Signals(*(array[start:stop] for array in self))


def nothing(length: int) -> Signals:
  """Returns the signals of frames without a face."""
  return Signals(
    np.full((length, len(places_lib.REGIONS), 2), np.nan),
    np.full((length, 2), np.nan),
    np.full(length, np.nan),
    np.full(length, np.nan),
  )


def scale_of(image: UInt8[np.ndarray, 'h w 3'], detector: Detector) -> float:
  """Returns by how much frames are reduced; small faces stay as they are."""
  points = _largest(detector(image))
  if points is None:
    return min(1.0, 640 / max(image.shape[:2]))
  return min(1.0, _EYES / _eyes(points))


def follow(
  images: list[UInt8[np.ndarray, 'h w 3']], fps: float, detector: Detector
) -> tuple[Signals, float]:
  """Follows the face through a segment; returns the pixels between its eyes.

  Without a face all signals are nan, and the pixels 0.
  """
  reference, five = _reference(images, detector)
  if five is None or len(images) < 2:
    return nothing(len(images)), 0.0
  places, weights = places_lib.place_points(five)
  eyes = _eyes(five)
  low = np.floor(places.min(0) - _MARGIN * eyes).astype(int).clip(0)
  high = np.ceil(places.max(0) + _MARGIN * eyes).astype(int)
  cuts = [image[low[1] : high[1], low[0] : high[0]] for image in images]
  greys, light = _without_light(cuts, reference, five - low, eyes)
  found = _lucas_kanade(greys, reference, np.float32(places - low), eyes)
  is_face = np.array(
    [scenes.difference(cuts[reference], cut) < _OTHER for cut in cuts]
  )
  rest, whole = head.remove_head(
    (found - found[reference]) / eyes, places, weights
  )
  speed = np.linalg.norm(np.gradient(whole, axis=0), axis=-1).mean(-1) * fps
  rest[~is_face], speed[~is_face], light[~is_face] = np.nan, np.nan, np.nan
  return (
    Signals(
      places_lib.regions_of(rest), places_lib.lids_of(rest), speed, light
    ),
    eyes,
  )


def _reference(
  images: list[UInt8[np.ndarray, 'h w 3']], detector: Detector
) -> tuple[int, Float32[np.ndarray, '5 2'] | None]:
  """Finds a quiet frame near the middle that shows a face, and its points."""
  small = [cv2.resize(image, None, fx=0.25, fy=0.25) for image in images]
  step = [
    float(cv2.absdiff(a, b).mean())
    for a, b in zip(small, small[1:], strict=False)
  ]
  step.append(step[-1] if step else 0.0)
  motion = ndimage.uniform_filter1d(step, 5)
  away = abs(np.arange(len(images)) / max(len(images) - 1, 1) - 0.5)
  order = np.argsort(motion + 1e3 * (away > 0.3) + away * 1e-3, kind='stable')
  # A face that is there for a second is in one of these, too.
  last = len(images) - 1
  tried = [*order[:2].tolist(), *(round(i * last / 4) for i in range(5))]
  for at in dict.fromkeys(tried):
    points = _largest(detector(images[at]))
    if points is not None:
      return at, points.astype(np.float32)
  return 0, None


def _largest(faces: list[DetectedFace]) -> Float32[np.ndarray, '5 2'] | None:
  faces = [face for face in faces if _eyes(face.points) > 0]
  if not faces:
    return None
  return max(faces, key=lambda face: face.box[2] * face.box[3]).points


def _eyes(points: Float[np.ndarray, '5 2']) -> float:
  return math.hypot(*(points[1] - points[0]))


def _without_light(
  cuts: list[UInt8[np.ndarray, 'h w 3']],
  reference: int,
  five: Float[np.ndarray, '5 2'],
  eyes: float,
) -> tuple[list[UInt8[np.ndarray, 'h w']], Float[np.ndarray, ' t']]:
  """Returns smooth grey frames, relative to the brightness around each place.

  What a lamp does to a cheek stays where it is when the head moves, and would
  hold back points there. The second value is the brightness of the face.
  """
  x, y = five[2]
  reach = 0.9 * eyes
  rows = slice(max(round(y - reach), 0), max(round(y + reach), 1))
  columns = slice(max(round(x - reach), 0), max(round(x + reach), 1))
  around = 2 * max(round(_AROUND * eyes / 2), 1) + 1
  relative, light = [], []
  for cut in cuts:
    grey = cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = cv2.GaussianBlur(grey, (0, 0), max(_BLUR * eyes, 0.6))
    near = cv2.blur(grey, (around, around))
    relative.append((grey - near) / (near + _DARK))
    light.append(float(grey[rows, columns].mean()))
  # The full range of bytes makes their rounding small.
  stretch = 40.0 / max(float(relative[reference][rows, columns].std()), 0.01)
  return [
    np.rint(one * stretch + 128).clip(0, 255).astype(np.uint8)
    for one in relative
  ], np.array(light)


def _lucas_kanade(
  greys: list[UInt8[np.ndarray, 'h w']],
  reference: int,
  places: Float32[np.ndarray, 'n 2'],
  eyes: float,
) -> Float[np.ndarray, 't n 2']:
  """Follows points from the reference to every other frame.

  Bouguet, "Pyramidal implementation of the Lucas Kanade feature tracker"
  (2001).
  """
  side = 2 * max(round(_WINDOW * eyes / 2), 3) + 1
  found = np.empty((len(greys), *places.shape))
  for order in (range(reference, len(greys)), range(reference, -1, -1)):
    guess = places.copy()
    for t in order:
      ours, is_found, _ = cv2.calcOpticalFlowPyrLK(
        greys[reference],
        greys[t],
        places,
        guess.copy(),
        winSize=(side, side),
        maxLevel=2,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.005),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
      )
      # A point that is lost moves as the others do, in the middle.
      is_lost = is_found.ravel() == 0
      step = np.median(ours - places, 0)
      is_lost |= np.linalg.norm(ours - places - step, axis=-1) > 0.5 * eyes
      guess = np.where(is_lost[:, None], places + step, ours).astype(np.float32)
      found[t] = guess
  return found
