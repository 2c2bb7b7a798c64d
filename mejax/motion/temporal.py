"""What changes in time within a band of frequencies, in Hz."""

from __future__ import annotations

import math

from jaxtyping import Float
import numpy as np


def butterworth(
  length: int,
  band: tuple[float | int, float | int],
  fps: float | int,
  order: int,
) -> Float[np.ndarray, 't t']:
  """The matrix from values at `length` times to what changes within the band.

  The gain of a Butterworth filter of the given order, without its delay, is
  applied to the Fourier transform of the values mirrored at both ends.

  Raises:
    ValueError: a band that is not 0 < low < high < fps / 2, or slower than
      `length` values last; order below 1.
  """
  if order < 1 or not 0 < fps < math.inf:
    raise ValueError(f'order and fps must be positive, not {order} and {fps}')
  low, high = band
  if not 0 < low < high:
    raise ValueError(
      f'band must be (low, high) with 0 < low < high, not {band}'
    )
  if high >= fps / 2:
    raise ValueError(
      f'band {band} Hz reaches half the frame rate: at {fps} frames a second '
      f'only what is slower than {fps / 2} Hz can be seen'
    )
  if high * 2 * (length - 1) < fps:
    raise ValueError(
      f'band {band} Hz is slower than the clip is long: {length} frames at '
      f'{fps} frames a second last {length / fps:.3g} s'
    )
  mirrored = np.eye(length)[[*range(length), *range(length - 2, 0, -1)]]
  frequency = np.fft.rfftfreq(len(mirrored), 1 / fps)
  slow = (low / np.maximum(frequency, 1e-9)) ** (2 * order)
  fast = (frequency / high) ** (2 * order)
  gain = 1 / np.sqrt((1 + slow) * (1 + fast))
  gain[0] = 0
  spectrum = gain[:, None] * np.fft.rfft(mirrored, axis=0)
  passed = np.fft.irfft(spectrum, len(mirrored), axis=0)
  return np.float32(passed[:length])
