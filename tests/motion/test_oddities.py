"""Frames that are shown twice, and a picture that is turned."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mejax.motion import oddities
from mejax.motion import scenes
from tests.motion import sample_faces


@pytest.fixture(scope='module')
def frames():
  """A face that moves a little, with the noise of a camera."""
  source = np.random.default_rng(0)
  picture = cv2.resize(sample_faces.image('hopper'), (96, 128))
  found = []
  for t in range(60):
    moved = np.roll(picture, round(2 * np.sin(t / 5)), axis=1)
    noisy = moved + source.normal(0, 1.5, moved.shape)
    found.append(noisy.clip(0, 255).astype(np.uint8))
  return found


def watched(frames):
  watch = oddities.Watch()
  for frame in frames:
    watch.see(frame)
  return watch


def again(frame):
  """The same frame, compressed anew."""
  return cv2.imdecode(cv2.imencode('.png', frame)[1], cv2.IMREAD_COLOR)


def test_each_frame_twice_is_half_of_them(frames):
  doubled = [x for frame in frames for x in (frame, again(frame))]
  assert watched(doubled).repeated == pytest.approx(0.5, abs=0.02)


def test_film_on_television_repeats_six_of_ten(frames):
  pulled = [x for i, frame in enumerate(frames) for x in [frame] * (2 + i % 2)]
  assert watched(pulled).repeated == pytest.approx(0.6, abs=0.05)


def test_neither_motion_nor_a_still_nor_a_pause_is_a_repeat(frames):
  assert watched(frames).repeated == 0
  assert watched([frames[0]] * 60).repeated == 0
  paused = frames[:20] + [frames[20]] * 30 + frames[20:]
  assert watched(paused).repeated == 0
  assert watched(frames[:1]).repeated == watched([]).repeated == 0


@pytest.mark.parametrize('quarters', [1, 2, 3])
def test_turned_picture_is_told_with_its_degrees(frames, quarters):
  turned = [np.rot90(frame, -quarters) for frame in frames]
  assert scenes.find_turn(frames[3], turned[9]) == 90 * quarters
  found = watched(frames + turned).turned
  assert found == [(60, 90 * quarters)]


def test_another_scene_is_not_turned(frames):
  other = cv2.resize(sample_faces.image('astronaut'), (96, 128))
  assert scenes.find_turn(frames[0], other) == 0
  assert scenes.find_turn(frames[0], frames[40]) == 0
  assert watched(frames).turned == []


def test_one_picture_for_all_frames_is_still_and_noise_is_not(frames):
  assert watched([frames[0]] * 20).is_still
  assert not watched([frames[0]] * 20 + frames[1:2]).is_still
  assert not watched(frames).is_still
  assert not watched(frames[:1]).is_still
