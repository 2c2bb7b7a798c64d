"""Tiny databases of long videos, of the exact shape of the published ones.

Names and numbers are invented.
"""

from __future__ import annotations

import pathlib

import openpyxl

from tests.corpora import trees

SAMM_LONG_HEADER = (
  'Subject', 'Filename', 'Inducement Code', 'Onset', 'Apex', 'Offset',
  'Duration', 'Type', 'Action Units', 'Notes',
)  # fmt: skip
CASME3_LONG_HEADER = (
  'Subject', 'Filename', 'Onset', 'Apex', 'Offset', 'AU', 'Expression type',
  'Objective class',
)  # fmt: skip


def casme2_long(
  root: pathlib.Path, rows, *, name: str = 'CAS(ME)^2code_final(Updated).xlsx'
) -> None:
  """Rows: subject, event, onset, apex, offset, AU, emotion, type."""
  book = openpyxl.Workbook()
  book.active.title = 'CASFEcode_final'
  for row in rows:
    book.active.append([*row, 'disgust'])
  first = book.create_sheet('naming rule1')
  # The folder's number, the folder, the number in the first sheet.
  for row in ((15, 's15', 1), (16, 's16', 2), (27, 's27', 11)):
    first.append(row)
  second = book.create_sheet('naming rule2')
  for row in ((101, 'disgust1'), ('0102', 'disgust2'), (401, 'anger1')):
    second.append(row)
  root.mkdir(parents=True, exist_ok=True)
  book.save(root / name)


def samm_long(root: pathlib.Path, rows) -> None:
  """Rows: subject, event, onset, apex, offset, type, AU."""
  rows = [
    (s, f, '1', on, apex, off, off - on + 1, kind, au, '')
    for s, f, on, apex, off, kind, au in rows
  ]
  trees.write_sheet(
    root / 'SAMM_LongVideos_V3_Release.xlsx',
    SAMM_LONG_HEADER,
    rows,
    title='FACS_Movement_Only',
    above=[('SAMM Long Videos',)] + [('',)] * 8,
  )


def casme3_long(root: pathlib.Path, rows) -> None:
  """Rows: subject, video, onset, apex, offset, AU, type."""
  path = trees.write_sheet(
    root / 'CAS(ME)3_part_A_v2.xlsx',
    CASME3_LONG_HEADER,
    [(*row, 'I') for row in rows],
    title='AU+Emotion',
  )
  # The content is that of a new workbook, as some files of old names have.
  path.rename(path.with_suffix('.xls'))


def casme3_c_long(root: pathlib.Path, rows, micro=()) -> None:
  """Rows: subject, onset, offset, 1 or 0; of the newer sheet as they are."""
  path = trees.write_sheet(
    root / 'CAS(ME)3_part_C.xlsx',
    ('Subject', 'Onset', 'Offset', 'diff', 'Exp_type', 'risk'),
    [(s, on, off, off - on, kind, 1) for s, on, off, kind in rows],
    title='organize',
  )
  path.rename(path.with_suffix('.xls'))
  if micro:
    trees.write_sheet(
      root / 'CAS(ME)3_part_C_ME.xlsx',
      trees.CASME3_C_HEADER,
      micro,
      title='mockCrimeME',
    )


def frames(folder: pathlib.Path, numbers, pattern: str) -> None:
  trees.write_frames(folder, [pattern.format(n) for n in numbers])
