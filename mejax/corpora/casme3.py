"""CAS(ME)^3: 94 people in part A, 30 in part C, 30 frames a second.

    cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx                         860 clips
    Part_A_ME_clip/frame/spNo.10_a_116/116.jpg    cut: subject, video, onset
    part_A/spNO.10/a/color/116.jpg                whole videos
    CAS(ME)3_part_C_ME.xlsx                                           165 clips
    part_C/01/3/color/116.jpg

The annotations are public (github.com/jingtingEmmaLi/CAS-ME-3). 397 clips share
a video with others, so that a clip is named by video and onset, e.g. a_116.
Folders and sheets differ in case. Six rows of part A have impossible numbers,
which the table of repairs mends; in 55 the apex is the onset, and the middle
frame takes its place. Part C, a corpus of its own (`casme3_c`), has no apexes.
Depth images are not read.
"""

from __future__ import annotations

from collections.abc import Hashable
from collections.abc import Iterator
import pathlib
import re

from mejax.corpora import annotated
from mejax.corpora import frames
from mejax.corpora import repairs
from mejax.corpora import source
from mejax.corpora.clip import Clip

FPS = 30.0

_CUT = re.compile(r'sp ?no\.?(\d+)_([a-z0-9]+)_(\d+)')
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
  if len(parts) < 3 or parts[-1] != 'color' or not parts[-2].isdigit():
    return None
  subject = source.digits(parts[-3])
  if subject is None:
    return None
  return frames.Place(key=(subject, int(parts[-2])), depth=3, kind='videos')


LAYOUTS = {
  'A': source.Layout(
    title='CAS(ME)^3 part A',
    fields={
      'subject': ('Subject',),
      'video': ('Filename',),
      'onset': ('Onset',),
      'apex': ('Apex',),
      'offset': ('Offset',),
      'facs': ('AU', 'AUs'),
      'emotion': ('emotion',),
    },
    place_of=_place_a,
    example=(
      'Part_A_ME_clip/frame/spNo.10_a_116/116.jpg or part_A/spNO.10/a/color/'
      '116.jpg, and cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx'
    ),
    sheet_name='part_?a.*jpgindex',
    kinds=('clips', 'videos'),
  ),
  'C': source.Layout(
    title='CAS(ME)^3 part C',
    fields={
      'subject': ('sub',),
      'video': ('count',),
      'onset': ('onset',),
      'offset': ('offset',),
      'facs': ('au',),
      'emotion': ('emotion',),
    },
    place_of=_place_c,
    example='part_C/01/3/color/116.jpg and CAS(ME)3_part_C_ME.xlsx',
    sheet_name='part_?c.*me',
    kinds=('videos',),
  ),
}


def read(
  root: str | pathlib.Path,
  *,
  part: str = 'A',
  images: str = '',
  sheet: str = '',
  with_frames: bool = True,
) -> Iterator[Clip]:
  """Reads the micro-expressions of one part.

  Args:
    root: folder below which the sheet and the frames lie.
    part: `A` or `C`.
    images: `clips` or `videos`; the first that is there if not given.
    sheet: part of the label sheet's file name; of several the last by name.
    with_frames: without, the clips have labels only.

  Returns:
    The clips in the order of the sheet.

  Raises:
    FileNotFoundError: the root, the sheet or the frames are not there.
    ValueError: `part` or `images` is unknown, or the sheet cannot be read.
  """
  if part not in LAYOUTS:
    raise ValueError(f'part is {part!r}; CAS(ME)^3 has {", ".join(LAYOUTS)}')
  found = source.locate(
    root, LAYOUTS[part], images=images, sheet=sheet, with_frames=with_frames
  )

  def label(row: dict[str, str]) -> tuple[annotated.Annotation, Hashable]:
    annotation = _label_a(row) if part == 'A' else _label_c(row)
    return annotation, _folder_key(found, row)

  return source.read(found, label)


def _label_a(row: dict[str, str]) -> annotated.Annotation:
  number = source.digits(row['subject'])
  return annotated.Annotation(
    corpus='casme3',
    subject=row['subject'] if number is None else f'spNO.{number}',
    name=f'{row["video"].lower()}_{row["onset"]}',
    sheet_name=row['video'].lower(),
    emotion=row['emotion'],
    fps=FPS,
    onset=row['onset'],
    apex=row['apex'],
    offset=row['offset'],
    facs=row['facs'],
  )


def _label_c(row: dict[str, str]) -> annotated.Annotation:
  number = source.digits(row['subject'])
  return annotated.Annotation(
    corpus='casme3_c',
    subject=row['subject'] if number is None else f'{number:02d}',
    name=f'{row["video"]}_{row["onset"]}',
    sheet_name=row['video'],
    emotion=row['emotion'],
    fps=FPS,
    onset=row['onset'],
    apex='',
    offset=row['offset'],
    facs=row['facs'],
  )


def _folder_key(found: source.Source, row: dict[str, str]) -> Hashable:
  """The key of a row's folder, of which whole videos have one for many."""
  subject, video = source.digits(row['subject']), row['video'].lower()
  if found.tree is None or found.tree.kind == 'videos':
    return (subject, int(video) if video.isdigit() else video)
  return _cut_key(found.tree, subject, video, row['onset'])


def _cut_key(
  tree: frames.Tree, subject: int | None, video: str, onset: str
) -> Hashable:
  """A cut folder bears the onset as it is in the sheet, or as it is mended."""
  values = {'onset': onset, 'apex': '', 'offset': ''}
  mended, _ = repairs.repair('casme3', f'spNO.{subject}', video, values)
  keys = [
    (subject, video, int(text))
    for text in (onset, mended['onset'])
    if text.isdigit()
  ]
  return next((key for key in keys if key in tree.clips), None)
