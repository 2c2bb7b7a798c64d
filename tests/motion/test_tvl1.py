"""TV-L1 flow is compared with motion that is known exactly."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from mejax.motion import flow

pytestmark = pytest.mark.unoptimised

SIZE = 96
# Of so few pixels there is one scale, which compiles in a third of the time.
FLAT = 24
# Pixels. Grey values of 0 to 255 are rounded to 1e-5; where a slope is a tenth
# of a grey level, that is 1e-4 pixels of flow. Motion here is 0.5 pixels.
ROUNDING = 1e-3


def _texture(x, y, seed=0):
  """Returns a smooth picture, defined at any place.

  It is dark enough that .1 more does not make it white, where nothing is known.
  """
  source = np.random.default_rng(seed)
  value = 0.0
  for _ in range(60):
    wavelength = source.uniform(5, 40)
    angle, phase = source.uniform(0, 2 * np.pi, 2)
    place = x * np.cos(angle) + y * np.sin(angle)
    wave = np.cos(2 * np.pi * place / wavelength + phase)
    value = value + wavelength * wave
  return np.clip(0.5 + value / 800, 0, 0.85)


def _bump(size, amplitude, seed=0):
  """Returns two smooth bumps whose longest motion is `amplitude` pixels."""
  y, x = np.mgrid[:size, :size].astype(float)
  source = np.random.default_rng(seed)
  field = np.zeros((size, size, 2))
  for _ in range(2):
    cx, cy = source.uniform(0.3, 0.7, 2) * size
    distance = (x - cx) ** 2 + (y - cy) ** 2
    bump = np.exp(-distance / (2 * (0.12 * size) ** 2))
    field += bump[..., None] * source.normal(size=2)
  return amplitude * field / np.linalg.norm(field, axis=-1).max()


def _pair(field, *, noise=0.0, seed=0):
  """Returns frames whose flow is the field, up to rounding."""
  y, x = np.mgrid[: field.shape[0], : field.shape[1]].astype(float)
  first = _texture(x + field[..., 0], y + field[..., 1], seed)
  frames = np.stack([first, _texture(x, y, seed)])
  frames += noise * np.random.default_rng(seed + 1).normal(size=frames.shape)
  return frames.astype(np.float32)


def _error(found, field):
  return np.linalg.norm(np.asarray(found) - field, axis=-1).mean()


@pytest.mark.parametrize(
  ('u', 'v'), [(1.0, 0.0), (0.0, 1.5), (-0.7, 0.4), (5.0, -3.0)]
)
def test_a_shift_is_found_u_to_the_right_and_v_down(u, v):
  field = np.broadcast_to([u, v], (SIZE, SIZE, 2))
  found = np.asarray(flow.tvl1(*_pair(field)))
  np.testing.assert_allclose(np.median(found, (0, 1)), (u, v), atol=0.02)
  assert _error(found, field) < 0.03 * np.hypot(u, v)


# Frames of 224 pixels take six times as long, and nothing is new in them.
@pytest.mark.parametrize(
  'size', [128, pytest.param(224, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize('noise', [0.0, 1 / 255])
@pytest.mark.parametrize('amplitude', [0.2, 0.5, 1.0, 2.0])
def test_small_motion_is_found_as_well_as_by_farneback(amplitude, noise, size):
  field = _bump(size, amplitude)
  first, second = _pair(field, noise=noise)
  error = _error(flow.tvl1(first, second), field)
  colours = [np.repeat(frame[..., None], 3, -1) for frame in (first, second)]
  theirs = _error(flow.farneback(*colours), field)
  # A light that may vary takes a few thousandths where a picture is smooth.
  assert error < theirs + 0.005
  assert _error(flow.tvl1(first, second, light=False), field) < theirs
  # Noise alone costs about a hundredth of a pixel, whatever the motion.
  assert error < 0.2 * _error(0, field) + (0.0125 if noise else 0)


def test_no_motion_is_no_flow():
  frame, _ = _pair(_bump(SIZE, 1.0))
  # The frames are smoothed by two pieces of the program, which may round
  # differently.
  np.testing.assert_allclose(flow.tvl1(frame, frame), 0, atol=ROUNDING)


def test_a_frame_without_texture_has_no_flow():
  frame = np.full((FLAT, FLAT), 0.5, np.float32)
  found = flow.tvl1(frame, frame + 0.1)
  np.testing.assert_allclose(found, 0, atol=ROUNDING)


def test_light_added_to_both_frames_changes_nothing():
  field = _bump(SIZE, 1.0)
  first, second = _pair(field)
  lighter = flow.tvl1(first + 0.1, second + 0.1)
  np.testing.assert_allclose(lighter, flow.tvl1(first, second), atol=0.01)


def test_a_batch_is_each_pair_under_jit_vmap_and_in_parts():
  pairs = [_pair(_bump(FLAT, 0.5, seed=i), seed=i) for i in range(6)]
  first, second = np.stack(pairs, 1)
  alone = np.stack([flow.tvl1(*pair) for pair in pairs])
  deep = flow.tvl1(
    *(x.reshape(2, 3, FLAT, FLAT) for x in (first, second))
  ).reshape(alone.shape)
  parts = functools.partial(flow.tvl1, pairs_at_once=4)
  whole = functools.partial(flow.tvl1, pairs_at_once=6)
  for batch in (
    deep,
    jax.jit(flow.tvl1)(first, second),
    jax.vmap(flow.tvl1)(first, second),
    parts(first, second),
    whole(first, second),
  ):
    np.testing.assert_allclose(batch, alone, rtol=0, atol=ROUNDING)


# Without jit, each of thousands of operations is a call of its own.
@pytest.mark.slow
def test_compiled_is_eager():
  first, second = _pair(_bump(32, 0.5))
  options = {'levels': 2, 'warps': 1, 'iterations': 2}
  with jax.disable_jit():
    eager = flow.tvl1(first, second, **options)
  compiled = flow.tvl1(first, second, **options)
  np.testing.assert_allclose(compiled, eager, rtol=0, atol=ROUNDING)


def test_colours_count_as_their_grey():
  pair = _pair(_bump(FLAT, 0.5))
  tint = np.array([0.9, 1.0, 0.8], np.float32)
  colours = pair[..., None] * tint
  grey = colours @ np.array([0.299, 0.587, 0.114], np.float32)
  np.testing.assert_allclose(
    flow.tvl1(*colours), flow.tvl1(*grey), rtol=0, atol=ROUNDING
  )


def test_any_size_from_16_pixels_on_is_taken():
  for shape in ((16, 16), (65, 33)):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    first = _texture(x + 0.5, y).astype(np.float32)
    second = _texture(x, y).astype(np.float32)
    assert flow.tvl1(first, second).shape == (*shape, 2)
    # In a picture as small as 16 x 16 a gradient of light can explain motion.
    found = np.asarray(flow.tvl1(first, second, light=min(shape) > 16))
    np.testing.assert_allclose(np.median(found, (0, 1)), (0.5, 0), atol=0.05)


def test_more_attachment_follows_the_frames_more_closely():
  first, second = _pair(_bump(48, 0.5), noise=6 / 255)
  rough = flow.strain(flow.tvl1(first, second, attachment=0.5))
  smooth = flow.strain(flow.tvl1(first, second, attachment=0.02))
  assert smooth.mean() < 0.5 * rough.mean()


def test_a_batch_of_none_gives_none():
  frames = np.zeros((0, 20, 24), np.float32)
  assert flow.tvl1(frames, frames).shape == (0, 20, 24, 2)


@pytest.mark.parametrize(
  ('first', 'second', 'message'),
  [
    (np.zeros((32, 32)), np.zeros((32, 40)), 'one shape.*32, 32.*32, 40'),
    (np.zeros(32), np.zeros(32), r'\[\*b, h, w\].*\(32,\)'),
    (np.zeros((15, 40)), np.zeros((15, 40)), 'at least 16.*15, 40'),
    (np.zeros((15, 40, 3)), np.zeros((15, 40, 3)), 'at least 16.*15, 40'),
    (
      np.zeros((32, 32), np.uint8),
      np.zeros((32, 32), np.uint8),
      'floats.*uint8.*255',
    ),
  ],
  ids=['differ', 'no image', 'small', 'small colour', 'bytes'],
)
def test_what_cannot_be_frames_is_refused(first, second, message):
  with pytest.raises(ValueError, match=message):
    flow.tvl1(first, second)


@pytest.mark.parametrize(
  'name', ['levels', 'warps', 'iterations', 'pairs_at_once']
)
def test_nothing_to_do_is_refused(name):
  frame = np.zeros((32, 32), np.float32)
  with pytest.raises(ValueError, match=f'{name} must be at least 1, not 0'):
    flow.tvl1(frame, frame, **{name: 0})
