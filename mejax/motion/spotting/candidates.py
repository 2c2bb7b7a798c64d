"""Spots micro- and macro-expressions in the signals of a long recording.

A candidate is a bump: a region of the face moves away and comes back. Its
score is how far it stands out, in units of the recording's own noise. It begins
and ends where its region is at rest, as far as a smooth rise and fall tell that
from the height at which noise hides them.

The thresholds were set on rendered recordings without an expression, and leave
half a false alarm a minute there at most; see tests/benchmarks/spotting.py.
Nothing here looks at the largest value of a recording: much published code
does, and then spots something in every recording.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
from typing import NamedTuple

from jaxtyping import Bool
from jaxtyping import Float
import numpy as np

from mejax.motion.spotting import bumps as bumps_lib
from mejax.motion.spotting import places
from mejax.motion.spotting import run as run_lib
from mejax.motion.spotting.bumps import Bump
from mejax.motion.spotting.run import GATES
from mejax.motion.spotting.run import MACRO
from mejax.motion.spotting.run import MICRO
from mejax.motion.spotting.run import Run
from mejax.motion.spotting.tracks import Tracks

# Scores from which a bump is a candidate.
THRESHOLDS = {MICRO: 11.5, MACRO: 12.5}
# A bump of another region is part of a candidate if it begins as soon (in
# seconds), and two of one type are one if they share this much of the shorter.
_TOGETHER, _SHARED = 0.15, 0.34
# What is long and what is short with one apex are the same if the short one has
# this share of the size; below the other, a short one is a part of a long one.
_SAME, _MINOR = 0.6, 0.25
# Seconds: what lasts longer is the head, or another mood.
_LONGEST = 5.0
# Frames by which the length of a micro-expression may be misjudged.
_TOLERANCE = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Candidate:
  """A movement that may be an expression.

  Attributes:
    type: `micro` or `macro`.
    onset, apex, offset: frame numbers.
    score: height in units of noise.
    size: largest displacement, as a share of the distance between the eyes.
    regions: those that moved, the strongest first.
    flags: what else happened: some of `GATES`, and `cut` if the recording, or
      what shows the face, begins or ends beside it.
  """

  type: str
  onset: int
  apex: int
  offset: int
  score: float
  size: float
  regions: tuple[str, ...]
  flags: tuple[str, ...] = ()


def spot(
  tracks: Tracks,
  *,
  part: str = 'total',
  seconds: float | int = 0.5,
  thresholds: Mapping[str, float] | None = None,
  gates: Collection[str] = GATES,
) -> list[Candidate]:
  """Spots candidates, in the order of their onsets.

  Args:
    tracks: signals of the recording.
    part: what tells the types apart: `total` length or time of the `rise`.
    seconds: a micro-expression lasts this long at most.
    thresholds: scores from which on a movement of each type is a candidate;
      `THRESHOLDS` if not given.
    gates: circumstances whose movements are dropped or lowered. They are
      flagged in any case.

  Raises:
    ValueError: `part`, a type or a gate is unknown.
  """
  if part not in ('total', 'rise'):
    raise ValueError(f'part is {part!r}; expected total or rise')
  limits = THRESHOLDS | dict(thresholds or {})
  for name, known in ((gates, GATES), (limits, THRESHOLDS)):
    if unknown := set(name) - set(known):
      raise ValueError(f'{min(unknown)!r} is unknown; known: {tuple(known)}')
  found = []
  for start, stop in run_lib.runs_of(tracks.shot):
    run = Run(tracks, slice(start, stop), gates)
    found += _candidates(run, part, seconds, limits)
  return sorted(found, key=lambda one: (one.onset, one.type))


class Overview(NamedTuple):
  """What a timeline shows of a recording, for each analysed frame.

  Attributes:
    strength: how far the region that moves most is from its usual place, in
      units of its noise; nan where there is no face.
    lids: whether the lids move.
  """

  strength: Float[np.ndarray, ' t']
  lids: Bool[np.ndarray, ' t']


def overview(tracks: Tracks, gates: Collection[str] = GATES) -> Overview:
  """Returns the curves of a timeline."""
  strength = np.full(len(tracks.shot), np.nan)
  lids = np.zeros(len(tracks.shot), bool)
  for start, stop in run_lib.runs_of(tracks.shot):
    run = Run(tracks, slice(start, stop), gates)
    away = run.motion - run.usual(MICRO)
    heights = np.linalg.norm(away, axis=-1) / run.noise_at(MICRO)
    strength[start:stop] = heights.max(1)
    for first, last in run.blinks:
      lids[start + first : start + last + 1] = True
  return Overview(strength, lids)


def _candidates(
  run: Run, part: str, seconds: float | int, limits: Mapping[str, float]
) -> list[Candidate]:
  """Finds the bumps of both types, and joins those that belong together."""
  found = {}
  for kind in (MICRO, MACRO):
    bumps = bumps_lib.find_bumps(run, kind, limits[kind])
    own = [b for b in bumps if _type(run, b, part, seconds) == kind]
    if 'speech' in run.gates:
      # A brow that moves while the mouth speaks is kept.
      own = [b for b in own if not _is_spoken(run, b)]
    found[kind] = [
      one
      for group in _groups(own)
      if (one := _candidate(run, kind, group)) is not None
    ]
  # What is about as long as the type allows is found as both.
  long = [
    one
    for one in found[MACRO]
    if not any(_is_same(run, one, other) for other in found[MICRO])
  ]
  short = [
    one
    for one in found[MICRO]
    if not any(_is_part(run, one, other) for other in long)
  ]
  return long + short


def _type(run: Run, bump: Bump, part: str, seconds: float | int) -> str | None:
  """Returns the type of a bump; None if it is too long for any."""
  if bump.length > _LONGEST * run.fps:
    return None
  length = bump.length if part == 'total' else bump.peak - bump.left
  return MICRO if length <= seconds * run.fps + _TOLERANCE else MACRO


def _groups(bumps: Sequence[Bump]) -> list[list[Bump]]:
  """Joins bumps that overlap; the strongest of a group comes first."""
  groups: list[list[Bump]] = []
  for bump in sorted(bumps, key=lambda bump: -bump.score):
    for group in groups:
      if _shared(group[0], bump) > _SHARED:
        group.append(bump)
        break
    else:
      groups.append([bump])
  return groups


def _candidate(run: Run, kind: str, group: list[Bump]) -> Candidate | None:
  best = group[0]
  together = [
    bump for bump in group if abs(bump.left - best.left) <= _TOGETHER * run.fps
  ]
  regions = tuple(dict.fromkeys(bump.region for bump in together))
  flags = flags_of(
    run, kind, math.floor(best.left), best.peak, math.ceil(best.right)
  )
  if kind == MICRO:
    if 'blink' in flags and 'blink' in run.gates:
      if set(regions) <= places.BESIDE_LIDS:
        return None
  onset, apex, offset = (
    round(float(np.interp(at, np.arange(len(run.numbers)), run.numbers)))
    for at in (best.left, best.peak, best.right)
  )
  return Candidate(
    type=kind,
    onset=onset,
    apex=apex,
    offset=offset,
    score=best.score,
    size=best.size,
    regions=regions,
    flags=flags,
  )


def flags_of(
  run: Run, kind: str, first: int, peak: int, last: int
) -> tuple[str, ...]:
  """Returns what else happened between two frames of a run."""
  flags = []
  for start, stop in run.blinks:
    shared = min(stop, last) - max(start, first) + 1
    if shared > _SHARED * min(stop - start + 1, last - first + 1):
      flags.append('blink')
      break
  own = slice(first, last + 1)
  if run.head_noise(kind)[own].max() > run.noise.min():
    flags.append('head')
  if run.speech[peak]:
    flags.append('speech')
  if run.light[own].max() > 0.03:
    flags.append('light')
  edge = 0.15 * run.fps
  if first < edge or last > len(run.numbers) - 1 - edge:
    flags.append('cut')
  return tuple(flags)


def _is_spoken(run: Run, bump: Bump) -> bool:
  """Returns whether a bump of the mouth is one of those of speech."""
  around = slice(math.floor(bump.left), math.ceil(bump.right) + 1)
  return (
    bump.region in places.MOUTH and float(run.speech[around].mean()) > _SHARED
  )


def _is_same(run: Run, macro: Candidate, micro: Candidate) -> bool:
  """Returns whether a long candidate is a short one with a drift beside it."""
  is_near = _are_near(run, macro.apex, micro.apex)
  return is_near and micro.size >= _SAME * macro.size


def _is_part(run: Run, micro: Candidate, macro: Candidate) -> bool:
  """Returns whether a short candidate is a part of a long one's movement."""
  if not macro.onset <= micro.apex <= macro.offset:
    return False
  return (
    _are_near(run, micro.apex, macro.apex)
    or _are_near(run, micro.onset, macro.onset)
    or micro.size < _MINOR * macro.size
  )


def _are_near(run: Run, one: int, other: int) -> bool:
  return abs(one - other) <= _TOGETHER * run.fps * run.every


def _shared(one: Bump, other: Bump) -> float:
  """Returns the overlap of two bumps as a share of the shorter."""
  shared = min(one.right, other.right) - max(one.left, other.left)
  return shared / max(min(one.right - one.left, other.right - other.left), 1e-6)
