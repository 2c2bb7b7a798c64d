"""CASME II: 26 people, 200 frames a second, 255 clips.

    CASME2-coding-20140508.xlsx          or -20190701.xlsx
    CASME2_RAW_selected/sub01/EP02_01f/img46.jpg
    Cropped/sub01/EP02_01f/reg_img46.jpg
    Cropped-updated/Cropped/1/EP02_01f/reg_img46.jpg

Numbers are those of the whole recording, without padding. The two sheets have
the same clips and frames; in that of 2019 three emotions (sadness became
surprise) and 57 lists of action units differ. 04/EP12_01f has no apex, and that
of 05/EP09_05f is its onset: both get the middle frame.
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
  if len(parts) < 2 or not re.fullmatch(r'(sub|s)?\d{1,2}', parts[-2]):
    return None
  if not re.fullmatch(r'ep\d+_\d+[a-z]*', parts[-1]):
    return None
  key = (source.digits(parts[-2]), parts[-1])
  return frames.Place(key=key, depth=2, kind=frames.kind_of(parts))


LAYOUT = source.Layout(
  title='CASME II',
  fields={
    'subject': ('Subject',),
    'name': ('Filename',),
    'onset': ('OnsetFrame',),
    'apex': ('ApexFrame',),
    'offset': ('OffsetFrame',),
    'facs': ('Action Units',),
    'emotion': ('Estimated Emotion',),
  },
  place_of=_place,
  example=(
    'CASME2_RAW_selected/sub01/EP02_01f/img46.jpg and '
    'CASME2-coding-20190701.xlsx'
  ),
  sheet_name=r'casme *(2|ii)-coding',
)


def read(
  root: str | pathlib.Path,
  *,
  images: str = '',
  sheet: str = '',
  with_frames: bool = True,
) -> Iterator[Clip]:
  """Reads CASME II.

  Args:
    root: folder below which the sheet and the frames lie.
    images: `raw` or `cropped`; raw where it is there if not given.
    sheet: part of the label sheet's file name, e.g. `2014`; of several the last
      by name, which is that of 2019.
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
  number = source.digits(row['subject'])
  annotation = annotated.Annotation(
    corpus='casme2',
    subject=row['subject'] if number is None else f'sub{number:02d}',
    name=row['name'],
    emotion=row['emotion'],
    fps=FPS,
    onset=row['onset'],
    apex=row['apex'],
    offset=row['offset'],
    facs=row['facs'],
  )
  return annotation, (number, row['name'].lower())
