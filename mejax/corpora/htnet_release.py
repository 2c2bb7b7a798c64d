"""The 442 ready-made flow images in the HTNet repository.

The MEGC 2019 composite (SMIC-HS, CASME II, SAMM) has one optical-flow image per
clip, as published at github.com/wangzhifengharrison/HTNet. A clone holds

    combined_3_class2_for_optical_flow.csv        one row per clip
    datasets/STSNet_whole_norm_u_v_os/<sub>_<filename_o> .png
    datasets/combined_datasets_whole/<imagename>     faces at the apex, 224x224

The space before `.png` is in the published names. Each image is 28x28, 8 bit,
R = u (to the right), G = v (down), B = optical strain; every channel of every
image was stretched to 0..255 on its own, so the size of the motion is lost. The
image shows the same square of the face as the apex image.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import csv
import dataclasses
import io
import pathlib

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax import files
from mejax import limits
from mejax.corpora import cells
from mejax.corpora import complaints
from mejax.corpora import text_files
from mejax.corpora.clip import Clip
from mejax.corpora.corpus import Corpus

SHEET = 'combined_3_class2_for_optical_flow.csv'
FLOW_FOLDER = 'datasets/STSNet_whole_norm_u_v_os'
APEX_FOLDER = 'datasets/combined_datasets_whole'
SIZE = 28
DATABASES = ('casme2', 'smic', 'samm')
EMOTIONS = {'0': 'negative', '1': 'positive', '2': 'surprise'}
POINTS = ('leye', 'reye', 'nose', 'lmouth', 'rmouth')

# The five points that the release uses for a face that it does not find.
DEFAULT_POINTS = (
  (9.528073, 11.062551),
  (21.396168, 10.919773),
  (15.380184, 17.380562),
  (10.255435, 22.121233),
  (20.583706, 22.25584),
)
# A crop of half this width around a clamped point stays inside the image.
CLAMP = (7, 21)
# The default points, clamped and truncated as the release does with any points.
DEFAULT_CROP_POINTS = tuple(
  tuple(int(np.clip(c, *CLAMP)) for c in point) for point in DEFAULT_POINTS
)

_SHEET_COLUMNS = ('dataset', 'sub', 'filename_o', 'label')
_POINT_COLUMNS = tuple(f'{p}_{axis}' for p in POINTS for axis in 'xy')
_CROP_COLUMNS = tuple(f'released_crop_{c}' for c in _POINT_COLUMNS)

Identity = tuple[str, str, str]
Locate = Callable[[UInt8[np.ndarray, 'h w 3']], Float[np.ndarray, '5 2']]


@dataclasses.dataclass(frozen=True)
class Face:
  """The points of one image from its upper left edge, and the crop points.

  `points` is empty as long as they are not known.
  """

  points: tuple[tuple[float, float], ...] = ()
  crop_points: tuple[tuple[int, int], ...] = DEFAULT_CROP_POINTS
  remarks: tuple[str, ...] = ()


def read(
  root: str | pathlib.Path,
  *,
  landmarks: str | pathlib.Path | None = None,
  encoding: str = '',
  locate: Locate | None = None,
) -> Iterator[Clip]:
  """Reads a clone of the HTNet repository.

  If an image is missing or damaged, or the landmark file lacks a clip, the
  `problem` of the clip says so.

  A clip has the release's default points if no landmark file gives them and
  there is no `locate`, or no apex images (see `has_apex_images`). It has them
  with a remark if its own apex image is missing or shows no face. All clips
  have the default crop points unless the file gives others.

  Args:
    root: the clone.
    landmarks: CSV with the columns dataset, subject, clip, then leye_x,
      leye_y, reye_x, ... for left eye, right eye, nose, left and right mouth
      corner, in pixels of the 28x28 image measured from its upper left edge;
      or the crop points of the released pipeline, in the same columns with
      `released_crop_` in front; or both.
    encoding: that of the CSV files; UTF-8 if not given.
    locate: finds the five points in an RGB image, counted from the centre of
      its first pixel; raises ValueError if there is no face. It is applied to
      the apex images of the clone if no file gives the points.

  Returns:
    The clips in the order of the sheet. Landmarks count from the centre of the
    upper left pixel, half a pixel less than in the file.

  Raises:
    FileNotFoundError: the sheet, the image folder or the landmark file does
      not exist.
    ValueError: a sheet lacks a column or holds an impossible value.
  """
  root = pathlib.Path(root)
  rows = _read_sheet(root, encoding)
  faces = None
  if landmarks is not None:
    faces = _read_faces(pathlib.Path(landmarks), encoding)
  if not has_apex_images(root):
    locate = None
  return (_clip(root, row, faces, locate) for row in rows)


def has_apex_images(root: str | pathlib.Path) -> bool:
  """Returns whether the clone holds apex images to find landmarks in."""
  return any((pathlib.Path(root) / APEX_FOLDER).glob('*.jpg'))


def point_source(
  root: str | pathlib.Path,
  landmarks: str | pathlib.Path | None,
  *,
  encoding: str = '',
) -> str:
  """Returns where the face points come from that `read` yields.

  Raises:
    FileNotFoundError: the landmark file does not exist.
    ValueError: the landmark file cannot be used.
  """
  if landmarks:
    path = pathlib.Path(landmarks)
    if any(face.points for face in _read_faces(path, encoding).values()):
      return f'file {path.name}'
  if has_apex_images(root):
    return 'detector, on the apex images of the release'
  return 'release defaults'


def read_flow(path: pathlib.Path) -> UInt8[np.ndarray, '28 28 3']:
  """Reads one flow image as (u, v, strain), 0..255.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: it is not a whole 28x28 image of three 8-bit channels.
  """
  # OpenCV refuses a PNG that is cut short or has a wrong checksum.
  image = _decode(path, cv2.IMREAD_UNCHANGED)
  if image is None:
    raise ValueError('is damaged or no image')
  if image.shape != (SIZE, SIZE, 3) or image.dtype != np.uint8:
    raise ValueError(
      f'has shape {image.shape} and type {image.dtype}, expected '
      f'({SIZE}, {SIZE}, 3) and uint8'
    )
  return np.ascontiguousarray(image[..., ::-1])


def _clip(
  root: pathlib.Path,
  row: dict[str, str],
  faces: dict[Identity, Face] | None,
  locate: Locate | None,
) -> Clip:
  identity = _identity(row)
  file = root / FLOW_FOLDER / f'{row["sub"]}_{row["filename_o"]} .png'
  face = Face() if faces is None else faces.get(identity)
  if face is not None and not face.points:
    face = _find_points(face, root, row, locate)
  problem = ''
  try:
    read_flow(file)
  except FileNotFoundError:
    problem = f'flow image "{file.name}" is missing'
  except (OSError, ValueError) as error:
    problem = f'flow image "{file.name}" {error}'
  if face is None:
    problem = problem or 'has no row in the landmark file'
    face = Face(points=DEFAULT_POINTS)
  corpus, subject, name = identity
  return Clip(
    corpus=corpus,
    subject=subject,
    name=name,
    emotion=EMOTIONS[row['label']],
    flow_file=file,
    # From the image's edge to the centre of its first pixel. The mean flow of
    # each database shows that points count from the edge: its mirror axis lies
    # at 13.2 to 13.4 in pixel centres, the middle of the given eyes at 13.9 to
    # 14.3.
    landmarks=tuple((x - 0.5, y - 0.5) for x, y in face.points),
    crop_points=face.crop_points,
    problem=problem,
    remarks=face.remarks,
  )


def _find_points(
  face: Face, root: pathlib.Path, row: dict[str, str], locate: Locate | None
) -> Face:
  """Finds the points in the apex image, in pixels of the flow image."""
  if locate is None:
    return dataclasses.replace(face, points=DEFAULT_POINTS)
  name = row.get('imagename') or f'{row["sub"]}_{row["filename_o"]}.jpg'
  try:
    image = _read_apex(root / APEX_FOLDER / name)
    points = locate(image)
  except (OSError, ValueError) as error:
    why = 'missing' if isinstance(error, FileNotFoundError) else error
    remark = f'default landmarks: apex image "{name}": {why}'
    return dataclasses.replace(face, points=DEFAULT_POINTS, remarks=(remark,))
  height, width = image.shape[:2]
  # When an image shrinks, places scale if they are measured from the edge.
  points = (points + 0.5) * (SIZE / np.array([width, height]))
  return dataclasses.replace(face, points=tuple(map(tuple, points.tolist())))


def _read_apex(path: pathlib.Path) -> UInt8[np.ndarray, 'h w 3']:
  image = _decode(path, cv2.IMREAD_COLOR_RGB)
  if image is None:
    raise ValueError('damaged or no image')
  return image


def _decode(path: pathlib.Path, how: int) -> np.ndarray | None:
  """Decodes an image; None if it is damaged, ValueError if it is too large."""
  data = limits.read_bytes(path)
  if not limits.check_image(data, ''):
    return None

  def decode(data: bytes) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), how)

  try:
    image, complaint = complaints.heard(decode, data)
  except cv2.error:
    return None
  return None if complaint else image


def _read_sheet(root: pathlib.Path, encoding: str) -> list[dict[str, str]]:
  """Reads and checks the rows of the label sheet."""
  if not root.is_dir():
    raise FileNotFoundError(f'{root} is no folder; expected a clone of HTNet')
  sheet, folder = root / SHEET, root / FLOW_FOLDER
  if not sheet.is_file() or not folder.is_dir():
    found = ', '.join(sorted(p.name for p in root.iterdir())[:8]) or 'nothing'
    raise FileNotFoundError(
      f'{root} is no clone of the HTNet repository: it holds {found}; expected '
      f'{SHEET} and {FLOW_FOLDER}/'
    )
  if not any(folder.glob('*.png')):
    raise FileNotFoundError(f'{folder} holds no PNG; expected 442 flow images')
  rows = _read_csv(sheet, _SHEET_COLUMNS, encoding)
  _check_rows(sheet, rows)
  return rows


def _check_rows(sheet: pathlib.Path, rows: list[dict[str, str]]):
  faults, seen = [], set()
  for number, row in enumerate(rows, start=2):
    where = f'line {number} ({"/".join(_identity(row))})'
    if row['dataset'] not in DATABASES:
      faults.append(
        f'{where}: dataset is {row["dataset"]!r}, expected one of {DATABASES}'
      )
    if row['label'] not in EMOTIONS:
      faults.append(
        f'{where}: label is {row["label"]!r}, expected 0 (negative), '
        '1 (positive) or 2 (surprise)'
      )
    if not row['sub'] or not row['filename_o']:
      faults.append(f'{where}: sub or filename_o is empty')
    for column in ('sub', 'filename_o', 'imagename'):
      # It is part of the name of a file, which must not lie elsewhere.
      if (name := row.get(column)) and not cells.is_file_name(name):
        faults.append(f'{where}: {column} is {name!r}, which names no file')
    if _identity(row) in seen:
      faults.append(f'{where}: this clip has a row already')
    seen.add(_identity(row))
  _raise_faults(sheet, faults)


def _read_faces(path: pathlib.Path, encoding: str) -> dict[Identity, Face]:
  """Reads face points, crop points or both by clip."""
  if not path.is_file():
    raise FileNotFoundError(f'landmark file {path} does not exist')
  rows = _read_csv(path, ('dataset', 'subject', 'clip'), encoding)
  points, crops = (
    columns if any(column in rows[0] for column in columns) else ()
    for columns in (_POINT_COLUMNS, _CROP_COLUMNS)
  )
  _check_columns(path, rows[0], (*points, *crops) or _POINT_COLUMNS)
  faces, faults = {}, []
  for number, row in enumerate(rows, start=2):
    identity = (row['dataset'], row['subject'], row['clip'])
    where = f'line {number} ({"/".join(identity)})'
    try:
      face = Face(points=_pairs([float(row[c]) for c in points]))
      if crops:
        cut = _pairs([int(row[c]) for c in crops])
        face = dataclasses.replace(face, crop_points=cut)
    except ValueError as error:
      faults.append(f'{where}: {error}')
      continue
    if not np.isfinite(face.points).all():
      faults.append(f'{where}: a point is not finite')
    if not all(CLAMP[0] <= c <= CLAMP[1] for p in face.crop_points for c in p):
      faults.append(f'{where}: a crop point is not in {CLAMP}')
    if identity in faces:
      faults.append(f'{where}: this clip has a row already')
    faces[identity] = face
  _raise_faults(path, faults)
  return faces


def _read_csv(
  path: pathlib.Path, columns: Sequence[str], encoding: str
) -> list[dict[str, str]]:
  try:
    text = text_files.decoded(limits.read_bytes(path), encoding)
    # With newline=None, line ends of all systems are read.
    lines = io.StringIO(text, newline=None)
    reader = csv.DictReader(lines, restval='', strict=True)
    rows = [
      {k: files.plain_cell(v.strip()) for k, v in row.items() if k is not None}
      for row in reader
    ]
  except (ValueError, csv.Error) as error:
    raise ValueError(f'{path} cannot be read: {error}') from error
  _check_columns(path, reader.fieldnames or (), columns)
  if not rows:
    raise ValueError(f'{path} has no rows')
  return rows


def _check_columns(path: pathlib.Path, found, expected: Sequence[str]):
  missing = [c for c in expected if c not in found]
  if missing:
    raise ValueError(
      f'{path} has no column {", ".join(missing)}; it has {", ".join(found)}'
    )


def _raise_faults(path: pathlib.Path, faults: list[str]):
  if faults:
    raise ValueError(f'{path}:\n  ' + '\n  '.join(faults))


def _identity(row: dict[str, str]) -> Identity:
  return row['dataset'], row['sub'], row['filename_o']


def _pairs(values: Sequence) -> tuple:
  return tuple(zip(values[::2], values[1::2], strict=True))


CORPUS = Corpus(
  name='htnet_release', read=read, options=('landmarks', 'encoding')
)
