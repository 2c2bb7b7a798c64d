"""Warps are compared with SciPy, polynomials and OpenCV."""

from __future__ import annotations

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from mejax.motion import warp


def _image(height=9, width=12, channels=3, seed=0):
  noise = np.random.default_rng(seed).uniform(size=(height, width, channels))
  return noise.astype(np.float32)


def _points(seed=1, spread=4.0):
  """Returns places in and around an image of 9 x 12 pixels."""
  source = np.random.default_rng(seed)
  return source.uniform(-spread, 10 + spread, (5, 6, 2)).astype(np.float32)


def test_bilinear_is_that_of_scipy_far_beyond_the_border():
  image, points = _image(), _points(spread=60)
  found = warp.sample(image, points)
  for c in range(3):
    expected = scipy.ndimage.map_coordinates(
      image[..., c],
      [points[..., 1], points[..., 0]],
      order=1,
      mode='nearest',
    )
    np.testing.assert_allclose(found[..., c], expected, atol=1e-4)


@pytest.mark.parametrize('method', warp.METHODS)
@pytest.mark.parametrize('border', warp.BORDERS)
def test_a_border_is_that_of_the_padded_image(method, border):
  image, points = _image(), _points()
  mode = 'constant' if border == 'zero' else border
  padded = np.pad(image, [(7, 7), (7, 7), (0, 0)], mode=mode)
  options = {'method': method, 'border': border}
  np.testing.assert_allclose(
    warp.sample(image, points, **options),
    warp.sample(padded, points + 7, **options),
    atol=1e-5,
  )


def test_bicubic_is_exact_for_quadratic_images_and_bilinear_for_linear_ones():
  y, x = np.mgrid[:16, :16].astype(np.float32)
  points = np.random.default_rng(0).uniform(1, 13, (8, 8, 2))
  points = points.astype(np.float32)
  px, py = points[..., 0], points[..., 1]
  linear = (2 * x - 3 * y + 1)[..., None]
  quadratic = (x**2 - 2 * x * y + 0.5 * y**2 + y)[..., None]
  np.testing.assert_allclose(
    warp.sample(linear, points)[..., 0], 2 * px - 3 * py + 1, atol=1e-4
  )
  np.testing.assert_allclose(
    warp.sample(quadratic, points, method='bicubic')[..., 0],
    px**2 - 2 * px * py + 0.5 * py**2 + py,
    atol=2e-3,
  )


@pytest.mark.parametrize('method', warp.METHODS)
def test_whole_pixels_are_copied(method):
  image = _image()
  flow = np.zeros((9, 12, 2), np.float32)
  np.testing.assert_array_equal(warp.by_flow(image, flow, method=method), image)
  moved = warp.by_flow(image, flow + [2, -1], method=method, border='zero')
  np.testing.assert_allclose(moved[1:, :-2], image[:-1, 2:], atol=1e-6)
  np.testing.assert_array_equal(moved[0], 0)


def test_by_matrix_is_the_warp_of_opencv_to_another_size():
  image = cv2.GaussianBlur(_image(40, 50), None, 2)
  matrix = np.array([[0.9, 0.2, 3.0], [-0.2, 0.9, 8.0]], np.float32)
  expected = cv2.warpAffine(
    image,
    matrix,
    (30, 20),
    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    borderMode=cv2.BORDER_REPLICATE,
  )
  found = warp.by_matrix(image, matrix, size=(20, 30))
  # OpenCV rounds places to 1/32 pixel.
  np.testing.assert_allclose(found, expected, atol=6e-3)


@pytest.mark.parametrize('method', warp.METHODS)
def test_a_batch_is_each_image_under_jit_and_vmap(method):
  images = np.stack([_image(seed=i) for i in range(6)])
  flows = np.random.default_rng(2).normal(size=(6, 9, 12, 2))
  flows = flows.astype(np.float32)

  def function(image, flow):
    return warp.by_flow(image, flow, method=method, border='zero')

  alone = np.stack(
    [function(*pair) for pair in zip(images, flows, strict=True)]
  )
  deep = function(images.reshape(2, 3, 9, 12, 3), flows.reshape(2, 3, 9, 12, 2))
  for batch in (
    deep.reshape(alone.shape),
    jax.jit(function)(images, flows),
    jax.vmap(function)(images, flows),
  ):
    # Values in [0, 1], the sum of 16 products with rounded places.
    np.testing.assert_allclose(batch, alone, rtol=0, atol=1e-5)


def test_a_warp_is_differentiable_in_its_flow():
  y, x = np.mgrid[:8, :8].astype(np.float32)
  image = jnp.asarray(3 * x - 2 * y)[..., None]

  def middle(flow):
    return warp.by_flow(image, jnp.broadcast_to(flow, (8, 8, 2)))[4, 4, 0]

  slope = jax.grad(middle)(jnp.array([0.3, 0.6]))
  np.testing.assert_allclose(slope, [3, -2], atol=1e-5)


def test_what_is_unknown_lists_what_is_known():
  image, points = _image(), _points()
  with pytest.raises(ValueError, match='bilinear.*bicubic'):
    warp.sample(image, points, method='lanczos')
  with pytest.raises(ValueError, match='edge.*zero'):
    warp.sample(image, points, border='wrap')
