"""Folds checked against scikit-learn, and against the rule of no leak."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from sklearn.model_selection import LeaveOneGroupOut

from mejax.training import folds as folds_lib

_GROUPS = st.lists(st.sampled_from('abcdefgh'), min_size=2, max_size=40).filter(
  lambda groups: len(set(groups)) > 1
)


@given(_GROUPS)
def test_leave_one_group_out_equals_scikit_learn(groups):
  folds = folds_lib.leave_one_group_out(groups)
  splits = LeaveOneGroupOut().split(groups, groups=groups)
  for train, test, (fit, held_out) in zip(
    folds.train, folds.test, splits, strict=True
  ):
    np.testing.assert_array_equal(np.flatnonzero(train), fit)
    np.testing.assert_array_equal(np.flatnonzero(test), held_out)


@given(_GROUPS.filter(lambda groups: len(set(groups)) > 3))
def test_inner_folds_split_training_groups_and_never_see_the_outer(groups):
  outer = folds_lib.leave_one_group_out(groups)
  folds = folds_lib.with_inner(outer, groups, num_inner=3)
  groups = np.array(groups)
  for fold, name in enumerate(outer.names):
    inner = (folds.outer == fold) & (folds.inner >= 0)
    assert inner.sum() == 3
    # Every training example is held out once inside, the outer subject never.
    np.testing.assert_array_equal(folds.test[inner].sum(0), groups != name)
    assert not folds.train[inner][:, groups == name].any()
    for train, test in zip(folds.train[inner], folds.test[inner], strict=True):
      assert not set(groups[train > 0]) & set(groups[test])


def test_training_weights_reach_the_inner_folds():
  groups = list('aabbccdd')
  outer = folds_lib.leave_one_group_out(groups)
  weighted = outer._replace(train=outer.train * np.arange(1, 9))
  inner = folds_lib.with_inner(weighted, groups, num_inner=3)
  assert set(inner.train[-1][inner.train[-1] > 0]) <= set(range(1, 9))
  assert inner.train[-1].max() > 1


def test_one_subject_cannot_be_left_out():
  with pytest.raises(ValueError, match='at least two groups'):
    folds_lib.leave_one_group_out(['a', 'a'])


def test_too_few_subjects_for_inner_folds_is_an_error():
  folds = folds_lib.leave_one_group_out(['a', 'b', 'c'])
  with pytest.raises(ValueError, match='trains on 2 groups'):
    folds_lib.with_inner(folds, ['a', 'b', 'c'], num_inner=5)


def test_held_out_index_pads_with_minus_one():
  folds = folds_lib.leave_one_group_out(['a', 'b', 'b', 'a', 'b'])
  index = folds_lib.held_out_index(folds.test)
  assert index.tolist() == [[0, 3, -1], [1, 2, 4]]


@given(_GROUPS, st.integers(2, 8))
def test_parts_hold_each_group_out_once_and_are_alike_in_groups(groups, parts):
  names = sorted(set(groups))
  if parts > len(names):
    with pytest.raises(ValueError, match=f'expected 2 to {len(names)}, the'):
      folds_lib.left_out_together(groups, parts)
    return
  held = folds_lib.left_out_together(groups, parts)
  owner = dict(zip(groups, held.tolist(), strict=True))
  assert [owner[group] for group in groups] == held.tolist()
  sizes = [list(owner.values()).count(part) for part in set(held.tolist())]
  assert len(sizes) == parts and max(sizes) - min(sizes) <= 1


def test_without_parts_each_group_is_left_out_alone():
  groups = np.array(['b', 'a', 'b'])
  assert folds_lib.left_out_together(groups, 0).tolist() == ['b', 'a', 'b']


@given(st.lists(st.integers(0, 3), min_size=2, max_size=40), st.data())
def test_folds_over_clips_deal_every_class_evenly(labels, data):
  labels = np.array(labels)
  count = data.draw(st.integers(2, len(labels)))
  fold = folds_lib.over_clips(labels, count)
  sizes = np.unique(fold, return_counts=True)[1]
  assert len(sizes) == count and sizes.max() - sizes.min() <= 1
  for label in np.unique(labels):
    own = [
      ((fold == name) & (labels == label)).sum() for name in np.unique(fold)
    ]
    assert max(own) - min(own) <= 1
  np.testing.assert_array_equal(fold, folds_lib.over_clips(labels, count))


@pytest.mark.parametrize('count', [0, 1, 7])
def test_too_few_or_too_many_folds_over_clips_are_refused(count):
  with pytest.raises(ValueError, match='expected 2 to 6, the number of clips'):
    folds_lib.over_clips(np.zeros(6, int), count)


def test_a_model_of_everybody_stands_beside_the_folds():
  groups = np.repeat(['a', 'b', 'c'], 2)
  few = folds_lib.leave_one_group_out(groups)
  inner = folds_lib.with_inner(few, groups, num_inner=2)
  for folds in (few, inner):
    more = folds_lib.with_everybody(folds)
    for ours, theirs in zip(more[:4], folds[:4], strict=True):
      assert ours.dtype == theirs.dtype and (ours[:-1] == theirs).all()
    assert more.train[-1].all() and not more.test[-1].any()
    assert more.names[more.outer[-1]] == 'everybody' and more.inner[-1] == -1
    assert (folds_lib.held_out_index(more.test)[-1] == -1).all()
