"""Of several faces one is followed, and a page says so; cuts are told, too."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mejax.experiment.spotting import recordings
from mejax.experiment.spotting import remarks
from mejax.experiment.spotting.several_faces import Chooser
from mejax.motion import faces
from mejax.motion.detection import DetectedFace
from mejax.motion.spotting import tracks as tracks_lib
from tests import made_signals
from tests.corpora import test_decode
from tests.motion import sample_faces

IMAGE = np.zeros((200, 400, 3), np.uint8)


def face(left, width=100):
  x = left + np.array([0.3, 0.7, 0.5, 0.35, 0.65]) * width
  y = np.array([40, 40, 60, 80, 80])
  points = np.stack([x, y], 1).astype(np.float32)
  box = (float(left), 20.0, float(width), 120.0)
  return DetectedFace(points, box, 0.9)


ANNA, BEN, CROWD = face(10), face(250, 120), face(180, 30)


@pytest.mark.parametrize(
  'which, expected',
  [
    ('largest', [ANNA, BEN, CROWD]),
    ('left', [ANNA]),
    ('right', [BEN]),
    ((60.0, 50.0), [ANNA]),
    ((190.0, 50.0), [CROWD]),
    ((395.0, 195.0), []),
  ],
)
def test_the_face_that_is_meant_is_handed_on(which, expected):
  chosen = Chooser(lambda image: [BEN, ANNA, CROWD], which)
  found = chosen(IMAGE)
  assert {id(one) for one in found} == {id(one) for one in expected}
  # A face in the background is not counted.
  (told,) = chosen.remarks()
  assert told.startswith('It shows 2 faces; th')


@pytest.mark.parametrize('which', ['left', 'right', (40.0, 50.0)])
def test_spotter_and_recogniser_choose_the_same_face(which):
  # Somebody far away stands at the right; two boxes hold the place.
  crowd = [BEN, ANNA, face(380, 15), face(20, 130)]
  (ours,) = Chooser(lambda image: crowd, which)(IMAGE)
  theirs = faces.locate([IMAGE], detector=lambda image: crowd, which=which)
  np.testing.assert_array_equal(ours.points, theirs.points)


def test_faces_of_all_sizes_are_searched_if_one_is_chosen(monkeypatch):
  asked = []

  def detect(image, thorough=False):
    asked.append(thorough)
    return [ANNA]

  monkeypatch.setattr(faces, 'detect', detect)
  for which in ('largest', 'left', (60.0, 50.0)):
    Chooser(detect, which)(IMAGE)
  assert asked == [False, True, True]


def wide(image):
  """Returns two faces, whose places are those in a picture 1280 wide."""
  zoom = image.shape[1] / 1280
  return [
    dataclasses.replace(
      one,
      points=one.points * np.float32(zoom),
      box=tuple(x * zoom for x in one.box),
    )
    for one in (face(100, 320), face(720, 320))
  ]


@pytest.mark.parametrize('width', [1280, 640, 320])
def test_a_place_is_in_pixels_of_the_recording_at_any_size(width):
  chosen = Chooser(wide, (960.0, 60.0))
  chosen(np.zeros((720, 1280, 3), np.uint8))
  (found,) = chosen(np.zeros((width * 9 // 16, width, 3), np.uint8))
  assert found.box[0] == 720 * width / 1280


def test_a_face_in_a_large_picture_is_followed():
  # Its eyes are 128 pixels apart; the spotter looks at pictures of half size.
  rng = np.random.default_rng(0)
  image = rng.integers(0, 255, (720, 1280, 3), np.uint8)
  frames = ((number, image) for number in range(10))
  tracks = tracks_lib.track(
    frames, fps=30, detector=Chooser(wide, (960.0, 60.0))
  )
  assert (tracks.shot == 0).all() and tracks.eyes == pytest.approx(128, 0.01)


def test_one_face_is_not_worth_a_word():
  counts = iter([[ANNA], [ANNA, BEN], [ANNA], []])
  chosen = Chooser(lambda image: next(counts))
  for _ in range(4):
    chosen(IMAGE)
  assert chosen.remarks() == []
  assert Chooser(lambda image: []).remarks() == []


def tracks_of(shot, numbers=None):
  tracks = made_signals.tracks(1, length=len(shot))
  numbers = tracks.numbers if numbers is None else np.array(numbers, float)
  return dataclasses.replace(tracks, shot=np.array(shot), numbers=numbers)


@pytest.mark.parametrize(
  'shot, numbers, expected',
  [
    ([0] * 9, None, ''),
    ([0] * 4 + [1] * 5, None, 'at frame 4:'),
    ([0] * 3 + [1] * 3 + [2] * 3, None, 'at frame 3, 2 times in all:'),
    ([0] * 4 + [-1] * 2 + [1] * 3, None, ''),  # Nobody was there meanwhile.
    ([0] * 4 + [1] * 5, [0, 1, 2, 3, 9, 10, 11, 12, 13], ''),  # Frames lost.
  ],
)
def test_a_change_of_scene_is_told_where_it_is(shot, numbers, expected):
  found = remarks.on_cuts(tracks_of(shot, numbers))
  assert bool(found) == bool(expected)
  assert not found or f'The scene changes {expected}' in found[0]


def test_a_recording_of_two_people_that_is_cut_says_both(tmp_path):
  one, two = (sample_faces.portrait(name) for name in sample_faces.SAMPLES)
  rng = np.random.default_rng(0)
  images = [
    np.concatenate(pair, 1) for pair in [(one, two)] * 45 + [(two, one)] * 45
  ]
  images = [
    np.rint(x + rng.normal(0, 1, x.shape)).clip(0, 255).astype(np.uint8)
    for x in images
  ]
  path = test_decode.write_video(tmp_path / 'talk.avi', images, fps=30)
  (found,) = recordings.examine(path, progress=False)
  assert 'The scene changes at frame 45' in ' '.join(found.remarks)
  assert 'It shows 2 faces; the largest is followed.' in found.remarks
