"""Spotting while a recording goes on."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import pytest

from mejax.corpora.faces import long_takes
from mejax.corpora.faces.script import Script
from mejax.motion.spotting import live
from mejax.motion.spotting import tracks as tracks_lib
from tests import known_faces

FPS, SIZE = 30.0, 120


@functools.cache
def filmed():
  script = Script(micro=2, amplitude=(3.0, 3.0), noise=0.5)
  take = long_takes.play(script, seed=5, seconds=11, fps=FPS, size=SIZE)
  return take, list(take.frames(np.random.default_rng(0)))


def spotted(frames):
  detector = known_faces.detector_of(filmed()[0])
  return list(live.spot(frames, fps=FPS, detector=detector))


@functools.cache
def all_of_it():
  return spotted(enumerate(filmed()[1]))


def test_expressions_are_known_soon_after_they_end():
  take, _ = filmed()
  got = [one for one in all_of_it() if one.candidate.type == 'micro']
  assert len(got) == len(take.events) == 2
  for one, event in zip(got, take.events, strict=True):
    assert abs(one.candidate.apex - event.apex) <= 1
    assert event.offset <= one.at <= event.offset + 3 * FPS


@pytest.mark.parametrize('stop', [150, 240])
def test_what_comes_later_changes_nothing_that_is_told(stop):
  _, images = filmed()
  other = [cv2.flip(image, 0) for image in images[stop:]]
  got = spotted(enumerate([*images[:stop], *other]))
  known = [one for one in all_of_it() if one.at < stop]
  assert [one for one in got if one.at < stop] == known


def test_only_twenty_seconds_are_kept():
  take, images = filmed()
  recorder = tracks_lib.Recorder(FPS, known_faces.detector_of(take))
  most = 0
  for number in range(3 * 300):
    # The same ten seconds forwards and backwards, so that there is no cut.
    image = images[number % 300 if number // 300 % 2 else -(number % 300) - 1]
    if recorder.add(float(number), image):
      recorder.forget(number - 5 * FPS)
      most = max(most, len(recorder.tracks().numbers))
  assert most <= (5 + 4) * FPS


def test_no_candidate_is_told_twice():
  spans = [(k.candidate.onset, k.candidate.type) for k in all_of_it()]
  assert len(spans) == len(set(spans))


def test_no_frame_is_refused():
  with pytest.raises(ValueError, match='no frames'):
    spotted([])
