"""Decodes the frames of a clip, from its image files or its video.

A file with a fault raises ValueError with its name: such a clip cannot be used,
and the caller records why.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import pathlib

import cv2
from jaxtyping import Num
from jaxtyping import UInt8
import numpy as np

from mejax import limits
from mejax.corpora.clip import Clip

_PIECE = 1 << 20


def decode(
  clip: Clip, numbers: Sequence[int]
) -> list[UInt8[np.ndarray, 'h w 3']]:
  """Decodes the frames with these numbers to RGB, in the given order.

  Grey becomes RGB, 16 bits per channel become 8, alpha is dropped. A video is
  decoded from its first frame on, since seeking misses the frame in many
  videos.

  Raises:
    ValueError: a frame is missing, empty, cut off or no image, a video ends
      early, or the frames differ in size.
  """
  _check_known(clip, numbers)
  if clip.video is not None:
    frames = _from_video(clip.video, numbers)
    names = [f'frame {number} of "{clip.video.name}"' for number in numbers]
  else:
    files = _files(clip, numbers)
    frames = [_from_file(file) for file in files]
    names = [f'"{file.name}"' for file in files]
  for name, frame in zip(names, frames, strict=True):
    if frame.shape != frames[0].shape:
      (h, w, _), (h0, w0, _) = frame.shape, frames[0].shape
      raise ValueError(
        f'{name} has {w}x{h} pixels, {names[0]} has {w0}x{h0}; expected one '
        'size in a clip'
      )
  return frames


def raw(clip: Clip, numbers: Sequence[int]) -> Iterator[bytes]:
  """Yields the bytes that `decode` reads: of the files, or of the whole video.

  Raises:
    ValueError: a frame is missing.
  """
  _check_known(clip, numbers)
  files = _files(clip, numbers) if clip.video is None else [clip.video]
  for file in files:
    try:
      with file.open('rb') as stream:
        while piece := stream.read(_PIECE):
          yield piece
    except OSError as error:
      raise _unreadable(file, error) from error


def _check_known(clip: Clip, numbers: Sequence[int]) -> None:
  known = set(clip.frame_numbers)
  for number in numbers:
    if number not in known:
      there = (
        f'there are {len(known)} frames from {min(known)} to {max(known)}'
        if known
        else 'it has no frames'
      )
      raise ValueError(f'frame {number} is missing; {there}')


def _files(clip: Clip, numbers: Sequence[int]) -> list[pathlib.Path]:
  files = dict(zip(clip.frame_numbers, clip.frames, strict=True))
  return [files[number] for number in numbers]


def _unreadable(file: pathlib.Path, error: OSError) -> ValueError:
  reason = error.strerror or error
  return ValueError(f'"{file.name}" cannot be read ({reason})')


def _from_file(file: pathlib.Path) -> UInt8[np.ndarray, 'h w 3']:
  # OpenCV does not open every path on every system, but takes bytes anywhere.
  try:
    data = file.read_bytes()
  except OSError as error:
    raise _unreadable(file, error) from error
  if not data:
    raise ValueError(f'"{file.name}" is an empty file; expected an image')
  image = None
  if limits.check_image(data, f'"{file.name}"') and _is_whole(data):
    try:
      buffer = np.frombuffer(data, np.uint8)
      image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    except cv2.error:
      pass
  if image is None:
    raise ValueError(
      f'"{file.name}" ({len(data)} bytes) is damaged or no image'
    )
  return _rgb(image, f'"{file.name}"')


def _is_whole(data: bytes) -> bool:
  """Returns False for an image cut off, which decoders would fill with grey."""
  if data.startswith(b'\xff\xd8'):
    # A JPEG's end comes after its last scan; neither mark occurs in a scan.
    return data.rfind(b'\xff\xd9') > data.rfind(b'\xff\xda')
  if data.startswith(b'\x89PNG'):
    return b'IEND' in data
  if data.startswith(b'BM'):
    size = int.from_bytes(data[2:6], 'little')
    return len(data) >= size
  return True


def _rgb(
  image: Num[np.ndarray, '...'], name: str
) -> UInt8[np.ndarray, 'h w 3']:
  """Converts an image of OpenCV to 8-bit RGB."""
  if image.dtype == np.uint16:
    image = np.rint(image / np.float32(257)).astype(np.uint8)
  if image.dtype != np.uint8:
    raise ValueError(
      f'{name} has values of type {image.dtype}; expected 8 or 16 bits'
    )
  if image.ndim == 2 or image.shape[-1] < 3:
    grey = image if image.ndim == 2 else image[..., 0]
    return np.repeat(grey[..., None], 3, axis=-1)
  return np.ascontiguousarray(image[..., 2::-1])


def _from_video(
  file: pathlib.Path, numbers: Sequence[int]
) -> list[UInt8[np.ndarray, 'h w 3']]:
  """Decodes frames of a video, numbered from 0."""
  if not file.is_file():
    raise ValueError(f'"{file.name}" is missing')
  capture = cv2.VideoCapture(str(file))
  try:
    if not capture.isOpened():
      size = file.stat().st_size
      raise ValueError(f'"{file.name}" ({size} bytes) is damaged or no video')
    limits.check_pixels(
      int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
      int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
      f'"{file.name}"',
    )
    wanted = set(numbers)
    found = {}
    for number in range(max(wanted, default=-1) + 1):
      is_there = capture.grab()
      image = None
      if is_there and number in wanted:
        is_there, image = capture.retrieve()
      if not is_there:
        raise ValueError(
          f'"{file.name}" ends after {number} frames; expected frame '
          f'{max(wanted)}, counted from 0'
        )
      if image is not None:
        found[number] = _rgb(image, f'"{file.name}"')
  finally:
    capture.release()
  return [found[number] for number in numbers]
