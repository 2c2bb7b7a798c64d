"""The temporal band-pass against SciPy's design."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from mejax.motion import temporal


@pytest.mark.parametrize('order', [1, 2, 4])
def test_the_temporal_filter_has_the_gain_of_a_butterworth(order):
  """High-pass times low-pass, as SciPy designs them (analogue)."""
  fps, band, length = 100.0, (4.0, 12.0), 101
  gain = temporal.butterworth(length, band, fps, order)
  times = np.arange(length) / fps
  for hertz in (2.0, 4.0, 8.0, 12.0, 25.0):
    # Even about both ends of the clip, hence continued by its mirror image.
    wave = np.cos(2 * np.pi * hertz * times)
    expected = 1.0
    for kind, edge in zip(('high', 'low'), band, strict=True):
      design = scipy.signal.butter(order, edge, kind, analog=True)
      expected *= abs(scipy.signal.freqs(*design, worN=[hertz])[1][0])
    np.testing.assert_allclose(gain @ wave, expected * wave, atol=1e-4)
