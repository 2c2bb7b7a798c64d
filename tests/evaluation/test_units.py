"""Scores of action units against scikit-learn."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from sklearn import metrics as reference

from mejax.evaluation import units

rows = st.lists(
  st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.6, 0.9]), st.booleans()),
  min_size=2,
  max_size=30,
)


def columns(rows):
  return tuple(np.array(column) for column in zip(*rows, strict=True))


@hypothesis.settings(max_examples=30)
@hypothesis.given(rows)
def test_area_and_both_f1_equal_scikit_learn(rows):
  shares, truth = columns(rows)
  told = shares >= 0.5
  if truth.all() or not truth.any():
    assert units.area(shares, truth) is None
  else:
    expected = reference.roc_auc_score(truth, shares)
    assert units.area(shares, truth) == pytest.approx(expected)
  if not truth.any():
    assert units.f1(told, truth) is None
    assert units.f1_macro(told, truth) is None
  else:
    expected = reference.f1_score(truth, told)
    assert units.f1(told, truth) == pytest.approx(expected)
    expected = reference.f1_score(truth, told, average='macro')
    assert units.f1_macro(told, truth) == pytest.approx(expected)


@hypothesis.settings(max_examples=30)
@hypothesis.given(rows)
def test_no_threshold_has_a_better_f1_on_the_same_people(rows):
  shares, truth = columns(rows)
  (chosen,) = units.choose_thresholds(shares[:, None], truth[:, None])
  if not truth.any():
    assert chosen == 0.5
    return
  others = [
    reference.f1_score(truth, shares >= limit) for limit in (0, *shares)
  ]
  found = reference.f1_score(truth, shares >= chosen)
  assert found == pytest.approx(max(others))
  # It lies between two shares, so that noise moves nobody across it.
  assert chosen not in shares or chosen == 0


def test_a_rare_unit_is_told_from_a_low_share_on_and_float32_parts_too():
  near = np.float32([0.2, np.nextafter(np.float32(0.2), np.float32(1))])
  shares = np.stack([[*near, 0.01, 0.02]] * 2, 1).astype(np.float32)
  truth = np.array([[0, 1], [1, 1], [0, 0], [0, 0]])
  chosen = units.choose_thresholds(shares, truth)
  np.testing.assert_array_equal(shares >= chosen, truth > 0)


def test_the_mean_leaves_out_units_that_nobody_shows():
  shares = np.array([[0.8, 0.9], [0.3, 0.95], [0.4, 0.3]])
  truth = np.array([[1, 0], [0, 0], [1, 0]])
  numbers = units.score(shares, truth, ['12', '4'], np.array([0.35, 0.5]))
  scores = {
    'area': 1.0, 'f1': 1.0, 'f1_macro': 1.0, 'f1_half': 2 / 3,
    'f1_macro_half': 2 / 3,
  }  # fmt: skip
  nothing = dict.fromkeys(scores)
  assert numbers['units']['12'] == {**scores, 'shown': 2}
  assert numbers['units']['4'] == {**nothing, 'shown': 0}
  assert numbers['mean'] == scores
  table = units.format_scores(numbers).splitlines()
  row = ['1.000'] * 3 + ['0.667'] * 2
  assert table[1].split() == ['12', *row, '2']
  assert table[2].split() == ['4', *['-'] * 5, '0']
  parts = {'casme2': {**scores, 'examples': 3}, 'samm': {**nothing}}
  table = units.format_parts(parts).splitlines()
  assert table[1].split() == ['casme2', *row, '3']
  assert table[3].split() == ['mean', *row]


def test_each_example_may_have_thresholds_of_its_own():
  shares, truth = np.array([[0.2], [0.2]]), np.array([[1], [0]])
  limits = np.array([[0.1], [0.3]])
  assert units.score(shares, truth, ['1'], limits)['mean']['f1'] == 1.0
  assert units.score(shares, truth, ['1'])['mean']['f1'] == 0.0


def test_a_unit_is_scored_against_every_class():
  logits = np.array([[1.0], [2.0], [3.0], [0.0]])
  found = units.score_against_classes(
    logits, np.array([0, 0, 1, 0]), ['12'], ['negative', 'positive']
  )
  assert found == {'12': {'negative': 0.0, 'positive': 1.0}}
  assert units.format_areas(found).splitlines()[1].split() == [
    '12', '0.000', '1.000',
  ]  # fmt: skip
