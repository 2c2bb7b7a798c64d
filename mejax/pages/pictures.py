"""Arrays to pictures of a page: colours, arrows, points, and their scales."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
from jaxtyping import Float
from jaxtyping import Num
from jaxtyping import UInt8
import numpy as np

# A few pixels at the border of a face may be wild.
PERCENT = 99
# Strain from none to the scale's end: white over orange to dark.
_RAMP = np.array(
  [[255, 255, 255], [252, 222, 165], [238, 129, 62], [158, 34, 71], [38, 8, 46]]
)
_NICE = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_LONGEST_ARROW = 1.5  # In cells.
# Shorter ones, as a share of the longest, would be dots.
_LEAST_ARROW = 0.1


def flow_colour(
  flow: Float[np.ndarray, 'h w 2'], *, scale: float
) -> UInt8[np.ndarray, 'h w 3']:
  """Colours a flow: the hue says where to, the depth of colour how far.

  Args:
    flow: right and down, in pixels.
    scale: length in pixels that gets the full colour.
  """
  length, angle = cv2.cartToPolar(
    np.ascontiguousarray(flow[..., 0]),
    np.ascontiguousarray(flow[..., 1]),
    angleInDegrees=True,
  )
  depth = np.clip(length / scale, 0, 1)
  hsv = np.stack([angle, depth, 1 - 0.15 * depth], axis=-1)
  rgb = cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB)
  return (255 * rgb + 0.5).astype(np.uint8)


def size_of(values: Float[np.ndarray, 'h w *c']) -> float:
  """Length (of a flow) or value (of strain) that 99 % of pixels are below."""
  if values.ndim == 3:
    values = np.linalg.norm(values, axis=-1)
  return float(np.percentile(values, PERCENT))


def scale_of(sizes: Sequence[float], *, above: bool = False) -> float:
  """The round number nearest to the largest size; 1 where all are 0.

  Args:
    sizes: none negative.
    above: no size may be above it.
  """
  largest = max(sizes)
  if not largest > 0:
    return 1.0
  power = 10.0 ** np.floor(np.log10(largest))
  nice = [n * power for n in _NICE if not above or n * power >= largest]
  return float(min(nice, key=lambda n: abs(np.log(n / largest))))


def strain_colour(
  strain: Float[np.ndarray, 'h w'], *, scale: float
) -> UInt8[np.ndarray, 'h w 3']:
  """Colours strain from white (0) to dark (`scale` and more)."""
  at = np.clip(strain / scale, 0, 1) * (len(_RAMP) - 1)
  steps = np.arange(len(_RAMP))
  rgb = [np.interp(at, steps, channel) for channel in _RAMP.T]
  return np.rint(np.stack(rgb, -1)).astype(np.uint8)


def difference(
  first: UInt8[np.ndarray, 'h w 3'],
  second: UInt8[np.ndarray, 'h w 3'],
  *,
  times: int,
) -> UInt8[np.ndarray, 'h w 3']:
  """What became brighter (or darker), `times` times; grey is no change."""
  change = second.astype(np.int32) - first
  return np.clip(128 + times * change, 0, 255).astype(np.uint8)


def wheel(side: int) -> UInt8[np.ndarray, '{side} {side} 3']:
  """The colours of `flow_colour`: each place has that of the way to it."""
  at = np.linspace(-1, 1, side, dtype=np.float32)
  return flow_colour(np.stack(np.meshgrid(at, at), -1), scale=1.0)


def ramp(width: int, height: int) -> UInt8[np.ndarray, '{height} {width} 3']:
  """The colours of `strain_colour` from left to right."""
  at = np.linspace(0, 1, width, dtype=np.float32)
  return strain_colour(np.tile(at, (height, 1)), scale=1.0)


def arrows(flow: Float[np.ndarray, 'h w 2'], *, scale: float) -> str:
  """Arrows of a flow as an SVG to lie on its picture.

  Each stands for the mean of a cell and begins in the middle of it. `scale`
  pixels of motion and more have the longest.
  """
  height, width = flow.shape[:2]
  cell = max(height // 16, 1)
  rows, columns = height // cell, width // cell
  means = cv2.resize(
    flow[: rows * cell, : columns * cell],
    (columns, rows),
    interpolation=cv2.INTER_AREA,
  )
  path = []
  for (row, column), length in np.ndenumerate(np.linalg.norm(means, axis=-1)):
    if length < _LEAST_ARROW * scale:
      continue
    reach = _LONGEST_ARROW * cell * min(length / scale, 1)
    along = means[row, column] / length * reach
    across = along[::-1] * (-1, 1)
    x, y = (column + 0.5) * cell, (row + 0.5) * cell
    tip = np.array([x, y]) + along
    path.append(f'M{x:.1f} {y:.1f}L{tip[0]:.1f} {tip[1]:.1f}')
    for side in (1, -1):
      barb = -0.34 * along + side * 0.22 * across
      path.append(f'M{tip[0]:.1f} {tip[1]:.1f}l{barb[0]:.1f} {barb[1]:.1f}')
  return _overlay(width, height, f'<path class="arrow" d="{"".join(path)}"/>')


def points(
  places: Num[np.ndarray, 'p 2'],
  *,
  width: int,
  height: int,
  squares: bool = False,
) -> str:
  """Rings or squares at places of a picture, as an SVG to lie on it.

  Places count from the centre of the first pixel.
  """
  radius = height / 42
  corner = 0 if squares else radius
  marks = ''.join(
    f'<rect class="{kind}" x="{x + 0.5 - radius:.2f}" '
    f'y="{y + 0.5 - radius:.2f}" width="{2 * radius:.2f}" '
    f'height="{2 * radius:.2f}" rx="{corner:.2f}"/>'
    for kind in ('halo', 'square' if squares else 'ring')
    for x, y in places.tolist()
  )
  return _overlay(width, height, marks)


def grey(values: Float[np.ndarray, 'h w']) -> UInt8[np.ndarray, 'h w 3']:
  """Values from black (0) to white (255)."""
  levels = np.rint(values).clip(0, 255).astype(np.uint8)
  return np.repeat(levels[..., None], 3, axis=-1)


def png(picture: UInt8[np.ndarray, 'h w 3']) -> str:
  """A picture as the `src` of an <img>, without loss."""
  return _source(picture, 'png', [cv2.IMWRITE_PNG_COMPRESSION, 9])


def jpeg(picture: UInt8[np.ndarray, 'h w 3']) -> str:
  """A picture as the `src` of an <img>, small."""
  return _source(picture, 'jpeg', [cv2.IMWRITE_JPEG_QUALITY, 85])


def _source(picture, kind: str, options: list[int]) -> str:
  bgr = np.ascontiguousarray(picture[..., ::-1])
  _, data = cv2.imencode(f'.{kind}', bgr, options)
  text = base64.b64encode(data.tobytes()).decode()
  return f'data:image/{kind};base64,{text}'


def _overlay(width: int, height: int, inside: str) -> str:
  return (
    f'<svg viewBox="0 0 {width} {height}" aria-hidden="true">{inside}</svg>'
  )
