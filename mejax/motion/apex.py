"""Spots the apex of a clip: the frame that differs most from the onset.

A drifting head moves far more than an expression. So every frame is first
registered to the onset by a similarity, fitted together with a change of light.
The remaining difference in the regions of brows, eyes and mouth, which all
have the same weight, gives a curve over time, and its peak is the apex.

Absolute error in frames (of 10 ms) on rendered clips, mean / worst of 48 clips
at two difficulties, by tests/benchmarks/apex_error.py:
  midpoint                         1.81 / 4      1.81 / 4
  difference                       0.65 / 3      0.62 / 4
  difference, eyelids not masked   1.58 / 13     2.56 / 18
  flow                             0.73 / 4      0.96 / 11
  flow, eyelids not masked         1.04 / 10     1.65 / 14
The apex of a rendered clip is near the middle, which flatters the midpoint.
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
from mejax.motion import tvl1
from mejax.motion import warp

METHODS = ('difference', 'flow')
# Largest side in pixels at which frames are compared, and frames per call.
_SIZE = 64
_CHUNK = 32
# Standard deviation of the smoothing before registration, in distances between
# the eyes. It is wide enough that a drift of several pixels stays within the
# range of a linear fit.
_BLUR = 0.09
# Pixels. Smoothing before the flow, which would follow noise in even skin.
_FLOW_BLUR = 1.5
_REGISTRATIONS = 3
# A range of the curve below this is rounding; in grey levels of 1, or pixels.
_NOTHING = {'difference': 1e-4, 'flow': 1e-3}


class Spotted(NamedTuple):
  """The result of `spot`.

  Attributes:
    index: position of the apex among the frames; the middle if none is found.
    curve: distance of each frame from the first, smoothed over time, in grey
      levels of 1 (`difference`) or in pixels of the reduced frame (`flow`).
    is_found: False if nothing moves.
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

  The curve is the root mean square of the difference from the onset
  (`difference`) or of the optical flow from the onset (`flow`, by TV-L1), both
  without the motion of the head. Long clips are processed in chunks, so that
  the memory beside the frames does not grow with their number.

  Args:
    frames: one aligned clip, floats in [0, 1] or bytes.
    points: face points in the onset, as in `regions`, in pixels.
    method: one of `METHODS`.
    mask_eyes: whether to leave the eyelids out, since a blink is larger than
      most expressions.
    fps: frames per second; without it the curve is smoothed by one frame.
    smoothing: standard deviation in seconds of the Gaussian over time.

  Raises:
    ValueError: the method is unknown, there are fewer than two frames, or both
      eyes are in one place.
  """
  if method not in METHODS:
    raise ValueError(f'unknown method {method!r}; known: {METHODS}')
  if len(frames) < 2:
    raise ValueError(
      f'{len(frames)} frames are too few; an apex needs two or more'
    )
  curve = _raw_curve(frames, points, method=method, mask_eyes=mask_eyes)
  sigma = 1.0 if fps is None else smoothing * fps
  if sigma > 0:
    curve = _smoothed(curve, sigma)
  if np.ptp(curve) < _NOTHING[method]:
    return Spotted(len(curve) // 2, curve, is_found=False)
  # The onset itself is no apex.
  return Spotted(1 + int(np.argmax(curve[1:])), curve, is_found=True)


def _raw_curve(
  frames: Num[Array | np.ndarray, 't h w 3'],
  points: Float[np.ndarray, '5 2'],
  *,
  method: str,
  mask_eyes: bool,
) -> Float[np.ndarray, ' t']:
  """Returns the curve of `spot` before smoothing, for the same arguments."""
  height, width = frames.shape[1:3]
  ratio = min(1.0, _SIZE / max(height, width))
  size = (round(height * ratio), round(width * ratio))
  # Points count from the centre of the first pixel, scaling acts from its edge.
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
  """Yields chunks of one length, for one compiled program.

  Copies of the last frame fill the last chunk.
  """
  for start in range(0, len(frames), _CHUNK):
    places = np.minimum(np.arange(start, start + _CHUNK), len(frames) - 1)
    yield jnp.asarray(frames[places])


@functools.partial(jax.jit, static_argnames='size')
def _small(
  frames: Num[Array, 't h w 3'], size: tuple[int, int]
) -> Float[Array, 't p q']:
  """Returns grey frames in [0, 1], reduced to `size`."""
  scale = 255 if frames.dtype == jnp.uint8 else 1
  grey = sum(tvl1.GREY[c] * frames[..., c] for c in range(3)) / scale
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
  """Returns how far each frame is from the onset, without head and light."""
  rest, motion, light = _register(
    _blurred(onset, blur), _blurred(frames, blur), face
  )
  if method == 'flow':
    # The light is fitted already, together with the motion of the head.
    darker = jnp.tensordot(light, _lights(onset), 1, precision='highest')
    steady = _looked_up(frames, motion) - darker
    # XLA would otherwise recompute the warp inside the loops of the flow.
    steady = lax.optimization_barrier(steady)
    still = jnp.broadcast_to(onset, steady.shape)
    flow = tvl1.tvl1(still, steady, blur=_FLOW_BLUR, light=False)
    # Registration leaves a few tenths of a pixel, as far as a face moves.
    flow, _ = head.remove_rigid(
      flow, mask=jnp.broadcast_to(face, flow.shape[:-1])
    )
    energy = (flow**2).sum(-1)
  else:
    energy = rest**2
  weight = parts / jnp.maximum(parts.sum((-2, -1), keepdims=True), 1)
  means = jnp.einsum('thw,rhw->tr', energy, weight, precision='highest')
  # Root per region before the mean: a small brow counts as much as a mouth.
  return jnp.sqrt(means).mean(-1)


def _register(
  onset: Float[Array, 'h w'],
  frames: Float[Array, 't h w'],
  face: Bool[Array | np.ndarray, 'h w'],
) -> tuple[Float[Array, 't h w'], Float[Array, 't 2 3'], Float[Array, 't 4']]:
  """Registers frames to the onset by a similarity and a change of light.

  Returns:
    The remaining difference; the matrices with which `warp.by_matrix` registers
    a frame; how much more of each of `_lights` the frame has than the onset.
  """
  # Inverse compositional Gauss-Newton (Baker and Matthews, 2004): the slopes of
  # the onset serve for every frame and every step, so one matrix is inverted.
  along_y, along_x = jnp.gradient(onset)
  x, y, middle, scale = _places(onset.shape)
  # How the onset changes with a shift along x, along y, a zoom and a turn.
  moves = [
    along_x, along_y, along_x * x + along_y * y, along_y * x - along_x * y,
  ]  # fmt: skip
  # Light is fitted together with motion. One after the other, a shadow that
  # grows at a cheek would be taken for a turn of the head.
  basis = jnp.concatenate([jnp.stack(moves), _lights(onset)])
  # Basis images of about 1 keep the sums well conditioned.
  size = jnp.sqrt((face * basis**2).mean((-2, -1))) + 1e-6
  basis = (basis / size[:, None, None]).reshape(len(basis), -1)
  inside = basis * face.reshape(-1)
  dot = functools.partial(jnp.matmul, precision='highest')
  # The small diagonal makes a flat clip, whose slopes are 0, solvable.
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
    # The content at x belongs at x + d(x), so from now on the frame is looked
    # up at x - d(x), after the motion found so far.
    turned = motion[..., :2]
    moved = motion[..., 2:] - turned @ offset[..., None]
    return jnp.concatenate([turned - turned @ linear, moved], -1)

  still = jnp.tile(jnp.eye(2, 3), (len(frames), 1, 1))
  motion = lax.fori_loop(0, _REGISTRATIONS, step, still)
  rest, values = fit(motion)
  return rest.reshape(frames.shape), motion, values[:, 4:]


def _lights(onset: Float[Array, 'h w']) -> Float[Array, '4 h w']:
  """Returns basis images of light: contrast, brightness, ramps in x and y."""
  x, y, _, _ = _places(onset.shape)
  return jnp.stack([onset, jnp.ones_like(onset), x, y])


def _places(
  shape: tuple[int, int],
) -> tuple[Float[Array, 'h w'], Float[Array, 'h w'], Float[Array, '2'], float]:
  """Returns coordinates x, y of about 1, their origin and unit in pixels."""
  height, width = shape
  middle = jnp.array([width - 1, height - 1]) / 2
  scale = max(height, width) / 2
  x, y = jnp.moveaxis((warp.grid(height, width) - middle) / scale, -1, 0)
  return x, y, middle, scale


def _looked_up(
  frames: Float[Array, 't h w'], motion: Float[Array, 't 2 3']
) -> Float[Array, 't h w']:
  """Returns the frames registered by their matrices."""
  size = frames.shape[1:]
  return warp.by_matrix(frames[..., None], motion, size=size, method='bicubic')[
    ..., 0
  ]


def _blurred(
  images: Float[Array, '*b h w'], sigma: Float[Array, ''] | float
) -> Float[Array, '*b h w']:
  """Smooths by a Gaussian; beyond the border the last pixel repeats."""

  # A matrix for each axis: sigma is traced, so a window has no fixed width.
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
  """Smooths over time by a Gaussian; the first and last value continue."""
  reach = max(1, round(4 * sigma))
  away = np.arange(-reach, reach + 1, dtype=curve.dtype)
  weights = np.exp(-(away**2) / np.float32(2 * sigma**2))
  padded = np.pad(curve, reach, mode='edge')
  return np.convolve(padded, weights / weights.sum(), mode='valid')
