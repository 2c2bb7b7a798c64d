"""Computes UF1, UAR, accuracy and mean precision of pooled predictions.

Each metric is computed once on the predictions of all folds together, never
averaged over folds: the mean over folds is a different, smaller number, because
most subjects lack a class. All are functions of a confusion matrix [k, o] with
the truth in rows. o is k, or more for a network with spare outputs (MMNet's
3-class network has five): a prediction of a spare output is always wrong and
belongs to no class.
"""

from __future__ import annotations

from jaxtyping import Float
from jaxtyping import Integer
from jaxtyping import Num
import numpy as np


def confusion(
  truth: Integer[np.ndarray, '*#b n'],
  prediction: Integer[np.ndarray, '*#b n'],
  *,
  num_classes: int,
  num_outputs: int | None = None,
) -> Integer[np.ndarray, '*b k o']:
  """Counts examples by truth (rows) and prediction (columns).

  Args:
    truth: classes in [0, num_classes); -1 marks padding, which is not counted.
    prediction: classes in [0, num_outputs).
    num_classes: k.
    num_outputs: o; `num_classes` by default.

  Returns:
    The counts; leading axes of the two inputs are broadcast.

  Raises:
    ValueError: a class is outside its range.
  """
  num_outputs = num_classes if num_outputs is None else num_outputs
  truth, prediction = np.broadcast_arrays(truth, prediction)
  counted = truth >= 0
  for what, values, bound in (
    ('truth', truth, num_classes),
    ('prediction', prediction, num_outputs),
  ):
    used = values[counted]
    if used.size and (used.min() < 0 or used.max() >= bound):
      raise ValueError(
        f'{what} holds {used.min()} to {used.max()}, expected classes '
        f'0 to {bound - 1}'
      )
  # All matrices are counted at once. Each cell has a number, first within its
  # matrix, then among all matrices.
  batch = truth.shape[:-1]
  cell = truth.astype(np.int64) * num_outputs + prediction
  size = num_classes * num_outputs
  row = np.arange(np.prod(batch, dtype=int)).reshape(*batch, 1) * size
  counts = np.bincount((cell + row)[counted], minlength=row.size * size)
  return counts.reshape(*batch, num_classes, num_outputs)


def uf1_of(
  matrix: Num[np.ndarray, '*b k o'],
) -> Float[np.ndarray, '*b'] | float:
  """Computes the UF1 of confusion matrices; see `uf1`."""
  hit, true, predicted = _counts(matrix)
  return _mean_ratio(2 * hit, true + predicted, true + predicted > 0)


def uar_of(
  matrix: Num[np.ndarray, '*b k o'],
) -> Float[np.ndarray, '*b'] | float:
  """Computes the UAR of confusion matrices; see `uar`."""
  hit, true, _ = _counts(matrix)
  return _mean_ratio(hit, true, true > 0)


def accuracy_of(
  matrix: Num[np.ndarray, '*b k o'],
) -> Float[np.ndarray, '*b'] | float:
  """Computes the accuracy of confusion matrices; see `accuracy`."""
  hit, true, _ = _counts(matrix)
  total = true.sum(-1, keepdims=True)
  return _mean_ratio(hit.sum(-1, keepdims=True), total, total > 0)


def mean_precision_of(
  matrix: Num[np.ndarray, '*b k o'],
) -> Float[np.ndarray, '*b'] | float:
  """Computes the mean precision of confusion matrices; see `mean_precision`."""
  hit, true, predicted = _counts(matrix)
  return _mean_ratio(hit, predicted, true + predicted > 0)


def uf1(
  truth: Integer[np.ndarray, '*#b n'],
  prediction: Integer[np.ndarray, '*#b n'],
  *,
  num_classes: int,
) -> Float[np.ndarray, '*b'] | float:
  """Computes unweighted F1, the mean over classes of 2 TP / (2 TP + FP + FN).

  The mean is over the classes that occur in truth or prediction, as in
  scikit-learn's macro F1; it is nan if there are no examples. A prediction
  beyond `num_classes` is wrong and belongs to no class.
  """
  return uf1_of(_matrix(truth, prediction, num_classes))


def uar(
  truth: Integer[np.ndarray, '*#b n'],
  prediction: Integer[np.ndarray, '*#b n'],
  *,
  num_classes: int,
) -> Float[np.ndarray, '*b'] | float:
  """Computes unweighted average recall over the classes that occur in truth."""
  return uar_of(_matrix(truth, prediction, num_classes))


def accuracy(
  truth: Integer[np.ndarray, '*#b n'],
  prediction: Integer[np.ndarray, '*#b n'],
  *,
  num_classes: int,
) -> Float[np.ndarray, '*b'] | float:
  """Computes the share of right predictions."""
  return accuracy_of(_matrix(truth, prediction, num_classes))


def mean_precision(
  truth: Integer[np.ndarray, '*#b n'],
  prediction: Integer[np.ndarray, '*#b n'],
  *,
  num_classes: int,
) -> Float[np.ndarray, '*b'] | float:
  """Computes the mean over classes of TP / predicted; 0 if never predicted.

  Some papers report this number as UAR (STSTNet's .7605), but it is not.
  """
  return mean_precision_of(_matrix(truth, prediction, num_classes))


def _matrix(truth, prediction, num_classes):
  num_outputs = max(num_classes, int(prediction.max(initial=0)) + 1)
  return confusion(
    truth, prediction, num_classes=num_classes, num_outputs=num_outputs
  )


def _counts(matrix):
  """Counts right, true and predicted examples of each class, each [*b, k]."""
  num_classes = matrix.shape[-2]
  hit = np.diagonal(matrix, axis1=-2, axis2=-1)
  return hit, matrix.sum(-1), matrix.sum(-2)[..., :num_classes]


def _mean_ratio(part, whole, counted):
  """Averages part / whole over the classes in `counted`; 0 / 0 is 0."""
  ratio = part / np.maximum(whole, 1)
  number = counted.sum(-1)
  mean = (ratio * counted).sum(-1) / np.maximum(number, 1)
  return np.where(number > 0, mean, np.nan)[()]
