"""CASME II: 26 people, 200 frames a second, 255 clips.

    CASME2-coding-20140508.xlsx          or -20190701.xlsx
    CASME2_RAW_selected/sub01/EP02_01f/img46.jpg
    Cropped/sub01/EP02_01f/reg_img46.jpg
    Cropped-updated/Cropped/1/EP02_01f/reg_img46.jpg

Frame numbers are those of the whole recording, without padding. The two sheets
have the same clips and frames; in that of 2019 three emotions (sadness became
surprise) and 57 lists of action units differ. 04/EP12_01f has no apex, and the
apex of 05/EP09_05f is its onset: both get the middle frame.
"""

from __future__ import annotations

import re

from mejax.corpora import annotated
from mejax.corpora import database
from mejax.corpora import frames
from mejax.corpora import people
from mejax.corpora.corpus import Corpus

FPS = 200.0


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if len(parts) < 2 or not re.fullmatch(r'(sub|s)?\d{1,2}', parts[-2]):
    return None
  if not re.fullmatch(r'ep\d+_\d+[a-z]*', parts[-1]):
    return None
  key = (database.digits(parts[-2]), parts[-1])
  return frames.Place(key=key, depth=2, kind=frames.kind_of(parts))


def _label(row: dict[str, str]) -> database.Labelled:
  number = people.number(row['subject'])
  annotation = annotated.Annotation.of_row(
    row,
    corpus='casme2',
    subject=row['subject'] if number is None else f'sub{number:02d}',
    fps=FPS,
  )
  return annotation, (number, row['name'].lower())


DATABASE = database.Database(
  title='CASME II',
  columns={
    'subject': ('Subject',),
    'name': ('Filename',),
    'onset': ('OnsetFrame',),
    'apex': ('ApexFrame',),
    'offset': ('OffsetFrame',),
    'facs': ('Action Units',),
    'emotion': ('Estimated Emotion',),
  },
  place_of=_place,
  labels=database.by_row(_label),
  example=(
    'CASME2_RAW_selected/sub01/EP02_01f/img46.jpg and '
    'CASME2-coding-20190701.xlsx'
  ),
  sheet_name=r'casme *(2|ii)-coding',
)
CORPUS = Corpus(
  name='casme2', read=DATABASE.read, options=('images', 'sheet', 'encoding')
)
