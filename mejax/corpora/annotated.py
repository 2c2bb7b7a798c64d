"""Makes clips from the rows of a label sheet and folders of frames."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import pathlib

from mejax.corpora import action_units
from mejax.corpora import cells
from mejax.corpora import footage
from mejax.corpora import frame_numbers
from mejax.corpora import frames as frame_files
from mejax.corpora import people
from mejax.corpora import repairs
from mejax.corpora.clip import Clip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Annotation:
  """The labels of a clip, as the sheet gives them.

  Attributes:
    corpus, subject, name, emotion, fps, facs: as in `Clip`.
    onset, apex, offset: frame numbers; None if the sheet gives no number.
    unread: for each field without a number, the text in its cell.
    sheet_name: the clip's name in the sheet, if it differs from `name`; the
      table of repairs has this name.
    remarks, notes: what the reader tells about the clip, as in `Clip`.
    problem: why the clip cannot be used, if the reader knows that.
    by_choice: as in `Clip`.
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
  notes: tuple[str, ...] = ()
  problem: str = ''
  by_choice: bool = False

  @classmethod
  def of_row(cls, row: Mapping[str, str], **others) -> Annotation:
    """Annotates the clip of a sheet's row.

    Args:
      row: text by field; name, emotion, onset, apex, offset and facs are read,
        and an absent field counts as empty.
      **others: attributes that the row lacks, or that replace the row's.
    """
    numbers, unread = frame_numbers.read_numbers(row)
    words = {key: row.get(key, '') for key in ('name', 'emotion', 'facs')}
    return cls(**(words | numbers | {'unread': unread} | others))


def make_clip(
  annotation: Annotation,
  folder: pathlib.Path | None,
  *,
  with_frames: bool = True,
  cut: bool = False,
) -> Clip:
  """Makes a clip from a folder of frames; see `from_files`.

  Args:
    annotation: the clip's labels.
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
  `frame_numbers.NEAR` frames away. Remarks and notes record every change.

  Args:
    annotation: the clip's labels.
    files: the file of each frame number, in the order of the numbers; empty if
      only the labels are read.
    problem: why there are no files although there should be.
    cut: whether the folder holds this movement and no more. Its first and last
      frame then replace an onset and offset that lie outside of it.
  """
  # Each step relies on the numbers that the steps before have mended.
  draft = _mended(annotation)
  draft.problem = draft.problem or problem
  if len(files) == 1 and not draft.problem:
    draft.problem = 'has one frame; expected two or more'
  numbers = [] if draft.problem else list(files)
  if numbers and cut:
    frame_numbers.fit_to_folder(draft, numbers)
  if not draft.problem:
    frame_numbers.put_in_order(draft, numbers)
  if numbers and not draft.problem:
    frame_numbers.match_files(draft, numbers)
  try:
    units = action_units.parse(annotation.facs)
  except ValueError as error:
    units = ()
    draft.remarks.append(str(error))
  if draft.problem:
    shown = []
  else:
    shown = [n for n in numbers if draft.onset <= n <= draft.offset]
    frame_numbers.remark_gaps(draft, shown)
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
    by_choice=annotation.by_choice,
    remarks=tuple(draft.remarks),
    notes=tuple(draft.notes),
  )


def contradiction(row: Mapping[str, str], number: int | None) -> str:
  """Says that a row names another subject than the name of its clip.

  Args:
    row: text by field; a row without a subject contradicts nothing.
    number: of the subject in the clip's name; None if it has none.
  """
  subject = row['subject']
  if cells.says_nothing(subject) or people.number(subject) == number:
    return ''
  # A clip without a number is not found, which tells more.
  return (
    ''
    if number is None
    else (
      f'its subject is {cells.described(subject)}, but its name '
      f'{row["name"]!r} is of subject {number}'
    )
  )


def unique(clips: Iterable[Clip]) -> Iterator[Clip]:
  """Yields the clips; a second clip of the same name gets a problem."""
  seen = set()
  for clip in clips:
    if clip.identity in seen:
      clip = dataclasses.replace(clip, problem=footage.REPEATED)
    seen.add(clip.identity)
    yield clip


def _mended(annotation: Annotation) -> frame_numbers.Draft:
  values, made = repairs.repair(
    annotation.corpus,
    annotation.subject,
    annotation.sheet_name or annotation.name,
    {field: getattr(annotation, field) for field in frame_numbers.FIELDS},
  )
  draft = frame_numbers.Draft(
    **values,
    apex_source='repaired'
    if any(row.field == 'apex' for row in made)
    else 'annotated',
    remarks=[*annotation.remarks, *map(str, made)],
    notes=list(annotation.notes),
    problem=annotation.problem,
  )
  absent = [
    f'no {name}' + f' ({cells.described(text)})' * bool(text)
    for name, text, is_there in (
      ('subject', annotation.subject, people.is_person(annotation.subject)),
      (
        'emotion',
        annotation.emotion,
        cells.is_word(annotation.emotion),
      ),
    )
    if not is_there
  ]
  if absent and not draft.problem:
    draft.problem = f'the sheet gives {" and ".join(absent)}'
  unread = {
    field: text
    for field, text in annotation.unread.items()
    if getattr(draft, field) is None
  }
  if draft.onset is None and not draft.problem:
    text = cells.described(unread.get('onset', ''))
    draft.problem = f'the sheet gives no onset ({text})'
  # An apex that is not there can be found; one that is misread must not be.
  misread = [frame_numbers.misread(*pair) for pair in unread.items()]
  if any(misread) and not draft.problem:
    draft.problem = '; '.join(filter(None, misread))
  if 'apex' in unread:
    text = cells.described(unread['apex'])
    draft.notes.append(f'the sheet gives no apex ({text})')
  return draft


def _list(
  folder: pathlib.Path | None,
) -> tuple[dict[int, pathlib.Path], str]:
  """Returns the frames of a folder, and the reason if there are none."""
  if folder is None:
    return {}, 'the folder of its frames is missing'
  try:
    numbers = frame_files.list_frames(folder)
  except (OSError, ValueError) as error:
    return {}, f'{folder.name}: {error}'
  return numbers, '' if numbers else f'{folder.name} holds no frames'
