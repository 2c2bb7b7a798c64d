"""Where a model looked at one clip: heat on the four regions of a face.

What is drawn are the maps of `mejax.evaluation.attention`.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
import html
import struct
from typing import Any
from typing import NamedTuple
import zlib

from jaxtyping import Float
from jaxtyping import Int
from jaxtyping import Num
from jaxtyping import UInt8
import numpy as np

from mejax.evaluation import attention as heat_lib

_SIDE = 232  # of a picture in the page
_PIXELS = 2 * _SIDE  # of a picture in the file, for fine screens
# Dark to bright, evenly to the eye (a stretch of matplotlib's plasma).
_RAMP = np.array(
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


class Panel(NamedTuple):
  """One picture of the row.

  Attributes:
    title: above it.
    note: below it; empty for none.
    heat: how much each place is looked at, the regions in the order upper
      left, upper right, lower left, lower right.
  """

  title: str
  note: str
  heat: Float[np.ndarray, 'r g g']


def by_head(attention: Sequence[Sequence[Any]]) -> list[list[Panel]]:
  """A row for each block of HTNet, a panel for each head.

  Args:
    attention: `out['attention']` of one example: for each hierarchy, for each
      of its blocks, weights `[r, h, n, n]`. Blocks without weights, and
      hierarchies of less than one token a region, are left out.
  """
  rows = []
  for hierarchy, blocks in enumerate(attention):
    for number, weights in enumerate(blocks):
      if weights is None:
        continue
      heat = heat_lib.quarters(heat_lib.received(weights).swapaxes(0, 1))
      if heat is None:
        continue
      which = f', block {number}' if len(blocks) > 1 else ''
      rows.append(
        [
          Panel(f'hierarchy {hierarchy}{which}, head {head}', '', part)
          for head, part in enumerate(np.asarray(heat, np.float64))
        ]
      )
  return rows


def by_level(
  out: dict[str, Any], levels: Sequence[float | int]
) -> list[list[Panel]]:
  """A row for ARTNet, a panel for each level; see `heat.read`.

  Args:
    out: `out` of one example.
    levels: amplification of each level.
  """
  share = np.asarray(out['region_weights'], np.float64)  # [a, r]
  heat = np.asarray(heat_lib.read(out), np.float64)
  return [
    [
      Panel(f'amplified {alpha:g} times', f'{100 * part.sum():.0f} % read', row)
      if alpha != 1
      else Panel('as it is', f'{100 * part.sum():.0f} % read', row)
      for alpha, part, row in zip(levels, share, heat, strict=True)
    ]
  ]


def draw(
  rows: Sequence[Sequence[Panel]],
  image: Num[np.ndarray, 'h h c'],
  *,
  corners: Int[np.ndarray, '4 2'] | None = None,
  label: str = 'Where the model looked',
) -> str:
  """SVG text of panels on a face, all with one scale of heat.

  Args:
    rows: panels; see `by_head` and `by_level`.
    image: the aligned face, u8 or in [0, 1], or any picture the regions are of.
    corners: upper left (row, column) of the four regions, half as wide as the
      image, as `mejax.motion.regions.face_corners` gives them; by default the
      image is a mosaic.
    label: for those who cannot see it.

  Raises:
    ValueError: no panels, as from an attention that forms no weights.
  """
  if not any(rows):
    raise ValueError(
      'there is nothing to draw: the attention function forms no weights, or'
      ' each region holds less than one token'
    )
  half = len(image) // 2
  if corners is None:
    corners = np.array([[0, 0], [0, half], [half, 0], [half, half]])
  heat = np.concatenate([panel.heat.ravel() for row in rows for panel in row])
  # A place that draws everything would leave the others without colour.
  top = max(float(np.quantile(heat, 0.99)), 1.0)
  more = ' and more' if heat.max() > top else ''
  face = _grey(image)
  gap, head = 14, 24
  foot = 22 if any(panel.note for row in rows for panel in row) else 0
  step_x, step_y = _SIDE + gap, head + _SIDE + foot + gap
  width = max(len(row) for row in rows) * step_x - gap
  height = len(rows) * step_y + 34
  parts = []
  for i, row in enumerate(rows):
    for j, panel in enumerate(row):
      x, y = j * step_x, i * step_y + head
      pixels = _composite(face, panel.heat / top, corners / len(image))
      parts += [
        _text(x, y - 9, panel.title, 13, 600),
        _picture(pixels, x, y, f'{panel.title} {panel.note}'.strip()),
        *_frames(x, y, corners / len(image)),
        _text(x, y + _SIDE + 16, panel.note, 12, 400) if panel.note else '',
      ]
  parts += _legend(f'{top:.1f} × a fair share{more}', len(rows) * step_y)
  return (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
    f'width="{width}" height="{height}" role="img" style="max-width:100%;'
    f'height:auto" aria-label="{html.escape(label, quote=True)}" '
    'font-family="system-ui, -apple-system, \'Segoe UI\', sans-serif">'
    f'{"".join(parts)}</svg>'
  )


def enlarge(x: Float[np.ndarray, 'g g'], side: int) -> Float[np.ndarray, 's s']:
  """A square enlarged linearly between its cells' centres."""
  size = len(x)
  at = np.clip((np.arange(side) + 0.5) * size / side - 0.5, 0, size - 1)
  mix = np.maximum(1 - np.abs(at[:, None] - np.arange(size)), 0)
  return mix @ x @ mix.T


def colour(value: Float[np.ndarray, '*b']) -> Float[np.ndarray, '*b 3']:
  """The colour of heat from 0 to 1, each channel in [0, 1]."""
  stops = np.linspace(0, 1, len(_RAMP))
  channels = [np.interp(value, stops, channel) for channel in _RAMP.T]
  return np.stack(channels, -1) / 255


def png(pixels: UInt8[np.ndarray, 'h w c']) -> bytes:
  """A grey, RGB or RGBA image as the bytes of a PNG file."""

  def chunk(kind, data):
    check = struct.pack('>I', zlib.crc32(kind + data))
    return struct.pack('>I', len(data)) + kind + data + check

  height, width, channels = pixels.shape
  kind = {1: 0, 3: 2, 4: 6}[channels]
  rows = pixels.reshape(height, -1)
  # A zero before each row: it is stored as it is.
  data = np.pad(rows, ((0, 0), (1, 0))).tobytes()
  header = struct.pack('>IIBBBBB', width, height, 8, kind, 0, 0, 0)
  return (
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', header)
    + chunk(b'IDAT', zlib.compress(data, 9))
    + chunk(b'IEND', b'')
  )


def _grey(image) -> Float[np.ndarray, 's s']:
  """The picture in grey, [0, 1], as large as it is drawn."""
  scale = 255 if np.issubdtype(image.dtype, np.integer) else 1
  grey = image.astype(np.float64).mean(-1) / scale
  return np.clip(enlarge(grey, _PIXELS), 0, 1)


def _composite(face, heat, corners) -> UInt8[np.ndarray, 's s 3']:
  """Heat over the regions of a grey face; what lies outside is pale."""
  side = len(face) // 2
  hot = np.full(face.shape, -1.0)
  for part, (row, column) in zip(heat, corners, strict=True):
    row, column = round(row * len(face)), round(column * len(face))
    inside = hot[row : row + side, column : column + side]
    part = enlarge(part, side)[: len(inside), : inside.shape[1]]
    # Where regions overlap, the more looked at is shown.
    np.maximum(inside, part, out=inside)
  seen = np.clip(hot, 0, 1)
  # The face is pale outside the regions, and shows through the heat.
  ground = np.where(hot < 0, 0.76 + 0.24 * face, 0.26 + 0.74 * face)[..., None]
  strength = 0.88 * seen[..., None] ** 0.75
  hue = colour(seen) * (0.78 + 0.22 * face[..., None])
  mixed = ground * (1 - strength) + hue * strength
  return np.rint(255 * np.clip(mixed, 0, 1)).astype(np.uint8)


def _picture(pixels, x, y, tip) -> str:
  data = base64.b64encode(png(pixels)).decode()
  return (
    f'<image x="{x}" y="{y}" width="{_SIDE}" height="{_SIDE}" '
    f'href="data:image/png;base64,{data}"><title>{html.escape(tip)}</title>'
    '</image>'
  )


def _frames(x, y, corners) -> list[str]:
  return [
    f'<rect x="{x + column * _SIDE:.1f}" y="{y + row * _SIDE:.1f}" '
    f'width="{_SIDE / 2}" height="{_SIDE / 2}" fill="none" stroke="#fff" '
    'stroke-opacity="0.55" stroke-width="1"/>'
    for row, column in corners
  ]


def _legend(words, y) -> list[str]:
  values = np.linspace(0, 1, 9)
  strength = 0.88 * values[:, None] ** 0.75
  colours = 255 * (0.62 * (1 - strength) + 0.9 * colour(values) * strength)
  stops = ''.join(
    f'<stop offset="{value}" stop-color="rgb({r:.0f},{g:.0f},{b:.0f})"/>'
    for value, (r, g, b) in zip(values, colours, strict=True)
  )
  return [
    f'<defs><linearGradient id="looked">{stops}</linearGradient></defs>',
    _text(0, y + 15, '0', 12, 400),
    f'<rect x="14" y="{y + 4}" width="150" height="13" rx="3" '
    'fill="url(#looked)"/>',
    _text(172, y + 15, words, 12, 400),
  ]


def _text(x, y, words, size, weight) -> str:
  return (
    f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" '
    f'fill="currentColor">{html.escape(words)}</text>'
  )
