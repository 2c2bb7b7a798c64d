"""Makes a clip of a row of a label sheet and a folder of frames."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import pathlib

from mejax.corpora import action_units
from mejax.corpora import frame_numbers
from mejax.corpora import frames as frame_files
from mejax.corpora import repairs
from mejax.corpora.clip import Clip


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
  `frame_numbers.NEAR` frames away. The clip's remarks tell all of this.

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
