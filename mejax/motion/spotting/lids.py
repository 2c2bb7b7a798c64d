"""What the upper lids do, and what they drag along.

A blink pulls at the skin around the eye, and the fit of the head takes a little
of it for a motion of the head, which then is missing at nose and mouth. Both
follow the lids in a proportion that is a person's own, so it is measured in
their blinks and removed.
"""

from __future__ import annotations

from collections.abc import Sequence
import math

from jaxtyping import Float
import numpy as np
from scipy import ndimage
from scipy import signal

# Distances between the eyes: the smallest blink.
_LEAST = 0.01
# Seconds that the lids may move in a blink.
_LONGEST = 0.9
# Share of its height at which the sides of a blink are found.
_SIDE = 0.2
# Blinks from which on a proportion is known: of three, one may come with an
# expression.
_ENOUGH = 3
# Share of the lids' path from which on a region moves by itself: eyes that
# close in each smile drag no mouth.
_MOST = 0.3


def find_blinks(
  lids: Float[np.ndarray, ' t'], *, fps: float, room: int
) -> list[tuple[int, int]]:
  """Returns the first and the last frame of each bump of the lids.

  Args:
    lids: their displacement downward.
    fps: frames a second.
    room: odd number of frames that a blink, and rest around it, takes.
  """
  steps = abs(np.diff(lids))
  noise = 1.4826 * np.median(steps) if len(steps) else 0.0
  _, found = signal.find_peaks(
    lids,
    prominence=max(8 * noise, _LEAST),
    wlen=room,
    width=0,
    rel_height=1 - _SIDE,
  )
  sides = zip(found['left_ips'], found['right_ips'], strict=True)
  return [
    (math.floor(left), math.ceil(right))
    for left, right in sides
    if right - left < _LONGEST * fps
  ]


def remove_drag(
  motion: Float[np.ndarray, 't r 2'],
  lids: Float[np.ndarray, ' t'],
  blinks: Sequence[tuple[int, int]],
  *,
  room: int,
) -> Float[np.ndarray, 't r 2']:
  """Removes what moves in proportion to the lids.

  With fewer than three blinks nothing is removed: a movement in one of them may
  be an expression.

  Args:
    motion, lids: displacements of regions, and of the lids downward.
    blinks, room: as in `find_blinks`.
  """
  if len(blinks) < _ENOUGH:
    return motion
  share = np.median([_share(motion, lids, *blink) for blink in blinks], 0)
  share[np.linalg.norm(share, axis=-1) > _MOST] = 0
  rest = ndimage.median_filter(lids, room, mode='nearest')
  return motion - (lids - rest)[:, None, None] * share


def _share(
  motion: Float[np.ndarray, 't r 2'],
  lids: Float[np.ndarray, ' t'],
  first: int,
  last: int,
) -> Float[np.ndarray, 'r 2']:
  """Fits motion to the lids by least squares in a blink, from its two ends."""
  own = slice(first, last + 1)
  after = np.linspace(0, 1, last - first + 1)
  path = lids[own] - np.interp(after, [0, 1], lids[[first, last]])
  before = (1 - after)[:, None, None] * motion[first]
  moved = motion[own] - before - after[:, None, None] * motion[last]
  return np.einsum('t,trd->rd', path, moved) / (path @ path)
