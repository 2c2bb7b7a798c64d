"""MMEW: 30 people, 90 frames a second, 300 clips.

    MMEW_Micro_Exp.xlsx
    Micro_Expression/happiness/S03-01-002/1.jpg
    S03/happiness/S03-01-002/1.jpg            as the authors describe it

Both ways are read; the name of a clip begins with its subject. A clip's frames
are numbered from 1 without padding, and its onset is always 1. The class that
the sheet calls others is called repression in the authors' description. Some
copies of the sheet have apexes and offsets beyond a clip's last frame: its
middle and last frame stand for them.
"""

from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Iterator
import pathlib
import re

from mejax.corpora import annotated
from mejax.corpora import frames
from mejax.corpora import source
from mejax.corpora.clip import Clip

FPS = 90.0


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if len(parts) < 2 or not re.fullmatch(r's\d+-\d+-\d+', parts[-1]):
    return None
  if any('macro' in part for part in parts):
    return None
  depth = 3 if re.fullmatch(r's\d+', parts[-3:][0]) else 2
  return frames.Place(key=_key(parts[-1]), depth=depth, kind='raw')


def _key(name: str) -> tuple[int, ...]:
  """The numbers in a clip's name, whatever their padding."""
  return tuple(int(number) for number in re.findall(r'\d+', name))


LAYOUT = source.Layout(
  title='MMEW',
  fields={
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
  example='Micro_Expression/happiness/S03-01-002/1.jpg and MMEW_Micro_Exp.xlsx',
  optional=('subject', 'remarks'),
  sheet_name='mmew',
  kinds=('raw',),
)


def read(
  root: str | pathlib.Path, *, sheet: str = '', with_frames: bool = True
) -> Iterator[Clip]:
  """Reads the micro-expressions of MMEW.

  Args:
    root: folder below which the sheet and the frames lie.
    sheet: part of the label sheet's file name, to choose among several.
    with_frames: without, the clips have labels only.

  Returns:
    The clips in the order of the sheet.

  Raises:
    FileNotFoundError: the root, the sheet or the frames are not there.
    ValueError: the sheet cannot be read.
  """
  found = source.locate(root, LAYOUT, sheet=sheet, with_frames=with_frames)
  return source.read(found, _label, cut=True)


def _label(row: dict[str, str]) -> tuple[annotated.Annotation, Hashable]:
  annotation = annotated.Annotation(
    corpus='mmew',
    subject=row['name'].partition('-')[0].upper(),
    name=row['name'],
    emotion=row['emotion'],
    fps=FPS,
    onset=row['onset'],
    apex=row['apex'],
    offset=row['offset'],
    facs=row['facs'],
    remarks=(f'the sheet remarks: {row["remarks"]}',) if row['remarks'] else (),
  )
  return annotation, _key(row['name'])
