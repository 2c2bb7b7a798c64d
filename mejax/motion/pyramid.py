"""Laplacian and complex steerable pyramids, and their inverses.

A plane is f32[*b, h, w], one channel of an image.

  Burt, Adelson: "The Laplacian pyramid as a compact image code" (1983).
  Portilla, Simoncelli: "A parametric texture model based on joint statistics of
  complex wavelet coefficients" (2000): the complex steerable pyramid.
"""

from __future__ import annotations

import functools
import math

from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Complex
from jaxtyping import Float
import numpy as np

Plane = Float[Array, '*b h w']
Spectrum = Complex[Array, '...']


def num_levels(height: int, width: int) -> int:
  """Returns how many octaves fit, up to waves of half the shorter side."""
  return max(int(math.log2(min(height, width))) - 2, 1)


def laplacian(plane: Plane, *, levels: int) -> list[Float[Array, '...']]:
  """Splits a plane into differences between scales.

  Returns:
    `levels` + 1 planes: the bands, the finest first, each half as large as the
    one before (odd sides rounded up), and the coarse rest.
  """
  bands = []
  for _ in range(levels):
    coarse = _reduce(_reduce(plane, -1), -2)
    bands.append(plane - _expand_to(coarse, plane.shape))
    plane = coarse
  return [*bands, plane]


def collapse(bands: list[Float[Array, '...']]) -> Plane:
  """Returns the plane that `laplacian` splits into these bands."""
  # Exact up to rounding whatever the filters are: each band is defined as what
  # the same `_expand_to` of the coarser plane lacks.
  *bands, plane = bands
  for band in reversed(bands):
    plane = band + _expand_to(plane, band.shape)
  return plane


def _reduce(plane, axis: int):
  """Returns every second value after smoothing by (1, 4, 6, 4, 1) / 16."""
  size = plane.shape[axis]
  padded = _padded(plane, axis, 2)
  return sum(
    weight / 16 * lax.slice_in_dim(padded, i, i + size, stride=2, axis=axis)
    for i, weight in enumerate((1, 4, 6, 4, 1))
  )


def _expand_to(plane, shape: tuple[int, ...]):
  """Returns the plane at twice the resolution, cut to `shape`."""
  for axis in (-1, -2):
    size = plane.shape[axis]
    padded = _padded(plane, axis, 1)
    before, here, after = (
      lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3)
    )
    # (1, 4, 6, 4, 1) / 8 over a plane with zeros between its values. Written
    # for even and odd places apart, it never multiplies by those zeros.
    even, odd = (before + 6 * here + after) / 8, (here + after) / 2
    both = _interleave(even, odd, axis)
    plane = lax.slice_in_dim(both, 0, shape[axis], axis=axis)
  return plane


def _padded(plane, axis: int, width: int):
  widths = [(0, 0)] * plane.ndim
  widths[axis] = (width, width)
  # Without the barrier XLA recomputes the border for every tap of a filter, and
  # takes long to compile that.
  return lax.optimization_barrier(jnp.pad(plane, widths, mode='edge'))


def _interleave(even, odd, axis: int):
  axis %= even.ndim
  both = jnp.stack([even, odd], axis + 1)
  shape = [*even.shape]
  shape[axis] *= 2
  return both.reshape(shape)


@functools.lru_cache(maxsize=16)
def steerable(
  height: int, width: int, *, levels: int, orientations: int
) -> list[np.ndarray]:
  """Returns the filters of a complex steerable pyramid, finest level first.

  They multiply spectra whose zero frequency comes first. Level l passes one
  octave around the wavelength 4 * 2^l pixels. It needs 1 / 2^l of the samples
  along each side, so its filters are as large as the spectrum that `crop`
  returns. The finest level also passes the corners of the spectrum.

  A filter passes one half of the frequency plane. Filter the bands a second
  time, sum them and take twice the real part: the result is the plane without
  its mean and its coarsest scales.

  Args:
    height: rows of the plane, divisible by 2^levels.
    width: columns of the plane, divisible by 2^levels.
    levels: number of octaves.
    orientations: number k of directions, at least 2.

  Returns:
    For each level f32[k, n, m] with n, m = height / 2^level, width / 2^level.
  """
  # NumPy and a cache: under jit the filters are constants of the program.
  filters = []
  for level in range(levels):
    n, m = height >> level, width >> level
    # Frequencies in units of the Nyquist frequency of the whole plane.
    y = np.fft.fftfreq(n)[:, None] * 2 / 2**level
    x = np.fft.fftfreq(m) * 2 / 2**level
    # Octaves above the middle of the band; the zero frequency is far below.
    octave = np.log2(np.maximum(np.hypot(x, y), 1e-9)) + level + 1
    # The squares of neighbouring rings, cos^2 and sin^2, add up to 1. That is
    # why filtering twice and summing brings the plane back.
    ring = np.cos(np.pi / 2 * np.clip(octave, -1, 1))
    if level == 0:
      # No finer level exists that could pass the highest frequencies.
      ring = np.where(octave > 0, 1, ring)
    angle = np.arctan2(y, x)
    steps = np.arange(orientations)[:, None, None] * np.pi / orientations
    # Only the half plane around its own direction: the band is then complex
    # (analytic), and a shift of the image turns its phase.
    along = np.maximum(np.cos(angle - steps), 0)
    # With this power and scale the squares of all directions, taken over both
    # half planes, add up to 1 for any number of directions.
    order = orientations - 1
    scale = 2**order * math.factorial(order)
    scale /= math.sqrt(orientations * math.factorial(2 * order))
    filters.append(np.float32(scale * ring * along**order))
  return filters


def crop(spectrum: Spectrum, shape: tuple[int, int]) -> Spectrum:
  """Returns the lowest frequencies: the spectrum of a plane of fewer samples.

  Values are not rescaled, so the inverse transform of the smaller spectrum is
  larger by the ratio of the numbers of samples.
  """
  for axis, size in zip((-2, -1), shape, strict=True):
    old = spectrum.shape[axis]
    if size < old:
      half = size // 2
      low = lax.slice_in_dim(spectrum, 0, half, axis=axis)
      high = lax.slice_in_dim(spectrum, old - half, old, axis=axis)
      spectrum = jnp.concatenate([low, high], axis)
  return spectrum


def uncrop(spectrum: Spectrum, shape: tuple[int, int]) -> Spectrum:
  """Undoes `crop`, with zeros for the frequencies that it removed."""
  for axis, size in zip((-2, -1), shape, strict=True):
    half = spectrum.shape[axis] // 2
    if size > 2 * half:
      low, high = jnp.split(spectrum, 2, axis)
      gap = [*spectrum.shape]
      gap[axis] = size - 2 * half
      zeros = jnp.zeros(gap, spectrum.dtype)
      spectrum = jnp.concatenate([low, zeros, high], axis)
  return spectrum


def double(field: Float[Array, '*b n m']) -> Float[Array, '*b p q']:
  """Doubles the samples of a periodic field, linearly between the old ones."""
  for axis in (-1, -2):
    field = _interleave(field, (field + jnp.roll(field, -1, axis)) / 2, axis)
  return field
