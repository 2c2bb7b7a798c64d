"""Cuts out the face at onset and apex of candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
from jaxtyping import UInt8
import numpy as np

from mejax.corpora import decode
from mejax.corpora.clip import Clip
from mejax.motion.spotting.candidates import Candidate
from mejax.motion.spotting.following import Detector

# Candidates of a recording with pictures, those of the highest scores, and the
# longer side of a picture in pixels.
MOST, _SIDE = 60, 200
# Room around the box of a face, as a share of its size.
_ROOM = 0.15


class Pair(NamedTuple):
  """One part of the picture at two moments."""

  onset: UInt8[np.ndarray, 'h w 3']
  apex: UInt8[np.ndarray, 'h w 3']


def pictures(
  clip: Clip, candidates: Sequence[Candidate], detector: Detector
) -> list[Pair | None]:
  """Returns a pair for each candidate, None beyond `MOST` of them.

  A video is decoded once more; only the pictures are in memory.

  Args:
    clip: the frames.
    candidates: in these frames; where one is lost, its neighbour is shown.
    detector: image to faces; without a face the whole frame is shown.
  """
  known = np.array(clip.frame_numbers)
  order = sorted(range(len(candidates)), key=lambda i: -candidates[i].score)
  spans = {
    i: tuple(
      int(known[abs(known - at).argmin()])
      for at in (candidates[i].onset, candidates[i].apex)
    )
    for i in order[:MOST]
  }
  boxes: dict[int, tuple[slice, slice]] = {}
  first, second = {}, {}
  wanted = {number for span in spans.values() for number in span}
  for number, image in decode.some(clip, wanted):
    for i, (onset, apex) in spans.items():
      if number == onset:
        if number not in boxes:
          boxes[number] = _box(image, detector)
        first[i] = _small(image[boxes[number]])
      if number == apex:
        second[i] = _small(image[boxes[onset]])
  return [
    Pair(first[i], second[i]) if i in second else None
    for i in range(len(candidates))
  ]


def _box(
  image: UInt8[np.ndarray, 'h w 3'], detector: Detector
) -> tuple[slice, slice]:
  """Returns rows and columns of the largest face, with room around it."""
  faces = detector(image)
  if not faces:
    return slice(None), slice(None)
  x, y, width, height = max(faces, key=lambda f: f.box[2] * f.box[3]).box
  return tuple(
    slice(
      max(round(start - _ROOM * length), 0),
      min(max(round(start + (1 + _ROOM) * length), 1), side),
    )
    for start, length, side in (
      (y, height, image.shape[0]),
      (x, width, image.shape[1]),
    )
  )


def _small(image: UInt8[np.ndarray, 'h w 3']) -> UInt8[np.ndarray, 'a b 3']:
  scale = _SIDE / max(image.shape[:2])
  size = [max(round(scale * side), 1) for side in image.shape[1::-1]]
  how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
  return cv2.resize(image, size, interpolation=how)
