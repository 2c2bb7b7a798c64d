"""The part of the report on where the models looked, class by class."""

from __future__ import annotations

import base64
from collections.abc import Mapping
import html
import zlib

from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.pages import attention_map
from mejax.pages import frame

_WIDTH = 860
_LEFT = 118  # room for the names of classes
_GAP = 12
_PIXELS = 128  # of heat in the file; a browser smooths it as it enlarges it
_LEAST_TOP = 1.5  # The scale of heat goes at least so far above a fair share.

# What each kind of picture shows; see `heat.Picture`.
_WORDS = {
  'read': (
    'What was read of each place at each amplification: what the place adds to '
    'its region, followed back through the encoder’s attention (attention '
    'rollout), times the share of that region and amplification.'
  ),
  'attention': (
    'How much attention each place gets from all, mean over heads and layers; '
    'its share is among the places that it competes with.'
  ),
  'gate': (
    'Gates: what each hands on; by the released one the motion’s features '
    'at each place are multiplied, and it holds those before it.'
  ),
  'onset': (
    'Onset: how much attention goes to each place of the face before it moves, '
    'which tells the model where things are, not what moved.'
  ),
}


def section(looked: Mapping[str, np.ndarray]) -> str:
  """HTML of what `mejax.experiment.introspection.write_attention` wrote."""
  kinds = dict.fromkeys(looked['kinds'].tolist())
  words = ' '.join(_WORDS[kind] for kind in kinds)
  if 'face' in looked:
    behind = 'The face is the mean of all people. '
  elif 'motion' in looked:
    behind = 'Dark behind the colours is where it moved. '
  else:
    behind = 'The squares are the inputs as the model has them. '
  moved = (
    '<b>Moved</b>: the mean motion of the class, relative to the whole face, '
    'darkest where it is longest. '
    if 'motion' in looked
    else ''
  )
  return (
    '<h3>Where the models looked</h3><p class="soft">Mean over the clips of '
    'each class and over seeds. Every clip is shown to models that never saw '
    'its person.</p>'
    + frame.figure(
      grid(looked),
      f'{moved}{words} {behind}Coloured is what is looked at more than its '
      'fair share. It is no explanation of a decision: what is done with a '
      'place, and what came to it from elsewhere, is not in the picture.',
    )
  )


def grid(looked: Mapping[str, np.ndarray]) -> str:
  """A row for each class, a column for each picture, as SVG."""
  maps = [looked[f'map{i}'] for i in range(len(looked['titles']))]
  rows = np.flatnonzero(looked['clips'])
  heat = np.concatenate([each[rows].ravel() for each in maps])
  # A place that draws everything would leave the others without colour.
  top = max(float(np.quantile(heat, 0.995)), _LEAST_TOP)
  more = ' and more' if heat.max() > top else ''
  titles = ['moved'] * ('motion' in looked) + looked['titles'].tolist()
  side = min((_WIDTH - _LEFT + _GAP) / len(titles) - _GAP, 200)
  at = [_LEFT + i * (side + _GAP) for i in range(len(titles))]
  parts = [_small(x, 16, title) for x, title in zip(at, titles, strict=True)]
  shares, corners, y = _shares(looked, maps), _corners(looked), 28
  for row in rows:
    name, middle = str(looked['classes'][row]), y + side / 2
    parts += [
      f'<text x="0" y="{middle:.1f}">{html.escape(name)}</text>',
      _small(0, middle + 18, f'{looked["clips"][row]} clips'),
    ]
    cells = [_hot(each[row], top, corners) for each in maps]
    if 'motion' in looked:
      cells.insert(0, _moved(looked['motion'][row]))
    for x, title, cell in zip(at, titles, cells, strict=True):
      place = f'x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}"'
      parts.append(
        f'<g><title>{html.escape(f"{name}, {title}")}</title>'
        f'{_ground(looked, row, place)}{_image(cell, place)}</g>'
      )
    y += side + _GAP
    if shares is not None:
      for x, share in zip(at[-len(maps) :], shares[row], strict=True):
        parts.append(_small(x, y + 3, f'{100 * share:.0f} % read'))
      y += 18
  parts.append(_legend(y + 4, f'{top:.1f} times as much{more}'))
  label = 'Where the models looked, for each class'
  return (
    f'<svg viewBox="0 0 {_WIDTH} {y + 26:.0f}" width="{_WIDTH}" '
    f'height="{y + 26:.0f}" role="img" aria-label="{label}">'
    f'{_shared(looked)}{"".join(parts)}</svg>'
  )


def _shares(looked, maps) -> np.ndarray | None:
  """What share of all that is read is of each picture, where that is known."""
  if len(maps) < 2 or set(looked['kinds'].tolist()) != {'read'}:
    return None
  sums = np.stack([each.sum((1, 2, 3)) for each in maps], 1)
  return sums / np.maximum(sums.sum(1, keepdims=True), 1e-12)


def _corners(looked) -> Float[np.ndarray, '4 2']:
  """Upper left of the regions as shares of a side; quarters by default."""
  if 'corners' in looked:
    return looked['corners'] / looked['motion'].shape[-1]
  return np.array([[0, 0], [0, 0.5], [0.5, 0], [0.5, 0.5]])


def _hot(heat, top, corners) -> UInt8[np.ndarray, 's s 4']:
  """Heat above a fair share as a veil to lie on a face."""
  seen, held = _on_face(heat.astype(np.float64), corners)
  value = np.clip((seen - 1) / (top - 1), 0, 1)
  # What no region holds is pale.
  pale = np.where(held, 0.1, 0.72)
  return _veil(attention_map.colour(value), 0.9 * value**0.7, pale)


def _on_face(heat, corners):
  """Heat of each region where it is on the face, and what any region holds.

  Where regions overlap, each counts by how far the place is from its edge.
  """
  if len(heat) == 1:
    whole = attention_map.enlarge(heat[0], _PIXELS)
    return whole, np.ones(whole.shape, bool)
  side = _PIXELS // 2
  depth = np.minimum(np.arange(side) + 1, side - np.arange(side))
  weight = np.minimum.outer(depth, depth)
  total, weights = np.zeros((2, _PIXELS, _PIXELS))
  for part, corner in zip(heat, corners, strict=True):
    row, column = np.clip(np.rint(corner * _PIXELS).astype(int), 0, side)
    place = np.s_[row : row + side, column : column + side]
    total[place] += weight * attention_map.enlarge(part, side)
    weights[place] += weight
  return total / np.maximum(weights, 1), weights > 0


def _moved(motion) -> UInt8[np.ndarray, 'h w 4']:
  value = motion.astype(np.float64)
  blue = np.broadcast_to(np.array([12, 92, 140]) / 255, (*value.shape, 3))
  return _veil(blue, 0.95 * value**1.2, 0.3)


def _veil(colour, strength, pale) -> UInt8[np.ndarray, 'h w 4']:
  """A colour over white, both letting through what is behind."""
  alpha = strength + pale * (1 - strength)
  mixed = colour * strength[..., None] + (pale * (1 - strength))[..., None]
  rgb = mixed / np.maximum(alpha, 1e-12)[..., None]
  rgba = np.concatenate([rgb, alpha[..., None]], -1)
  return np.rint(255 * np.clip(rgba, 0, 1)).astype(np.uint8)


def _shared(looked) -> str:
  """The face, which stands in the page once."""
  if 'face' not in looked:
    return ''
  source = _source(looked['face'][..., None])
  return (
    f'<defs><symbol id="{_name(looked)}" viewBox="0 0 1 1">'
    f'<image width="1" height="1" href="{source}"/></symbol></defs>'
  )


def _ground(looked, row, place) -> str:
  """What lies behind: the face, or else where this class moves in grey."""
  if 'face' in looked:
    return f'<use {place} href="#{_name(looked)}"/>'
  if 'motion' in looked:
    grey = np.rint(225 - 150 * looked['motion'][row].astype(np.float64))
    return _image(grey.astype(np.uint8)[..., None], place)
  return f'<rect {place} fill="#cfd4d8"/>'


def _name(looked) -> str:
  """Of the face among those of several runs."""
  return f'face{zlib.crc32(looked["face"].tobytes()):x}'


def _image(pixels, place) -> str:
  return f'<image {place} preserveAspectRatio="none" href="{_source(pixels)}"/>'


def _source(pixels) -> str:
  data = base64.b64encode(attention_map.png(pixels)).decode()
  return f'data:image/png;base64,{data}'


def _small(x, y, words) -> str:
  return (
    f'<text class="small" x="{x:.1f}" y="{y:.1f}">{html.escape(words)}</text>'
  )


def _legend(y, words) -> str:
  values = np.linspace(0, 1, 128)
  strength = 0.9 * values[:, None] ** 0.7
  bar = attention_map.colour(values) * strength + 0.62 * (1 - strength)
  bar = np.rint(255 * bar).astype(np.uint8)
  place = f'x="{_LEFT + 84}" y="{y + 2:.1f}" width="150" height="13"'
  return (
    _small(_LEFT, y + 13, 'a fair share')
    + _image(bar[None], place)
    + _small(_LEFT + 244, y + 13, words)
  )
