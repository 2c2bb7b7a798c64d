"""Image files with the fields that OpenCV does not write."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def with_sbit(data: bytes, bits: int) -> bytes:
  """Returns a grey PNG that says how many of its bits are used."""
  body = b'sBIT' + bytes([bits])
  chunk = struct.pack('>I', 1) + body + struct.pack('>I', zlib.crc32(body))
  return data[:33] + chunk + data[33:]


def tiff(image: np.ndarray, order: str, **tags: int) -> bytes:
  """Returns a grey TIFF without compression, with further short tags."""
  rows, columns = image.shape
  size = image.dtype.itemsize
  pixels = image.astype(f'{order}u{size}').tobytes()
  entries = {
    256: columns, 257: rows, 258: 8 * size, 259: 1, 262: 1, 273: 8, 277: 1,
    278: rows, 279: len(pixels),
  } | {int(key[1:]): value for key, value in tags.items()}  # fmt: skip
  head = (b'II' if order == '<' else b'MM') + struct.pack(
    f'{order}HI', 42, 8 + len(pixels)
  )
  table = struct.pack(f'{order}H', len(entries))
  for tag, value in sorted(entries.items()):
    table += struct.pack(f'{order}HHIHH', tag, 3, 1, value, 0)
  return head + pixels + table + struct.pack(f'{order}I', 0)


def turned_for(orientation: int, image: np.ndarray) -> np.ndarray:
  """Returns the image that a file with this orientation must hold."""
  # TIFF 6.0: how the rows and columns of the file lie in the scene.
  store = {
    1: lambda i: i,
    2: lambda i: i[:, ::-1],
    3: lambda i: i[::-1, ::-1],
    4: lambda i: i[::-1],
    5: lambda i: i.swapaxes(0, 1),
    6: lambda i: i.swapaxes(0, 1)[::-1],
    7: lambda i: i[::-1, ::-1].swapaxes(0, 1),
    8: lambda i: i.swapaxes(0, 1)[:, ::-1],
  }[orientation]
  return np.ascontiguousarray(store(image))


def with_orientation(data: bytes, suffix: str, orientation: int) -> bytes:
  """Returns an image file that says how it lies."""
  entry = struct.pack('<HHHIHH', 1, 0x0112, 3, 1, orientation, 0)
  exif = b'II*\0' + struct.pack('<I', 8) + entry + struct.pack('<I', 0)
  if suffix == '.jpg':
    body = b'Exif\0\0' + exif
    mark = b'\xff\xe1' + struct.pack('>H', len(body) + 2)
    return data[:2] + mark + body + data[2:]
  body = b'eXIf' + exif
  check = struct.pack('>I', zlib.crc32(body))
  return data[:33] + struct.pack('>I', len(exif)) + body + check + data[33:]
