"""SAMM: 29 people, 200 frames a second, 159 clips, grey.

    SAMM_Micro_FACS_Codes_v2.xlsx
    SAMM/006/006_1_2/006_05562.jpg
    SAMM_CROP/006/006_1_2/006_05562.jpg

Numbers have four or five digits. The sheet has 13 lines of notes above its
header, and two apexes with a wrong digit, which the table of repairs mends.
Another loader, meb, also moves the apex of 032_3_2 from 5127 to 5130; nothing
says that the annotated one is wrong, so it stays.
"""

from __future__ import annotations

import re

from mejax.corpora import annotated
from mejax.corpora import cells
from mejax.corpora import database
from mejax.corpora import frame_numbers
from mejax.corpora import frames
from mejax.corpora.corpus import Corpus

FPS = 200.0


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if len(parts) < 2 or not re.fullmatch(r'\d{1,3}', parts[-2]):
    return None
  if not re.fullmatch(r'\d+_\d+_\d+', parts[-1]):
    return None
  return frames.Place(key=_key(parts[-1]), depth=2, kind=frames.kind_of(parts))


def _key(name: str) -> tuple[int, ...]:
  """Returns the numbers in a clip's name, whatever their padding."""
  return tuple(int(number) for number in re.findall(r'\d+', name))


def _label(row: dict[str, str]) -> database.Labelled:
  key = _key(row['name'])
  annotation = annotated.Annotation.of_row(
    row,
    corpus='samm',
    subject=row['subject'].zfill(3),
    fps=FPS,
    remarks=_duration_remark(row),
    problem=annotated.contradiction(row, key[0] if key else None),
  )
  return annotation, key


def _duration_remark(row: dict[str, str]) -> tuple[str, ...]:
  """Returns a remark if the duration contradicts onset and offset."""
  onset, offset, duration = (
    frame_numbers.read_number(row[field])
    for field in ('onset', 'offset', 'duration')
  )
  if duration is None and not cells.says_nothing(row['duration']):
    return (f'duration is {cells.described(row["duration"])}, no number',)
  if None in (onset, offset, duration) or duration == offset - onset + 1:
    return ()
  return (
    f'duration is {duration}, but from onset {onset} to offset {offset} there '
    f'are {offset - onset + 1} frames',
  )


DATABASE = database.Database(
  title='SAMM',
  columns={
    'subject': ('Subject',),
    'name': ('Filename',),
    'onset': ('Onset Frame',),
    'apex': ('Apex Frame',),
    'offset': ('Offset Frame',),
    'duration': ('Duration',),
    'facs': ('Action Units',),
    'emotion': ('Estimated Emotion',),
  },
  place_of=_place,
  labels=database.by_row(_label),
  example='SAMM/006/006_1_2/006_05562.jpg and SAMM_Micro_FACS_Codes_v2.xlsx',
  optional=('duration',),
  sheet_name='micro_facs',
)
CORPUS = Corpus(
  name='samm', read=DATABASE.read, options=('images', 'sheet', 'encoding')
)
