"""Finds label sheets, and reads them as rows of fields.

Published sheets differ in name, in the number of lines above their header and
in blank columns, so nothing here relies on a position. A column that no field
takes is named, and refused if it seems to be meant for a field.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import difflib
import pathlib
import re
import unicodedata

from mejax.corpora import spreadsheets
from mejax.corpora.cells import Cell
from mejax.corpora.spreadsheets import SUFFIXES
from mejax.corpora.spreadsheets import Rows

# Notes stand above the header: 13 lines in SAMM.
_HEADER_LINES = 40
_LONGER = 'its row has more cells than the header: is a comma too many?'
# From this ratio of difflib on, a heading is a field's name misspelt.
_MISSPELT = 0.8


@dataclasses.dataclass(frozen=True)
class Table:
  """The rows of a label sheet.

  Attributes:
    path: the file.
    title: that of the sheet in it.
    rows: the text of each row by field; a `Cell` knows its place.
    unread: names what is in the file and was not read: columns, other sheets
      with the same columns, and files that could not be read.
  """

  path: pathlib.Path
  title: str
  rows: list[dict[str, str]]
  unread: tuple[str, ...] = ()


def read_pages(
  file: pathlib.Path, *, encoding: str = ''
) -> list[tuple[str, spreadsheets.Rows]]:
  """Returns title and rows of each sheet of a file.

  Raises:
    ValueError: the file cannot be read; the message names it.
  """
  try:
    return list(spreadsheets.read_pages(file, encoding=encoding))
  # A damaged workbook can make the libraries raise nearly anything.
  except Exception as error:
    raise ValueError(f'{file} cannot be read: {error}') from error


def find(
  files: Sequence[pathlib.Path],
  *,
  fields: Mapping[str, Sequence[str]],
  optional: Sequence[str] = (),
  name: str = '',
  accepts: Callable[[pathlib.Path, str], bool] = lambda path, title: True,
  encoding: str = '',
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
    encoding: that of CSV files, as `spreadsheets.read_pages` takes it.

  Returns:
    The table, or None if no file has such a sheet.

  Raises:
    ValueError: there is none, and a file that might hold it cannot be read; a
      file that matches `name` cannot be read; or a heading is not understood.
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
      pages = read_pages(file, encoding=encoding)
    except ValueError as error:
      if name and re.search(name, file.name, re.I):
        raise  # An older sheet would be read in its place.
      faults.append(str(error))
      continue
    found = []
    for title, rows in pages:
      if accepts(file, title):
        found += _below_header(file, title, rows, fields, optional)
    if found:
      more = [f'the sheet {table.title!r}' for table in found[1:]]
      unread = (*found[0].unread, *more, *faults)
      return dataclasses.replace(found[0], unread=unread)
  if faults:
    raise ValueError('; '.join(faults))
  return None


def _below_header(
  file: pathlib.Path,
  title: str,
  rows: Rows,
  fields: Mapping[str, Sequence[str]],
  optional: Sequence[str],
) -> Iterator[Table]:
  """Yields the table below the header; nothing without a header."""
  needed = [field for field in fields if field not in optional]
  for at in range(min(len(rows), _HEADER_LINES)):
    header, length = _header(rows[at : at + 2], fields, needed)
    columns = _columns(header, fields)
    if not all(field in columns for field in needed):
      continue
    below = _faulty_if_longer(rows[at], rows[at + length :])
    chosen = {
      field: _choose(file, field, numbers, rows[at], below)
      for field, numbers in columns.items()
    }
    shown = [cell for cell, _ in header]
    unread = _unread(file, shown, below, fields, chosen)
    table = [
      {field: row[chosen[field]] if field in chosen else '' for field in fields}
      for row in below
    ]
    # A note below the table fills one cell.
    table = [
      row
      for row in table
      if row[needed[0]] or sum(bool(row[field]) for field in fields) > 1
    ]
    yield Table(file, title, table, tuple(unread))
    return


def _faulty_if_longer(header: Sequence[Cell], rows: Rows) -> Rows:
  """Returns rows; a fault is in each cell of one with more cells than headings.

  A comma too many shifts a CSV file's row, so that an offset becomes an apex.
  """
  surplus = [i for i, cell in enumerate(header) if not cell.is_there]
  return [
    [Cell(cell, cell.place, _LONGER) for cell in row]
    if any(row[i] for i in surplus)
    else row
    for row in rows
  ]


# A column's heading as it is shown, and the plain names it may have.
Heading = tuple[Cell, tuple[str, ...]]


def _header(
  rows: Rows, fields: Mapping[str, Sequence[str]], needed: Sequence[str]
) -> tuple[list[Heading], int]:
  """Returns the headings that begin with the first of two rows, and 1 or 2.

  A header of two rows has groups of columns in the first, as in `frames` above
  `onset`, `apex` and `offset`, and perhaps nothing below the other headings.
  """
  single = [(cell, (_plain(cell),)) for cell in rows[0]]
  if len(rows) < 2:
    return single, 1
  found = _columns(single, fields)
  own = [i for field in needed for i in found.get(field, ())]
  under = rows[1]
  is_header = (
    own
    and any(under)
    and not any(_plain(cell).isdigit() for cell in under)
    and all(under[i] in ('', rows[0][i]) for i in own)
  )
  if not is_header:
    return single, 1
  both, group = [], ''
  for upper, lower in zip(rows[0], under, strict=True):
    group = upper or group
    names = (_plain(lower), _plain(upper), lower and _plain(group + lower))
    both.append((lower or upper, tuple(filter(None, names))))
  return both, 2


def _columns(
  header: Sequence[Heading], fields: Mapping[str, Sequence[str]]
) -> dict[str, list[int]]:
  """Returns the columns of each field whose heading is in the header."""
  columns = {}
  for field, names in fields.items():
    for name in map(_plain, names):
      found = [i for i, (_, plain) in enumerate(header) if name in plain]
      if found:
        columns[field] = found
        break
  return columns


def _choose(
  file: pathlib.Path,
  field: str,
  columns: Sequence[int],
  header: Sequence[Cell],
  below: Rows,
) -> int:
  """Returns the first of several columns that all have the same cells."""
  for other in columns[1:]:
    if any(row[other] != row[columns[0]] for row in below):
      places = ' and '.join(header[i].place for i in (columns[0], other))
      raise ValueError(
        f'{file} has two columns for the {field}, {places}, which differ: '
        'delete or rename one of them'
      )
  return columns[0]


def _unread(
  file: pathlib.Path,
  header: Sequence[Cell],
  below: Rows,
  fields: Mapping[str, Sequence[str]],
  chosen: Mapping[str, int],
) -> Iterator[str]:
  """Yields the names of the columns that no field takes.

  Raises:
    ValueError: one of them seems to be meant for a field that has no column.
  """
  for i, heading in enumerate(header):
    if i in chosen.values() or not any(row[i] for row in below):
      continue
    likeness = {
      field: _likeness(heading, (field, *names))
      for field, names in fields.items()
      if field not in chosen
    }
    field = max(likeness, key=likeness.get, default='')
    if field and likeness[field] >= _MISSPELT:
      raise ValueError(
        f'{file}: the heading {str(heading)!r} in cell {heading.place} is not '
        f'understood. If it means {field}, write {fields[field][0]!r}; if not, '
        'write a word that is not like it'
      )
    if heading:
      yield f'the column {str(heading)!r} ({heading.place})'
    else:
      yield f'a column without a heading ({heading.place})'


def _likeness(heading: str, names: Sequence[str]) -> float:
  """Returns how much a heading is like a name: 1 if it contains one."""
  own = _plain(heading)
  ratios = (
    1.0 if name in own else difflib.SequenceMatcher(None, name, own).ratio()
    for name in map(_plain, names)
    # In a short name, too little can differ.
    if len(name) > 3
  )
  return max(ratios, default=0.0)


def _plain(heading: str) -> str:
  heading = unicodedata.normalize('NFKC', heading)
  return re.sub(r'[^a-z0-9]', '', heading.lower())
