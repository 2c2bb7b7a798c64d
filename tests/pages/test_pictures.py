"""Pictures show the motion that is in the arrays."""

from __future__ import annotations

import base64
import colorsys
import re

import cv2
import numpy as np
import pytest

from mejax.pages import pictures
from tests.pages import html_page

MOVES = re.compile(r'M([-\d.]+) ([-\d.]+)L([-\d.]+) ([-\d.]+)')


@pytest.mark.parametrize(
  ('channels', 'mode'),
  [
    (1, cv2.IMREAD_UNCHANGED),
    (3, cv2.IMREAD_COLOR_RGB),
    (4, cv2.IMREAD_UNCHANGED),
  ],
)
def test_png_keeps_every_value(channels, mode):
  pixels = np.random.default_rng(0).integers(0, 256, (7, 5, channels), np.uint8)
  data = base64.b64decode(pictures.png(pixels).partition('base64,')[2])
  read = cv2.imdecode(np.frombuffer(data, np.uint8), mode)
  if channels == 4:
    read = cv2.cvtColor(read, cv2.COLOR_BGRA2RGBA)
  np.testing.assert_array_equal(read.reshape(pixels.shape), pixels)


def uniform(u: float, v: float) -> np.ndarray:
  return np.tile(np.float32([u, v]), (32, 32, 1))


@pytest.mark.parametrize(
  ('u', 'v', 'degrees'), [(1, 0, 0), (0, 1, 90), (-1, 0, 180), (0, -1, 270)]
)
def test_the_hue_of_a_motion_is_its_direction(u, v, degrees):
  source = pictures.png(pictures.flow_colour(uniform(u, v), scale=1.0))
  red, green, blue = html_page.decode(source)[5, 7] / 255
  hue, depth, _ = colorsys.rgb_to_hsv(red, green, blue)
  assert abs(hue * 360 - degrees) < 1
  assert depth == 1


def test_the_wheel_has_at_each_place_the_colour_of_the_way_there():
  wheel = pictures.wheel(65).astype(int)
  for u, v in [(1, 0), (0, 1), (-1, 0), (0, -1), (0.5, 0.5), (0, 0)]:
    colour = pictures.flow_colour(uniform(u, v), scale=1.0)[0, 0]
    there = wheel[round(32 + 32 * v), round(32 + 32 * u)]
    np.testing.assert_allclose(there, colour, atol=1)


def test_no_motion_is_white():
  still = pictures.flow_colour(np.zeros((4, 4, 2), np.float32), scale=1.0)
  assert (still == 255).all()


def test_strain_is_white_where_there_is_none_and_ever_darker():
  strain = np.linspace(0, 0.3, 50, dtype=np.float32)[None]
  colours = pictures.strain_colour(strain, scale=0.2)
  grey = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)[0].astype(int)
  assert colours[0, 0].tolist() == [255, 255, 255]
  inside = strain[0] < 0.2
  assert (np.diff(grey[inside]) < 0).all()
  assert len(np.unique(colours[0, ~inside], axis=0)) == 1


@pytest.mark.parametrize(
  ('sizes', 'nearest', 'above'),
  [([1.44, 0.2], 1.5, 1.5), ([0.53], 0.5, 0.6), ([9.7], 10, 10), ([0.0], 1, 1)],
)
def test_a_scale_is_a_round_number(sizes, nearest, above):
  assert pictures.scale_of(sizes) == pytest.approx(nearest)
  assert pictures.scale_of(sizes, above=True) == pytest.approx(above)


def test_size_is_what_99_of_100_pixels_are_below():
  flow = np.zeros((100, 100, 2), np.float32)
  flow[:2] = 3, 4
  assert pictures.size_of(flow) == pytest.approx(5)
  flow[1:] = 0
  assert pictures.size_of(flow) < 5


def test_arrows_go_with_the_motion_and_are_as_long_as_it_is_far():
  def moves(flow):
    found = MOVES.findall(pictures.arrows(flow, scale=2.0))
    ends = np.array(found, float).reshape(-1, 4)
    return ends[:, 2:] - ends[:, :2]

  right, down = moves(uniform(2, 0)), moves(uniform(0, 1))
  assert len(right) == len(down) == 16 * 16
  assert (right[:, 0] > 2).all() and not right[:, 1].any()
  assert (down[:, 1] > 1).all() and not down[:, 0].any()
  np.testing.assert_allclose(right[:, 0], 2 * down[:, 1], atol=0.11)
  np.testing.assert_allclose(moves(uniform(9, 0)), right)
  assert not moves(uniform(0.01, 0)).size


def test_a_point_at_0_lies_on_the_centre_of_the_first_pixel():
  svg = pictures.points(np.float32([[0, 0]]), width=42, height=42)
  assert 'viewBox="0 0 42 42"' in svg
  box = re.search(r' x="(.+?)" y="(.+?)" width="(.+?)" height="(.+?)"', svg)
  x, y, width, height = map(float, box.groups())
  assert (x + width / 2, y + height / 2) == (0.5, 0.5)


def test_a_difference_is_grey_where_nothing_changed():
  first = np.full((4, 4, 3), 100, np.uint8)
  second = first.copy()
  second[0], second[1], second[2] = 103, 97, 255
  shown = pictures.difference(first, second, times=8)
  assert shown[:, 0, 0].tolist() == [152, 104, 255, 128]
