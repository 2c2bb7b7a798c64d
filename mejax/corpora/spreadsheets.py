"""Reads spreadsheets and CSV files as pages of text.

What cannot be read for certain is refused, or stays in its cell as a text that
no reader takes for a number: a formula that no program has calculated, and the
error that a spreadsheet shows in the place of a value.
"""

from __future__ import annotations

from collections.abc import Iterator
import csv
import datetime
import io
import pathlib
import re
import warnings
import zipfile

import openpyxl
from openpyxl.utils import get_column_letter
from openpyxl.utils import range_boundaries
import xlrd

from mejax import files
from mejax import limits
from mejax.corpora import text_files
from mejax.corpora.cells import Cell

SUFFIXES = ('.xlsx', '.xlsm', '.xls', '.csv', '.tsv')
_MERGED = re.compile(rb'mergeCell\s[^>]*?\bref\s*=\s*["\']([^"\']*)')
# Spreadsheets that write decimal commas separate cells by semicolons.
_DELIMITERS = (',', ';', '\t')
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
  lines = io.StringIO(text, newline=None)
  reader = csv.reader(lines, delimiter=_delimiter(text), strict=True)
  rows = []
  try:
    for number, row in enumerate(reader, 1):
      rows.append(
        [
          Cell(_text(files.plain_cell(x)), _place(number, i))
          for i, x in enumerate(row)
        ]
      )
  except csv.Error as error:
    raise ValueError(
      f'row {len(rows) + 1} has a fault in its quotation marks ({error})'
    ) from error
  # Blank cells at the end of a row may be left out.
  width = max(map(len, rows), default=0)
  return [
    row + [Cell('', _place(number, i)) for i in range(len(row), width)]
    for number, row in enumerate(rows, 1)
  ]


def _delimiter(text: str) -> str:
  """Returns the delimiter of most lines; among equals, the most frequent."""
  lines = text.splitlines()
  return max(
    _DELIMITERS,
    key=lambda sign: (sum(sign in line for line in lines), text.count(sign)),
  )


def _pages_of_xlsx(data: bytes) -> Iterator[tuple[str, Rows]]:
  _check_claims(data)
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', UserWarning)  # About extensions.
    values, formulas = (
      openpyxl.load_workbook(io.BytesIO(data), data_only=only)
      for only in (True, False)
    )
  for page in values.worksheets:
    _check_area(page.dimensions)
    rows = [
      [_of_xlsx(*pair) for pair in zip(*both, strict=True)]
      for both in zip(
        page.iter_rows(), formulas[page.title].iter_rows(), strict=True
      )
    ]
    # Formats may reach down to the last of a million rows.
    while rows and not any(rows[-1]):
      rows.pop()
    for merged in page.merged_cells.ranges:
      if merged.min_col == merged.max_col:
        first = rows[merged.min_row - 1][merged.min_col - 1]
        last = min(merged.max_row, len(rows))
        for number in range(merged.min_row + 1, last + 1):
          rows[number - 1][merged.min_col - 1] = Cell(
            first, _place(number, merged.min_col - 1), first.fault
          )
    yield page.title, rows


def _check_claims(data: bytes) -> None:
  """Refuses a workbook that would take hours and all memory to read."""
  limits.check_unpacked(io.BytesIO(data), limits.LARGEST_SHEET)
  with zipfile.ZipFile(io.BytesIO(data)) as archive:
    for name in archive.namelist():
      # openpyxl makes a cell for each that is merged.
      for area in _MERGED.findall(archive.read(name)):
        _check_area(area.decode(errors='replace'))


def _check_area(area: str) -> None:
  _, _, columns, rows = range_boundaries(area)
  if columns * rows > limits.LARGEST_CELLS:
    raise ValueError(
      f'its cells reach down to {get_column_letter(columns)}{rows}: delete all'
      ' rows and columns that are blank'
    )


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
  book = xlrd.open_workbook(file_contents=data, logfile=io.StringIO())

  def value(cell: xlrd.sheet.Cell) -> object:
    if cell.ctype == xlrd.XL_CELL_ERROR:
      return xlrd.error_text_from_code.get(cell.value, '#N/A')
    if cell.ctype == xlrd.XL_CELL_DATE:
      return xlrd.xldate_as_datetime(cell.value, book.datemode)
    return cell.value

  for page in book.sheets():
    yield (
      page.name,
      [
        [_cell(value(c), _place(i + 1, j)) for j, c in enumerate(page.row(i))]
        for i in range(page.nrows)
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
