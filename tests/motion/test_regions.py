"""Crops of a mosaic, and masks of the parts of a face."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from mejax.motion import regions


def _mirror_points(points, size):
  """Returns the points of the mirrored face, left and right exchanged."""
  points = points[[1, 0, 2, 4, 3]].copy()
  points[:, 0] = size - 1 - points[:, 0]
  return points


@given(
  st.lists(st.integers(-4 * 1024, 68 * 1024), min_size=10, max_size=10),
  st.sampled_from([16, 28, 64]),
)
def test_crops_of_the_mirrored_face_are_the_mirrored_crops(numbers, size):
  # On a grid of 1/1024 pixel the mirror is exact. The grid contains whole and
  # half pixels, where rounding has ties.
  points = (np.array(numbers) / 1024).astype(np.float32).reshape(5, 2)
  corners = regions.face_corners(points, size=size)
  mirrored = regions.face_corners(_mirror_points(points, size), size=size)
  expected = corners[[1, 0, 3, 2]].copy()
  expected[:, 1] = size - size // 2 - expected[:, 1]
  np.testing.assert_array_equal(mirrored, expected)


@given(st.lists(st.floats(-5, 33, width=32), min_size=10, max_size=10))
def test_a_crop_lies_in_the_image_and_is_centred_if_it_can_be(numbers):
  points = np.array(numbers, np.float32).reshape(5, 2)
  corners = regions.face_corners(points, size=28)
  assert ((corners >= 0) & (corners <= 14)).all()
  # The 14 pixels from c to c + 13 have their centre at c + 6.5.
  wanted = points[[0, 1, 3, 4], ::-1].clip(6.5, 20.5)
  assert np.abs(corners + 6.5 - wanted).max() <= 0.5


def test_the_mosaic_shows_each_point_where_it_is_on_a_face():
  points = np.array([[8, 9], [19, 10], [14, 15], [9, 20], [18, 19]], np.float32)
  image = np.zeros((28, 28, 1), np.float32)
  for value, (x, y) in enumerate(points.astype(int), start=1):
    image[y, x] = value
  made = regions.mosaic(image, regions.face_corners(points, size=28))[..., 0]
  blocks = made[:14, :14], made[:14, 14:], made[14:, :14], made[14:, 14:]
  # Left eye, right eye, left and right mouth corner, in the middle of a block.
  for value, block in zip((1, 2, 4, 5), blocks, strict=True):
    assert block[6:8, 6:8].max() == value


def test_released_crops_exchange_x_and_y():
  crop_points = np.array([[9, 11], [21, 10], [15, 17], [10, 20], [19, 18]])
  image = np.random.default_rng(0).integers(0, 256, (28, 28, 3))
  made = regions.mosaic(image, regions.released_corners(crop_points, size=28))
  crops = [image[x - 7 : x + 7, y - 7 : y + 7] for x, y in crop_points]
  np.testing.assert_array_equal(made[:14, :14], crops[0])
  np.testing.assert_array_equal(made[:14, 14:], crops[1])
  np.testing.assert_array_equal(made[14:, :14], crops[3])
  np.testing.assert_array_equal(made[14:, 14:], crops[4])


@pytest.mark.parametrize('size', [28, 64])
def test_a_mosaic_is_as_large_as_its_image(size):
  image = np.zeros((size, size, 3), np.float32)
  points = np.full((5, 2), size / 2, np.float32)
  corners = regions.face_corners(points, size=size)
  assert regions.mosaic(image, corners).shape == image.shape


FACE = np.array([[30, 40], [70, 40], [50, 60], [35, 80], [65, 80]], np.float32)


def test_the_eyelids_are_ellipses_about_the_eyes_and_nothing_else():
  covered = regions.eyelids(FACE, size=(100, 101))
  assert covered.shape == (100, 101)
  assert covered[40, 30] and covered[40, 70] and covered[40, 41]
  assert not covered[60, 50] and not covered[40, 50] and not covered[31, 30]
  np.testing.assert_allclose(
    covered.sum(), 2 * np.pi * (0.3 * 40) * (0.2 * 40), rtol=0.03
  )
  np.testing.assert_array_equal(covered, covered[:, ::-1])


def test_the_eyelids_turn_and_grow_with_the_face():
  turned = FACE[:, ::-1] * 2  # Seen along the diagonal, and twice as large.
  covered = regions.eyelids(np.stack([turned, turned]), size=(202, 200))
  expected = regions.eyelids(FACE, size=(100, 101))
  assert covered.shape == (2, 202, 200)
  for one in covered:
    np.testing.assert_array_equal(one[::2, ::2], expected.T)


def test_eyes_in_one_place_are_refused():
  with pytest.raises(ValueError, match='one place'):
    regions.eyelids(np.zeros((5, 2), np.float32), size=(20, 20))


def test_the_parts_of_a_face_are_mirrored_with_it():
  points = np.array(
    [[40, 50], [85, 52], [62.5, 75], [46, 96], [80, 97]], np.float32
  )
  other = points[[1, 0, 2, 4, 3]] * [-1, 1] + [127, 0]
  own = regions.expressive(points, size=(128, 128))
  mirrored = regions.expressive(other.astype(np.float32), size=(128, 128))
  np.testing.assert_array_equal(mirrored[[1, 0, 3, 2], :, ::-1], own)
  np.testing.assert_array_equal(
    regions.face(other.astype(np.float32), size=(128, 128))[:, ::-1],
    regions.face(points, size=(128, 128)),
  )


def test_the_parts_of_a_face_hold_its_points_and_lie_in_it():
  points = np.array(
    [[40, 50], [85, 52], [62, 75], [46, 96], [80, 97]], np.float32
  )
  parts = regions.expressive(points, size=(140, 130))
  for part, point in zip(parts, points[[0, 1, 3, 4]], strict=True):
    x, y = np.int64(point)
    assert part[y, x]
    assert part[round(y - 0.5 * 45), x] == (y < 60)  # A brow has a region.
  assert not (parts[[0, 2]] & parts[[1, 3]]).any()
  whole = regions.face(points, size=(140, 130))
  assert whole[75, 62]
  assert (parts & whole).sum() > 0.9 * parts.sum()
