"""Detection on real faces under known warps, and on difficult images."""

from __future__ import annotations

from concurrent import futures

import cv2
import numpy as np
import pytest

from mejax.corpora import synthetic
from mejax.motion import faces
from mejax.motion import mesh
from tests.motion import sample_faces

DETECTORS = (faces.detect, faces.detect_dense)
both = pytest.mark.parametrize('detector', DETECTORS)
samples = pytest.mark.parametrize('name', sample_faces.SAMPLES)


def _apart(points):
  return np.linalg.norm(points[1] - points[0])


@samples
@both
def test_the_eyes_are_where_a_person_sees_them(name, detector):
  (face,) = detector(sample_faces.image(name))
  eyes = np.array(sample_faces.EYES[name])
  miss = np.linalg.norm(face.points[:2] - eyes, axis=1)
  assert miss.max() < 0.08 * _apart(eyes)
  left, top, across, down = face.box
  low, high = face.points.min(0), face.points.max(0)
  assert left < low[0] < high[0] < left + across
  assert top < low[1] < high[1] < top + down
  assert face.score > 0.8


# Spread of the points after undoing the warp that moved them, in distances
# between the eyes (44 and 52 pixels); measured 0.020 and 0.039 for YuNet, 0.004
# and 0.007 for FaceMesh.
@samples
@pytest.mark.parametrize(
  ('detector', 'tolerance'), [(faces.detect, 0.05), (faces.detect_dense, 0.015)]
)
def test_points_move_with_the_face(name, detector, tolerance):
  picture = sample_faces.image(name)
  about = np.mean(sample_faces.EYES[name], axis=0)
  back = []
  for warp in sample_faces.similarities(12):
    # The warp turns about the face, which therefore stays in the picture.
    warp[:, 2] += (warp[:, :2] - np.eye(2)) @ ((150, 130) - about)
    (face,) = detector(sample_faces.warped(picture, warp))
    back.append(sample_faces.moved(face.points, sample_faces.inverse(warp)))
  spread = np.stack(back) - np.median(back, axis=0)
  error = np.sqrt((spread**2).sum(-1).mean()) / _apart(back[0])
  assert error < tolerance


@samples
@pytest.mark.parametrize('scale', [0.1, 0.25, 0.5, 2.0, 4.0])
def test_faces_are_found_at_any_size_of_the_frame(name, scale):
  near = faces.detect_dense(sample_faces.image(name))[0].points
  (face,) = faces.detect_dense(sample_faces.image(name, scale=scale))
  expected = (near + 0.5) * scale - 0.5
  miss = np.linalg.norm(face.points - expected, axis=1)
  # At a tenth the face is 12 pixels tall and its eyes are 4 apart.
  assert miss.max() < (0.3 if scale < 0.2 else 0.06) * scale * _apart(near)


# At 0.6 the mouth touches the edge of the crop.
@samples
@pytest.mark.parametrize(
  ('detector', 'share', 'tolerance'),
  [
    (faces.detect, 1.0, 0.15),
    (faces.detect, 0.8, 0.15),
    (faces.detect, 0.6, 0.35),
    (faces.detect_dense, 1.0, 0.15),
    (faces.detect_dense, 0.8, 0.15),
    (faces.detect_dense, 0.6, 0.15),
  ],
)
def test_a_crop_that_the_face_fills_is_found(name, detector, share, tolerance):
  picture = sample_faces.image(name)
  face = detector(picture)[0]
  left, top, across, down = face.box
  middle = np.array([left + across / 2, top + down / 2])
  half = share * max(across, down) / 2
  x, y = np.maximum(np.rint(middle - half), 0).astype(int)
  x1, y1 = np.rint(middle + half).astype(int)
  crop = np.ascontiguousarray(picture[y:y1, x:x1])
  found = detector(crop)[0].points + (x, y)
  miss = np.linalg.norm(found - face.points, axis=1)
  assert miss.max() < tolerance * _apart(face.points)


@samples
@pytest.mark.parametrize(
  'change',
  [
    lambda picture: (picture * 0.1).astype(np.uint8),
    lambda picture: (picture * 0.1 + 120).astype(np.uint8),
    lambda picture: cv2.cvtColor(
      cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB
    ),
  ],
  ids=['dark', 'pale', 'grey'],
)
def test_dark_pale_and_grey_frames_are_read_alike(name, change):
  picture = sample_faces.image(name)
  expected = faces.detect_dense(picture)[0].points
  (face,) = faces.detect_dense(change(picture))
  miss = np.linalg.norm(face.points - expected, axis=1)
  assert miss.max() < 0.1 * _apart(expected)


# If points of FaceMesh counted from the edge of a pixel, they would be off by
# 0.018; measured 0.008, and 0.05 for YuNet.
@samples
@pytest.mark.parametrize(
  ('detector', 'tolerance'), [(faces.detect, 0.06), (faces.detect_dense, 0.01)]
)
def test_a_mirrored_face_has_mirrored_points(name, detector, tolerance):
  picture = sample_faces.image(name)
  points = detector(picture)[0].points
  other = detector(np.ascontiguousarray(picture[:, ::-1]))[0].points
  other = other[[1, 0, 2, 4, 3]]
  other[:, 0] = picture.shape[1] - 1 - other[:, 0]
  assert abs((points - other).mean(0)).max() < tolerance * _apart(points)


def test_no_face_is_an_empty_list():
  noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
  for picture in (noise, np.zeros_like(noise), noise[:1, :1], noise[:3]):
    assert faces.detect(picture) == []


def test_an_empty_image_is_an_error():
  with pytest.raises(ValueError, match=r'shape \(0, 20, 3\)'):
    faces.detect(np.zeros((0, 20, 3), np.uint8))


def test_two_people_are_two_faces_the_surest_first():
  picture = sample_faces.image('hopper')
  small = sample_faces.image('hopper', scale=0.4)
  canvas = np.full((400, 700, 3), 90, np.uint8)
  canvas[: len(picture), : picture.shape[1]] = picture
  canvas[200 : 200 + len(small), 450 : 450 + small.shape[1]] = small
  found = faces.detect_dense(canvas)
  assert len(found) == 2
  assert found[0].score >= found[1].score
  expected = faces.detect_dense(picture)[0].points
  spots = sorted(face.points.tolist() for face in found)
  np.testing.assert_allclose(spots[0], expected, atol=1.5)
  np.testing.assert_allclose(
    spots[1], (expected + 0.5) * 0.4 - 0.5 + (450, 200), atol=1.5
  )


def test_the_threshold_is_the_least_score():
  picture = sample_faces.image('hopper')
  score = faces.detect(picture)[0].score
  assert faces.detect(picture, threshold=score - 0.01)
  assert all(
    face.score >= 0.95 for face in faces.detect(picture, threshold=0.95)
  )


def test_threads_do_not_disturb_each_other_nor_change_a_bit():
  pictures = [
    sample_faces.image('hopper', scale=scale) for scale in (0.4, 0.6, 0.8, 1.0)
  ]
  alone = [faces.detect_dense(picture)[0].points for picture in pictures]
  with futures.ThreadPoolExecutor(4) as pool:
    found = list(pool.map(faces.detect_dense, pictures * 3))
  for expected, got in zip(alone * 3, found, strict=True):
    np.testing.assert_array_equal(got[0].points, expected)


# YuNet places a drawn mouth too high, by a sixth of the distance between the
# eyes; FaceMesh does not.
def test_rendered_faces_are_found_where_they_were_drawn(tmp_path):
  synthetic.write(
    tmp_path, num_subjects=6, clips_per_subject=1, size=128, progress=False
  )
  errors = {detector: [] for detector in DETECTORS}
  for clip in synthetic.read(tmp_path):
    truth = np.array(clip.landmarks)
    frame = cv2.imread(str(clip.frames[0]), cv2.IMREAD_COLOR_RGB)
    for detector in DETECTORS:
      (face,) = detector(frame)
      miss = np.linalg.norm(face.points - truth, axis=1) / _apart(truth)
      errors[detector].append(miss)
  assert np.max(np.mean(errors[faces.detect], 0)) < 0.25
  assert np.max(np.mean(errors[faces.detect_dense], 0)) < 0.08


@samples
def test_a_mesh_does_not_depend_on_the_points_it_started_from(name):
  picture = sample_faces.image(name)
  points = faces.detect(picture)[0].points
  expected = mesh.find_mesh(picture, points)[0]
  apart = _apart(points)
  source = np.random.default_rng(0)
  for _ in range(4):
    shift = source.uniform(-0.15, 0.15, (5, 2)).astype(np.float32) * apart
    found = mesh.find_mesh(picture, points + shift)[0]
    assert abs(found - expected).max() < 0.05 * apart


@samples
def test_a_mesh_holds_what_its_points_are_known_for(name):
  """Checks chin, forehead and cheeks of MediaPipe's published topology."""
  picture = sample_faces.image(name)
  points = faces.detect(picture)[0].points
  found = mesh.find_mesh(picture, points)[0]
  chin, forehead, left, right = found[[152, 10, 234, 454]]
  mouth, eyes = points[3:].mean(0), points[:2].mean(0)
  assert forehead[1] < eyes[1] < mouth[1] < chin[1]
  assert left[0] < points[:, 0].min() < points[:, 0].max() < right[0]
  five = mesh.five_from_mesh(found)
  miss = np.linalg.norm(five - points, axis=1)
  assert miss.max() < 0.2 * _apart(points)


def test_where_the_mesh_sees_no_face_the_points_stay():
  picture = np.full((200, 200, 3), 127, np.uint8)
  points = faces.CANONICAL * 100
  found, fit = mesh.steady_five(picture, points)
  np.testing.assert_array_equal(found, points)
  assert fit < 0
