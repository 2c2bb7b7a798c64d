"""Differences of phase between two frames, found and multiplied."""

from __future__ import annotations

from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Complex
from jaxtyping import Float
import numpy as np

from mejax.motion import pyramid
from mejax.motion.tvl1 import GREY

FAINT = 1e-3  # Amplitude of a band at which its phase is half believed.
MARGIN = 16  # Pixels around a plane, whose Fourier transform is periodic.


def change(
  onset: Float[Array, '*b h w 3'],
  apex: Float[Array, '*b h w 3'],
  *,
  alpha: Float[Array, ''],
  smoothing: float,
  orientations: int,
  levels: int,
) -> Float[Array, '*b h w']:
  """What is to be added to the luminance of the apex, for `magnify.phase`."""
  height, width = apex.shape[-3:-1]
  widths = [_margins(side, 2**levels) for side in (height, width)]

  def spectrum(frames):
    plane = sum(GREY[c] * frames[..., c] for c in range(3))
    flat = [(0, 0)] * (plane.ndim - 2)
    return jnp.fft.fft2(jnp.pad(plane, [*flat, *widths], mode='symmetric'))

  # The difference, not the onset: equal frames then differ by exactly nothing.
  moved, difference = spectrum(apex), spectrum(apex - onset)
  filters = pyramid.steerable(
    *moved.shape[-2:], levels=levels, orientations=orientations
  )
  result, expected = None, None
  for level, passed in reversed([*enumerate(filters)]):
    shape = passed.shape[-2:]
    bands = [
      jnp.fft.ifft2(pyramid.crop(x, shape)[..., None, :, :] * passed)
      for x in (moved, difference)
    ]
    # The smaller transform leaves bands 4^level times as large.
    doubt = (FAINT * 4**level) ** 2
    turn = _turn(*bands, expected, smoothing / 2**level, doubt)
    expected = 2 * pyramid.double(turn) if level else None
    new = bands[0] * (_turned((alpha - 1) * turn) - 1)
    new = (jnp.fft.fft2(new) * passed).sum(-3)
    result = new if result is None else new + pyramid.uncrop(result, shape)
  plane = 2 * jnp.fft.ifft2(result).real
  (top, _), (left, _) = widths
  return plane[..., top : top + height, left : left + width]


def _margins(side: int, multiple: int) -> tuple[int, int]:
  whole = -(-(side + 2 * MARGIN) // multiple) * multiple
  return MARGIN, whole - side - MARGIN


def _turn(
  apex: Complex[Array, '*b k n m'],
  difference: Complex[Array, '*b k n m'],
  expected: Float[Array, '*b k n m'] | None,
  smoothing: float,
  doubt: float,
) -> Float[Array, '*b k n m']:
  """How far the phase of a band has turned since the onset.

  Where there is nothing in the band, it is as expected from the coarser one.
  """
  # apex times the conjugate of the onset, which is apex - difference.
  product = apex.real**2 + apex.imag**2 - apex * jnp.conj(difference)
  if expected is not None:
    product *= _turned(-expected)
  real, imaginary = (
    _smooth(x, smoothing) for x in (product.real, product.imag)
  )
  turn = jnp.arctan2(imaginary, real + doubt)
  return turn if expected is None else expected + turn


def _turned(angle):
  return lax.complex(jnp.cos(angle), jnp.sin(angle))


def _smooth(field: Float[Array, '*b n m'], sigma: float):
  """Gaussian smoothing of a periodic field; none where it would be slight."""
  reach = int(3 * sigma + 0.5)
  if not reach:
    return field
  weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
  weights = [float(weight) for weight in weights / weights.sum()]
  for axis in (-1, -2):
    size = field.shape[axis]
    widths = [(0, 0)] * field.ndim
    widths[axis] = (reach, reach)
    # Without the barrier XLA works out the border anew for every weight.
    padded = lax.optimization_barrier(jnp.pad(field, widths, mode='wrap'))
    field = sum(
      weight * lax.slice_in_dim(padded, i, i + size, axis=axis)
      for i, weight in enumerate(weights)
    )
  return field
