"""Watches the frames of a recording go by: are some shown twice, or turned?"""

from __future__ import annotations

import cv2
from jaxtyping import UInt8
import numpy as np

from mejax.motion import scenes

# Pixels to a side of which one is looked at, and frames after which a turned
# picture is looked for.
_EVERY, _TURN_EVERY = 4, 30
# A step is a repeat if it is so small a share of the usual larger steps, and so
# few grey levels, which is less than the noise of a camera. Video that was
# compressed anew repeats a frame with small differences.
_SHARE, _LEVELS = 0.2, 0.5
# Frames among which some are repeats and some are not, if they alternate, and
# the share of such groups that makes a pattern.
_GROUP, _PATTERN = 6, 0.8
# Grey levels: less is a still picture.
_MOVES = 0.05


class Watch:
  """What was odd about the frames so far."""

  def __init__(self) -> None:
    self._steps: list[float] = []
    self._last: np.ndarray | None = None
    self._kept: np.ndarray | None = None
    self._count = 0
    self.turned: list[tuple[int, int]] = []

  def see(self, image: UInt8[np.ndarray, 'h w 3']) -> None:
    """Looks at the next frame."""
    small = image[::_EVERY, ::_EVERY, 1]
    if self._last is not None and self._last.shape == small.shape:
      self._steps.append(float(cv2.absdiff(small, self._last).mean()))
    self._last = small.copy()
    if self._count % _TURN_EVERY == 0:
      if self._kept is not None:
        degrees = scenes.find_turn(self._kept, image)
        if degrees:
          self.turned.append((self._count, degrees))
      self._kept = image
    self._count += 1

  @property
  def is_still(self) -> bool:
    """Returns whether all frames, of two or more, show one picture."""
    return bool(self._steps) and max(self._steps) < _MOVES

  @property
  def repeated(self) -> float:
    """Returns the share of frames that repeat the one before, in a pattern.

    It is .5 for a video in which each frame is there twice, and 0 where nothing
    moves, or where frames repeat now and then.
    """
    steps = np.array(self._steps)
    groups = steps[: len(steps) // _GROUP * _GROUP].reshape(-1, _GROUP)
    if not len(groups):
      return 0.0
    # Of the larger half, which motion now and then does not change.
    usual = float(np.median(np.sort(steps)[len(steps) // 2 :]))
    small = groups < min(_SHARE * usual, _LEVELS)
    some = small.any(1) & (small.sum(1) < _GROUP)
    has_pattern = usual > _MOVES and some.mean() >= _PATTERN
    return float(small.mean()) if has_pattern else 0.0
