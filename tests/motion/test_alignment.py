"""Alignment is compared with known similarities, cuts with a slow fine warp."""

from __future__ import annotations

import cv2
import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from mejax.motion import alignment
from mejax.motion import faces
from mejax.motion import mesh
from mejax.motion import warp
from tests.motion import sample_faces

samples = pytest.mark.parametrize('name', sample_faces.SAMPLES)


def _canonical(size):
  return faces.CANONICAL * np.float32(size) - np.float32(0.5)


def _miss(matrix, truth, size):
  """Returns the largest error within the aligned square, in its pixels."""
  corners = np.array([[0, 0], [size, 0], [0, size], [size, size]], float)
  difference = sample_faces.moved(corners, matrix.astype(float))
  difference -= sample_faces.moved(corners, truth)
  scale = np.sqrt(np.linalg.det(truth[:, :2]))
  return np.linalg.norm(difference, axis=1).max() / scale


def test_the_canonical_face_is_upright_symmetric_and_inside_the_square():
  left, right, nose, mouth_left, mouth_right = faces.CANONICAL
  for a, b in ((left, right), (mouth_left, mouth_right)):
    assert a[0] < 0.5 < b[0]
    assert a[0] + b[0] == pytest.approx(1)
    assert a[1] == b[1]
  assert nose[0] == 0.5
  assert 0 < left[1] < nose[1] < mouth_left[1] < 1


@hypothesis.given(
  scale=strategies.floats(0.05, 20),
  degrees=strategies.floats(-180, 180),
  x=strategies.floats(-500, 3000),
  y=strategies.floats(-500, 3000),
  size=strategies.sampled_from([28, 64, 128, 224]),
)
@hypothesis.settings(max_examples=60)
def test_a_moved_canonical_face_is_aligned_exactly(scale, degrees, x, y, size):
  truth = sample_faces.similarity(scale, degrees, (x, y))
  points = sample_faces.moved(_canonical(size), truth).astype(np.float32)
  matrix = faces.alignment(points, size=size)
  # float32 resolves places near 3000 to 1/4000 of a pixel.
  assert _miss(matrix, truth, size) < 1e-3 * max(1, 10 / scale)


def test_small_errors_are_averaged_as_by_least_squares():
  source = np.random.default_rng(0)
  truth = sample_faces.similarity(2.0, 10, (40, 20))
  home = _canonical(128)
  ours, plain = [], []
  for _ in range(100):
    points = sample_faces.moved(home, truth)
    points = (points + source.normal(size=(5, 2))).astype(np.float32)
    ours.append(_miss(faces.alignment(points, size=128), truth, 128))
    plain.append(_miss(_least_squares(home, points), truth, 128))
  # Robustness against a wrong point costs a little if no point is wrong.
  assert np.mean(ours) < 1.1 * np.mean(plain)


def _least_squares(source, target):
  """Fits the similarity by the normal equations of its four numbers."""
  x, y = source.T
  one, zero = np.ones(5), np.zeros(5)
  rows = [np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)]
  (a, b, c, d), *_ = np.linalg.lstsq(
    np.concatenate(rows), np.concatenate(target.T), rcond=None
  )
  return np.array([[a, -b, c], [b, a, d]])


@pytest.mark.parametrize('wrong', range(5))
@pytest.mark.parametrize('off', [(30, 0), (-20, 40), (400, -300)])
def test_one_wrong_point_does_not_pull_the_face_away(wrong, off):
  source = np.random.default_rng(wrong)
  truth = sample_faces.similarity(1.0, 5, (10, 20))
  points = sample_faces.moved(_canonical(128), truth)
  points = (points + source.normal(0, 0.3, (5, 2))).astype(np.float32)
  points[wrong] += off
  plain = _miss(_least_squares(_canonical(128), points), truth, 128)
  ours = _miss(faces.alignment(points, size=128), truth, 128)
  assert ours < min(4, plain / 2)


@pytest.mark.parametrize(
  ('points', 'size', 'message'),
  [
    (faces.CANONICAL, 0, 'size is 0'),
    (np.full((5, 2), np.nan, np.float32), 64, 'expected finite numbers'),
    (np.full((5, 2), 7, np.float32), 64, r'all points are at \[7.0, 7.0\]'),
  ],
)
def test_what_cannot_be_aligned_is_an_error(points, size, message):
  with pytest.raises(ValueError, match=message):
    faces.alignment(points, size=size)


# Measured 0.9 and 1.9 pixels of 128 for YuNet, 0.2 and 0.3 for FaceMesh; 2.3
# pixels are a twentieth of the distance between the eyes.
@samples
@pytest.mark.parametrize(
  ('detector', 'tolerance'), [(faces.detect, 2.3), (faces.detect_dense, 1.0)]
)
def test_a_warped_face_comes_to_lie_on_itself(name, detector, tolerance):
  picture = sample_faces.image(name)
  about = np.mean(sample_faces.EYES[name], axis=0)
  placed = []
  for motion in sample_faces.similarities(8, seed=1):
    motion[:, 2] += (motion[:, :2] - np.eye(2)) @ ((150, 130) - about)
    points = detector(sample_faces.warped(picture, motion))[0].points
    matrix = faces.alignment(points, size=128)
    found = sample_faces.inverse(matrix)
    eyes = sample_faces.moved(np.array(sample_faces.EYES[name]), motion)
    placed.append(sample_faces.moved(eyes, found))
  placed = np.stack(placed)
  spread = placed - placed.mean(0)
  assert np.sqrt((spread**2).sum(-1).mean()) < tolerance
  assert abs(placed.mean(0) - _canonical(128)[:2]).max() < 6


@samples
def test_the_aligned_square_holds_brows_and_chin_with_a_margin(name):
  picture = sample_faces.image(name)
  points = faces.detect_dense(picture)[0].points
  back = sample_faces.inverse(faces.alignment(points, size=100))
  dense = sample_faces.moved(mesh.find_mesh(picture, points)[0], back)
  brows = dense[[70, 63, 105, 66, 107, 336, 296, 334, 293, 300]]
  chin, cheeks = dense[152], dense[[234, 454]]
  assert brows[:, 1].min() > 6
  assert chin[1] < 96
  assert cheeks[:, 0].min() > 4
  assert cheeks[:, 0].max() < 95


def _fine(picture, matrix, size):
  """Returns the aligned image as means of 8 x 8 Lanczos samples a pixel.

  The picture is enlarged by nothing: samples are at least as dense as its
  pixels for frames of up to eight times the aligned size.
  """
  many = 8
  finer = matrix.astype(float) / many
  finer[:, 2] = matrix[:, 2] + matrix[:, :2] @ np.full(2, 0.5 / many - 0.5)
  samples = cv2.warpAffine(
    picture,
    finer,
    (many * size, many * size),
    flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
    borderMode=cv2.BORDER_REPLICATE,
  )
  return cv2.resize(samples, (size, size), interpolation=cv2.INTER_AREA).astype(
    np.float32
  )


def _aligned(picture, matrix, size):
  patches, inner = faces.cut([picture], matrix, size=size)
  assert patches.shape == (1, *[faces.patch_side(size)] * 2, 3)
  image = warp.by_matrix(
    patches.astype(np.float32), inner[None], size=(size, size), method='bicubic'
  )
  return np.asarray(image)[0]


# Frames are 154 to 2458 pixels wide. Tolerances are in grey levels of 0 to 255,
# of which neighbouring pixels of the aligned faces differ by 15 and 22.
@samples
@pytest.mark.parametrize('scale', [0.5, 1.0, 2.0, 4.0, 8.0])
@pytest.mark.parametrize('degrees', [0, 17])
def test_cut_and_warp_equal_a_fine_warp_of_the_frame(name, scale, degrees):
  picture = sample_faces.image(name, scale=scale)
  size = 128
  about = np.float32(sample_faces.EYES[name]).mean(0) + (0, 20)
  width = 155 * scale
  matrix = sample_faces.similarity(width / size, degrees, (0, 0), (0, 0))
  matrix[:, 2] = about * scale - matrix[:, :2] @ np.full(2, (size - 1) / 2)
  matrix = matrix.astype(np.float32)
  difference = _aligned(picture, matrix, size) - _fine(picture, matrix, size)
  assert np.sqrt((difference**2).mean()) < 2.8
  assert abs(difference.mean()) < 0.2


def test_the_place_of_what_is_cut_is_right_to_a_hundredth_of_a_pixel():
  """Checks the centre of a soft spot at many places, in frames of any size."""
  size = 64
  for scale in (0.5, 1.0, 1.37, 3.0, 11.3):
    side = int(110 * scale) + 40
    shift = (38.3 * scale, 11.7 * scale)
    matrix = sample_faces.similarity(scale, 25, shift, (0, 0))
    matrix = matrix.astype(np.float32)
    y, x = np.mgrid[:side, :side]
    spot = sample_faces.moved(np.array([[30.25, 35.5]]), matrix)[0]
    far = ((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (6 * scale) ** 2
    frame = np.rint(250 * np.exp(-far / 2)).astype(np.uint8)
    aligned = _aligned(np.repeat(frame[..., None], 3, -1), matrix, size)[..., 0]
    weight = aligned.clip(20) - 20
    rows, columns = np.mgrid[:size, :size]
    centre = [(weight * at).sum() / weight.sum() for at in (columns, rows)]
    np.testing.assert_allclose(centre, [30.25, 35.5], atol=0.01)


def test_a_face_at_the_edge_goes_on_with_the_edge():
  source = np.random.default_rng(0)
  picture = source.integers(0, 256, (90, 120, 3), np.uint8)
  picture = cv2.GaussianBlur(picture, None, 3)
  for shift in ((-40, -50), (70, 40), (-400, 30), (2000, 2000)):
    matrix = sample_faces.similarity(1.0, 0, shift, (0, 0)).astype(np.float32)
    found = _aligned(picture, matrix, 64)
    expected = cv2.warpAffine(
      picture.astype(np.float32),
      matrix,
      (64, 64),
      flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
      borderMode=cv2.BORDER_REPLICATE,
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_patches_are_of_one_shape_whatever_the_frames_and_the_rotation():
  shapes = set()
  for height, width in ((20, 30), (480, 640), (2048, 2048)):
    frames = [np.zeros((height, width, 3), np.uint8)] * 3
    for scale in (0.1, 1.0, 9.0):
      matrix = sample_faces.similarity(scale, 45, (0, 0)).astype(np.float32)
      patches, inner = faces.cut(frames, matrix, size=32)
      shapes.add(patches.shape)
      reach = sample_faces.moved(np.array([[0, 0], [31, 31], [31, 0]]), inner)
      # What bicubic interpolation reads lies within the patch.
      assert reach.min() >= 1
      assert reach.max() <= patches.shape[1] - 3
  assert shapes == {(3, faces.patch_side(32), faces.patch_side(32), 3)}


def test_frames_of_several_sizes_are_an_error():
  frames = [np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)]
  matrix = np.eye(2, 3, dtype=np.float32)
  with pytest.raises(ValueError, match=r'sizes \[\(4, 5\), \(5, 4\)\]'):
    faces.cut(frames, matrix, size=8)
  with pytest.raises(ValueError, match=r'sizes \[\]'):
    faces.cut([], matrix, size=8)


def test_pixels_from_inside_the_frame_are_told_from_its_repeated_edge():
  matrix = np.float32([[2, 0, -10], [0, 2, 0]])
  found = alignment.covered(matrix, size=32, frame=(64, 40))
  expected = np.zeros((32, 32), bool)
  expected[:, 5:25] = True  # Columns 0 to 38 of 40; column 25 would be 40.
  np.testing.assert_array_equal(found, expected)
