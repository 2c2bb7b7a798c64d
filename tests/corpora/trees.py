"""Tiny databases of the exact shape of the published ones.

Each sheet has the published columns, blank ones too; names, numbers and labels
are invented, but for those of the clips that loaders must know by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import hashlib
import itertools
import os
import pathlib

import cv2
import numpy as np
import openpyxl

CASME_HEADER = (
  'Subject', 'Filename', None, 'OnsetF', 'ApexF1', 'ApexF2', 'OffsetF', None,
  'AU', 'Emotion',
)  # fmt: skip
CASME2_HEADER = (
  'Subject', 'Filename', None, 'OnsetFrame', 'ApexFrame', 'OffsetFrame', None,
  'Action Units', 'Estimated Emotion',
)  # fmt: skip
SAMM_HEADER = (
  'Subject', 'Filename', 'Inducement Code', 'Onset Frame', 'Apex Frame',
  'Offset Frame', 'Duration', 'Micro', 'Action Units', 'Estimated Emotion',
  'Objective Classes', 'Notes',
)  # fmt: skip
SMIC_HEADER = (
  'Subject', 'Filename', None, 'OnsetF', 'OffsetF', 'Onset2F', 'Offset2F',
  'Onset3F', 'Offset3F', None, 'FirstF', 'LastF', 'TotalMF1', 'TotalMF2',
  'TotalMF3', 'TotalVL', 'Emotion',
)  # fmt: skip
MMEW_HEADER = (
  'Subject', 'Filename', 'OnsetFrame', 'ApexFrame', 'OffsetFrame',
  'Action Units', 'Estimated Emotion', 'remarks',
)  # fmt: skip
CASME3_HEADER = (
  'Subject', 'Filename', 'Onset', 'Apex', 'Offset', 'AU', 'Objective class',
  'emotion',
)  # fmt: skip
CASME3_C_HEADER = ('sub', 'count', 'onset', 'offset', 'au', 'emotion')
DFME_HEADER = (
  'Subject', 'Filename', 'OnsetFrame', 'ApexFrame', 'OffsetFrame', 'Emotion',
  'AU',
)  # fmt: skip
FOURDME_HEADER = (
  'sub_ID', 'fold_name', 'Emotion', 'Onset', 'Apex', 'Offset', 'AUs', 'AU4',
  'AU12', 'Positive', 'Negative', 'Surprise', 'Repression', 'Others',
  'eye blink',
)  # fmt: skip

SAMM_NOTES = [('SAMM Micro FACS Codes',), (), ('Notes:',)] + [('',)] * 10


def write_frames(
  folder: pathlib.Path,
  names: Iterable[str],
  *,
  grey: bool = False,
  images: Iterable[np.ndarray] | None = None,
) -> None:
  """Writes an image for each name: noise of 6 x 5 pixels, or RGB `images`.

  No two clips have the same frames or files: the folder decides the noise, or
  the colour of a corner, and its name stands behind each image.
  """
  folder.mkdir(parents=True, exist_ok=True)
  place = os.fsencode('/'.join(folder.parts[-2:]))
  if images is None:
    generator = np.random.default_rng([*place])
    images = (
      generator.integers(0, 256, (5, 6, 3), np.uint8) for _ in itertools.count()
    )
  else:
    images = (_marked(image, place) for image in images)
  for name, image in zip(names, images, strict=False):
    code = cv2.COLOR_RGB2GRAY if grey else cv2.COLOR_RGB2BGR
    assert cv2.imwrite(str(folder / name), cv2.cvtColor(image, code))
    with (folder / name).open('ab') as file:
      file.write(place)


def _marked(image: np.ndarray, place: bytes) -> np.ndarray:
  image = image.copy()
  image[:8, :8] = [*hashlib.sha256(place).digest()[:3]]
  return image


def write_sheet(
  path: pathlib.Path,
  header: Sequence[str | None],
  rows: Iterable[Sequence[object]],
  *,
  title: str = 'Sheet1',
  above: Iterable[Sequence[object]] = (),
) -> pathlib.Path:
  """Writes a sheet; a file that is there gets it as one more."""
  path.parent.mkdir(parents=True, exist_ok=True)
  if path.exists():
    book = openpyxl.load_workbook(path)
  else:
    book = openpyxl.Workbook()
    book.remove(book.active)
  page = book.create_sheet(title)
  for row in (*above, header, *rows):
    page.append(list(row))
  book.save(path)
  return path


def casme(root: pathlib.Path, rows: Iterable[Sequence[object]]) -> None:
  """Rows: subject, file name, onset, apex 1, apex 2, offset, AU, emotion."""
  rows = [(s, f, None, *numbers, None, au, e) for s, f, *numbers, au, e in rows]
  write_sheet(root / 'casme.xlsx', CASME_HEADER, rows)


def casme2(
  root: pathlib.Path,
  rows: Iterable[Sequence[object]],
  *,
  date: str = '20140508',
) -> None:
  """Rows: subject, file name, onset, apex, offset, AU, emotion."""
  rows = [(s, f, None, *numbers, None, au, e) for s, f, *numbers, au, e in rows]
  write_sheet(root / f'CASME2-coding-{date}.xlsx', CASME2_HEADER, rows)


def samm(
  root: pathlib.Path,
  rows: Iterable[Sequence[object]],
  *,
  name: str = 'SAMM_Micro_FACS_Codes_v2.xlsx',
) -> None:
  """Rows: subject, file name, onset, apex, offset, AU, emotion."""
  rows = [
    (s, f, '', on, apex, off, off - on + 1, 'Micro - 1', au, e, 'I', '')
    for s, f, on, apex, off, au, e in rows
  ]
  write_sheet(
    root / name, SAMM_HEADER, rows, title='MICRO_ONLY', above=SAMM_NOTES
  )


def smic(
  path: pathlib.Path,
  rows: Iterable[Sequence[object]],
  *,
  title: str = 'HS',
) -> None:
  """Rows: subject, file name, six onsets and offsets, emotion."""
  rows = [
    (s, f, None, *numbers, None, *[1] * 6, e) for s, f, *numbers, e in rows
  ]
  write_sheet(path, SMIC_HEADER, rows, title=title)


def casme3(
  root: pathlib.Path,
  rows: Iterable[Sequence[object]],
  *,
  name: str = 'cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx',
) -> None:
  """Rows: subject, file name, onset, apex, offset, AU, emotion."""
  rows = [(*row[:6], 'I', row[6]) for row in rows]
  write_sheet(root / name, CASME3_HEADER, rows, title='label')
