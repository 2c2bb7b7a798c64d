"""Bumps: regions that move away and come back."""

from __future__ import annotations

import math
from typing import NamedTuple

from jaxtyping import Float
import numpy as np
from scipy import signal

from mejax.motion.spotting import places
from mejax.motion.spotting import run as run_lib
from mejax.motion.spotting.run import Run

_DIRECTIONS = np.array(
  [(math.cos(a), math.sin(a)) for a in np.arange(8) * np.pi / 4]
)
# Share of its height by which a bump must stand above the usual place.
_ABOVE = 0.6
# Frames: what comes and goes sooner is a point that was lost for a frame, and
# smoothing made it 3.2 frames long. The shortest micro-expressions last .17 s,
# which is five frames.
_SHORTEST = 3.5
# Seconds by which smoothing moves both sides of a bump away from its middle.
_WIDER = 0.0125
# Share of its way that skin moves from one frame to the next at most: half of
# it in the shortest micro-expressions, more with noise. What jumps further is a
# point that was taken for another one nearby.
_JUMP = 0.8


class Bump(NamedTuple):
  """A bump of one region.

  Attributes:
    left, peak, right: where it begins, is highest and ends, in frames of a run.
    size: its height, in distances between the eyes.
    score: its height in units of noise.
    region: a name of `places.REGIONS`.
    length: number of frames, the first and the last included.
  """

  left: float
  peak: int
  right: float
  size: float
  score: float
  region: str
  length: float


def find_bumps(run: Run, kind: str, limit: float) -> list[Bump]:
  """Returns the bumps of all regions, in eight directions, above a score."""
  usual, noise = run.usual(kind), run.noise_at(kind)
  found = []
  for i, name in enumerate(places.REGIONS):
    for direction in _DIRECTIONS:
      path = run.motion[:, i] @ direction
      above = path - usual[:, i] @ direction
      tracked = run.tracked[:, i] @ direction
      found += [
        bump
        for bump in _bumps_along(
          run, kind, limit, path, above, noise[:, i], name
        )
        if not _jumps(bump, tracked, path)
      ]
  return found


def _bumps_along(
  run: Run,
  kind: str,
  limit: float,
  path: Float[np.ndarray, ' t'],
  above: Float[np.ndarray, ' t'],
  noise: Float[np.ndarray, ' t'],
  name: str,
) -> list[Bump]:
  """Returns the bumps of a path that is so far above its usual place."""
  peaks, found = signal.find_peaks(
    path,
    prominence=max(limit * noise.min(), run_lib.LEAST_MOTION[kind]),
    wlen=run_lib.odd(run_lib.ROOM[kind] * run.fps),
    width=0,
    rel_height=1 - run_lib.SIDE,
  )
  # The rest of a rise and fall by the square of a sine.
  rest = 1 - math.asin(math.sqrt(run_lib.SIDE)) / (math.pi / 2)
  # The frames at both ends have moved already: those of the file, of which
  # several make one that is analysed.
  step = 1 / run.every
  wide, last = _WIDER * run.fps + step, len(path) - 1.0
  sides = zip(found['left_ips'], found['right_ips'], strict=True)
  bumps = []
  for peak, height, (left, right) in zip(
    peaks.tolist(), found['prominences'], sides, strict=True
  ):
    score = float(height / noise[peak])
    if score < limit or above[peak] < _ABOVE * height:
      continue
    start = min(peak - (peak - left) / rest + wide, peak - 1.0)
    end = max(peak + (right - peak) / rest - wide, peak + 1.0)
    if end - start + step < _SHORTEST:
      continue
    start, end = max(start, 0.0), min(end, last)
    bumps.append(
      Bump(
        left=start,
        peak=peak,
        right=end,
        size=float(height),
        score=score,
        region=name,
        length=end - start + step,
      )
    )
  return bumps


def _jumps(
  bump: Bump, tracked: Float[np.ndarray, ' t'], path: Float[np.ndarray, ' t']
) -> bool:
  """Returns whether one step between frames makes most of a bump."""
  own = slice(max(math.floor(bump.left) - 1, 0), math.ceil(bump.right) + 2)
  # Where a recording ends, a bump is less high than its path.
  step = np.abs(np.diff(tracked[own])).max(initial=0)
  return bool(step > _JUMP * np.ptp(path[own]))
