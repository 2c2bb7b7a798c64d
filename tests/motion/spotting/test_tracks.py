"""Regions of rendered faces, whose motion is known."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np
import pytest

from mejax.corpora.faces import camera
from mejax.corpora.faces import long_takes
from mejax.corpora.faces import movement
from mejax.motion.spotting import places
from mejax.motion.spotting import shots as shots_lib
from mejax.motion.spotting import tracks as tracks_lib
from tests import known_faces

SIZE, FPS = 160, 30.0
NAMES = list(places.REGIONS)


@functools.cache
def played(seconds=3.0, seed=3, **script):
  script = long_takes.Script(**({'noise': 0.5} | script))
  return long_takes.play(script, seed=seed, seconds=seconds, fps=FPS, size=SIZE)


@functools.cache
def images_of(take):
  return list(take.frames(np.random.default_rng(0)))


def tracked(take, frames=None, fps=FPS):
  frames = enumerate(images_of(take)) if frames is None else iter(frames)
  detector = known_faces.detector_of(take)
  return tracks_lib.track(frames, fps=fps, detector=detector)


def true_motion(take, name, frame):
  """Returns the displacement of a region, in distances between the eyes."""
  points = known_faces.points_of(take)
  eyes = np.linalg.norm(points[1] - points[0])
  anchors = {
    'left mouth corner': points[3],
    'right mouth corner': points[4],
  }
  x, y = np.rint(anchors[name]).astype(int)
  moved = movement.displacement(list(take.movements), frame)
  return moved[y, x] / eyes


def test_mouth_corner_moves_as_it_was_rendered():
  take = played(seconds=4.0, micro=1, amplitude=(3.0, 3.0), units=('12',))
  event = take.events[0]
  got = tracked(take)
  rest = got.motion[event.onset - 3]
  for name in ('left mouth corner', 'right mouth corner'):
    ours = (got.motion[event.apex] - rest)[NAMES.index(name)]
    true = true_motion(take, name, event.apex)
    # A window averages over a field that falls off around the corner.
    assert np.linalg.norm(ours - true) < 0.4 * np.linalg.norm(true) + 2e-3


def test_regions_at_rest_stay_where_they_are():
  got = tracked(played())
  assert got.shot.max() == got.shot.min() == 0
  assert np.abs(got.motion - np.median(got.motion, 0)).max() < 4e-3


def test_motion_of_the_head_is_removed():
  take = played(seconds=5.0, drift=2.0)
  eyes = np.linalg.norm(np.subtract(*known_faces.points_of(take)[:2]))
  across, down = (np.ptp(one.envelope) for one in take.movements[:2])
  path = np.hypot(across, down) / eyes
  assert path > 0.03
  got = tracked(take)
  away = np.abs(got.motion - np.median(got.motion, 0))
  assert np.percentile(away, 99) < 0.2 * path
  assert np.median(got.head) > 2 * np.median(tracked(played()).head)


def test_cheek_goes_with_the_head_and_not_with_the_light_of_a_lamp():
  take = played(seconds=5.0, drift=4.0)
  lamp = dataclasses.replace(take.lighting, gradient=(0.3, -0.3))
  got = tracked(dataclasses.replace(take, lighting=lamp))
  own = [NAMES.index(f'{side} cheek') for side in ('left', 'right')]
  eyes = np.linalg.norm(np.subtract(*known_faces.points_of(take)[:2]))
  path = sum(np.ptp(one.envelope) for one in take.movements[:2]) / eyes
  away = np.ptp(got.motion[:, own], axis=0)
  assert away.max() < 0.1 * path, away.max() / path


def test_step_of_light_moves_nothing():
  take = played(light=0.1)
  got = tracked(take)
  assert np.ptp(got.light) > 0.05
  assert np.abs(got.motion - np.median(got.motion, 0)).max() < 8e-3


def test_blink_moves_the_lids_down_and_the_mouth_not_at_all():
  take = played(blinks=20)
  got = tracked(take)
  start, stop = take.blinks[0]
  peak = got.lids[start : stop + 1].max()
  before = got.lids[start - 2].mean()
  assert peak - before > 0.01
  corner = got.motion[:, NAMES.index('left mouth corner')]
  assert np.abs(corner - np.median(corner, 0)).max() < 5e-3


def test_stretch_without_a_face_is_nan_and_the_rest_is_not():
  take = played(seconds=6.0, away=2.0)
  got = tracked(take)
  first, last = take.away
  assert (got.shot[first + 1 : last] == -1).all()
  assert np.isnan(got.motion[first + 1 : last]).all()
  assert np.isfinite(got.motion[: first - 1]).all()
  assert (got.shot[last + 3 :] >= 0).all()


def test_recording_without_any_face_has_no_shot():
  grey = np.full((60, 80, 3), 90, np.uint8)
  got = tracks_lib.track(
    enumerate([grey] * 10), fps=FPS, detector=lambda image: []
  )
  assert (got.shot == -1).all() and got.eyes == 0
  assert np.isnan(got.motion).all()


def test_face_that_is_there_for_a_second_is_followed():
  take = played(seconds=1.2)
  wall = np.full((SIZE, SIZE, 3), 90, np.uint8)
  faces = images_of(take)
  got = tracked(take, enumerate([*[wall] * 45, *faces, *[wall] * 45]))
  seen = np.flatnonzero(got.shot >= 0)
  assert seen.tolist() == list(range(45, 45 + len(faces)))
  assert np.isfinite(got.motion[seen]).all()


def test_frame_of_another_size_begins_a_new_shot():
  take = played(seconds=1.2)
  images = images_of(take)
  small = [image[:-20, :-10] for image in images]
  got = tracked(take, enumerate([*images, *small]))
  assert len(set(got.shot.tolist())) == 2
  assert (np.diff(got.shot) != 0).sum() == 1


def test_gap_begins_a_new_shot():
  take = played(seconds=2.0)
  frames = list(enumerate(images_of(take)))
  late = [(n + 100, image) for n, image in frames]
  got = tracked(take, [*frames, *late])
  assert got.shot.tolist() == [0] * 60 + [1] * 60
  assert got.numbers[60] == 100


def test_cut_begins_a_new_shot_and_motion_does_not():
  take = played(seconds=2.0)
  frames = list(enumerate(images_of(take)))
  other = np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)
  other = cv2.resize(other, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
  got = tracked(take, [*frames, (60, other), (61, other)])
  assert got.shot[:60].tolist() == [0] * 60
  assert (got.shot[60:] != 0).all()
  turning = tracked(played(seconds=4.0, turns=30))
  assert set(turning.shot.tolist()) <= {0, -1}


def test_few_missing_frames_are_filled_in():
  take = played(seconds=3.0)
  frames = list(enumerate(images_of(take)))
  some = [pair for pair in frames if pair[0] not in (20, 41, 42)]
  got = tracked(take, some)
  assert got.numbers.tolist() == list(range(90))
  assert (got.shot == 0).all()


def test_fast_recording_is_averaged_to_thirty_frames_a_second():
  take = played(seconds=1.0)
  pairs = enumerate(images_of(take))
  frames = [(7 * n + i, image) for n, image in pairs for i in range(7)]
  got = tracked(take, frames, fps=200.0)
  assert got.fps == pytest.approx(200 / 7)
  assert got.numbers.tolist() == [7 * n + 3 for n in range(30)]


def test_frames_are_read_one_by_one_and_let_go():
  take = played()
  images = images_of(take) * 3
  shots = shots_lib.Shot(FPS, known_faces.detector_of(take))
  most = 0
  for n, image in enumerate(images):
    shots.add(float(n), image, 1)
    most = max(most, len(shots._images))
  assert most <= 121


def test_rendered_recording_is_the_same_each_time():
  takes = [
    played.__wrapped__(8.0, micro=2, macro=1, blinks=10, speech=0.3)
    for _ in range(2)
  ]
  first, second = (
    next(take.frames(np.random.default_rng(1))) for take in takes
  )
  assert takes[0].events == takes[1].events
  np.testing.assert_array_equal(first, second)
  assert {e.type for e in takes[0].events} == {'micro', 'macro'}
  assert all(e.onset < e.apex < e.offset for e in takes[0].events)
  assert isinstance(takes[0].poses[0][1], camera.Pose)


@pytest.mark.parametrize('fps', [0.0, -1.0])
def test_impossible_rate_is_refused(fps):
  with pytest.raises(ValueError, match='expected a number above 0'):
    tracks_lib.track(iter([]), fps=fps, detector=lambda image: [])
