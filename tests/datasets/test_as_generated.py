"""Flow of videos is cut, shrunk and stretched as generated pictures are."""

from __future__ import annotations

import numpy as np
import pytest

from mejax.corpora.faces import individuals
from mejax.datasets import as_generated
from mejax.datasets.recipe import Recipe
from mejax.motion import alignment

SIDE = 96
# u and v in pixels, by the place (x, y) in pixels of the aligned face.
SLOPES, SHIFT = np.array([[0.03, 0.01], [-0.02, 0.04]]), np.array([0.5, -0.25])


def field():
  y, x = np.mgrid[:SIDE, :SIDE].astype(np.float64)
  uv = np.stack([x, y], -1) @ SLOPES.T + SHIFT
  return np.concatenate([uv, np.zeros_like(uv[..., :1])], -1).astype(np.float32)


def place_of(crop, size, x, y):
  """Returns where a pixel of a picture lies in the aligned face."""
  named = isinstance(crop, str)
  middle_x, middle_y, apart, height = (
    individuals.usual_crop(crop) if named else crop
  )
  # In distances between the pupils, from their middle.
  away = ((x + 0.5) / size - middle_x) / apart
  down = ((y + 0.5) / size - middle_y) / (apart * height)
  own_x, own_y, own_apart, own_height = individuals.usual_crop('aligned')
  return np.array(
    [
      (own_x + away * own_apart) * SIDE - 0.5,
      (own_y + down * own_apart * own_height) * SIDE - 0.5,
    ]
  )


@pytest.mark.parametrize('crop', ['released', 'aligned'])
@pytest.mark.parametrize('size', [28, 40])
def test_a_linear_field_is_that_field_in_pixels_of_the_picture(crop, size):
  made = as_generated.convert(
    field()[None, None], size=size, crop=crop, units='pixel'
  )
  assert made.shape == (1, 1, size, size, 3)
  step = place_of(crop, size, 1, 1) - place_of(crop, size, 0, 0)
  strain = None
  for x, y in ((7, 9), (size // 2, size // 2), (size - 8, size - 9)):
    expected = (SLOPES @ place_of(crop, size, x, y) + SHIFT) / step
    np.testing.assert_allclose(made[0, 0, y, x, :2], expected, atol=2e-3)
    slopes = SLOPES * step[None, :] / step[:, None]
    shear = slopes[0, 1] + slopes[1, 0]
    strain = np.sqrt((np.diag(slopes) ** 2).sum() + shear**2 / 2)
    np.testing.assert_allclose(made[0, 0, y, x, 2], strain, atol=2e-3)


def test_each_face_is_cut_out_at_its_own_place():
  places = np.array([[0.51, 0.29, 0.52, 0.87], [0.53, 0.41, 0.43, 0.93]])
  flow = np.stack([field()[None]] * 2)
  made = as_generated.convert(
    flow, size=28, crop='released', units='pixel', places=places
  )
  points = np.full((2, 5, 2), 30.0)
  there = as_generated.convert_points(
    points, side=SIDE, size=28, crop='released', places=places
  )
  for i, place in enumerate(places):
    step = place_of(place, 28, 1, 1) - place_of(place, 28, 0, 0)
    expected = (SLOPES @ place_of(place, 28, 12, 15) + SHIFT) / step
    np.testing.assert_allclose(made[i, 0, 15, 12, :2], expected, atol=2e-3)
    back = place_of(place, 28, *there[i, 0])
    np.testing.assert_allclose(back, 30.0, atol=1e-4)


def test_stretched_pictures_go_from_0_to_255_in_each_channel():
  flow = np.random.default_rng(0).normal(size=(2, 1, SIDE, SIDE, 3))
  made = as_generated.convert(
    flow.astype(np.float32), size=28, crop='released', units='minmax255'
  )
  assert (made.min((2, 3)) == 0).all() and (made.max((2, 3)) == 255).all()
  assert (made == np.rint(made)).all()


def test_points_lie_where_generated_pictures_have_them():
  points = (alignment.CANONICAL * SIDE - 0.5)[None]
  eyes = as_generated.convert_points(
    points, side=SIDE, size=28, crop='released'
  )[0, :2]
  x, y, apart, _ = individuals.usual_crop('released')
  expected = [[x - apart / 2, y], [x + apart / 2, y]]
  np.testing.assert_allclose((eyes + 0.5) / 28, expected, atol=1e-5)


def test_flow_is_measured_at_least_as_finely_as_the_picture_is():
  small = as_generated.recipe_of(size=28, crop='released', levels=(1, 2))
  assert small.size == 128 and small.levels == (1.0, 2.0)
  aligned = as_generated.recipe_of(size=64, crop='aligned', levels=(1.0,))
  assert aligned == Recipe(size=64)
  large = as_generated.recipe_of(size=256, crop='released', levels=(1.0,))
  assert (
    large.size * min(as_generated._sides(individuals.usual_crop('released')))
    >= 256
  )
