"""Names the files beside the recordings of a user that are not read."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from collections.abc import Sequence
import pathlib

from mejax.corpora import frames as frame_files
from mejax.corpora import recordings

# What systems put into folders of their own accord.
_CLUTTER = ('Thumbs.db', 'desktop.ini')
# Kinds of pictures that move and are not read; FFmpeg converts them.
OTHER_VIDEOS = (
  '.apng', '.asf', '.divx', '.dv', '.f4v', '.gif', '.h264', '.heic', '.hevc',
  '.m2ts', '.mjpeg', '.mjpg', '.mxf', '.ogm', '.ogv', '.rm', '.rmvb', '.seq',
  '.ts', '.vob', '.y4m', '.yuv',
)  # fmt: skip


def by_kind(
  paths: Sequence[pathlib.Path], *, sheet: pathlib.Path | None = None
) -> list[str]:
  """Returns a line for each kind of file that `recordings.find` passes over.

  Args:
    paths: as `recordings.find` takes them.
    sheet: the sheet of labels, which may lie among them.
  """
  kinds = collections.defaultdict(dict)
  for path in paths:
    if path.is_dir():
      for file in _passed_over(path.absolute()):
        if sheet is None or file != sheet.absolute():
          kinds[file.suffix.lower()].setdefault(file.resolve(), file)
  return [
    f'not read: {_number(len(files), suffix)}, '
    f'{"such as " * (len(files) > 1)}{next(iter(files.values()))}: '
    f'{why_not(suffix)}'
    for suffix, files in sorted(kinds.items())
  ]


def _number(count: int, suffix: str) -> str:
  kind = suffix or 'without a suffix'
  return f'{count} {"file" if count == 1 else "files"} {kind}'


def why_not(suffix: str) -> str:
  """Returns why files with this suffix, in small letters, are not read."""
  if suffix in frame_files.SUFFIXES:
    return 'a single image beside recordings is no clip'
  if suffix in recordings.SUFFIXES:
    return f'it lies more than {recordings.DEPTH} folders deep'
  if suffix in OTHER_VIDEOS:
    return (
      'no kind of video that is read; convert it, as in `ffmpeg -i '
      f'name{suffix} name.mp4`'
    )
  return (
    f'neither a video ({" ".join(recordings.SUFFIXES)}) nor an image '
    f'({" ".join(frame_files.SUFFIXES)})'
  )


def _passed_over(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  """Yields the files below a folder that are part of no recording."""
  found = set(recordings.below(folder))
  for path in sorted(folder.rglob('*')):
    parts = path.relative_to(folder).parts
    if any(part.startswith('.') for part in parts) or path.name in _CLUTTER:
      continue
    is_frame = path.suffix.lower() in frame_files.SUFFIXES
    taken = path in found or (is_frame and path.parent in found)
    if path.is_file() and not taken:
      yield path
