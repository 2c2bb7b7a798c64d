"""Reads candidates that somebody has spotted, of our own and others' programs.

A row has a video, an onset and an offset, in frame numbers. The challenges of
2022 and 2023 have `vid,pred_onset,pred_offset,type` with `me` and `mae`, those
of 2024 and 2025 `subject,video,onset,offset,emotion`; ours are those of `mejax
spot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import csv
import math
import pathlib

from mejax import files
from mejax.evaluation.spotting import events as events_lib
from mejax.evaluation.spotting.events import Event

_NAMES = {
  'video': ('video', 'vid', 'recording'),
  'subject': ('subject',),
  'onset': ('onset', 'pred_onset'),
  'apex': ('apex',),
  'offset': ('offset', 'pred_offset'),
  'type': ('type',),
  'score': ('score',),
  'label': ('emotion', 'label'),
}
_NEEDED = ('video', 'onset', 'offset')
_TYPES = {
  'me': events_lib.MICRO,
  'micro': events_lib.MICRO,
  'mae': events_lib.MACRO,
  'macro': events_lib.MACRO,
}

# Subject ('' if the file has none) and name of a video.
Key = tuple[str, str]


def read(path: str | pathlib.Path) -> list[tuple[Key, Event]]:
  """Reads a CSV of candidates.

  Without a column of types all are micro-expressions.

  Raises:
    FileNotFoundError: the file does not exist.
    ValueError: a column is missing or a row cannot be read; the message names
      the row.
  """
  path = pathlib.Path(path)
  try:
    with open(path, encoding='utf-8-sig', newline='') as file:
      rows = [row for row in csv.reader(file) if any(map(str.strip, row))]
  except UnicodeDecodeError as error:
    raise ValueError(f'{path.name} is no text in UTF-8') from error
  if not rows:
    raise ValueError(f'{path.name} is empty; expected a header')
  header = [cell.strip().lower() for cell in rows[0]]
  columns = {
    name: header.index(found)
    for name, known in _NAMES.items()
    if (found := next((one for one in known if one in header), None))
  }
  if missing := [name for name in _NEEDED if name not in columns]:
    raise ValueError(
      f'{path.name} has no column of the {missing[0]}: expected one of '
      f'{", ".join(_NAMES[missing[0]])}, got {", ".join(header)}'
    )
  result = []
  for number, cells in enumerate(rows[1:], 2):
    row = {
      name: files.plain_cell(cells[at].strip()) if at < len(cells) else ''
      for name, at in columns.items()
    }
    try:
      result.append(((row.get('subject', ''), row['video']), _event(row)))
    except ValueError as error:
      raise ValueError(f'{path.name}, row {number}: {error}') from error
  return result


def _event(row: Mapping[str, str]) -> Event:
  kind = row.get('type', '').lower() or 'micro'
  if kind not in _TYPES:
    raise ValueError(
      f'type is {row["type"]!r}; expected one of {", ".join(_TYPES)}'
    )
  apex = row.get('apex', '')
  return Event(
    onset=_frame(row, 'onset'),
    offset=_frame(row, 'offset'),
    apex=_frame(row, 'apex') if apex else None,
    type=_TYPES[kind],
    score=_number(row, 'score') if row.get('score') else 0.0,
    label=row.get('label', ''),
  )


def _frame(row: Mapping[str, str], name: str) -> int:
  return math.floor(_number(row, name) + 0.5)


def _number(row: Mapping[str, str], name: str) -> float:
  try:
    value = float(row[name])
  except ValueError:
    value = math.nan
  if not math.isfinite(value):
    raise ValueError(f'{name} is {row[name]!r}; expected a number')
  return value


def assign(
  candidates: Sequence[tuple[Key, Event]], videos: Sequence[Key]
) -> dict[Key, list[Event]]:
  """Gives each candidate to its video.

  A video is known by subject and name, by a name that only one video has, or by
  `subject/name` and `subject_name`.

  Raises:
    ValueError: a candidate is of no video, or could be of several.
  """
  known: dict[str, set[Key]] = {}
  for subject, name in videos:
    for word in (name, f'{subject}/{name}', f'{subject}_{name}'):
      known.setdefault(word.lower(), set()).add((subject, name))
  result: dict[Key, list[Event]] = {key: [] for key in videos}
  for (subject, name), event in candidates:
    found = known.get(name.lower(), set())
    if subject:
      found = {key for key in found if key[0].lower() == subject.lower()}
    if len(found) != 1:
      told = f'{subject}/{name}' if subject else name
      fault = 'is of several videos' if found else 'is of no video'
      some = ', '.join('/'.join(key) for key in list(videos)[:3])
      raise ValueError(
        f'a candidate of {told!r} {fault} of the database, which has {some} '
        'and so on; give subject and video'
      )
    result[found.pop()].append(event)
  return result
