"""Matching against a search through all matchings, and published rules."""

from __future__ import annotations

import itertools

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from mejax.evaluation.spotting import events as events_lib
from mejax.evaluation.spotting import matching
from mejax.evaluation.spotting.events import Event

interval = st.tuples(st.integers(0, 12), st.integers(0, 8))


def events(pairs, kind='micro', scores=None):
  scores = [0.0] * len(pairs) if scores is None else scores
  return [
    Event(onset=a, offset=b, type=kind, score=s)
    for (a, b), s in zip(pairs, scores, strict=True)
  ]


event = st.builds(
  lambda ends, kind, score: Event(
    onset=ends[0], offset=sum(ends), type=kind, score=score
  ),
  interval,
  st.sampled_from(['micro', 'macro']),
  st.integers(0, 3).map(float),
)
few = st.lists(event, max_size=4)


def overlap_of_sets(one, other):
  one, other = (set(range(e.onset, e.offset + 1)) for e in (one, other))
  return len(one & other) / len(one | other)


def best_by_search(candidates, truths, least=0.5):
  """Returns size and summed overlap of the best of all matchings."""
  best = (0, 0.0)
  for size in range(1, min(len(candidates), len(truths)) + 1):
    for some in itertools.combinations(range(len(candidates)), size):
      for order in itertools.permutations(range(len(truths)), size):
        pairs = [
          (candidates[i], truths[j]) for i, j in zip(some, order, strict=True)
        ]
        overlaps = [overlap_of_sets(*pair) for pair in pairs]
        if all(a.type == b.type for a, b in pairs) and min(overlaps) >= least:
          best = max(best, (size, sum(overlaps)))
  return best


@hypothesis.given(few, few)
def test_matching_is_one_to_one_and_the_largest_of_all(candidates, truths):
  pairs = matching.match(candidates, truths)
  ours, theirs = zip(*pairs, strict=True) if pairs else ((), ())
  assert len(set(ours)) == len(set(theirs)) == len(pairs)
  overlaps = [overlap_of_sets(candidates[i], truths[j]) for i, j in pairs]
  assert (len(pairs), sum(overlaps)) == pytest.approx(
    best_by_search(candidates, truths)
  )


@hypothesis.given(few, few, st.randoms(use_true_random=False))
def test_order_of_candidates_and_truths_does_not_matter(some, truths, random):
  mixed = [random.sample(x, len(x)) for x in (some, truths)]
  assert len(matching.match(some, truths)) == len(matching.match(*mixed))
  assert len(matching.match(some, truths)) == len(matching.match(truths, some))


@hypothesis.given(few, few)
def test_overlap_equals_that_of_sets_of_frames(some, others):
  got = events_lib.overlap(*map(events_lib.intervals, (some, others)))
  expected = [[overlap_of_sets(a, b) for b in others] for a in some]
  np.testing.assert_array_equal(
    got, np.reshape(expected, (len(some), len(others)))
  )


@pytest.mark.parametrize(
  'candidate, is_hit',
  [((0, 4), True), ((0, 3), False), ((0, 19), True), ((0, 20), False)],
)
def test_overlap_of_exactly_half_is_enough_and_a_frame_less_is_not(
  candidate, is_hit
):
  pairs = matching.match(events([candidate]), events([(0, 9)]))
  assert bool(pairs) == is_hit


def test_lengths_without_the_last_frame_differ_at_the_border():
  one, other = events([(0, 4)]), events([(0, 9)])
  assert matching.match(one, other)
  assert not matching.match(one, other, inclusive=False)


def test_two_candidates_on_one_truth_are_one_hit():
  assert len(matching.match(events([(0, 9), (1, 9)]), events([(0, 9)]))) == 1


# 0 to 9 overlaps both of its halves by exactly .5.
HALVES = events([(0, 4), (5, 9)])


def test_one_candidate_over_two_truths_is_one_hit_and_two_by_strs_metric():
  one = events([(0, 9)])
  assert len(matching.match(one, HALVES)) == 1
  assert matching.match(one, HALVES, rule='free_truths') == [(0, 0), (0, 1)]


def test_copied_rule_does_not_try_the_second_truth():
  # Both overlap the first truth most; the second one would do for either.
  truths = events([(0, 9), (4, 13)])
  candidates = events([(0, 9), (1, 10)], scores=[2.0, 1.0])
  assert len(matching.match(candidates, truths)) == 2
  assert matching.match(candidates, truths, rule='best_truth') == [(0, 0)]


def test_copied_rule_serves_the_surest_candidate_first():
  candidates = events([(0, 9), (1, 9)], scores=[1.0, 2.0])
  pairs = matching.match(candidates, events([(0, 9)]), rule='best_truth')
  assert pairs == [(1, 0)]


def test_candidate_finds_only_its_own_type():
  micro, macro = events([(0, 9)]), events([(0, 9)], 'macro')
  assert not matching.match(micro, macro)
  assert matching.match(micro, macro, by_type=False) == [(0, 0)]


@pytest.mark.parametrize('rule', matching.RULES)
def test_without_candidates_or_truths_nothing_matches(rule):
  assert matching.match([], HALVES, rule=rule) == []
  assert matching.match(HALVES, [], rule=rule) == []


def test_unknown_rule_names_the_known_ones():
  with pytest.raises(ValueError, match='one_to_one'):
    matching.match([], [], rule='mine')


def test_event_that_ends_before_it_begins_is_refused():
  with pytest.raises(ValueError, match='offset 3 is before onset 4'):
    Event(onset=4, offset=3, type='micro')
