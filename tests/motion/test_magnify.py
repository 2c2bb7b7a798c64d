"""Amplification of motion that is known exactly."""

from __future__ import annotations

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.motion import magnify
from mejax.motion.magnify import MAGNIFY

pytestmark = pytest.mark.unoptimised

SIZE = 64
# So small that the flow has one scale, which compiles in a third of the time.
FLAT = (24, 28)
METHODS = ('linear', 'phase', 'flow')
TINT = np.array([0.9, 1.0, 0.8])
# An eighth of a grey level of 255: what two programs of one method may differ
# by. Rounding of 1e-7 grows with alpha and where a phase or a flow is unsure;
# the motion here changes frames by several grey levels.
ROUNDING = 5e-4


def _texture(x, y, seed=0):
  """Returns a smooth coloured picture in [0, 1], defined at any place."""
  source = np.random.default_rng(seed)
  value = 0.0
  for _ in range(60):
    wavelength = source.uniform(4, 40)
    angle, turn = source.uniform(0, 2 * np.pi, 2)
    place = x * np.cos(angle) + y * np.sin(angle)
    wave = np.cos(2 * np.pi * place / wavelength + turn)
    value = value + wavelength**0.5 * wave
  return np.clip(0.5 + value[..., None] * TINT / 150, 0, 1)


def _frame(distance, shape=(SIZE, SIZE), seed=0):
  """Returns the texture after a bump has moved it by up to `distance`."""
  height, width = shape
  y, x = np.mgrid[:height, :width].astype(float)
  scale = 2 * (0.2 * min(shape)) ** 2

  def bump(x, y):
    far = (x - width / 2) ** 2 + (y - height / 2) ** 2
    return np.exp(-far / scale)

  at_x, at_y = x, y
  for _ in range(30):
    moved = distance * bump(at_x, at_y)
    at_x, at_y = x - 0.8 * moved, y + 0.6 * moved
  return _texture(at_x, at_y, seed).astype(np.float32)


def _realised(frame, motion):
  """Returns the factor whose true frame is nearest to a frame."""
  inside = np.s_[12:-12, 12:-12]
  grid = np.arange(0, 12.1, 0.25)
  errors = [((frame - _frame(g * motion))[inside] ** 2).mean() for g in grid]
  best = int(np.clip(np.argmin(errors), 1, len(grid) - 2))
  before, least, after = errors[best - 1 : best + 2]
  return grid[best] + 0.125 * (before - after) / (before - 2 * least + after)


def _rms(a, b):
  return float(np.sqrt(np.mean((np.asarray(a) - b) ** 2)))


@pytest.mark.parametrize(
  ('method', 'motion', 'alpha', 'lowest', 'highest'),
  [
    ('linear', 0.2, 2, 0.75, 1.05),
    ('phase', 0.2, 2, 0.85, 1.05),
    ('phase', 0.2, 8, 0.80, 1.05),
    ('phase', 0.5, 3.5, 0.85, 1.05),
    ('phase', 1.0, 4, 0.85, 1.05),
    ('flow', 0.2, 2, 0.85, 1.05),
    ('flow', 0.2, 8, 0.90, 1.05),
    ('flow', 1.0, 4, 0.90, 1.05),
  ],
)
def test_motion_is_amplified_as_asked(method, motion, alpha, lowest, highest):
  onset, apex = _frame(0), _frame(motion)
  found = np.asarray(MAGNIFY[method](onset, apex, alpha=alpha))
  assert lowest < _realised(found, motion) / alpha < highest
  truth = _frame(alpha * motion)
  assert _rms(found, truth) < 0.6 * _rms(apex, truth)


@pytest.mark.parametrize('method', METHODS)
def test_less_than_1_attenuates(method):
  onset, apex = _frame(0), _frame(0.5)
  found = MAGNIFY[method](onset, apex, alpha=0.5)
  assert _rms(found, _frame(0.25)) < 0.3 * _rms(apex, _frame(0.25))
  nearly_none = MAGNIFY[method](onset, apex, alpha=1e-6)
  assert _rms(nearly_none, onset) < 0.35 * _rms(apex, onset)


@pytest.mark.parametrize('method', METHODS)
def test_1_is_the_apex_bit_for_bit(method):
  source = np.random.default_rng(0)
  onset, apex = source.uniform(size=(2, *FLAT, 3)).astype(np.float32)
  np.testing.assert_array_equal(MAGNIFY[method](onset, apex, alpha=1), apex)
  traced = jax.jit(lambda alpha: MAGNIFY[method](onset, apex, alpha=alpha))
  np.testing.assert_array_equal(traced(1.0), apex)
  # The same program does amplify.
  assert _rms(traced(3.0), apex) > 0.01


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('alpha', [0.3, 7.7])
def test_a_face_that_does_not_move_stays_as_it_is(method, alpha):
  frame = _frame(0)
  found = MAGNIFY[method](frame, frame, alpha=alpha)
  if method == 'flow':
    # The two frames are smoothed by two pieces of the program, which may round
    # differently: flow of some 1e-4 pixels. A grey level of 255 is 4e-3.
    np.testing.assert_allclose(found, frame, rtol=0, atol=1e-3)
  else:
    # Exact on any machine: the difference is 0, and so is all that follows.
    np.testing.assert_array_equal(found, frame)


@pytest.mark.parametrize('method', METHODS)
def test_light_alone_is_no_motion(method):
  onset = np.full((*FLAT, 3), 0.4, np.float32)
  apex = np.full((*FLAT, 3), 0.5, np.float32)
  found = MAGNIFY[method](onset, apex, alpha=8)
  # A thousandth of the change of light.
  np.testing.assert_allclose(found, apex, rtol=0, atol=1e-4)


def test_phase_moves_noise_where_linear_amplifies_it():
  source = np.random.default_rng(0)
  still = 0.2 + 0.6 * _frame(0)
  onset, apex = (
    (still + 0.01 * source.normal(size=still.shape)).astype(np.float32)
    for _ in range(2)
  )
  gains = {
    method: _rms(MAGNIFY[method](onset, apex, alpha=5), still) / 0.01
    for method in METHODS
  }
  assert gains['phase'] < 1.3
  assert gains['flow'] < 1.3
  assert gains['linear'] > 1.3 * gains['phase']


def test_phase_follows_motion_of_more_than_half_a_wavelength():
  """The finest waves repeat after 4 pixels; 2.4 is past the half.

  Taken the other way round, they would go back by 0.8 pixels: an error of 0.1.
  """
  x = np.arange(128)

  def waves(shift):
    parts = [
      height * np.cos(2 * np.pi * (x - shift) / wavelength)
      for height, wavelength in ((0.1, 4), (0.1, 11), (0.2, 32))
    ]
    line = np.float32(0.5 + sum(parts))
    return np.broadcast_to(line[:, None], (64, 128, 3))

  found = magnify.phase(waves(0), waves(2.4), alpha=1.5)
  inside = np.s_[:, 40:-40]
  assert _rms(found[inside], waves(3.6)[inside]) < 0.02


def test_linear_spares_waves_shorter_than_eight_times_the_motion():
  x = np.arange(SIZE)

  def factor(wavelength, **options):
    wave = 0.1 * np.cos(2 * np.pi * x / wavelength)
    still = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    apex = (still + wave[:, None]).astype(np.float32)
    found = np.asarray(magnify.linear(still, apex, **options)) - still
    inside = np.s_[8:-8, 8:-8]
    return _rms(found[inside], 0) / _rms((apex - still)[inside], 0)

  assert factor(3, alpha=3, motion=1) == pytest.approx(1, abs=0.02)
  assert factor(3, alpha=3, motion=0.01) == pytest.approx(3, abs=0.05)
  assert 1.2 < factor(12, alpha=3, motion=0.5) < 2.5
  assert factor(32, alpha=3, motion=0.2) == pytest.approx(3, abs=0.2)


def test_flow_that_folds_the_frame_over_leaves_no_hole():
  onset, apex = 0.3 + 0.4 * _frame(0), 0.3 + 0.4 * _frame(1.5)
  found = np.asarray(magnify.flow(onset, apex, alpha=60))
  # Cubic interpolation overshoots a little.
  assert apex.min() - 0.05 < found.min() and found.max() < apex.max() + 0.05


@pytest.mark.parametrize('method', METHODS)
def test_a_batch_is_each_pair_under_jit_and_vmap(method):
  onset = np.stack([_frame(0, FLAT, seed) for seed in range(6)])
  apex = np.stack([_frame(0.5, FLAT, seed) for seed in range(6)])
  function = functools.partial(MAGNIFY[method], alpha=4)
  alone = np.stack([function(*pair) for pair in zip(onset, apex, strict=True)])
  shape = (2, 3, *onset.shape[1:])
  deep = jax.jit(function)(onset.reshape(shape), apex.reshape(shape))
  for batch in (deep.reshape(alone.shape), jax.vmap(function)(onset, apex)):
    np.testing.assert_allclose(batch, alone, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize('method', METHODS)
def test_levels_can_be_a_traced_axis(method):
  onset, apex = _frame(0, FLAT), _frame(0.5, FLAT)
  alphas = jnp.array([0.5, 1.0, 4.0])
  levels = jax.vmap(lambda alpha: MAGNIFY[method](onset, apex, alpha=alpha))
  for alpha, found in zip(alphas, levels(alphas), strict=True):
    alone = MAGNIFY[method](onset, apex, alpha=float(alpha))
    np.testing.assert_allclose(found, alone, rtol=0, atol=ROUNDING)


def test_pairs_worked_on_together_give_the_same():
  onset = np.stack([_frame(0, FLAT, seed) for seed in range(5)])
  apex = np.stack([_frame(0.5, FLAT, seed) for seed in range(5)])
  function = functools.partial(magnify.phase, onset, apex, alpha=4)
  np.testing.assert_allclose(
    function(pairs_at_once=2), function(), rtol=0, atol=ROUNDING
  )


# Without jit, every tap of a filter is a program of its own.
@pytest.mark.slow
@pytest.mark.parametrize('method', ['linear', 'phase'])
def test_compiled_is_eager(method):
  onset, apex = _frame(0, (16, 16)), _frame(0.5, (16, 16))
  options = {'phase': {'smoothing': 0.5}}.get(method, {})
  function = functools.partial(MAGNIFY[method], onset, apex, alpha=3, **options)
  compiled = function()
  with jax.disable_jit():
    eager = function()
  np.testing.assert_allclose(compiled, eager, rtol=0, atol=ROUNDING)


def _assert_moved(method, shape, *, left=0.7):
  onset, apex = _frame(0, shape), _frame(0.3, shape)
  found = np.asarray(MAGNIFY[method](onset, apex, alpha=3))
  assert found.shape == apex.shape and found.dtype == np.float32
  assert found.min() >= 0 and found.max() <= 1
  truth = _frame(0.9, shape)
  assert _rms(found, truth) < left * _rms(apex, truth)


@pytest.mark.parametrize('method', METHODS)
def test_sides_may_be_odd(method):
  _assert_moved(method, (65, 70))


@pytest.mark.parametrize('method', ['linear', 'phase'])
@hypothesis.given(height=st.integers(16, 70), width=st.integers(16, 70))
@hypothesis.settings(max_examples=2)
def test_frames_of_any_size_are_taken(method, height, width):
  _assert_moved(method, (height, width), left=1)


def test_a_batch_of_none_gives_none():
  frames = np.zeros((0, 20, 24, 3), np.float32)
  for method in METHODS:
    assert MAGNIFY[method](frames, frames, alpha=2).shape == frames.shape


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('alpha', [0, -1, np.inf, np.nan])
def test_an_alpha_without_meaning_is_refused(method, alpha):
  frames = np.zeros((20, 24, 3), np.float32)
  with pytest.raises(ValueError, match='alpha must be positive and finite'):
    MAGNIFY[method](frames, frames, alpha=alpha)


@pytest.mark.parametrize('method', METHODS)
def test_frames_that_do_not_fit_are_refused(method):
  frames = np.zeros((20, 24, 3), np.float32)
  with pytest.raises(ValueError, match=r'20, 24.*20, 25'):
    MAGNIFY[method](frames, np.zeros((20, 25, 3), np.float32), alpha=2)
  with pytest.raises(ValueError, match='at least 16.*15, 24'):
    MAGNIFY[method](frames[:15], frames[:15], alpha=2)


@pytest.mark.parametrize(
  'options',
  [{'orientations': 1}, {'levels': 0}, {'smoothing': -1}],
)
def test_phase_refuses_a_pyramid_of_nothing(options):
  frames = np.zeros((20, 24, 3), np.float32)
  with pytest.raises(ValueError, match='orientations.*levels.*smoothing'):
    magnify.phase(frames, frames, alpha=2, **options)


def test_an_unknown_method_lists_the_known_ones():
  with pytest.raises(ValueError, match='eulerian.*linear.*phase.*flow'):
    MAGNIFY['eulerian']
