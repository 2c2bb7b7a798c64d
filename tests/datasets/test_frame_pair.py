"""Pairs of frames against Pillow's resize and the released windows."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from mejax.datasets import frame_pair
from mejax.training import sample
from tests.models import mmnet_formula


def sources():
  """The frames of the golden data, as the resize sees them: RGB."""
  noise = np.floor(256 * mmnet_formula.uniform('frame', 282 * 231 * 3))
  y, x = np.mgrid[:282, :231]
  ramp = np.stack([(0.9 * y) % 256, (1.1 * x) % 256, (0.5 * (x + y)) % 256], 2)
  images = {'noise': noise.reshape(282, 231, 3), 'ramp': ramp}
  return {k: v.astype(np.uint8)[..., ::-1] for k, v in images.items()}


@pytest.mark.parametrize('name', ['noise', 'ramp'])
def test_resize_equals_pillow_to_the_bit(name, shared):
  golden = np.load(shared / 'golden/mmnet/golden_preproc.npz')
  small = frame_pair.resize(sources()[name], 224)
  np.testing.assert_array_equal(small[::7, ::7], golden[f'resize_{name}_u8'])
  np.testing.assert_allclose(
    small.mean((0, 1)), golden[f'resize_{name}_mean'], atol=1e-9
  )
  normal = sample.normalise(jnp.asarray(small))
  np.testing.assert_allclose(
    np.moveaxis(np.asarray(normal), -1, 0)[:, ::28, ::28],
    golden[f'normalised_{name}'],
    atol=1e-6,
  )


@pytest.mark.parametrize('size, new', [(16, 12), (40, 12), (12, 20)])
def test_resize_of_a_square_equals_pillow_to_the_bit(size, new):
  image = pytest.importorskip('PIL.Image')
  noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
  true = image.fromarray(noise).resize((new, new), image.BILINEAR)
  np.testing.assert_array_equal(frame_pair.resize(noise, new), np.asarray(true))


def test_resize_keeps_a_constant_and_what_has_the_size_already():
  constant = np.full((2, 30, 20, 3), 77, np.uint8)
  assert (frame_pair.resize(constant, 16) == 77).all()
  assert (frame_pair.resize(constant, 50) == 77).all()
  noise = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
  np.testing.assert_array_equal(frame_pair.resize(noise, 16), noise)
  assert frame_pair.resize(noise, None) is noise


def test_resize_to_half_weighs_four_pixels_as_a_triangle():
  row = np.zeros((1, 8, 8, 1), np.uint8)
  row[:, :, 3] = 160
  np.testing.assert_array_equal(
    frame_pair.resize(row, 4)[0, 0, :, 0], [0, 60, 20, 0]
  )


def examples(count=3, size=8, neighbours=4):
  source = np.random.default_rng(1)

  def stack(*shape):
    return source.integers(0, 256, (*shape, size, size, 3), np.uint8)

  onset_frames = stack(count, neighbours + 1)
  apex_frames = stack(count, 2 * neighbours + 1)
  return {
    'onset': onset_frames[:, 0],
    'apex': apex_frames[:, neighbours],
    'onset_frames': onset_frames,
    'apex_frames': apex_frames,
    'onset_number': np.array([46, 10, 10], np.int32),
    'apex_number': np.array([59, 90, 10], np.int32),
    'offset_number': np.array([86, 200, 10], np.int32),
  }


def test_pair_is_onset_and_apex():
  data = examples()
  pairs = frame_pair.frame_pair(data)
  assert pairs.dtype == np.uint8
  np.testing.assert_array_equal(pairs[:, 0], data['onset'])
  np.testing.assert_array_equal(pairs[:, 1], data['apex'])
  assert frame_pair.frame_pair(data, size=4).shape == (3, 2, 4, 4, 3)


def test_a_level_shows_its_amplified_apex():
  data = examples()
  data['amplified'] = np.stack([data['apex'], 255 - data['apex']], 1)
  pairs = frame_pair.frame_pair(data, level=1)
  np.testing.assert_array_equal(pairs[:, 0], data['onset'])
  np.testing.assert_array_equal(pairs[:, 1], 255 - data['apex'])
  with pytest.raises(ValueError, match='level is 2, but there are 2 levels'):
    frame_pair.frame_pair(data, level=2)
  with pytest.raises(ValueError, match=r'set view.windows to \(\)'):
    frame_pair.frame_pair(data, level=1, windows=(0.2, 0.15, 0.15))


def test_windows_are_the_released_ones_and_end_with_the_stored_frames():
  """d = 13, 80, 0 and D = 27, 110, 0 frames; T cuts off."""
  data = examples()
  five = frame_pair.count_frames(data, (0.15, 0.15, 0.0))
  np.testing.assert_array_equal(five, [[0, 0, 0], [3, 3, 0], [0, 0, 0]])
  three = frame_pair.count_frames(data, (0.2, 0.15, 0.15))
  np.testing.assert_array_equal(three, [[0, 0, 1], [4, 3, 4], [0, 0, 0]])
  _, extra = frame_pair.frame_pair(
    examples(neighbours=2), windows=(0.2, 0.15, 0.15)
  )
  np.testing.assert_array_equal(extra['windows'][1], [2, 2, 2])


def test_frames_to_draw_from_hold_the_annotated_ones_where_jitter_looks():
  data = examples()
  pairs, extra = frame_pair.frame_pair(data, windows=(0.15, 0.15, 0.0), size=4)
  assert extra['onset_frames'].shape == (3, 4, 4, 4, 3)
  assert extra['apex_frames'].shape == (3, 7, 4, 4, 3)
  np.testing.assert_array_equal(extra['onset_frames'][:, 0], pairs[:, 0])
  np.testing.assert_array_equal(extra['apex_frames'][:, 3], pairs[:, 1])
  np.testing.assert_array_equal(
    extra['apex_frames'][:, 4], frame_pair.resize(data['apex_frames'][:, 5], 4)
  )


def test_what_is_missing_is_named_with_what_to_do():
  data = examples()
  del data['onset_frames']
  with pytest.raises(ValueError, match='onset_frames.*--neighbours'):
    frame_pair.frame_pair(data, windows=(0.15, 0.15, 0.0))
  with pytest.raises(ValueError, match='needs onset, apex.*holds no frames'):
    frame_pair.frame_pair({'flow': np.zeros((1, 1, 8, 8, 3))})
