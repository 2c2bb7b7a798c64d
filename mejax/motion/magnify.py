"""Amplifies motion: makes the apex look as if it had moved alpha times as far.

Every method takes two aligned frames, the onset and the apex, and returns the
apex with its motion since the onset multiplied by alpha. With alpha = 1 the
result is the apex itself, bit for bit; a larger alpha amplifies, a smaller one
attenuates, and near 0 the result looks like the onset. Papers on Eulerian
methods write 1 + alpha for our alpha: their 10 is our 11. Frames are RGB in
[0, 1], and the result is clipped to that range.

`MAGNIFY` maps names to methods.
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
from mejax.motion import tvl1
from mejax.motion import warp

SMALLEST = 16  # Pixels of the shorter side, as for the flow.
# [*b, h, w, 3]. The functions check the shape themselves, for a better message.
Frames = Float[Array | np.ndarray, '...']
# A traced option may be a number or an array.
Scalar = float | int | Num[Array | np.ndarray, '']


def linear(
  onset: Frames,
  apex: Frames,
  *,
  alpha: Scalar,
  motion: Scalar = 0.5,
) -> Float[Array, '*b h w 3']:
  """Adds alpha - 1 times the difference of the frames, scale by scale.

  A motion of d pixels looks like an added difference only while alpha * d is
  below an eighth of the wavelength. So a level of wavelength w has the factor
  min(alpha, w / (8 * motion)), but at least 1. A change of light over the whole
  frame is not amplified. Wu, Rubinstein, Shih, Guttag, Durand, Freeman:
  "Eulerian video magnification for revealing subtle changes in the world"
  (2012), eq. 14 for two frames.

  Args:
    onset: RGB in [0, 1].
    apex: RGB in [0, 1].
    alpha: factor of the motion.
    motion: longest expected motion between the frames, in pixels.

  Raises:
    ValueError: alpha or motion is not positive and finite; the frames differ in
      shape or are smaller than 16 pixels.
  """
  alpha = _check_frames(onset, apex, alpha)
  motion = _as_positive(motion, 'motion')
  return _linear(onset, apex, alpha, motion)


@jax.jit
def _linear(onset, apex, alpha, motion):
  change = _amplify_levels(apex - onset, alpha, motion)
  return _finish(apex, change, alpha)


def _amplify_levels(change, alpha, motion):
  """Multiplies a change by factor - 1 at each scale (the rule of an eighth)."""
  # Each colour is a plane of its own, with rows and columns as the last axes.
  planes = jnp.moveaxis(change, -1, -3)
  # As many levels as fit: the rest is then a change of light over the frame,
  # which is dropped below.
  levels = int(math.log2(min(planes.shape[-2:]))) - 1
  *bands, rest = pyramid.laplacian(planes, levels=levels)
  amplified = []
  for level, band in enumerate(bands):
    wavelength = 5 * 2**level  # In pixels; the level passes this one best.
    # At least 1: a level that is too fine stays as it is, and is not damped.
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

  Noise is moved, but hardly amplified. A difference of phase is known only up
  to whole turns, so each level takes the turn that is nearest to the motion of
  the coarser level. Motion may therefore be longer than half a wavelength of
  the finer levels. Only the luminance is analysed; its change is added to all
  three channels. Wadhwa, Rubinstein, Durand, Freeman: "Phase-based video motion
  processing" (2013).

  Args:
    onset: RGB in [0, 1].
    apex: RGB in [0, 1].
    alpha: factor of the motion.
    smoothing: standard deviation in pixels of the Gaussian that averages
      phases, weighted by amplitude.
    orientations: directions of the pyramid, at least 2.
    levels: octaves of the pyramid; by default as many as fit.
    pairs_at_once: number of pairs that are computed together; by default the
      whole batch, but 1 on a CPU, where one pair stays in cache.

  Raises:
    ValueError: alpha is not positive and finite; the frames differ in shape or
      are smaller than 16 pixels; there are fewer than two orientations or no
      level; smoothing is negative.
  """
  alpha = _check_frames(onset, apex, alpha)
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
    plane = phases.luminance_change(onset, apex, alpha=alpha, **options)
    return _finish(apex, plane[..., None], alpha)

  return _in_parts(method, jnp.asarray(onset), jnp.asarray(apex), pairs_at_once)


def flow(
  onset: Frames,
  apex: Frames,
  *,
  alpha: Scalar,
  iterations: int = 10,
  light: bool = True,
  pairs_at_once: int | None = None,
) -> Float[Array, '*b h w 3']:
  """Warps the apex alpha - 1 times further along the TV-L1 flow.

  Let g be the flow from apex to onset. The content at z in the apex was at
  z + g(z) in the onset, and is carried on to y = z - (alpha - 1) g(z). Each
  pixel y finds its z by the fixed point z <- y + (alpha - 1) g(z), which
  converges where alpha - 1 times the slope of g is below 1. With steeper motion
  the frame folds over and several z come to one y. The last iterate is then
  used: a pixel of the apex at most (alpha - 1) max |g| away, so that no hole is
  left.

  Args:
    onset: RGB in [0, 1].
    apex: RGB in [0, 1].
    alpha: factor of the motion.
    iterations: steps of the fixed point.
    light: as for `tvl1`; the amplified apex keeps the light of the apex.
    pairs_at_once: as for `phase`.

  Raises:
    ValueError: alpha or iterations is not positive; the frames differ in shape
      or are smaller than 16 pixels.
  """
  alpha = _check_frames(onset, apex, alpha)
  _as_positive(iterations, 'iterations')
  return _flow(
    onset,
    apex,
    alpha,
    iterations=iterations,
    light=light,
    pairs_at_once=pairs_at_once,
  )


@functools.partial(
  jax.jit, static_argnames=('iterations', 'light', 'pairs_at_once')
)
def _flow(onset, apex, alpha, *, pairs_at_once, **options):
  method = functools.partial(_move_on, alpha=alpha, **options)
  return _in_parts(method, onset, apex, pairs_at_once)


def _move_on(onset, apex, *, alpha, iterations, light):
  # From apex to onset, although the motion goes the other way: this flow is
  # known at the pixels of the apex, whose colours are to be moved.
  back = (alpha - 1) * tvl1.tvl1(apex, onset, light=light)

  def refine(_, offset):
    return warp.by_flow(back, offset)

  # `back` is the first iterate already, so the loop counts from 1.
  offset = lax.fori_loop(1, iterations, refine, back)
  # Bilinear is enough for a flow, which is smooth. Colours are interpolated
  # once, and bicubically, since bilinear interpolation would blur them.
  warped = warp.by_flow(apex, offset, method='bicubic')
  return _finish(warped, 0.0, alpha, unchanged=apex)


def learned(
  onset: Frames,
  apex: Frames,
  *,
  alpha: Scalar,
  params: PyTree | None = None,
) -> Float[Array, '*b h w 3']:
  """Amplifies by MagNet, a network that separates shape from texture.

  The network decodes the apex twice, as it is and amplified, and the difference
  of the two is added to the apex. Errors that both decodings share cancel. Oh
  et al., "Learning-based video motion magnification" (2018).

  Args:
    onset: RGB in [0, 1], of any size; the network sees it in [-1, 1], mirrored
      at the border to sides that are multiples of 4.
    apex: RGB in [0, 1].
    alpha: factor of the motion.
    params: parameters from `magnet.from_torch` or `magnet.load_params`.

  Raises:
    ValueError: params are missing or belong to another network; alpha is not
      positive and finite; the frames differ in shape or are smaller than 16
      pixels.
  """
  alpha = _check_frames(onset, apex, alpha)
  if params is None:
    raise ValueError(
      'learned needs params=: magnet.from_torch(file) reads PyTorch weights, '
      'magnet.load_params(file) those that '
      'python -m mejax.motion.magnet_training writes'
    )
  return _learned(onset, apex, alpha, params, module=magnet.network(params))


@functools.partial(jax.jit, static_argnames='module')
def _learned(onset, apex, alpha, params, *, module):
  height, width = apex.shape[-3:-1]
  # The encoder halves the frame twice and the decoder doubles it twice.
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
  """Applies a method for pairs of frames to `parts` pairs at a time."""
  # A batch that is larger than the cache makes a CPU wait for its memory.
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
  """Returns the sum clipped to [0, 1], or for alpha = 1 the frames as given."""
  # `where`, not `if`: alpha may be traced, and may differ along a vmap.
  unchanged = frames if unchanged is None else unchanged
  return jnp.where(alpha == 1, unchanged, jnp.clip(frames + change, 0, 1))


def _check_frames(
  onset: Frames, apex: Frames, alpha: Scalar
) -> Float[Array, '']:
  """Checks the arguments of a method and returns alpha as an array."""
  if onset.shape != apex.shape:
    raise ValueError(
      f'onset and apex must have one shape, not {onset.shape} and {apex.shape}'
    )
  if apex.ndim < 3 or apex.shape[-1] != 3 or min(apex.shape[-3:-1]) < SMALLEST:
    raise ValueError(
      f'frames must be [*b, h, w, 3] with at least {SMALLEST} rows and '
      f'columns, not {apex.shape}'
    )
  return _as_positive(alpha, 'alpha')


def _as_positive(value: Scalar, name: str) -> Float[Array, '']:
  """Returns the value as an array; raises if it is not positive and finite.

  A traced value passes, because it is not known yet.
  """
  traced = isinstance(value, jax.core.Tracer)
  if not traced and not (math.isfinite(value) and value > 0):
    raise ValueError(f'{name} must be positive and finite, not {value}')
  return jnp.asarray(value, jnp.float32)


class _Methods(dict[str, Callable[..., Array]]):
  """A table that raises a ValueError with the known names for other names."""

  def __missing__(self, name: str) -> Callable[..., Array]:
    raise ValueError(f'unknown method {name!r}; known: {tuple(self)}')


MAGNIFY = _Methods(linear=linear, phase=phase, flow=flow, learned=learned)
# Longest amplified motion, alpha times motion, in pixels: beyond it the PSNR
# of smoothly moved faces falls below 30 dB (tests/benchmarks/magnify_truth.py).
REACH = {'linear': 1.0, 'phase': 3.0, 'flow': 10.0, 'learned': 10.0}
