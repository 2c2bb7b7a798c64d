"""Refuses files that claim to be larger than anything mejax is made for.

A few bytes can claim an array or an image that fills the memory. Only headers
are read here, before anything is decoded.
"""

from __future__ import annotations

import contextlib
import errno
import io
import math
import os
import stat
import struct
from typing import BinaryIO
import zipfile

# Of all arrays of a file together; and no more than the machine has memory.
LARGEST_ARRAYS = min(
  16 * 2**30, os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
)
# Of the header of an array; NumPy reads it whole before it looks at it.
_LARGEST_HEADER = 10_000
# How many times smaller their files may be, if arrays are larger than that, or
# if those of a `.npz` file are larger than this.
MOST_SHRUNK = 100
_FREELY = 2**28
# Of a file of JSON. What is read of it may take thirty times as much memory.
LARGEST_TEXT = 2**27
# Of a label sheet, also unpacked. The largest of the databases has .2 MiB.
LARGEST_SHEET = 2**26
# Of an image: a frame of 8K cinema. Those of the databases have up to 2.1
# million pixels.
LARGEST_IMAGE = 8192 * 4320


def check_arrays(path: str | os.PathLike) -> None:
  """Compares what the headers of a `.npz` file claim with what is there.

  It is called within `files.reading`, which names the file.

  Raises:
    ValueError: it holds Python objects, or claims more than the limit or than
      is there. A damaged file may raise anything else.
  """
  check_ordinary(path)
  total, held = 0, os.path.getsize(path)
  with zipfile.ZipFile(path) as file:
    for member in file.infolist():
      with file.open(member) as stream:
        claimed = _claimed_bytes(stream)
      total += claimed
      if total > LARGEST_ARRAYS:
        raise ValueError(
          f'it claims arrays of {_gib(total)} or more; the limit is'
          f' {_gib(LARGEST_ARRAYS)}'
        )
      if total > _FREELY:
        _check_shrunk(total, held)
      if claimed != member.file_size:
        raise ValueError(
          f'{member.filename} claims {claimed} bytes and has {member.file_size}'
        )


def check_claim(claimed: int, held: int) -> None:
  """Refuses compressed arrays that claim far more bytes than their files hold.

  Models of a large run may exceed `LARGEST_ARRAYS`. Weights hardly shrink, so
  then their files are large, too.

  Raises:
    ValueError: they claim too much.
  """
  if claimed > LARGEST_ARRAYS:
    _check_shrunk(claimed, held)


def _check_shrunk(claimed: int, held: int) -> None:
  if claimed > MOST_SHRUNK * held:
    raise ValueError(
      f'it claims arrays of {_gib(claimed)} in {held / 2**20:.1f} MiB of files'
    )


def check_size(path: str | os.PathLike, largest: int) -> None:
  """Refuses a file that is too large to be what it should be.

  Raises:
    OSError: it is not there.
    ValueError: it has more bytes than the limit.
  """
  _check_bytes(os.path.getsize(path), largest)


def check_unpacked(file: str | os.PathLike | io.IOBase, largest: int) -> None:
  """Refuses a zip archive by the size that it claims to have unpacked.

  Python's `zipfile` never unpacks more than that.

  Raises:
    zipfile.BadZipFile: it is damaged.
    ValueError: it claims more bytes than the limit.
  """
  with zipfile.ZipFile(file) as archive:
    total = sum(member.file_size for member in archive.infolist())
  _check_bytes(total, largest, ' unpacked')


def _check_bytes(size: int, largest: int, how: str = '') -> None:
  if size > largest:
    raise ValueError(
      f'it has {size / 2**20:.0f} MiB{how}; the limit is'
      f' {largest / 2**20:.0f} MiB'
    )


def _gib(size: int) -> str:
  return f'{size / 2**30:.1f}'.removesuffix('.0') + ' GiB'


def _claimed_bytes(stream: io.BufferedIOBase) -> int:
  """Returns the size of a `.npy` file that its header claims, with itself."""
  # The command line reads no arrays before it has to.
  import numpy as np

  start = stream.read(12)
  # Of version 1 the length has two bytes, of the others four.
  length = int.from_bytes(
    start[8 : 10 if start[6:7] == b'\1' else 12], 'little'
  )
  if length > _LARGEST_HEADER:
    raise ValueError(f'a header of {length} bytes')
  stream.seek(0)
  version = np.lib.format.read_magic(stream)
  readers = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
  }
  if version not in readers:
    raise ValueError(f'a header of the unknown version {version}')
  shape, _, dtype = readers[version](stream)
  if dtype.hasobject:
    raise ValueError('it holds Python objects, which could run code')
  if math.prod(shape) and not dtype.itemsize:
    # Of these any number takes no room, until they are read.
    raise ValueError('it holds values of no bytes')
  return stream.tell() + math.prod(shape) * dtype.itemsize


def open_file(path: str | os.PathLike) -> BinaryIO:
  """Opens an ordinary file to read its bytes.

  A pipe would keep its reader waiting, and a device may never end.

  Raises:
    OSError: it cannot be opened, or is something else.
  """
  # Without this flag, to open a pipe would wait already.
  number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
  try:
    _check_kind(path, os.fstat(number), folder=False)
  except BaseException:
    os.close(number)
    raise
  return os.fdopen(number, 'rb')


def read_bytes(path: str | os.PathLike) -> bytes:
  """Returns the bytes of an ordinary file; errors are those of `open_file`."""
  with open_file(path) as file:
    return file.read()


def check_ordinary(path: str | os.PathLike) -> None:
  """Refuses a path at which there is neither an ordinary file nor a folder.

  It is for libraries that open files by name. Whether there is anything, they
  say themselves.

  Raises:
    OSError: there is something else.
  """
  with contextlib.suppress(FileNotFoundError):
    _check_kind(path, os.stat(path), folder=True)


def _check_kind(path, there: os.stat_result, *, folder: bool) -> None:
  if stat.S_ISDIR(there.st_mode):
    if not folder:
      reason = os.strerror(errno.EISDIR)
      raise IsADirectoryError(errno.EISDIR, reason, os.fspath(path))
  elif not stat.S_ISREG(there.st_mode):
    reason = 'it is a pipe or a device, no file'
    raise OSError(errno.EINVAL, reason, os.fspath(path))


def check_image(data: bytes, name: str) -> bool:
  """Refuses a large image by its header, before it is decoded.

  Args:
    data: content of the file.
    name: of the file, for messages; it may be empty.

  Returns:
    Whether it has the header of an image of a kind that `image_size` reads.

  Raises:
    ValueError: it has more pixels than the limit.
  """
  try:
    width, height = image_size(data)
  except (struct.error, IndexError, KeyError, OverflowError):
    return False
  check_pixels(width, height, name)
  return True


def check_pixels(width: int, height: int, name: str) -> None:
  """Refuses an image or a video by the size of its frames.

  Raises:
    ValueError: it has more pixels than the limit.
  """
  if width * height > LARGEST_IMAGE:
    raise ValueError(
      f'{name} claims {width} x {height} pixels; the limit is'
      f' {LARGEST_IMAGE / 1e6:.0f} million pixels'.lstrip()
    )


def image_size(data: bytes) -> tuple[int, int]:
  """Reads width and height of a JPEG, PNG, BMP, TIFF, WebP or GIF.

  Raises:
    KeyError, IndexError, OverflowError, struct.error: it has no such header.
  """
  if data.startswith(b'\x89PNG\r\n\x1a\n'):
    return struct.unpack_from('>II', data, 16)
  if data.startswith(b'\xff\xd8'):
    return _jpeg_size(data)
  if data.startswith(b'BM'):
    if struct.unpack_from('<I', data, 14)[0] == 12:  # Of OS/2.
      return struct.unpack_from('<HH', data, 18)
    # A negative height says that the first row is the top.
    width, height = struct.unpack_from('<ii', data, 18)
    return abs(width), abs(height)
  if data.startswith((b'GIF87a', b'GIF89a')):
    return struct.unpack_from('<HH', data, 6)
  if data.startswith(b'RIFF') and data[8:12] == b'WEBP':
    return _webp_size(data)
  return _tiff_size(data)


def _jpeg_size(data: bytes) -> tuple[int, int]:
  """Goes from segment to segment until the one that begins the frame."""
  at = 2
  while True:
    while data[at] == 0xFF:  # Any number of them may come before a marker.
      at += 1
    marker = data[at]
    # All but DHT, JPG and DAC of this range begin a frame.
    if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
      height, width = struct.unpack_from('>HH', data, at + 4)
      return width, height
    at += 1
    # 0 is no marker, and the others here stand alone.
    if marker > 0x01 and not 0xD0 <= marker <= 0xD7:
      at += struct.unpack_from('>H', data, at)[0]
    at = data.find(b'\xff', at)
    if at < 0:
      raise KeyError('no frame')


def _webp_size(data: bytes) -> tuple[int, int]:
  kind = data[12:16]
  if kind == b'VP8 ':
    width, height = struct.unpack_from('<HH', data, 26)
    return width & 0x3FFF, height & 0x3FFF
  if kind == b'VP8L':
    bits = struct.unpack_from('<I', data, 21)[0]
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
  if kind == b'VP8X':
    width, height = (data[i : i + 3] for i in (24, 27))
    return tuple(int.from_bytes(x, 'little') + 1 for x in (width, height))
  raise KeyError(kind)


def _tiff_size(data: bytes) -> tuple[int, int]:
  """Reads the tags 256 and 257 of the first directory of a TIFF or BigTIFF."""
  order = {b'II': '<', b'MM': '>'}[data[:2]]
  version = struct.unpack_from(f'{order}H', data, 2)[0]
  # Types of the directory's place and of its length; bytes of an entry, and
  # place of the value in it.
  start, place, count, step, value = {
    42: (4, 'I', 'H', 12, 8), 43: (8, 'Q', 'Q', 20, 12)
  }[version]  # fmt: skip
  at = struct.unpack_from(order + place, data, start)[0]
  entries = struct.unpack_from(order + count, data, at)[0]
  at += struct.calcsize(order + count)
  found = {}
  for entry in range(at, min(at + step * entries, len(data)), step):
    tag, kind = struct.unpack_from(f'{order}HH', data, entry)
    if tag in (256, 257):
      form = {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}[kind]
      size = struct.unpack_from(order + form, data, entry + value)[0]
      # Of two that differ, decoders take the first or the last.
      found[tag] = max(size, found.get(tag, 0))
  return found[256], found[257]
