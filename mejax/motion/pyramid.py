"""Pictures taken apart by scale and direction, and put together again.

Planes are [*b, h, w], one channel each.

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
  """Octaves that fit: the coarsest holds about four of its samples."""
  return max(int(math.log2(min(height, width))) - 2, 1)


def laplacian(plane: Plane, *, levels: int) -> list[Float[Array, '...']]:
  """Differences between scales, the finest first; the rest comes last."""
  bands = []
  for _ in range(levels):
    coarse = _reduce(_reduce(plane, -1), -2)
    bands.append(plane - _expand_to(coarse, plane.shape))
    plane = coarse
  return [*bands, plane]


def collapse(bands: list[Float[Array, '...']]) -> Plane:
  """The plane whose Laplacian pyramid this is."""
  *bands, plane = bands
  for band in reversed(bands):
    plane = band + _expand_to(plane, band.shape)
  return plane


def _reduce(plane, axis: int):
  """Every second value, after smoothing by (1, 4, 6, 4, 1) / 16."""
  size = plane.shape[axis]
  padded = _padded(plane, axis, 2)
  return sum(
    weight / 16 * lax.slice_in_dim(padded, i, i + size, stride=2, axis=axis)
    for i, weight in enumerate((1, 4, 6, 4, 1))
  )


def _expand_to(plane, shape: tuple[int, ...]):
  for axis in (-1, -2):
    size = plane.shape[axis]
    padded = _padded(plane, axis, 1)
    before, here, after = (
      lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3)
    )
    even, odd = (before + 6 * here + after) / 8, (here + after) / 2
    both = _interleave(even, odd, axis)
    plane = lax.slice_in_dim(both, 0, shape[axis], axis=axis)
  return plane


def _padded(plane, axis: int, width: int):
  widths = [(0, 0)] * plane.ndim
  widths[axis] = (width, width)
  # Without the barrier XLA works out the border anew for every tap of a filter,
  # and takes long to compile that.
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
  """Filters of a complex steerable pyramid, f32[k, n, m] each, finest first.

  They multiply spectra with the zero frequency first. Level l passes an octave
  about the wavelength 4 * 2^l pixels and needs 1 / 2^l of the samples, so its
  filters are as large as the middle of the spectrum that `crop` cuts out; sides
  must be divisible by 2^levels. The finest level reaches into the corners of
  the spectrum. A filter passes one half of the plane: twice the real part of
  the bands, filtered once more and summed, is the plane without its mean and
  its coarsest scales.
  """
  filters = []
  for level in range(levels):
    n, m = height >> level, width >> level
    y = np.fft.fftfreq(n)[:, None] * 2 / 2**level  # Of the Nyquist frequency.
    x = np.fft.fftfreq(m) * 2 / 2**level
    # Octaves above the middle of the band; the zero frequency is far below.
    octave = np.log2(np.maximum(np.hypot(x, y), 1e-9)) + level + 1
    ring = np.cos(np.pi / 2 * np.clip(octave, -1, 1))
    if level == 0:
      ring = np.where(octave > 0, 1, ring)
    angle = np.arctan2(y, x)
    steps = np.arange(orientations)[:, None, None] * np.pi / orientations
    along = np.maximum(np.cos(angle - steps), 0)
    order = orientations - 1
    scale = 2**order * math.factorial(order)
    scale /= math.sqrt(orientations * math.factorial(2 * order))
    filters.append(np.float32(scale * ring * along**order))
  return filters


def crop(spectrum: Spectrum, shape: tuple[int, int]) -> Spectrum:
  """The lowest frequencies: the spectrum of the plane with fewer samples."""
  for axis, size in zip((-2, -1), shape, strict=True):
    old = spectrum.shape[axis]
    if size < old:
      half = size // 2
      low = lax.slice_in_dim(spectrum, 0, half, axis=axis)
      high = lax.slice_in_dim(spectrum, old - half, old, axis=axis)
      spectrum = jnp.concatenate([low, high], axis)
  return spectrum


def uncrop(spectrum: Spectrum, shape: tuple[int, int]) -> Spectrum:
  """The spectrum with zeros at the frequencies that `crop` takes away."""
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
  """A periodic field on twice as many samples, linear between them."""
  for axis in (-1, -2):
    field = _interleave(field, (field + jnp.roll(field, -1, axis)) / 2, axis)
  return field
