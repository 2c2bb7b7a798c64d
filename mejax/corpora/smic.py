"""SMIC: 16 people at 100 frames a second (HS), 8 at 25 (VIS, NIR).

The first release has a folder for each movement and needs no sheet. In the
extended release (E) folders are longer, and a sheet says where movements are:

    SMIC_all_raw/HS/s1/micro/negative/s1_ne_01/image559740.bmp
    SMIC_all_cropped/HS/s1/micro/negative/s1_ne_01/reg_image559740.bmp
    SMIC-E_raw image/HS_long/SMIC-HS-E/s20/s20_ne_01/image17581039.jpg
    SMIC-HS-E_annotation.xlsx                     sheets HS and VIS

A row of the sheet holds up to three movements; the second and third of s1_ne_01
become s01_ne_01_2 and s01_ne_01_3, unless they have rows of their own. Sources
pad the numbers of subjects differently; here they have two digits. SMIC has no
annotated apexes, so every clip has its middle frame. It has no action units.
VIS and NIR show the clips of HS's last subjects again: they are corpora of
their own, `smic_vis` and `smic_nir`.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import functools
import pathlib
import re
from typing import Any

from mejax.corpora import annotated
from mejax.corpora import database
from mejax.corpora import frame_numbers
from mejax.corpora import frames
from mejax.corpora.corpus import Corpus

NAMES = {'HS': 'smic', 'VIS': 'smic_vis', 'NIR': 'smic_nir'}
FPS = {'HS': 100.0, 'VIS': 25.0, 'NIR': 25.0}
EMOTIONS = {
  'ne': 'negative',
  'po': 'positive',
  'sur': 'surprise',
  'su': 'surprise',
}

_NAME = re.compile(r's0*(\d+)_(ne|po|sur|su)_0*(\d+)', re.I)
_CAMERA = re.compile(r'(?<![a-z])(hs|vis|nir)(?![a-z])', re.I)


def _camera(words: str) -> str:
  """Returns the last camera in a path or title; HS if there is none."""
  return (_CAMERA.findall(words) or ['HS'])[-1].upper()


def _key(name: str) -> tuple[int, str, int] | None:
  match = _NAME.fullmatch(name.strip())
  if match is None:
    return None
  return int(match[1]), EMOTIONS[match[2].lower()], int(match[3])


def _database(camera: str) -> database.Database:
  """Describes the clips of one camera."""

  def place_of(parts: tuple[str, ...]) -> frames.Place | None:
    key = _key(parts[-1])
    if key is None or len(parts) < 2 or _camera('/'.join(parts)) != camera:
      return None
    if parts[-3:-2] == ('micro',):
      return frames.Place(key=key, depth=4, kind=frames.kind_of(parts))
    return frames.Place(key=key, depth=2, kind='long')

  return database.Database(
    title=f'SMIC-{camera}',
    columns={
      'name': ('Filename',),
      'onset': ('OnsetF',),
      'offset': ('OffsetF',),
      'onset2': ('Onset2F',),
      'offset2': ('Offset2F',),
      'onset3': ('Onset3F',),
      'offset3': ('Offset3F',),
      'emotion': ('Emotion',),
    },
    place_of=place_of,
    labels=functools.partial(_labels, camera),
    example=(
      f'SMIC_all_raw/{camera}/s1/micro/negative/s1_ne_01/image559740.bmp, or '
      f'SMIC-{camera}-E/s20/s20_ne_01/image17581039.jpg and '
      f'SMIC-{camera}-E_annotation.xlsx'
    ),
    optional=('onset2', 'offset2', 'onset3', 'offset3'),
    sheet_name='smic',
    # The title is last: if both have a camera, the title counts.
    accepts=lambda path, title: _camera(f'{path.stem}/{title}') == camera,
    kinds=('raw', 'cropped', 'long'),
    # In the first release the names of folders hold the labels.
    needs_sheet=lambda tree: tree is None or tree.kind == 'long',
  )


def _labels(camera: str, found: database.Found) -> Iterator[database.Labelled]:
  if found.table is None:
    return _from_folders(found.tree, camera)
  return _from_sheet(found.table.rows, camera)


def _from_folders(
  tree: frames.Tree, camera: str
) -> Iterator[database.Labelled]:
  """Labels each folder as one movement, from its first frame to its last."""
  for key in sorted(tree.clips):
    try:
      numbers = list(frames.list_frames(tree.clips[key]))
    except (OSError, ValueError):
      numbers = []  # Making the clip meets the same fault and reports it.
    onset, offset = (numbers[0], numbers[-1]) if numbers else (0, 0)
    folder = tree.clips[key].parent.name.lower()
    annotation = _annotation(key, camera, {'onset': onset, 'offset': offset})
    if folder in EMOTIONS.values() and folder != key[1]:
      remark = f'its name says {key[1]}, but it lies in the folder {folder}'
      annotation = dataclasses.replace(annotation, remarks=(remark,))
    yield annotation, key


def _from_sheet(
  rows: list[dict[str, str]], camera: str
) -> Iterator[database.Labelled]:
  """Labels the movements of each row, of which there are up to three."""
  keyed = [(_key(row['name']), row) for row in rows]
  firsts = {
    (key and key[0], frame_numbers.read_number(row['onset']))
    for key, row in keyed
  }
  for key, row in keyed:
    if key is None:
      yield _unreadable(row, camera), None
      continue
    annotation = _annotation_of_row(key, camera, row)
    if row['emotion'].lower() != key[1]:
      remark = f'its name says {key[1]}, but the sheet {row["emotion"]}'
      annotation = dataclasses.replace(annotation, remarks=(remark,))
    yield annotation, key
    for number in ('2', '3'):
      further = _annotation_of_row(key, camera, row, number)
      if further.onset is None:
        # Without a number it is there only if a cell says something else.
        text = further.unread.get('onset', '')
        if not (further.offset or frame_numbers.misread('onset', text)):
          continue
      # A movement that has a row of its own is read there.
      elif further.onset <= 0 or (key[0], further.onset) in firsts:
        continue
      yield (
        dataclasses.replace(
          further,
          name=f'{further.name}_{number}',
          notes=(f'movement {number} of the row of {further.name}',),
        ),
        key,
      )


def _annotation_of_row(
  key: tuple[int, str, int], camera: str, row: dict[str, str], number: str = ''
) -> annotated.Annotation:
  """Annotates the first movement of a row, or movement `2` or `3`."""
  cells = {field: row[field + number] for field in ('onset', 'offset')}
  numbers, unread = frame_numbers.read_numbers(cells)
  return _annotation(key, camera, numbers, unread=unread)


def _annotation(
  key: tuple[int, str, int],
  camera: str,
  numbers: dict[str, int | None],
  **others: Any,
) -> annotated.Annotation:
  subject, emotion, number = key
  code = next(code for code, word in EMOTIONS.items() if word == emotion)
  return annotated.Annotation(
    corpus=NAMES[camera],
    subject=f's{subject:02d}',
    name=f's{subject:02d}_{code}_{number:02d}',
    emotion=emotion,
    fps=FPS[camera],
    onset=numbers['onset'],
    apex=None,
    offset=numbers['offset'],
    **others,
  )


def _unreadable(row: dict[str, str], camera: str) -> annotated.Annotation:
  return annotated.Annotation.of_row(
    row,
    corpus=NAMES[camera],
    subject='',
    fps=FPS[camera],
    problem='its name is not like s1_ne_01',
  )


def read(
  root: str | pathlib.Path, *, camera: str = 'HS', **options
) -> database.Reading:
  """Reads the clips of one camera.

  Args:
    root: folder below which the frames lie, and the sheet of the E release.
    camera: `HS`, `VIS` or `NIR`.
    **options: as `Database.read` takes them; `images` is `raw`, `cropped` or
      `long` (E).

  Returns:
    The clips in the order of subject and name, or of the sheet.

  Raises:
    ValueError: `camera` is unknown; further errors are those of
      `Database.read`.
  """
  if camera not in NAMES:
    raise ValueError(f'camera is {camera!r}; SMIC has {", ".join(NAMES)}')
  return _database(camera).read(root, **options)


CORPUS = Corpus(
  name='smic', read=read, options=('camera', 'images', 'sheet', 'encoding')
)
