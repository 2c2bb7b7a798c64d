"""Reads spreadsheets and CSV files as pages of text.

What cannot be read for certain is refused, or stays in its cell as a text that
no reader takes for a number: a formula that no program has calculated, and the
error that a spreadsheet shows in the place of a value.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
import csv
import datetime
import io
import pathlib
import re
import warnings

import openpyxl
from openpyxl.utils import get_column_letter
import xlrd

from mejax import files
from mejax import limits
from mejax.corpora import text_files
from mejax.corpora import workbooks
from mejax.corpora.cells import Cell

SUFFIXES = ('.xlsx', '.xlsm', '.xls', '.csv', '.tsv')
# Spreadsheets that write decimal commas separate cells by semicolons.
_DELIMITERS = (',', ';', '\t')
# The largest sheet of a database has 860 rows of 20 columns.
_MOST_ROWS, _MOST_COLUMNS, _MOST_CELLS = 10**5, 1000, 10**6
_FORMULA = (
  'a formula without a value: open the sheet in a spreadsheet program and save '
  'it'
)
_DATE = (
  'a date, which spreadsheets make of names such as 5-1: format the column as '
  'text and correct it'
)

Rows = list[list[Cell]]


def read_pages(
  path: pathlib.Path, *, encoding: str = ''
) -> Iterator[tuple[str, Rows]]:
  """Yields title and cells of each sheet of a file.

  Cells are text; the `.0` of whole numbers is dropped. Cells that are merged
  over several rows all have the text.

  Args:
    path: a workbook or a CSV file.
    encoding: that of a CSV file; UTF-8, or what its mark says, if not given.

  Raises:
    ValueError: the file is empty, or cannot be read for certain. The libraries
      raise nearly anything for a damaged workbook.
  """
  limits.check_size(path, limits.LARGEST_SHEET)
  data = limits.read_bytes(path)
  if not data:
    raise ValueError('it is empty')
  if path.suffix.lower() in ('.csv', '.tsv'):
    yield path.stem, _rows_of_csv(text_files.decoded(data, encoding))
  elif data.startswith(b'PK'):
    # The content decides: some files named .xls are .xlsx.
    yield from _pages_of_xlsx(data)
  else:
    yield from _pages_of_xls(data)


def _rows_of_csv(text: str) -> Rows:
  if not text.strip():
    raise ValueError('it is empty')
  # With newline=None, line ends of all systems become \n.
  rows = list(_split(io.StringIO(text, newline=None).read()))
  width = max(map(len, rows), default=0)
  # Blank cells at the end of a row may be left out.
  return [
    [
      Cell(row[i] if i < len(row) else '', place, is_there=i < len(row))
      for i, place in enumerate(_places(number, width))
    ]
    for number, row in enumerate(rows, 1)
  ]


def _split(text: str) -> Iterator[list[str]]:
  """Yields the rows of a CSV file.

  Raises:
    ValueError: a quotation mark is misplaced, or the table is too large.
  """
  delimiter, lines = _delimiter(text), text.split('\n')
  counts = collections.Counter(line.count(delimiter) for line in lines if line)
  usual = max(2, max(counts, key=counts.get, default=0))
  reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
  number, end, width = 0, 0, 0
  try:
    for number, row in enumerate(reader, 1):
      start, end = end, reader.line_num
      whole = [line.count(delimiter) >= usual for line in lines[start:end]]
      # Line breaks within a cell are usual, rows within a cell are not.
      if sum(whole) > 1:
        raise ValueError(
          f'a quotation mark in line {start + 1} ends in line {end}, so that '
          'rows become one: delete it, or end it in its cell'
        )
      width = max(width, len(row))
      _check_size(number, width)
      yield [_text(files.plain_cell(x)) for x in row]
  except csv.Error as error:
    raise ValueError(
      f'row {number + 1} has a fault in its quotation marks ({error})'
    ) from error


def _check_size(rows: int, columns: int) -> None:
  """Refuses a table of which a blank part alone would fill the memory."""
  if (
    rows > _MOST_ROWS or columns > _MOST_COLUMNS or rows * columns > _MOST_CELLS
  ):
    raise ValueError(
      f'it reaches to row {rows} and column {columns}; expected at most '
      f'{_MOST_ROWS} rows, {_MOST_COLUMNS} columns and {_MOST_CELLS} cells: '
      'delete what lies far from the table'
    )


def _places(row: int, width: int) -> list[str]:
  return [_place(row, i) for i in range(width)]


def _delimiter(text: str) -> str:
  """Returns the delimiter of most lines; among equals, the most frequent."""
  lines = text.splitlines()
  return max(
    _DELIMITERS,
    key=lambda sign: (sum(sign in line for line in lines), text.count(sign)),
  )


def _pages_of_xlsx(data: bytes) -> Iterator[tuple[str, Rows]]:
  height, width = workbooks.used(data)
  _check_size(height, width)
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', UserWarning)  # About extensions.
    values, formulas = (
      openpyxl.load_workbook(io.BytesIO(data), data_only=only)
      for only in (True, False)
    )
  # What is hidden is read last: somebody has put it away.
  pages = sorted(values.worksheets, key=lambda p: p.sheet_state != 'visible')
  for page in pages:
    # Formats may reach down to the last of a million rows.
    ends = {
      'max_row': max(1, min(page.max_row, height)),
      'max_col': max(1, min(page.max_column, width)),
    }
    rows = [
      [_of_xlsx(*pair) for pair in zip(*both, strict=True)]
      for both in zip(
        page.iter_rows(**ends),
        formulas[page.title].iter_rows(**ends),
        strict=True,
      )
    ]
    while rows and not any(rows[-1]):
      rows.pop()
    for merged in page.merged_cells.ranges:
      is_used = merged.min_row <= len(rows) and merged.min_col <= width
      if is_used and merged.min_col == merged.max_col:
        first = rows[merged.min_row - 1][merged.min_col - 1]
        last = min(merged.max_row, len(rows))
        for number in range(merged.min_row + 1, last + 1):
          rows[number - 1][merged.min_col - 1] = Cell(
            first, _place(number, merged.min_col - 1), first.fault
          )
    yield page.title, rows


def _of_xlsx(value, formula) -> Cell:
  """Makes a cell; a formula whose result is a blank text is blank."""
  if (
    value.value is None and formula.data_type == 'f' and value.data_type == 'n'
  ):
    text = getattr(formula.value, 'text', formula.value)
    return Cell(str(text), value.coordinate, _FORMULA)
  return _cell(value.value, value.coordinate)


def _pages_of_xls(data: bytes) -> Iterator[tuple[str, Rows]]:
  # It prints what it finds odd.
  # With ragged rows, one cell far away makes no million of blank ones.
  book = xlrd.open_workbook(
    file_contents=data, logfile=io.StringIO(), ragged_rows=True
  )

  def value(cell: xlrd.sheet.Cell) -> object:
    if cell.ctype == xlrd.XL_CELL_ERROR:
      return xlrd.error_text_from_code.get(cell.value, '#N/A')
    if cell.ctype == xlrd.XL_CELL_DATE:
      return xlrd.xldate_as_datetime(cell.value, book.datemode)
    return cell.value

  for page in sorted(book.sheets(), key=lambda page: page.visibility):
    rows = [list(map(value, page.row(i))) for i in range(page.nrows)]
    width = max(map(len, rows), default=0)
    _check_size(len(rows), width)
    yield (
      page.name,
      [
        [
          _cell(row[i] if i < len(row) else '', place)
          for i, place in enumerate(_places(number, width))
        ]
        for number, row in enumerate(rows, 1)
      ],
    )


def _cell(value: object, place: str) -> Cell:
  is_date = isinstance(value, datetime.date | datetime.time)
  return Cell(_text(value), place, _DATE if is_date else '')


def _place(row: int, column: int) -> str:
  """Names the cell at a row, from 1, and a column, from 0."""
  return f'{get_column_letter(column + 1)}{row}'


def _text(cell: object) -> str:
  text = '' if cell is None else str(cell).strip()
  return re.sub(r'^(\d+)\.0$', r'\1', text)
