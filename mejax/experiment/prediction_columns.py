"""Finds the columns of a table of predictions by their usual names."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import re

from mejax.corpora import cells
from mejax.corpora.cells import Cell

# That of `mejax predict`, which is empty where nothing was recognised.
_ANSWER = 'mostlike'
# Usual headings of each column, without case, blanks and signs.
USUAL = {
  'truth': (
    'truth', 'groundtruth', 'groundtruthlabel', 'gt', 'gtlabel', 'gtclass',
    'true', 'truelabel', 'trueclass', 'ytrue', 'label', 'labels', 'target',
    'actual',
  ),
  'prediction': (
    'prediction', 'predictions', 'pred', 'preds', 'predicted', 'predict',
    'ypred', 'predlabel', 'predclass', 'predictedlabel', 'predictedclass',
    _ANSWER,
  ),
  'corpus': ('corpus', 'dataset', 'database', 'db'),
  'subject': ('subject', 'subjectid', 'subj', 'sub', 'person', 'participant'),
  'clip': ('clip', 'clipname', 'video', 'videoname', 'filename', 'file'),
  'seed': ('seed',),
  'selection': ('selection',),
  'setting': ('setting',),
}  # fmt: skip
NEEDED = ('truth', 'prediction')
_MOST_NAMED = 5


def find(header: Sequence[Cell], options: Mapping[str, str]) -> dict[str, int]:
  """Returns the place of each column that is there, by the keys of `USUAL`.

  Args:
    header: the headings of a table.
    options: the heading of each column that has another name than usual.

  Raises:
    ValueError: a column that is needed or told is missing, or several may be
      meant.
  """
  shown = ', '.join(repr(str(cell)) for cell in header if cell)
  found = {}
  for field, usual in USUAL.items():
    names = [_plain(options[field])] if field in options else usual
    places = [i for i, cell in enumerate(header) if _plain(cell) in names]
    if field in options and not places:
      raise ValueError(
        f'it has no column {options[field]!r}; its columns are {shown}'
      )
    if len(places) > 1:
      which = ', '.join(repr(str(header[i])) for i in places)
      raise ValueError(
        f'several of its columns may be the {field}: {which}. Tell which one '
        f'it is, by --option {field}=COLUMN'
      )
    if field in NEEDED and not places:
      raise ValueError(
        f'none of its columns has a usual name of a {field} '
        f'({", ".join(usual[:_MOST_NAMED])}, ...); they are {shown}. Tell '
        f'which one it is, by --option {field}=COLUMN'
      )
    if places:
      found[field] = places[0]
  if len(set(found.values())) < len(found):
    raise ValueError('one of its columns was given two meanings')
  return found


def is_answer(heading: Cell) -> bool:
  """Returns whether a heading is that of the answers of `mejax predict`."""
  return _plain(heading) == _ANSWER


def _plain(heading: str) -> str:
  return re.sub(r'[^\w]|_', '', cells.visible(heading).casefold())
