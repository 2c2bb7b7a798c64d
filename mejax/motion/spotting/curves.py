"""From the curves of a network to candidates, and from truths to curves.

A curve says for each frame how likely an expression of one type is under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math

from jaxtyping import Float
from jaxtyping import Float32
import numpy as np
from scipy import signal

from mejax.motion.spotting import candidates as candidates_lib
from mejax.motion.spotting import inputs as inputs_lib
from mejax.motion.spotting import places
from mejax.motion.spotting import run as run_lib
from mejax.motion.spotting.candidates import Candidate
from mejax.motion.spotting.run import MACRO
from mejax.motion.spotting.run import MICRO
from mejax.motion.spotting.run import Run
from mejax.motion.spotting.tracks import Tracks

TYPES = (MICRO, MACRO)
# What is less likely is no candidate, whatever the threshold.
LEAST = 0.02
# Frames over which the target falls at both ends of an expression.
_EDGE = 3.0
# Share of its height at which a bump of a curve begins and ends.
_SIDE = 0.5
# Seconds that a bump may last.
_LONGEST = 8.0
# Share of the strongest region's height from which another one has moved, too.
_ALSO = 0.5
_REGIONS = tuple(places.REGIONS)


def targets(
  tracks: Tracks, truths: Sequence[tuple[str, int, int]]
) -> tuple[Float32[np.ndarray, 't q'], Float32[np.ndarray, ' t']]:
  """Returns the curves that a network should have, and which frames count.

  Args:
    tracks: signals of the recording.
    truths: type, and numbers of the first and the last frame.
  """
  at = inputs_lib.times(tracks)
  numbers = np.interp(at, np.arange(len(tracks.numbers)), tracks.numbers)
  each = (numbers[-1] - numbers[0]) / max(len(numbers) - 1, 1) or 1.0
  curves = np.zeros((len(at), len(TYPES)), np.float32)
  for kind, onset, offset in truths:
    # Half a frame beyond both ends it is half.
    inside = np.minimum(numbers - onset, offset - numbers) / each + 0.5
    share = np.clip(inside / _EDGE + 0.5, 0, 1)
    q = TYPES.index(kind)
    curves[:, q] = np.maximum(curves[:, q], share)
  return curves, counted(tracks)


def counted(tracks: Tracks) -> Float32[np.ndarray, ' t']:
  """Returns 1 for the frames that show a face, and 0 for the others."""
  nearest = np.rint(inputs_lib.times(tracks)).astype(int)
  nearest = np.minimum(nearest, len(tracks.shot) - 1)
  return (tracks.shot[nearest] >= 0).astype(np.float32)


def spot(
  tracks: Tracks,
  curves: Float[np.ndarray, 't q'],
  *,
  thresholds: Mapping[str, float],
) -> list[Candidate]:
  """Returns the bumps of curves as candidates, in the order of their onsets.

  A candidate begins and ends where its curve has half of its height, and its
  apex is where a region is furthest from its usual place.

  Args:
    tracks: signals of the recording.
    curves: probability of each type at each of `inputs.times`.
    thresholds: least height of each type.
  """
  at = inputs_lib.times(tracks)
  found = []
  for start, stop in run_lib.runs_of(tracks.shot):
    run = Run(tracks, slice(start, stop), run_lib.GATES)
    own = (at >= start) & (at <= stop - 1)
    for kind, curve in zip(TYPES, curves[own].T, strict=True):
      bumps = _bumps(curve, max(thresholds[kind], LEAST))
      if not bumps:
        continue
      # Once for all bumps: it takes longer than all else.
      away = np.linalg.norm(run.motion - run.usual(kind), axis=-1)
      heights = away / run.noise_at(kind)
      found += [
        _candidate(
          run, kind, at[own][[first, last]] - start, score, away, heights
        )
        for first, last, score in bumps
      ]
  return sorted(found, key=lambda one: (one.onset, one.type))


def _bumps(
  curve: Float[np.ndarray, ' t'], least: float
) -> list[tuple[int, int, float]]:
  """Returns first frame, last frame and height of the bumps of a curve."""
  # A frame of nothing at both ends, so that a bump there has two sides.
  padded = np.concatenate([[0.0], curve, [0.0]])
  peaks, shape = signal.find_peaks(
    padded,
    height=least,
    prominence=_SIDE * least,
    width=0,
    rel_height=_SIDE,
  )
  found: list[tuple[int, int, float]] = []
  for i in np.argsort(-padded[peaks], kind='stable').tolist():
    first = max(math.ceil(shape['left_ips'][i]) - 1, 0)
    last = min(math.floor(shape['right_ips'][i]) - 1, len(curve) - 1)
    # A lower top of the same expression is no other one.
    is_new = all(last < a or first > b for a, b, _ in found)
    if is_new and last - first <= _LONGEST * inputs_lib.RATE:
      found.append((first, last, float(padded[peaks[i]])))
  return found


def _candidate(
  run: Run,
  kind: str,
  span: Float[np.ndarray, ' 2'],
  score: float,
  away: Float[np.ndarray, 't r'],
  heights: Float[np.ndarray, 't r'],
) -> Candidate:
  """Tells what moved most between two frames of a run.

  Args:
    run: a stretch of frames.
    kind, span, score: type, first and last frame in the run, height.
    away, heights: how far each region is from its usual place, in distances
      between the eyes and in units of noise.
  """
  first, last = np.rint(span).astype(int).tolist()
  own = heights[first : last + 1]
  apex, strongest = np.unravel_index(own.argmax(), own.shape)
  order = np.argsort(-own[apex])
  moved = own[apex] >= _ALSO * own[apex, strongest]
  peak = first + int(apex)
  onset, top, offset = (
    round(float(np.interp(t, np.arange(len(run.numbers)), run.numbers)))
    for t in (span[0], peak, span[1])
  )
  return Candidate(
    type=kind,
    onset=onset,
    apex=min(max(top, onset), offset),
    offset=offset,
    score=score,
    size=float(away[peak, strongest]),
    regions=tuple(_REGIONS[r] for r in order if moved[r]),
    flags=candidates_lib.flags_of(run, kind, first, peak, last),
  )
