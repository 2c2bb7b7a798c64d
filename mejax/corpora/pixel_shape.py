"""Makes the pixels of frames square.

Video for television and some lenses has pixels that are wider or higher than
they should look, and so have images that were made from it. The file says by
how much, and a player stretches the picture. Unstretched, faces are too slim
and motion along one axis too short.
"""

from __future__ import annotations

from fractions import Fraction
import struct

import cv2
from jaxtyping import Num
import numpy as np

from mejax import limits

# Shapes beyond these bounds are faults of a header, and those near 1 are
# roundings of it.
_MOST, _NEAR = 4, 0.01
_SQUARE = Fraction(1)


def of_video(capture: cv2.VideoCapture) -> Fraction:
  """Returns width over height of the pixels that a video gives."""
  shape = _plausible(
    capture.get(cv2.CAP_PROP_SAR_NUM), capture.get(cv2.CAP_PROP_SAR_DEN)
  )
  turned = capture.get(cv2.CAP_PROP_ORIENTATION_AUTO) and (
    capture.get(cv2.CAP_PROP_ORIENTATION_META) % 180
  )
  return 1 / shape if turned else shape


def of_image(data: bytes, image: Num[np.ndarray, 'h w ...']) -> Fraction:
  """Returns width over height of the pixels of an image.

  Args:
    data: its file, a JPEG, PNG, TIFF or BMP; of others the pixels are square.
    image: what it was decoded to, which may be turned.
  """
  if is_square(data):
    return _SQUARE
  shape = _of_header(data)
  turned = limits.image_size(data) != image.shape[1::-1]
  return 1 / shape if turned else shape


def is_square(data: bytes) -> bool:
  """Returns whether an image file has square pixels, or says nothing."""
  try:
    limits.image_size(data)
    return _of_header(data) == 1
  except (struct.error, IndexError, KeyError, OverflowError):
    return True


def squared(
  image: Num[np.ndarray, 'h w c'], shape: Fraction
) -> Num[np.ndarray, 'h2 w2 c']:
  """Stretches an image so that its pixels are square.

  Wide pixels stretch the width, high ones the height: nothing is shrunk, so
  that no motion is lost.
  """
  if shape == 1:
    return image
  height, width = image.shape[:2]
  width, height = size(width, height, shape)
  return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)


def size(width: int, height: int, shape: Fraction) -> tuple[int, int]:
  """Returns width and height after `squared`."""
  if shape > 1:
    return round(width * shape), height
  return width, round(height / shape)


def note(width: int, height: int, shape: Fraction) -> str:
  """Returns what a user should know of frames of that size; '' if nothing."""
  if shape == 1:
    return ''
  side = 'width' if shape > 1 else 'height'
  wide, high = size(width, height, shape)
  return (
    f'its pixels are not square ({shape.numerator}:{shape.denominator}): the '
    f'{side} of its frames is stretched, from {width}x{height} to {wide}x{high}'
  )


def _plausible(across: float | int, down: float | int) -> Fraction:
  """Returns the shape, or 1 if these numbers cannot be one."""
  if not (across > 0 and down > 0):
    return _SQUARE
  shape = (Fraction(across) / Fraction(down)).limit_denominator(1000)
  is_shape = 1 / _MOST <= shape <= _MOST and abs(shape - 1) > _NEAR
  return shape if is_shape else _SQUARE


def _of_header(data: bytes) -> Fraction:
  """Reads the shape, which is the inverse of the number of pixels a unit."""
  if data.startswith(b'\x89PNG'):
    at = data.find(b'pHYs', 0, data.find(b'IDAT'))
    if at < 0:
      return _SQUARE
    across, down, unit = struct.unpack_from('>IIB', data, at + 4)
    # Without a unit, FFmpeg writes the shape, against the standard; hardly
    # anybody else writes such files.
    return _plausible(down, across) if unit else _plausible(across, down)
  if data.startswith(b'\xff\xd8'):
    at = data.find(b'JFIF\0', 0, data.find(b'\xff\xda'))
    if at < 0:
      return _SQUARE
    unit, across, down = struct.unpack_from('>BHH', data, at + 7)
    # Without a unit the two numbers are the shape itself.
    return _plausible(down, across) if unit else _plausible(across, down)
  if data.startswith(b'BM'):
    across, down = struct.unpack_from('<ii', data, 38)
    return _plausible(down, across)
  if data.startswith((b'II*\0', b'MM\0*')):
    return _plausible(*reversed(_tiff_resolution(data)))
  return _SQUARE


def _tiff_resolution(data: bytes) -> tuple[float, float]:
  """Reads the tags XResolution and YResolution of the first image."""
  order = '<' if data.startswith(b'II') else '>'
  (at,) = struct.unpack_from(f'{order}I', data, 4)
  (entries,) = struct.unpack_from(f'{order}H', data, at)
  found = {282: 0.0, 283: 0.0}
  for entry in range(at + 2, min(at + 2 + 12 * entries, len(data)), 12):
    tag, kind = struct.unpack_from(f'{order}HH', data, entry)
    if tag in found and kind == 5:
      (place,) = struct.unpack_from(f'{order}I', data, entry + 8)
      number, unit = struct.unpack_from(f'{order}II', data, place)
      found[tag] = number / max(unit, 1)
  return found[282], found[283]
