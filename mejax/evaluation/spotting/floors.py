"""Spotters that know nothing, or little: what a real one has to be above.

A floor is a function of a video (and of a curve over its frames) that returns
candidates. `put_in` replaces those of a database.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses

from jaxtyping import Float
from jaxtyping import Integer
import numpy as np
from scipy import signal

from mejax.evaluation.spotting import scores
from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video

# Random draws of intervals whose scores are averaged.
DRAWS = 200


def put_in(
  videos: Sequence[Video], floor: Callable[[Video], Sequence[Event]]
) -> list[Video]:
  """Returns the videos with the candidates of a floor."""
  return [
    dataclasses.replace(video, candidates=tuple(floor(video)))
    for video in videos
  ]


def nothing(video: Video) -> list[Event]:
  """Spots nothing."""
  del video
  return []


def every(video: Video, *, seconds: float | int, half: float | int, kind: str):
  """Spots an event every so many seconds, `half` frames to both sides."""
  step = seconds * video.fps
  centres = np.arange(step / 2, video.num_frames, step)
  return _around(video, np.rint(centres).astype(int), half, kind)


def random_f1(
  videos: Sequence[Video], *, kind: str, seed: int = 0, draws: int = DRAWS
) -> float:
  """Returns the mean F1 of intervals at random places, see `random_counts`."""
  counts = random_counts(videos, kind=kind, seed=seed, draws=draws)
  # Of all counts only the hits differ from draw to draw, and F1 is linear in
  # these: the F1 of the mean is the mean of F1.
  return float(scores.f1_of(counts.sum(0, keepdims=True)))


def random_counts(
  videos: Sequence[Video], *, kind: str, seed: int = 0, draws: int = DRAWS
) -> Float[np.ndarray, 'v 3']:
  """Counts intervals at random places, as a mean over draws, in each video.

  Each video keeps the number and the lengths of its candidates.

  Returns:
    Hits, candidates and truths.
  """
  generator = np.random.default_rng(seed)
  own = [video.of_type(kind) for video in videos]
  counts = [
    [scores.tally(one) for one in put_in(own, lambda v: _moved(v, generator))]
    for _ in range(draws)
  ]
  return np.mean(counts, 0).reshape(-1, 3)


def _moved(video: Video, generator: np.random.Generator) -> list[Event]:
  moved = []
  for event in video.candidates:
    length = event.offset - event.onset + 1
    start = int(generator.integers(max(video.num_frames - length, 0) + 1))
    moved.append(
      dataclasses.replace(
        event, onset=start, offset=start + length - 1, apex=None
      )
    )
  return moved


def largest_peak(
  video: Video, curve: Float[np.ndarray, ' t'], *, half: float | int, kind: str
) -> list[Event]:
  """Spots one event, at the largest value of a curve over the frames."""
  return _around(video, [int(np.argmax(curve))], half, kind, curve)


def relative_peaks(
  video: Video,
  curve: Float[np.ndarray, ' t'],
  *,
  half: float | int,
  kind: str,
  p: float = 0.55,
) -> list[Event]:
  """Spots peaks above mean + p (max - mean) of a video's own curve.

  So do SOFTNet, MEAN and others, with p = .55 chosen on the test videos. With p
  below 1 it spots something in nearly every video, whether there is anything
  or not.
  """
  threshold = curve.mean() + p * (curve.max() - curve.mean())
  peaks, _ = signal.find_peaks(
    curve, height=threshold, distance=max(round(half), 1)
  )
  return _around(video, peaks, half, kind, curve)


def main_directional(
  video: Video,
  curve: Float[np.ndarray, ' t'],
  *,
  k: int,
  shortest: int,
  longest: int | None,
  kind: str,
  p: float = 0.01,
) -> list[Event]:
  """Spots runs of frames as MDMD does, the baseline of the MEGC 2020.

  The curve is set against its values k - 1 frames to both sides, and runs above
  mean + p (max - mean) of that count if their length is within the bounds.
  He, Wang, Li, Yap, "Spotting macro- and micro-expression intervals in long
  video sequences" (2020).
  """
  reach = k - 1
  contrast = np.full(len(curve), -np.inf)
  if len(curve) > 2 * reach:
    sides = curve[: len(curve) - 2 * reach] + curve[2 * reach :]
    contrast[reach : len(curve) - reach] = (
      curve[reach : len(curve) - reach] - sides / 2
    )
  known = contrast[np.isfinite(contrast)]
  if not known.size:
    return []
  above = contrast > known.mean() + p * (known.max() - known.mean())
  return [
    Event(
      onset=start,
      offset=stop - 1,
      type=kind,
      score=float(contrast[start:stop].max()),
    )
    for start, stop in runs(above).tolist()
    if shortest <= stop - start <= (longest or len(curve))
  ]


def runs(flags) -> Integer[np.ndarray, 'n 2']:
  """Returns start and end (beyond the last) of each run of True."""
  edges = np.diff(np.concatenate([[0], np.asarray(flags, np.int8), [0]]))
  return np.stack([np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)], 1)


def _around(
  video: Video,
  centres,
  half: float | int,
  kind: str,
  curve: Float[np.ndarray, ' t'] | None = None,
) -> list[Event]:
  """Returns an interval of one length around each centre, inside the video."""
  reach, last = round(half), video.num_frames - 1
  return [
    Event(
      onset=max(int(at) - reach, 0),
      offset=min(int(at) + reach, last),
      apex=int(at),
      type=kind,
      score=0.0 if curve is None else float(curve[at]),
    )
    for at in centres
  ]
