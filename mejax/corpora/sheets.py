"""Finds label sheets and reads them as text.

Published sheets differ in name, in the number of lines above their header and
in blank columns, so nothing here relies on a position.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import csv
import dataclasses
import io
import pathlib
import re
import warnings

import openpyxl
import xlrd

from mejax import files

SUFFIXES = ('.xlsx', '.xlsm', '.xls', '.csv', '.tsv')
# Spreadsheets that write decimal commas separate cells by semicolons.
_DELIMITERS = (',', ';', '\t')
# Notes stand above the header: 13 lines in SAMM.
_HEADER_LINES = 40

Rows = list[list[str]]


@dataclasses.dataclass(frozen=True)
class Table:
  """The rows of a label sheet, each a dict of text by field."""

  path: pathlib.Path
  title: str
  rows: list[dict[str, str]]


def find(
  files: Sequence[pathlib.Path],
  *,
  fields: Mapping[str, Sequence[str]],
  optional: Sequence[str] = (),
  name: str = '',
  accepts: Callable[[pathlib.Path, str], bool] = lambda path, title: True,
) -> Table | None:
  """Finds the label sheet among files: the first that has all the columns.

  Files whose name matches `name` come first; among equals, the last by name,
  which is the newest.

  Args:
    files: where to look; only spreadsheets and CSV files are read.
    fields: for each field the headings it may have, compared without case,
      spaces and signs.
    optional: fields whose column may be absent; they are '' then.
    name: regular expression that the file name usually matches.
    accepts: decides from path and title whether a sheet can be the right one.

  Returns:
    The table, or None if no file has such a sheet.

  Raises:
    ValueError: there is none, and a file that might hold it cannot be read.
  """
  files = [
    file
    for file in files
    if file.suffix.lower() in SUFFIXES and not file.name.startswith('~$')
  ]
  files.sort(key=lambda file: file.name.lower(), reverse=True)
  files.sort(key=lambda file: not re.search(name, file.name, re.I))
  faults = []
  for file in files:
    try:
      pages = list(read_pages(file))
    # A damaged workbook can make the libraries raise nearly anything.
    except Exception as error:
      faults.append(f'{file} cannot be read: {error}')
      continue
    for title, rows in pages:
      if accepts(file, title):
        found = _below_header(rows, fields, optional)
        if found is not None:
          return Table(path=file, title=title, rows=found)
  if faults:
    raise ValueError('; '.join(faults))
  return None


def read_pages(path: pathlib.Path) -> Iterator[tuple[str, Rows]]:
  """Yields title and cells of each sheet of a file.

  Cells are text; the `.0` of whole numbers is dropped.
  """
  data = path.read_bytes()
  if not data:
    raise ValueError('it is empty')
  if path.suffix.lower() in ('.csv', '.tsv'):
    text = _decoded(data)
    cells = csv.reader(io.StringIO(text), delimiter=_delimiter(text))
    rows = [[_text(files.plain_cell(cell)) for cell in row] for row in cells]
    # Blank cells at the end of a row may be left out.
    width = max(map(len, rows), default=0)
    yield path.stem, [row + [''] * (width - len(row)) for row in rows]
  elif data.startswith(b'PK'):
    # The content decides: some files named .xls are .xlsx.
    with warnings.catch_warnings():
      warnings.simplefilter('ignore', UserWarning)  # About extensions.
      book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    for page in book.worksheets:
      yield page.title, [[_text(c) for c in r] for r in page.values]
  else:
    for page in xlrd.open_workbook(file_contents=data).sheets():
      yield (
        page.name,
        [[_text(c) for c in page.row_values(i)] for i in range(page.nrows)],
      )


def _decoded(data: bytes) -> str:
  """Decodes text in the encodings that spreadsheets use."""
  if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
    return data.decode('utf-16', errors='replace')
  try:
    return data.decode('utf-8-sig')
  except UnicodeDecodeError:
    return data.decode('cp1252', errors='replace')


def _delimiter(text: str) -> str:
  """Returns the delimiter of most lines; among equals, the most frequent."""
  lines = text.splitlines()
  return max(
    _DELIMITERS,
    key=lambda sign: (sum(sign in line for line in lines), text.count(sign)),
  )


def _below_header(
  rows: Rows, fields: Mapping[str, Sequence[str]], optional: Sequence[str]
) -> list[dict[str, str]] | None:
  """Returns the rows below the header, by field; None without a header."""
  for at, row in enumerate(rows[:_HEADER_LINES]):
    columns = _columns(row, fields)
    if all(field in columns for field in fields if field not in optional):
      below = (
        {
          field: row[columns[field]] if field in columns else ''
          for field in fields
        }
        for row in rows[at + 1 :]
      )
      needed = [field for field in fields if field not in optional]
      # A note below the table fills one cell.
      return [
        row
        for row in below
        if row[needed[0]] or sum(bool(row[field]) for field in needed) > 1
      ]
  return None


def _columns(row: list[str], fields: Mapping[str, Sequence[str]]):
  """Returns the column of each field whose heading is in the row."""
  headings = [_plain(cell) for cell in row]
  return {
    field: headings.index(_plain(name))
    for field, names in fields.items()
    for name in reversed(names)
    if _plain(name) in headings
  }


def _text(cell: object) -> str:
  text = '' if cell is None else str(cell).strip()
  return re.sub(r'^(\d+)\.0$', r'\1', text)


def _plain(heading: str) -> str:
  return re.sub(r'[^a-z0-9]', '', heading.lower())
