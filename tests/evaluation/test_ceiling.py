"""The ceiling: unanimous mistakes, and folds with fewer training people."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest
from sklearn import metrics as reference

from mejax.evaluation import ceiling
from mejax.evaluation import selection


@hypothesis.given(strategies.integers(0, 2**16), strategies.integers(2, 4))
@hypothesis.settings(
  max_examples=15,
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_agreement_is_what_a_loop_over_clips_finds(make_record, draw, models):
  record = make_record(num_seeds=1, corpora=(('a', 3, 3.0), ('b', 2, 3.0)))
  generator = np.random.default_rng(draw)
  answers = {
    f'model {i}': generator.integers(0, 3, len(record['labels']))
    for i in range(models)
  }
  found = ceiling.agreement(record, answers)
  names, missed, expected = record['class_names'], 0, []
  for i, label in enumerate(record['labels']):
    given = {int(array[i]) for array in answers.values()}
    missed += label not in given
    if label not in given and len(given) == 1:
      identity = [record[key][i] for key in ('corpus', 'subject', 'clip')]
      expected.append((*identity, names[label], names[given.pop()]))
  keys = ('corpus', 'subject', 'clip', 'label', 'answer')
  assert [tuple(one[k] for k in keys) for one in found['clips']] == sorted(
    expected
  )
  assert found['missed'] == missed and found['n'] == len(record['labels'])
  assert sum(pair['clips'] for pair in found['pairs']) == len(expected)
  assert found['models'] == list(answers)


@pytest.mark.parametrize('share', [*ceiling.SHARES, 1.0])
def test_fewer_people_never_bring_in_the_held_out(make_record, share):
  record = make_record(num_seeds=1)
  groups = record['groups']
  number = np.unique(groups, return_inverse=True)[1]
  parts = np.array([f'part {i % 5}' for i in number])
  for left_out in (groups, parts):
    for draw in range(2):
      folds = ceiling.folds_of(left_out, groups, share, draw=draw)
      for name, (train, test) in zip(np.unique(left_out), folds, strict=True):
        np.testing.assert_array_equal(test, np.flatnonzero(left_out == name))
        seen = np.unique(groups[train])
        others = np.unique(groups[left_out != name])
        assert not set(seen) & set(groups[test])
        assert len(seen) == max(1, round(share * len(others)))
        # All clips of everybody who stays.
        np.testing.assert_array_equal(
          train, np.flatnonzero(np.isin(groups, seen))
        )


def test_more_people_are_added_to_fewer_and_draws_differ(make_record):
  groups = make_record(num_seeds=1)['groups']
  few, more, other = (
    [set(train.tolist()) for train, _ in ceiling.folds_of(groups, groups, **kw)]
    for kw in (
      {'share': 0.25},
      {'share': 0.5},
      {'share': 0.25, 'draw': 1},
    )
  )
  assert all(a < b for a, b in zip(few, more, strict=True))
  assert few != other


def test_the_curve_has_the_mean_over_draws_of_the_pooled_score(make_record):
  record = make_record(num_seeds=1)
  generator = np.random.default_rng(0)
  predictions = {
    0.5: generator.integers(0, 3, (3, len(record['labels']))),
    1.0: record['labels'][None],
  }
  half, whole = ceiling.curve_json(record, predictions)
  uf1 = [
    reference.f1_score(record['labels'], row, average='macro')
    for row in predictions[0.5]
  ]
  assert half['entry']['uf1'] == pytest.approx(np.mean(uf1))
  assert (half['draws'], whole['draws']) == (3, 1)
  people = len(np.unique(record['groups'])) - 1
  assert (half['people'], whole['people']) == (round(people / 2), people)
  assert whole['entry']['uf1'] == 1
  assert selection.BOTH_SIDES not in str(half)
