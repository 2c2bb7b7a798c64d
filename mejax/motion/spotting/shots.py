"""A shot: frames that follow each other without a cut or a gap.

It is cut into segments of four seconds that overlap by half, each with a
reference of its own, and the signals are joined where segments overlap. Only
one segment of frames is in memory.
"""

from __future__ import annotations

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.motion import scenes
from mejax.motion.spotting import following
from mejax.motion.spotting.following import Detector
from mejax.motion.spotting.following import Signals

# Seconds between two references.
_HOP = 2.0
# Frames that are filled in where some are missing.
_FILLED = 3
# A step between frames that is a cut, see `scenes.difference`.
_CUT = 0.15


class Shot:
  """Frames that follow each other, of which one segment is in memory."""

  def __init__(self, fps: float, detector: Detector):
    self._fps, self._detector = fps, detector
    self._hop = max(round(_HOP * fps), 2)
    self._images: list[np.ndarray] = []
    self._tail: Signals | None = None
    self._scale = 0.0
    self._last: np.ndarray | None = None
    self.numbers: list[float] = []
    self.parts: list[Signals] = []
    self.eyes: list[float] = []

  def ends_before(
    self, number: float, image: UInt8[np.ndarray, 'h w 3'], every: int
  ) -> bool:
    """Returns whether a frame cannot follow the last one.

    It cannot behind a gap or a cut, or if it has another size.
    """
    if self._last is None:
      return False
    if image.shape != self._last.shape:
      return True
    gap = (number - self.numbers[-1]) / every
    return gap > _FILLED + 1 or scenes.difference(self._last, image) > _CUT

  def add(
    self, number: float, image: UInt8[np.ndarray, 'h w 3'], every: int
  ) -> bool:
    """Takes the next frame; returns whether there are new signals."""
    if not self._scale:
      self._scale = following.scale_of(image, self._detector)
    self._last = image
    size = [max(round(self._scale * side), 1) for side in image.shape[1::-1]]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    missing = (
      round((number - self.numbers[-1]) / every) - 1 if self.numbers else 0
    )
    before = self._images[-1] if self._images else small
    for i in range(missing):
      # A frame that is missing is a mixture of its neighbours.
      share = (i + 1) / (missing + 1)
      mixed = cv2.addWeighted(before, 1 - share, small, share, 0)
      self._images.append(mixed)
      self.numbers.append(self.numbers[-1] + every)
    self._images.append(small)
    self.numbers.append(float(number))
    is_full = len(self._images) >= 2 * self._hop + 1
    while len(self._images) >= 2 * self._hop + 1:
      self._advance(self._hop)
    return is_full

  def close(self) -> None:
    """Works off what is left."""
    self._advance(len(self._images))
    self._last = None

  def known(self) -> tuple[Float[np.ndarray, ' t'], list[Signals]]:
    """Returns the frames that were followed, and their signals."""
    parts = [*self.parts, *([] if self._tail is None else [self._tail])]
    length = sum(len(part.head) for part in parts)
    return np.array(self.numbers[:length]), parts

  def forget(self, before: float) -> None:
    """Lets go of the signals of frames before a number, more or less."""
    while self.parts:
      length = len(self.parts[0].head)
      if self.numbers[length - 1] >= before:
        return
      del self.parts[0], self.numbers[:length]

  def _advance(self, number: int) -> None:
    """Follows the segment in memory, and lets go of its first frames."""
    if not number:
      return
    images = self._images[: 2 * self._hop]
    found, eyes = following.follow(images, self._fps, self._detector)
    if eyes:
      self.eyes.append(eyes / self._scale)
    joined = found if self._tail is None else _joined(self._tail, found)
    self.parts.append(joined.cut(0, number))
    self._tail = joined.cut(number) if number < len(images) else None
    del self._images[:number]


def _joined(tail: Signals, new: Signals) -> Signals:
  """Goes over from one segment to the next where they overlap."""
  length = min(len(tail.head), len(new.head))
  if np.isnan(new.head).all():
    return Signals(
      *(
        np.concatenate([old[:length], array[length:]])
        for old, array in zip(tail, new, strict=True)
      )
    )
  share = np.linspace(0, 1, length + 2)[1:-1]
  result = []
  for old, array in zip(tail, new, strict=True):
    own = share.reshape(-1, *[1] * (array.ndim - 1))
    if array.ndim > 1:
      # Displacements count from the reference of their segment.
      apart = old[:length] - array[:length]
      known = np.isfinite(apart).all(tuple(range(1, apart.ndim)))
      if known.any():
        array = array + np.median(apart[known], 0)
    mixed = (1 - own) * old[:length] + own * array[:length]
    mixed = np.where(np.isnan(mixed), old[:length], mixed)
    mixed = np.where(np.isnan(mixed), array[:length], mixed)
    result.append(np.concatenate([mixed, array[length:]]))
  return Signals(*result)
