"""Numbers the frames of a video by their times, and tells which are lost."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import pathlib
import struct

import numpy as np

# Share of the interval by which a time may be off the grid, and milliseconds
# that containers lose by rounding two times.
_SLACK, _ROUNDING = 0.2, 1.01
# Share of the frames that may be off the grid of a constant frame rate.
_STRAY = 0.05
# Milliseconds. No recording loses as much: the clock jumps.
_JUMP = 10_000.0
# A container's frame rate is believed up to this share.
_TRUST = 0.02
# Containers other than AVI and MP4 estimate their number of frames. If more
# than this share is missing, the video was cut off.
_GUESS = 0.05


@dataclasses.dataclass(frozen=True)
class Timeline:
  """The frames of a video.

  Attributes:
    numbers: of each frame that can be decoded, from 0; a lost frame leaves a
      gap.
    fps: frames per second; None if nothing tells them.
    remarks: warnings: frames are lost, or numbers may be wrong.
    notes: choices that are usual.
  """

  numbers: tuple[int, ...]
  fps: float | None
  remarks: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()


def number(
  times: Sequence[float],
  *,
  fps: float,
  claimed: int,
  file: pathlib.Path,
) -> Timeline:
  """Numbers frames by their times.

  The first frame has number 0. If the times lie on the grid of one frame rate,
  a frame's place on it is its number, and empty places are lost frames.
  Otherwise the frames are counted.

  Args:
    times: milliseconds of each frame that can be decoded.
    fps: frames per second that the container claims.
    claimed: number of frames that the container claims.
    file: the video.
  """
  # Some containers give the rate of their clock instead.
  own = fps if 0 < fps <= 10_000 else None
  numbers, rate, remarks = _on_grid(np.asarray(times, np.float64), own)
  missing = claimed - (numbers[-1] + 1)
  told, notes = _missing(file, missing, claimed, len(times))
  remarks = tuple(f'"{file.name}" {words}' for words in (*remarks, *told))
  notes = tuple(f'"{file.name}" {words}' for words in notes)
  return Timeline(tuple(numbers), rate, remarks, notes)


def _on_grid(
  times: np.ndarray, fps: float | None
) -> tuple[list[int], float | None, tuple[str, ...]]:
  """Returns numbers, frames per second and remarks."""
  counted = list(range(len(times)))
  if len(times) < 2 or not np.ptp(times) > 0:
    return counted, fps, ()  # This container gives no times.
  steps = np.diff(times)
  if steps.min() <= 0:
    return counted, fps, (
      'has times that do not increase: its frames are counted in order',
    )  # fmt: skip
  remarks = ()
  jumps = steps > _JUMP
  if jumps.any():
    remarks += (
      f'has a clock that jumps by {steps.max() / 1000:.0f} s: its frames are '
      'counted on',
    )
    steps = np.where(jumps, np.median(steps), steps)
  base = np.median(steps)
  # Times in whole milliseconds make the median coarse, the mean does not.
  base = steps[np.rint(steps / base) <= 1].mean()
  places = np.maximum(np.rint(steps / base), 1).astype(int)
  off = abs(steps - places * base) > max(_ROUNDING, _SLACK * base)
  if off.mean() > _STRAY:
    mean = 1000 / steps.mean()
    low, high = 1000 / steps.max(), 1000 / steps.min()
    return counted, mean, (
      *remarks,
      f'has a variable frame rate, {low:.1f} to {high:.1f} per second: its '
      f'frames are counted in order, at {mean:.2f} per second on average',
    )  # fmt: skip
  rate = 1000 / base
  doubt = max(_TRUST, 2 * _ROUNDING / steps.sum())
  if fps is not None and abs(rate / fps - 1) < doubt:
    rate = fps
  numbers = [0, *np.cumsum(places).tolist()]
  lost = numbers[-1] + 1 - len(numbers)
  if lost:
    remarks += (
      f'has lost {lost} of {numbers[-1] + 1} frames, by their times; the '
      'others keep their numbers',
    )
  return numbers, rate, remarks


def _missing(
  file: pathlib.Path, missing: int, claimed: int, there: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
  """Returns remarks and notes on frames that the container claims."""
  with file.open('rb') as stream:
    head = stream.read(12)
    size = file.stat().st_size
    is_avi = head.startswith(b'RIFF')
    is_mp4 = head[4:8] in (b'ftyp', b'moov', b'mdat', b'wide', b'free')
    if missing <= (0 if is_avi or is_mp4 else max(2, _GUESS * claimed)):
      return (), ()
    if is_avi:
      (length,) = struct.unpack_from('<I', head, 4)
      whole, edited = size >= length, False
    elif is_mp4:
      whole, edited = _boxes(stream, size)
    else:
      whole, edited = False, False
  if edited:
    return (), (
      f'has an edit list, which shows {there} of its {claimed} frames',
    )
  if whole:
    return (
      f'is damaged: {missing} of {claimed} frames cannot be decoded, and '
      'nothing tells which: the numbers of those after them are too low',
    ), ()
  return (f'is cut off: {there} of {claimed} frames are there',), ()


def _boxes(stream, size: int) -> tuple[bool, bool]:
  """Returns whether an MP4 is whole, and whether it has an edit list."""
  at, edited = 0, False
  while at + 8 <= size:
    stream.seek(at)
    length, kind = struct.unpack('>I4s', stream.read(8))
    if length == 1:
      (length,) = struct.unpack('>Q', stream.read(8))
    length = length or size - at
    if length < 8 or at + length > size:
      return False, edited
    if kind == b'moov':
      edited = b'elst' in stream.read(length - 8)
    at += length
  return True, edited
