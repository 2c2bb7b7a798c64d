"""Pyramids are compared with OpenCV's and with the sums of their filters."""

from __future__ import annotations

import cv2
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.motion import pyramid


def _plane(*shape, seed=0):
  return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


@hypothesis.given(st.integers(4, 40), st.integers(4, 40), st.integers(1, 4))
@hypothesis.settings(max_examples=4)
def test_a_laplacian_pyramid_collapses_to_its_plane(height, width, levels):
  plane = _plane(2, height, width)
  bands = jax.jit(pyramid.laplacian, static_argnames='levels')(
    plane, levels=levels
  )
  assert len(bands) == levels + 1
  np.testing.assert_allclose(jax.jit(pyramid.collapse)(bands), plane, atol=1e-5)


def test_a_laplacian_level_is_what_opencv_leaves_between_two_scales():
  plane = _plane(40, 56)
  fine, rest = pyramid.laplacian(jnp.asarray(plane), levels=1)
  down = cv2.pyrDown(plane)
  inside = np.s_[4:-4, 4:-4]
  np.testing.assert_allclose(rest[inside], down[inside], atol=1e-5)
  expected = plane - cv2.pyrUp(down)
  np.testing.assert_allclose(fine[inside], expected[inside], atol=1e-5)


@pytest.mark.parametrize('orientations', [2, 4, 8])
def test_steerable_filters_put_a_plane_together_again(orientations):
  height, width, levels = 64, 96, 4
  plane = _plane(height, width)
  spectrum = jnp.fft.fft2(plane)
  filters = pyramid.steerable(
    height, width, levels=levels, orientations=orientations
  )
  total = 0
  for passed in filters:
    part = pyramid.crop(spectrum, passed.shape[-2:]) * passed**2
    total += pyramid.uncrop(part.sum(0), (height, width))
  found = 2 * np.fft.ifft2(total).real
  # All but the coarsest scales, which lie below 2 / 2^levels of half the rate.
  frequency = np.hypot(
    *np.meshgrid(np.fft.fftfreq(width), np.fft.fftfreq(height))
  )
  kept = np.where(frequency >= 0.5 / 2**levels, spectrum, 0)
  lost = np.fft.fft2(found) - kept
  sure = (frequency >= 0.5 / 2**levels) & (frequency < 0.5)
  assert np.abs(lost[sure]).max() < 1e-3 * np.abs(kept[1:]).max()


def test_a_steerable_band_of_a_wave_turns_with_the_wave():
  """A shift of a quarter of the wavelength is a quarter turn of the phase."""
  x = np.arange(64)
  waves = np.cos(2 * np.pi * (x - np.array([0, 2])[:, None, None]) / 8)
  waves = np.broadcast_to(waves, (2, 64, 64))
  passed = pyramid.steerable(64, 64, levels=3, orientations=4)[1][0]
  spectrum = pyramid.crop(jnp.fft.fft2(waves), (32, 32))
  before, after = np.fft.ifft2(spectrum * passed)
  turn = np.angle(after / before)
  np.testing.assert_allclose(turn, -np.pi / 2, atol=1e-4)


def test_crop_keeps_the_lowest_frequencies_and_uncrop_puts_them_back():
  wave = 1 + np.cos(2 * np.pi * np.arange(32) / 16) + np.zeros((16, 1))
  spectrum = np.fft.fft2(wave)
  small = pyramid.crop(jnp.asarray(spectrum), (8, 16))
  found = np.fft.ifft2(small).real / 4
  np.testing.assert_allclose(found, wave[::2, ::2], atol=1e-5)
  back = pyramid.uncrop(small, (16, 32))
  scale = abs(spectrum).max()
  np.testing.assert_allclose(back, spectrum, rtol=0, atol=1e-5 * scale)


def test_double_puts_means_between_the_samples_of_a_periodic_field():
  field = jnp.array([[0.0, 2.0], [4.0, 6.0]])
  expected = [[0, 1, 2, 1], [2, 3, 4, 3], [4, 5, 6, 5], [2, 3, 4, 3]]
  np.testing.assert_allclose(pyramid.double(field), expected)
