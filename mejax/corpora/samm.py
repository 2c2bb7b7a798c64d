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

from collections.abc import Hashable
from collections.abc import Iterator
import pathlib
import re

from mejax.corpora import annotated
from mejax.corpora import frames
from mejax.corpora import source
from mejax.corpora.clip import Clip

FPS = 200.0


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if len(parts) < 2 or not re.fullmatch(r'\d{1,3}', parts[-2]):
    return None
  if not re.fullmatch(r'\d+_\d+_\d+', parts[-1]):
    return None
  return frames.Place(key=_key(parts[-1]), depth=2, kind=frames.kind_of(parts))


def _key(name: str) -> tuple[int, ...]:
  """The numbers in a clip's name, whatever their padding."""
  return tuple(int(number) for number in re.findall(r'\d+', name))


LAYOUT = source.Layout(
  title='SAMM',
  fields={
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
  example='SAMM/006/006_1_2/006_05562.jpg and SAMM_Micro_FACS_Codes_v2.xlsx',
  optional=('duration',),
  sheet_name='micro_facs',
)


def read(
  root: str | pathlib.Path,
  *,
  images: str = '',
  sheet: str = '',
  with_frames: bool = True,
) -> Iterator[Clip]:
  """Reads SAMM.

  Args:
    root: folder below which the sheet and the frames lie.
    images: `raw` or `cropped`; raw where it is there if not given.
    sheet: part of the label sheet's file name, to choose among several.
    with_frames: without, the clips have labels only.

  Returns:
    The clips in the order of the sheet.

  Raises:
    FileNotFoundError: the root, the sheet or the frames are not there.
    ValueError: `images` is unknown, or the sheet cannot be read.
  """
  found = source.locate(
    root, LAYOUT, images=images, sheet=sheet, with_frames=with_frames
  )
  return source.read(found, _label)


def _label(row: dict[str, str]) -> tuple[annotated.Annotation, Hashable]:
  annotation = annotated.Annotation(
    corpus='samm',
    subject=row['subject'].zfill(3),
    name=row['name'],
    emotion=row['emotion'],
    fps=FPS,
    onset=row['onset'],
    apex=row['apex'],
    offset=row['offset'],
    facs=row['facs'],
    remarks=_check_duration(row),
  )
  return annotation, _key(row['name'])


def _check_duration(row: dict[str, str]) -> tuple[str, ...]:
  """The sheet counts the frames, too; both hold in every published row."""
  try:
    onset, offset, duration = (
      int(row[field]) for field in ('onset', 'offset', 'duration')
    )
  except ValueError:
    return ()
  if duration == offset - onset + 1:
    return ()
  return (
    f'duration is {duration}, but from onset {onset} to offset {offset} there '
    f'are {offset - onset + 1} frames',
  )
