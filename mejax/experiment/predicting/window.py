"""Shows pictures in a window of OpenCV."""

from __future__ import annotations

from collections.abc import Callable
import os
import sys
import time

import cv2
from jaxtyping import UInt8
import numpy as np

from mejax.corpora import isolated

_TITLE = 'mejax predict'
_ENDS = (27, ord('q'))  # Escape, and q.
_INSTEAD = (
  'Without a window, --no_window prints each movement; --out DIR writes table'
  ' and page, and --annotate a video of what the window would show'
)

Picture = UInt8[np.ndarray, 'h w 3']


def open_window() -> Callable[[Picture, float], bool]:
  """Returns a function that shows a picture, and says whether to go on.

  It says no when Escape or q is pressed, or the window is closed. It waits with
  a picture whose time in seconds has not come yet, as those of a video may.

  Raises:
    OSError: no window can be opened here; the message says what to do.
  """
  _check()
  cv2.namedWindow(_TITLE)
  # When the picture of time 0 is taken to have been shown.
  begun = time.monotonic()

  def show(picture: Picture, at: float) -> bool:
    nonlocal begun
    cv2.imshow(_TITLE, np.ascontiguousarray(picture[..., ::-1]))
    ahead = begun + at - time.monotonic()
    begun -= min(ahead, 0)  # What was lost is not made up for.
    goes_on = cv2.waitKey(max(round(1000 * ahead), 1)) & 0xFF not in _ENDS
    goes_on &= cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) >= 1
    if not goes_on:
      cv2.destroyAllWindows()
    return goes_on

  return show


def _check() -> None:
  """Refuses a machine without a display, where OpenCV may end the process."""
  variables = ('DISPLAY', 'WAYLAND_DISPLAY')
  if sys.platform.startswith('linux') and not any(
    os.environ.get(name) for name in variables
  ):
    raise OSError(
      'no window can be opened: there is no display (neither DISPLAY nor'
      f' WAYLAND_DISPLAY is set). {_INSTEAD}'
    )
  try:
    isolated.call(_try)
  except ValueError:
    raise OSError(
      'no window can be opened: OpenCV reaches no display, or was built without'
      f' windows (opencv-python-headless). {_INSTEAD}'
    ) from None


def _try() -> None:
  cv2.namedWindow(_TITLE)
  cv2.destroyAllWindows()
