"""Measures whether probabilities are true: reliability, and what is left out.

The confidence of a prediction is its largest probability. All numbers pool the
seeds, and every interval resamples people, as those of the scores do.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Shaped
import numpy as np

from mejax.evaluation import bootstrap

NUM_BINS = 10
COVERAGES = tuple(round(0.1 * i, 1) for i in range(1, 11))


def describe(
  truth: Int[np.ndarray, ' n'],
  probability: Float[np.ndarray, 's n k'],
  people: Shaped[np.ndarray, ' n'],
) -> dict[str, Any]:
  """Returns reliability and coverage of held-out predictions.

  `error` is the expected calibration error: the mean over predictions of the
  distance between confidence and accuracy of their bin, of `NUM_BINS` bins of
  equal width. `brier` is the mean squared distance of all probabilities to the
  truth, summed over classes. `bins` has, for each bin that is not empty, its
  `confidence` (mean), `accuracy`, `accuracy_ci` and `share` of predictions.
  `coverage` has, for each share of `COVERAGES` of the most confident
  predictions, the least `confidence` among them, their `accuracy` and its
  interval.

  Args:
    truth: class of each clip.
    probability: of each class, for each seed and clip.
    people: person of each clip.
  """
  confidence = probability.max(-1)
  right = probability.argmax(-1) == truth
  # A confidence of 1 belongs to the last bin, and what lies on an edge to the
  # bin below it, as usual.
  bins = np.ceil(confidence * NUM_BINS).astype(int) - 1
  bins = np.clip(bins, 0, NUM_BINS - 1)
  found = [
    _part(bins == i, right, confidence, people)
    for i in range(NUM_BINS)
    if (bins == i).any()
  ]
  target = truth[:, None] == np.arange(probability.shape[-1])
  return {
    'error': float(
      sum(
        each['share'] * abs(each['confidence'] - each['accuracy'])
        for each in found
      )
    ),
    'brier': float(((probability - target) ** 2).sum(-1).mean()),
    'bins': found,
    'coverage': [
      _covered(share, right, confidence, people) for share in COVERAGES
    ],
  }


def _covered(share, right, confidence, people) -> dict[str, Any]:
  """Describes the most confident share of the predictions."""
  count = max(1, round(share * confidence.size))
  least = np.sort(confidence, axis=None)[-count]
  # Of equal confidence, all are taken: nothing tells them apart.
  part = _part(confidence >= least, right, confidence, people)
  return part | {'confidence': float(least)}


def _part(member, right, confidence, people) -> dict[str, Any]:
  """Describes a part of the predictions."""
  low, high = _interval(right & member, member, people)
  return {
    'confidence': float(confidence[member].mean()),
    'accuracy': float(right[member].mean()),
    'accuracy_ci': [low, high],
    'share': float(member.mean()),
  }


def _interval(hits, member, people) -> tuple[float, float]:
  """Returns the interval of an accuracy, from resampling people."""
  number = np.unique(people, return_inverse=True)[1]
  counts = [
    np.bincount(number, weights=each.sum(0)) for each in (member & ~hits, hits)
  ]
  # A matrix of one class, of which the second column is right.
  wrong, true = counts
  zeros = np.zeros_like(wrong)
  matrices = np.stack(
    [np.stack([true, wrong], -1), np.stack([zeros, zeros], -1)], -2
  )

  def accuracy(pooled):
    return pooled[..., 0, 0] / np.maximum(pooled[..., 0, :].sum(-1), 1)

  return bootstrap.interval(matrices[None], accuracy)
