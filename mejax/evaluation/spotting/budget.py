"""Chooses a threshold from a budget of false alarms, and compares two spotters.

A threshold belongs to people who are not scored by it. It is never chosen by
F1, which on few events is chance.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import math

import numpy as np

from mejax.evaluation.spotting import matching
from mejax.evaluation.spotting import scores
from mejax.evaluation.spotting.events import Video


def choose_threshold(
  videos: Sequence[Video], *, a_minute: float | int
) -> float:
  """Returns the lowest threshold that leaves so many false alarms.

  Args:
    videos: with all candidates of one type, also those of low scores.
    a_minute: false alarms a minute over all videos, at most.

  Returns:
    A score; candidates from it on are kept. inf if even the best is too many.
  """
  minutes = sum(video.minutes for video in videos)
  ranked = sorted({e.score for v in videos for e in v.candidates}, reverse=True)
  found = math.inf
  # One candidate more may take the event of another, so the count can fall;
  # the first excess ends the search all the same.
  alarms = {id(video): 0 for video in videos}
  tops = {id(video): _scores(video) for video in videos}
  for threshold in ranked:
    for video in videos:
      if threshold in tops[id(video)]:
        kept = scores.above(video, threshold)
        pairs = matching.match(kept.candidates, kept.truths)
        alarms[id(video)] = len(kept.candidates) - len(pairs)
    if sum(alarms.values()) > a_minute * minutes:
      return found
    found = threshold
  return found


def _scores(video: Video) -> set[float]:
  return {event.score for event in video.candidates}


@dataclasses.dataclass(frozen=True)
class Difference:
  """F1 of one spotter minus that of another, in percentage of people drawn.

  Attributes:
    f1: the difference over all videos.
    low, high: ends of its 95 % interval over people, the same for both.
  """

  f1: float
  low: float
  high: float

  @property
  def is_clear(self) -> bool:
    """Whether the interval leaves out 0."""
    return self.low > 0 or self.high < 0


def compare(ours: Sequence[Video], others: Sequence[Video]) -> Difference:
  """Compares two spotters on the same videos.

  Raises:
    ValueError: the videos are not the same, in the same order.
  """
  names = [[(v.subject, v.name) for v in some] for some in (ours, others)]
  if names[0] != names[1]:
    raise ValueError('the videos of the two spotters are not the same')
  counts = np.array(
    [
      [*scores.tally(one), *scores.tally(other)]
      for one, other in zip(ours, others, strict=True)
    ]
  )

  def difference(sums):
    return scores.f1_of(sums[..., :3]) - scores.f1_of(sums[..., 3:])

  low, high = scores.over_people(
    [video.subject for video in ours], counts, difference
  )
  return Difference(float(difference(counts.sum(0, keepdims=True))), low, high)
