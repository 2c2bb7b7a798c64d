"""Labels of recordings, so that what a model says of them can be scored.

The table is that of recordings of your own (`corpora/video.py`): a row for each
recording, with subject and emotion, and onset, apex and offset if known. Who is
in a recording decides whether the model may be asked: people whom it has seen
are refused, or left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import pathlib

from mejax.corpora import cells
from mejax.corpora import corpus_names
from mejax.corpora import frame_numbers
from mejax.corpora import people as people_lib
from mejax.corpora import recordings as recordings_lib
from mejax.corpora import video
from mejax.corpora.recordings import Recording
from mejax.corpora.video import Row
from mejax.datasets import emotions
from mejax.datasets import protocols
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.packs.packed import Model
from mejax.experiment.predicting.events import Ask

COLUMNS = ('corpus', 'subject', 'truth')
_FIELDS = video.FIELDS | {'corpus': ('corpus', 'dataset', 'database')}
_MOST_NAMED = 5
_HINT = (
  'What it says of them is no result for people whom it has not seen. With'
  ' --leave_out_seen, the others are predicted.'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Label:
  """What the table says of a recording.

  Attributes:
    corpus, subject: who is seen.
    truth: the class; '' if it is not known.
    ask: what is looked at, or why nothing is.
  """

  corpus: str
  subject: str
  truth: str
  ask: Ask


@dataclasses.dataclass(frozen=True)
class Labelled:
  """Recordings with labels.

  Attributes:
    found: the recordings to ask of.
    labels: of each, by its path.
    notes: sentences on what was left out or not understood.
  """

  found: list[Recording]
  labels: Mapping[pathlib.Path, Label]
  notes: tuple[str, ...]

  def columns(self, recording: Recording) -> dict[str, str]:
    """Returns `COLUMNS` of a recording; {} without labels."""
    label = self.labels.get(recording.path)
    return {name: getattr(label, name) for name in COLUMNS if label}


def read(
  path: str | os.PathLike[str],
  found: Sequence[Recording],
  *,
  model: Model,
  fps: float | int | None = None,
  leave_out_seen: bool = False,
) -> Labelled:
  """Reads the labels of recordings.

  A recording without a row, or with one that is not understood, gets a label
  that says so, and nothing is asked of it.

  Args:
    path: a CSV file or workbook.
    found: the recordings.
    model: who is asked.
    fps: frames a second, where the table has none; without it those of the
      file.
    leave_out_seen: whether recordings of people whom the model has seen are
      left out; otherwise they are refused.

  Raises:
    FileNotFoundError: there is no such table.
    ValueError: it is not understood, names none of the recordings, or the model
      has seen people who are not left out.
  """
  path = pathlib.Path(path)
  table = video.read_sheet(path, fields=_FIELDS)
  rows, notes = _by_recording(table.rows, found, path.name)
  if not rows:
    raise ValueError(
      f'{path} names none of the recordings ({found[0].name}, ...), but'
      f' {", ".join(repr(row["clip"]) for row in table.rows[:_MOST_NAMED])}'
    )
  labels = {
    one.path: _label(rows.get(one.path, []), path.name, model, fps)
    for one in found
  }
  notes += _strange(labels.values(), model)
  unread = list(table.unread)
  if any(row['which_face'] for row in table.rows):
    unread.append('which_face')
  if unread:
    notes.append(f'not read in {path.name}: {", ".join(unread)}')
  if model.seen.unknown:
    notes.append(seen_lib.UNKNOWN)
  known = [one for one in found if _is_seen(labels[one.path], model)]
  if not known:
    return Labelled(list(found), labels, tuple(notes))
  told = _describe(known, labels, model)
  if not leave_out_seen:
    raise ValueError(f'{told} {_HINT}')
  if len(known) == len(found):
    raise ValueError(f'{told} Without them nothing is left.')
  left = [one for one in found if one not in known]
  return Labelled(left, labels, (*notes, f'{told} They were left out.'))


def _by_recording(
  rows: Sequence[Row], found: Sequence[Recording], sheet: str
) -> tuple[dict[pathlib.Path, list[Row | None]], list[str]]:
  """Returns the rows of each recording, and what names none for certain.

  In place of a row that may mean several recordings, each of these has None.
  """
  rows_of, notes = {}, []
  named = recordings_lib.called(found, [row['clip'] for row in rows])
  for row, those in zip(rows, named, strict=True):
    if len(those) != 1:
      meant = 'may mean several recordings' if those else 'is no recording here'
      notes.append(f'{sheet}: {row["clip"]!r} {meant}')
    for one in those:
      rows_of.setdefault(one.path, []).append(row if len(those) == 1 else None)
  return rows_of, notes


def _label(
  rows: Sequence[Row | None], sheet: str, model: Model, fps: float | int | None
) -> Label:
  """Returns the label of a recording from its rows; a row is None if unsure."""
  if len(rows) != 1 or rows[0] is None:
    problem = f'{sheet} has {"several rows" if rows else "no row"} for it'
    if rows == [None]:
      problem = f'a row of {sheet} may mean it and others'
    ask = Ask(problem=problem, fps=fps)
    return Label(corpus='', subject='', truth='', ask=ask)
  (row,) = rows
  corpus = _corpus(row['corpus'], model)
  truth = _class_of(model, corpus, row['emotion'])
  numbers, unread = frame_numbers.read_numbers(row)
  fault = ''
  if not people_lib.is_person(row['subject']):
    fault = f'its row in {sheet} names no subject'
  elif not truth:
    fault = (
      f'its row in {sheet} has the emotion {cells.described(row["emotion"])};'
      f' the model tells {", ".join(model.classes)} apart'
    )
  for field, text in unread.items():
    fault = fault or frame_numbers.misread(field, text)
  given = tuple(numbers[field] for field in ('onset', 'apex', 'offset'))
  is_given = any(number is not None for number in given)
  ask = Ask(
    whole=not is_given,
    given=given if is_given else None,
    fps=fps,
    sheet_fps=row['fps'],
    problem=fault,
    is_lenient=True,
  )
  return Label(corpus=corpus, subject=row['subject'], truth=truth, ask=ask)


def _corpora(model: Model) -> tuple[str, ...]:
  """Returns the corpora that mejax or the model knows.

  A model that started from another one knows only those of its own training,
  though it has seen the people of both.
  """
  return (*corpus_names.NAMES, *model.about['data']['corpora'])


def _corpus(text: str, model: Model) -> str:
  """Returns the name that the model or mejax has for a corpus, if any."""
  if not cells.is_word(text):
    return video.NAME
  names = {corpus_names.common(name): name for name in _corpora(model)}
  return names.get(corpus_names.common(text), text)


def _class_of(model: Model, corpus: str, emotion: str) -> str:
  """Returns the class of an emotion; '' if the model has none for it."""
  plain = emotions.plain(emotion)
  for name in model.classes:
    if emotions.plain(name) == plain:
      return name
  protocol = protocols.PROTOCOLS.get(str(model.config.protocol))
  found = protocol.class_of(corpus, emotion) if protocol else None
  return found if found in model.classes else ''


def _is_seen(label: Label, model: Model) -> bool:
  """Returns whether a model has seen the person of a recording.

  Where the table has no corpus, all that are known count: a person too many is
  refused, rather than one too few.
  """
  corpora = {label.corpus}
  if label.corpus == video.NAME:
    corpora.update(_corpora(model))
  return people_lib.is_person(label.subject) and any(
    seen_lib.person(corpus, label.subject) in model.seen.people
    for corpus in corpora
  )


def _strange(labels, model: Model) -> Iterator[str]:
  """Says which corpora are not known, so that nobody of them counts as seen."""
  known = {'', *_corpora(model)}
  for name in sorted({label.corpus for label in labels} - known):
    yield (
      f'the corpus {name!r} is none that mejax or the model knows'
      f' ({", ".join(sorted(known - {""}))}): its people are taken for ones'
      ' whom the model has not seen'
    )


def _describe(
  known: Sequence[Recording],
  labels: Mapping[pathlib.Path, Label],
  model: Model,
) -> str:
  """Says whom the model has seen; all spellings of a person count as one."""
  people = sorted(_people(labels[one.path] for one in known).values())
  every = _people(labels.values())
  more = len(people) - _MOST_NAMED
  named = ', '.join(people[:_MOST_NAMED]) + f' and {more} more' * (more > 0)
  return (
    f'the model in {model.folder} has seen {len(people)} of the {len(every)}'
    f' people of these recordings ({named}), who are in {len(known)} of them.'
  )


def _people(labels: Iterable[Label]) -> dict[str, str]:
  """Returns a name of each person, by digest."""
  return {
    seen_lib.person(one.corpus, one.subject): f'{one.corpus}/{one.subject}'
    for one in labels
    if people_lib.is_person(one.subject)
  }
