"""Decides which candidate finds which event.

Ours is `one_to_one`. The others are the rules of published code, to see what a
published number would be; each can count more or less than it found.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

from jaxtyping import Float
import numpy as np
from scipy import optimize

from mejax.evaluation.spotting import events as events_lib
from mejax.evaluation.spotting.events import Event

LEAST_OVERLAP = 0.5

Pairs = list[tuple[int, int]]
# A function of the overlaps [candidates, truths] and the scores of the
# candidates that returns pairs (candidate, truth).
Rule = Callable[
  [Float[np.ndarray, 'n m'], Float[np.ndarray, ' n'], float], Pairs
]


def match(
  candidates: Sequence[Event],
  truths: Sequence[Event],
  *,
  least: float | int = LEAST_OVERLAP,
  rule: str = 'one_to_one',
  by_type: bool = True,
  inclusive: bool = True,
) -> Pairs:
  """Returns pairs (candidate, truth) of positions, sorted.

  Args:
    candidates: what was spotted.
    truths: what there is.
    least: smallest overlap of a pair; exactly this much is enough.
    rule: a name of `RULES`.
    by_type: whether micro-expressions only find micro-expressions.
    inclusive: as in `events.overlap`.

  Raises:
    ValueError: the rule is unknown.
  """
  if rule not in RULES:
    raise ValueError(f'unknown rule {rule!r}; known: {tuple(RULES)}')
  overlaps = events_lib.overlap(
    events_lib.intervals(candidates),
    events_lib.intervals(truths),
    inclusive=inclusive,
  )
  if by_type:
    kinds = [np.array([e.type for e in some]) for some in (candidates, truths)]
    overlaps = np.where(kinds[0][:, None] == kinds[1][None], overlaps, 0.0)
  if not overlaps.size:
    return []
  scores = np.array([event.score for event in candidates], np.float64)
  return sorted(RULES[rule](overlaps, scores, least))


def one_to_one(
  overlaps: Float[np.ndarray, 'n m'],
  scores: Float[np.ndarray, ' n'],
  least: float | int = LEAST_OVERLAP,
) -> Pairs:
  """Finds as many pairs as possible, and among those the largest overlap.

  Each candidate and each truth is in one pair at most, and the number of pairs
  does not depend on the order of either.
  """
  del scores
  # One pair more outweighs any sum of overlaps.
  gain = np.where(overlaps >= least, min(overlaps.shape) + 1.0 + overlaps, 0.0)
  rows, columns = optimize.linear_sum_assignment(gain, maximize=True)
  return [
    (int(i), int(j)) for i, j in zip(rows, columns, strict=True) if gain[i, j]
  ]


def best_truth(
  overlaps: Float[np.ndarray, 'n m'],
  scores: Float[np.ndarray, ' n'],
  least: float | int = LEAST_OVERLAP,
) -> Pairs:
  """Lets each candidate try the truth that it overlaps most, and no other.

  The surest candidate comes first. So does the code for average precision that
  SOFTNet, MEAN and others copy: a second truth that is still free is not tried.
  """
  taken, pairs = set(), []
  for i in np.argsort(-scores, kind='stable'):
    j = int(overlaps[i].argmax())
    if overlaps[i, j] >= least and j not in taken:
      taken.add(j)
      pairs.append((int(i), j))
  return pairs


def free_truths(
  overlaps: Float[np.ndarray, 'n m'],
  scores: Float[np.ndarray, ' n'],
  least: float | int = LEAST_OVERLAP,
) -> Pairs:
  """Gives each candidate in turn every free truth that it overlaps enough.

  So does STRS-Metric, which goes on after a match, and so in effect does MDMD,
  which counts the truths that are found: one candidate may serve two.
  """
  del scores
  taken, pairs = set(), []
  for i, j in np.argwhere(overlaps >= least).tolist():
    if j not in taken:
      taken.add(j)
      pairs.append((i, j))
  return pairs


RULES: dict[str, Rule] = {
  'one_to_one': one_to_one,
  'best_truth': best_truth,
  'free_truths': free_truths,
}
