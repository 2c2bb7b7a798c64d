"""Numbers of a search, against scikit-learn, pandas and plain loops."""

from __future__ import annotations

import math

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from mejax.evaluation import search


def test_confusions_are_those_of_scikit_learn_without_padding():
  source = np.random.default_rng(0)
  labels = source.integers(0, 3, 20)
  index = np.stack([source.permutation(20)[:8] for _ in range(4)])
  index[1, 5:] = -1
  logits = source.normal(size=(4, 8, 3)).astype(np.float32)
  found = search.confusions(logits, index, labels, num_classes=3)
  for matrix, row, each in zip(found, index, logits, strict=True):
    there = row >= 0
    expected = sklearn_metrics.confusion_matrix(
      labels[row[there]], each.argmax(-1)[there], labels=[0, 1, 2]
    )
    np.testing.assert_array_equal(matrix, expected)


def test_a_training_is_finite_if_what_it_holds_out_and_its_loss_are():
  logits = np.zeros((4, 2, 3), np.float32)
  index = np.array([[0, 1], [0, -1], [0, 1], [0, 1]])
  logits[1, 1] = np.nan  # Padding.
  logits[2, 0, 0] = np.inf
  loss = np.array([0.1, 0.2, 0.3, np.nan], np.float32)
  found = search.is_finite(logits, index, loss)
  assert found.tolist() == [True, True, False, False]


@pytest.mark.parametrize(
  ('settings', 'epochs', 'halving', 'expected'),
  [
    (16, 12, 0, [1]),
    (16, 12, 2, [4, 2, 1]),
    (16, 12, 3, [3, 1]),  # One epoch is too short.
    (48, 40, 4, [16, 4, 1]),
    (3, 1000, 2, [4, 2, 1]),  # 3, 2 and 1 settings.
    (1, 1000, 2, [1]),
  ],
)
def test_rungs_end_where_a_setting_is_left_or_an_epoch(
  settings, epochs, halving, expected
):
  assert search.rungs(settings, epochs, halving) == expected


@hypothesis.given(st.integers(1, 200), st.integers(1, 500), st.integers(2, 5))
@hypothesis.settings(max_examples=50)
def test_rungs_hold_their_promise(settings, epochs, halving):
  divisors = search.rungs(settings, epochs, halving)
  assert divisors == [halving**i for i in reversed(range(len(divisors)))]
  assert len(divisors) == 1 or epochs // divisors[0] >= 2
  left = settings
  for _ in divisors[1:]:
    assert left > 1
    left = math.ceil(left / halving)


def test_the_best_come_first_and_ties_go_to_the_first():
  scores = [0.5, 0.7, 0.7 + 1e-12, 0.9]
  assert search.best(scores, 3) == [3, 1, 2]
  assert search.best([0.0], 5) == [0]


def test_the_trace_is_a_running_maximum_and_deviations_are_within_folds():
  scores = np.random.default_rng(0).uniform(size=(5, 9))
  expected = [[row[: i + 1].max() for i in range(9)] for row in scores]
  np.testing.assert_array_equal(search.trace(scores), expected)
  found = search.deviations(scores)
  np.testing.assert_allclose(found.mean(1), 0.0, atol=1e-12)
  np.testing.assert_allclose(np.diff(found), np.diff(scores), atol=1e-12)


def test_effects_are_means_by_value_or_by_quarter():
  source = np.random.default_rng(0)
  x, word = source.uniform(size=200), source.choice(['a', 'b'], 200)
  difference = x - x.mean() + 0.1 * (word == 'b')
  frame = pd.DataFrame({'x': x, 'word': word, 'y': difference})
  found = search.effects(word.tolist(), difference)
  expected = frame.groupby('word').y.mean()
  assert [each['label'] for each in found] == ['a', 'b']
  assert [each['difference'] for each in found] == pytest.approx(
    expected.tolist()
  )
  found = search.effects(x.tolist(), difference)
  quarters = frame.groupby(pd.qcut(frame.x, 4), observed=True).y
  assert [each['difference'] for each in found] == pytest.approx(
    quarters.mean().tolist()
  )
  assert [each['trials'] for each in found] == [50] * 4
  mixed = [None, True, 8, 'a', 8]
  labels = [each['label'] for each in search.effects(mixed, np.ones(5))]
  assert sorted(labels) == ['8', 'None', 'True', 'a']


def test_settings_are_counted_most_often_first():
  found = search.count_chosen([{'x': 1.0}, {'x': 2.0}, {'x': 2.0}])
  assert found == [({'x': 2.0}, 2), ({'x': 1.0}, 1)]
