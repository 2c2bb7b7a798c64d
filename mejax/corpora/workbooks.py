"""Looks into an .xlsx before it is opened: 5 KB can claim a billion cells."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree
import zipfile

from openpyxl.utils import cell as coordinates
from openpyxl.utils import range_boundaries

from mejax import limits

# openpyxl makes a cell of each that is merged.
_MOST_MERGED = 100_000


def used(data: bytes) -> tuple[int, int]:
  """Returns the last row and the last column with a value, over all sheets.

  Raises:
    ValueError: the workbook is damaged, or is larger than any label sheet.
  """
  rows, columns = 0, 0
  try:
    limits.check_unpacked(io.BytesIO(data), limits.LARGEST_SHEET)
    with zipfile.ZipFile(io.BytesIO(data)) as file:
      for member in file.infolist():
        row, column = _used(file.read(member))
        rows, columns = max(rows, row), max(columns, column)
  except (zipfile.BadZipFile, zipfile.zlib.error, EOFError) as error:
    raise ValueError(f'it is damaged ({error})') from error
  return rows, columns


def _number(text: str) -> int:
  """Returns the number of a row; Excel's last one has seven digits."""
  if not re.fullmatch('[0-9]{1,9}', text):
    raise ValueError(f'it is damaged (the number of a row is {text[:20]!r})')
  return int(text)


def _used(part: bytes) -> tuple[int, int]:
  """Returns the last row and column with a value; (0, 0) for other parts."""
  rows = columns = row = column = merged = 0
  try:
    for event, element in ElementTree.iterparse(
      io.BytesIO(part), events=('start', 'end')
    ):
      kind = element.tag.rpartition('}')[2]
      if event == 'start':
        if kind == 'row':
          row, column = _number(element.get('r', str(row + 1))), 0
        elif kind == 'c':
          row, column = _place(element.get('r'), row, column)
      elif kind in ('v', 'is', 'f'):
        rows, columns = max(rows, row), max(columns, column)
      elif kind == 'mergeCell':
        left, top, right, bottom = range_boundaries(element.get('ref', 'A1'))
        # Of a whole column or row, openpyxl can make no cells.
        is_whole = None in (left, top, right, bottom)
        if not is_whole and (left > right or top > bottom):
          raise ValueError(f'it merges {element.get("ref")}, from end to start')
        merged += 0 if is_whole else (right - left + 1) * (bottom - top + 1)
        if is_whole or merged > _MOST_MERGED:
          raise ValueError(
            f'it merges {element.get("ref")}; expected at most {_MOST_MERGED} '
            'merged cells'
          )
      elif kind == 'row':
        element.clear()
  except ElementTree.ParseError:
    pass  # A picture; whoever needs the part will tell.
  return rows, columns


def _place(name: str | None, row: int, column: int) -> tuple[int, int]:
  """Returns the place of a cell, which may have no name."""
  if name is None:
    return row, column + 1
  letters, row = coordinates.coordinate_from_string(name)
  return row, coordinates.column_index_from_string(letters)
