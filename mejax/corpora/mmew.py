"""MMEW: 30 people, 90 frames a second, 300 clips.

    MMEW_Micro_Exp.xlsx
    Micro_Expression/happiness/S03-01-002/1.jpg
    S03/happiness/S03-01-002/1.jpg            as the authors describe it

Both layouts are read; the name of a clip begins with its subject. A clip's
frames are numbered from 1 without padding, and its onset is always 1. The class
that the sheet calls others is called repression in the authors' description.
Some copies of the sheet have apexes and offsets beyond a clip's last frame: its
middle and last frame replace them.
"""

from __future__ import annotations

import re

from mejax.corpora import annotated
from mejax.corpora import database
from mejax.corpora import frames
from mejax.corpora.corpus import Corpus

FPS = 90.0


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if len(parts) < 2 or not re.fullmatch(r's\d+-\d+-\d+', parts[-1]):
    return None
  if any('macro' in part for part in parts):
    return None
  depth = 3 if re.fullmatch(r's\d+', parts[-3:][0]) else 2
  return frames.Place(key=_key(parts[-1]), depth=depth, kind='raw')


def _key(name: str) -> tuple[int, ...]:
  """Returns the numbers in a clip's name, whatever their padding."""
  return tuple(int(number) for number in re.findall(r'\d+', name))


def _label(row: dict[str, str]) -> database.Labelled:
  key = _key(row['name'])
  annotation = annotated.Annotation.of_row(
    row,
    corpus='mmew',
    subject=row['name'].partition('-')[0].upper(),
    fps=FPS,
    remarks=(f'the sheet remarks: {row["remarks"]}',) if row['remarks'] else (),
    problem=annotated.contradiction(row, key[0] if key else None),
  )
  return annotation, key


DATABASE = database.Database(
  title='MMEW',
  columns={
    'name': ('Filename',),
    'subject': ('Subject',),
    'onset': ('OnsetFrame',),
    'apex': ('ApexFrame',),
    'offset': ('OffsetFrame',),
    'facs': ('Action Units',),
    'emotion': ('Estimated Emotion',),
    'remarks': ('remarks',),
  },
  place_of=_place,
  labels=database.by_row(_label),
  example='Micro_Expression/happiness/S03-01-002/1.jpg and MMEW_Micro_Exp.xlsx',
  optional=('subject', 'remarks'),
  sheet_name='mmew',
  kinds=('raw',),
  cut=True,
)
CORPUS = Corpus(name='mmew', read=DATABASE.read, options=('sheet', 'encoding'))
