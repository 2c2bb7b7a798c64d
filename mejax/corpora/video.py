"""Reads your own recordings: videos, and folders of frames.

    clips/anna/smile.mp4
    clips/ben_surprise/frame_0001.png

Frames of a folder have the numbers in their file names; those of a video count
from 0, and a frame that is lost leaves its number out. A sheet of labels (CSV
with commas, semicolons or tabs; XLSX) has a row for each expression:

    clip,subject,emotion,onset,apex,offset,fps
    anna/smile.mp4,anna,happiness,12,31,55,
    ben_surprise,ben,surprise,,,,100

`clip` is the name of a file or folder, or as much of its path as distinguishes
it from the others, with or without suffix. Onset, apex, offset, fps and action
units may be empty or absent: then the first frame is the onset, the last the
offset and the middle one the apex, and the frame rate is that of the video. A
recording may have several rows.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
import pathlib

from mejax.corpora import annotated
from mejax.corpora import frame_numbers
from mejax.corpora import recordings
from mejax.corpora import sheets
from mejax.corpora.clip import UNKNOWN
from mejax.corpora.clip import Clip
from mejax.corpora.corpus import Corpus

NAME = 'video'
_FIELDS = {
  'clip': ('clip', 'file', 'filename', 'video', 'folder', 'name'),
  'subject': ('subject', 'participant', 'person'),
  'emotion': ('emotion', 'label', 'class'),
  'onset': ('onset', 'onset frame', 'onset number'),
  'apex': ('apex', 'apex frame', 'apex number'),
  'offset': ('offset', 'offset frame', 'offset number'),
  'fps': ('fps', 'frame rate', 'frames per second'),
  'facs': ('action units', 'au', 'aus', 'facs'),
}
_NEEDED = ('clip', 'subject', 'emotion')

Row = Mapping[str, str]


def read(
  paths: str | pathlib.Path | Sequence[str | pathlib.Path],
  *,
  labels: str | pathlib.Path | None = None,
) -> Iterator[Clip]:
  """Reads your own recordings.

  Without labels every recording is one clip, with the emotion `unknown` and a
  subject of its own, because nobody knows who is in it.

  Args:
    paths: videos, folders of frames, and folders that hold any of them.
    labels: the sheet, as the module's docstring describes it.

  Returns:
    The clips in the order of the sheet, then the recordings without a row,
    which cannot be used; without labels, in the order of the paths. A row with
    a fault gives a clip that cannot be used.

  Raises:
    FileNotFoundError: a path or the sheet does not exist.
    ValueError: a path holds no recording, the sheet lacks a column, or none of
      its rows has the name of a recording.
  """
  if isinstance(paths, str | pathlib.Path):
    paths = [paths]
  found = recordings.find([pathlib.Path(path) for path in paths])
  if labels is None:
    return map(_unlabelled, found)
  labels = pathlib.Path(labels)
  rows = _read_sheet(labels)
  named = recordings.called(found, [row['clip'] for row in rows])
  pairs = list(zip(rows, named, strict=True))
  if not any(named):
    raise ValueError(
      f'{labels} has rows for {_some(row["clip"] for row in rows)}; the '
      f'recordings are {_some(recording.name for recording in found)}: no row '
      'names any of them'
    )
  return annotated.unique(_labelled(pairs, found, labels.name))


def _some(names: Iterator[str]) -> str:
  names = list(names)
  return ', '.join(names[:5]) + ', ...' * (len(names) > 5)


def _read_sheet(file: pathlib.Path) -> list[Row]:
  if not file.is_file():
    raise FileNotFoundError(f'{file} is no file; expected a sheet of labels')
  if file.suffix.lower() not in sheets.SUFFIXES:
    raise ValueError(
      f'{file} is no sheet of labels; expected one that ends in '
      f'{" ".join(sheets.SUFFIXES)}'
    )
  optional = [field for field in _FIELDS if field not in _NEEDED]
  table = sheets.find([file], fields=_FIELDS, optional=optional)
  if table is None:
    raise ValueError(
      f'{file} has no header with the columns {", ".join(_NEEDED)} and, if '
      f'known, {", ".join(optional)}; expected a CSV file'
    )
  if not table.rows:
    raise ValueError(f'{file} has no rows below its header')
  return table.rows


def _unlabelled(recording: recordings.Recording) -> Clip:
  return _make(
    recording,
    dict.fromkeys(_FIELDS, '') | {'subject': recording.name},
    recording.name,
    notes=('without labels it is a subject of its own',),
  )


def _labelled(
  pairs: Sequence[tuple[Row, list[recordings.Recording]]],
  found: Sequence[recordings.Recording],
  sheet: str,
) -> Iterator[Clip]:
  """Yields a clip for each row, and for each recording without a row."""
  unlabelled = Clip(NAME, UNKNOWN, '', UNKNOWN)
  rows_of = collections.Counter(
    named[0].path for _, named in pairs if len(named) == 1
  )
  # An ambiguous name counts for all that it may mean: nobody knows which of
  # them has no row.
  seen = {recording.path for _, named in pairs for recording in named}
  for row, named in pairs:
    if len(named) == 1:
      several = rows_of[named[0].path] > 1
      yield _of_row(row, named[0], several=several)
      continue
    problem = f'{sheet} has a row for it, but there is no such recording'
    if named:
      which = ' or '.join(str(recording.path) for recording in named)
      problem = f'may be {which}: write more of its path in {sheet}'
    yield Clip(
      NAME, row['subject'], row['clip'], row['emotion'], problem=problem
    )
  for recording in found:
    if recording.path not in seen:
      yield dataclasses.replace(
        unlabelled, name=recording.name, problem=f'has no row in {sheet}'
      )


def _of_row(
  row: Row, recording: recordings.Recording, *, several: bool
) -> Clip:
  missing = [field for field in ('subject', 'emotion') if not row[field]]
  name = recording.name
  if several:
    name += f'_{row["onset"] or "first"}'
  if missing:
    problem = f'its row gives no {" and no ".join(missing)}'
    return Clip(NAME, row['subject'], name, row['emotion'], problem=problem)
  return _make(recording, row, name)


def _make(
  recording: recordings.Recording,
  row: Row,
  name: str,
  *,
  notes: tuple[str, ...] = (),
) -> Clip:
  """Makes a clip from a recording; fills in numbers that are not given."""
  content = recording.content
  problem = content.problem
  fps, fault = _rate(row['fps'], content.fps)
  numbers, unread = frame_numbers.read_numbers(row)
  if not problem:
    problem = fault or _fault(numbers, unread, content.files)
    if problem and content.remarks:
      problem += f' ({"; ".join(content.remarks)})'
  remarks, notes = content.remarks, (*notes, *content.notes)
  if not problem:
    first, last = min(content.files), max(content.files)
    for field, number in (('onset', first), ('offset', last)):
      if numbers[field] is None:
        numbers[field] = number
        notes += (f'no {field}: frame {number} stands for it',)
    for field in ('apex', 'offset'):
      if numbers[field] is not None and numbers[field] > last:
        remarks += (f'{field} {numbers[field]} is missing: {last} is taken',)
        numbers[field] = last
  annotation = annotated.Annotation(
    corpus=NAME,
    subject=row['subject'],
    name=name,
    emotion=row['emotion'] or UNKNOWN,
    fps=fps,
    **numbers,
    unread=unread,
    facs=row['facs'],
    remarks=remarks,
    notes=notes,
    problem=problem,
  )
  clip = annotated.from_files(annotation, content.files)
  if recording.is_video:
    place = {n: i for i, n in enumerate(content.files)}
    positions = tuple(place[n] for n in clip.frame_numbers)
    clip = dataclasses.replace(
      clip,
      frames=(),
      video=recording.path,
      positions=() if positions == clip.frame_numbers else positions,
    )
  return clip


def _rate(text: str, own: float | None) -> tuple[float | None, str]:
  """Returns the frames per second, and a fault of the text or ''."""
  if not text:
    return own, ''
  try:
    fps = float(text.replace(',', '.'))
  except ValueError:
    fps = math.nan
  if not 0 < fps < math.inf:
    return None, f'fps is {text!r}; expected frames per second'
  return fps, ''


def _fault(
  numbers: Mapping[str, int | None],
  unread: Mapping[str, str],
  files: Mapping[int, pathlib.Path],
) -> str:
  """Returns the faults of a row's frame numbers; '' if there are none."""
  first, last = min(files), max(files)
  if first == last:
    return 'has one frame; expected two or more'
  faults = []
  for field, number in numbers.items():
    if field in unread:
      faults.append(
        f'{field} is {unread[field]!r}; expected the number of a frame'
      )
    # Sheets that count from 1 are off by one at the end; that is mended, with a
    # remark.
    elif number is not None and not (
      first - frame_numbers.NEAR <= number <= last + frame_numbers.NEAR
    ):
      faults.append(
        f'{field} {number} is missing; the frames are {first} to {last}'
      )
  return '; '.join(faults)


CORPUS = Corpus(
  name=NAME, read=read, options=('labels',), takes_recordings=True
)
