"""Finds videos and folders of frames below some paths, and reads them."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import difflib
import functools
import os
import pathlib
import re
from typing import NamedTuple
import unicodedata

import cv2

from mejax.corpora import cells
from mejax.corpora import containers
from mejax.corpora import decode
from mejax.corpora import decoder_log
from mejax.corpora import fields
from mejax.corpora import frames as frame_files
from mejax.corpora import isolated
from mejax.corpora import timing

# One recording, or several.
Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

SUFFIXES = (
  '.avi', '.mkv', '.mp4', '.m4v', '.mov', '.mpg', '.mpeg', '.webm', '.wmv',
  '.flv', '.3gp', '.mts', '.m2ts', '.ts',
)  # fmt: skip
DEPTH = 9
# Each of so many frames of a video is looked at, up to this number.
_EVERY, _SAMPLES = 8, 24
# What FFmpeg takes for a list of other files; it looks at this many bytes.
_HEAD = 2048
_LISTS = (
  b'ffconcat', b'#extm3u', b'<mpd', b'<compositionplaylist', b'[playlist]',
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Content:
  """The frames of a recording.

  Attributes:
    files: the file of each frame number, in order; for a video always the
      video.
    fps: frames per second, if the recording has them.
    problem: why it cannot be used; '' if it can.
    remarks, notes: oddities and usual choices, as in `Clip`.
  """

  files: Mapping[int, pathlib.Path]
  fps: float | None = None
  problem: str = ''
  remarks: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Recording:
  """A video, or a folder of frames.

  Attributes:
    path: of the file or folder.
    name: the shortest end of the path that differs from all others.
    is_video: whether it is a video.
    given: the path as the caller wrote it, with what lies below it.
  """

  path: pathlib.Path
  name: str
  is_video: bool
  given: pathlib.Path

  @functools.cached_property
  def content(self) -> Content:
    """Reads the content; for a video this takes as long as decoding it."""
    if not cells.is_utf8(str(self.path)):
      return Content({}, problem=decode.NOT_UTF8)
    return (_in_video if self.is_video else _in_folder)(self.path)


def listed(paths: Paths) -> list[pathlib.Path]:
  """Returns paths as a list, a single one too."""
  single = isinstance(paths, str | os.PathLike)
  return [pathlib.Path(path) for path in ([paths] if single else paths)]


def find(paths: Sequence[pathlib.Path]) -> list[Recording]:
  """Finds the recordings at these paths or below them, in order, each once.

  A folder counts as a folder of frames if it holds two images, or one image and
  no recording.

  Raises:
    FileNotFoundError: a path does not exist.
    ValueError: a path is no video, or is a folder that holds no recording.
  """
  absent = [str(path) for path in paths if not path.exists()]
  if absent:
    raise FileNotFoundError(
      f'not there: {", ".join(absent)}; expected videos or folders'
    )
  found, faults = {}, []
  for path in paths:
    if path.is_dir():
      places = list(below(path))
      if not places:
        faults.append(
          f'{path} holds no video ({" ".join(SUFFIXES)}) and no frames '
          f'({" ".join(frame_files.SUFFIXES)})'
        )
    elif path.suffix.lower() in SUFFIXES:
      places = [path.absolute()]
    else:
      places = []
      faults.append(
        f'{path} is no video ({" ".join(SUFFIXES)}); of images name the folder'
      )
    for place in places:
      given = path / place.relative_to(path.absolute())
      found.setdefault(place.resolve(), (place, given))
  if faults:
    raise ValueError('; '.join(faults))
  names = _names([place for place, _ in found.values()])
  return [
    Recording(path=place, name=name, is_video=not place.is_dir(), given=given)
    for (place, given), name in zip(found.values(), names, strict=True)
  ]


def called(
  found: Sequence[Recording], names: Sequence[str]
) -> list[list[Recording]]:
  """Returns the recordings that each name or part of a path may mean.

  Case is ignored, unless it decides between several recordings.
  """
  table = collections.defaultdict(list)
  for recording in found:
    for name in {name.casefold() for name in _called(recording.path)}:
      table[name].append(recording)

  def look_up(name: str) -> list[Recording]:
    name = name.replace('\\', '/').removeprefix('./').rstrip('/')
    name = unicodedata.normalize('NFC', name)
    alike = table.get(name.casefold(), [])
    exact = [one for one in alike if name in _called(one.path)]
    return exact if len(exact) == 1 else alike

  return [look_up(name) for name in names]


def nearest(found: Sequence[Recording], name: str) -> str:
  """Returns the name of a recording that is much like this one, or ''.

  Spreadsheets make 7 of 007.
  """
  names = [recording.name for recording in found]
  same = [n for n in names if n.lstrip('0') == name.lstrip('0')]
  near = same or difflib.get_close_matches(name, names, n=1, cutoff=0.8)
  return near[0] if near else ''


def _called(path: pathlib.Path) -> set[str]:
  """Returns all ends of a path, with and without the suffix of a video."""
  names = {path.as_posix()}
  for own in {path, _bare(path)}:
    parts = own.parts[1:]
    names |= {'/'.join(parts[i:]) for i in range(len(parts))}
  return {unicodedata.normalize('NFC', name) for name in names}


def _bare(path: pathlib.Path) -> pathlib.Path:
  # In the name of a folder, a dot begins no suffix.
  is_video = path.suffix.lower() in SUFFIXES
  return path.with_suffix('') if is_video else path


def below(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields the videos and folders of frames at a folder or below it."""
  return _below(folder.absolute(), 0, set())


def _below(
  folder: pathlib.Path, depth: int, seen: set[tuple[int, int]]
) -> Iterator[pathlib.Path]:
  if not frame_files.is_new(folder, seen):
    return
  images, inner = 0, []
  for path in sorted(folder.iterdir()):
    if path.name.startswith('.'):
      continue
    if path.is_dir():
      if depth < DEPTH:
        inner.extend(_below(path, depth + 1, seen))
    elif path.suffix.lower() in SUFFIXES:
      inner.append(path)
    else:
      images += path.suffix.lower() in frame_files.SUFFIXES
  if images > 1 or (images and not inner):
    yield folder
  yield from inner


def _names(paths: Sequence[pathlib.Path]) -> list[str]:
  """Returns the shortest end of each path that differs from all others."""
  count = collections.Counter(map(_bare, paths))
  bare = [_bare(p) if count[_bare(p)] == 1 else p for p in paths]
  deepest = max((len(path.parts) for path in bare), default=0)
  names = ['_'.join(path.parts[1:]) for path in bare]
  for depth in range(deepest, 0, -1):
    ends = ['_'.join(path.parts[1:][-depth:]) for path in bare]
    count = collections.Counter(ends)
    names = [
      end if count[end] == 1 else name
      for end, name in zip(ends, names, strict=True)
    ]
  return names


def _in_folder(folder: pathlib.Path) -> Content:
  try:
    files = frame_files.list_frames(folder)
  except (OSError, ValueError) as error:
    return Content({}, problem=f'{folder.name}: {error}')
  if not files:
    problem = f'the images of {folder.name} have no numbers in their names'
    return Content({}, problem=problem)
  return Content(files)


class _Seen(NamedTuple):
  """What a decoder gives of a video.

  Attributes:
    claimed, fps: number and rate of frames by the container.
    times: milliseconds of each frame; None for one that is damaged.
    problem: why it cannot be used; '' if it can.
    complaint: what its decoder says; '' if nothing.
    is_woven: whether two fields are woven into its frames.
  """

  claimed: float
  fps: float
  times: list[float | None]
  problem: str
  complaint: str
  is_woven: bool


def _see(file: str) -> _Seen:
  """Decodes a video from its first to its last frame."""
  times, combs, claimed, fps = [], [], 0.0, 0.0
  with decoder_log.listening() as said:
    capture = cv2.VideoCapture(file)
    try:
      claimed = capture.get(cv2.CAP_PROP_FRAME_COUNT)
      fps = capture.get(cv2.CAP_PROP_FPS)
      for is_there in decode.grab_all(capture):
        moment = capture.get(cv2.CAP_PROP_POS_MSEC) if is_there else None
        if is_there and not len(times) % _EVERY and len(combs) < _SAMPLES:
          has_picture, image = capture.retrieve()
          combs += [fields.comb(image)] if has_picture else []
        times.append(moment)
    finally:
      capture.release()
  while times and times[-1] is None:  # Behind the end of the video.
    del times[-1]
  return _Seen(
    claimed,
    fps,
    times,
    problem=decoder_log.problem(said, pathlib.Path(file).name),
    complaint=decoder_log.complaint(said),
    is_woven=fields.are_woven(combs),
  )


def _text_fault(file: pathlib.Path) -> str:
  """Says that a file is a text or a list of files; '' if it is neither."""
  with file.open('rb') as stream:
    head = stream.read(_HEAD).lstrip(b'\xef\xbb\xbf \t\r\n')
  if any(word in head.lower() for word in _LISTS):
    return ': it is a list of other files'
  return (
    '' if re.search(rb'[\x00-\x08\x0e-\x1f\x7f-\xff]', head) else ': a text'
  )


def _in_video(file: pathlib.Path) -> Content:
  """Finds the frames by decoding them, since containers only estimate."""
  if not file.is_file():
    # A link that leads nowhere; or a pipe, which OpenCV would wait for.
    return Content({}, problem=f'"{file.name}" is no file')
  size = file.stat().st_size
  if not size:
    return Content({}, problem=f'"{file.name}" is an empty file')
  damaged = f'"{file.name}" ({size} bytes) is damaged or no video'
  try:
    # FFmpeg would play what a list names, which may be anybody's.
    if fault := _text_fault(file):
      return Content({}, problem=damaged + fault)
    if empty := containers.empty_tail(file):
      raise ValueError(
        f'{empty >> 20} MiB of zeros lie behind its end; cut them off'
      )
    seen = isolated.call(_see, str(file))
  except (OSError, ValueError) as error:
    return Content({}, problem=f'"{file.name}": {error}')
  if not seen.times:
    told = f' ({seen.complaint})' if seen.complaint else ''
    return Content({}, problem=damaged + told)
  if seen.problem:
    return Content({}, problem=seen.problem)
  found = timing.number(
    seen.times, fps=seen.fps, claimed=round(seen.claimed), file=file
  )
  remarks, notes = found.remarks, found.notes
  if seen.is_woven:
    remarks += (f'"{file.name}" {fields.WOVEN.format(name=file.name)}',)
  if seen.complaint and remarks:
    # The remarks say what it comes to.
    notes += (f'"{file.name}": {seen.complaint}',)
  elif seen.complaint:
    remarks = (f'"{file.name}": {seen.complaint}',)
  return Content(
    dict.fromkeys(found.numbers, file),
    fps=found.fps,
    remarks=remarks,
    notes=notes,
  )
