"""Makes the page of what was spotted in recordings: timelines and a table."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
from typing import Any

from jaxtyping import Float
from jaxtyping import UInt8
from markupsafe import Markup
import numpy as np

from mejax.pages import frame
from mejax.pages import pictures
from mejax.pages import svg

# Seconds of a row of the timeline, and its geometry in pixels.
_ROW_SECONDS = 60.0
_WIDTH, _LEFT, _RIGHT = 860, 80, 826
_STEP = 138
# Seconds between two lines.
_TICKS = (1, 2, 5, 10)
# Regions of a candidate that are named.
_REGIONS = 3
# Score at the top of the curve, at least: less would look like much.
_TOP = 40.0
_PLACES = (
  ('micro', 0, 13, 'bar oracle'),
  ('macro', 16, 13, 'bar honest'),
)
_CURVE, _LIDS = (38, 92), 98


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
  """What a page shows of a recording; times are in seconds.

  Attributes:
    name: of the recording.
    seconds: its length.
    fps: frames a second.
    candidates: rows with `type`, `onset_s`, `apex_s`, `offset_s`, `onset`,
      `apex`, `offset`, `score`, `regions` and `flags`. A timeline alone takes
      rows without a score.
    times, strength: how far the face is from its usual place, in units of
      noise; nan where there is no face.
    blinks: start and end of each.
    absent: start and end of the stretches without a face.
    threshold: of a micro-expression's score, in units of noise; 0 for none.
    remarks: sentences to know before one looks.
    pictures: of each candidate the face at onset and apex, or None; empty to
      show no faces.
    is_by_network: whether scores are probabilities that a network tells.
  """

  name: str
  seconds: float
  fps: float
  candidates: Sequence[Mapping[str, Any]]
  times: Float[np.ndarray, ' t']
  strength: Float[np.ndarray, ' t']
  blinks: Sequence[tuple[float, float]] = ()
  absent: Sequence[tuple[float, float]] = ()
  threshold: float = 0.0
  remarks: Sequence[str] = ()
  pictures: Sequence[
    tuple[UInt8[np.ndarray, 'h w 3'], UInt8[np.ndarray, 'h w 3']] | None
  ] = ()
  is_by_network: bool = False

  @property
  def measure(self) -> str:
    """What the numbers of candidates are."""
    return 'probability' if self.is_by_network else 'score'

  def score(self, row: Mapping[str, Any], decimals: int) -> str:
    """Returns the score of a candidate in words."""
    if self.is_by_network:
      return f'{100 * row["score"]:.0f} %'
    return f'{row["score"]:.{decimals}f}'


def page(recordings: Sequence[Recording]) -> str:
  """Returns the HTML page of recordings in which something was spotted."""
  return frame.render(
    'spotting.html',
    title='Spotted: ' + ', '.join(one.name for one in recordings[:3]),
    recordings=[_shown(one) for one in recordings],
    several=len(recordings) > 1,
    is_by_network=any(one.is_by_network for one in recordings),
  )


def _shown(one: Recording) -> dict[str, Any]:
  counts = {
    kind: sum(row['type'] == kind for row in one.candidates)
    for kind in ('micro', 'macro')
  }
  covered = one.seconds - sum(end - start for start, end in one.absent)
  return {
    'name': one.name,
    'facts': [
      (clock(one.seconds), 'long'),
      (f'{one.fps:.5g}', 'frames a second'),
      (counts['micro'], 'micro'),
      (counts['macro'], 'macro'),
      (f'{100 * covered / max(one.seconds, 1e-9):.0f} %', 'with a face'),
    ],
    'remarks': one.remarks,
    'timeline': timeline(one),
    'threshold': one.threshold,
    **_table(one),
    'cards': [
      _card(one, row, pair)
      for row, pair in zip(one.candidates, one.pictures, strict=False)
      if pair is not None
    ],
    'left_out': sum(pair is None for pair in one.pictures),
  }


def _card(one: Recording, row: Mapping[str, Any], pair) -> dict[str, Any]:
  """Returns the two pictures of a candidate; the apex turns into the onset."""
  onset, apex = map(pictures.jpeg, pair)
  when = clock(row['apex_s'], 2)
  return {
    'kind': 'oracle' if row['type'] == 'micro' else 'honest',
    'type': row['type'],
    'when': when,
    'regions': _some(row['regions']),
    'score': f'{one.measure} {one.score(row, 0)}',
    'flags': row['flags'],
    'onset': pictures.Image(onset, f'onset, {clock(row["onset_s"], 2)}'),
    'apex': pictures.Image(apex, f'apex, {when}', over=onset),
  }


def _table(one: Recording) -> dict[str, Any]:
  """Returns the candidates as a table, without a last column of nothing."""
  header = [
    'type', 'apex', one.measure, 'onset–apex–offset', 'length', 'regions',
    'beside it',
  ]  # fmt: skip
  number = len(header) - (not any(row['flags'] for row in one.candidates))
  rows = [_row(one, row) for row in one.candidates]
  return {
    'header': header[:number],
    'rows': [row | {'cells': row['cells'][:number]} for row in rows],
  }


def _row(one: Recording, row: Mapping[str, Any]) -> dict[str, Any]:
  return {
    'kind': 'oracle' if row['type'] == 'micro' else '',
    'cells': [
      row['type'],
      clock(row['apex_s'], 2),
      one.score(row, 1),
      f'{row["onset"]}–{row["apex"]}–{row["offset"]}',
      f'{row["offset_s"] - row["onset_s"]:.2f} s',
      _some(row['regions']),
      row['flags'],
    ],
  }


def _scored(one: Recording, row: Mapping[str, Any]) -> str:
  if row['score'] is None:
    return ''
  return f', {one.measure} {one.score(row, 1)}'


def _some(regions: str) -> str:
  """Returns the regions that move most; all of them are in the CSV."""
  names = regions.split(', ')
  more = len(names) - _REGIONS
  if more < 2:
    return regions
  return f'{", ".join(names[:_REGIONS])} and {more} more'


def clock(seconds: float | int, decimals: int = 0) -> str:
  """Returns a time as minutes and seconds, e.g. `2:05`."""
  whole = 10**decimals
  ticks = round(seconds * whole)
  minutes, rest = divmod(ticks, 60 * whole)
  width = 3 + decimals if decimals else 2
  return f'{minutes}:{rest / whole:0{width}.{decimals}f}'


def timeline(one: Recording) -> Markup:
  """Draws a row for each minute: candidates, movement, blinks, no face."""
  long = min(max(one.seconds, 1.0), _ROW_SECONDS)
  number = max(math.ceil(one.seconds / _ROW_SECONDS - 1e-9), 1)
  parts = [
    _line(one, i * _ROW_SECONDS, long, 22.0 + i * _STEP) for i in range(number)
  ]
  words = (
    f'Timeline of {one.name}: {len(one.candidates)} candidates in '
    f'{clock(one.seconds)}'
  )
  return svg.drawing(_WIDTH, 22 + number * _STEP, parts, label=words)


def _line(one: Recording, start: float, long: float, top: float) -> list[Any]:
  """Draws a minute; `top` is the y of its upper edge."""

  def at(time: float) -> float:
    return _LEFT + (time - start) / long * (_RIGHT - _LEFT)

  def span(kind: str, times, y: int, height: int, tip: str) -> list[Markup]:
    first, last = max(times[0], start), min(times[1], start + long)
    if last < first:
      return []
    # A micro-expression is 4 pixels wide; narrower marks would not be seen.
    width = max(at(last) - at(first), 3)
    box = svg.rect(kind, at(first), top + y, width, height, rx=2)
    return [svg.element('g', svg.tooltip(tip), box)]

  parts: list[Any] = []
  step = next(step for step in _TICKS if long <= 8 * step)
  for second in np.arange(0, long + 1e-6, step):
    x = at(start + float(second))
    parts += [
      svg.line('grid', x, top, x, top + _LIDS + 6),
      svg.text(x, top + _LIDS + 23, clock(start + float(second)), 'small',
               'middle'),
    ]  # fmt: skip
  for times in one.absent:
    parts += span('away', times, 0, _LIDS + 6, 'no face')
  parts.append(_curve(one, start, long, at, top))
  for times in one.blinks:
    parts += span('bar baseline', times, _LIDS, 6, 'the lids move')
  for kind, y, height, colour in _PLACES:
    parts.append(svg.text(_LEFT - 10, top + y + 11, kind, 'small', 'end'))
    for row in one.candidates:
      if row['type'] == kind:
        tip = (
          f'{kind}, {clock(row["onset_s"], 2)} to {clock(row["offset_s"], 2)}'
          f'{_scored(one, row)}: {row["regions"]}'
          + (f' ({row["flags"]})' if row['flags'] else '')
        )
        times = (row['onset_s'], row['offset_s'])
        parts += span(colour, times, y, height, tip)
  middle = top + sum(_CURVE) / 2 + 4
  parts.append(svg.text(_LEFT - 10, middle, 'movement', 'small', 'end'))
  parts.append(svg.text(_LEFT - 10, top + _LIDS + 7, 'lids', 'small', 'end'))
  return parts


def _curve(one: Recording, start: float, long: float, at, top: float):
  """Draws the largest movement in each pixel of a minute, and its scale.

  The scale is a square root: small movements are seen beside large ones.
  """
  upper, lower = top + _CURVE[0], top + _CURVE[1]
  # Of a recording without any face, no number is finite.
  most = max(one.strength[np.isfinite(one.strength)], default=0.0)
  most = max(float(most), one.threshold, _TOP)

  def height(score: float) -> float:
    return lower - math.sqrt(max(score, 0) / most) * (lower - upper)

  own = (one.times >= start) & (one.times < start + long)
  own &= np.isfinite(one.strength)
  points, last = [], -np.inf
  if own.any():
    # Of many frames in a pixel, the largest counts.
    places = np.floor([at(float(t)) for t in one.times[own]]).astype(int)
    # No line leads over a stretch without a face.
    frame_width = (_RIGHT - _LEFT) / long * (one.times[-1] - one.times[0])
    reach = max(2.0, 1.6 * frame_width / max(len(one.times) - 1, 1))
    scores = one.strength[own]
    for x in np.unique(places):
      y = height(float(scores[places == x].max()))
      points.append(f'{"L" if x - last <= reach else "M"}{x} {y:.1f}')
      last = x
  scale = [
    [
      svg.line(kind, _LEFT, height(score), _RIGHT, height(score)),
      svg.text(_RIGHT + 6, height(score) + 4, f'{score:.3g}', 'small'),
    ]
    for kind, score in (('grid', most), ('axis faint', one.threshold))
    if score
  ]
  return [
    scale,
    svg.element('path', class_='curve baseline thin', d=''.join(points))
    if points
    else [],
  ]
