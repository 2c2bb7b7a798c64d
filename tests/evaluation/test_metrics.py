"""Metrics against scikit-learn and published predictions."""

from __future__ import annotations

import csv
import subprocess
import sys

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from sklearn import metrics as reference

from mejax.evaluation import metrics

classes = st.integers(0, 3)
pairs = st.lists(st.tuples(classes, classes), min_size=1, max_size=40)


@hypothesis.given(pairs)
def test_metrics_equal_scikit_learn(rows):
  truth, prediction = np.asarray(rows).T
  got = {
    name: getattr(metrics, name)(truth, prediction, num_classes=4)
    for name in ('uf1', 'uar', 'accuracy', 'mean_precision')
  }
  options = {'average': 'macro', 'zero_division': 0.0}
  recalls = [(prediction[truth == c] == c).mean() for c in np.unique(truth)]
  expected = {
    'uf1': reference.f1_score(truth, prediction, **options),
    'uar': np.mean(recalls),
    'accuracy': reference.accuracy_score(truth, prediction),
    'mean_precision': reference.precision_score(truth, prediction, **options),
  }
  assert got == pytest.approx(expected)
  np.testing.assert_array_equal(
    metrics.confusion(truth, prediction, num_classes=4),
    reference.confusion_matrix(truth, prediction, labels=range(4)),
  )


def test_uar_equals_balanced_accuracy():
  truth = np.array([0, 0, 0, 1, 1, 2])
  prediction = np.array([0, 1, 0, 1, 0, 2])
  assert metrics.uar(truth, prediction, num_classes=3) == pytest.approx(
    reference.balanced_accuracy_score(truth, prediction)
  )


@pytest.fixture(scope='module')
def ststnet(shared):
  with open(shared / 'ststnet/predictions.csv', newline='') as file:
    rows = list(csv.DictReader(file))
  truth, prediction = (
    np.array([int(row[name]) for row in rows])
    for name in ('truth', 'prediction')
  )
  subject = np.array([f'{row["dataset"]}/{row["subject"]}' for row in rows])
  return truth, prediction, subject


def test_published_ststnet_predictions_give_their_numbers(ststnet):
  truth, prediction, _ = ststnet
  got = [
    round(float(f(truth, prediction, num_classes=3)), 4)
    for f in (metrics.uf1, metrics.uar, metrics.mean_precision)
  ]
  assert got == [0.7353, 0.7186, 0.7605]


def test_the_mean_over_folds_is_another_number(ststnet):
  truth, prediction, subject = ststnet
  folds = [subject == name for name in np.unique(subject)]
  mean = np.mean(
    [metrics.uf1(truth[f], prediction[f], num_classes=3) for f in folds]
  )
  assert mean < metrics.uf1(truth, prediction, num_classes=3) - 0.03


def test_leading_axes_are_separate_problems():
  generator = np.random.default_rng(0)
  truth = generator.integers(0, 3, 30)
  prediction = generator.integers(0, 3, (2, 4, 30))
  got = metrics.uf1(truth, prediction, num_classes=3)
  assert got.shape == (2, 4)
  for i in np.ndindex(2, 4):
    assert got[i] == metrics.uf1(truth, prediction[i], num_classes=3)


def test_padding_does_not_count():
  truth, prediction = np.array([0, 1, -1, -1]), np.array([0, 0, 1, 0])
  assert metrics.accuracy(truth, prediction, num_classes=2) == 0.5


def test_a_spare_output_is_wrong_and_counts_for_no_class():
  truth, prediction = np.array([0, 1, 1]), np.array([0, 1, 3])
  # Class 1: one hit, two true, one predicted. Output 3 adds no class.
  expected = (1 + 2 / 3) / 2
  assert metrics.uf1(truth, prediction, num_classes=2) == pytest.approx(
    expected
  )


def test_a_class_out_of_range_is_an_error():
  with pytest.raises(ValueError, match='truth holds 0 to 3.*0 to 2'):
    metrics.confusion(np.array([0, 3]), np.array([0, 1]), num_classes=3)
  with pytest.raises(ValueError, match='prediction holds 0 to 3'):
    metrics.confusion(np.array([0, 1]), np.array([0, 3]), num_classes=3)


def test_importing_metrics_and_selection_brings_no_heavy_library():
  code = (
    'import sys; from mejax.evaluation import metrics, selection;'
    "print([m for m in ('sklearn', 'matplotlib', 'scipy') if m in sys.modules])"
  )
  result = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert result.stdout.strip() == '[]'
