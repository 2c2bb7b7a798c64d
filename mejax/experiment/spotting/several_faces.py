"""Chooses one of several faces for the spotter, and counts them."""

from __future__ import annotations

from jaxtyping import UInt8
import numpy as np

from mejax.corpora.which_face import LARGEST
from mejax.corpora.which_face import WhichFace
from mejax.motion import faces as faces_lib
from mejax.motion.detection import DetectedFace
from mejax.motion.spotting.following import Detector

# A face that is smaller than this, of the width of the largest, is not counted.
_LEAST = 0.5


class Chooser:
  """A detector of the face that is meant, which counts the others.

  The spotter follows the largest face that it is given. Which one that is, is
  as in `faces.locate`, so that the same person is spotted and recognised.
  """

  def __init__(self, detector: Detector, which: WhichFace = LARGEST):
    """Keeps what is asked for.

    Args:
      detector: image to faces.
      which: as `which_face.parse` returns it; a place is one in the first
        picture, of which others are copies of any size.
    """
    self._detector, self._which = faces_lib.searching(detector, which), which
    self._size: tuple[int, int] | None = None
    self._counts: list[int] = []

  def __call__(self, image: UInt8[np.ndarray, 'h w 3']) -> list[DetectedFace]:
    self._size = self._size or image.shape[1::-1]
    faces = self._detector(image)
    widest = max((face.box[2] for face in faces), default=0.0)
    self._counts.append(sum(face.box[2] >= _LEAST * widest for face in faces))
    if self._which == LARGEST:
      return faces
    which = self._which
    if not isinstance(which, str):
      # The spotter reduces large pictures, and edges of pixels scale.
      zoom = np.divide(image.shape[1::-1], self._size)
      which = tuple((np.add(which, 0.5) * zoom - 0.5).tolist())
    people = faces_lib.meant([{0: face} for face in faces], which)
    return [person[0] for person in people[:1]]

  def remarks(self) -> list[str]:
    """Says how many faces there are, if there are several most of the time."""
    seen = [count for count in self._counts if count]
    if not seen or (several := int(np.median(seen))) < 2:
      return []
    which = f'the {self._which}'
    if not isinstance(self._which, str):
      which = 'that at {:g},{:g}'.format(*self._which)
    return [f'It shows {several} faces; {which} is followed.']
