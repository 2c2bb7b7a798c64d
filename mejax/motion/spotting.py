"""Spots micro- and macro-expressions in the signals of a long recording.

A candidate is a bump: a region of the face moves away and comes back. Its
score is how far it stands out, in units of the recording's own noise; the head
and the light raise that noise while they change, so that nothing is deleted.
A candidate begins and ends where its region is at rest, as far as a smooth rise
and fall tell that from the height at which noise hides them.

The thresholds were set on rendered recordings without an expression, and leave
less than one false alarm a minute there; see tests/benchmarks/spotting.py.
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
from scipy import ndimage
from scipy import signal

from mejax.motion import region_tracks
from mejax.motion.region_tracks import Tracks

MICRO, MACRO = 'micro', 'macro'
# Circumstances that a candidate may come from; each can be let through.
GATES = ('blink', 'head', 'speech', 'light')
# Scores from which a bump is a candidate.
THRESHOLDS = {MICRO: 14.0, MACRO: 14.0}
# Seconds: a standard deviation that removes what is faster than 5 Hz.
_SMOOTH = 0.03
# Seconds in which a bump of each type, and rest around it, has room.
_ROOM = {MICRO: 1.6, MACRO: 10.0}
# Seconds of the lag whose differences are noise, and of no noise below.
_LAG = 0.1
# Distances between the eyes: what is noise, motion and a blink, at least.
_LEAST_NOISE, _LEAST_BLINK = 4e-4, 0.01
_LEAST_MOTION = {MICRO: 4e-3, MACRO: 1.2e-2}
# What a distance of the head, and a share of brightness, add to the noise.
_HEAD_NOISE, _LIGHT_NOISE = {MICRO: 0.02, MACRO: 0.01}, 0.02
# Seconds over which the path of the head is measured for each type.
_HEAD_SECONDS = {MICRO: 0.25, MACRO: 2.0}
_DIRECTIONS = np.array(
  [(math.cos(a), math.sin(a)) for a in np.arange(8) * np.pi / 4]
)
# Height at which the sides of a bump are found, as a share.
_SIDE = 0.2
# Share of its height by which a bump must stand above the usual place.
_ABOVE = 0.6
# A bump of another region is part of a candidate if it begins as soon (in
# seconds), and two of one type are one if they share this much of the shorter.
_TOGETHER, _SHARED = 0.15, 0.34
# How many times as long as a short candidate the same movement may be judged,
# and the share of a long one's size below which a short one is a part of it.
_JUDGED, _MINOR = 1.6, 0.25
# Seconds: what lasts longer is the head, or another mood.
_LONGEST = 5.0
# Seconds that the lids may move in a blink.
_LONGEST_BLINK = 0.9
# Seconds by which the length of a micro-expression may be misjudged.
_TOLERANCE = 0.067
# Where the mouth turns so many times within so many seconds to both sides, it
# speaks.
_SPEECH = (1.0, 5)
_LID_REGIONS = frozenset(
  name
  for name in region_tracks.REGIONS
  if ('brow' in name and 'inner' not in name) or 'cheek' in name
)


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


class _Bump(NamedTuple):
  """A bump of one region, in frames of a run."""

  left: float
  peak: int
  right: float
  size: float
  score: float
  region: str


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
  for start, stop in _runs(tracks.shot):
    run = _Run(tracks, slice(start, stop), gates)
    found += run.candidates(part, seconds, limits)
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
  for start, stop in _runs(tracks.shot):
    run = _Run(tracks, slice(start, stop), gates)
    away = run.motion - run.usual(MICRO)
    heights = np.linalg.norm(away, axis=-1) / run.noise_at(MICRO)
    strength[start:stop] = heights.max(1)
    for first, last in run.blinks:
      lids[start + first : start + last + 1] = True
  return Overview(strength, lids)


def _runs(shot: np.ndarray) -> list[tuple[int, int]]:
  """Returns start and end of each stretch of one shot with a face."""
  edges = np.flatnonzero(np.diff(shot)) + 1
  bounds = [0, *edges.tolist(), len(shot)]
  return [
    (a, b) for a, b in zip(bounds, bounds[1:], strict=False) if shot[a] >= 0
  ]


class _Run:
  """A stretch of frames that follow each other and show the face."""

  def __init__(self, tracks: Tracks, own: slice, gates: Collection[str]):
    self.fps, self.gates = tracks.fps, gates
    self.numbers = tracks.numbers[own]
    smooth = _SMOOTH * self.fps
    self.motion = ndimage.gaussian_filter1d(
      tracks.motion[own], smooth, axis=0, mode='nearest'
    )
    self.lids = ndimage.gaussian_filter1d(
      tracks.lids[own].mean(1), smooth, mode='nearest'
    )
    self.head = {
      kind: self._path_of_head(tracks.head[own], seconds)
      for kind, seconds in _HEAD_SECONDS.items()
    }
    reach = max(round(_HEAD_SECONDS[MICRO] * self.fps), 1)
    light = tracks.light[own]
    self.light = ndimage.maximum_filter1d(light, reach) - (
      ndimage.minimum_filter1d(light, reach)
    )
    self.blinks = self._blinks()
    self.noise = self._noise()
    self.speech = self._speech()

  def _path_of_head(
    self, speed: Float[np.ndarray, ' t'], seconds: float
  ) -> Float[np.ndarray, ' t']:
    """Returns how far the head gets in some seconds around each frame."""
    reach = max(round(seconds * self.fps), 1)
    mean = ndimage.uniform_filter1d(speed, reach, mode='nearest')
    return seconds * ndimage.maximum_filter1d(mean, reach, mode='nearest')

  def candidates(
    self, part: str, seconds: float | int, limits: Mapping[str, float]
  ) -> list[Candidate]:
    """Finds the bumps of both types, and joins those that belong together."""
    found = {}
    for kind in (MICRO, MACRO):
      bumps = self._bumps(kind, limits[kind])
      own = [b for b in bumps if self._type(b, part, seconds) == kind]
      if 'speech' in self.gates:
        # A brow that moves while the mouth speaks is kept.
        own = [b for b in own if not self._is_spoken(b)]
      groups = self._groups(own)
      found[kind] = [
        one
        for group in groups
        if (one := self._candidate(kind, group)) is not None
      ]
    # What is as long as the type allows, more or less, is found as both.
    long = [
      one
      for one in found[MACRO]
      if not any(self._is_same(one, other) for other in found[MICRO])
    ]
    short = [
      one
      for one in found[MICRO]
      if not any(self._is_part(one, other) for other in long)
    ]
    return long + short

  def _type(self, bump: _Bump, part: str, seconds: float | int) -> str | None:
    """Returns the type of a bump; None if it is too long for any."""
    if bump.right - bump.left > _LONGEST * self.fps:
      return None
    length = (
      bump.right - bump.left if part == 'total' else bump.peak - bump.left
    )
    is_short = length <= (seconds + _TOLERANCE) * self.fps
    return MICRO if is_short else MACRO

  def _noise(self) -> Float[np.ndarray, ' r']:
    """Returns the noise of each region, where head and lids are at rest."""
    lag = max(round(_LAG * self.fps), 1)
    if len(self.motion) <= lag:
      return np.full(self.motion.shape[1], _LEAST_NOISE)
    steps = np.linalg.norm(self.motion[lag:] - self.motion[:-lag], axis=-1)
    head = self.head[MICRO]
    quiet = head[lag:] <= np.median(head)
    for start, stop in self.blinks:
      quiet[max(start - lag, 0) : stop] = False
    if quiet.sum() > 2 * self.fps:
      steps = steps[quiet]
    # The median length of a normal step in the plane is 1.177 sigma, and a step
    # has the noise of two frames.
    sigma = np.median(steps, 0) / 1.177 / math.sqrt(2)
    return np.maximum(sigma, _LEAST_NOISE)

  def _blinks(self) -> list[tuple[int, int]]:
    """Returns the first and last frame of each bump of the lids."""
    steps = abs(np.diff(self.lids))
    noise = 1.4826 * np.median(steps) if len(steps) else 0.0
    _, found = signal.find_peaks(
      self.lids,
      prominence=max(8 * noise, _LEAST_BLINK),
      wlen=_odd(_ROOM[MICRO] * self.fps),
      width=0,
      rel_height=1 - _SIDE,
    )
    sides = zip(found['left_ips'], found['right_ips'], strict=True)
    return [
      (math.floor(left), math.ceil(right))
      for left, right in sides
      if right - left < _LONGEST_BLINK * self.fps
    ]

  def _bumps(self, kind: str, limit: float) -> list[_Bump]:
    """Returns the bumps of all regions in all directions above a limit."""
    usual, noise = self.usual(kind), self.noise_at(kind)
    room = _odd(_ROOM[kind] * self.fps)
    bumps = []
    for i, name in enumerate(region_tracks.REGIONS):
      for direction in _DIRECTIONS:
        bumps += self._bumps_along(
          (self.motion[:, i] - usual[:, i]) @ direction,
          self.motion[:, i] @ direction,
          noise[:, i],
          limit,
          _LEAST_MOTION[kind],
          name,
          room,
        )
    return bumps

  def usual(self, kind: str) -> Float[np.ndarray, 't r 2']:
    """Returns where each region usually is, around each frame."""
    # A median over ten seconds needs no more than some thirty of the frames.
    room = _odd(_ROOM[kind] * self.fps)
    step = max(room // 30, 1)
    some = ndimage.median_filter(
      self.motion[::step], size=(_odd(room / step), 1, 1), mode='nearest'
    )
    t = np.arange(len(self.motion))
    columns = some.reshape(len(some), -1).T
    return np.stack(
      [np.interp(t, t[::step], column) for column in columns], 1
    ).reshape(self.motion.shape)

  def noise_at(self, kind: str) -> Float[np.ndarray, 't r']:
    """Returns the noise of each region with what head and light add to it."""
    head = self.head[kind]
    square = np.repeat(self.noise[None] ** 2, len(head), 0)
    if 'head' in self.gates:
      square += (_HEAD_NOISE[kind] * head[:, None]) ** 2
    if 'light' in self.gates:
      square += (_LIGHT_NOISE * self.light[:, None]) ** 2
    return np.sqrt(square)

  def _bumps_along(
    self,
    above: Float[np.ndarray, ' t'],
    path: Float[np.ndarray, ' t'],
    noise: Float[np.ndarray, ' t'],
    limit: float,
    smallest: float,
    name: str,
    room: int,
  ) -> list[_Bump]:
    least = max(limit * noise.min(), smallest)
    peaks, found = signal.find_peaks(
      path, prominence=least, wlen=room, width=0, rel_height=1 - _SIDE
    )
    bumps = []
    # The rest of a rise and fall by the square of a sine.
    rest = 1 - math.asin(math.sqrt(_SIDE)) / (math.pi / 2)
    # Smoothing makes it wider, and both frames at its ends have moved already.
    wide, last = _SMOOTH * self.fps, len(path) - 1.0
    for peak, height, left, right in zip(
      peaks.tolist(),
      found['prominences'],
      found['left_ips'],
      found['right_ips'],
      strict=True,
    ):
      score = height / noise[peak]
      if score < limit or above[peak] < _ABOVE * height:
        continue
      bumps.append(
        _Bump(
          max(min(peak - (peak - left) / rest + wide, peak - 1.0), 0.0),
          peak,
          min(max(peak + (right - peak) / rest - wide, peak + 1.0), last),
          float(height),
          float(score),
          name,
        )
      )
    return bumps

  def _groups(self, bumps: Sequence[_Bump]) -> list[list[_Bump]]:
    """Joins bumps that overlap; the strongest of a group comes first."""
    groups: list[list[_Bump]] = []
    for bump in sorted(bumps, key=lambda bump: -bump.score):
      for group in groups:
        if _shared(group[0], bump) > _SHARED:
          group.append(bump)
          break
      else:
        groups.append([bump])
    return groups

  def _candidate(self, kind: str, group: list[_Bump]) -> Candidate | None:
    best = group[0]
    together = [
      bump
      for bump in group
      if abs(bump.left - best.left) <= _TOGETHER * self.fps
    ]
    regions = tuple(dict.fromkeys(bump.region for bump in together))
    flags = self._flags(kind, best)
    if kind == MICRO:
      if 'blink' in flags and 'blink' in self.gates:
        if set(regions) <= _LID_REGIONS:
          return None
    onset, apex, offset = (
      round(float(np.interp(at, np.arange(len(self.numbers)), self.numbers)))
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

  def _flags(self, kind: str, bump: _Bump) -> tuple[str, ...]:
    first, last = math.floor(bump.left), math.ceil(bump.right)
    flags = []
    for start, stop in self.blinks:
      shared = min(stop, last) - max(start, first) + 1
      if shared > _SHARED * min(stop - start + 1, last - first + 1):
        flags.append('blink')
        break
    own = slice(first, last + 1)
    if _HEAD_NOISE[kind] * self.head[kind][own].max() > self.noise.min():
      flags.append('head')
    if self.speech[bump.peak]:
      flags.append('speech')
    if self.light[own].max() > 0.03:
      flags.append('light')
    edge = 0.15 * self.fps
    if first < edge or last > len(self.numbers) - 1 - edge:
      flags.append('cut')
    return tuple(flags)

  def _speech(self) -> Bool[np.ndarray, ' t']:
    """Returns where the mouth opens and closes again and again."""
    i = list(region_tracks.REGIONS).index('lower lip')
    path = self.motion[:, i, 1]
    least = max(6 * self.noise[i], _LEAST_MOTION[MICRO])
    turns = np.zeros(len(path))
    for sign in (1, -1):
      peaks, _ = signal.find_peaks(sign * path, prominence=least)
      turns[peaks] = 1
    reach = round(_SPEECH[0] * self.fps)
    around = np.convolve(turns, np.ones(2 * reach + 1))[reach:][: len(path)]
    return around >= _SPEECH[1]

  def _is_spoken(self, bump: _Bump) -> bool:
    """Returns whether a bump of the mouth is one of those of speech."""
    around = slice(math.floor(bump.left), math.ceil(bump.right) + 1)
    return (
      bump.region in region_tracks.MOUTH
      and float(self.speech[around].mean()) > _SHARED
    )

  def _is_same(self, macro: Candidate, micro: Candidate) -> bool:
    """Returns whether a long candidate is a short one, judged a bit longer."""
    longer = (macro.offset - macro.onset) / max(micro.offset - micro.onset, 1)
    return self._are_near(macro.apex, micro.apex) and longer < _JUDGED

  def _is_part(self, micro: Candidate, macro: Candidate) -> bool:
    """Returns whether a short candidate is a part of a long one's movement."""
    if not macro.onset <= micro.apex <= macro.offset:
      return False
    return (
      self._are_near(micro.apex, macro.apex)
      or self._are_near(micro.onset, macro.onset)
      or micro.size < _MINOR * macro.size
    )

  def _are_near(self, one: int, other: int) -> bool:
    frames_each = float(self.numbers[1] - self.numbers[0])
    return abs(one - other) <= _TOGETHER * self.fps * frames_each


def _shared(one: _Bump, other: _Bump) -> float:
  """Returns the overlap of two bumps as a share of the shorter."""
  shared = min(one.right, other.right) - max(one.left, other.left)
  return shared / max(min(one.right - one.left, other.right - other.left), 1e-6)


def _odd(length: float) -> int:
  return 2 * max(round(length / 2), 1) + 1
