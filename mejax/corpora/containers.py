"""Reads from a container of videos what its decoder does not tell.

OpenCV gives pictures and times. It says neither that a file was cut off, nor
that an edit list hides frames, nor which frames of a damaged AVI are lost. Of a
mirrored picture it obeys the turn alone.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import pathlib
import re
import struct
from typing import BinaryIO

from mejax import limits

# Kinds of boxes with which an MP4 or MOV begins.
_FIRST = (b'ftyp', b'moov', b'mdat', b'wide', b'free', b'skip')
# Parts of a file, and bytes of its lists of frames. Real files stay far below;
# a damaged or invented one may have a part for every eight bytes.
_MOST_PARTS, _LARGEST_LIST = 2**17, 2**27
_LONG_TAIL = 2**24
# The kind of a stream, in its header. That of an AVI lies at the beginning.
_PICTURES_OF_AVI, _HEAD = rb'strh.{4}vids', 2**16
_PICTURES_OF_MP4 = rb'hdlr.{8}vide'
# Elements of Matroska from the file down to the kind of a track; 1 is pictures.
_SEGMENT, _TRACKS, _TRACK, _KIND = 0x18538067, 0x1654AE6B, 0xAE, 0x83
_LARGEST_HEAD = 2**20


@dataclasses.dataclass(frozen=True)
class Structure:
  """What a container says of itself.

  Attributes:
    is_exact: whether it counts its frames; others only estimate them.
    is_whole: whether all bytes are there that it announces.
    shown: seconds that an edit list shows; None without one.
    intact: numbers of the frames of an AVI whose chunks still bear their name;
      None if it has no list of its frames.
  """

  is_exact: bool
  is_whole: bool
  shown: float | None = None
  intact: tuple[int, ...] | None = None
  streams: int = 1


def read(file: pathlib.Path) -> Structure:
  """Reads the structure of a video; of others than AVI and MP4 only little."""
  size = file.stat().st_size
  with limits.open_file(file) as stream:
    head = stream.read(12)
    try:
      if head.startswith(b'RIFF'):
        (length,) = struct.unpack_from('<I', head, 4)
        whole = size >= length
        intact = _intact(stream, size) if whole else None
        stream.seek(0)
        streams = len(re.findall(_PICTURES_OF_AVI, stream.read(_HEAD), re.S))
        return Structure(
          is_exact=True, is_whole=whole, intact=intact, streams=streams
        )
      if head[4:8] in _FIRST:
        return _of_mp4(stream, size)
    except struct.error:  # It ends in the middle of a number.
      return Structure(is_exact=True, is_whole=False)
    streams = _streams_of_matroska(head + stream.read(_LARGEST_HEAD))
  return Structure(is_exact=False, is_whole=False, streams=streams)


def is_mirrored(file: pathlib.Path) -> bool:
  """Returns whether an MP4 or MOV says that its pictures are mirrored.

  Front cameras of phones do so, beside or instead of a turn.
  """
  with limits.open_file(file) as stream:
    if stream.read(12)[4:8] not in _FIRST:
      return False
    try:
      moov = _find_moov(stream, file.stat().st_size)[0]
      return any(map(_has_mirror, _tracks(moov)))
    except struct.error:
      return False


def _has_mirror(trak: bytes) -> bool:
  """Returns whether the matrix of a track mirrors: its determinant tells."""
  for kind, content in _boxes(trak):
    if kind == b'tkhd':
      start = 52 if content[:1] == b'\1' else 40
      a, b, _, c, d = struct.unpack_from('>5i', content, start)
      return a * d - b * c < 0
  return False


def empty_tail(file: pathlib.Path) -> int:
  """Returns the number of zero bytes behind the end of an AVI.

  The decoder searches them for frames, which takes minutes for gigabytes, and
  they may take no room on the disk. A short tail counts as none.
  """
  size, at = file.stat().st_size, 0
  with limits.open_file(file) as stream:
    # A long video has several parts.
    for _ in range(_MOST_PARTS):
      stream.seek(at)
      head = stream.read(8)
      if len(head) < 8 or not head.startswith(b'RIFF'):
        break
      at += 8 + int.from_bytes(head[4:], 'little')
    # An AVI that was not finished has no length.
    if at <= 8 or size - at < _LONG_TAIL:
      return 0
    stream.seek(at)
    return 0 if any(stream.read(_LONG_TAIL)) else size - at


def _intact(stream: BinaryIO, size: int) -> tuple[int, ...] | None:
  """Compares the list of an AVI's frames with the chunks themselves."""
  at, home, listed = 12, None, b''
  for _ in range(_MOST_PARTS):
    if at + 8 > size:
      break
    stream.seek(at)
    kind, length = struct.unpack('<4sI', stream.read(8))
    if kind == b'LIST' and stream.read(4) == b'movi':
      home = at + 8
    elif kind == b'idx1':
      listed = stream.read(min(length, _LARGEST_LIST))
    at += 8 + length + length % 2
  rows = [
    struct.unpack_from('<4sIII', listed, at)
    for at in range(0, len(listed) - 15, 16)
  ]
  # Streams of pictures have names like 00dc and 00db.
  rows = [row for row in rows if row[0][2:] in (b'dc', b'db')]
  if home is None or not rows:
    return None
  # Most lists count from `movi`, some from the start of the file.
  home = 0 if rows[0][2] > home else home
  intact = []
  for number, (name, _, place, length) in enumerate(rows):
    stream.seek(home + place)
    if stream.read(8) == struct.pack('<4sI', name, length):
      intact.append(number)
  return tuple(intact)


def _of_mp4(stream: BinaryIO, size: int) -> Structure:
  moov, is_whole = _find_moov(stream, size)
  shown = _shown(moov) if moov and is_whole else None
  return Structure(
    is_exact=True,
    is_whole=is_whole,
    shown=shown,
    streams=len(list(_tracks(moov))),
  )


def _streams_of_matroska(data: bytes) -> int:
  """Returns the number of streams of pictures; 1 if the file is no Matroska."""
  if not data.startswith(b'\x1a\x45\xdf\xa3'):
    return 1
  tracks = [
    track
    for segment in _elements(data, _SEGMENT)
    for part in _elements(segment, _TRACKS)
    for track in _elements(part, _TRACK)
  ]
  return sum(b'\1' in _elements(track, _KIND) for track in tracks)


def _elements(data: bytes, wanted: int) -> list[bytes]:
  """Returns the contents of the elements of Matroska that have a number.

  One that reaches beyond the data ends with them.
  """
  found, at = [], 0
  while at < len(data):
    number, at = _number(data, at)
    length, at = _number(data, at)
    # Of a length that is not known, all bits after the mark are set.
    bits = length.bit_length() - 1
    length -= 1 << bits
    if length == (1 << bits) - 1:
      length = len(data)
    if number == wanted:
      found.append(data[at : at + length])
    at += length
  return found


def _number(data: bytes, at: int) -> tuple[int, int]:
  """Returns a number, with the bit that marks its length, and where it ends."""
  size = 9 - max(data[at], 1).bit_length() if at < len(data) else 1
  return int.from_bytes(data[at : at + size], 'big') or 1, at + size


def _find_moov(stream: BinaryIO, size: int) -> tuple[bytes, bool]:
  """Returns the index of an MP4, or b'', and whether its parts are whole."""
  at, moov = 0, b''
  for _ in range(_MOST_PARTS):
    if at + 8 > size:
      break
    stream.seek(at)
    length, kind = struct.unpack('>I4s', stream.read(8))
    header = 8
    if length == 1:
      (length,) = struct.unpack('>Q', stream.read(8))
      header = 16
    length = length or size - at
    if length < header or at + length > size:
      return moov, False
    if kind == b'moov':
      moov = stream.read(min(length - header, _LARGEST_LIST))
    at += length
  return moov, at == size


def _shown(moov: bytes) -> float | None:
  """Returns the seconds that the edit list of the pictures shows."""
  scale = None
  for kind, content in _boxes(moov):
    if kind == b'mvhd':
      (scale,) = struct.unpack_from('>I', content, 20 if content[0] else 12)
  for content in _tracks(moov):
    at = content.find(b'elst') + 4
    if at < 4 or not scale:
      continue
    version, count = struct.unpack_from('>B3xI', content, at)
    row = '>QqI' if version else '>IiI'
    step = struct.calcsize(row)
    rows = (
      struct.unpack_from(row, content, at + 8 + i * step) for i in range(count)
    )
    # A row without a place in the media is a pause.
    return sum(length for length, place, _ in rows if place >= 0) / scale
  return None


def _tracks(moov: bytes) -> Iterator[bytes]:
  """Yields the tracks of pictures of an MP4."""
  for kind, content in _boxes(moov):
    if kind == b'trak' and re.search(_PICTURES_OF_MP4, content, re.S):
      yield content


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
  at = 0
  while at + 8 <= len(data):
    length, kind = struct.unpack_from('>I4s', data, at)
    length = max(length or len(data) - at, 8)
    yield kind, data[at + 8 : at + length]
    at += length
