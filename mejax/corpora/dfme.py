"""DFME: clips of 656 people, 200, 300 and 500 frames a second.

    training_full_with_AU.xlsx, test_A_full_with_AU.xlsx, test_B_...
    train_data/sub0003_01/00000.png

A folder of frames bears the name of its clip, wherever it lies. Its frames are
numbered from 0, as in the sheets. The release has a sheet for training and one
for each test of its challenges: all that are there count, or those with a word
in their name (`sheet=test_A`). The authors leave out a tenth of the people at a
time, which is `num_folds=10`. The sheets do not say which clip has which of the
three rates.
"""

from __future__ import annotations

import re

from mejax.corpora import annotated
from mejax.corpora import database
from mejax.corpora import frames
from mejax.corpora import people
from mejax.corpora.corpus import Corpus

_NAME = re.compile(r'(sub\d+)_\w+')


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if _NAME.fullmatch(parts[-1]) is None:
    return None
  return frames.Place(key=parts[-1], depth=1, kind=frames.kind_of(parts))


def _label(row: dict[str, str]) -> database.Labelled:
  key = row['name'].lower()
  match = _NAME.fullmatch(key)
  annotation = annotated.Annotation.of_row(
    row,
    corpus='dfme',
    subject=row['subject'],
    fps=None,
    problem=annotated.contradiction(
      row, people.number(match[1]) if match else None
    ),
  )
  return annotation, key


DATABASE = database.Database(
  title='DFME',
  columns={
    'name': ('Filename',),
    'subject': ('Subject',),
    'onset': ('OnsetFrame', 'Onset'),
    'apex': ('ApexFrame', 'Apex'),
    'offset': ('OffsetFrame', 'Offset'),
    'facs': ('AU', 'AUs', 'Action Units'),
    'emotion': ('Emotion', 'Estimated Emotion'),
  },
  place_of=_place,
  labels=database.by_row(_label),
  example='train_data/sub0003_01/00000.png and training_full_with_AU.xlsx',
  optional=('facs',),
  sheet_name='full|dfme',
  cut=True,
  joins=True,
)
CORPUS = Corpus(
  name='dfme', read=DATABASE.read, options=('images', 'sheet', 'encoding')
)
