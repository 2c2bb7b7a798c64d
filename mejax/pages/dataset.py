"""The overview of a dataset: a tile for each clip, and how it was made."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import html
import re
from typing import Any

import numpy as np

from mejax.pages import charts
from mejax.pages import frame
from mejax.pages import pictures
from mejax.pages import shared
from mejax.pages.tile import SIDE
from mejax.pages.tile import Tile

EXTREMES = 4  # Clips that are shown as those of most and least motion.
LONG = 20  # A longer table is folded.
# What of the metadata the page has elsewhere.
_ELSEWHERE = ('counts', 'skipped', 'remarks', 'schema_version')

STYLE = """
.tiles { display: grid; gap: 18px 20px; margin: 14px 0;
  grid-template-columns: repeat(auto-fill, minmax(236px, 1fr)); }
.tile { content-visibility: auto; contain-intrinsic-size: auto 150px;
  font-size: 13px; line-height: 1.4; scroll-margin-top: 12px; }
.tile:target { outline: 2px solid var(--oracle); outline-offset: 5px;
  border-radius: 4px; }
.tile p { margin: 4px 0 0; overflow-wrap: anywhere; }
.tile .remark { color: var(--oracle); margin-top: 1px; }
.tile p + p { margin-top: 0; }
svg a circle { fill: var(--honest); opacity: 0.8; }
svg a:hover circle { fill: var(--oracle); opacity: 1; }
.tile .name { display: flex; justify-content: space-between; gap: 12px; }
.name b { white-space: nowrap; }
.pages a { margin-right: 10px; }
.made td:first-child { width: 12em; }
.words th { text-align: left; }
pre { margin: 6px 0 0; overflow-x: auto; }
"""


@dataclasses.dataclass(frozen=True)
class Overview:
  """A dataset as the pages show it.

  Attributes:
    name: of the dataset.
    metadata: of the dataset.
    tiles: all clips, in the order of the pages.
    page_of: page of each tile, by identity.
    files: names of the pages.
    command: what a user types to see one clip, without its identity.
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
  def scales(self) -> tuple[float, float] | None:
    """About the motion in pixels, and strain, that 9 of 10 clips stay below.

    None where the flow is not in pixels.
    """
    if not self.has_pixels:
      return None
    both = ([t.motion for t in self.tiles], [t.strain for t in self.tiles])
    motion, strain = (float(np.percentile(sizes, 90)) for sizes in both)
    return pictures.scale_of([motion]), pictures.scale_of([strain])


def body(overview: Overview, number: int) -> str:
  """HTML of one page of the overview, without its frame."""
  shown = [t for t in overview.tiles if overview.page_of[t.identity] == number]
  parts = [_head(overview)] if not number else [_short_head(overview, number)]
  parts.append('<h2 id="clips">Clips</h2>')
  parts.append(_pages(overview, number))
  parts.append(_reading(overview))
  for corpus in dict.fromkeys(t.corpus for t in shown):
    own = [t for t in shown if t.corpus == corpus]
    title = f'{html.escape(corpus)}, {len(own)} clips'
    parts.append(f'<h3>{title}</h3>{_tiles(own, overview)}')
  parts.append(_pages(overview, number))
  return ''.join(parts)


def _head(overview: Overview) -> str:
  """All there is to say before the clips are shown."""
  tiles, metadata = overview.tiles, overview.metadata
  emotions = collections.Counter(t.emotion for t in tiles)
  subjects = len({(t.corpus, t.subject) for t in tiles})
  skipped = metadata.get('skipped', [])
  remarks = metadata.get('remarks', {})
  corpora = list(dict.fromkeys(t.corpus for t in tiles))
  facts = [(len(tiles), 'clips'), (subjects, 'subjects')]
  facts += [(len(corpora), 'corpora')] if len(corpora) > 1 else []
  facts += [(len(skipped), 'skipped'), (len(remarks), 'with a remark')]
  facts.append((', '.join(map(shared.number, metadata['levels'])), 'levels'))
  facts.append((metadata['size'], 'pixels a side'))
  return ''.join(
    [
      '<p class="eyebrow">What is in a dataset</p>',
      f'<h1>{html.escape(overview.name)}</h1>',
      shared.facts(facts),
      shared.licence(corpora),
      _contents(overview),
      charts.class_bar(list(emotions.values()), list(emotions)),
      _motion(overview) if overview.has_pixels else '',
      _skipped(skipped),
      _made(metadata),
    ]
  )


def _contents(overview: Overview) -> str:
  """Links to the parts of the first frame."""
  parts = [('#clips', 'all clips'), ('#made', 'how it was made')]
  if overview.metadata.get('skipped'):
    parts.append(('#skipped', 'what was skipped'))
  links = ''.join(f'<a href="{to}">{words}</a>' for to, words in parts)
  return f'<p class="pages">{links}</p>'


def _short_head(overview: Overview, number: int) -> str:
  corpora = list(dict.fromkeys(t.corpus for t in overview.tiles))
  return (
    f'<p class="eyebrow">page {number + 1} of {len(overview.files)}</p>'
    f'<h1>{html.escape(overview.name)}</h1>{shared.licence(corpora)}'
  )


def _motion(overview: Overview) -> str:
  """How far faces move: a point for each clip, and the clips at both ends."""
  tiles = overview.tiles
  ranked = sorted(tiles, key=lambda t: t.motion)
  level = shared.number(overview.metadata['levels'][0])
  count = min(EXTREMES, len(tiles) // 2)
  most, least = ranked[::-1][:count], ranked[:count]
  return (
    '<h2>How far faces move</h2>'
    + frame.figure(
      _dots(overview),
      f'Each point is a clip: pixels that 99 % of the face move less than, at '
      f'level {level}. Choose a point to get to its clip.',
    )
    + f'<h3>Most motion</h3>{_tiles(most, overview, twice=True)}'
    + f'<h3>Least motion</h3>{_tiles(least, overview, twice=True)}'
  )


def _dots(overview: Overview, *, width: int = 1060, tall: int = 44) -> str:
  """Points piled up over one axis, a row for each emotion."""
  left, right, bins = 150, width - 30, 150
  top = pictures.scale_of([t.motion for t in overview.tiles], above=True)
  step = (right - left) / bins
  emotions = list(dict.fromkeys(t.emotion for t in overview.tiles))
  parts, low = [], tall * len(emotions) + 6
  for share in np.linspace(0, 1, 6):
    x = left + share * (right - left)
    parts += [
      f'<line class="grid" x1="{x:.0f}" x2="{x:.0f}" y1="4" y2="{low}"/>',
      f'<text class="small" x="{x:.0f}" y="{low + 17}" text-anchor="middle">'
      f'{share * top:g}{" px" if share == 1 else ""}</text>',
    ]
  for row, emotion in enumerate(emotions):
    base = tall * (row + 1) - 2
    own = [t for t in overview.tiles if t.emotion == emotion]
    piles = collections.defaultdict(list)
    for tile in own:
      piles[min(int(tile.motion / top * bins), bins - 1)].append(tile)
    rise = min(step, (tall - 12) / max(map(len, piles.values())))
    words = html.escape(emotion if len(emotion) < 18 else f'{emotion[:16]}…')
    parts.append(
      f'<text x="{left - 14}" y="{base}" text-anchor="end">{words}</text>'
    )
    for at, pile in piles.items():
      for i, tile in enumerate(pile):
        parts.append(
          f'<a href="{_link(tile, overview)}"><circle '
          f'cx="{left + (at + 0.5) * step:.1f}" cy="{base - 4 - i * rise:.1f}" '
          f'r="3.2"><title>{html.escape(tile.identity)}: {tile.motion:.2f} px'
          '</title></circle></a>'
        )
  return (
    f'<svg viewBox="0 0 {width} {low + 24}" width="{width}" role="img" '
    f'aria-label="Motion of each clip by emotion">{"".join(parts)}</svg>'
  )


def _skipped(skipped: Sequence[Mapping[str, str]]) -> str:
  if not skipped:
    return ''
  rows = [
    ('', [clip['identity'], clip.get('emotion', ''), clip['reason']])
    for clip in skipped
  ]
  table = frame.table(['clip', 'emotion', 'why'], rows, 'words')
  if len(rows) > LONG:
    table = f'<details><summary>all {len(rows)}</summary>{table}</details>'
  return f'<h2 id="skipped">Skipped</h2>{table}'


def _made(metadata: Mapping[str, Any]) -> str:
  """The metadata as a table."""
  rows = [
    ('', [key.replace('_', ' '), _words(value)])
    for key, value in metadata.items()
    if key not in _ELSEWHERE
  ]
  return (
    f'<h2 id="made">How it was made</h2>{frame.table([], rows, "words made")}'
  )


def _words(value: Any) -> str:
  if isinstance(value, Mapping):
    return ', '.join(f'{k} {_words(v)}' for k, v in value.items())
  if isinstance(value, list):
    return ', '.join(map(_words, value))
  if value is None or isinstance(value, bool):
    return {True: 'yes', False: 'no', None: 'none'}[value]
  return f'{value:g}' if isinstance(value, float) else str(value)


def _reading(overview: Overview) -> str:
  """How a tile is to be read."""
  example = html.escape(f'{overview.command} {overview.tiles[0].identity}')
  more = f'To see more of a clip:<pre><code>{example}</code></pre>'
  if not overview.has_pixels:
    return (
      '<p>Of each clip u (to the right), v (down) and strain, each stretched '
      'from black to white on its own: how far the face moved is lost.</p>'
    ) + more
  flow, strain = overview.scales
  faces = 'The apex with its five points, t' if _has_faces(overview) else 'T'
  level = shared.number(overview.metadata['levels'][0])
  return (
    f'<p>{faces}he motion from the onset, and its strain, at level {level}.</p>'
    + shared.legend(
      flow=flow, strain=strain, words='in all clips', arrows=False
    )
    + more
  )


def _has_faces(overview: Overview) -> bool:
  return overview.tiles[0].face is not None


def _tiles(
  tiles: Sequence[Tile], overview: Overview, *, twice: bool = False
) -> str:
  """Tiles of some clips; only those that are not shown twice have an anchor."""
  inside = ''.join(_tile(tile, overview, twice=twice) for tile in tiles)
  return f'<div class="tiles">{inside}</div>'


def _tile(tile: Tile, overview: Overview, *, twice: bool) -> str:
  name = html.escape(f'{tile.subject} / {tile.clip}')
  if twice:
    first = f'<a href="{_link(tile, overview)}">{name}</a>'
    start = '<div class="tile">'
  else:
    first = f'<span>{name}</span>'
    start = f'<div class="tile" id="{_anchor(tile.identity)}">'
  if tile.motion is not None:
    first += f'<b>{tile.motion:.2f} px</b>'
  words = html.escape(tile.emotion)
  if tile.apex is not None:
    words += f' · apex {tile.apex}, {html.escape(tile.apex_source)}'
  remarks = overview.metadata.get('remarks', {}).get(tile.identity, ())
  notes = ''.join(f'<p class="remark">{html.escape(r)}</p>' for r in remarks)
  rings = pictures.points(tile.points, width=3 * SIDE, height=SIDE)
  strip = shared.picture(
    pictures.jpeg(tile.strip(overview.scales)), tile.identity, overlay=rings
  )
  return (
    f'{start}{strip}<p class="name">{first}</p><p class="soft">{words}</p>'
    f'{notes}</div>'
  )


def _pages(overview: Overview, number: int) -> str:
  """Links to the other pages, if there are any."""
  if len(overview.files) == 1:
    return ''
  links = ''.join(
    f'<b>{i + 1}</b> ' if i == number else f'<a href="{file}">{i + 1}</a>'
    for i, file in enumerate(overview.files)
  )
  return f'<p class="pages">Pages: {links}</p>'


def _link(tile: Tile, overview: Overview) -> str:
  anchor = _anchor(tile.identity)
  number = overview.page_of[tile.identity]
  return f'{overview.files[number] if number else ""}#{anchor}'


def _anchor(identity: str) -> str:
  return html.escape(re.sub(r'\s', '_', identity), quote=True)
