"""Draws what is known at a frame: how the face moves, and the last event."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import textwrap
from typing import Any

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.experiment.predicting import annotating
from mejax.motion.glance import Seen
from mejax.pages import notice
from mejax.pages import pictures

# The sheet, and where the picture, the last event and the timeline lie.
WIDTH, HEIGHT = 1200, 760
_EDGE, _TOP = 24, 62
_PICTURE = (640, 480)
_RIGHT = _EDGE + _PICTURE[0] + 28
_TIMELINE = (_TOP + _PICTURE[1] + 34, 86)
_TILE = 148
# Seconds of the timeline.
_SECONDS = 20.0
# Motion that has the full colour, and that has none, as shares of the face.
_FULL, _NONE = 0.015, 0.003
_ARROWS = 16
_PAPER, _PANEL = (22, 24, 28), (36, 39, 45)
_INK, _SOFT, _FAINT = (240, 238, 234), (164, 168, 176), (72, 77, 86)
_MARK = {'micro': (240, 154, 94), 'macro': (104, 176, 216)}
_FONT = cv2.FONT_HERSHEY_DUPLEX

Picture = UInt8[np.ndarray, 'h w 3']


@dataclasses.dataclass(frozen=True, kw_only=True)
class Last:
  """The last event.

  Attributes:
    row: of the table, with `type`, `onset`, `offset` and `regions`.
    shares: name and probability of each class; empty while it is recognised, or
      if it cannot be.
    answer: what is said of it.
    tiles: words and picture of each.
  """

  row: Mapping[str, Any]
  shares: Sequence[tuple[str, float]] = ()
  answer: str = 'being recognised'
  tiles: Sequence[tuple[str, Picture]] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
  """What is shown at a frame.

  Attributes:
    name: of the stream.
    fps: frames a second.
    number, image: of the frame.
    seen: how the face moves; None if there is none.
    times, strength: curve of movement, in seconds and units of noise.
    threshold: of a micro-expression's score; 0 for none.
    events: rows of the events so far, in order.
    last: the last of them; None before the first.
  """

  name: str
  fps: float
  number: float
  image: Picture
  seen: Seen | None
  times: Float[np.ndarray, ' t']
  strength: Float[np.ndarray, ' t']
  threshold: float
  events: Sequence[Mapping[str, Any]]
  last: Last | None


def draw(view: View) -> UInt8[np.ndarray, 'a b 3']:
  """Returns a picture of `HEIGHT` x `WIDTH` pixels."""
  sheet = np.empty((HEIGHT, WIDTH, 3), np.uint8)
  sheet[:] = _PAPER
  _head(sheet, view)
  _frame(sheet, view)
  _last(sheet, view)
  _timeline(sheet, view)
  for i, line in enumerate(textwrap.wrap(notice.RESPONSIBLE_USE, 145)):
    _write(sheet, line, (_EDGE, HEIGHT - 54 + 18 * i), 0.4, _SOFT)
  return sheet


def _head(sheet: Picture, view: View) -> None:
  _write(sheet, 'mejax predict', (_EDGE, 40), 0.7, _INK)
  minutes, seconds = divmod(view.number / view.fps, 60)
  words = (
    f'{view.name}   {int(minutes)}:{int(seconds):02d}   '
    f'{view.fps:.4g} frames a second'
  )
  if view.seen:
    words += f'   eyes {view.seen.eyes:.0f} px apart'
  room = WIDTH - 2 * _EDGE - 210
  _write(sheet, words, (_EDGE + 210, 40), 0.48, _SOFT, room=room)


def _frame(sheet: Picture, view: View) -> None:
  """Draws the frame, and on it how the face moves."""
  image = view.image
  if view.seen:
    image = _coloured(image, view.seen)
  height, width = image.shape[:2]
  scale = min(_PICTURE[0] / width, _PICTURE[1] / height)
  size = (max(round(width * scale), 1), max(round(height * scale), 1))
  how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
  shown = cv2.resize(image, size, interpolation=how)
  left = _EDGE + (_PICTURE[0] - size[0]) // 2
  top = _TOP + (_PICTURE[1] - size[1]) // 2
  _box(sheet, (_EDGE, _TOP), _PICTURE, _PANEL)
  inside = np.ascontiguousarray(shown)
  if view.seen:
    _arrows(inside, view.seen, scale)
  else:
    _write(inside, 'no face', (14, size[1] - 16), 0.6, _INK)
  sheet[top : top + size[1], left : left + size[0]] = inside


def _coloured(image: Picture, seen: Seen) -> Picture:
  """Lays the colours of the motion over the face."""
  left, top, side = seen.box
  length = np.linalg.norm(seen.flow, axis=-1)
  colours = pictures.flow_colour(seen.flow, scale=_FULL).astype(np.float32)
  share = 0.75 * np.clip((length - _NONE) / (_FULL - _NONE), 0, 1) ** 0.7
  both = np.dstack([colours, share]).astype(np.float32)
  both = cv2.resize(both, (side, side), interpolation=cv2.INTER_LINEAR)
  # The square may reach beyond the frame.
  height, width = image.shape[:2]
  rows = slice(max(top, 0), max(min(top + side, height), 0))
  columns = slice(max(left, 0), max(min(left + side, width), 0))
  both = both[rows.start - top :, columns.start - left :]
  own = image[rows, columns]
  both = both[: own.shape[0], : own.shape[1]]
  share = both[..., 3:]
  mixed = (1 - share) * own + share * both[..., :3]
  result = image.copy()
  result[rows, columns] = np.rint(mixed).clip(0, 255)
  return result


def _arrows(shown: Picture, seen: Seen, scale: float) -> None:
  """Draws arrows where the face moves, in the frame as it is shown."""
  left, top, side = (value * scale for value in seen.box)
  corners = [
    (round(left), round(top)),
    (round(left + side), round(top + side)),
  ]
  cv2.rectangle(shown, *corners, _SOFT, 1, cv2.LINE_AA)
  cell = side / _ARROWS
  means = cv2.resize(
    seen.flow, (_ARROWS, _ARROWS), interpolation=cv2.INTER_AREA
  )
  for (row, column), length in np.ndenumerate(np.linalg.norm(means, axis=-1)):
    if length < 1.5 * _NONE:
      continue
    start = np.array([left, top]) + (np.array([column, row]) + 0.5) * cell
    reach = 1.6 * cell * min(length / _FULL, 1)
    end = start + means[row, column] / length * reach
    ends = [tuple(np.rint(16 * p).astype(int).tolist()) for p in (start, end)]
    for colour, thick in ((_PAPER, 3), (_INK, 1)):
      cv2.arrowedLine(shown, *ends, colour, thick, cv2.LINE_AA, 4, 0.35)


def _last(sheet: Picture, view: View) -> None:
  """Draws what is said of the last event."""
  room = WIDTH - _EDGE - _RIGHT
  _box(sheet, (_RIGHT, _TOP), (room, _PICTURE[1]), _PANEL)
  x, y, room = _RIGHT + 20, _TOP + 32, room - 40
  _write(sheet, 'THE LAST MOVEMENT', (x, y), 0.42, _SOFT)
  if view.last is None:
    words = 'none so far' if view.seen else 'no face is seen'
    _write(sheet, words, (x, y + 38), 0.75, _INK)
    words = 'One is known two to three seconds after it has ended.'
    _write(sheet, words, (x, y + 72), 0.44, _SOFT, room=room)
    return
  last = view.last
  colour = _MARK.get(last.row['type'], _INK)
  _write(sheet, last.answer, (x, y + 38), 0.75, colour, room=room)
  long = (last.row['offset'] - last.row['onset'] + 1) / view.fps
  ago = max((view.number - last.row['offset']) / view.fps, 0)
  words = f'{last.row["type"]}, {long:.2f} s long, {ago:.0f} s ago'
  _write(sheet, words, (x, y + 66), 0.46, _SOFT, room=room)
  _write(sheet, last.row['regions'], (x, y + 88), 0.46, _SOFT, room=room)
  y += 116
  for i, (words, tile) in enumerate(last.tiles[:3]):
    at = x + i * (_TILE + 8)
    shown = cv2.resize(tile, (_TILE, _TILE), interpolation=cv2.INTER_AREA)
    sheet[y : y + _TILE, at : at + _TILE] = shown
    _write(sheet, words, (at, y + _TILE + 18), 0.4, _SOFT, room=_TILE)
  _bars(sheet, last, (x, y + _TILE + 46), room)


def _bars(sheet: Picture, last: Last, at: tuple[int, int], room: int) -> None:
  x, y = at
  for i, (name, share) in enumerate(last.shares[:4]):
    low = y + 34 * i
    best = share == max(value for _, value in last.shares)
    ink = _INK if best else _SOFT
    _write(sheet, name, (x, low + 12), 0.46, ink, room=140)
    _box(sheet, (x + 150, low), (room - 220, 14), _FAINT)
    wide = round((room - 220) * share)
    colour = _MARK.get(last.row['type'], _INK) if best else _SOFT
    _box(sheet, (x + 150, low), (wide, 14), colour)
    _write(sheet, f'{100 * share:.0f} %', (x + room - 56, low + 12), 0.46, ink)


def _timeline(sheet: Picture, view: View) -> None:
  """Draws the movement of the last seconds, and what was spotted in them."""
  top, height = _TIMELINE
  left, right = _EDGE, WIDTH - _EDGE
  now = view.number / view.fps
  _box(sheet, (left, top), (right - left, height), _PANEL)

  def at(time: float) -> int:
    return round(right - (now - time) / _SECONDS * (right - left))

  for row in view.events:
    begin, end = (at(row[name] / view.fps) for name in ('onset', 'offset'))
    if end > left:
      begin = max(begin, left)
      wide = max(end - begin, 4)
      _box(sheet, (begin, top), (wide, height), _MARK[row['type']], share=0.45)
  own = (view.times > now - _SECONDS) & np.isfinite(view.strength)
  most = max(40.0, float(view.strength[own].max(initial=0.0)))

  def high(score: float) -> int:
    share = np.sqrt(max(score, 0.0) / most)
    return round(top + height - 6 - share * (height - 14))

  words = 'movement, 20 seconds'
  if view.threshold:
    words += '; the line is where a short one counts'
    line = high(view.threshold)
    cv2.line(sheet, (left, line), (right, line), _FAINT, 1)
  _write(sheet, words, (left, top - 9), 0.42, _SOFT)
  points = [
    (at(time), high(score))
    for time, score in zip(view.times[own], view.strength[own], strict=True)
  ]
  for before, after in zip(points, points[1:], strict=False):
    if after[0] - before[0] < (right - left) / _SECONDS:
      cv2.line(sheet, before, after, _INK, 1, cv2.LINE_AA)
  known = at(view.times[-1]) if len(view.times) else left
  if right - known > 2:  # What is still followed has no curve yet.
    begin = max(known, left)
    _box(sheet, (begin, top), (right - begin, height), _FAINT, share=0.4)
  _write(sheet, 'now', (right - 30, top - 9), 0.42, _SOFT)


def last_of(
  row: Mapping[str, Any],
  classes: Sequence[str],
  *,
  abstain: float,
  tiles: Sequence[tuple[str, Picture]] = (),
) -> Last:
  """Returns what is shown of an event, of its row and pictures."""
  shares = [(name, row.get(f'p_{name}')) for name in classes]
  if any(share is None for _, share in shares):
    return Last(row=row, answer='not recognised')
  name, top = max(shares, key=lambda one: one[1])
  answer = annotating.words(
    {'probability': top, 'most_like': name if top >= abstain else ''}
  )
  return Last(row=row, shares=shares, answer=answer, tiles=tiles)


def _box(
  sheet: Picture,
  at: tuple[int, int],
  size: tuple[int, int],
  colour: tuple[int, int, int],
  *,
  share: float = 1.0,
) -> None:
  (x, y), (width, height) = at, size
  own = sheet[y : y + height, x : x + width]
  if share < 1:
    colour = np.rint((1 - share) * own + share * np.array(colour))
  own[:] = colour


def _write(
  sheet: Picture,
  words: str,
  at: tuple[int, int],
  size: float,
  colour: tuple[int, int, int],
  *,
  room: int | None = None,
) -> None:
  """Writes a line, cut where there is no more room."""
  words = words.encode('ascii', 'replace').decode()
  if room is not None:
    cut = words
    while len(cut) > 1 and _wide(words, size) > room:
      cut = cut[:-1]
      words = cut.rstrip(' ,') + '...'
  cv2.putText(sheet, words, at, _FONT, size, colour, 1, cv2.LINE_AA)


def _wide(words: str, size: float) -> int:
  return cv2.getTextSize(words, _FONT, size, 1)[0][0]
