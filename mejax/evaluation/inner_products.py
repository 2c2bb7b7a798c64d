"""Inner products of the inputs of simple classifiers, and what follows of them.

A fold has few examples of many values. Principal components and RBF kernels
need only the products of its examples, so each fold costs one eigenvalue
problem of its examples, however large the images are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from jaxtyping import Num
import numpy as np

# Directions of a smaller share of the largest variance are rounding.
_SMALLEST_VARIANCE = 1e-10
# Columns that are multiplied at once, in float64.
_COLUMNS = 4096

Pair = tuple[Float[np.ndarray, 't x'], Float[np.ndarray, 'm x']]


class FoldProducts(NamedTuple):
  """Inner products of the rows of a fold.

  Rows are the examples, and after all of them their mirror images if they have
  any.

  Attributes:
    train: of the training rows with each other.
    test: of the held-out rows with the training rows.
    own: of each held-out row with itself.
  """

  train: Float[np.ndarray, 't t']
  test: Float[np.ndarray, 'm t']
  own: Float[np.ndarray, ' m']

  @property
  def has_spread(self) -> bool:
    """Whether the training rows differ by more than rounding."""
    square = np.diag(self.train)
    distances = _squared_distances(self.train, square)
    return bool(distances.max() > _SMALLEST_VARIANCE * square.max())


def of_folds(
  inputs: Num[np.ndarray, 'n ...'], u_channel: int | None
) -> Callable[..., FoldProducts]:
  """Returns a function from (training, held-out positions) to `FoldProducts`.

  Flow is normalised by `normalise_flow` and mirrored. Other inputs are
  standardised by the training examples of each fold.

  Args:
    inputs: an array for each example; [n h w c] if it is flow.
    u_channel: channel of the horizontal flow; None for other inputs.
  """
  rows = inputs.reshape(len(inputs), -1)
  if u_channel is None:
    return lambda train, test: _standardised(rows, train, test)
  images = normalise_flow(inputs)
  sign = np.ones(inputs.shape[-1], np.float32)
  sign[u_channel] = -1  # What moves right moves left in a mirror.
  both = np.stack([images, images[:, :, ::-1] * sign])
  # An image is prepared by itself, so products serve every fold that has it.
  products = _multiply(both.reshape(2 * len(inputs), -1))

  def choose(train, test):
    train, test = (np.r_[i, i + len(inputs)] for i in (train, test))
    return FoldProducts(
      products[np.ix_(train, train)],
      products[np.ix_(test, train)],
      products[test, test],
    )

  return choose


def normalise_flow(
  images: Num[np.ndarray, 'n h w c'],
) -> Float[np.ndarray, 'n h w c']:
  """Centres each channel of each image and divides it by its deviation.

  A constant channel becomes 0.
  """
  # In float64 a constant of float32 is its own mean, exactly.
  centred = images - images.mean((1, 2), keepdims=True, dtype=np.float64)
  deviation = np.sqrt((centred**2).mean((1, 2), keepdims=True))
  return (centred / np.where(deviation > 0, deviation, 1)).astype(np.float32)


def components(products: FoldProducts, count: int) -> Pair:
  """Returns training and held-out rows in their principal components, in order.

  The components are those of the training rows, whose mean is subtracted.

  Args:
    products: of a fold.
    count: number of components; fewer are returned if the training rows span
      fewer directions.
  """
  import scipy.linalg

  mean = products.train.mean(0)
  train = products.train - mean - mean[:, None] + mean.mean()
  test = products.test - products.test.mean(1, keepdims=True)
  test = test - mean + mean.mean()
  size = len(train)
  values, vectors = scipy.linalg.eigh(
    train, subset_by_index=[max(0, size - count), size - 1]
  )
  large = values > _SMALLEST_VARIANCE * values[-1]
  values, vectors = values[large][::-1], vectors[:, large][:, ::-1]
  scale = np.sqrt(values)
  return vectors * scale, test @ vectors / scale


def rbf_kernels(products: FoldProducts) -> Pair:
  """Returns RBF kernels of training and held-out rows with training rows.

  Their width is scikit-learn's `scale` for rows with a mean of 0.
  """
  square = np.diag(products.train)
  gamma = len(square) / square.sum()
  return (
    np.exp(-gamma * _squared_distances(products.train, square)),
    np.exp(-gamma * _squared_distances(products.test, products.own, square)),
  )


def _squared_distances(products, first, second=None):
  """Returns |a|^2 + |b|^2 - 2 ab for products ab, never below 0."""
  second = first if second is None else second
  return np.maximum(first[:, None] + second - 2 * products, 0)


def _standardised(rows, train, test) -> FoldProducts:
  """Returns products of rows standardised by the training rows."""
  size = len(train)

  def standardise(columns):
    seen = columns[:size]
    # The deviation of a constant may be rounding in place of 0.
    varies = (seen != seen[0]).any(0)
    return (columns - seen.mean(0)) / np.where(varies, seen.std(0), 1)

  products = _multiply(rows, np.r_[train, test], standardise)
  return FoldProducts(
    products[:size, :size], products[size:, :size], np.diag(products)[size:]
  )


def _multiply(rows, chosen=slice(None), prepare=lambda columns: columns):
  """Returns the products f64[r, r] of chosen rows with each other.

  Columns are taken in parts, so that no large array is copied as float64.
  """
  total = 0.0
  for start in range(0, rows.shape[1], _COLUMNS):
    columns = rows[chosen, start : start + _COLUMNS].astype(np.float64)
    columns = prepare(columns)
    total = total + columns @ columns.T
  return total
