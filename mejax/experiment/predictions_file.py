"""Reads what somebody's models predicted, from a table with a row for a clip.

A CSV file or workbook with a column of truths and one of predictions is enough.
Columns are found by their usual names, or told. What is not understood for
certain is refused, by cell: a wrong guess would be a wrong score.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import pathlib
import re

from jaxtyping import Int
from jaxtyping import Shaped
import numpy as np

from mejax import limits
from mejax.corpora import cells
from mejax.corpora import spreadsheets
from mejax.corpora.cells import Cell
from mejax.experiment import prediction_columns
from mejax.experiment.packs import seen as seen_lib

OPTIONS = (*prediction_columns.USUAL, 'classes', 'encoding')
_WHOLE = re.compile(r'\+?(-?\d+)(\.0*)?')
_MOST_NAMED = 5

Table = Mapping[str, Sequence[Cell]]


@dataclasses.dataclass(frozen=True)
class Predictions:
  """What a table of predictions holds.

  Attributes:
    class_names: name of each class.
    truth: class of each clip.
    predicted: for each rule by which epochs were selected ('' if the table does
      not say), the predicted class of each clip by each seed.
    corpus: corpus of each clip, '' if the table does not say.
    people: corpus and subject of each clip; None if it does not say.
    columns: heading of each column that was read, by its meaning.
    remarks: what a reader of the score should know.
  """

  class_names: tuple[str, ...]
  truth: Int[np.ndarray, ' n']
  predicted: Mapping[str, Int[np.ndarray, 's n']]
  corpus: Shaped[np.ndarray, ' n']
  people: Shaped[np.ndarray, ' n'] | None
  columns: Mapping[str, str]
  remarks: tuple[str, ...]


def read(
  path: str | os.PathLike, options: Mapping[str, str] | None = None
) -> Predictions:
  """Reads a table of truths and predictions.

  Args:
    path: a CSV file or a workbook, whose first sheet is read.
    options: of `OPTIONS`: the heading of a column that has another name than
      usual; `classes`, their names with commas, in the order of their numbers;
      `encoding` of a CSV file.

  Raises:
    FileNotFoundError: the file is missing.
    ValueError: a column is missing, or a cell is not understood.
  """
  path, options = pathlib.Path(path), dict(options or {})
  if unknown := [key for key in options if key not in OPTIONS]:
    raise ValueError(
      f'option {unknown[0]!r} is unknown; expected {", ".join(OPTIONS)}.'
    )
  limits.check_ordinary(path)
  try:
    header, *rows = _read_rows(path, options.pop('encoding', ''))
    classes = _read_classes(options.pop('classes', ''))
    columns = prediction_columns.find(header, options)
    asked = len(rows)
    rows = _answered(rows, columns['prediction'], header)
    table = {
      field: [row[place] for row in rows] for field, place in columns.items()
    }
    headings = {field: str(header[place]) for field, place in columns.items()}
    found = _arrange(table, classes, headings)
  except ValueError as error:
    raise ValueError(f'{path}: {error}.') from error
  if len(rows) < asked:
    said = f'{asked - len(rows)} of {asked} rows have no answer, and no score.'
    found = dataclasses.replace(found, remarks=(*found.remarks, said))
  return found


def _answered(
  rows: Sequence[Sequence[Cell]], place: int, header: Sequence[Cell]
) -> Sequence[Sequence[Cell]]:
  """Returns the rows with an answer of a table that `mejax predict` wrote.

  In other tables an empty cell is a fault.
  """
  if not prediction_columns.is_answer(header[place]):
    return rows
  kept = [row for row in rows if cells.visible(row[place])]
  if not kept:
    raise ValueError('none of its rows has an answer')
  return kept


def _read_rows(path: pathlib.Path, encoding: str) -> list[list[Cell]]:
  """Returns the header of a table and its rows, without blank ones."""
  try:
    _, rows = next(spreadsheets.read_pages(path, encoding=encoding))
  except (ValueError, OSError, MemoryError):
    raise
  except Exception as error:  # Libraries raise anything for a damaged file.
    raise ValueError(f'it cannot be read ({error})') from error
  rows = [row for row in rows if any(map(cells.visible, row))]
  if len(rows) < 2:
    raise ValueError('it has no row below its header')
  return rows


def _read_classes(text: str) -> list[str]:
  classes = [cells.visible(name) for name in text.split(',') if name.strip()]
  if len({name.casefold() for name in classes}) < len(classes):
    raise ValueError(f'option classes names a class twice: {text}')
  return classes


def _arrange(
  table: Table, classes: Sequence[str], headings: Mapping[str, str]
) -> Predictions:
  """Sorts the rows of a table by rule and seed."""
  _refuse(
    [
      f'a {field} is {cells.described(cell)}'
      for field, column in table.items()
      for cell in column
      if not cells.is_word(cell)
    ],
    'fill in the cell, or take its row out of the table',
  )
  truth, prediction, class_names = _number_classes(table, classes)
  first: dict[tuple, int] = {}
  predicted: dict[str, list] = {}
  for rule, seed, members in _runs(table):
    run = ' of ' + ', '.join(filter(None, [rule, seed and f'seed {seed}']))
    rows = _by_clip(table, members, run)
    first = first or rows
    _refuse_other_clips(first, rows, truth, run)
    predicted.setdefault(rule, []).append([prediction[rows[k]] for k in first])
  chosen = list(first.values())
  corpus, subject = (
    [str(table[field][i]) for i in chosen] if field in table else []
    for field in ('corpus', 'subject')
  )
  corpus = corpus or [''] * len(chosen)
  people = [f'{c}/{s}' for c, s in zip(corpus, subject, strict=False)]
  return Predictions(
    class_names=class_names,
    truth=truth[chosen],
    predicted={rule: np.array(rows) for rule, rows in predicted.items()},
    corpus=np.array(corpus),
    people=np.array(people) if people else None,
    columns=headings,
    remarks=tuple(_remarks(corpus, people)),
  )


def _refuse(wrong: Sequence[str], advice: str) -> None:
  """Refuses what is wrong of a table, if anything is; names the first few."""
  if wrong:
    more = len(wrong) - _MOST_NAMED
    told = [*wrong[:_MOST_NAMED], *[f'and {more} more'] * (more > 0)]
    raise ValueError(f'{", ".join(told)}; {advice}')


def _runs(table: Table) -> Iterator[tuple[str, str, list[int]]]:
  """Yields rule, seed and rows of each training that the table tells of."""
  runs: dict[tuple[str, str], list[int]] = {}
  for i in range(len(table['truth'])):
    rule, setting, seed = (
      str(table[field][i]) if field in table else ''
      for field in ('selection', 'setting', 'seed')
    )
    rule = ', '.join(filter(None, [rule, setting and f'setting {setting}']))
    runs.setdefault((rule, seed), []).append(i)
  for (rule, seed), members in runs.items():
    yield rule, seed, members


def _by_clip(
  table: Table, members: Sequence[int], run: str
) -> dict[tuple, int]:
  """Returns the row of each clip; without names of clips, in their order."""
  fields = [name for name in ('corpus', 'subject', 'clip') if name in table]
  found, times = {}, {}
  for i in members:
    key = tuple(str(table[name][i]) for name in fields)
    number = times[key] = times.get(key, 0) + 1
    if 'clip' in table and number > 1:
      raise ValueError(
        f'the clip {"/".join(key)} has several rows'
        + run * ('seed' in table or 'selection' in table)
      )
    found[*key, number] = i
  return found


def _refuse_other_clips(first, rows, truth, run) -> None:
  """Refuses a run that has other clips or truths than the first."""
  if strange := [
    key for key in first | rows if (key in first) != (key in rows)
  ]:
    raise ValueError(
      f'the rows{run} are not of the same clips as the ones before: '
      f'{"/".join(map(str, strange[0][:-1])) or "their numbers differ"}'
    )
  for key, row in rows.items():
    if truth[row] != truth[first[key]]:
      raise ValueError(
        f'the truth of {"/".join(map(str, key[:-1])) or "a clip"} is another '
        f'in the rows{run} than in the ones before'
      )


def _number_classes(
  table: Table, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
  """Returns truth and prediction as numbers, and the names of the classes."""
  columns = {
    field: [_class(cell) for cell in table[field]]
    for field in prediction_columns.NEEDED
  }
  spelled: dict[str, str] = {}
  for name in columns['truth']:
    spelled.setdefault(name.casefold(), name)
  are_numbers = all(_WHOLE.fullmatch(name) for name in spelled)
  if classes and are_numbers:
    known = {str(i): name for i, name in enumerate(classes)}
  elif classes:
    known = {name.casefold(): name for name in classes}
  else:
    order = sorted(spelled, key=int if are_numbers else None)
    known = {key: spelled[key] for key in order}
  number = {key: i for i, key in enumerate(known)}
  _refuse(
    [
      f'a {field} is {cells.described(cell)}'
      for field, names in columns.items()
      for name, cell in zip(names, table[field], strict=True)
      if name.casefold() not in number
    ],
    f'expected one of the {"classes that you name" if classes else "truths"}'
    f' ({", ".join(known)}). If it is a class that no clip has, name all, by'
    ' --option classes=NAME,NAME,...',
  )
  arrays = [
    np.array([number[name.casefold()] for name in names])
    for names in columns.values()
  ]
  return *arrays, tuple(known.values())


def _class(cell: Cell) -> str:
  """Returns the name of a class; `2.0` is `2`."""
  name = cells.visible(cell)
  whole = _WHOLE.fullmatch(name)
  return str(int(whole[1])) if whole else name


def _remarks(corpus: Sequence[str], people: Sequence[str]) -> Iterator[str]:
  if not people:
    yield (
      'There is no column of subjects, so there are no intervals: clips of one'
      ' person are alike, and the number of people decides how sure a score is.'
    )
  spelled: dict[str, list[str]] = {}
  # People without a corpus are called `/subject`.
  for name, who in dict.fromkeys(zip(corpus, people, strict=False)):
    person = seen_lib.person(name, who.removeprefix(f'{name}/'))
    spelled.setdefault(person, []).append(who.removeprefix('/'))
  for alike in spelled.values():
    if len(alike) > 1:
      yield (
        'These subjects may be one person, and count as several:'
        f' {", ".join(alike)}.'
      )
