"""Reads a protocol of the user's own from a table."""

from __future__ import annotations

from collections.abc import Sequence
import functools
import pathlib

from mejax.corpora import cells
from mejax.datasets import emotions
from mejax.datasets.protocols import Protocol

_COLUMNS = ('corpus', 'emotion', 'class')


def read(path: str | pathlib.Path) -> Protocol:
  """Reads a protocol from a table with the columns corpus, emotion, class.

  Each row gives the class of a database's word for an emotion; case is ignored.
  Clips with another word, or with a word that has no class, do not count. The
  classes have the order in which they first appear; one subject is left out at
  a time.

  Raises:
    FileNotFoundError: the file does not exist.
    ValueError: the file lacks a column, or its rows have faults; the message
      lists all of them.
  """
  # Imported here, so that other protocols need no spreadsheet libraries.
  from mejax.corpora import spreadsheets

  path = pathlib.Path(path)
  if not path.is_file():
    raise FileNotFoundError(
      f'{path} is no file; expected a protocol with the columns '
      f'{", ".join(_COLUMNS)}'
    )
  try:
    _, rows = next(iter(spreadsheets.read_pages(path)))
  except ValueError as error:
    raise ValueError(f'{path} cannot be read: {error}') from error
  header = [cell.lower() for cell in rows[0]]
  twice = [name for name in _COLUMNS if header.count(name) > 1]
  if twice:
    raise ValueError(f'{path} has two columns {twice[0]}: delete one of them')
  lacks = [name for name in _COLUMNS if name not in header]
  if lacks:
    raise ValueError(
      f'{path} lacks the columns {", ".join(lacks)}; its first row is '
      f'{", ".join(rows[0])}, expected {", ".join(_COLUMNS)}'
    )
  columns = [header.index(name) for name in _COLUMNS]
  table, faults = _class_table([[row[c] for c in columns] for row in rows])
  names = tuple(dict.fromkeys(name for name in table.values() if name))
  if not faults and len(names) < 2:
    faults = [f'it has {len(names)} classes; expected two or more']
  if faults:
    raise ValueError(f'{path}: {"; ".join(faults)}')
  return Protocol(
    name=path.stem,
    sentence=(
      f'Protocol of {path.name}: {len(names)} classes, one subject left out at '
      'a time.'
    ),
    classes=names,
    class_of=functools.partial(emotions.of_table, table),
  )


def _class_table(
  rows: Sequence[Sequence[str]],
) -> tuple[dict[tuple[str, str], str | None], list[str]]:
  """Returns the class of each (corpus, emotion), and the faults of the rows.

  The first row is the header.
  """
  from mejax.corpora import people

  table, spelt, faults = {}, {}, []
  for line, (corpus, emotion, name) in enumerate(rows[1:], 2):
    if not (corpus or emotion or name):
      continue
    key = (corpus.lower(), emotions.plain(emotion))
    first = spelt.setdefault(people.folded(name), str(name))
    if not all(key):
      faults.append(f'row {line} has no corpus or no emotion')
    elif name and not cells.is_word(name):
      faults.append(
        f'row {line} has class {cells.described(name)}, which is no name; '
        'leave it blank if the word has no class'
      )
    elif first != name:
      faults.append(
        f'row {line} has class {ascii(name)}, a row above has {ascii(first)}: '
        'write a class in one way, and two in ways that differ'
      )
    elif table.setdefault(key, name or None) != (name or None):
      faults.append(
        f'row {line} has class {name!r} for {corpus} {emotion}, a row above '
        f'has {table[key]!r}'
      )
  return table, faults
