"""CASME: 19 people, 60 frames a second, 8 words for emotions.

    casme.xlsx
    CASME_raw_selected/sub01/EP01_12/EP01_12-7.jpg
    Cropped/sub01/EP01_12/reg_EP01_12-7.jpg

The numbers of camera B's frames are padded to three digits, the others are
not. Each folder holds one movement and no more; for five clips the sheet's
onset or offset lies outside of it, and the first and last frame stand for them.
The sheet has a first and a second apex; the first counts.
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

FPS = 60.0


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if len(parts) < 2 or not re.fullmatch(r'sub\d+', parts[-2]):
    return None
  key = (source.digits(parts[-2]), parts[-1])
  return frames.Place(key=key, depth=2, kind=frames.kind_of(parts))


LAYOUT = source.Layout(
  title='CASME',
  fields={
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
  example='CASME_raw_selected/sub01/EP01_12/EP01_12-7.jpg and casme.xlsx',
  optional=('apex2',),
  sheet_name=r'^casme[^2^]*$',
)


def read(
  root: str | pathlib.Path,
  *,
  images: str = '',
  sheet: str = '',
  with_frames: bool = True,
) -> Iterator[Clip]:
  """Reads CASME.

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
  return source.read(found, _label, cut=True)


def _label(row: dict[str, str]) -> tuple[annotated.Annotation, Hashable]:
  number = source.digits(row['subject'])
  annotation = annotated.Annotation(
    corpus='casme',
    subject=row['subject'] if number is None else f'sub{number:02d}',
    name=row['name'],
    emotion=row['emotion'],
    fps=FPS,
    onset=row['onset'],
    apex=row['apex'] or row['apex2'],
    offset=row['offset'],
    facs=row['facs'],
  )
  return annotation, (number, row['name'].lower())
