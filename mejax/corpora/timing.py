"""Numbers the frames of a video by their times, and tells which are lost."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import pathlib

import numpy as np

from mejax.corpora import containers

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
  times: Sequence[float | None],
  *,
  fps: float,
  claimed: int,
  file: pathlib.Path,
) -> Timeline:
  """Numbers frames by their times.

  The first frame has number 0. If the times lie on the grid of one frame rate,
  a frame's place on it is its number, and empty places are lost frames.
  Otherwise the frames are counted. An AVI passes over damaged frames without
  counting them; there the list of its frames decides.

  Args:
    times: milliseconds of each frame; None for one that cannot be decoded.
    fps: frames per second that the container claims.
    claimed: number of frames that the container claims.
    file: the video.
  """
  there = np.array([time for time in times if time is not None], np.float64)
  # Some containers give the rate of their clock instead.
  own = fps if 0 < fps <= 10_000 else None
  numbers, rate, remarks = _on_grid(there, own, claimed)
  made = containers.read(file)
  if made.is_exact and claimed > len(there):
    intact = made.intact or ()
    if len(intact) == len(times):
      pairs = zip(intact, times, strict=True)
      numbers = [n for n, time in pairs if time is not None]
  if made.streams > 1:
    remarks += (
      f'has {made.streams} streams of pictures, of which the first is read:'
      ' take another out of it, as by ffmpeg -i FILE -map 0:v:1 -c copy NEW',
    )
  lost = numbers[-1] + 1 - len(numbers)
  if lost:
    words = f'has lost {lost} of {numbers[-1] + 1} frames; the others keep '
    words += 'their numbers'
    if len(there) < len(times):
      words += ', but pictures beside the lost ones may be damaged'
    remarks += (words,)
  told, notes = _missing(
    made, claimed - numbers[-1] - 1, claimed, numbers, rate
  )
  remarks = tuple(f'"{file.name}" {words}' for words in (*remarks, *told))
  notes = tuple(f'"{file.name}" {words}' for words in notes)
  return Timeline(tuple(numbers), rate, remarks, notes)


def _on_grid(
  times: np.ndarray, fps: float | None, claimed: int
) -> tuple[list[int], float | None, tuple[str, ...]]:
  """Returns numbers, frames per second and remarks."""
  counted = list(range(len(times)))
  if len(times) < 2 or not np.ptp(times) > 0:
    return counted, fps, ()  # This container gives no times.
  steps = np.diff(times)
  if steps.min() <= 0:
    # Pictures that an AVI stores out of order have such times.
    told = 'has times that do not increase: its frames are counted in order'
    return counted, fps, () if claimed == len(times) else (told,)
  remarks = ()
  jumps = steps > _JUMP
  if jumps.any():
    remarks += (
      f'has a clock that jumps by {steps.max() / 1000:.0f} s: its frames are '
      'counted on',
    )
    steps = np.where(jumps, np.median(steps), steps)
  # Half of the frames may be lost: the step between neighbours is then the
  # shortest, not the median.
  for usual in (np.median(steps), np.quantile(steps, 0.05)):
    # Times in whole milliseconds make one step coarse. The mean over those of
    # one frame is finer, and that over all finer still.
    base = steps[np.rint(steps / usual) <= 1].mean()
    base = steps.sum() / np.maximum(np.rint(steps / base), 1).sum()
    places = np.maximum(np.rint(steps / base), 1).astype(int)
    off = abs(steps - places * base) > max(_ROUNDING, _SLACK * base)
    if off.mean() <= _STRAY:
      break
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
  return numbers, rate, remarks


def _missing(
  made: containers.Structure,
  missing: int,
  claimed: int,
  numbers: Sequence[int],
  fps: float | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
  """Returns remarks and notes on frames that the container claims."""
  if missing <= (0 if made.is_exact else max(2, _GUESS * claimed)):
    return (), ()
  there = len(numbers)
  if not made.is_whole:
    return (f'is cut off: {there} of {claimed} frames are there',), ()
  if made.shown is not None and fps:
    # An edit may begin and end within a frame.
    if numbers[-1] + 3 >= made.shown * fps:
      return (), (
        f'has an edit list, which shows {there} of its {claimed} frames',
      )
  return (
    f'is damaged: {missing} of {claimed} frames cannot be decoded, and nothing '
    'tells which: frames after them have too low numbers',
  ), ()
