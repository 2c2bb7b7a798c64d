"""Spots while a recording goes on, from past frames only.

The signals of the last twenty seconds are in memory, and the noise is theirs.
New signals come every two seconds, so a candidate is known two to three seconds
after it ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mejax.motion.spotting import candidates as candidates_lib
from mejax.motion.spotting.candidates import Candidate
from mejax.motion.spotting.following import Detector
from mejax.motion.spotting.tracks import Frames
from mejax.motion.spotting.tracks import Recorder

# Seconds that are looked at, and that a candidate must have ended before.
_SEEN, _SETTLED = 20.0, 0.5


class Known(NamedTuple):
  """A candidate, and the number of the frame at which it became known."""

  candidate: Candidate
  at: float


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
  recorder = Recorder(fps, detector)
  told: list[Candidate] = []
  number = None
  for number, image in recorder.averaged(frames):
    if not recorder.add(number, image):
      continue
    yield from _new(recorder, number, told, number - _SETTLED * fps, options)
    recorder.forget(number - _SEEN * fps)
    told = [one for one in told if one.offset >= number - 2 * _SEEN * fps]
  recorder.close()
  # What is under way at the end is told, too; without a frame, this raises.
  last = recorder.tracks().numbers[-1]
  yield from _new(recorder, last, told, last, options)


def _new(
  recorder: Recorder,
  at: float,
  told: list[Candidate],
  before: float,
  options: dict,
) -> Iterator[Known]:
  """Yields and notes the candidates that end before a frame and are new."""
  for one in candidates_lib.spot(recorder.tracks(), **options):
    if one.offset <= before and not any(_overlap(one, old) for old in told):
      told.append(one)
      yield Known(one, at)


def _overlap(one: Candidate, other: Candidate) -> bool:
  return (
    one.type == other.type
    and one.onset <= other.offset
    and other.onset <= one.offset
  )
