"""Spots while a recording goes on, from past frames only.

The signals of the last twenty seconds are in memory, and the noise is theirs.
New signals come every two seconds, so a candidate is known two to three seconds
after it ended.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import functools
from typing import NamedTuple

from jaxtyping import UInt8
import numpy as np

from mejax.motion.spotting import candidates as candidates_lib
from mejax.motion.spotting.candidates import Candidate
from mejax.motion.spotting.following import Detector
from mejax.motion.spotting.tracks import Frames
from mejax.motion.spotting.tracks import Recorder
from mejax.motion.spotting.tracks import Tracks

# Seconds that are looked at, and that a candidate must have ended before.
SEEN, _SETTLED = 20.0, 0.5


class Known(NamedTuple):
  """A candidate, and the number of the frame at which it became known."""

  candidate: Candidate
  at: float


class Moment(NamedTuple):
  """What is known when a frame has come.

  Attributes:
    number, image: of the frame; above 40 frames a second, of some together.
    tracks: signals of the last seconds, if there are new ones.
    known: candidates that became known, in the order of their onsets.
  """

  number: float
  image: UInt8[np.ndarray, 'h w 3']
  tracks: Tracks | None
  known: tuple[Known, ...]


def spot(
  frames: Frames, *, fps: float | int, detector: Detector, **options
) -> Iterator[Known]:
  """Yields each candidate as soon as it is known.

  Args:
    frames: as in `tracks.track`; a camera's, perhaps.
    fps: frames a second.
    detector: image to faces; the largest one is followed.
    **options: those of `candidates.spot`.

  Raises:
    ValueError: as in `tracks.track`.
  """
  find = functools.partial(candidates_lib.spot, **options)
  for moment in watch(frames, fps=fps, detector=detector, find=find):
    yield from moment.known


def watch(
  frames: Frames,
  *,
  fps: float | int,
  detector: Detector,
  find: Callable[[Tracks], list[Candidate]] = candidates_lib.spot,
) -> Iterator[Moment]:
  """Yields what is known at each frame, and once more at the end.

  Args:
    frames, fps, detector: as in `spot`.
    find: signals to candidates.

  Raises:
    ValueError: as in `tracks.track`.
  """
  recorder = Recorder(fps, detector)
  told: list[Candidate] = []
  number, image = None, None
  for number, image in recorder.averaged(frames):
    if not recorder.add(number, image):
      yield Moment(number, image, None, ())
      continue
    tracks = recorder.tracks()
    known = _new(find(tracks), number, told, number - _SETTLED * fps)
    yield Moment(number, image, tracks, known)
    recorder.forget(number - SEEN * fps)
    told = [one for one in told if one.offset >= number - 2 * SEEN * fps]
  # What is under way at the end is told, too; without a frame, this raises.
  tracks = recorder.close()
  last = tracks.numbers[-1]
  yield Moment(number, image, tracks, _new(find(tracks), last, told, last))


def _new(
  found: list[Candidate], at: float, told: list[Candidate], before: float
) -> tuple[Known, ...]:
  """Returns and notes the candidates that end before a frame and are new."""
  known = []
  for one in found:
    if one.offset <= before and not any(_overlap(one, old) for old in told):
      told.append(one)
      known.append(Known(one, at))
  return tuple(known)


def _overlap(one: Candidate, other: Candidate) -> bool:
  return (
    one.type == other.type
    and one.onset <= other.offset
    and other.onset <= one.offset
  )
