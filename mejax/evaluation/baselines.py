"""Baselines: simple classifiers, evaluated on the same folds as a model.

Their options are fixed and the same for every corpus. On HTNet's 442 flow
images (28x28x3, 0..255, leave one subject out) their UF1 / UAR is .241 / .333
for majority, .690 / .708 for pca_logistic and .715 / .701 for rbf_svm.
The options of the two classifiers were chosen on these images, to reach the
reference values .69 and .71, which makes the baselines rather too high than too
low. The UF1 of other usual options is lower or about the same: for the RBF-SVM
.678 with C = 1, and without standardisation .687 (C = 1) and .718 (C = 10); for
logistic regression without class weights .661 to .671.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent import futures
import os

from jaxtyping import Integer
from jaxtyping import Num
import numpy as np
import threadpoolctl
import tqdm

BASELINES = ('majority', 'pca_logistic', 'rbf_svm')
COMPONENTS = 64


def baselines(
  inputs: Num[np.ndarray, 'n ...'],
  labels: Integer[np.ndarray, ' n'],
  *,
  groups=None,
  folds: Iterable[tuple[np.ndarray, np.ndarray]] | None = None,
  progress: bool = True,
) -> dict[str, np.ndarray]:
  """Returns the held-out predictions of each of `BASELINES`.

  Everything, scaling included, is fitted on the training examples of a fold.

  Args:
    inputs: an array for each example, which is flattened here.
    labels: the class of each example.
    groups: str[n], group of each example; there is a fold for each group.
    folds: (training indices, held-out indices) of each fold, in place of
      `groups`.
    progress: whether to show a progress bar.

  Returns:
    name -> predictions; -1 for an example that no fold holds out. A baseline
    that cannot be fitted on a fold, as on inputs that are all the same,
    predicts the most frequent class there; str[r] under the name `remarks` says
    so.

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
  inputs = inputs.reshape(len(inputs), -1).astype(np.float32)
  folds = _leave_one_out(groups) if folds is None else list(folds)
  result = {name: np.full(len(labels), -1, np.int32) for name in BASELINES}
  jobs = [(name, *fold) for name in BASELINES for fold in folds]

  def held_out(job):
    name, train, test = job
    return _fit_predict(name, inputs[train], labels[train], inputs[test])

  bar = tqdm.tqdm(
    total=len(jobs), desc='baselines', unit='fit', disable=not progress
  )
  # Each fit gets one thread, because the threads of BLAS inside those of this
  # pool would wait for each other.
  with (
    threadpoolctl.threadpool_limits(1),
    futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    bar,
  ):
    failed = {}
    for (name, _, test), (found, reason) in zip(
      jobs, pool.map(held_out, jobs), strict=True
    ):
      result[name][test] = found
      if reason:
        failed.setdefault(name, []).append(reason)
      bar.update()
  if failed:
    result['remarks'] = np.array(
      [
        f'The baseline {name} could not be fitted on {len(reasons)} of'
        f' {len(folds)} folds, where it predicts the most frequent class:'
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


def _fit_predict(name, inputs, labels, held_out):
  """Returns predictions, and why they are those of `majority`, if they are."""
  classes, counts = np.unique(labels, return_counts=True)
  majority = np.full(len(held_out), classes[counts.argmax()])
  if name == 'majority' or len(classes) == 1:
    return majority, ''
  if (inputs == inputs[0]).all():
    return majority, 'its inputs are all the same'
  fit = _rbf_svm if name == 'rbf_svm' else _pca_logistic
  try:
    return fit(inputs, labels, held_out), ''
  # A baseline must not cost a finished training its result, whatever the input
  # does to scikit-learn: overflow, no variance left after scaling, ...
  except (ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
    return majority, str(error).partition('\n')[0].rstrip('.')


def _rbf_svm(inputs, labels, held_out):
  """Predicts by `SVC(C=10)` on standardised inputs.

  The kernel is computed as one matrix product, because libsvm computes each
  entry separately, which takes half a minute a fold at 27,648 values an input.
  """
  from sklearn import preprocessing
  from sklearn import svm
  from sklearn.metrics import pairwise

  scale = preprocessing.StandardScaler().fit(inputs)
  inputs, held_out = scale.transform(inputs), scale.transform(held_out)
  gamma = 1 / (inputs.shape[1] * inputs.var())
  model = svm.SVC(C=10.0, kernel='precomputed')
  model.fit(pairwise.rbf_kernel(inputs, gamma=gamma), labels)
  return model.predict(pairwise.rbf_kernel(held_out, inputs, gamma=gamma))


def _pca_logistic(inputs, labels, held_out):
  from sklearn import decomposition
  from sklearn import linear_model
  from sklearn import pipeline
  from sklearn import preprocessing

  components = min(COMPONENTS, len(inputs) - 1, inputs.shape[1])
  model = pipeline.make_pipeline(
    preprocessing.StandardScaler(),
    decomposition.PCA(components, whiten=True, random_state=0),
    linear_model.LogisticRegression(class_weight='balanced', max_iter=1000),
  )
  return model.fit(inputs, labels).predict(held_out)
