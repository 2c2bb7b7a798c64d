"""Tells where the face of a rendered recording is, without looking for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mejax.corpora.faces.long_takes import LongTake
from mejax.motion.detection import DetectedFace


def points_of(take: LongTake) -> np.ndarray:
  """Returns the five points at the first frame."""
  pose = take.poses[0][1]
  eyes, nose, mouth = (
    pose.place(take.person.face.points[name]) * take.size - 0.5
    for name in ('eye', 'nose', 'mouth_corner')
  )
  return np.stack([*eyes, nose[0], *mouth]).astype(np.float32)


def detector_of(take: LongTake) -> Callable[[np.ndarray], list[DetectedFace]]:
  """Returns a detector that knows the face, unless the image is even."""
  points = points_of(take)
  low, high = points.min(0), points.max(0)
  face = DetectedFace(
    box=(*low.tolist(), *(high - low).tolist()), points=points, score=1.0
  )
  return lambda image: [face] if image.std() > 20 else []
