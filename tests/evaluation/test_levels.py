"""Weights of levels by subject, and scores from some of the levels."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from mejax.evaluation import levels

ALPHAS = (1.0, 4.0)


def test_weights_are_averaged_over_the_clips_and_seeds_of_each_subject():
  groups = np.array(['b', 'a', 'b'])
  weights = np.array(
    [[[1, 0], [0.5, 0.5], [0, 1]], [[0, 1], [0.5, 0.5], [0, 1]]], float
  )
  first, second = levels.per_subject(weights, groups, ALPHAS)
  assert (first['subject'], first['clips']) == ('a', 1)
  assert first['weights'] == [0.5, 0.5]
  assert first['amplification'] == pytest.approx(2)  # Between 1 and 4.
  assert first['seeds_std'] == 0
  assert (second['subject'], second['clips']) == ('b', 2)
  assert second['weights'] == [0.25, 0.75]
  assert second['amplification'] == pytest.approx(4**0.75)
  assert second['seeds_std'] == pytest.approx(np.std([2, 4], ddof=1))


@pytest.fixture
def numbers():
  source = np.random.default_rng(0)
  labels = source.integers(0, 3, 40)
  groups = np.repeat([f's/{i}' for i in range(8)], 5)
  right = np.stack([labels, labels])
  wrong = np.where(source.random((2, 40)) < 0.5, (right + 1) % 3, right)
  return {
    'levels': ALPHAS,
    'scores': levels.scores(
      {ALPHAS: right, (1.0,): wrong, (4.0,): right},
      labels,
      groups,
      num_classes=3,
    ),
    'subjects': levels.per_subject(
      source.dirichlet([1, 1], (2, 40)), groups, ALPHAS
    ),
    'expected': [
      sklearn_metrics.f1_score(labels, seed, average='macro') for seed in wrong
    ],
  }


def test_scores_are_those_of_scikit_learn_and_compared_with_all_levels(numbers):
  whole, alone, other = numbers['scores']
  assert whole['uf1'] == other['uf1'] == 1
  assert alone['uf1_seeds'] == pytest.approx(numbers['expected'])
  assert alone['uf1'] == pytest.approx(np.mean(numbers['expected']))
  value, low, high = alone['difference']
  assert value == pytest.approx(alone['uf1'] - 1)
  assert low <= value <= high < 0
  assert other['difference'] == [0, 0, 0]


def test_the_table_tells_every_choice_of_levels(numbers):
  shown = levels.table(numbers)
  assert 'as it is, alone' in shown
  assert '4 times, alone' in shown
  assert f'{numbers["scores"][1]["uf1"]:.3f}' in shown
  assert all(f's/{i}' in shown for i in range(8))
