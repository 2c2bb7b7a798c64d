"""Makes a clip of a row of a label sheet and a folder of frames."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import pathlib

from mejax.corpora import action_units
from mejax.corpora import frames as frame_files
from mejax.corpora import repairs
from mejax.corpora.clip import Clip

# A missing frame is replaced by another that is at most this many frames away.
NEAR = 2


FIELDS = ('onset', 'apex', 'offset')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Annotation:
  """What a label sheet says about a clip.

  Attributes:
    corpus, subject, name, emotion, fps, facs: as in `Clip`.
    onset, apex, offset: frame numbers; None where the sheet gives no number.
    unread: the text that stands in the place of a number, by field.
    sheet_name: the clip's name in the sheet, by which repairs are found, where
      that is not `name`.
    remarks: what the reader has to say about the clip already.
    problem: why the clip cannot be used, if the reader knows that already.
  """

  corpus: str
  subject: str
  name: str
  emotion: str
  fps: float | None
  onset: int | None
  apex: int | None
  offset: int | None
  facs: str = ''
  unread: Mapping[str, str] = dataclasses.field(default_factory=dict)
  sheet_name: str = ''
  remarks: tuple[str, ...] = ()
  problem: str = ''

  @classmethod
  def of_row(cls, row: Mapping[str, str], **others) -> Annotation:
    """Annotates the clip of a sheet's row.

    Args:
      row: text by field, of which name, emotion, onset, apex, offset and facs
        are taken; what is absent is empty.
      **others: attributes that the row does not have, or has otherwise.
    """
    numbers, unread = read_numbers(row)
    words = {key: row.get(key, '') for key in ('name', 'emotion', 'facs')}
    return cls(**(words | numbers | {'unread': unread} | others))


def read_numbers(
  row: Mapping[str, str],
) -> tuple[dict[str, int | None], dict[str, str]]:
  """Reads the frame numbers of a row; returns them, and the text of no number.

  A sheet may have `/`, a word or nothing in the place of an apex. That is kept,
  because the clip's remarks quote it.
  """
  numbers = {field: read_number(row.get(field, '')) for field in FIELDS}
  unread = {
    field: row[field]
    for field in FIELDS
    if numbers[field] is None and row.get(field)
  }
  return numbers, unread


def read_number(text: str) -> int | None:
  """Returns the number that a cell holds; None if it holds none."""
  try:
    return int(text)
  except ValueError:
    return None


@dataclasses.dataclass
class _Draft:
  """Onset, apex and offset while they are put in order."""

  onset: int | None
  apex: int | None
  offset: int | None
  apex_source: str
  remarks: list[str]
  problem: str = ''


def make_clip(
  annotation: Annotation,
  folder: pathlib.Path | None,
  *,
  with_frames: bool = True,
  cut: bool = False,
) -> Clip:
  """Makes a clip of a folder of frames, as `from_files` does.

  Args:
    annotation: what the sheet says.
    folder: where the frames lie; None if it was not found.
    with_frames: if False, only the labels are read.
    cut: as in `from_files`.
  """
  files, problem = _list(folder) if with_frames else ({}, '')
  return from_files(annotation, files, problem=problem, cut=cut)


def from_files(
  annotation: Annotation,
  files: Mapping[int, pathlib.Path],
  *,
  problem: str = '',
  cut: bool = False,
) -> Clip:
  """Makes a clip; if that is not possible, its `problem` says why.

  The table of repairs mends known faults of the sheet. An apex that is absent,
  or is the onset, which would leave no motion, becomes the frame in the middle
  between onset and offset. A missing frame is replaced by another one up to
  `NEAR` frames away. The clip's remarks tell all of this.

  Args:
    annotation: what the sheet says.
    files: the file of each frame number, in the order of the numbers; empty if
      only the labels are read.
    problem: why there are no files though there should be.
    cut: the folder holds this movement and no more, so that its first and last
      frame may stand for an onset and offset outside of it.
  """
  draft = _mended(annotation)
  draft.problem = draft.problem or problem
  if len(files) == 1 and not draft.problem:
    draft.problem = 'has one frame; expected two or more'
  numbers = [] if draft.problem else list(files)
  if numbers and cut:
    _fit(draft, numbers)
  if not draft.problem:
    _order(draft, numbers)
  if numbers and not draft.problem:
    _match(draft, numbers)
  try:
    units = action_units.parse(annotation.facs)
  except ValueError as error:
    units = ()
    draft.remarks.append(str(error))
  if draft.problem:
    shown = []
  else:
    shown = [n for n in numbers if draft.onset <= n <= draft.offset]
    _note_gaps(draft, shown)
  return Clip(
    corpus=annotation.corpus,
    subject=annotation.subject,
    name=annotation.name,
    emotion=annotation.emotion,
    frames=tuple(files[n] for n in shown),
    frame_numbers=tuple(shown),
    onset=draft.onset,
    apex=draft.apex,
    offset=draft.offset,
    fps=annotation.fps,
    facs=annotation.facs,
    action_units=units,
    apex_source='' if draft.apex is None else draft.apex_source,
    problem=draft.problem,
    remarks=tuple(draft.remarks),
  )


def unique(clips: Iterable[Clip]) -> Iterator[Clip]:
  """Yields the clips; the second one of a name cannot be used."""
  seen = set()
  for clip in clips:
    if clip.identity in seen:
      clip = dataclasses.replace(
        clip, problem='has a row already in the label sheet: the first counts'
      )
    seen.add(clip.identity)
    yield clip


def _mended(annotation: Annotation) -> _Draft:
  values, made = repairs.repair(
    annotation.corpus,
    annotation.subject,
    annotation.sheet_name or annotation.name,
    {field: getattr(annotation, field) for field in FIELDS},
  )
  draft = _Draft(
    **values,
    apex_source='repaired'
    if any(row.field == 'apex' for row in made)
    else 'annotated',
    remarks=[*annotation.remarks, *map(str, made)],
    problem=annotation.problem,
  )
  absent = [f for f in ('subject', 'emotion') if not getattr(annotation, f)]
  if absent and not draft.problem:
    draft.problem = f'the sheet gives no {" and no ".join(absent)}'
  if draft.onset is None and not draft.problem:
    text = annotation.unread.get('onset', '')
    draft.problem = f'the sheet gives no onset ({text!r})'
  if draft.apex is None and 'apex' in annotation.unread:
    text = annotation.unread['apex']
    draft.remarks.append(f'the sheet gives no apex ({text!r})')
  return draft


def _list(
  folder: pathlib.Path | None,
) -> tuple[dict[int, pathlib.Path], str]:
  """Lists the frames of a folder; says why if there are none."""
  if folder is None:
    return {}, 'the folder of its frames is missing'
  try:
    numbers = frame_files.list_frames(folder)
  except (OSError, ValueError) as error:
    return {}, f'{folder.name}: {error}'
  return numbers, '' if numbers else f'{folder.name} holds no frames'


def _fit(draft: _Draft, numbers: list[int]) -> None:
  """Mends numbers outside of a folder that holds one movement."""
  first, last = numbers[0], numbers[-1]
  if draft.onset is not None and not first <= draft.onset <= last:
    draft.remarks.append(
      f'onset {draft.onset} and offset {draft.offset} repaired to {first} and '
      f'{last}, the first and last frame: there is no such onset'
    )
    draft.onset, draft.offset = first, last
  elif draft.offset and not first <= draft.offset <= last:
    draft.remarks.append(
      f'offset {draft.offset} repaired to {last}, the last frame'
    )
    draft.offset = last
  if draft.apex is not None and not first <= draft.apex <= last:
    draft.remarks.append(f'apex {draft.apex} dropped: there is no such frame')
    draft.apex = None


def _order(draft: _Draft, numbers: list[int]) -> None:
  """Fills in offset and apex, and checks that the three come in order."""
  onset = draft.onset
  if not draft.offset:
    known = draft.apex or (numbers[-1] if numbers else None)
    if known is None:
      draft.problem = 'the sheet gives neither apex nor offset'
      return
    which = 'apex' if draft.apex else 'last frame'
    draft.remarks.append(f'no offset: the {which} {known} stands for it')
    draft.offset = known
  if draft.offset <= onset:
    draft.problem = f'offset {draft.offset} is not after onset {onset}'
  elif draft.apex is None or draft.apex == onset:
    why = 'is the onset' if draft.apex == onset else 'is not known'
    draft.apex = (onset + draft.offset) // 2
    if numbers:
      later = [n for n in numbers if onset < n <= draft.offset]
      draft.apex = _nearest(later, draft.apex) if later else draft.apex
    draft.apex = max(draft.apex, onset + 1)
    draft.apex_source = 'midpoint'
    draft.remarks.append(f'apex {why}: the middle frame {draft.apex} is taken')
  elif not onset < draft.apex <= draft.offset:
    draft.problem = (
      f'onset {onset}, apex {draft.apex} and offset {draft.offset} are not in '
      'this order'
    )


def _match(draft: _Draft, numbers: list[int]) -> None:
  """Replaces onset and apex by frames that exist, or reports them missing."""
  onset, apex = (_nearest(numbers, n) for n in (draft.onset, draft.apex))
  for name, asked, found in (
    ('onset', draft.onset, onset),
    ('apex', draft.apex, apex),
  ):
    if asked == found:
      continue
    if abs(asked - found) > NEAR or onset >= apex:
      draft.problem = (
        f'{name} frame {asked} is missing; there are {len(numbers)} frames '
        f'from {numbers[0]} to {numbers[-1]}'
      )
      return
    draft.remarks.append(f'{name} frame {asked} is missing: {found} is taken')
  draft.onset = onset
  if draft.apex != apex:
    draft.apex, draft.apex_source = apex, 'repaired'
    draft.offset = max(apex, draft.offset)


def _nearest(numbers: list[int], number: int) -> int:
  """Returns the nearest number of an ordered list; of two, the lower one."""
  at = bisect.bisect_left(numbers, number)
  return min(numbers[max(at - 1, 0) : at + 1], key=lambda n: abs(n - number))


def _note_gaps(draft: _Draft, shown: list[int]) -> None:
  """Remarks which frames between onset and offset are missing."""
  if not shown:
    return
  missing = sorted(set(range(draft.onset, draft.offset + 1)) - set(shown))
  if missing:
    some = ', '.join(map(str, missing[:5])) + (', ...' * (len(missing) > 5))
    draft.remarks.append(
      f'{len(missing)} of {draft.offset - draft.onset + 1} frames from onset '
      f'to offset are missing: {some}'
    )
