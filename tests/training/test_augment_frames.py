"""Changes of frames: one for all frames of an example, as the released code."""

from __future__ import annotations

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.training import augment_frames
from mejax.training import sample as sample_lib
from mejax.training.trial import Setting


def numbered(size):
  """A picture whose pixels say where they are, counted from 1."""
  count = np.arange(1, size**2 + 1, dtype=np.float32)
  return jnp.asarray(count.reshape(1, size, size, 1))


@pytest.mark.parametrize('degrees', ['2.37', '-4.0', '3.0'])
def test_turn_takes_the_pixels_that_torchvision_takes(degrees, shared):
  golden = np.load(shared / 'golden/mmnet/golden_preproc.npz')
  turned = augment_frames.turn(numbered(224), jnp.array([float(degrees)]))
  found = np.asarray(turned)[0, :, :, 0].astype(int) - 1
  # Exact ties between two pixels are broken by rounding.
  assert (found != golden[f'rotate_{degrees}']).sum() <= 10


def test_turn_by_a_quarter_equals_rot90_for_all_frames_alike():
  frames = jax.random.normal(jax.random.key(0), (3, 2, 8, 8, 3))
  angles = jnp.array([90.0, 0.0, 180.0])
  turned = augment_frames.turn(frames, angles)
  for i, times in enumerate((1, 0, 2)):
    expected = np.rot90(frames[i], times, axes=(1, 2))
    np.testing.assert_array_equal(turned[i], expected)


def test_turn_fills_with_zero_what_no_pixel_comes_to():
  turned = np.asarray(augment_frames.turn(numbered(9), jnp.array([45.0])))
  corners = turned[0, [0, 0, 8, 8], [0, 8, 0, 8], 0]
  np.testing.assert_array_equal(corners, 0)
  assert turned[0, 4, 4, 0] == 41


def rotate(frames, degrees):
  count = len(frames)
  sample = sample_lib.Sample(frames, jnp.ones((count, 1)), jnp.ones(count), 1)
  apply = augment_frames.rotation(sample_lib.Layout('frames'))
  return apply(jax.random.key(0), sample, Setting(rotation=degrees)).inputs


def test_rotation_draws_angles_evenly_up_to_the_bound():
  """A single bright pixel on the right tells the angle."""
  frames = jnp.zeros((500, 101, 101, 1)).at[:, 50, 100].set(1)
  turned = rotate(frames, 20.0)
  index, row, column, _ = np.nonzero(np.asarray(turned))
  angle = np.degrees(np.arctan2(50 - row, column - 50))
  assert len(np.unique(index)) > 450
  assert 18 < angle.max() < 21.5 and -21.5 < angle.min() < -18
  assert np.std(angle) == pytest.approx(40 / 12**0.5, rel=0.1)
  same = rotate(frames, 0.0)
  np.testing.assert_array_equal(same, frames)


def test_jitter_draws_each_frame_of_its_window_equally_often():
  count, onset_frames, around = 6000, 4, 2
  windows = np.array([[0, 0, 0], [3, 2, 0], [1, 1, 2]], np.int32)
  rows = np.arange(count) % 3

  def stack(length, first):
    values = np.arange(length, dtype=np.uint8) + first
    shape = (count, length, 1, 1, 3)
    return jnp.broadcast_to(values[:, None, None, None], shape)

  pairs = augment_frames.draw_pairs(
    jax.random.key(1),
    stack(onset_frames, 0),
    stack(2 * around + 1, 10),
    jnp.asarray(windows[rows]),
  )
  assert pairs.shape == (count, 2, 1, 1, 3)
  drawn = np.asarray(pairs)[:, :, 0, 0, 0].astype(int)
  for row, (late, early, later) in enumerate(windows):
    onset, apex = drawn[rows == row].T
    for found, low, high in (
      (onset, 0, late),
      (apex - 12, -early, later),
    ):
      counts = collections.Counter(found.tolist())
      assert sorted(counts) == list(range(low, high + 1))
      expected = len(found) / (high - low + 1)
      for number in counts.values():
        assert abs(number - expected) < 5 * expected**0.5
  onset, apex = drawn[rows == 1].T
  assert abs(np.corrcoef(onset, apex)[0, 1]) < 0.1
