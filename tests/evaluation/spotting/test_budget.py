"""Thresholds from a budget of false alarms, and two spotters compared."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import pytest

from mejax.evaluation.spotting import budget
from mejax.evaluation.spotting import scores
from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video


def video(subject, candidates, truths=((100, 111),)):
  return Video(
    subject=subject,
    name='one',
    num_frames=1800,
    fps=30,
    truths=tuple(Event(onset=a, offset=b, type='micro') for a, b in truths),
    candidates=tuple(
      Event(onset=a, offset=a + 11, type='micro', score=float(score))
      for a, score in candidates
    ),
  )


@settings(max_examples=12, deadline=None)
@given(
  st.lists(
    st.lists(
      st.tuples(st.integers(0, 60).map(lambda i: 20 * i), st.integers(1, 9)),
      max_size=5,
    ),
    min_size=1,
    max_size=4,
  ),
  st.sampled_from([0.3, 1.0, 2.0]),
)
def test_threshold_is_the_lowest_above_which_every_one_keeps_the_budget(
  people, a_minute
):
  videos = [video(str(i), found) for i, found in enumerate(people)]
  found = budget.choose_threshold(videos, a_minute=a_minute)
  curve = scores.operating_curve(videos)
  fits = curve.false_alarms_a_minute <= a_minute
  good = []
  for threshold, is_good in zip(curve.threshold, fits, strict=True):
    if not is_good:
      break
    good.append(float(threshold))
  assert found == (good[-1] if good else math.inf)


def test_a_candidate_that_finds_an_event_is_no_false_alarm():
  videos = [video('a', [(100, 5.0), (400, 4.0), (700, 3.0)])]
  assert budget.choose_threshold(videos, a_minute=1) == 4.0
  assert budget.choose_threshold(videos, a_minute=0.5) == 5.0


def test_comparing_is_paired_over_people():
  best = [video(str(i), [(100, 1.0)]) for i in range(8)]
  worse = [video(str(i), [(100, 1.0)] * (i % 2)) for i in range(8)]
  found = budget.compare(best, worse)
  assert found.f1 == pytest.approx(1 - 2 * 4 / 12)
  assert 0 < found.low < found.f1 < found.high and found.is_clear
  same = budget.compare(best, best)
  assert (same.f1, same.low, same.high, same.is_clear) == (0, 0, 0, False)
  with pytest.raises(ValueError, match='not the same'):
    budget.compare(best, worse[1:])
