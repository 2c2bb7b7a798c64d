"""Finds differences of phase between two frames and multiplies them.

Wadhwa, Rubinstein, Durand, Freeman: "Phase-based video motion processing"
(2013), here for two frames: no filter over time, but phases may differ by more
than half a turn.
"""

from __future__ import annotations

from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Complex
from jaxtyping import Float
import numpy as np

from mejax.motion import pyramid
from mejax.motion import tvl1

FAINT = 1e-3  # Amplitude (of 1) at which half of a phase difference is used.
MARGIN = 16  # Pixels around a plane, whose Fourier transform is periodic.


def luminance_change(
  onset: Float[Array, '*b h w 3'],
  apex: Float[Array, '*b h w 3'],
  *,
  alpha: Float[Array, ''],
  smoothing: float,
  orientations: int,
  levels: int,
) -> Float[Array, '*b h w']:
  """Returns what `magnify.phase` adds to the luminance of the apex.

  Args:
    onset: RGB in [0, 1].
    apex: RGB in [0, 1].
    alpha: factor of the motion.
    smoothing: standard deviation in pixels of the Gaussian over phases.
    orientations: directions of the pyramid.
    levels: octaves of the pyramid.
  """
  height, width = apex.shape[-3:-1]
  widths = [_margins(side, 2**levels) for side in (height, width)]

  def spectrum(frames):
    plane = sum(tvl1.GREY[c] * frames[..., c] for c in range(3))
    flat = [(0, 0)] * (plane.ndim - 2)
    return jnp.fft.fft2(jnp.pad(plane, [*flat, *widths], mode='symmetric'))

  # The difference, not the onset: where the frames are equal, it is exactly 0,
  # and so are its transform, every phase difference and the change.
  moved, difference = spectrum(apex), spectrum(apex - onset)
  filters = pyramid.steerable(
    *moved.shape[-2:], levels=levels, orientations=orientations
  )
  result, expected = None, None
  # From coarse to fine: a phase is known only up to whole turns, and the motion
  # of the coarser level tells the turn at the finer level.
  for level, passed in reversed([*enumerate(filters)]):
    shape = passed.shape[-2:]
    bands = [
      jnp.fft.ifft2(pyramid.crop(x, shape)[..., None, :, :] * passed)
      for x in (moved, difference)
    ]
    # An inverse transform divides by the number of samples. Here that is
    # 4^level times smaller, so the bands are that much larger.
    doubt = (FAINT * 4**level) ** 2
    turn = _turn(*bands, expected, smoothing / 2**level, doubt)
    # The same motion is twice the phase at half the wavelength.
    expected = 2 * pyramid.double(turn) if level else None
    # Only the change goes through the synthesis. The apex itself keeps what the
    # pyramid does not hold: its mean and its coarsest scales.
    new = bands[0] * (_turned((alpha - 1) * turn) - 1)
    new = (jnp.fft.fft2(new) * passed).sum(-3)
    result = new if result is None else new + pyramid.uncrop(result, shape)
  plane = 2 * jnp.fft.ifft2(result).real
  (top, _), (left, _) = widths
  return plane[..., top : top + height, left : left + width]


def _margins(side: int, multiple: int) -> tuple[int, int]:
  """Returns the pixels before and after a side, for a multiple of a number."""
  whole = -(-(side + 2 * MARGIN) // multiple) * multiple
  return MARGIN, whole - side - MARGIN


def _turn(
  apex: Complex[Array, '*b k n m'],
  difference: Complex[Array, '*b k n m'],
  expected: Float[Array, '*b k n m'] | None,
  smoothing: float,
  doubt: float,
) -> Float[Array, '*b k n m']:
  """Returns the angle by which the phase of a band has turned since the onset.

  Where the band is empty, that is the angle expected from the coarser band.
  """
  # apex times the conjugate of the onset, where onset = apex - difference.
  product = apex.real**2 + apex.imag**2 - apex * jnp.conj(difference)
  if expected is not None:
    # The rest of the angle lies within half a turn, where arctan2 is right,
    # even if the whole angle does not.
    product *= _turned(-expected)
  # The complex product is averaged, not the angle: it weights each place by its
  # amplitude, and has no jump at half a turn.
  real, imaginary = (
    _smooth(x, smoothing) for x in (product.real, product.imag)
  )
  # A positive number beside the real part pulls the angle of faint bands, which
  # is noise, to 0.
  turn = jnp.arctan2(imaginary, real + doubt)
  return turn if expected is None else expected + turn


def _turned(angle):
  return lax.complex(jnp.cos(angle), jnp.sin(angle))


def _smooth(field: Float[Array, '*b n m'], sigma: float):
  """Smooths a periodic field by a Gaussian, unless sigma is below 1/6 pixel."""
  reach = int(3 * sigma + 0.5)
  if not reach:
    return field
  weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
  weights = [float(weight) for weight in weights / weights.sum()]
  for axis in (-1, -2):
    size = field.shape[axis]
    widths = [(0, 0)] * field.ndim
    widths[axis] = (reach, reach)
    # Without the barrier XLA recomputes the border for every weight.
    padded = lax.optimization_barrier(jnp.pad(field, widths, mode='wrap'))
    field = sum(
      weight * lax.slice_in_dim(padded, i, i + size, axis=axis)
      for i, weight in enumerate(weights)
    )
  return field
