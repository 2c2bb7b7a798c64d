"""Scores of action units against scikit-learn."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from sklearn import metrics as reference

from mejax.evaluation import units

rows = st.lists(
  st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=30
)


@hypothesis.settings(max_examples=30)
@hypothesis.given(rows)
def test_area_and_f1_equal_scikit_learn(rows):
  logits, truth = (np.array(column) for column in zip(*rows, strict=True))
  if truth.all() or not truth.any():
    assert units.area(logits, truth) is None
  else:
    expected = reference.roc_auc_score(truth, logits)
    assert units.area(logits, truth) == pytest.approx(expected)
  if not truth.any():
    assert units.f1(logits, truth) is None
  else:
    expected = reference.f1_score(truth, logits > 0)
    assert units.f1(logits, truth) == pytest.approx(expected)


def test_the_mean_leaves_out_units_that_nobody_shows():
  logits = np.array([[1.0, 2.0], [-1.0, 3.0], [2.0, -1.0]])
  truth = np.array([[1, 0], [0, 0], [1, 0]])
  numbers = units.score(logits, truth, ['12', '4'])
  assert numbers['units']['12'] == {'area': 1.0, 'f1': 1.0, 'shown': 2}
  assert numbers['units']['4'] == {'area': None, 'f1': None, 'shown': 0}
  assert numbers['macro'] == {'area': 1.0, 'f1': 1.0}
  table = units.format_scores(numbers).splitlines()
  assert table[1].split() == ['12', '1.000', '1.000', '2']
  assert table[2].split() == ['4', '-', '-', '0']


def test_a_unit_is_scored_against_every_class():
  logits = np.array([[1.0], [2.0], [3.0], [0.0]])
  found = units.score_against_classes(
    logits, np.array([0, 0, 1, 0]), ['12'], ['negative', 'positive']
  )
  assert found == {'12': {'negative': 0.0, 'positive': 1.0}}
  assert units.format_areas(found).splitlines()[1].split() == [
    '12', '0.000', '1.000',
  ]  # fmt: skip
