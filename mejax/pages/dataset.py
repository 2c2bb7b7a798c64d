"""Renders the overview of a dataset: all clips, and how it was made."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
from numbers import Real
import re
from typing import Any

import cv2
from jaxtyping import UInt8
from markupsafe import Markup
import numpy as np

from mejax.pages import bars
from mejax.pages import charts
from mejax.pages import frame
from mejax.pages import pictures
from mejax.pages import recipe_words
from mejax.pages import svg

SIDE = 84  # Side of a thumbnail in pixels.
EXTREMES = 4  # Number of clips shown with the most and the least motion.
LONG = 20  # A table with more rows is folded.
# Clips whose motion is more than this many times the median do not set scales.
_FAR = 4.0


@dataclasses.dataclass(frozen=True)
class Tile:
  """A clip in the overview; small, so that memory holds all of a dataset.

  Attributes:
    corpus, subject, clip, emotion, apex_source: as in the example.
    apex: number of the apex frame; None without frames.
    motion: the 99th percentile of motion over the face at the first level, in
      pixels; None if the flow is not in pixels.
    strain: the 99th percentile of strain; None if the flow is not in pixels.
    face: thumbnail of the apex; None without frames.
    flow: thumbnail of (u, v, strain).
    points: landmarks in pixels of the thumbnail.
  """

  corpus: str
  subject: str
  clip: str
  emotion: str
  apex_source: str
  apex: int | None
  motion: float | None
  strain: float | None
  face: np.ndarray | None
  flow: np.ndarray
  points: np.ndarray

  @classmethod
  def of_example(cls, example: Mapping[str, Any], units: str) -> Tile:
    """Makes the tile of an example."""
    flow = example['flow'][0]
    side = len(flow)
    is_pixel = units == 'pixel'
    how = cv2.INTER_AREA if side > SIDE else cv2.INTER_NEAREST
    small = cv2.resize(flow, (SIDE, SIDE), interpolation=how)
    face = example.get('apex')
    if face is not None:
      face = cv2.resize(face, (SIDE, SIDE), interpolation=how)
    return cls(
      **{
        key: example[key]
        for key in ('corpus', 'subject', 'clip', 'emotion', 'apex_source')
      },
      apex=int(example['apex_number']) if 'apex_number' in example else None,
      motion=pictures.size_of(flow[..., :2]) if is_pixel else None,
      strain=pictures.size_of(flow[..., 2]) if is_pixel else None,
      face=face,
      flow=small.astype(np.float16),
      points=(example['landmarks'] + 0.5) * SIDE / side - 0.5,
    )

  @property
  def identity(self) -> str:
    """`corpus/subject/clip`."""
    return f'{self.corpus}/{self.subject}/{self.clip}'

  @property
  def anchor(self) -> str:
    """The id of the tile in its page, which must not contain blanks."""
    return re.sub(r'\s', '_', self.identity)

  def order(self) -> tuple:
    """Returns a key that sorts by names, with numbers in them by value."""
    return tuple(
      tuple(
        (int(part), '') if part.isdecimal() else (-1, part)
        for part in re.split(r'(\d+)', name)
      )
      for name in (self.corpus, self.subject, self.clip)
    )

  def strip(self, scales: pictures.Legend | None) -> UInt8[np.ndarray, 'h w 3']:
    """Lays thumbnails side by side: the face, if there is one, flow and strain.

    Args:
      scales: motion and strain that have the full colour; None for flow in
        0..255, whose channels are shown one by one.
    """
    flow = self.flow.astype(np.float32)
    if scales is None:
      shown = [pictures.grey(flow[..., i]) for i in range(3)]
    else:
      shown = [
        pictures.flow_colour(flow[..., :2], scale=scales.flow),
        pictures.strain_colour(flow[..., 2], scale=scales.strain),
      ]
    if self.face is not None:
      shown.insert(0, self.face)
    return np.concatenate(shown, axis=1)


@dataclasses.dataclass(frozen=True)
class Overview:
  """A dataset as the pages show it.

  Attributes:
    name: name of the dataset.
    metadata: metadata of the dataset.
    tiles: all clips, in the order of the pages.
    page_of: number of each tile's page, by identity.
    files: file names of the pages.
    command: the command that shows one clip, without its identity.
  """

  name: str
  metadata: Mapping[str, Any]
  tiles: Sequence[Tile]
  page_of: Mapping[str, int]
  files: Sequence[str]
  command: str

  @property
  def has_pixels(self) -> bool:
    """Whether flow is in pixels."""
    return self.metadata['units'] == 'pixel'

  @functools.cached_property
  def scales(self) -> pictures.Legend | None:
    """What nine of ten clips do not exceed in motion and strain, rounded.

    A few bad clips do not set it. None if the flow is not in pixels.
    """
    if not self.has_pixels:
      return None
    both = ([t.motion for t in self.tiles], [t.strain for t in self.tiles])
    motion, strain = map(_usual, both)
    return pictures.Legend.of_sizes(
      [motion],
      [strain],
      side=self.metadata['size'],
      definition=self.metadata['strain'],
    )

  def link(self, tile: Tile) -> str:
    """Returns the link to a tile from any page."""
    number = self.page_of[tile.identity]
    return f'{self.files[number] if number else ""}#{tile.anchor}'


def _usual(sizes: Sequence[float], percent: float = 90.0) -> float:
  """Returns a percentile without the clips that move far too much."""
  usual = [size for size in sizes if size <= _FAR * np.median(sizes)]
  # At half of them it would lie between a clip and one that moves ten times as
  # far; of two values the lower one is taken.
  return float(np.percentile(usual, percent, method='lower'))


def render(overview: Overview, number: int) -> str:
  """Returns a page of the overview; pages are counted from 0."""
  shown = [t for t in overview.tiles if overview.page_of[t.identity] == number]
  by_corpus = collections.defaultdict(list)
  for tile in shown:
    by_corpus[tile.corpus].append(_tile(tile, overview))
  return frame.render(
    'dataset.html',
    title=f'{overview.name} · mejax',
    overview=overview,
    corpora=list(dict.fromkeys(t.corpus for t in overview.tiles)),
    number=number,
    head=None if number else _head(overview),
    has_faces=overview.tiles[0].face is not None,
    by_corpus=by_corpus,
  )


def _tile(tile: Tile, overview: Overview) -> dict[str, Any]:
  rings = pictures.points(tile.points, width=3 * SIDE, height=SIDE)
  source = pictures.jpeg(tile.strip(overview.scales))
  return {
    'clip': tile,
    'link': overview.link(tile),
    'image': pictures.Image(source, tile.identity, rings),
    'warnings': overview.metadata.get('warnings', {}).get(tile.identity, ()),
    'notes': overview.metadata.get('notes', {}).get(tile.identity, ()),
  }


def _head(overview: Overview) -> dict[str, Any]:
  """Makes everything above the clips, which only the first page has."""
  emotions = collections.Counter(t.emotion for t in overview.tiles)
  skipped = overview.metadata.get('skipped', [])
  return {
    'facts': _facts(overview),
    'emotions': charts.fluid(
      bars.class_bar, list(emotions.values()), list(emotions)
    ),
    'motion': _motion(overview) if overview.has_pixels else None,
    'skipped': [
      {
        'kind': '',
        'cells': [clip['identity'], clip.get('emotion', ''), clip['reason']],
      }
      for clip in skipped
    ],
    'is_folded': len(skipped) > LONG,
    'made': [
      {
        'kind': '',
        'cells': pair,
      }
      for pair in recipe_words.rows(overview.metadata)
    ],
  }


def _facts(overview: Overview) -> list[tuple[object, str]]:
  tiles, metadata = overview.tiles, overview.metadata
  subjects = len({(t.corpus, t.subject) for t in tiles})
  corpora = len({t.corpus for t in tiles})
  facts = [(len(tiles), 'clips'), (subjects, 'subjects')]
  facts += [(corpora, 'corpora')] if corpora > 1 else []
  return [
    *facts,
    (len(metadata.get('skipped', ())), 'skipped'),
    (len(metadata.get('warnings', ())), 'with a warning'),
    (
      ', '.join(map(recipe_words.times, metadata['levels'])),
      'motion',
    ),
    ('{0} × {0}'.format(metadata['size']), 'px, the aligned face'),
    *_rates(metadata.get('fps', {})),
  ]


def _rates(fps: Mapping[str, float]) -> list[tuple[str, str]]:
  """Returns the lowest and the highest frame rate."""
  if not fps:
    return []
  ends = dict.fromkeys((min(fps.values()), max(fps.values())))
  return [(' to '.join(f'{fps:g}' for fps in ends), 'frames per second')]


def _motion(overview: Overview) -> dict[str, Any]:
  """Shows how far faces move: a point for each clip, and the extreme clips."""
  ranked = sorted(overview.tiles, key=lambda t: t.motion)
  count = min(EXTREMES, len(ranked) // 2)
  return {
    'dots': motion_dots(overview),
    'most': [_tile(tile, overview) for tile in ranked[::-1][:count]],
    'least': [_tile(tile, overview) for tile in ranked[:count]],
  }


def motion_dots(overview: Overview) -> Markup:
  """Draws a point for each clip on an axis of motion, a row for an emotion."""
  width, tall, bins = 1060, 44, 150
  left, right = 150, width - 30
  sizes = [t.motion for t in overview.tiles]
  top = pictures.scale_of(
    [_usual(sizes, 100.0), pictures.FAINT * overview.metadata['size']],
    above=True,
  )
  more = ' or more' * (max(sizes) > top)
  step = (right - left) / bins
  emotions = list(dict.fromkeys(t.emotion for t in overview.tiles))
  parts, low = [], tall * len(emotions) + 6
  for share in np.linspace(0, 1, 6).tolist():
    x = left + share * (right - left)
    words = f'{share * top:g}{f" px{more}" if share == 1 else ""}'
    parts += [
      svg.line('grid', x, 4, x, low),
      svg.text(x, low + 17, words, 'small', 'middle'),
    ]
  for row, emotion in enumerate(emotions):
    base = tall * (row + 1) - 2
    piles = collections.defaultdict(list)
    for tile in overview.tiles:
      if tile.emotion == emotion:
        piles[min(int(tile.motion / top * bins), bins - 1)].append(tile)
    # The points of a high pile overlap, so that it stays in its row.
    rise = min(step, (tall - 12) / max(map(len, piles.values())))
    words = emotion if len(emotion) < 18 else f'{emotion[:16]}…'
    parts.append(svg.text(left - 14, base, words, anchor='end'))
    for at, pile in piles.items():
      for i, tile in enumerate(pile):
        x, y = left + (at + 0.5) * step, base - 4 - i * rise
        parts.append(_motion_dot(tile, overview.link(tile), x, y))
  label = 'Motion of each clip by emotion'
  return svg.drawing(width, low + 24, parts, label=label)


def _motion_dot(tile: Tile, link: str, x: Real, y: Real) -> Markup:
  tip = svg.tooltip(f'{tile.identity}: {tile.motion:.2f} px')
  circle = svg.element('circle', tip, cx=x, cy=y, r=3.2)
  return svg.element('a', circle, href=link)
