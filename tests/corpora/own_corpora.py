"""Corpora of a user's own, named `tests.corpora.own_corpora:...` in tests.

film notes.csv               who, take, from, peak, to, mood
takes/anna-3/shot_0012.png
"""

from __future__ import annotations

from mejax.corpora import annotated
from mejax.corpora import database
from mejax.corpora import frames
from mejax.corpora.clip import Clip
from mejax.corpora.corpus import Corpus


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if parts[-2:-1] != ('takes',):
    return None
  return frames.Place(key=parts[-1], depth=1, kind='raw')


def _label(row: dict[str, str]) -> database.Labelled:
  subject, name = row['subject'].lower(), row['name']
  annotation = annotated.Annotation.of_row(
    row, corpus='film', subject=subject, fps=50.0
  )
  return annotation, f'{subject}-{name}'


FILM = database.Database(
  title='Film',
  columns={
    'subject': ('who',),
    'name': ('take',),
    'onset': ('from',),
    'apex': ('peak',),
    'offset': ('to',),
    'emotion': ('mood',),
  },
  place_of=_place,
  labels=database.by_row(_label),
  example='takes/anna-3/shot_0012.png and film notes.csv',
  kinds=('raw',),
)
CORPUS = Corpus(name='film', read=FILM.read, options=('sheet',))


def _read(root, *, mood: str = 'joy'):
  yield Clip('moods', 'anna', '3', mood, problem=f'{root.name} is a test')


# Without a sheet: a function reads it.
MOODS = Corpus(name='moods', read=_read, options=('mood',))
