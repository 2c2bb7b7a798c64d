"""Intervals over subjects: coverage, determinism, pairing."""

from __future__ import annotations

import time

import numpy as np
import pytest

from mejax.evaluation import bootstrap
from mejax.evaluation import metrics


def _subjects(generator, *, num_subjects=40, clips=6, spread=0.0, seeds=1):
  """Truth, prediction and groups of subjects that differ in difficulty."""
  ability = np.clip(0.6 + spread * generator.normal(size=num_subjects), 0, 1)
  groups = np.repeat([f's{i:03d}' for i in range(num_subjects)], clips)
  truth = generator.integers(0, 2, num_subjects * clips)
  right = generator.random((seeds, truth.size)) < np.repeat(ability, clips)
  return truth, np.where(right, truth, 1 - truth), groups


def test_group_confusion_sums_to_the_pooled_one():
  truth, prediction, groups = _subjects(np.random.default_rng(0), seeds=3)
  matrices = bootstrap.group_confusion(truth, prediction, groups, num_classes=2)
  assert matrices.shape == (3, 40, 2, 2)
  np.testing.assert_array_equal(
    matrices.sum(1), metrics.confusion(truth, prediction, num_classes=2)
  )
  one = groups == 's007'
  np.testing.assert_array_equal(
    matrices[:, 7],
    metrics.confusion(truth[one], prediction[:, one], num_classes=2),
  )


def test_interval_equals_resampling_the_predictions_themselves():
  truth, prediction, groups = _subjects(
    np.random.default_rng(1), spread=0.2, seeds=2
  )
  prediction[1] = 0  # Seeds so unlike that to pool them is another number.
  matrices = bootstrap.group_confusion(truth, prediction, groups, num_classes=2)
  generator = np.random.default_rng(5)
  values = []
  for _ in range(2000):
    drawn = generator.choice(np.unique(groups), 40)
    index = np.concatenate([np.flatnonzero(groups == g) for g in drawn])
    values.append(
      metrics.uf1(truth[index], prediction[:, index], num_classes=2).mean()
    )
  expected = np.percentile(values, [2.5, 97.5])
  assert bootstrap.interval(matrices) == pytest.approx(expected, abs=0.01)


def test_subjects_that_differ_widen_the_interval():
  width = {}
  for spread in (0.0, 0.35):
    matrices = bootstrap.group_confusion(
      *_subjects(np.random.default_rng(2), spread=spread, clips=20),
      num_classes=2,
    )
    low, high = bootstrap.interval(matrices)
    width[spread] = high - low
  assert width[0.35] > 1.5 * width[0.0]


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
  covered = []
  for draw in range(120):
    matrices = bootstrap.group_confusion(
      *_subjects(np.random.default_rng(draw), spread=0.1, num_subjects=60),
      num_classes=2,
    )
    low, high = bootstrap.interval(matrices, metrics.accuracy_of, resamples=300)
    covered.append(low <= 0.6 <= high)
  assert 0.86 <= np.mean(covered) <= 0.995


def test_two_thousand_resamples_are_quick_and_always_the_same():
  matrices = np.random.default_rng(0).integers(0, 9, (5, 68, 3, 3))
  begin = time.process_time()
  first = bootstrap.interval(matrices)
  assert time.process_time() - begin < 2
  assert bootstrap.interval(matrices) == first


def test_a_paired_difference_is_surer_than_two_intervals():
  truth, prediction, groups = _subjects(
    np.random.default_rng(3), spread=0.3, clips=10
  )
  better = prediction.copy()
  wrong = np.flatnonzero(better[0] != truth)[::3]
  better[0, wrong] = truth[wrong]
  first, second = (
    bootstrap.group_confusion(truth, p, groups, num_classes=2)
    for p in (prediction, better)
  )
  value, low, high = bootstrap.paired_difference(first, second)
  assert value == pytest.approx(
    metrics.uf1_of(second.sum(1))[0] - metrics.uf1_of(first.sum(1))[0]
  )
  assert 0 < low < value < high
  alone = bootstrap.interval(second)
  assert high - low < 0.8 * (alone[1] - alone[0])


def test_a_run_does_not_differ_from_itself():
  matrices = np.random.default_rng(0).integers(0, 9, (2, 20, 3, 3))
  assert bootstrap.paired_difference(matrices, matrices) == (0, 0, 0)
