"""Changes the times of an MP4 whose index lies behind its pictures."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import pathlib
import struct

_PARENTS = (b'moov', b'trak', b'mdia', b'minf', b'stbl')


def _changed(data: bytes, change: Callable[[bytes, bytes], bytes]) -> bytes:
  """Rewrites a row of boxes; `change` maps kind and content to a new box."""
  made, at = b'', 0
  while at < len(data):
    length, kind = struct.unpack_from('>I4s', data, at)
    content = data[at + 8 : at + (length or len(data) - at)]
    if kind in _PARENTS:
      content = _changed(content, change)
    made += change(kind, content)
    at += length or len(data)
  return made


def box(kind: bytes, content: bytes) -> bytes:
  return struct.pack('>I4s', len(content) + 8, kind) + content


def retimed(file: pathlib.Path, steps: Sequence[int]) -> None:
  """Sets how many ticks each frame lasts.

  As OpenCV writes a video of 25 frames per second, a frame lasts 512 ticks.
  """
  rows = b''.join(struct.pack('>II', 1, step) for step in steps)
  table = box(b'stts', struct.pack('>II', 0, len(steps)) + rows)

  def change(kind, content):
    # Without edit lists, which end the video after the old time.
    if kind == b'edts':
      return b''
    return table if kind == b'stts' else box(kind, content)

  file.write_bytes(_changed(file.read_bytes(), change))


def doubled(file: pathlib.Path) -> None:
  """Adds a second stream of pictures, which is the first again."""

  def change(kind, content):
    return box(kind, content) * (2 if kind == b'trak' else 1)

  file.write_bytes(_changed(file.read_bytes(), change))


def edited(file: pathlib.Path, *, start: int, length: int) -> None:
  """Adds an edit list: shown are `length` milliseconds from tick `start` on."""
  row = struct.pack('>IIII', 1, length, start, 0x10000)
  edits = box(b'edts', box(b'elst', struct.pack('>I', 0) + row))

  def change(kind, content):
    if kind == b'edts':
      return b''
    return (edits if kind == b'mdia' else b'') + box(kind, content)

  file.write_bytes(_changed(file.read_bytes(), change))


def with_matrix(data: bytes, matrix: bytes) -> bytes:
  """Returns an MP4 whose pictures a player turns by this matrix."""

  def change(kind, content):
    if kind == b'tkhd':
      content = content[:40] + matrix + content[76:]
    return box(kind, content)

  return _changed(data, change)
