"""TV-L1 optical flow with a fixed number of iterations, batched and compiled.

The flow minimises the total variation of u and of v plus `attachment` times the
absolute difference between the first frame and the second frame warped back,
from which a smooth change of light was removed (see `mejax.motion.light`).

  Zach, Pock, Bischof: "A duality based approach for realtime TV-L1 optical
  flow" (DAGM 2007): splitting, thresholding and dual step.
  Wedel, Pock, Zach, Bischof, Cremers: "An improved algorithm for TV-L1 optical
  flow" (2009): five-point derivatives averaged over both frames, bicubic
  warps.

Inside this module a field is [2, n, h, w] with u and v first, so that the inner
loop shifts along contiguous memory. The pairs of a batch are independent.
"""

from __future__ import annotations

import functools
import math

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Num
import numpy as np

from mejax.motion import light as motion_light
from mejax.motion import warp

SMALLEST = 16  # Pixels of the shorter side at the coarsest level.
WHITE = 250  # Grey value from which a camera may have cut off the light.
GREY = (0.299, 0.587, 0.114)  # Weights of R, G, B in Rec. 601, as in OpenCV.

Images = Float[Array, 'n h w']
Field = Float[Array, '2 n h w']
# A traced option may be a number or an array.
Scalar = float | int | Num[Array, '']


@functools.partial(
  jax.jit,
  static_argnames=('levels', 'warps', 'iterations', 'light', 'pairs_at_once'),
)
def tvl1(
  first: Num[Array | np.ndarray, '...'],
  second: Num[Array | np.ndarray, '...'],
  *,
  attachment: Scalar = 0.15,
  tightness: Scalar = 0.2,
  step: Scalar = 0.25,
  blur: Scalar = 0.7,
  levels: int = 4,
  warps: int = 2,
  iterations: int = 30,
  light: bool = True,
  pairs_at_once: int | None = None,
) -> Float[Array, '... 2']:
  """Returns the flow (u, v) in pixels from the first frame to the second.

  A smooth change of light between the frames is told from motion, see `light`.

  Args:
    first: floats in [0, 1], grey [*b, h, w] or RGB [*b, h, w, 3]; a last axis
      of length three means colours.
    second: frames of the same shape.
    attachment: lambda of the paper, for grey values of 0 to 255. A larger
      value follows the frames more closely, and their noise too.
    tightness: theta of the paper, which couples the two halves of the splitting
      (also for grey values of 0 to 255).
    step: time step of the dual ascent.
    blur: standard deviation in pixels of the Gaussian that smooths both frames
      before anything else.
    levels: largest number of scales in the pyramid, each half as large as the
      one below.
    warps: linearisations at each scale.
    iterations: steps after each linearisation.
    light: whether a smooth change of light is fitted and removed after each
      warp. Pixels that are white in a frame (250 of 255), where a camera may
      have cut light off, then tell nothing of light or motion. Without it,
      which is TV-L1 as published and as in mejax 0.2, light is taken for
      motion. In frames below 20 pixels motion may be taken for light.
    pairs_at_once: number of pairs that are solved together; by default the
      whole batch, which fills an accelerator, but 1 on a CPU, where the fields
      of one pair stay in cache.

  Returns:
    f32[*b, h, w, 2].

  Raises:
    ValueError: the shapes differ, are not those of images, or are smaller than
      16 pixels; the frames are not floats; a count is below 1.
  """
  if pairs_at_once is None and jax.default_backend() == 'cpu':
    pairs_at_once = 1
  _check_arguments(first, second, levels, warps, iterations, pairs_at_once)
  first, second = _grey(first), _grey(second)
  *batch, height, width = first.shape
  pairs = [
    _blurred(x.reshape(math.prod(batch), height, width), blur)
    for x in (first, second)
  ]
  solve = functools.partial(
    _coarse_to_fine,
    weights=(attachment * tightness, tightness, step / tightness),
    levels=levels,
    warps=warps,
    iterations=iterations,
    light=light,
  )
  if pairs_at_once is None or pairs_at_once >= len(pairs[0]):
    flow = jnp.moveaxis(solve(*pairs), 0, -1)
  else:
    flow = lax.map(
      lambda pair: jnp.moveaxis(solve(*(x[None] for x in pair)), 0, -1)[0],
      tuple(pairs),
      batch_size=pairs_at_once,
    )
  return flow.reshape(*batch, height, width, 2)


def _coarse_to_fine(
  first: Images,
  second: Images,
  *,
  weights: tuple,
  levels: int,
  **options,
) -> Field:
  """Solves from the coarsest scale to the finest."""
  # A linearised image term sees motion of a pixel or two. At a coarser scale a
  # long motion is that short, and its flow is the start of the next scale.
  pyramid = [(first, second)]
  for _ in range(levels - 1):
    n, *size = pyramid[-1][0].shape
    size = [(side + 1) // 2 for side in size]
    # On a smaller image the five-point slopes would mostly see the border.
    if min(size) < SMALLEST:
      break
    pyramid.append(
      tuple(jax.image.resize(x, (n, *size), 'linear') for x in pyramid[-1])
    )
  flow = jnp.zeros((2, *pyramid[-1][0].shape), first.dtype)
  for pair in reversed(pyramid):
    flow = _one_level(*pair, _enlarge(flow, pair[0].shape), weights, **options)
  return flow


def _enlarge(flow: Float[Array, '2 n p q'], shape: tuple[int, ...]) -> Field:
  """Resizes the flow to a finer grid and to the pixels of that grid."""
  old = flow.shape[1:]
  if old == shape:
    return flow
  # Not just 2: a side of odd length was rounded up when it was halved.
  ratio = jnp.array([shape[2] / old[2], shape[1] / old[1]], flow.dtype)
  flow = jax.image.resize(flow, (2, *shape), 'linear')
  return flow * ratio[:, None, None, None]


def _one_level(
  first: Images,
  second: Images,
  flow: Field,
  weights: tuple,
  *,
  warps: int,
  iterations: int,
  light: bool,
) -> Field:
  """Improves the flow at one scale by repeated linearisation."""
  slope_of_first = _slope(first)
  height, width = first.shape[-2:]
  x, y = jnp.arange(width), jnp.arange(height)[:, None]

  def relinearise(_, state):
    flow, dual_x, dual_y = state
    motion = jnp.moveaxis(flow, 0, -1)
    # Bilinear interpolation blurs the more, the farther a place is from a
    # pixel. At motion of tenths of a pixel that looks like a change of light.
    seen = warp.by_flow(second[..., None], motion, method='bicubic')[..., 0]
    # Without the barriers XLA recomputes warps and borders for every tap of a
    # filter, and needs a minute to compile that.
    seen = lax.optimization_barrier(seen)
    # A place outside the second frame tells nothing about the motion. There the
    # image term is off and the flow is filled in from its neighbours.
    at_x, at_y = x + flow[0], y + flow[1]
    known = (at_x >= 0) & (at_x <= width - 1) & (at_y >= 0)
    known &= at_y <= height - 1
    # The mean slope of both frames makes the linearisation exact to second
    # order, as the trapezoidal rule is.
    slope = (slope_of_first + _slope(seen)) / 2
    if light:
      slope = lax.optimization_barrier(slope)
      known &= jnp.maximum(first, seen) < WHITE
      gain, offset = motion_light.change(first, seen, slope, known * 1.0)
      seen -= gain * (first + seen) / 2 + offset
      # A gain as smooth as this one scales the slopes of what it is applied to.
      slope *= 1 - gain / 2
    slope = jnp.where(known, slope, 0)
    constant = jnp.where(known, seen - first, 0)
    # The frames were compared at the present flow, so its share is subtracted:
    # the residual is then linear in the whole flow, not in its increment.
    constant -= slope[0] * flow[0] + slope[1] * flow[1]
    return _iterate(state, slope, constant, weights, iterations)

  # The dual variables survive a new linearisation, which changes the image term
  # only, but not a change of scale, where they would have to be resampled.
  dual = jnp.zeros_like(flow)
  return lax.fori_loop(0, warps, relinearise, (flow, dual, dual))[0]


def _iterate(
  state: tuple[Field, Field, Field],
  slope: Field,
  constant: Images,
  weights: tuple,
  iterations: int,
) -> tuple[Field, Field, Field]:
  """Alternates thresholding, the primal step and the dual step.

  The residual, which is linear in the flow, is constant + slope . flow. The
  dual variables belong to the x and y derivatives of u and v.
  """
  threshold, tightness, ascent = weights
  # Sums over (u, v) are written out because XLA's reductions are slow on a CPU.
  # The 1e-3 avoids a division by 0 where the image is flat.
  inverse = 1 / (slope[0] ** 2 + slope[1] ** 2 + 1e-3)

  def iterate(_, state):
    flow, dual_x, dual_y = state
    residual = constant + slope[0] * flow[0] + slope[1] * flow[1]
    # The three cases of the paper's thresholding step are one clip: the step
    # along the slope is at most lambda * theta.
    change = jnp.clip(-residual * inverse, -threshold, threshold)
    # Backward differences are the negative adjoint of the forward differences
    # below. With any other pair the iteration need not converge.
    divergence = _backward(dual_x, -1) + _backward(dual_y, -2)
    flow = flow + change * slope + tightness * divergence
    along_x, along_y = _forward(flow, -1), _forward(flow, -2)
    # The division is the semi-implicit step of Chambolle (2004). It keeps the
    # dual variables within the unit ball without a projection.
    shrink = 1 / (1 + ascent * jnp.sqrt(along_x**2 + along_y**2))
    dual_x = (dual_x + ascent * along_x) * shrink
    dual_y = (dual_y + ascent * along_y) * shrink
    return flow, dual_x, dual_y

  return lax.fori_loop(0, iterations, iterate, state)


def _forward(field: Field, axis: int) -> Field:
  """Returns the next value minus this one; 0 at the end."""
  size = field.shape[axis]
  after = lax.slice_in_dim(field, 1, size, axis=axis)
  before = lax.slice_in_dim(field, 0, size - 1, axis=axis)
  return _pad(after - before, axis, (0, 1))


def _backward(field: Field, axis: int) -> Field:
  """Returns this value minus the one before, which is 0 at the start."""
  before = lax.slice_in_dim(field, 0, field.shape[axis] - 1, axis=axis)
  return field - _pad(before, axis, (1, 0))


def _pad(field: Float[Array, '2 n p q'], axis: int, width: tuple) -> Field:
  widths = [(0, 0)] * field.ndim
  widths[axis] = width
  return jnp.pad(field, widths)


def _slope(image: Images) -> Field:
  """Returns the derivatives along x and y by five points."""
  weights = [w / 12 for w in (1, -8, 0, 8, -1)]
  return jnp.stack([_correlate(image, weights, axis) for axis in (-1, -2)])


def _blurred(image: Images, sigma: Scalar) -> Images:
  """Smooths by a Gaussian that is cut off at three pixels; sigma may be 0."""
  # The width of the window is fixed because sigma is traced.
  distance = jnp.arange(-3, 4)
  weights = jnp.exp(-(distance**2) / (2 * jnp.maximum(sigma, 1e-3) ** 2))
  weights /= weights.sum()
  return _correlate(_correlate(image, weights, -1), weights, -2)


def _correlate(image: Images, weights: list | Array, axis: int) -> Images:
  """Sums weighted neighbours along an axis; the border repeats itself."""
  reach = len(weights) // 2
  widths = [(0, 0)] * image.ndim
  widths[axis] = (reach, reach)
  padded = lax.optimization_barrier(jnp.pad(image, widths, mode='edge'))
  size = image.shape[axis]
  return sum(
    weights[i] * lax.slice_in_dim(padded, i, i + size, axis=axis)
    for i in range(len(weights))
  )


def _grey(frame: Num[Array | np.ndarray, '...']) -> Float[Array, '...']:
  """Returns grey values of 0 to 255, as the weights of the paper assume."""
  frame = jnp.asarray(frame, float)
  if frame.shape[-1] == 3:
    frame = sum(GREY[c] * frame[..., c] for c in range(3))
  return 255 * frame


def _check_arguments(
  first, second, levels: int, warps: int, iterations: int, parts: int | None
) -> None:
  if first.shape != second.shape:
    raise ValueError(
      f'first and second must have one shape, not {first.shape} and '
      f'{second.shape}'
    )
  shape = first.shape[:-1] if first.shape[-1:] == (3,) else first.shape
  if len(shape) < 2 or min(shape[-2:]) < SMALLEST:
    raise ValueError(
      f'frames must be [*b, h, w] or [*b, h, w, 3] with at least {SMALLEST} '
      f'rows and columns, not {first.shape}'
    )
  for frame in (first, second):
    if not jnp.issubdtype(frame.dtype, jnp.floating):
      raise ValueError(
        f'frames must be floats in [0, 1], not {frame.dtype}; divide by 255'
      )
  counts = {
    'levels': levels,
    'warps': warps,
    'iterations': iterations,
    'pairs_at_once': 1 if parts is None else parts,
  }
  for name, count in counts.items():
    if count < 1:
      raise ValueError(f'{name} must be at least 1, not {count}')
