"""Baselines: simple classifiers, evaluated on the same folds as a model.

They belong to data and folds, not to a run. One recipe serves every model: flow
of the whole face, each channel of each image centred and divided by its
standard deviation, and every image a second time as its mirror image, in
training and at test, where the scores of both are averaged. Arrays of unknown
meaning are standardised by the training examples and not mirrored.

    majority   the most frequent class
    lda        LDA with shrinkage .3 on 64 principal components
    logistic   logistic regression on 64 whitened principal components
    rbf_svm    RBF-SVM; its decision values become probabilities by one scale,
               learnt on training examples that other fits left out

The best of them, by UF1 on the same held-out people, is the line that models
are compared with. It is chosen on the numbers that are reported, which favours
the baselines. On HTNet's 442 flow images (28x28x3, leave one subject out)
UF1 / UAR is .241 / .333 for majority, .738 / .739 for lda, .712 / .739 for
logistic and .734 / .728 for rbf_svm.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import functools
import os
import warnings

from jaxtyping import Integer
from jaxtyping import Num
import numpy as np
from scipy import special
import threadpoolctl

from mejax import bars
from mejax.evaluation import inner_products
from mejax.evaluation import temperature
from mejax.evaluation.inner_products import FoldProducts

# Raised with every change that may change a number: stored baselines of another
# recipe are not mixed with these.
RECIPE = 2
BASELINES = ('majority', 'lda', 'logistic', 'rbf_svm')
COMPONENTS = 64
SHRINKAGE = 0.3
_INNER_PARTS = 5
# What a table calls a baseline; `pca_logistic` is that of mejax 0.2.
NAMES = {
  'majority': 'majority class',
  'lda': 'LDA',
  'logistic': 'logistic regression',
  'rbf_svm': 'RBF-SVM',
  'pca_logistic': 'PCA + logistic',
}
# Keys beside those of the predictions.
RECIPE_KEY = 'recipe'
REMARKS = 'remarks'
_PROBABILITIES = '_probabilities'


def baselines(
  inputs: Num[np.ndarray, 'n ...'],
  labels: Integer[np.ndarray, ' n'],
  *,
  groups=None,
  folds: Iterable[tuple[np.ndarray, np.ndarray]] | None = None,
  u_channel: int | None = None,
  num_classes: int | None = None,
  names: Sequence[str] = BASELINES,
  progress: bool = True,
) -> dict[str, np.ndarray]:
  """Returns the held-out predictions of baselines.

  Everything that is fitted is fitted on the training examples of a fold.

  Args:
    inputs: an array for each example; [n h w c] if it is flow.
    labels: the class of each example.
    groups: str[n], group of each example; there is a fold for each group.
    folds: (training indices, held-out indices) of each fold, in place of
      `groups`.
    u_channel: channel of the horizontal flow, if the inputs are flow of a whole
      upright face; None for all other inputs.
    num_classes: k; by default one more than the largest label.
    names: those of `BASELINES` to fit.
    progress: whether to show a progress bar.

  Returns:
    name -> predictions i32[n]; -1 for an example that no fold holds out.
    `NAME_probabilities` f64[n, k] for all but `majority`; nan for such an
    example. `recipe` is `RECIPE`.
    A baseline that cannot be fitted on a fold, as on inputs that are all the
    same, predicts the most frequent class there; str[r] under the name
    `remarks` says so.

  Raises:
    ValueError: not exactly one of `groups` and `folds` is given, or inputs are
      not finite.
  """
  if (groups is None) == (folds is None):
    raise ValueError(
      'baselines need either groups or folds, not both or neither'
    )
  if not np.isfinite(inputs).all():
    bad = np.flatnonzero(~np.isfinite(inputs.reshape(len(inputs), -1)).all(1))
    raise ValueError(f'inputs of examples {bad[:5].tolist()} are not finite')
  folds = _leave_one_out(groups) if folds is None else list(folds)
  num_classes = num_classes or int(labels.max()) + 1
  products_of = inner_products.of_folds(inputs, u_channel)

  def fit_fold(fold):
    train, test = fold
    products = products_of(train, test)
    return _fit_fold(products, labels[train], num_classes, names)

  scores = {name: np.full((len(labels), num_classes), np.nan) for name in names}
  failed = {}
  # Each fold gets one thread, because the threads of BLAS inside those of this
  # pool would wait for each other.
  with (
    threadpoolctl.threadpool_limits(1),
    futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    warnings.catch_warnings(),
    bars.Bar(
      total=len(folds), desc='baselines', unit='fold', disable=not progress
    ) as bar,
  ):
    # Of a class with one training example LDA takes no spread, which is right.
    warnings.filterwarnings('ignore', 'Only one sample available')
    for (_, test), (found, reasons) in zip(
      folds, pool.map(fit_fold, folds), strict=True
    ):
      for name in names:
        scores[name][test] = found[name]
      for name, reason in reasons.items():
        failed.setdefault(name, []).append(reason)
      bar.update()
  return _as_arrays(scores, failed, len(folds))


def predictions_of(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Returns the predictions i32[n] by name among the result of `baselines`."""
  return {
    name: array
    for name, array in found.items()
    if array.ndim == 1 and np.issubdtype(array.dtype, np.integer)
  }


def probabilities_of(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Returns the probabilities f64[n, k] of those baselines that have them."""
  return {
    name.removesuffix(_PROBABILITIES): array
    for name, array in found.items()
    if name.endswith(_PROBABILITIES)
  }


def check(found: Mapping[str, np.ndarray], num_classes: int) -> None:
  """Refuses stored predictions that their own probabilities contradict.

  Args:
    found: as `baselines` returns it.
    num_classes: k.

  Raises:
    ValueError: they differ, or are no probabilities or classes.
  """
  predictions = predictions_of(found)
  for name, array in predictions.items():
    if array.size and not -1 <= array.min() <= array.max() < num_classes:
      raise ValueError(f'{name} predicts classes that there are not')
  for name, share in probabilities_of(found).items():
    predicted = predictions.get(name, np.empty(0))
    if share.shape != (len(predicted), num_classes):
      raise ValueError(f'the probabilities of {name} do not fit its clips')
    held_out = predicted >= 0
    share = share[held_out]
    if not np.isfinite(share).all() or not np.allclose(share.sum(-1), 1):
      raise ValueError(f'the probabilities of {name} do not add up to 1')
    if not np.array_equal(share.argmax(-1), predicted[held_out]):
      raise ValueError(f'{name} does not predict what is most probable')


def _as_arrays(scores, failed, num_folds) -> dict[str, np.ndarray]:
  """Returns predictions, probabilities and remarks as one dict of arrays."""
  result = {}
  for name, values in scores.items():
    held_out = ~np.isnan(values).any(1)
    best = np.where(held_out[:, None], values, 0).argmax(1)
    result[name] = np.where(held_out, best, -1).astype(np.int32)
    if name != 'majority':
      result[name + _PROBABILITIES] = values
  result[RECIPE_KEY] = np.array(RECIPE)
  if failed:
    result[REMARKS] = np.array(
      [
        f'The baseline {name} could not be fitted on {len(reasons)} of'
        f' {num_folds} folds, where it predicts the most frequent class:'
        f' {reasons[0]}.'
        for name, reasons in failed.items()
      ]
    )
  return result


def _leave_one_out(groups):
  groups = np.asarray(groups)
  return [
    (np.flatnonzero(groups != g), np.flatnonzero(groups == g))
    for g in np.unique(groups)
  ]


def _fit_fold(products: FoldProducts, labels, num_classes, names):
  """Fits baselines on a fold.

  Returns:
    The probabilities f64[t, k] of the held-out examples by name, and why those
    of some names are those of `majority`.
  """
  copies = len(products.train) // len(labels)
  shares = np.bincount(labels, minlength=num_classes) / len(labels)
  shares = np.tile(shares, (len(products.test) // copies, 1))
  found, reasons = dict.fromkeys(names, shares), {}
  if shares[0].max() == 1:
    return found, reasons
  labels = np.tile(labels, copies)
  # LDA and logistic regression read the same components.
  parts = functools.cache(
    lambda: inner_products.components(products, COMPONENTS)
  )
  fits = {
    'lda': lambda: _lda(*parts(), labels, copies),
    'logistic': lambda: _logistic(*parts(), labels, copies),
    'rbf_svm': lambda: _calibrated_svm(
      *inner_products.rbf_kernels(products), labels, copies
    ),
  }
  for name, fit in fits.items():
    if name not in names:
      continue
    try:
      if not products.has_spread:
        raise ValueError('its inputs are all the same')
      classes, scores = fit()
      if not np.isfinite(scores).all():
        raise ValueError('its scores are not finite')
      # A class without training examples is never predicted.
      found[name] = np.zeros(shares.shape)
      found[name][:, classes] = scores
    # A baseline must not cost a finished training its result, whatever the
    # input does to scikit-learn: overflow, no variance after scaling, ...
    except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
      reasons[name] = str(error).partition('\n')[0].rstrip('.')
  return found, reasons


def _lda(train, test, labels, copies):
  from sklearn import discriminant_analysis

  model = discriminant_analysis.LinearDiscriminantAnalysis(
    solver='lsqr', shrinkage=SHRINKAGE
  ).fit(train, labels)
  return model.classes_, _mean_of(copies, model.predict_proba(test))


def _logistic(train, test, labels, copies):
  from sklearn import linear_model

  deviation = train.std(0, ddof=1)  # Which whitens principal components.
  model = linear_model.LogisticRegression(
    class_weight='balanced', max_iter=1000
  ).fit(train / deviation, labels)
  probabilities = model.predict_proba(test / deviation)
  return model.classes_, _mean_of(copies, probabilities)


def _calibrated_svm(train, test, labels, copies):
  classes, values = _rbf_svm(train, test, labels, copies)
  values = values * _sharpness(train, labels, copies)
  return classes, special.softmax(values, axis=-1)


def _rbf_svm(train, test, labels, copies):
  """Returns the classes, and their decision values f64[t, k]."""
  from sklearn import svm

  model = svm.SVC(C=10.0, kernel='precomputed').fit(train, labels)
  values = model.decision_function(test)
  if values.ndim == 1:  # Of two classes, scikit-learn scores the second.
    values = np.stack([-values, values], 1)
  return model.classes_, _mean_of(copies, values)


def _sharpness(kernel, labels, copies) -> float:
  """Returns the scale that makes decision values the most likely logits.

  See `temperature.sharpness`. Where a class has a single training example, it
  is 1.
  """
  from sklearn import model_selection

  size = len(labels) // copies
  classes, own = np.unique(labels[:size], return_inverse=True)
  parts = min(_INNER_PARTS, np.bincount(own).min())
  if parts < 2:
    return 1.0
  values = np.zeros((size, len(classes)))
  # Unshuffled parts hold neighbours, which are mostly clips of one person.
  for kept, left in model_selection.StratifiedKFold(parts).split(own, own):
    kept, left = (
      np.concatenate([rows + size * copy for copy in range(copies)])
      for rows in (kept, left)
    )
    _, values[left[: len(left) // copies]] = _rbf_svm(
      kernel[np.ix_(kept, kept)],
      kernel[np.ix_(left, kept)],
      labels[kept],
      copies,
    )

  return temperature.sharpness(values, own)


def _mean_of(copies, scores):
  """Averages the scores of an example and of its mirror image."""
  return scores.reshape(copies, -1, scores.shape[-1]).mean(0)
