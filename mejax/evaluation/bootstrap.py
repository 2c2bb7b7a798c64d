"""Computes confidence intervals by resampling subjects, not clips.

Clips of one subject resemble each other, so an interval over clips would be too
narrow. Subjects are drawn with replacement, as many as there are. All
statistics are functions of one confusion matrix for each subject, so a resample
is a weighted sum of matrices and does not need the predictions again.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from numbers import Real
from typing import Any

from jaxtyping import Float
from jaxtyping import Integer
from jaxtyping import Num
import numpy as np

from mejax.evaluation import metrics

RESAMPLES = 2000
LEVEL = 0.95
# Of fewer people, a percentile interval is narrower than one by Student's t by
# a fifth or more (Hesterberg 2015, "What Teachers Should Know About the
# Bootstrap").
ENOUGH_PEOPLE = 10

Statistic = Callable[..., np.ndarray]


def group_confusion(
  truth: Integer[np.ndarray, ' n'],
  prediction: Integer[np.ndarray, 's n'],
  groups,
  *,
  num_classes: int,
  num_outputs: int | None = None,
) -> Integer[np.ndarray, 's g k o']:
  """Returns the confusion matrix of each seed and subject, subjects sorted."""
  member = np.unique(groups)[:, None] == np.asarray(groups)
  return metrics.confusion(
    np.where(member, truth, -1),
    prediction[:, None],
    num_classes=num_classes,
    num_outputs=num_outputs,
  )


def describe_few(entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
  """Returns a warning for each part that has too few people; [] for none.

  Args:
    entries: those of `full` and of each part, see `summary.metrics_json`.
  """
  few = {
    part: entry['subjects']
    for part, entry in entries.items()
    if 0 < entry['subjects'] < ENOUGH_PEOPLE
  }
  if 'full' in few:  # Its parts have fewer still.
    few = {'full': few['full']}
  return [
    f'{"" if part == "full" else f"{part}: "}Only {count}'
    f' {"people" if count > 1 else "person"}: resampling so few gives intervals'
    f' that are too narrow. Use at least {ENOUGH_PEOPLE}.'
    for part, count in few.items()
  ]


def describe_difference(difference: Sequence[Real]) -> str:
  """Returns `paired_difference` as text: `+0.010 [-0.020, +0.040]`."""
  return '{:+.3f} [{:+.3f}, {:+.3f}]'.format(*difference)


def interval(
  matrices: Num[np.ndarray, 's g k o'],
  statistic: Statistic = metrics.uf1_of,
  *,
  resamples: int = RESAMPLES,
  level: float = LEVEL,
) -> tuple[float, float]:
  """Returns the percentile interval of a statistic averaged over the seeds.

  Args:
    matrices: as `group_confusion` returns them.
    statistic: function of confusion matrices [..., k, o], e.g.
      `metrics.uar_of`.
    resamples: number of times the subjects are drawn.
    level: share of the resamples inside the interval.

  Returns:
    (low, high). The random seed is fixed, so equal input gives equal intervals.
  """
  return _percentiles(_resampled(matrices, statistic, resamples), level)


def paired_difference(
  first: Num[np.ndarray, 's g k o'],
  second: Num[np.ndarray, 'z g k o'],
  statistic: Statistic = metrics.uf1_of,
  *,
  resamples: int = RESAMPLES,
  level: float = LEVEL,
) -> tuple[float, float, float]:
  """Compares two runs on the same subjects.

  Both runs get the same draws, so a subject that is easy for both adds nothing
  to the difference. Seeds are averaged within each draw, and their number may
  differ between the runs.

  Returns:
    (second - first, low, high) of the statistic.
  """
  value = statistic(second.sum(1)).mean() - statistic(first.sum(1)).mean()
  draws = _resampled(second, statistic, resamples) - _resampled(
    first, statistic, resamples
  )
  return float(value), *_percentiles(draws, level)


def _resampled(matrices, statistic, resamples) -> Float[np.ndarray, ' r']:
  num_groups = matrices.shape[1]
  generator = np.random.default_rng(0)
  share = np.full(num_groups, 1 / num_groups)
  # Only the number of times that each subject is drawn matters.
  times = generator.multinomial(num_groups, share, size=resamples)
  pooled = np.einsum('rg,sgko->rsko', times, matrices, optimize=True)
  return statistic(pooled).mean(1)


def _percentiles(draws, level):
  tail = 50 * (1 - level)
  low, high = np.percentile(draws, [tail, 100 - tail])
  return float(low), float(high)
