"""Turns arrays into pictures: colours, arrows and points, with their scales."""

from __future__ import annotations

import base64
from collections.abc import Sequence
import dataclasses

import cv2
from jaxtyping import Float
from jaxtyping import Num
from jaxtyping import UInt8
from markupsafe import Markup
import numpy as np

from mejax.pages import svg

# A percentile, because a few pixels at the border of a face may be far off.
PERCENT = 99
# What may be noise of a camera does not get the full colour: motion in sides of
# the face (a quarter of a pixel of 128), and strain.
FAINT, _FAINT_STRAIN = 0.002, 0.01
# Colours of strain from 0 to the end of the scale: white, orange, dark.
_STRAIN_RAMP = np.array(
  [[255, 255, 255], [252, 222, 165], [238, 129, 62], [158, 34, 71], [38, 8, 46]]
)
# Colours of attention from dark to bright, in steps that look equal (part of
# matplotlib's plasma).
_HEAT_RAMP = np.array(
  [
    [92, 1, 166],
    [156, 23, 158],
    [203, 70, 121],
    [237, 121, 83],
    [253, 180, 47],
    [246, 240, 110],
  ],
  np.float64,
)
_ROUND = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_COARSE = 64  # The pixels of a picture with a smaller side stay visible.
_LONGEST_ARROW = 1.5  # In cells.
# A share of the longest arrow; shorter arrows would look like dots.
_LEAST_ARROW = 0.1


@dataclasses.dataclass(frozen=True)
class Image:
  """A picture on a page, with the marks that lie on it.

  Attributes:
    source: source of the `<img>`; see `png` and `jpeg`.
    alt: description for readers who cannot see the picture.
    overlay: SVG that lies on the picture.
    over: source of the picture that replaces it while the pointer is on it.
    is_coarse: whether its pixels stay visible when it is enlarged.
  """

  source: str
  alt: str
  overlay: Markup = Markup()
  over: str = ''
  is_coarse: bool = False

  @classmethod
  def of_pixels(
    cls,
    pixels: UInt8[np.ndarray, 'h w 3'],
    alt: str,
    *,
    overlay: Markup | None = None,
  ) -> Image:
    """Makes an image of pixels, without loss."""
    is_coarse = len(pixels) < _COARSE
    return cls(png(pixels), alt, overlay or Markup(), is_coarse=is_coarse)


@dataclasses.dataclass(frozen=True)
class Legend:
  """The scales of the colours of motion and strain.

  Attributes:
    flow: motion in pixels that has the full colour.
    strain: strain that has the darkest colour.
    is_length: whether what the dataset calls strain is the length of motion.
  """

  flow: float
  strain: float
  is_length: bool = False

  @classmethod
  def of_sizes(
    cls,
    motions: Sequence[float],
    strains: Sequence[float],
    *,
    side: int,
    definition: str,
  ) -> Legend:
    """Makes scales that end at the largest of some sizes.

    Args:
      motions, strains: as `size_of` returns them.
      side: of the aligned face, in pixels.
      definition: of strain, a name of `flow.STRAIN_DEFINITIONS`.
    """
    faint, is_length = FAINT * side, definition == 'magnitude'
    least = faint if is_length else _FAINT_STRAIN
    return cls(
      flow=scale_of([*motions, faint]),
      strain=scale_of([*strains, least]),
      is_length=is_length,
    )

  @property
  def wheel(self) -> str:
    """Image source of the colour wheel of motion."""
    return png(wheel(136))

  @property
  def ramp(self) -> str:
    """Image source of the colours of strain."""
    return png(ramp(300, 16))


def flow_colour(
  flow: Float[np.ndarray, 'h w 2'], *, scale: float
) -> UInt8[np.ndarray, 'h w 3']:
  """Colours a flow: the hue shows the direction, the saturation the length.

  Args:
    flow: motion to the right and down, in pixels.
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
  """Returns the 99th percentile of flow length, or of strain."""
  if values.ndim == 3:
    values = np.linalg.norm(values, axis=-1)
  return float(np.percentile(values, PERCENT))


def scale_of(sizes: Sequence[float], *, above: bool = False) -> float:
  """Returns the round number nearest to the largest size; 1 if all are 0.

  Args:
    sizes: numbers that are not negative.
    above: whether the result must not be below the largest size.
  """
  largest = max(sizes)
  if not largest > 0:
    return 1.0
  power = 10.0 ** np.floor(np.log10(largest))
  round_ones = [n * power for n in _ROUND if not above or n * power >= largest]
  return float(min(round_ones, key=lambda n: abs(np.log(n / largest))))


def strain_colour(
  strain: Float[np.ndarray, 'h w'], *, scale: float
) -> UInt8[np.ndarray, 'h w 3']:
  """Colours strain from white (0) to dark (`scale` and above)."""
  at = np.clip(strain / scale, 0, 1) * (len(_STRAIN_RAMP) - 1)
  steps = np.arange(len(_STRAIN_RAMP))
  rgb = [np.interp(at, steps, channel) for channel in _STRAIN_RAMP.T]
  return np.rint(np.stack(rgb, -1)).astype(np.uint8)


def difference(
  first: UInt8[np.ndarray, 'h w 3'],
  second: UInt8[np.ndarray, 'h w 3'],
  *,
  times: int,
) -> UInt8[np.ndarray, 'h w 3']:
  """Shows changes of brightness `times` times as large; grey is no change."""
  change = second.astype(np.int32) - first
  return np.clip(128 + times * change, 0, 255).astype(np.uint8)


def wheel(side: int) -> UInt8[np.ndarray, '{side} {side} 3']:
  """Shows the colour that `flow_colour` gives to each direction and length."""
  at = np.linspace(-1, 1, side, dtype=np.float32)
  return flow_colour(np.stack(np.meshgrid(at, at), -1), scale=1.0)


def ramp(width: int, height: int) -> UInt8[np.ndarray, '{height} {width} 3']:
  """Shows the colours of `strain_colour` from left to right."""
  at = np.linspace(0, 1, width, dtype=np.float32)
  return strain_colour(np.tile(at, (height, 1)), scale=1.0)


def heat_colour(value: Float[np.ndarray, '*b']) -> Float[np.ndarray, '*b 3']:
  """Returns the colours of attention from 0 to 1, channels in [0, 1]."""
  stops = np.linspace(0, 1, len(_HEAT_RAMP))
  channels = [np.interp(value, stops, channel) for channel in _HEAT_RAMP.T]
  return np.stack(channels, -1) / 255


def grey(values: Float[np.ndarray, 'h w']) -> UInt8[np.ndarray, 'h w 3']:
  """Shows values from black (0) to white (255)."""
  levels = np.rint(values).clip(0, 255).astype(np.uint8)
  return np.repeat(levels[..., None], 3, axis=-1)


def enlarge(x: Float[np.ndarray, 'g g'], side: int) -> Float[np.ndarray, 's s']:
  """Enlarges a square by linear interpolation between the centres of cells."""
  size = len(x)
  at = np.clip((np.arange(side) + 0.5) * size / side - 0.5, 0, size - 1)
  mix = np.maximum(1 - np.abs(at[:, None] - np.arange(size)), 0)
  return mix @ x @ mix.T


def arrows(flow: Float[np.ndarray, 'h w 2'], *, scale: float) -> Markup:
  """Draws arrows of a flow, to lie on its picture.

  Each arrow shows the mean of a cell and begins in its middle. A motion of
  `scale` pixels or more has the longest arrow.
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
  return _overlay(
    width, height, svg.element('path', class_='arrow', d=''.join(path))
  )


def points(
  places: Num[np.ndarray, 'p 2'],
  *,
  width: int,
  height: int,
  squares: bool = False,
) -> Markup:
  """Draws rings or squares at places (x, y) of a picture, to lie on it.

  The centre of the first pixel is (0, 0).
  """
  radius = height / 42
  marks = [
    svg.rect(
      kind,
      x + 0.5 - radius,
      y + 0.5 - radius,
      2 * radius,
      2 * radius,
      rx=0 if squares else radius,
    )
    # Dark edges are drawn first, so that the marks can be seen on any face.
    for kind in ('halo', 'square' if squares else 'ring')
    for x, y in places.tolist()
  ]
  return _overlay(width, height, marks)


def png(picture: UInt8[np.ndarray, 'h w c']) -> str:
  """Encodes a grey, RGB or RGBA picture for an `<img>` without loss."""
  return _encode(picture, 'png', [cv2.IMWRITE_PNG_COMPRESSION, 9])


def jpeg(picture: UInt8[np.ndarray, 'h w 3']) -> str:
  """Encodes a picture for an `<img>` in few bytes."""
  return _encode(picture, 'jpeg', [cv2.IMWRITE_JPEG_QUALITY, 85])


def decoded(source: str) -> UInt8[np.ndarray, 'h w 3']:
  """Decodes what `png` and `jpeg` encoded, to RGB."""
  data = base64.b64decode(source.partition('base64,')[2])
  return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def _encode(picture, kind: str, options: list[int]) -> str:
  # OpenCV wants the order blue, green, red, and transparency last.
  swap = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[picture.shape[-1]]
  _, data = cv2.imencode(
    f'.{kind}', np.ascontiguousarray(picture[..., swap]), options
  )
  text = base64.b64encode(data.tobytes()).decode()
  return f'data:image/{kind};base64,{text}'


def _overlay(width: int, height: int, content: svg.Content) -> Markup:
  view = f'0 0 {width} {height}'
  return svg.element('svg', content, viewBox=view, aria_hidden='true')
