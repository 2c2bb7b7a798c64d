"""SAMM Long Videos: 147 videos of 30 people, 200 frames a second.

    SAMM_LongVideos_V3_Release.xlsx
    SAMM_longvideos/006_1/006_1_0001.jpg
    SAMM_Micro_FACS_Codes_v2.xlsx            optional: the emotions

The header stands on row 10. `006_1_2` is event 2 of the video `006_1`. Frames
count from 1, with other numbers than in the short release. Most numbers of
macro-expressions have fractions. Ten macro-expressions begin before their video
(onset 0), six events have no apex (-1).
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import pathlib
import re

from mejax.corpora import cells
from mejax.corpora import frames
from mejax.corpora import long_videos
from mejax.corpora import sheets

_COLUMNS = {
  'name': ('Filename',),
  'subject': ('Subject',),
  'onset': ('Onset', 'Onset Frame'),
  'apex': ('Apex', 'Apex Frame'),
  'offset': ('Offset', 'Offset Frame'),
  'type': ('Type',),
  'facs': ('Action Units',),
}
_EMOTIONS = {'name': ('Filename',), 'emotion': ('Estimated Emotion',)}


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  match = re.fullmatch(r'(\d{1,3})_(\d+)', parts[-1])
  if match is None:
    return None
  key = (int(match[1]), int(match[2]))
  return frames.Place(key=key, depth=1, kind=frames.kind_of(parts))


def _labels(
  files: list[pathlib.Path],
) -> tuple[pathlib.Path, list[long_videos.Keyed]] | None:
  table = sheets.find(files, fields=_COLUMNS, name='long')
  if table is None:
    return None
  others = [file for file in files if file != table.path]
  emotions = sheets.find(others, fields=_EMOTIONS, name='micro_facs')
  known = {
    cells.visible(row['name']): row['emotion']
    for row in (emotions.rows if emotions else ())
  }
  return table.path, list(_events(table.rows, known))


def _events(
  rows: list[dict[str, str]], known: dict[str, str]
) -> Iterator[long_videos.Keyed]:
  for row in rows:
    name = cells.visible(row['name'])
    event = long_videos.annotated(row, name=name)
    if event.type == 'micro':  # The other sheet has only these.
      event = dataclasses.replace(event, emotion=known.get(name, ''))
    numbers = [int(number) for number in re.findall(r'\d+', name)]
    yield (tuple(numbers[:2]) if len(numbers) == 3 else (name,)), event


def _who(key) -> tuple[str, str]:
  if len(key) < 2:
    return cells.visible(key[0]), key[0]
  return f'{key[0]:03d}', f'{key[0]:03d}_{key[1]}'


DATABASE = long_videos.LongDatabase(
  corpus='samm_long',
  title='SAMM Long Videos',
  fps=200.0,
  rule=long_videos.TypeRule('total', 0.505),
  published={
    'subjects': (30, 32),
    'videos': (147,),
    'micro': (159,),
    'macro': (343,),
  },
  place_of=_place,
  who=_who,
  labels=_labels,
  example=(
    'SAMM_longvideos/006_1/006_1_0001.jpg and SAMM_LongVideos_V3_Release.xlsx'
  ),
)
