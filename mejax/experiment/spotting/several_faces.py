"""Chooses one of several faces for the spotter, and counts them."""

from __future__ import annotations

from jaxtyping import UInt8
import numpy as np

from mejax.corpora.which_face import LARGEST
from mejax.corpora.which_face import WhichFace
from mejax.motion.detection import DetectedFace
from mejax.motion.spotting.following import Detector

# A face that is smaller than this, of the width of the largest, is nobody who
# could be meant.
_LEAST = 0.5


class Chooser:
  """A detector of the face that is meant, which counts the others.

  The spotter follows the largest face that it is given.
  """

  def __init__(self, detector: Detector, which: WhichFace = LARGEST):
    """Keeps what is asked for.

    Args:
      detector: image to faces.
      which: as `which_face.parse` returns it.
    """
    self._detector, self._which = detector, which
    self._counts: list[int] = []

  def __call__(self, image: UInt8[np.ndarray, 'h w 3']) -> list[DetectedFace]:
    faces = self._detector(image)
    widest = max((face.box[2] for face in faces), default=0.0)
    large = [face for face in faces if face.box[2] >= _LEAST * widest]
    self._counts.append(len(large))
    if self._which == LARGEST or not faces:
      return faces
    if isinstance(self._which, str):
      across = [face.points[:, 0].mean() for face in large]
      end = np.argmin(across) if self._which == 'left' else np.argmax(across)
      return [large[int(end)]]
    return [face for face in faces if _holds(face, *self._which)]

  def remarks(self) -> list[str]:
    """Says how many faces there are, if there are several most of the time."""
    seen = [count for count in self._counts if count]
    if not seen or (several := int(np.median(seen))) < 2:
      return []
    which = f'the {self._which}'
    if not isinstance(self._which, str):
      which = 'that at {:g},{:g}'.format(*self._which)
    return [f'It shows {several} faces; {which} is followed.']


def _holds(face: DetectedFace, x: float, y: float) -> bool:
  left, top, width, height = face.box
  return left <= x < left + width and top <= y < top + height
