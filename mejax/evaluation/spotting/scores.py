"""Scores of spotting: F1, false alarms a minute, errors in time.

Every number is computed once from the counts of all videos.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
from typing import NamedTuple

from jaxtyping import Float
from jaxtyping import Num
import numpy as np

from mejax.evaluation import bootstrap
from mejax.evaluation.spotting import events as events_lib
from mejax.evaluation.spotting import matching
from mejax.evaluation.spotting.events import Video

# Overlaps over which average precision is averaged.
OVERLAPS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))


class Tally(NamedTuple):
  """Counts of hits, candidates and truths.

  Without a truth recall is 0, without a candidate precision, never nan.
  """

  hits: int
  candidates: int
  truths: int

  @property
  def precision(self) -> float:
    return self.hits / max(self.candidates, 1)

  @property
  def recall(self) -> float:
    return self.hits / max(self.truths, 1)

  @property
  def f1(self) -> float:
    """2 TP / (2 TP + FP + FN)."""
    return float(f1_of(np.array([self])))

  @property
  def false_alarms(self) -> int:
    return self.candidates - self.hits

  def __add__(self, other: Tally) -> Tally:
    return Tally(*(a + b for a, b in zip(self, other, strict=True)))


class Spotting(NamedTuple):
  """The scores of one type of event, or of both together.

  Attributes:
    tally: counts over all videos; its F1 is the headline.
    low, high: ends of the 95 % interval of this F1 over people.
    with_event: counts over the videos that have such an event, which is what
      much published code reports.
    false_alarms_a_minute: over all videos.
    false_alarms_in_empty: the same over the videos without such an event; nan
      if there are none.
  """

  tally: Tally
  low: float
  high: float
  with_event: Tally
  false_alarms_a_minute: float
  false_alarms_in_empty: float


def score(
  videos: Sequence[Video],
  *,
  least: float | int = matching.LEAST_OVERLAP,
  rule: str = 'one_to_one',
  inclusive: bool = True,
) -> dict[str, Spotting]:
  """Scores candidates against truths.

  Args:
    videos: all videos, those without truths or candidates too.
    least, rule, inclusive: as in `matching.match`.

  Returns:
    Scores of `micro`, `macro`, `overall` (the counts of both, summed) and
    `any_type` (a candidate may find an event of the other type).
  """
  options = {'least': least, 'rule': rule, 'inclusive': inclusive}

  def of(some: Sequence[Video], by_type: bool) -> Spotting:
    tallies = [tally(video, by_type=by_type, **options) for video in some]
    return _summary(some, tallies)

  return {
    **{
      kind: of([video.of_type(kind) for video in videos], True)
      for kind in events_lib.TYPES
    },
    'overall': of(videos, True),
    'any_type': of(videos, False),
  }


def tally(video: Video, **options) -> Tally:
  """Counts one video; the options are those of `matching.match`."""
  pairs = matching.match(video.candidates, video.truths, **options)
  return Tally(len(pairs), len(video.candidates), len(video.truths))


def f1_of(
  tallies: Num[np.ndarray, '*b 1 3'],
) -> Float[np.ndarray, '*b'] | float:
  """Returns the F1 of counts (hits, candidates, truths); 0 if all are 0."""
  hits, candidates, truths = np.moveaxis(tallies[..., 0, :], -1, 0)
  return 2 * hits / np.maximum(candidates + truths, 1)


def _summary(videos: Sequence[Video], tallies: Sequence[Tally]) -> Spotting:
  total = sum(tallies, Tally(0, 0, 0))
  has_event = [bool(video.truths) for video in videos]
  low, high = over_people(
    [video.subject for video in videos], np.reshape(tallies, (-1, 3)), f1_of
  )
  minutes = np.array([video.minutes for video in videos])
  alarms = np.array([one.false_alarms for one in tallies])
  empty = ~np.array(has_event, bool)
  return Spotting(
    tally=total,
    low=low,
    high=high,
    with_event=sum(
      (one for one, has in zip(tallies, has_event, strict=True) if has),
      Tally(0, 0, 0),
    ),
    false_alarms_a_minute=_a_minute(alarms, minutes),
    false_alarms_in_empty=_a_minute(alarms[empty], minutes[empty]),
  )


def _a_minute(alarms: np.ndarray, minutes: np.ndarray) -> float:
  return float(alarms.sum() / minutes.sum()) if minutes.size else float('nan')


def over_people(
  subjects: Sequence[str],
  counts: Num[np.ndarray, 'v n'],
  statistic: Callable[..., np.ndarray],
) -> tuple[float, float]:
  """Returns the 95 % interval of a function of summed counts over people.

  Args:
    subjects: the person of each video; those without an event count, too.
    counts: those of each video.
    statistic: function of sums [*b, 1, n].
  """
  if not subjects:
    return float('nan'), float('nan')
  people, member = np.unique(subjects, return_inverse=True)
  sums = np.zeros((len(people), counts.shape[1]))
  np.add.at(sums, member, counts)
  return bootstrap.interval(sums[None, :, None], statistic)


class Errors(NamedTuple):
  """Errors in time of the candidates that are hits, in milliseconds.

  Each is candidate minus truth, in the order of the videos; an apex that is not
  known on both sides has none.
  """

  onset: Float[np.ndarray, ' n']
  apex: Float[np.ndarray, ' m']
  offset: Float[np.ndarray, ' n']


def errors(videos: Sequence[Video], **options) -> Errors:
  """Returns the errors in time; the options are those of `matching.match`."""
  found = {name: [] for name in Errors._fields}
  for video in videos:
    for i, j in matching.match(video.candidates, video.truths, **options):
      for name, values in found.items():
        ours = getattr(video.candidates[i], name)
        true = getattr(video.truths[j], name)
        if None not in (ours, true):
          values.append((ours - true) / video.fps * 1000)
  return Errors(**{name: np.array(values) for name, values in found.items()})


class Operating(NamedTuple):
  """Recall and false alarms a minute with each score as the threshold."""

  threshold: Float[np.ndarray, ' n']
  recall: Float[np.ndarray, ' n']
  false_alarms_a_minute: Float[np.ndarray, ' n']


def operating_curve(videos: Sequence[Video], **options) -> Operating:
  """Returns recall against false alarms, from the highest threshold down.

  The candidates whose score is at least the threshold are kept; the options are
  those of `matching.match`.
  """
  thresholds = sorted({e.score for v in videos for e in v.candidates})[::-1]
  minutes = sum(video.minutes for video in videos)
  totals = []
  for threshold in thresholds:
    kept = [above(video, threshold) for video in videos]
    totals.append(sum((tally(v, **options) for v in kept), Tally(0, 0, 0)))
  return Operating(
    np.array(thresholds),
    np.array([one.recall for one in totals]),
    np.array([one.false_alarms / minutes for one in totals]),
  )


def above(video: Video, threshold: float) -> Video:
  """Returns the video with the candidates from a score on."""
  kept = tuple(e for e in video.candidates if e.score >= threshold)
  return dataclasses.replace(video, candidates=kept)


def average_precision(
  videos: Sequence[Video], *, least: float | int = matching.LEAST_OVERLAP
) -> float:
  """Computes the area under the curve of precision over recall.

  All candidates are ranked by score, each tries the truth of its type that it
  overlaps most, and precision is made to fall with recall, as in PASCAL VOC
  since 2010. The mean over `OVERLAPS` is called AP@[.5:.95]. It is nan without
  a truth.
  """
  ranked, total = [], 0
  for video in videos:
    pairs = matching.match(
      video.candidates, video.truths, least=least, rule='best_truth'
    )
    hits = {i for i, _ in pairs}
    total += len(video.truths)
    ranked += [(e.score, i in hits) for i, e in enumerate(video.candidates)]
  if not total:
    return float('nan')
  ranked.sort(key=lambda pair: -pair[0])
  hit = np.array([is_hit for _, is_hit in ranked], bool)
  precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
  # The best precision at this recall or a higher one.
  best = np.maximum.accumulate(precision[::-1])[::-1]
  return float(best[hit].sum() / total)


def fixed_length_ceiling(
  videos: Sequence[Video],
  *,
  half: float | int,
  centre: str = 'middle',
  least: float | int = matching.LEAST_OVERLAP,
) -> float:
  """Returns the recall that intervals of one length could reach at best.

  Much published code reports peak - k to peak + k. This is the share of the
  truths that overlap such an interval enough if its peak is right.

  Args:
    videos: the truths count.
    half: k in frames.
    centre: `middle` of the truth, or its `apex`, without which it is missed.
    least: smallest overlap.
  """
  if centre not in ('middle', 'apex'):
    raise ValueError(f'centre is {centre!r}; expected middle or apex')
  truths = [event for video in videos for event in video.truths]
  found = 0
  for event in truths:
    middle = (event.onset + event.offset) / 2
    at = middle if centre == 'middle' else event.apex
    if at is None:
      continue
    guess = np.rint([[at - half, at + half]]).astype(np.int64)
    overlap = events_lib.overlap(guess, events_lib.intervals([event]))
    found += bool(overlap[0, 0] >= least)
  return found / len(truths) if truths else float('nan')
