"""The score of spotting and then recognising (STRS) of the MEGC challenges.

Liong, See, Chan, "Spot-then-recognize: A micro-expression analysis network for
seamless evaluation of long videos" (2023).
"""

from __future__ import annotations

from collections.abc import Sequence
import functools
from typing import NamedTuple

from jaxtyping import Float
from jaxtyping import Num
import numpy as np

from mejax.evaluation.spotting import events as events_lib
from mejax.evaluation.spotting import matching
from mejax.evaluation.spotting import scores
from mejax.evaluation.spotting.events import Video
from mejax.evaluation.spotting.scores import Tally


class Strs(NamedTuple):
  """The score, and how many events it rests on.

  Attributes:
    strs: F1 of spotting times F1 of analysis.
    low, high: ends of its 95 % interval over people.
    spotting: counts of all micro-expressions.
    analysis: harmonic mean of macro precision and macro recall of the class,
      over the hits; a class without a hit counts 0.
    analysis_present: the same over the classes that have a hit, which some
      published code reports; never smaller.
    uf1: the mean over classes of F1, another number.
    analysed: number of hits whose true class is one of the classes: the events
      that `analysis` rests on.
  """

  strs: float
  low: float
  high: float
  spotting: Tally
  analysis: float
  analysis_present: float
  uf1: float
  analysed: int


def score(
  videos: Sequence[Video],
  *,
  classes: Sequence[str],
  kind: str = events_lib.MICRO,
  rule: str = 'one_to_one',
  least: float | int = matching.LEAST_OVERLAP,
) -> Strs:
  """Scores candidates that have a class.

  Args:
    videos: all videos, those without truths or candidates too.
    classes: those that are analysed. A hit whose true class is another one, as
      `others`, counts for spotting only; one whose predicted class is another
      one is wrong and belongs to no class.
    kind: the type of event.
    rule, least: as in `matching.match`.
  """
  if not classes or len(set(classes)) < len(classes):
    raise ValueError(f'classes are {list(classes)}; expected each once')
  width = 3 + len(classes) * (len(classes) + 1)
  counts = np.reshape(
    [
      _counts(video.of_type(kind), classes, rule=rule, least=least)
      for video in videos
    ],
    (-1, width),
  ).astype(np.int64)
  total = counts.sum(0, keepdims=True)
  of = functools.partial(_strs_of, num_classes=len(classes))
  low, high = scores.over_people([v.subject for v in videos], counts, of)
  matrix = _matrix(total, len(classes))
  return Strs(
    strs=float(of(total)),
    low=low,
    high=high,
    spotting=Tally(*map(int, total[0, :3])),
    analysis=float(_analysis(matrix)),
    analysis_present=float(_analysis(matrix, present=True)),
    uf1=float(_uf1(matrix)),
    analysed=int(matrix.sum()),
  )


def _counts(video: Video, classes: Sequence[str], **options) -> list[int]:
  """Returns hits, candidates, truths and the confusion matrix, row by row.

  The last column of the matrix stands for all other classes.
  """
  pairs = matching.match(video.candidates, video.truths, **options)
  matrix = np.zeros((len(classes), len(classes) + 1), np.int64)
  at = {name: i for i, name in enumerate(classes)}
  for i, j in pairs:
    true, ours = video.truths[j].label, video.candidates[i].label
    if true in at:
      matrix[at[true], at.get(ours, len(classes))] += 1
  tally = len(pairs), len(video.candidates), len(video.truths)
  return [*tally, *matrix.ravel().tolist()]


def _matrix(
  counts: Num[np.ndarray, '*b 1 n'], num_classes: int
) -> Num[np.ndarray, '*b k o']:
  return counts[..., 0, 3:].reshape(
    *counts.shape[:-2], num_classes, num_classes + 1
  )


def _strs_of(
  counts: Num[np.ndarray, '*b 1 n'], *, num_classes: int
) -> Float[np.ndarray, '*b'] | float:
  spotting = scores.f1_of(counts[..., :3])
  return spotting * _analysis(_matrix(counts, num_classes))


def _analysis(
  matrix: Num[np.ndarray, '*b k o'], *, present: bool = False
) -> Float[np.ndarray, '*b'] | float:
  """Returns 2 P R / (P + R) of the means over the classes.

  With `present` they are those that occur in the truth.
  """
  hit, true, predicted = _sides(matrix)
  counted = (true > 0) | (not present)
  number = np.maximum(counted.sum(-1), 1)
  precision = (counted * hit / np.maximum(predicted, 1)).sum(-1) / number
  recall = (counted * hit / np.maximum(true, 1)).sum(-1) / number
  both = precision + recall
  return 2 * precision * recall / np.where(both > 0, both, 1)


def _uf1(
  matrix: Num[np.ndarray, '*b k o'],
) -> Float[np.ndarray, '*b'] | float:
  hit, true, predicted = _sides(matrix)
  return (2 * hit / np.maximum(true + predicted, 1)).mean(-1)


def _sides(matrix: Num[np.ndarray, '*b k o']) -> tuple[np.ndarray, ...]:
  """Returns right, true and predicted counts of each class."""
  hit = np.diagonal(matrix, axis1=-2, axis2=-1)
  return hit, matrix.sum(-1), matrix.sum(-2)[..., : hit.shape[-1]]
