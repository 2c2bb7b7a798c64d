"""Amplification: the apex as it would look if it had moved alpha times as far.

Every method takes two aligned frames and gives the second one with its motion
since the first multiplied by alpha: 1 is the apex itself, bit for bit; more
than 1 amplifies, less attenuates, and near 0 the apex looks like the onset.
Papers on Eulerian methods write 1 + alpha for what is alpha here: their 10 is
our 11. Frames are RGB in [0, 1], and so is the result: what amplification
pushes beyond is clipped.

`MAGNIFY` holds the methods under their names.
"""

from __future__ import annotations

from collections.abc import Callable
import functools
import math

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Num
from jaxtyping import PyTree
import numpy as np

from mejax.motion import magnet
from mejax.motion import phases
from mejax.motion import pyramid
from mejax.motion import temporal
from mejax.motion import warp
from mejax.motion.tvl1 import tvl1

SMALLEST = 16  # Pixels of the shorter side, as for the flow.
# [*b, h, w, 3]; functions check that themselves and say what is wrong.
Frames = Float[Array | np.ndarray, '...']
# What is traced may be given as a number or as an array.
Scalar = float | int | Num[Array | np.ndarray, '']


def linear(
  onset: Frames,
  apex: Frames,
  *,
  alpha: Scalar,
  motion: Scalar = 0.5,
) -> Float[Array, '*b h w 3']:
  """Adds alpha - 1 times the difference of the frames, scale by scale.

  Moving by d pixels looks like adding a difference only while alpha * d is
  below an eighth of the wavelength. So the factor of a level of wavelength w
  is min(alpha, w / (8 * motion)), at least 1, where `motion` is the longest
  motion to expect between the frames, in pixels; light that changes over the
  whole frame is not amplified. Wu, Rubinstein, Shih, Guttag, Durand, Freeman:
  "Eulerian video magnification for revealing subtle changes in the world"
  (2012), eq. 14 for two frames.

  Raises:
    ValueError: alpha or motion not positive; shapes that differ, or frames
      smaller than 16 pixels.
  """
  alpha = _check(onset, apex, alpha)
  motion = _check_positive(motion, 'motion')
  return _linear(onset, apex, alpha, motion)


@jax.jit
def _linear(onset, apex, alpha, motion):
  change = _amplify_levels(apex - onset, alpha, motion)
  return _finish(apex, change, alpha)


def linear_clip(
  frames: Frames,
  *,
  alpha: Scalar,
  band: tuple[float | int, float | int],
  fps: float | int,
  order: int = 2,
  motion: Scalar = 0.5,
) -> Float[Array, '*b t h w 3']:
  """Adds alpha - 1 times what changes at the frequencies of a band, in Hz.

  The band is passed by a Butterworth filter of the given order without delay:
  its gain, not its phase, is applied to the Fourier transform of the clip,
  mirrored at its ends. Scales are treated as by `linear`, `motion` being the
  longest within the band.

  Raises:
    ValueError: alpha, motion, fps or order not positive; a band that is not
      0 < low < high < fps / 2, or that is slower than the clip is long; no
      clip of at least 2 frames of at least 16 pixels.
  """
  if frames.ndim < 4:
    raise ValueError(f'a clip must be [*b, t, h, w, 3], not {frames.shape}')
  alpha = _check(frames, frames, alpha)
  motion = _check_positive(motion, 'motion')
  gain = temporal.butterworth(frames.shape[-4], band, fps, order)
  return _linear_clip(frames, gain, alpha, motion)


@jax.jit
def _linear_clip(frames, gain, alpha, motion):
  frames = jnp.asarray(frames)
  # A clip that stands still differs from its first frame by exactly nothing.
  since_first = frames - frames[..., :1, :, :, :]
  passed = jnp.einsum(
    'st,...thwc->...shwc', gain, since_first, precision='highest'
  )
  return _finish(frames, _amplify_levels(passed, alpha, motion), alpha)


def _amplify_levels(change, alpha, motion):
  """(factor - 1) times a change at each scale, by the rule of an eighth."""
  planes = jnp.moveaxis(change, -1, -3)
  # To the end: what is left is about as large as the frame.
  levels = int(math.log2(min(planes.shape[-2:]))) - 1
  *bands, rest = pyramid.laplacian(planes, levels=levels)
  amplified = []
  for level, band in enumerate(bands):
    wavelength = 5 * 2**level  # In pixels; what the level passes best.
    factor = jnp.minimum(alpha, jnp.maximum(wavelength / (8 * motion), 1))
    amplified.append((factor - 1) * band)
  planes = pyramid.collapse([*amplified, jnp.zeros_like(rest)])
  return jnp.moveaxis(planes, -3, -1)


def phase(
  onset: Frames,
  apex: Frames,
  *,
  alpha: Scalar,
  smoothing: float | int = 3.0,
  orientations: int = 4,
  levels: int | None = None,
  pairs_at_once: int | None = None,
) -> Float[Array, '*b h w 3']:
  """Multiplies differences of phase in a complex steerable pyramid by alpha.

  Noise is moved, hardly amplified. Phases are averaged over Gaussians of
  `smoothing` pixels, weighted by amplitude. A difference of phase is known but
  for whole turns, so each level takes those that come nearest to the motion of
  the coarser one: motion may be longer than half a wavelength of the finer
  levels. The luminance moves; its change is added to the three channels alike.
  Wadhwa, Rubinstein, Durand, Freeman: "Phase-based video motion processing"
  (2013).

  `pairs_at_once` is how many pairs of a batch are worked on together: by
  default all, but 1 on a CPU, where one pair stays in cache.

  Raises:
    ValueError: alpha not positive; shapes that differ, or frames smaller than
      16 pixels; no orientation, no level or negative smoothing.
  """
  alpha = _check(onset, apex, alpha)
  if levels is None:
    levels = pyramid.num_levels(*apex.shape[-3:-1])
  if orientations < 2 or levels < 1 or smoothing < 0:
    raise ValueError(
      'orientations must be at least 2, levels at least 1 and smoothing at '
      f'least 0, not {orientations}, {levels} and {smoothing}'
    )
  return _phase(
    onset,
    apex,
    alpha,
    smoothing=float(smoothing),
    orientations=orientations,
    levels=levels,
    pairs_at_once=pairs_at_once,
  )


@functools.partial(
  jax.jit,
  static_argnames=('smoothing', 'orientations', 'levels', 'pairs_at_once'),
)
def _phase(onset, apex, alpha, *, pairs_at_once, **options):
  def method(onset, apex):
    plane = phases.change(onset, apex, alpha=alpha, **options)
    return _finish(apex, plane[..., None], alpha)

  return _in_parts(method, jnp.asarray(onset), jnp.asarray(apex), pairs_at_once)


def flow(
  onset: Frames,
  apex: Frames,
  *,
  alpha: Scalar,
  iterations: int = 10,
  pairs_at_once: int | None = None,
) -> Float[Array, '*b h w 3']:
  """Warps the apex alpha - 1 times further along the TV-L1 flow.

  What is at z in the apex was at z + g(z) in the onset, g being the flow from
  apex to onset, and comes to y = z - (alpha - 1) g(z). Each pixel y looks its z
  up by the fixed point z <- y + (alpha - 1) g(z), which is found where
  alpha - 1 times the slope of g is below 1. Beyond that the motion folds the
  frame over, more than one z comes to y, and the result is the last of the
  iterates: a pixel of the apex at most (alpha - 1) max |g| away, no hole.
  `pairs_at_once` is as for `phase`.

  Raises:
    ValueError: alpha not positive; shapes that differ, or frames smaller than
      16 pixels; no iteration.
  """
  alpha = _check(onset, apex, alpha)
  _check_positive(iterations, 'iterations')
  return _flow(
    onset, apex, alpha, iterations=iterations, pairs_at_once=pairs_at_once
  )


@functools.partial(jax.jit, static_argnames=('iterations', 'pairs_at_once'))
def _flow(onset, apex, alpha, *, iterations, pairs_at_once):
  method = functools.partial(_move_on, alpha=alpha, iterations=iterations)
  return _in_parts(method, onset, apex, pairs_at_once)


def _move_on(onset, apex, *, alpha, iterations):
  back = (alpha - 1) * tvl1(apex, onset)

  def refine(_, offset):
    return warp.by_flow(back, offset)

  offset = lax.fori_loop(1, iterations, refine, back)
  warped = warp.by_flow(apex, offset, method='bicubic')
  return _finish(warped, 0.0, alpha, unchanged=apex)


def learned(
  onset: Frames,
  apex: Frames,
  *,
  alpha: Scalar,
  params: PyTree | None = None,
) -> Float[Array, '*b h w 3']:
  """Amplifies by MagNet, a network that tells shape from texture.

  `params` are what `magnet.from_torch` reads, or what magnet_training makes.
  The network sees frames in [-1, 1], mirrored to sides that are multiples of 4.
  To the apex is added what amplification changes in the network's own picture
  of it, so that errors of that picture do not count. Oh et al., "Learning-based
  video motion magnification" (2018).

  Raises:
    ValueError: no params, or params of something else; alpha not positive;
      shapes that differ, or frames smaller than 16 pixels.
  """
  alpha = _check(onset, apex, alpha)
  if params is None:
    raise ValueError(
      'learned needs params=: magnet.from_torch(file) reads PyTorch weights, '
      'python -m mejax.motion.magnet_training makes some for load_params(file)'
    )
  return _learned(onset, apex, alpha, params, module=magnet.network(params))


@functools.partial(jax.jit, static_argnames='module')
def _learned(onset, apex, alpha, params, *, module):
  height, width = apex.shape[-3:-1]
  more = [(0, 0), (0, -height % 4), (0, -width % 4), (0, 0)]
  before, after = (
    2 * jnp.pad(x.reshape(-1, *x.shape[-3:]), more, mode='symmetric') - 1
    for x in (onset, apex)
  )
  moved, rebuilt = module.apply(
    {'params': params}, before, after, alpha - 1, method='both'
  )
  change = (moved - rebuilt)[:, :height, :width].reshape(apex.shape)
  return _finish(apex, change / 2, alpha)


def _in_parts(
  method: Callable[..., Array], onset: Frames, apex: Frames, parts: int | None
) -> Float[Array, '*b h w 3']:
  """A method for pairs of frames, applied to so many of a batch at once."""
  if parts is None and jax.default_backend() == 'cpu':
    parts = 1
  if parts is not None and parts < 1:
    raise ValueError(f'pairs_at_once must be at least 1, not {parts}')
  pairs = [jnp.reshape(x, (-1, *x.shape[-3:])) for x in (onset, apex)]
  if parts is None or parts >= len(pairs[0]):
    return method(*pairs).reshape(apex.shape)
  frames = lax.map(lambda pair: method(*pair), tuple(pairs), batch_size=parts)
  return frames.reshape(apex.shape)


def _finish(frames, change, alpha, *, unchanged=None):
  """The sum within [0, 1]; for alpha = 1 the frames as they came."""
  unchanged = frames if unchanged is None else unchanged
  return jnp.where(alpha == 1, unchanged, jnp.clip(frames + change, 0, 1))


def _check(onset: Frames, apex: Frames, alpha: Scalar) -> Float[Array, '']:
  """Alpha as an array, if frames and alpha make sense."""
  if onset.shape != apex.shape:
    raise ValueError(
      f'onset and apex must have one shape, not {onset.shape} and {apex.shape}'
    )
  if apex.ndim < 3 or apex.shape[-1] != 3 or min(apex.shape[-3:-1]) < SMALLEST:
    raise ValueError(
      f'frames must be [*b, h, w, 3] with at least {SMALLEST} rows and '
      f'columns, not {apex.shape}'
    )
  return _check_positive(alpha, 'alpha')


def _check_positive(value: Scalar, name: str) -> Float[Array, '']:
  """The number as an array, unless it is known not to be positive and finite.

  What is traced has no value yet.
  """
  traced = isinstance(value, jax.core.Tracer)
  if not traced and not (math.isfinite(value) and value > 0):
    raise ValueError(f'{name} must be positive and finite, not {value}')
  return jnp.asarray(value, jnp.float32)


class _Methods(dict[str, Callable[..., Array]]):
  """A table that says what it knows."""

  def __missing__(self, name: str) -> Callable[..., Array]:
    raise ValueError(f'unknown method {name!r}; known: {tuple(self)}')


MAGNIFY = _Methods(linear=linear, phase=phase, flow=flow, learned=learned)
