"""Scores of spotting: the truths that any such evaluation must hold."""

from __future__ import annotations

import dataclasses
import math

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from sklearn import metrics as reference

from mejax.evaluation.spotting import floors
from mejax.evaluation.spotting import scores
from mejax.evaluation.spotting import strs
from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video


def events(*pairs, kind='micro', score=1.0, label=''):
  return tuple(
    Event(onset=a, offset=b, type=kind, score=score, label=label)
    for a, b in pairs
  )


def video(truths=(), candidates=(), subject='s1', name='a', **others):
  numbers = {'num_frames': 1800, 'fps': 30.0} | others
  return Video(
    subject=subject, name=name, truths=truths, candidates=candidates, **numbers
  )


SOME = events((10, 20), (50, 60)) + events((100, 200), kind='macro')

row = st.tuples(
  st.integers(0, 30),
  st.integers(0, 9),
  st.sampled_from(['micro', 'macro']),
  st.sampled_from([1.0, 2.0, 3.0]),
)
some = st.lists(row, max_size=4)
rows_of_videos = st.lists(
  st.tuples(some, some, st.sampled_from(['s1', 's2'])), max_size=4
)


def made(rows_of_videos):
  def events_of(rows):
    return tuple(
      Event(onset=onset, offset=onset + more, type=kind, score=score)
      for onset, more, kind, score in rows
    )

  return [
    video(events_of(truths), events_of(candidates), subject)
    for truths, candidates, subject in rows_of_videos
  ]


def test_perfect_candidates_score_1():
  got = scores.score([video(SOME, SOME)])
  assert all(got[kind].tally.f1 == 1 for kind in got)
  assert all(got[kind].false_alarms_a_minute == 0 for kind in got)


def test_no_candidates_score_0_and_not_nan():
  got = scores.score([video(SOME)])
  assert all(
    (own.tally.f1, own.tally.precision, own.tally.recall) == (0, 0, 0)
    for own in got.values()
  )
  assert scores.Tally(0, 0, 0).f1 == 0


def test_second_candidate_on_a_truth_is_a_false_alarm():
  got = scores.score([video(events((0, 9)), events((0, 9), (1, 9)))])
  assert got['micro'].tally == (1, 2, 1)


def test_misses_of_a_person_without_candidates_count():
  both = [video(SOME, SOME), video(SOME, subject='s2')]
  assert scores.score(both)['overall'].tally == (3, 3, 6)


def test_false_alarms_in_a_video_without_events_count_in_the_headline():
  empty = video(candidates=events((0, 9), (30, 39)), subject='s2')
  got = scores.score([video(SOME, SOME), empty])['micro']
  assert got.tally == (2, 4, 2)
  assert got.with_event.f1 == 1
  assert got.false_alarms_a_minute == 1
  assert got.false_alarms_in_empty == 2


def test_overall_is_the_sum_of_both_types_and_any_type_ignores_them():
  swapped = events((100, 200)) + events((10, 20), kind='macro')
  got = scores.score([video(SOME, swapped)])
  assert got['micro'].tally + got['macro'].tally == got['overall'].tally
  assert got['overall'].tally.hits == 0
  assert got['any_type'].tally == (2, 2, 3)


@hypothesis.settings(max_examples=30)
@hypothesis.given(rows_of_videos)
def test_f1_is_between_0_and_1_and_that_of_its_counts(rows):
  videos = made(rows)
  for own in scores.score(videos).values():
    hits, candidates, truths = own.tally
    truth = [1] * truths + [0] * (candidates - hits)
    found = [1] * hits + [0] * (truths - hits) + [1] * (candidates - hits)
    expected = (
      reference.f1_score(truth, found, zero_division=0.0) if truth else 0.0
    )
    assert own.tally.f1 == pytest.approx(expected)
    assert 0 <= own.tally.f1 <= 1


def test_interval_is_over_people_and_holds_the_score():
  videos = [
    video(SOME, SOME if i % 2 else (), subject=f's{i}') for i in range(10)
  ]
  got = scores.score(videos)['micro']
  assert got.low < got.tally.f1 < got.high
  one = [dataclasses.replace(v, subject='s') for v in videos]
  got = scores.score(one)['micro']
  assert got.low == got.high == pytest.approx(got.tally.f1)


def test_errors_are_in_milliseconds_of_the_own_frame_rate():
  truth = Event(onset=100, apex=110, offset=120, type='micro')
  ours = Event(onset=101, apex=108, offset=120, type='micro')
  got = scores.errors([video((truth,), (ours,), fps=200.0)])
  np.testing.assert_allclose(got.onset, [5])
  np.testing.assert_allclose(got.apex, [-10])
  np.testing.assert_allclose(got.offset, [0])


@hypothesis.settings(max_examples=30)
@hypothesis.given(rows_of_videos)
def test_operating_curve_equals_scores_of_what_is_kept(rows):
  videos = made(rows)
  curve = scores.operating_curve(videos)
  for at, recall, alarms in zip(*curve, strict=True):
    kept = [scores.above(one, at) for one in videos]
    got = scores.score(kept)['overall']
    assert got.tally.recall == pytest.approx(recall)
    assert got.false_alarms_a_minute == pytest.approx(alarms)


def test_average_precision_equals_scikit_learn_where_ranks_are_strict():
  truths = events((0, 9), (20, 29), (40, 49), (60, 69))
  places = [(0, 9), (100, 109), (20, 29), (40, 49), (120, 129), (60, 69)]
  ranked = [5.0, 4.0, 6.0, 2.0, 3.0, 1.0]
  ours = tuple(
    Event(onset=a, offset=b, type='micro', score=s)
    for (a, b), s in zip(places, ranked, strict=True)
  )
  hit = [1, 0, 1, 1, 0, 1]
  # Precision only falls here, up to the last candidate, which mends 3/5 to 4/6.
  expected = reference.average_precision_score(hit, ranked)
  got = scores.average_precision([video(truths, ours)])
  raised = 4 / 6 - 3 / 5
  assert got == pytest.approx(expected + raised / 4)
  assert math.isnan(scores.average_precision([video()]))


def test_intervals_of_one_length_cap_recall():
  truths = events((0, 9), (20, 59), (100, 299))
  assert scores.fixed_length_ceiling([video(truths)], half=5) == 1 / 3
  assert scores.fixed_length_ceiling([video(truths)], half=20) == 1 / 3
  assert (
    scores.fixed_length_ceiling([video(truths)], half=4, centre='apex') == 0
  )


# The example in the README of STRS-Metric, whose answer is .2.
ROWS = [
  ('1', 'a', (10, 70), 'happiness', (45, 85), 'happiness'),
  ('1', 'b', (100, 170), 'others', (130, 160), 'others'),
  ('1', 'c', (0, 70), 'others', (20, 75), 'others'),
  ('2', 'd', (20, 90), 'happiness', (45, 95), 'repression'),
  ('2', 'e', (70, 140), 'happiness', (30, 140), 'repression'),
]
STRS = [
  video(events(true, label=b), events(ours, label=a), subject, name)
  for subject, name, ours, a, true, b in ROWS
]


def test_strs_of_the_published_example():
  classes = ['happiness', 'others', 'repression']
  got = strs.score(STRS, classes=classes)
  assert got.strs == pytest.approx(0.2)
  assert got.spotting == (3, 5, 5)
  assert got.analysis == pytest.approx(1 / 3)
  assert got.analysed == 3
  assert got.analysis_present == pytest.approx(0.5)
  assert got.low <= got.strs <= got.high


def test_hits_of_other_classes_count_for_spotting_only():
  got = strs.score(STRS, classes=['happiness', 'repression'])
  assert (got.spotting.hits, got.analysed, got.strs) == (3, 2, 0)


def test_strs_counts_misses_of_a_person_without_candidates():
  silent = video(events((0, 9), label='others'), subject='3')
  got = strs.score([*STRS, silent], classes=['others'])
  assert got.spotting == (3, 5, 6)
  assert got.strs == pytest.approx(6 / 11)


def test_strs_of_no_video_and_of_no_hit_is_0():
  assert strs.score([], classes=['others']).strs == 0
  assert strs.score([video(SOME)], classes=['others']).strs == 0


@hypothesis.given(
  st.lists(st.sampled_from('abc'), min_size=1, max_size=8),
  st.lists(st.sampled_from('abcx'), min_size=8, max_size=8),
)
def test_analysis_is_the_harmonic_mean_of_macro_precision_and_recall(
  true, ours
):
  truths = [
    Event(onset=20 * i, offset=20 * i + 9, type='micro', label=name)
    for i, name in enumerate(true)
  ]
  candidates = [
    dataclasses.replace(event, label=name)
    for event, name in zip(truths, ours, strict=False)
  ]
  got = strs.score([video(tuple(truths), tuple(candidates))], classes='abc')
  options = {'labels': list('abc'), 'average': 'macro', 'zero_division': 0.0}
  p, r = (
    of(true, ours[: len(true)], **options)
    for of in (reference.precision_score, reference.recall_score)
  )
  assert got.analysis == pytest.approx(2 * p * r / (p + r) if p + r else 0)
  assert got.uf1 == pytest.approx(
    reference.f1_score(true, ours[: len(true)], **options)
  )
  assert got.strs == pytest.approx(got.analysis)  # All are spotted.


def test_floor_that_spots_nothing_has_no_false_alarm():
  got = scores.score(floors.put_in([video(SOME, SOME)], floors.nothing))
  assert got['overall'].tally == (0, 0, 3)


def test_event_every_ten_seconds_stays_inside_the_video():
  spotted = floors.every(video(), seconds=10, half=6, kind='micro')
  assert len(spotted) == 6
  assert [e.apex for e in spotted[:2]] == [150, 450]
  assert all(0 <= e.onset and e.offset < 1800 for e in spotted)


def test_random_intervals_hit_as_often_as_chance_says():
  # Of 91 places of 10 frames in 100, those within 3 frames overlap by half.
  one = video(events((40, 49)), events((40, 49)), num_frames=100)
  got = floors.random_f1([one], kind='micro', draws=200)
  assert got == pytest.approx(7 / 91, abs=0.06)


def test_relative_threshold_spots_something_in_pure_noise():
  curve = np.random.default_rng(0).normal(size=1800)
  assert floors.relative_peaks(video(), curve, half=6, kind='micro')
  assert len(floors.largest_peak(video(), curve, half=6, kind='micro')) == 1


def test_mdmd_spots_a_bump_of_the_right_length_only():
  t = np.arange(300)
  curve = np.exp(-(((t - 100) / 5) ** 2)) + 3 * np.exp(-(((t - 220) / 20) ** 2))
  options = {'k': 12, 'kind': 'micro', 'p': 0.05}
  got = floors.main_directional(
    video(num_frames=300), curve, shortest=7, longest=16, **options
  )
  assert [e for e in got if e.onset <= 100 <= e.offset]
  assert not [e for e in got if e.onset <= 220 <= e.offset]
  short = floors.main_directional(
    video(num_frames=300), curve[:20], shortest=7, longest=16, **options
  )
  assert short == []


@hypothesis.given(st.lists(st.booleans(), max_size=12))
def test_runs_cover_exactly_what_is_true(flags):
  covered = np.zeros(len(flags), bool)
  for start, stop in floors.runs(flags):
    assert not covered[start:stop].any()
    covered[start:stop] = True
  assert covered.tolist() == flags
