"""Flow is compared with known motion and OpenCV, strain with calculus."""

from __future__ import annotations

import cv2
import jax
import numpy as np
import pytest

from mejax.motion import flow


def _texture(size=96):
  noise = np.random.default_rng(0).normal(size=(size, size, 3))
  noise = cv2.GaussianBlur(noise, None, 2).astype(np.float32)
  return (noise - noise.min()) / np.ptp(noise)


def _moved(image, u, v):
  """Returns the image moved u pixels to the right and v down."""
  matrix = np.array([[1, 0, u], [0, 1, v]], np.float32)
  return cv2.warpAffine(
    image,
    matrix,
    image.shape[1::-1],
    flags=cv2.INTER_CUBIC,
    borderMode=cv2.BORDER_REFLECT,
  ).clip(0, 1)


@pytest.mark.parametrize(('u', 'v'), [(1.0, 0.0), (0.0, 1.5), (-0.7, 0.4)])
def test_farneback_finds_a_known_shift_u_to_the_right_and_v_down(u, v):
  first = _texture()
  found = flow.farneback(first, _moved(first, u, v))
  inside = found[12:-12, 12:-12]
  np.testing.assert_allclose(np.median(inside, (0, 1)), (u, v), atol=0.1)


def test_farneback_is_opencv_on_the_grey_frames():
  first, second = _texture(), _moved(_texture(), 0.8, -0.3)
  grey = [
    cv2.cvtColor(255 * frame, cv2.COLOR_RGB2GRAY) for frame in (first, second)
  ]
  expected = cv2.calcOpticalFlowFarneback(*grey, None, 0.5, 3, 15, 3, 5, 1.2, 0)
  np.testing.assert_array_equal(flow.farneback(first, second), expected)


def test_farneback_of_a_batch_is_that_of_each_pair():
  first = np.stack([_texture(), _texture()[::-1].copy()])
  second = np.stack([_moved(frame, 0.5, 1.0) for frame in first])
  batch = flow.farneback(first[None], second[None])
  assert batch.shape == (1, 2, 96, 96, 2)
  for i in range(2):
    np.testing.assert_array_equal(
      batch[0, i], flow.farneback(first[i], second[i])
    )


@pytest.mark.parametrize(('u', 'v'), [(1.0, 0.0), (0.0, 1.5), (-0.7, 0.4)])
def test_dis_finds_a_known_shift_u_to_the_right_and_v_down(u, v):
  first = _texture()
  found = flow.dis(first, _moved(first, u, v))
  inside = found[12:-12, 12:-12]
  np.testing.assert_allclose(np.median(inside, (0, 1)), (u, v), atol=0.1)


def test_dis_is_opencv_on_grey_bytes_for_each_pair_of_a_batch():
  first = np.stack([_texture(), _texture()[::-1].copy()])
  second = np.stack([_moved(frame, 0.5, 1.0) for frame in first])
  found = flow.dis(first[None], second[None], preset='fast')
  assert found.shape == (1, 2, 96, 96, 2)
  engine = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
  for i in range(2):
    grey = [
      np.rint(cv2.cvtColor(255 * frame, cv2.COLOR_RGB2GRAY)).astype(np.uint8)
      for frame in (first[i], second[i])
    ]
    np.testing.assert_array_equal(found[0, i], engine.calc(*grey, None))


def test_an_unknown_preset_of_dis_lists_the_known_ones():
  frame = _texture()
  with pytest.raises(ValueError, match='ultrafast.*fast.*medium'):
    flow.dis(frame, frame, preset='slow')


def _linear(ux, uy, vx, vy, size=12):
  """Returns a flow with these derivatives and an irrelevant translation."""
  y, x = np.mgrid[:size, :size].astype(np.float32)
  return np.stack([ux * x + uy * y + 3, vx * x + vy * y - 2], -1)


@pytest.mark.parametrize(
  ('derivatives', 'shreve', 'quarter'),
  [
    ((0.0, 0.0, 0.0, 0.0), 0.0, 0.0),
    ((0.3, 0.0, 0.0, 0.0), 0.3, 0.3),
    ((0.0, 0.0, 0.0, 0.4), 0.4, 0.4),
    ((0.0, 0.2, 0.0, 0.0), 0.2 * 0.5**0.5, 0.1),
    ((0.0, 0.0, 0.2, 0.0), 0.2 * 0.5**0.5, 0.1),
    ((0.0, -0.1, 0.1, 0.0), 0.0, 0.0),
    ((0.3, 0.1, 0.1, 0.4), (0.25 + 0.02) ** 0.5, (0.25 + 0.01) ** 0.5),
  ],
  ids=['shift', 'ux', 'vy', 'uy', 'vx', 'rotation', 'all'],
)
def test_strain_of_linear_flow_is_exact_to_the_border(
  derivatives, shreve, quarter
):
  field = _linear(*derivatives)
  for definition, expected in (('shreve', shreve), ('quarter_shear', quarter)):
    found = flow.strain(field, definition=definition)
    # Differences of a flow carry the rounding of the flow itself.
    np.testing.assert_allclose(found, expected, atol=1e-6 * abs(field).max())


def test_magnitude_is_the_length_of_the_flow():
  field = np.random.default_rng(0).normal(size=(3, 8, 9, 2))
  np.testing.assert_allclose(
    flow.strain(field, definition='magnitude'),
    np.linalg.norm(field, axis=-1),
  )


def test_strain_differentiates_as_numpy_does():
  field = np.random.default_rng(0).normal(size=(8, 11, 2))
  # numpy gives the derivative along rows, d/dy, first.
  (uy, ux), (vy, vx) = (np.gradient(field[..., i]) for i in range(2))
  expected = np.sqrt(ux**2 + vy**2 + 0.5 * (uy + vx) ** 2)
  np.testing.assert_allclose(flow.strain(field), expected)


def test_strain_is_itself_under_jit_and_vmap():
  field = np.random.default_rng(0).normal(size=(4, 8, 9, 2)).astype(np.float32)
  expected = flow.strain(field)
  for function in (
    flow.strain,
    jax.jit(flow.strain),
    jax.vmap(flow.strain),
  ):
    found = function(jax.numpy.asarray(field))
    np.testing.assert_allclose(
      found, expected, rtol=0, atol=1e-5 * expected.max()
    )


def test_an_unknown_definition_lists_the_known_ones():
  with pytest.raises(ValueError, match='shreve.*quarter_shear.*magnitude'):
    flow.strain(np.zeros((4, 4, 2)), definition='os')
