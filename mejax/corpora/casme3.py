"""CAS(ME)^3: 94 people in part A, 30 in part C, 30 frames a second.

    cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx                         860 clips
    Part_A_ME_clip/frame/spNo.10_a_116/116.jpg    cut: subject, video, onset
    part_A/spNO.10/a/color/116.jpg                whole videos
    CAS(ME)3_part_C_ME.xlsx                                           165 clips
    part_C/01/a/color/116.jpg                     the only video of a person
    ME_C/01/3/color/116.jpg                       cut by others: subject, count

The annotations are public (github.com/jingtingEmmaLi/CAS-ME-3). 397 clips share
a video with others, so the name of a clip is video and onset, e.g. a_116.
Folders and sheets differ in case. Six rows of part A have impossible numbers,
which the table of repairs mends. In 55 rows the apex is the onset. The authors
say that this frame is the peak already and the rise was not recorded (issue 4
of their repository): the frames that follow show a face that relaxes, so these
clips are left out unless `apex_at_onset=middle` asks for the middle frame. Part
C, a corpus of its own (`casme3_c`), has no apexes. Depth images are not read.
"""

from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Iterator
import dataclasses
import functools
import pathlib
import re

from mejax.corpora import annotated
from mejax.corpora import database
from mejax.corpora import frame_numbers
from mejax.corpora import frames
from mejax.corpora import people
from mejax.corpora import repairs
from mejax.corpora.corpus import Corpus

FPS = 30.0

_CUT = re.compile(r'sp ?no\.?(\d+)_([a-z0-9]+)_(\d+)')
_AT_ONSET = (
  'its apex is its onset: the authors say that this is the peak already, so '
  'that the frames from there show a face that relaxes'
)
_SUBJECT = re.compile(r'sp ?no\.?(\d+)')


def _place_a(parts: tuple[str, ...]) -> frames.Place | None:
  if {'depth', 'video'} & set(parts):
    return None
  if match := _CUT.fullmatch(parts[-1]):
    key = (int(match[1]), match[2], int(match[3]))
    return frames.Place(key=key, depth=1, kind='clips')
  if len(parts) < 3 or parts[-1] != 'color':
    return None
  match = _SUBJECT.fullmatch(parts[-3])
  if match is None:
    return None
  return frames.Place(key=(int(match[1]), parts[-2]), depth=3, kind='videos')


def _place_c(parts: tuple[str, ...]) -> frames.Place | None:
  if len(parts) < 3 or parts[-1] != 'color':
    return None
  match = re.fullmatch(r'(?:sub *)?(\d{1,3})', parts[-3])
  if match is None:
    return None
  subject, name = int(match[1]), parts[-2]
  if name.isdigit():
    return frames.Place(key=(subject, int(name)), depth=3, kind='clips')
  return frames.Place(key=subject, depth=3, kind='videos')


def _labels_a(
  found: database.Found, *, keep: bool = False
) -> Iterator[database.Labelled]:
  for row in found.table.rows:
    number = people.number(row['subject'])
    annotation = annotated.Annotation.of_row(
      row,
      corpus='casme3',
      subject=row['subject'] if number is None else f'spNO.{number}',
      name=f'{row["video"].lower()}_{row["onset"]}',
      sheet_name=row['video'].lower(),
      fps=FPS,
    )
    yield _at_onset(annotation, keep), _folder_key(found, row)


def _at_onset(
  annotation: annotated.Annotation, keep: bool
) -> annotated.Annotation:
  """Leaves out a clip that begins with its apex, or keeps it with a remark."""
  numbers, _ = repairs.repair(
    annotation.corpus,
    annotation.subject,
    annotation.sheet_name,
    {field: getattr(annotation, field) for field in frame_numbers.FIELDS},
  )
  if numbers['apex'] is None or numbers['apex'] != numbers['onset']:
    return annotation
  if keep:
    return dataclasses.replace(annotation, remarks=(_AT_ONSET,))
  return dataclasses.replace(annotation, problem=_AT_ONSET, by_choice=True)


def _labels_c(found: database.Found) -> Iterator[database.Labelled]:
  for row in found.table.rows:
    number = people.number(row['subject'])
    annotation = annotated.Annotation.of_row(
      row,
      corpus='casme3_c',
      subject=row['subject'] if number is None else f'{number:02d}',
      name=f'{row["video"]}_{row["onset"]}',
      sheet_name=row['video'],
      fps=FPS,
    )
    is_whole = found.tree is not None and found.tree.kind == 'videos'
    count = database.digits(row['video'])
    yield annotation, number if is_whole else (number, count)


def _folder_key(found: database.Found, row: dict[str, str]) -> Hashable:
  """Returns the key of a row's folder; many rows may share a whole video."""
  subject, video = people.number(row['subject']), row['video'].lower()
  if found.tree is None or found.tree.kind == 'videos':
    return (subject, video)
  return _cut_key(found.tree, subject, video, row['onset'])


def _cut_key(
  tree: frames.Tree, subject: int | None, video: str, onset: str
) -> Hashable:
  """Finds a cut folder, whose name has the onset as read or as mended."""
  values, _ = frame_numbers.read_numbers({'onset': onset})
  mended, _ = repairs.repair('casme3', f'spNO.{subject}', video, values)
  keys = [(subject, video, v['onset']) for v in (values, mended)]
  return next((key for key in keys if key in tree.clips), None)


DATABASES = {
  'A': database.Database(
    title='CAS(ME)^3 part A',
    columns={
      'subject': ('Subject',),
      'video': ('Filename',),
      'onset': ('Onset',),
      'apex': ('Apex',),
      'offset': ('Offset',),
      'facs': ('AU', 'AUs'),
      'emotion': ('emotion',),
    },
    place_of=_place_a,
    labels=_labels_a,
    example=(
      'Part_A_ME_clip/frame/spNo.10_a_116/116.jpg or part_A/spNO.10/a/color/'
      '116.jpg, and cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx'
    ),
    sheet_name='part_?a.*jpgindex',
    kinds=('clips', 'videos'),
  ),
  'C': database.Database(
    title='CAS(ME)^3 part C',
    columns={
      'subject': ('sub',),
      'video': ('count',),
      'onset': ('onset',),
      'offset': ('offset',),
      'facs': ('au',),
      'emotion': ('emotion',),
    },
    place_of=_place_c,
    labels=_labels_c,
    example='part_C/01/a/color/116.jpg and CAS(ME)3_part_C_ME.xlsx',
    sheet_name='part_?c.*me',
    kinds=('clips', 'videos'),
  ),
}


def read(
  root: str | pathlib.Path,
  *,
  part: str = 'A',
  apex_at_onset: str = 'leave_out',
  **options,
) -> database.Reading:
  """Reads the micro-expressions of one part.

  Args:
    root: folder below which the sheet and the frames lie.
    part: `A` or `C`.
    apex_at_onset: what happens to the clips of part A whose apex is the onset:
      `leave_out`, or `middle` for the middle frame in the place of the apex.
    **options: as `Database.read` takes them.

  Raises:
    ValueError: `part` or `apex_at_onset` is unknown; further errors are those
      of `Database.read`.
  """
  if part not in DATABASES:
    raise ValueError(f'part is {part!r}; CAS(ME)^3 has {", ".join(DATABASES)}')
  if apex_at_onset not in ('leave_out', 'middle'):
    raise ValueError(
      f'apex_at_onset is {apex_at_onset!r}; expected leave_out or middle'
    )
  chosen = DATABASES[part]
  if part == 'A':
    labels = functools.partial(_labels_a, keep=apex_at_onset == 'middle')
    chosen = dataclasses.replace(chosen, labels=labels)
  return chosen.read(root, **options)


CORPUS = Corpus(
  name='casme3',
  read=read,
  options=('part', 'apex_at_onset', 'images', 'sheet', 'encoding'),
)
