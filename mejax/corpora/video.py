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
column `which_face` may say which of several faces is the subject's: `left`,
`right`, or a place in it, as `412 230`. A recording may have several rows; they
name several people only if `which_face` tells these apart.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib

from mejax.corpora import annotated
from mejax.corpora import cells
from mejax.corpora import frame_numbers
from mejax.corpora import frame_rate
from mejax.corpora import people
from mejax.corpora import recordings
from mejax.corpora import row_people
from mejax.corpora import sheets
from mejax.corpora import unread as unread_files
from mejax.corpora import which_face
from mejax.corpora.clip import UNKNOWN
from mejax.corpora.clip import Clip
from mejax.corpora.corpus import Corpus

NAME = 'video'
FIELDS = {
  # The words of the published sheets are understood too.
  'clip': ('clip', 'file', 'filename', 'video', 'folder', 'name', 'fold name'),
  'subject': ('subject', 'participant', 'person', 'sub', 'sub ID'),
  'emotion': ('emotion', 'label', 'class', 'estimated emotion'),
  'onset': ('onset', 'onset frame', 'onset number', 'onset F'),
  'apex': ('apex', 'apex frame', 'apex number', 'apex F', 'apex F1'),
  'offset': ('offset', 'offset frame', 'offset number', 'offset F'),
  'fps': ('fps', 'frame rate', 'frames per second'),
  'which_face': ('which_face',),
  'facs': ('action units', 'au', 'aus', 'facs', 'action unit'),
}
# To search the names of all recordings takes long.
_HINTS = 20
_NEEDED = ('clip', 'subject', 'emotion')

Row = Mapping[str, str]


def read(
  paths: recordings.Paths,
  *,
  labels: str | pathlib.Path | None = None,
  encoding: str = '',
) -> Iterator[Clip]:
  """Reads your own recordings.

  Without labels every recording is one clip, with the emotion `unknown` and a
  subject of its own, because nobody knows who is in it.

  Args:
    paths: videos, folders of frames, and folders that hold any of them.
    labels: the sheet, as the module's docstring describes it.
    encoding: that of a sheet that is a CSV file; UTF-8 if not given.

  Returns:
    The clips in the order of the sheet, then the recordings without a row,
    which cannot be used; without labels, in the order of the paths. A row with
    a fault gives a clip that cannot be used.

  Raises:
    FileNotFoundError: a path or the sheet does not exist.
    ValueError: a path holds no recording, the sheet lacks a column or cannot be
      understood, or none of its rows has the name of a recording.
  """
  found = recordings.find(recordings.listed(paths))
  if labels is None:
    return map(_unlabelled, found)
  labels = pathlib.Path(labels)
  table = read_sheet(labels, encoding=encoding)
  rows = table.rows
  named = recordings.called(found, [row['clip'] for row in rows])
  pairs = list(zip(rows, named, strict=True))
  if not any(named):
    raise ValueError(
      f'{labels} has rows for {_some(row["clip"] for row in rows)}; the '
      f'recordings are {_some(recording.name for recording in found)}: no row '
      'names any of them'
    )
  remarks = ()
  if table.unread:
    remarks = (f'not read in {labels.name}: {", ".join(table.unread)}',)
  return (
    clip
    if clip.problem
    else dataclasses.replace(clip, remarks=(*clip.remarks, *remarks))
    for clip in annotated.unique(_labelled(pairs, found, labels.name))
  )


def _some(names: Iterator[str]) -> str:
  names = list(names)
  return ', '.join(names[:5]) + ', ...' * (len(names) > 5)


def read_sheet(
  file: pathlib.Path,
  *,
  fields: Mapping[str, Sequence[str]] = FIELDS,
  encoding: str = '',
) -> sheets.Table:
  """Reads a sheet of labels.

  Args:
    file: the sheet.
    fields: the headings that the column of each field may have.
    encoding: that of a CSV file; UTF-8 if not given.

  Raises:
    FileNotFoundError: it does not exist.
    ValueError: it lacks a column, has no rows, or cannot be understood.
  """
  if not file.is_file():
    raise FileNotFoundError(f'{file} is no file; expected a sheet of labels')
  if file.suffix.lower() not in sheets.SUFFIXES:
    raise ValueError(
      f'{file} is no sheet of labels; expected one that ends in '
      f'{" ".join(sheets.SUFFIXES)}'
    )
  optional = [field for field in fields if field not in _NEEDED]
  table = sheets.find(
    [file], fields=fields, optional=optional, encoding=encoding
  )
  if table is None:
    raise ValueError(
      f'{file} has no header with the columns {", ".join(_NEEDED)} and, if '
      f'known, {", ".join(optional)}; expected a CSV file'
    )
  if not table.rows:
    raise ValueError(f'{file} has no rows below its header')
  return table


def _unlabelled(recording: recordings.Recording) -> Clip:
  return _make(
    recording,
    dict.fromkeys(FIELDS, '') | {'subject': recording.name},
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
  mixed = row_people.find_mixed(
    (row, named[0].path) for row, named in pairs if len(named) == 1
  )
  near = _nearest([row['clip'] for row, named in pairs if not named], found)
  for row, named in pairs:
    if len(named) == 1:
      several = rows_of[named[0].path] > 1
      clip = _of_row(row, named[0], several=several)
      if named[0].path in mixed and not clip.problem:
        problem = (
          f'its rows name several people: {mixed[named[0].path]}; if all are '
          'in the picture, a column which_face has to tell them apart'
        )
        clip = dataclasses.replace(clip, problem=problem)
      yield clip
      continue
    problem = f'{sheet} has a row for it, but there is no such recording'
    if getattr(row['clip'], 'fault', ''):
      problem += f': {cells.described(row["clip"])}'
    elif not row['clip']:
      problem = f'{sheet} has a row without the name of a recording'
    elif row['clip'] in near:
      problem += f'; the nearest is {near[row["clip"]]}'
    suffix = pathlib.PurePath(row['clip']).suffix.lower()
    if suffix in unread_files.OTHER_VIDEOS:
      problem += f': {suffix} is {unread_files.why_not(suffix)}'
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


def _nearest(
  names: Sequence[str], found: Sequence[recordings.Recording]
) -> Mapping[str, str]:
  """Returns the recording that each of the first few names may mean."""
  names = list(dict.fromkeys(names))[:_HINTS]
  near = {name: recordings.nearest(found, name) for name in names if name}
  return {name: meant for name, meant in near.items() if meant}


def _of_row(
  row: Row, recording: recordings.Recording, *, several: bool
) -> Clip:
  missing = [
    f'no {field}' + f' ({cells.described(row[field])})' * bool(row[field])
    for field, is_there in (
      ('subject', people.is_person(row['subject'])),
      ('emotion', cells.is_word(row['emotion'])),
    )
    if not is_there
  ]
  name = recording.name
  if several:
    name += f'_{row["onset"] or "first"}'
  if missing:
    problem = f'its row gives {" and ".join(missing)}'
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
  face = ''
  if cells.is_word(row['which_face']):
    try:
      face = which_face.parse(row['which_face'])
    except ValueError as error:
      problem = problem or str(error)
  fps, fault, doubts = frame_rate.choose(row['fps'], content.fps)
  numbers, unread = frame_numbers.read_numbers(row)
  if not problem:
    problem = fault or _fault(numbers, unread, content.files)
    if problem and content.remarks:
      problem += f' ({"; ".join(content.remarks)})'
  remarks, notes = (*content.remarks, *doubts), (*notes, *content.notes)
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
  clip = frame_rate.with_length(
    dataclasses.replace(clip, which_face=face),
    is_labelled=bool(row['onset'] and row['offset']),
  )
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
  onset, offset = numbers['onset'], numbers['offset']
  # Published sheets write 0 for an offset that they do not give.
  if offset == 0:
    onset = first if onset is None else onset
    faults.append(f'offset {offset} is not after onset {onset}')
  for field, number in numbers.items():
    if field in unread:
      faults += filter(None, [frame_numbers.misread(field, unread[field])])
    # Sheets that count from 1 are off by one at the end; that is mended, with a
    # remark.
    elif number is not None and not (
      first - frame_numbers.NEAR <= number <= last + frame_numbers.NEAR
    ):
      faults.append(
        f'{field} {number} is missing; the frames are {first} to {last}'
      )
  return '; '.join(faults)


def unread(
  paths: recordings.Paths,
  *,
  labels: str | pathlib.Path | None = None,
  encoding: str = '',
) -> list[str]:
  """Returns a line for each kind of file that is passed over.

  Arguments are those of `read`.
  """
  del encoding
  if isinstance(paths, str | pathlib.Path):
    paths = [paths]
  sheet = None if labels is None else pathlib.Path(labels)
  return unread_files.by_kind(
    [pathlib.Path(path) for path in paths], sheet=sheet
  )


CORPUS = Corpus(
  name=NAME,
  read=read,
  options=('labels', 'encoding'),
  takes_recordings=True,
  unread=unread,
)
