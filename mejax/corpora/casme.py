"""CASME: 19 people, 60 frames a second, 8 words for emotions.

    casme.xlsx
    CASME_raw_selected/sub01/EP01_12/EP01_12-7.jpg
    Cropped/sub01/EP01_12/reg_EP01_12-7.jpg

The numbers of camera B's frames are padded to three digits, the others are
not. Each folder holds one movement and no more; for five clips the sheet's
onset or offset lies outside of it, and the first and last frame replace them.
The sheet has a first and a second apex; the first counts.
"""

from __future__ import annotations

import re

from mejax.corpora import annotated
from mejax.corpora import database
from mejax.corpora import frames
from mejax.corpora import people
from mejax.corpora.corpus import Corpus

FPS = 60.0


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if len(parts) < 2 or not re.fullmatch(r'sub\d+', parts[-2]):
    return None
  key = (database.digits(parts[-2]), parts[-1])
  return frames.Place(key=key, depth=2, kind=frames.kind_of(parts))


def _label(row: dict[str, str]) -> database.Labelled:
  number = people.number(row['subject'])
  annotation = annotated.Annotation.of_row(
    row | {'apex': row['apex'] or row['apex2']},
    corpus='casme',
    subject=row['subject'] if number is None else f'sub{number:02d}',
    fps=FPS,
  )
  return annotation, (number, row['name'].lower())


DATABASE = database.Database(
  title='CASME',
  columns={
    'subject': ('Subject',),
    'name': ('Filename',),
    'onset': ('OnsetF',),
    'apex': ('ApexF1',),
    'apex2': ('ApexF2',),
    'offset': ('OffsetF',),
    'facs': ('AU',),
    'emotion': ('Emotion',),
  },
  place_of=_place,
  labels=database.by_row(_label),
  example='CASME_raw_selected/sub01/EP01_12/EP01_12-7.jpg and casme.xlsx',
  optional=('apex2',),
  # The names of sheets of later databases have a 2 or a ^.
  sheet_name=r'^casme[^2^]*$',
  cut=True,
)
CORPUS = Corpus(
  name='casme', read=DATABASE.read, options=('images', 'sheet', 'encoding')
)
