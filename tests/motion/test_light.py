"""A change of light is no motion, for the flow and for what is built on it."""

from __future__ import annotations

import cv2
import hypothesis
from hypothesis import strategies as st
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.motion import flow
from mejax.motion import head
from mejax.motion import light
from mejax.motion import magnify
from tests.motion import exact_warp
from tests.motion import sample_faces

SIZE = 96
PLACE = (np.arange(SIZE) - (SIZE - 1) / 2) / (SIZE / 2)
X, Y = np.meshgrid(PLACE, PLACE)
STILL = 0.01  # Pixels; a micro-expression moves a tenth and more.
# A real face has more contrast, and a fit in windows takes the gain for one
# number in each: a steep shadow leaves a little more.
STILL_FACE = 0.015


def texture(size=SIZE):
  """A smooth picture within .2 to .8: no light of 10 % clips it."""
  noise = np.random.default_rng(0).uniform(0, 1, (size, size))
  soft = sum(
    sigma * cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (1.5, 3, 6)
  )
  soft = (soft - soft.min()) / np.ptp(soft)
  return np.float32(0.2 + 0.6 * soft)


def shadow(depth, width):
  return 1 - depth * np.exp(-((X - 0.2) ** 2 + Y**2) / (2 * width**2))


LIGHTS = {
  'gain 2 %': lambda i: 1.02 * i,
  'gain 5 %': lambda i: 1.05 * i,
  'gain 10 %': lambda i: 1.1 * i,
  'darker by 10 %': lambda i: 0.9 * i,
  '5 grey levels': lambda i: i + 5 / 255,
  'gradient 5 %': lambda i: (1 + 0.05 * X) * i,
  'gradient 10 %': lambda i: (1 + 0.1 * Y) * i,
  'shadow': lambda i: shadow(0.1, 0.4) * i,
  'halves': lambda i: (1 + 0.05 * np.tanh(X / 0.3)) * i,
}


def length(field):
  return np.linalg.norm(np.asarray(field), axis=-1).mean()


def bump(peak):
  far = (X**2 + Y**2) / (2 * 0.3**2)
  u = peak * np.exp(-far)
  return np.stack([u, -0.5 * u], -1)


def moved(picture, field):
  """A first frame from which the picture has moved along the field."""
  x, y = exact_warp.pixels(SIZE, SIZE)
  moved = exact_warp.sample(picture, x + field[..., 0], y + field[..., 1])
  return moved.astype(np.float32)


@pytest.mark.parametrize('name', LIGHTS)
def test_light_on_a_still_picture_is_no_flow(name):
  first = texture()
  second = LIGHTS[name](first).astype(np.float32)
  assert length(flow.tvl1(first, second)) < STILL
  # The option keeps the published method, which sees motion here.
  assert length(flow.tvl1(first, second, light=False)) > 5 * STILL


def portrait(face):
  picture = cv2.cvtColor(sample_faces.image(face), cv2.COLOR_RGB2GRAY)
  (x, y), _ = sample_faces.EYES[face]
  top, left = round(y) - 45, round(x) - 40
  return picture[top : top + SIZE, left : left + SIZE] / np.float32(255)


@pytest.mark.parametrize('face', sample_faces.SAMPLES)
def test_light_on_a_still_face_is_no_flow(face):
  first = portrait(face)
  for name, change in LIGHTS.items():
    # A camera cuts off what is whiter than white.
    second = change(first).clip(0, 1).astype(np.float32)
    assert length(flow.tvl1(first, second)) < STILL_FACE, name


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(
  gain=st.floats(-0.1, 0.1),
  along_x=st.floats(-0.05, 0.05),
  along_y=st.floats(-0.05, 0.05),
  offset=st.floats(-5, 5),
)
def test_any_smooth_light_on_a_still_picture_is_no_flow(
  gain, along_x, along_y, offset
):
  first = texture()
  second = (1 + gain + along_x * X + along_y * Y) * first + offset / 255
  assert length(flow.tvl1(first, second.astype(np.float32))) < STILL


@pytest.mark.parametrize('name', LIGHTS)
@pytest.mark.parametrize('peak', [0.3, 1.0])
def test_motion_under_light_is_found_as_well_as_by_farneback(name, peak):
  field = bump(peak)
  second = texture()
  first = moved(second, field)
  second = LIGHTS[name](second).astype(np.float32)
  colours = [np.repeat(frame[..., None], 3, -1) for frame in (first, second)]
  theirs = length(flow.farneback(*colours) - field)
  assert length(flow.tvl1(first, second) - field) < theirs + 0.005


@pytest.mark.parametrize('peak', [0.1, 0.3, 1.0, 3.0])
@pytest.mark.parametrize('face', [*sample_faces.SAMPLES, None])
def test_in_constant_light_little_is_lost(face, peak):
  field = bump(peak)
  second = texture() if face is None else portrait(face)
  first = moved(second, field)
  plain, ours = (
    length(flow.tvl1(first, second, light=on) - field) for on in (False, True)
  )
  assert ours < 1.1 * plain


@pytest.mark.parametrize('name', LIGHTS)
def test_noise_costs_no_more_in_a_changing_light(name):
  noise = np.random.default_rng(1).normal(0, 2 / 255, (2, SIZE, SIZE))
  field = bump(0.3)
  second = texture()
  first = moved(second, field) + noise[0]
  plain, ours = (
    length(flow.tvl1(*map(np.float32, (first, frame)), light=on) - field)
    for on, frame in (
      (False, second + noise[1]),
      (True, LIGHTS[name](second) + noise[1]),
    )
  )
  assert ours < 1.1 * plain


def test_the_head_does_not_move_in_a_changing_light():
  first = texture()
  for name, change in LIGHTS.items():
    field = flow.tvl1(first, change(first).astype(np.float32))
    _, motion = head.remove_rigid(field)
    corners = np.float32([[0, 0, 1], [SIZE, 0, 1], [0, SIZE, 1]])
    np.testing.assert_allclose(
      corners @ np.asarray(motion).T, corners[:, :2], atol=0.02, err_msg=name
    )


def test_amplified_motion_of_a_still_face_is_none_in_a_changing_light():
  onset = np.repeat(texture()[..., None], 3, -1)
  apex = onset * np.float32(1.05)
  found = np.asarray(magnify.flow(onset, apex, alpha=8.0))
  assert np.abs(found - apex).mean() < 0.5 / 255


def test_the_change_is_what_was_added_where_the_frame_is_known():
  first = 255 * texture()[None]
  change = 3 + 4 * X - 2 * Y
  slope = np.stack([np.gradient(first[0], axis=axis) for axis in (1, 0)])
  known = np.ones_like(first)
  # A patch that is not known does not spoil the rest.
  second = first + change
  second[:, :20, :20] += 80
  known[:, :20, :20] = 0
  arrays = (first, second, slope[:, None], known)
  gain, offset = light.change(*(jnp.asarray(x, jnp.float32) for x in arrays))
  found = gain * (first + second) / 2 + offset
  np.testing.assert_allclose(found[0, 24:, 24:], change[24:, 24:], atol=0.4)


def test_a_frame_that_is_known_nowhere_has_no_change():
  first = jnp.asarray(255 * texture()[None])
  none = jnp.zeros_like(first)
  for field in light.change(first, first + 9, jnp.stack([none, none]), none):
    np.testing.assert_array_equal(field, 0)


@pytest.mark.parametrize('height, width', [(63, 64), (64, 71), (95, 65)])
def test_a_linear_gain_is_found_on_sides_of_any_length(height, width):
  y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
  first = 255 * texture()[:height, :width]
  gain, offset = 0.03 + 0.05 * x - 0.04 * y, -3.0
  # The change is that of the mean of both frames.
  second = (first * (1 + gain / 2) + offset) / (1 - gain / 2)
  slope = np.stack([np.gradient(first, axis=axis) for axis in (1, 0)])
  known = np.ones_like(first)
  arrays = (first[None], second[None], slope[:, None], known[None])
  found = light.change(*(jnp.asarray(x, jnp.float32) for x in arrays))
  found = found[0] * (first + second) / 2 + found[1]
  np.testing.assert_allclose(found[0], second - first, atol=0.1)
