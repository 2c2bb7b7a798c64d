"""Reliability and coverage are those of definitions written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import calibration as reference

from mejax.evaluation import calibration
from mejax.evaluation import selection


@pytest.fixture(scope='module')
def held_out():
  """Truth, probabilities of 2 seeds, and people."""
  generator = np.random.default_rng(5)
  truth = generator.integers(0, 3, 300)
  logits = generator.normal(0, 1.5, (2, 300, 3))
  logits += np.eye(3)[truth]
  people = np.char.add('s', generator.integers(0, 20, 300).astype(str))
  return truth, selection.probabilities(logits), people


def test_the_bins_are_those_of_scikit_learn(held_out):
  truth, probability, people = held_out
  found = calibration.describe(truth, probability, people)['bins']
  accuracy, confidence = reference.calibration_curve(
    (probability.argmax(-1) == truth).ravel(),
    probability.max(-1).ravel(),
    n_bins=calibration.NUM_BINS,
  )
  np.testing.assert_allclose([x['accuracy'] for x in found], accuracy)
  np.testing.assert_allclose([x['confidence'] for x in found], confidence)
  assert sum(x['share'] for x in found) == pytest.approx(1)


def test_the_error_and_the_brier_score_are_their_definitions(held_out):
  truth, probability, people = held_out
  found = calibration.describe(truth, probability, people)
  sure = probability.max(-1).ravel()
  right = (probability.argmax(-1) == truth).ravel()
  error = 0.0
  for low in np.linspace(0, 0.9, 10):
    member = (sure > low) & (sure <= low + 0.1)
    if member.any():
      error += member.mean() * abs(sure[member].mean() - right[member].mean())
  assert found['error'] == pytest.approx(error)
  brier = np.mean(
    [
      sum((p[k] - (k == t)) ** 2 for k in range(3))
      for seed in probability
      for p, t in zip(seed, truth, strict=True)
    ]
  )
  assert found['brier'] == pytest.approx(brier)


def test_coverage_keeps_the_most_confident(held_out):
  truth, probability, people = held_out
  found = calibration.describe(truth, probability, people)['coverage']
  sure = probability.max(-1).ravel()
  right = (probability.argmax(-1) == truth).ravel()
  order = np.argsort(-sure)
  for each, share in zip(found, calibration.COVERAGES, strict=True):
    kept = order[: round(share * len(order))]
    assert each['accuracy'] == pytest.approx(right[kept].mean())
    assert each['confidence'] == sure[kept].min()
    low, high = each['accuracy_ci']
    assert low <= each['accuracy'] <= high
  assert found[-1]['share'] == 1


def test_equal_confidence_is_kept_or_left_out_together():
  truth = np.array([0, 0, 1, 1])
  probability = np.full((1, 4, 2), 0.5)
  found = calibration.describe(truth, probability, np.array(list('abcd')))
  assert {x['share'] for x in found['coverage']} == {1.0}


def test_the_interval_is_over_people_and_not_over_clips():
  # Each person is all right or all wrong, so that four clips say no more than
  # one.
  right = np.repeat([1, 0, 1, 1, 0, 1], 4)
  probability = np.tile([0.9, 0.1], (24, 1))[None]
  people = np.repeat(list('abcdef'), 4)
  once = slice(None, None, 4)
  many = calibration.describe(1 - right, probability, people)
  few = calibration.describe(
    1 - right[once], probability[:, once], people[once]
  )
  assert many['bins'][0]['accuracy_ci'] == few['bins'][0]['accuracy_ci']


def test_a_certain_prediction_is_in_the_last_bin():
  found = calibration.describe(
    np.array([0, 0]), np.array([[[1.0, 0.0], [1.0, 0.0]]]), np.array(['a', 'b'])
  )
  assert [x['confidence'] for x in found['bins']] == [1.0]
  assert found['error'] == found['brier'] == 0
