"""Draws where models looked, as translucent colours on a face."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
import zlib

from jaxtyping import Float
from jaxtyping import UInt8
from markupsafe import Markup
import numpy as np

from mejax.pages import charts
from mejax.pages import frame
from mejax.pages import pictures
from mejax.pages import svg

_LEFT = 118  # Room for the names of rows.
_GAP = 12
_WIDEST = 200  # The largest side of a picture.
_PIXELS = 128  # Side of an encoded map; a browser smooths it when enlarging.
_LEAST_TOP = 1.5  # The lowest end of the colour scale, in fair shares.


def describe(maps: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Returns the picture and the facts for its caption, for `attention.html`.

  Args:
    maps: as `draw` takes them.
  """
  return {
    'picture': draw(maps),
    'kinds': list(dict.fromkeys(maps['kinds'].tolist())),
    'has_face': 'face' in maps,
    'has_motion': 'motion' in maps,
  }


def draw(maps: Mapping[str, np.ndarray]) -> Markup:
  """Draws a row for each class and a column for each map, all in one scale.

  Args:
    maps: the arrays of `mejax.experiment.introspection.write_attention`:
      `classes` str[k], names of the rows; `clips` i64[k], clips of each class
      (a row without clips is left out); `titles` and `kinds` str[p]; `map0`,
      `map1`, ... f32[k, r, g, g], multiples of a fair share, for the four
      regions (upper left, upper right, lower left, lower right) or the whole
      face; and, if they are known, `face` u8[h, w], `motion` f[k, s, s] in
      [0, 1], and `corners` i[4, 2], the upper left (row, column) of each region
      in pixels of `motion`.
  """
  heat = [maps[f'map{i}'] for i in range(len(maps['titles']))]
  rows = np.flatnonzero(maps['clips'])
  top, is_clipped = _scale_of(heat, rows)
  titles = ['moved'] * ('motion' in maps) + maps['titles'].tolist()
  side = (charts.WIDE.width - _LEFT + _GAP) / len(titles) - _GAP
  side = min(side, _WIDEST)
  at = [_LEFT + i * (side + _GAP) for i in range(len(titles))]
  shares, corners, y = _shares(maps, heat), _corners(maps), 28
  parts = [
    svg.text(x, 16, title, 'small') for x, title in zip(at, titles, strict=True)
  ]
  for row in rows:
    cells = [_colour_heat(each[row], top, corners) for each in heat]
    if 'motion' in maps:
      cells.insert(0, _colour_motion(maps['motion'][row]))
    parts += [
      _row_name(maps, row, y + side / 2),
      _row_pictures(maps, row, zip(titles, at, cells, strict=True), y, side),
    ]
    y += side + _GAP
    if shares is not None:
      # Shares belong to the maps, not to the column of motion before them.
      for x, share in zip(at[-len(heat) :], shares[row], strict=True):
        parts.append(svg.text(x, y + 3, f'{100 * share:.0f} % read', 'small'))
      y += 18
  parts.append(_colour_bar(y + 4, f'{top:.1f} times as much', is_clipped))
  return svg.drawing(
    charts.WIDE.width,
    y + 26,
    [_face_symbol(maps), parts],
    label='Where the models looked, for each class',
  )


def _scale_of(heat, rows) -> tuple[float, bool]:
  """Returns the multiple that has the full colour, and if any is above it."""
  values = np.concatenate([each[rows].ravel() for each in heat])
  # A quantile, because one extreme place would leave the others without colour.
  top = max(float(np.quantile(values, 0.995)), _LEAST_TOP)
  return top, bool(values.max() > top)


def _row_name(maps, row, y) -> Markup:
  clips = frame.plural(int(maps['clips'][row]), 'clip')
  name = str(maps['classes'][row])
  return svg.text(0, y, name) + svg.text(0, y + 18, clips, 'small')


def _row_pictures(maps, row, cells, y, side) -> list[Markup]:
  """Draws each cell as a translucent picture over its background."""
  drawn = []
  for title, x, pixels in cells:
    place = {'x': x, 'y': y, 'width': side, 'height': side}
    tip = svg.tooltip(f'{maps["classes"][row]}, {title}')
    behind = _ground(maps, row, place)
    drawn.append(svg.element('g', tip, behind, _image(pixels, place)))
  return drawn


def _shares(maps, heat) -> np.ndarray | None:
  """Returns the share of each map in all that is read, [k, p], or None."""
  if len(heat) < 2 or set(maps['kinds'].tolist()) != {'read'}:
    return None
  sums = np.stack([each.sum((1, 2, 3)) for each in heat], 1)
  return sums / np.maximum(sums.sum(1, keepdims=True), 1e-12)


def _corners(maps) -> Float[np.ndarray, '4 2']:
  """Returns the upper left of each region in shares of a side.

  By default the regions are the quarters of the face.
  """
  if 'corners' in maps:
    return maps['corners'] / maps['motion'].shape[-1]
  return np.array([[0, 0], [0, 0.5], [0.5, 0], [0.5, 0.5]])


def _colour_heat(heat, top, corners) -> UInt8[np.ndarray, 's s 4']:
  """Colours values above a fair share, translucent, to lie on a face."""
  seen, held = _on_face(heat.astype(np.float64), corners)
  value = np.clip((seen - 1) / (top - 1), 0, 1)
  # Places outside all regions are pale.
  pale = np.where(held, 0.1, 0.72)
  return _veil(pictures.heat_colour(value), 0.9 * value**0.7, pale)


def _on_face(heat, corners):
  """Puts each region in its place on the face.

  Where regions overlap, they are averaged; the weight of a region is larger
  farther from its edges.

  Returns:
    The map of the face, and whether any region covers a place; each [s, s].
  """
  if len(heat) == 1:
    whole = pictures.enlarge(heat[0], _PIXELS)
    return whole, np.ones(whole.shape, bool)
  side = _PIXELS // 2
  depth = np.minimum(np.arange(side) + 1, side - np.arange(side))
  weight = np.minimum.outer(depth, depth)
  total, weights = np.zeros((2, _PIXELS, _PIXELS))
  for part, corner in zip(heat, corners, strict=True):
    row, column = np.clip(np.rint(corner * _PIXELS).astype(int), 0, side)
    place = np.s_[row : row + side, column : column + side]
    total[place] += weight * pictures.enlarge(part, side)
    weights[place] += weight
  return total / np.maximum(weights, 1), weights > 0


def _colour_motion(motion) -> UInt8[np.ndarray, 'h w 4']:
  """Colours the motion of the face, darker where it is longer."""
  value = motion.astype(np.float64)
  blue = np.broadcast_to(np.array([12, 92, 140]) / 255, (*value.shape, 3))
  return _veil(blue, 0.95 * value**1.2, 0.3)


def _veil(colour, strength, pale) -> UInt8[np.ndarray, 'h w 4']:
  """Puts a colour over translucent white; both let the background through."""
  alpha = strength + pale * (1 - strength)
  mixed = colour * strength[..., None] + (pale * (1 - strength))[..., None]
  rgb = mixed / np.maximum(alpha, 1e-12)[..., None]
  rgba = np.concatenate([rgb, alpha[..., None]], -1)
  return np.rint(255 * np.clip(rgba, 0, 1)).astype(np.uint8)


def _face_symbol(maps) -> Markup:
  """Returns the face as a symbol, so that the page has its pixels only once."""
  if 'face' not in maps:
    return Markup()
  source = pictures.png(maps['face'][..., None])
  face = svg.element('image', width=1, height=1, href=source)
  symbol = svg.element('symbol', face, id=_face_id(maps), viewBox='0 0 1 1')
  return svg.element('defs', symbol)


def _face_id(maps) -> str:
  """Returns an id that differs from those of other runs on the same page."""
  return f'face{zlib.crc32(maps["face"].tobytes()):x}'


def _ground(maps, row, place) -> Markup:
  """Returns the background: the face, or else the class's motion in grey."""
  if 'face' in maps:
    return svg.element('use', **place, href=f'#{_face_id(maps)}')
  if 'motion' in maps:
    grey = np.rint(225 - 150 * maps['motion'][row].astype(np.float64))
    return _image(grey.astype(np.uint8)[..., None], place)
  return svg.element('rect', **place, fill='#cfd4d8')


def _image(pixels, place) -> Markup:
  source = pictures.png(pixels)
  return svg.element('image', **place, preserveAspectRatio='none', href=source)


def _colour_bar(y, words, is_clipped) -> list[Markup]:
  values = np.linspace(0, 1, 128)
  strength = 0.9 * values[:, None] ** 0.7
  bar = pictures.heat_colour(values) * strength + 0.62 * (1 - strength)
  bar = np.rint(255 * bar).astype(np.uint8)
  place = {'x': _LEFT + 84, 'y': y + 2, 'width': 150, 'height': 13}
  return [
    svg.text(_LEFT, y + 13, 'a fair share', 'small'),
    _image(bar[None], place),
    svg.text(_LEFT + 244, y + 13, words + ' and more' * is_clipped, 'small'),
  ]
