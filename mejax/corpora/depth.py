"""Finds how many bits the pixels of a clip really have.

Cameras of 10, 12 or 14 bits fill the low bits of 16-bit files. Such a file says
at most how many bits it might have, so the largest value of the clip decides.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import itertools
import pathlib
import struct

from jaxtyping import Num
from jaxtyping import UInt8
import numpy as np

from mejax import limits

# Bits that cameras and files have.
_PLAUSIBLE = (8, 10, 12, 14, 16)
_MAX_SAMPLE_VALUE = 281
# Bytes at the start of a file that tell whether it may have 16 bits.
HEAD = 32


@dataclasses.dataclass(frozen=True)
class Depth:
  """The depth of a clip, one for all its frames.

  Attributes:
    bits: bits of a pixel.
    note: how they were found; '' if nothing is unusual.
  """

  bits: int
  note: str = ''


def is_deep(head: bytes) -> bool:
  """Returns whether a file that begins so may have 16 bits per channel."""
  if head.startswith(b'\x89PNG'):
    return head[24:25] == b'\x10'
  return head.startswith((b'II', b'MM'))


def find(
  files: Iterable[pathlib.Path],
  read: Callable[[bytes], Num[np.ndarray, '...'] | None],
) -> Depth:
  """Finds the depth of the 16-bit files of a clip.

  It is the number of bits that the first file gives, if all values fit, and
  otherwise the next plausible number.

  Args:
    files: all image files of the clip.
    read: decodes a file's bytes; None if that is impossible.
  """
  largest, count, given = 0, 0, None
  for file in files:
    try:
      data = limits.read_bytes(file)
    except OSError:
      continue  # The caller tells about files that it needs.
    image = read(data) if is_deep(data[:HEAD]) else None
    if image is None or image.dtype != np.uint16:
      continue
    if given is None:
      given = _given(data)
    largest, count = max(largest, int(image.max())), count + 1
  if given and largest < 2**given:
    bits = given
  else:
    bits = next(bits for bits in _PLAUSIBLE if largest < 2**bits)
  if bits == 16:
    return Depth(16)
  if bits == given:
    return Depth(bits, f'its 16-bit files say that {bits} bits are used')
  return Depth(
    bits,
    f'{bits} bits are taken for full: {largest} is the largest value in its '
    f'{count} frames of 16 bits',
  )


def to_bytes(
  image: Num[np.ndarray, '...'], bits: int
) -> UInt8[np.ndarray, '...']:
  """Scales pixels of that many bits to 8."""
  full = np.float32((2**bits - 1) / 255)
  return np.rint(image / full).clip(0, 255).astype(np.uint8)


def _given(data: bytes) -> int | None:
  """Returns the number of bits that a file gives; None if it gives none."""
  try:
    given = _of_png(data) if data.startswith(b'\x89PNG') else _of_tiff(data)
  except (struct.error, IndexError):  # The file is cut off.
    return None
  return given if given in range(8, 16) else None


def _of_png(data: bytes) -> int | None:
  """Returns the largest number of the chunk `sBIT`."""
  at = data.find(b'sBIT', 0, data.find(b'IDAT'))
  if at < 0:
    return None
  (length,) = struct.unpack_from('>I', data, at - 4)
  return max(data[at + 4 : at + 4 + min(length, 3)])


def _of_tiff(data: bytes) -> int | None:
  """Returns the bits of the tag MaxSampleValue of the first image."""
  order = '<' if data.startswith(b'II') else '>'
  version, start = struct.unpack_from(f'{order}HI', data, 2)
  if version != 42:
    return None
  (entries,) = struct.unpack_from(f'{order}H', data, start)
  for at in itertools.islice(itertools.count(start + 2, 12), entries):
    tag, kind, count = struct.unpack_from(f'{order}HHI', data, at)
    if tag == _MAX_SAMPLE_VALUE and kind == 3:
      # Values that fit into four bytes stand in the entry.
      if count > 2:
        (at,) = struct.unpack_from(f'{order}I', data, at + 8)
        at -= 8
      (value,) = struct.unpack_from(f'{order}H', data, at + 8)
      return value.bit_length()
  return None
