"""Locating the face of a clip, from several frames and in difficult ones."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mejax.motion import faces
from tests.motion import sample_faces

HEIGHT, WIDTH = 240, 320
# The eyes are 40 pixels apart.
HOME = (faces.CANONICAL - 0.5) * np.float32(40 / 0.36)


def _face(x=160.0, y=120.0, *, eyes=40.0, score=0.9) -> faces.DetectedFace:
  points = HOME * np.float32(eyes / 40) + np.float32((x, y))
  across, down = 2.0 * eyes, 2.6 * eyes
  box = (float(x - across / 2), float(y - down / 2), across, down)
  return faces.DetectedFace(points, box, score)


def _locate(*frames: list[faces.DetectedFace], **options) -> faces.Located:
  """Locates the face of a clip in which a detector finds these faces."""
  answers = iter(frames)
  image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
  return faces.locate(
    [image] * len(frames), detector=lambda _: next(answers), **options
  )


def test_points_are_the_median_of_the_frames_and_nothing_is_remarked():
  located = _locate([_face(160)], [_face(161)], [_face(163.5)])
  np.testing.assert_allclose(located.points, _face(161).points, atol=1e-4)
  assert located.remarks == ()


def test_a_stray_detection_does_not_move_the_face():
  stray = _face(160)
  stray.points[3] += 25
  located = _locate([_face(160)], [stray], [_face(160)])
  np.testing.assert_allclose(located.points, _face(160).points)


def test_no_face_is_an_error_that_says_what_was_tried():
  with pytest.raises(
    faces.NoFace,
    match='any of 2 frames of 320x240.*the given detector found none',
  ):
    _locate([], [])
  grey = np.full((60, 80, 3), 127, np.uint8)
  for detector in (faces.detect, faces.detect_dense):
    with pytest.raises(
      ValueError,
      match='searched in 4 sizes, upright and turned: are both eyes',
    ):
      faces.locate([grey], detector=detector)


@pytest.mark.parametrize(
  'other', [_face(60, 60, eyes=25), _face(290, 200, eyes=40)]
)
@pytest.mark.parametrize('first', [True, False])
def test_of_several_people_the_large_central_one_is_taken(other, first):
  pair = [_face(150), other] if first else [other, _face(150)]
  located = _locate(pair, pair[::-1], pair)
  np.testing.assert_allclose(located.points, _face(150).points)
  (remark,) = located.remarks
  taken, _, rest = remark.partition('. Another is ')
  words = '2 faces in a frame; the largest and most central one was taken, '
  x, y = _face(150).points.mean(0)
  assert taken.startswith(words)
  assert taken.endswith(f'around ({x:.0f}, {y:.0f})')
  x, y = other.points.mean(0)
  assert f'around ({x:.0f}, {y:.0f}): to take it' in rest
  # What the remark advises takes the other face.
  place = re.search(r'--which_face (\d+),(\d+), or write "(.*)" in', rest)
  assert place[3] == f'{place[1]} {place[2]}'
  asked = (float(place[1]), float(place[2]))
  taken = _locate(pair, pair[::-1], pair, which=asked)
  np.testing.assert_allclose(taken.points, other.points)
  assert taken.remarks == ()


@pytest.mark.parametrize(
  ('which', 'x'),
  [('left', 60), ('right', 290), ((160, 120), 170), ((55.5, 130), 60)],
)
def test_the_face_that_is_asked_for_is_taken(which, x):
  # The one in the middle is by far the largest.
  here = [_face(60, eyes=30), _face(290, eyes=24), _face(170)]
  located = _locate(here, here[::-1], here, which=which)
  (taken,) = (face for face in here if face.box[0] + face.box[2] / 2 == x)
  np.testing.assert_allclose(located.points, taken.points)
  x, y = taken.points.mean(0)
  (note,) = located.notes
  assert note.startswith('3 faces in a frame; which_face chooses ')
  assert note.endswith(f'around ({x:.0f}, {y:.0f})')
  assert located.remarks == ()


def test_no_face_at_the_place_that_is_asked_for_names_those_there_are():
  with pytest.raises(
    faces.NoFace,
    match=r'no face at \(10, 20\) of 320x240 .*faces: .*around \(160, ',
  ):
    _locate([_face(160)], [_face(160)], which=(10, 20))


@pytest.mark.parametrize('which', ['left', 'right'])
def test_one_face_where_one_of_several_was_asked_for_is_remarked(which):
  (remark,) = _locate([_face(160)], [_face(160)], which=which).remarks
  assert remark.startswith('one face in its frames')
  assert which in remark


def test_a_small_face_beside_a_large_one_can_be_asked_for():
  canvas = np.full((900, 900, 3), 127, np.uint8)
  large = sample_faces.image('hopper', scale=2)[:700, :700]
  small = sample_faces.portrait('astronaut')[20:140:3, 30:170:3]
  canvas[: len(large), : large.shape[1]] = large
  canvas[-60 : len(small) - 60, -60 : small.shape[1] - 60] = small
  (usual,) = faces.detect_dense(canvas)
  both = faces.detect_dense(canvas, thorough=True)
  assert len(both) == 2
  located = faces.locate(
    [canvas], detector=faces.detect_dense, which=(860.0, 860.0)
  )
  assert np.all(located.points > 820)
  assert np.all(usual.points < 700)


def test_the_person_stays_the_same_when_the_other_comes_forward():
  mine, other = _face(120), _face(250)
  nearer = _face(250, eyes=44)
  located = _locate([mine, other], [other, mine], [nearer, mine], [mine])
  np.testing.assert_allclose(located.points, mine.points)


def test_a_passer_by_in_one_frame_does_not_take_the_place():
  passer = _face(160, 110, eyes=60)
  located = _locate([_face(80)], [_face(80), passer], [_face(80)])
  np.testing.assert_allclose(located.points, _face(80).points)


def test_frames_without_the_face_are_remarked():
  located = _locate([_face()], [], [_face()], [])
  np.testing.assert_allclose(located.points, _face().points)
  assert located.remarks == ('no such face in 2 of 4 frames (2, 4)',)


def test_a_face_that_leaves_the_frame_is_remarked():
  frames = [[_face(x)] for x in (285, 290, 300, 304)]
  (remark,) = _locate(*frames).remarks
  assert remark == 'the face leaves the frame in 2 of 4 frames (3, 4)'


def test_a_head_that_moves_is_remarked():
  (remark,) = _locate([_face(150)], [_face(150)], [_face(175)]).remarks
  assert remark.startswith('the head moves by 25.0 pixels')


def test_a_tiny_face_is_remarked_with_the_distance_of_its_eyes():
  (remark,) = _locate([_face(eyes=12.5)]).remarks
  assert 'tiny: its eyes are 12.5 pixels apart' in remark


def test_a_huge_face_is_located_without_remark():
  picture = sample_faces.image('hopper', scale=4)
  points = faces.detect_dense(picture)[0].points
  x, y = points.min(0).astype(int) - 300
  x1, y1 = points.max(0).astype(int) + 300
  crop = np.ascontiguousarray(picture[y:y1, x:x1])
  located = faces.locate([crop], detector=faces.detect_dense)
  assert located.remarks == ()
  np.testing.assert_allclose(located.points, points - (x, y), atol=8)


def test_frames_of_several_sizes_and_no_frames_are_errors():
  with pytest.raises(ValueError, match=r'sizes \[\(4, 5\), \(5, 4\)\]'):
    faces.locate([np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)])
  with pytest.raises(ValueError, match=r'sizes \[\]'):
    faces.locate([])


# A still face in front of a camera that moves by less than a pixel, with noise
# of 4 grey levels: the spread of the aligned face over clips, in pixels of 128.
@pytest.mark.parametrize('name', sample_faces.SAMPLES)
def test_several_frames_align_better_than_one(name):
  source = np.random.default_rng(0)
  picture = sample_faces.image(name)
  corners = np.array([[0, 0], [127, 0], [0, 127], [127, 127]], float)
  places, shifts = [], []
  for _ in range(15):
    shift = source.uniform(-0.7, 0.7, 2)
    frame = sample_faces.warped(picture, np.c_[np.eye(2), shift])
    frame = frame + source.normal(0, 4, frame.shape)
    frame = np.rint(frame).clip(0, 255).astype(np.uint8)
    places.append(faces.detect(frame)[0].points - shift.astype(np.float32))
    shifts.append(shift)

  def spread(clips):
    found = [
      sample_faces.moved(corners, faces.alignment(points, size=128))
      for points in clips
    ]
    scale = np.linalg.norm(found[0][1] - found[0][0]) / 127
    return np.std(found, axis=0).mean() / scale

  alone = spread(places)
  five = spread(
    np.median(places[start : start + 5], axis=0) for start in (0, 5, 10)
  )
  assert alone < 1.5
  assert five < alone
