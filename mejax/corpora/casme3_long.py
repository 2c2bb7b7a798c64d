"""CAS(ME)^3 part A: the whole videos of 100 people, 30 frames a second.

    CAS(ME)3_part_A_v2.xls                                  both types
    cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx               optional: emotions
    part_A/spNO.1/a/color/8.jpg

Numbers are those of the files, from 1. Most videos lack their first 7 or 8
frames and some lack others, so that the apex of 55 events is their onset. Here
a micro-expression is a fast rise: the apex comes within 8 frames, while the
whole may last for seconds. Depth images are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
import pathlib
import re

from mejax.corpora import cells
from mejax.corpora import frames
from mejax.corpora import long_videos
from mejax.corpora import people
from mejax.corpora import sheets

_NUMBERS = {
  'subject': ('Subject',),
  'video': ('Filename',),
  'onset': ('Onset',),
  'apex': ('Apex',),
  'offset': ('Offset',),
}
_COLUMNS = _NUMBERS | {
  'type': ('Expression type', 'Exp_type', 'type'),
  'facs': ('AU', 'AUs'),
}
_EMOTIONS = _NUMBERS | {'emotion': ('emotion',)}
_SUBJECT = re.compile(r'sp ?no\.?(\d+)')


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if len(parts) < 3 or parts[-1] != 'color':
    return None
  match = _SUBJECT.fullmatch(parts[-3])
  if match is None:
    return None
  return frames.Place(key=(int(match[1]), parts[-2]), depth=3, kind='raw')


def _labels(
  files: list[pathlib.Path],
) -> tuple[pathlib.Path, list[long_videos.Keyed]] | None:
  table = sheets.find(files, fields=_COLUMNS, name=r'part_?a_v\d', optional=())
  if table is None:
    return None
  others = [file for file in files if file != table.path]
  emotions = sheets.find(others, fields=_EMOTIONS, name='part_?a.*jpgindex')
  known = {
    _key_of(r): r['emotion'] for r in (emotions.rows if emotions else ())
  }
  return table.path, list(_events(table.rows, known))


def _key_of(row: dict[str, str]) -> tuple[str, ...]:
  return tuple(cells.visible(row[field]).lower() for field in _NUMBERS)


def _events(
  rows: list[dict[str, str]], known: dict[tuple[str, ...], str]
) -> Iterator[long_videos.Keyed]:
  for row in rows:
    video = cells.visible(row['video']).lower()
    number = people.number(row['subject'])
    event = long_videos.annotated(
      row,
      name=f'{video}_{cells.visible(row["onset"])}',
      emotion=known.get(_key_of(row), ''),
    )
    key = (number if number is not None else str(row['subject']), video)
    yield key, event


def _who(key) -> tuple[str, str]:
  subject, video = key
  return (f'spNO.{subject}' if isinstance(subject, int) else subject), video


DATABASE = long_videos.LongDatabase(
  corpus='casme3_long',
  title='CAS(ME)^3 part A',
  fps=30.0,
  rule=long_videos.TypeRule('rise', 8 / 30),
  published={'subjects': (98, 100), 'micro': (860,), 'macro': (3346,)},
  place_of=_place,
  who=_who,
  labels=_labels,
  example='part_A/spNO.1/a/color/8.jpg and CAS(ME)3_part_A_v2.xls',
  kinds=('raw',),
)
