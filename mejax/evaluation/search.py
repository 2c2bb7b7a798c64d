"""Computes what a nested search found: scores, choices, effects of numbers.

Scores are those of inner folds, which each outer fold's own training people
make. Scores of different outer folds differ because their people do, so the
mean of each fold is subtracted before they are pooled.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import math
from typing import Any

from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Integer
from jaxtyping import Num
import numpy as np

from mejax.evaluation import metrics
from mejax.evaluation import selection

UNNESTED = (
  f'the best of all settings by the held-out people: {selection.WARNING}'
)
# A number with more values than that is shown in as many parts.
_PARTS = 4
# No rung of successive halving is shorter, in epochs.
_SHORTEST = 2


def confusions(
  logits: Float[np.ndarray, 't h k'],
  index: Integer[np.ndarray, 't h'],
  labels: Integer[np.ndarray, ' n'],
  *,
  num_classes: int,
) -> Integer[np.ndarray, 't c k']:
  """Returns the confusion matrix of what each training holds out."""
  truth = np.where(index >= 0, labels[np.maximum(index, 0)], -1)
  return metrics.confusion(
    truth,
    selection.predictions(logits),
    num_classes=num_classes,
    num_outputs=logits.shape[-1],
  )


def is_finite(
  logits: Float[np.ndarray, 't h k'],
  index: Integer[np.ndarray, 't h'],
  train_loss: Float[np.ndarray, ' t'],
) -> Bool[np.ndarray, ' t']:
  """Returns which trainings have a finite loss and finite held-out logits."""
  fine = np.isfinite(logits).all(-1) | (index < 0)
  return fine.all(-1) & np.isfinite(train_loss)


def rungs(num_settings: int, num_epochs: int, halving: int) -> list[int]:
  """Returns by how much the epochs of each rung of halving are divided.

  Args:
    num_settings: settings that begin.
    num_epochs: epochs of the last rung.
    halving: a rung keeps one of so many settings, and the next one has so many
      times its epochs; 0 for no halving.
  """
  divisors = [1]
  while halving and _left(num_settings, halving, len(divisors) - 1) > 1:
    if num_epochs // (divisors[0] * halving) < _SHORTEST:
      break
    divisors.insert(0, divisors[0] * halving)
  return divisors


def _left(num_settings: int, halving: int, cuts: int) -> int:
  for _ in range(cuts):
    num_settings = math.ceil(num_settings / halving)
  return num_settings


def best(scores: Sequence[float], keep: int) -> list[int]:
  """Returns the places of the best scores, best first; ties go to the first."""
  order = np.argsort(-np.round(np.asarray(scores, float), 9), kind='stable')
  return order[:keep].tolist()


def trace(scores: Float[np.ndarray, 'f n']) -> Float[np.ndarray, 'f n']:
  """Returns the best score of each fold after each of its settings."""
  return np.maximum.accumulate(scores, 1)


def deviations(scores: Float[np.ndarray, 'f n']) -> Float[np.ndarray, 'f n']:
  """Returns scores minus the mean score of their fold."""
  return scores - scores.mean(1, keepdims=True)


def effects(
  values: Sequence[Any], difference: Num[np.ndarray, ' n']
) -> list[dict[str, Any]]:
  """Returns the mean difference for each value, or part of the values.

  Args:
    values: a value for each trial; texts, truths and numbers of few values
      count one by one, others in parts of equally many trials.
    difference: see `deviations`.
  """
  known = sorted(set(values), key=lambda value: (str(type(value)), value))
  is_text = not all(
    isinstance(value, int | float) and not isinstance(value, bool)
    for value in known
  )
  if is_text or len(known) <= _PARTS + 1:
    place = np.array([known.index(value) for value in values])
    labels = [_word(value) for value in known]
  else:
    array = np.asarray(values, float)
    edges = np.quantile(array, np.arange(1, _PARTS) / _PARTS)
    place = np.searchsorted(edges, array, side='right')
    labels = [
      f'{array[place == i].min():.3g} to {array[place == i].max():.3g}'
      if (place == i).any()
      else ''
      for i in range(_PARTS)
    ]
  return [
    {
      'label': label,
      'difference': float(difference[place == i].mean()),
      'trials': int((place == i).sum()),
    }
    for i, label in enumerate(labels)
    if (place == i).any()
  ]


def _word(value: Any) -> str:
  return f'{value:.4g}' if isinstance(value, float) else str(value)


def count_chosen(
  chosen: Sequence[Mapping[str, Any]],
) -> list[tuple[dict[str, Any], int]]:
  """Returns each setting that was chosen and how often, most often first."""
  counts: dict[tuple, int] = {}
  for values in chosen:
    key = tuple(values.items())
    counts[key] = counts.get(key, 0) + 1
  ranked = sorted(counts.items(), key=lambda item: -item[1])
  return [(dict(key), count) for key, count in ranked]
