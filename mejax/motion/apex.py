"""The apex of a clip that has none: the frame that differs most from the onset.

A head that drifts moves far more than a face that shows something. So every
frame is first laid upon the onset by a similarity, found together with a change
of light; what is then left in the regions of brows, eyes and mouth, each of
them counting alike, is the curve whose peak is the apex.

Absolute error in frames (of 10 ms) on rendered clips, mean / worst of 48 at two
difficulties, by tests/benchmarks/apex_error.py:
  midpoint                         1.81 / 4      1.81 / 4
  difference                       0.65 / 3      0.62 / 4
  difference, eyelids not masked   1.58 / 13     2.56 / 18
  flow                             0.73 / 4      0.96 / 11
  flow, eyelids not masked         1.04 / 10     1.65 / 14
Rendered clips have their apex near the middle, which flatters the midpoint.
"""

from __future__ import annotations

from collections.abc import Iterator
import functools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import Num
import numpy as np

from mejax.motion import head
from mejax.motion import regions
from mejax.motion import warp
from mejax.motion.tvl1 import GREY
from mejax.motion.tvl1 import tvl1

METHODS = ('difference', 'flow')
# Frames of one call are worked on at this size, and so many at once.
_SIZE = 64
_CHUNK = 32
# Standard deviation in distances between the eyes.
_BLUR = 0.09
# Pixels, before the flow: what noise adds to it in skin hides small motion.
_FLOW_BLUR = 1.5
_REGISTRATIONS = 3
# Below this the curve is rounding: grey levels (of 1) or pixels.
_NOTHING = {'difference': 1e-4, 'flow': 1e-3}


class Spotted(NamedTuple):
  """Where the apex is.

  Attributes:
    index: position of the apex among the frames; the middle if none is found.
    curve: how far each frame is from the first, smoothed over time.
    is_found: False where nothing moves.
  """

  index: int
  curve: Float[np.ndarray, ' t']
  is_found: bool


def spot(
  frames: Num[Array | np.ndarray, 't h w 3'],
  *,
  points: Float[np.ndarray, '5 2'],
  method: str = 'difference',
  mask_eyes: bool = True,
  fps: float | None = None,
  smoothing: float = 0.02,
) -> Spotted:
  """Finds the apex of a clip that begins with the onset.

  `difference` is the root mean square of what is left of the frame less the
  onset; `flow` that of the optical flow (TV-L1) from the onset. Both without
  what the head as a whole explains. The memory it takes beside the frames does
  not grow with them.

  Args:
    frames: one aligned clip, floats in [0, 1] or bytes.
    points: face points in the onset, as in `regions`, in pixels.
    method: one of `METHODS`.
    mask_eyes: leave the eyelids out, since a blink is larger than most
      expressions.
    fps: frames per second; without, the curve is smoothed by one frame.
    smoothing: standard deviation in seconds of the Gaussian over time.

  Raises:
    ValueError: unknown method, fewer than two frames, or points that are no
      face.
  """
  if method not in METHODS:
    raise ValueError(f'unknown method {method!r}; known: {METHODS}')
  if len(frames) < 2:
    raise ValueError(f'{len(frames)} frames came; an apex needs two or more')
  curve = _measure(frames, points, method=method, mask_eyes=mask_eyes)
  sigma = 1.0 if fps is None else smoothing * fps
  if sigma > 0:
    curve = _smoothed(curve, sigma)
  if np.ptp(curve) < _NOTHING[method]:
    return Spotted(len(curve) // 2, curve, is_found=False)
  # The onset itself is no apex.
  return Spotted(1 + int(np.argmax(curve[1:])), curve, is_found=True)


def _measure(
  frames: Num[Array | np.ndarray, 't h w 3'],
  points: Float[np.ndarray, '5 2'],
  *,
  method: str,
  mask_eyes: bool,
) -> Float[np.ndarray, ' t']:
  """The curve of `spot` before it is smoothed; arguments as there."""
  height, width = frames.shape[1:3]
  ratio = min(1.0, _SIZE / max(height, width))
  size = (round(height * ratio), round(width * ratio))
  # Positions count from the centre of the first pixel.
  points = (np.asarray(points, np.float32) + 0.5) * np.float32(ratio) - 0.5
  lids = regions.eyelids(points, size=size)
  parts = regions.expressive(points, size=size)
  face = regions.face(points, size=size)
  if mask_eyes:
    parts, face = parts & ~lids, face & ~lids
  blur = _BLUR * float(np.linalg.norm(points[1] - points[0]))
  onset = _small(jnp.asarray(frames[:1]), size)
  values = [
    _curve(onset[0], _small(chunk, size), parts, face, blur, method=method)
    for chunk in _chunks(frames)
  ]
  return np.concatenate(values)[: len(frames)].astype(np.float32)


def _chunks(
  frames: Num[Array | np.ndarray, 't h w 3'],
) -> Iterator[Array]:
  """Equal pieces, for one compiled program; the last frame fills the end."""
  for start in range(0, len(frames), _CHUNK):
    places = np.minimum(np.arange(start, start + _CHUNK), len(frames) - 1)
    yield jnp.asarray(frames[places])


@functools.partial(jax.jit, static_argnames='size')
def _small(
  frames: Num[Array, 't h w 3'], size: tuple[int, int]
) -> Float[Array, 't p q']:
  """Grey frames in [0, 1] at working size."""
  scale = 255 if frames.dtype == jnp.uint8 else 1
  grey = sum(GREY[c] * frames[..., c] for c in range(3)) / scale
  return jax.image.resize(grey, (len(grey), *size), 'linear')


@functools.partial(jax.jit, static_argnames='method')
def _curve(
  onset: Float[Array, 'h w'],
  frames: Float[Array, 't h w'],
  parts: Bool[Array | np.ndarray, 'r h w'],
  face: Bool[Array | np.ndarray, 'h w'],
  blur: Float[Array, ''] | float,
  *,
  method: str,
) -> Float[Array, ' t']:
  rest, motion, light = _register(
    _blurred(onset, blur), _blurred(frames, blur), face
  )
  if method == 'flow':
    # TV-L1 would take a change of light for motion.
    darker = jnp.tensordot(light, _lights(onset), 1, precision='highest')
    steady = _looked_up(frames, motion) - darker
    steady = lax.optimization_barrier(steady)
    flow = tvl1(jnp.broadcast_to(onset, steady.shape), steady, blur=_FLOW_BLUR)
    flow, _ = head.remove_rigid(
      flow, mask=jnp.broadcast_to(face, flow.shape[:-1])
    )
    energy = (flow**2).sum(-1)
  else:
    energy = rest**2
  weight = parts / jnp.maximum(parts.sum((-2, -1), keepdims=True), 1)
  means = jnp.einsum('thw,rhw->tr', energy, weight, precision='highest')
  return jnp.sqrt(means).mean(-1)


def _register(
  onset: Float[Array, 'h w'],
  frames: Float[Array, 't h w'],
  face: Bool[Array | np.ndarray, 'h w'],
) -> tuple[Float[Array, 't h w'], Float[Array, 't 2 3'], Float[Array, 't 4']]:
  """Lays frames upon the onset by similarity and light (Gauss-Newton).

  Returns:
    What is left; the matrices of `warp.by_matrix` that lay a frame upon the
    onset; how much of each of `_lights` the frame has more than the onset.
  """
  along_y, along_x = jnp.gradient(onset)
  x, y, middle, scale = _places(onset.shape)
  moves = [
    along_x, along_y, along_x * x + along_y * y, along_y * x - along_x * y,
  ]  # fmt: skip
  basis = jnp.concatenate([jnp.stack(moves), _lights(onset)])
  # Parts of about 1 keep the sums well conditioned.
  size = jnp.sqrt((face * basis**2).mean((-2, -1))) + 1e-6
  basis = (basis / size[:, None, None]).reshape(len(basis), -1)
  inside = basis * face.reshape(-1)
  dot = functools.partial(jnp.matmul, precision='highest')
  gram = dot(inside, inside.T) + 1e-4 * jnp.eye(len(basis))
  solve = jnp.linalg.solve(gram, inside).T

  def fit(motion):
    rest = (_looked_up(frames, motion) - onset).reshape(len(frames), -1)
    values = dot(rest, solve)
    return rest - dot(values, basis), values / size

  def step(_, motion):
    tx, ty, grow, turn = fit(motion)[1].T[:4]
    linear = jnp.stack(
      [jnp.stack([grow, -turn], -1), jnp.stack([turn, grow], -1)], -2
    )
    linear /= scale
    offset = jnp.stack([tx, ty], -1) - linear @ middle
    # What is seen at x belongs to x + d(x): look up at x - d(x) from now on.
    turned = motion[..., :2]
    moved = motion[..., 2:] - turned @ offset[..., None]
    return jnp.concatenate([turned - turned @ linear, moved], -1)

  still = jnp.tile(jnp.eye(2, 3), (len(frames), 1, 1))
  motion = lax.fori_loop(0, _REGISTRATIONS, step, still)
  rest, values = fit(motion)
  return rest.reshape(frames.shape), motion, values[:, 4:]


def _lights(onset: Float[Array, 'h w']) -> Float[Array, '4 h w']:
  """Ways that light changes: contrast, brightness, along x, along y."""
  x, y, _, _ = _places(onset.shape)
  return jnp.stack([onset, jnp.ones_like(onset), x, y])


def _places(
  shape: tuple[int, int],
) -> tuple[Float[Array, 'h w'], Float[Array, 'h w'], Float[Array, '2'], float]:
  """Coordinates x and y of about 1; their origin and their unit in pixels."""
  height, width = shape
  middle = jnp.array([width - 1, height - 1]) / 2
  scale = max(height, width) / 2
  x, y = jnp.moveaxis((warp.grid(height, width) - middle) / scale, -1, 0)
  return x, y, middle, scale


def _looked_up(
  frames: Float[Array, 't h w'], motion: Float[Array, 't 2 3']
) -> Float[Array, 't h w']:
  size = frames.shape[1:]
  return warp.by_matrix(frames[..., None], motion, size=size, method='bicubic')[
    ..., 0
  ]


def _blurred(
  images: Float[Array, '*b h w'], sigma: Float[Array, ''] | float
) -> Float[Array, '*b h w']:
  """Gaussian smoothing; beyond the border the image repeats its last pixel."""

  def matrix(length: int) -> Float[Array, 'n n']:
    far = 3 * _SIZE
    place = jnp.arange(-far, length + far)
    away = place[None] - jnp.arange(length)[:, None]
    weight = jnp.exp(-(away**2) / (2 * jnp.maximum(sigma, 0.1) ** 2))
    weight /= weight.sum(-1, keepdims=True)
    source = jnp.clip(place, 0, length - 1)
    return jnp.zeros((length, length)).at[:, source].add(weight)

  rows, columns = (matrix(length) for length in images.shape[-2:])
  return jnp.einsum(
    'ik,...kl,jl->...ij', rows, images, columns, precision='highest'
  )


def _smoothed(
  curve: Float[np.ndarray, ' t'], sigma: float
) -> Float[np.ndarray, ' t']:
  """Gaussian smoothing over time; the first and last value go on for ever."""
  reach = max(1, round(4 * sigma))
  away = np.arange(-reach, reach + 1, dtype=curve.dtype)
  weights = np.exp(-(away**2) / np.float32(2 * sigma**2))
  padded = np.pad(curve, reach, mode='edge')
  return np.convolve(padded, weights / weights.sum(), mode='valid')
