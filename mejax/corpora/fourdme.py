"""4DME, its grey videos: 60 frames a second, 267 clips, several labels each.

    4DME_Labelling_Micro_release v1.xlsx
    gray_micro/{sub_ID}/{fold_name}/frames

Frames lie in the clip's folder or in a folder `frames` within it. The sheet has
the emotion in words, several joined by `+`, and again as columns of 0 and 1
behind the action units. `(k)` after a unit marks one that does not move: it is
in `Clip.action_units` with `static` set. In some copies two neighbouring rows
have each other's action units and columns. They are recognised by the columns,
which fit the other row's words; then the action units are exchanged back.
"""

from __future__ import annotations

from collections.abc import Iterator

from mejax.corpora import annotated
from mejax.corpora import database
from mejax.corpora import frames
from mejax.corpora.corpus import Corpus

FPS = 60.0
EMOTIONS = ('positive', 'negative', 'surprise', 'repression', 'others')


def _place(parts: tuple[str, ...]) -> frames.Place | None:
  if len(parts) < 3 or parts[-3] != 'gray_micro':
    return None
  return frames.Place(key=parts[-2:], depth=2, kind='raw')


def _labels(found: database.Found) -> Iterator[database.Labelled]:
  rows = found.table.rows
  units = [row['facs'] for row in rows]
  remarks = [_disagreement(row) for row in rows]
  for i in range(len(rows) - 1):
    first, second = rows[i], rows[i + 1]
    if not (remarks[i] and remarks[i + 1]):
      continue
    if _words(first) == _columns(second) and _columns(first) == _words(second):
      units[i], units[i + 1] = second['facs'], first['facs']
      for j, other in ((i, second), (i + 1, first)):
        remarks[j] = (
          f'action units repaired, from the row of {other["name"]}: the '
          'columns of emotions show that the two rows are exchanged',
        )
  for row, facs, remark in zip(rows, units, remarks, strict=True):
    annotation = annotated.Annotation.of_row(
      row,
      corpus='fourdme',
      subject=row['subject'],
      fps=FPS,
      facs=facs,
      remarks=remark,
    )
    yield annotation, (row['subject'].lower(), row['name'].lower())


def _words(row: dict[str, str]) -> set[str]:
  return {word.strip().lower() for word in row['emotion'].split('+')}


def _columns(row: dict[str, str]) -> set[str]:
  return {word for word in EMOTIONS if row[word] == '1'}


def _disagreement(row: dict[str, str]) -> tuple[str, ...]:
  """Returns a remark if the columns of emotions contradict the words."""
  words, columns = _words(row), _columns(row)
  if words == columns or not any(row[word] for word in EMOTIONS):
    return ()
  return (
    f'the emotion is {row["emotion"]}, but the columns say '
    f'{" and ".join(sorted(columns)) or "none"}',
  )


DATABASE = database.Database(
  title='4DME',
  columns={
    'subject': ('sub_ID',),
    'name': ('fold_name',),
    'emotion': ('Emotion',),
    'onset': ('Onset',),
    'apex': ('Apex',),
    'offset': ('Offset',),
    'facs': ('AUs', 'AU'),
    **{word: (word,) for word in EMOTIONS},
  },
  place_of=_place,
  labels=_labels,
  example=(
    'gray_micro/{sub_ID}/{fold_name}/ and 4DME_Labelling_Micro_release v1.xlsx'
  ),
  optional=EMOTIONS,
  sheet_name='4dme',
  kinds=('raw',),
  inner='frames',
)
CORPUS = Corpus(
  name='fourdme', read=DATABASE.read, options=('sheet', 'encoding')
)
