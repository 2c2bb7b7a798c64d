"""Decodes the frames of a clip, from its image files or its video.

A file with a fault raises ValueError with its name: such a clip cannot be used,
and the caller records why.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
from fractions import Fraction
import itertools
import pathlib

import cv2
from jaxtyping import Num
from jaxtyping import UInt8
import numpy as np

from mejax import limits
from mejax.corpora import cells
from mejax.corpora import complaints
from mejax.corpora import containers
from mejax.corpora import decoder_log
from mejax.corpora import depth as depth_lib
from mejax.corpora import pixel_shape
from mejax.corpora.clip import Clip
from mejax.corpora.depth import Depth

NOT_UTF8 = 'its path is not UTF-8: rename the file or folder'
_PIECE = 1 << 20
# Attempts behind the last frame, and number of frames that are believed: some
# containers claim absurd numbers.
_FAILURES, _MOST = 8, 100_000
# Frames of a video that are decoded in one go.
_AT_ONCE = 8
# Grey and 16 bits stay, alpha is dropped, and the orientation that a camera
# notes in the file is obeyed.
_AS_SEEN = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH


def decode(
  clip: Clip, numbers: Sequence[int], *, depth: Depth | None = None
) -> list[UInt8[np.ndarray, 'h w 3']]:
  """Decodes the frames with these numbers to RGB, in the given order.

  Grey becomes RGB, 16 bits per channel become 8, alpha is dropped, an image or
  video is turned and mirrored as its file says, pixels that are not square are
  stretched (see `pixel_shape`), and then frames are turned as the clip says;
  all places in frames are those of the result. A video is decoded from its
  first frame on, since seeking misses the frame in many videos.

  Args:
    clip: the clip.
    numbers: frame numbers.
    depth: what `find_depth` returned for the clip; without it, 16-bit files are
      read twice.

  Raises:
    ValueError: a frame is missing, empty, cut off or no image, a video ends
      early or gives no picture, or the frames differ in size.
  """
  _check_known(clip, numbers)
  if clip.video is not None:
    place = dict(zip(clip.frame_numbers, clip.positions, strict=False))
    frames = _from_video(clip.video, [place.get(n, n) for n in numbers])
    names = [f'frame {number} of "{clip.video.name}"' for number in numbers]
  else:
    files = _files(clip, numbers)
    shapes, frames = [], []
    for file in files:
      shape, frame = _from_file(file)
      shapes.append(shape)
      frames.append(frame)
    if any(frame.dtype == np.uint16 for frame in frames):
      depth = depth or depth_lib.find(clip.frames, _decoded)
    frames = [
      pixel_shape.squared(_rgb(frame, f'"{file.name}"', depth), shape)
      for file, frame, shape in zip(files, frames, shapes, strict=True)
    ]
    names = [f'"{file.name}"' for file in files]
  for name, frame in zip(names, frames, strict=True):
    if frame.shape != frames[0].shape:
      (h, w, _), (h0, w0, _) = frame.shape, frames[0].shape
      raise ValueError(
        f'{name} has {w}x{h} pixels, {names[0]} has {w0}x{h0}; expected one '
        'size in a clip'
      )
  return [_turned(frame, clip) for frame in frames]


def stream(clip: Clip) -> Iterator[tuple[int, UInt8[np.ndarray, 'h w 3']]]:
  """Yields number and RGB of each frame, one after the other, as `decode` does.

  Only a few frames are in memory.

  Raises:
    ValueError: as `decode`, when the frame is reached.
  """
  if clip.video is None:
    depth = find_depth(clip)
    for number in clip.frame_numbers:
      yield number, decode(clip, [number], depth=depth)[0]
    return
  places = clip.positions or clip.frame_numbers
  numbers = dict(zip(places, clip.frame_numbers, strict=True))
  pictures = _pictures(clip.video, numbers)
  while True:
    # Some at a time, since what others print is held back meanwhile.
    with decoder_log.listening() as said:
      piece = list(itertools.islice(pictures, _AT_ONCE))
    if problem := decoder_log.problem(said, clip.video.name):
      raise ValueError(problem)
    if not piece:
      return
    for place, image in piece:
      yield numbers[place], _turned(image, clip)


def some(
  clip: Clip, wanted: Collection[int]
) -> Iterator[tuple[int, UInt8[np.ndarray, 'h w 3']]]:
  """Yields number and RGB of some frames of a clip, in order.

  A video is decoded no farther than the frame that is asked for.

  Raises:
    ValueError: as `decode`, when the frame is reached.
  """
  if clip.video is None:
    for number in sorted(wanted):
      yield number, decode(clip, [number])[0]
    return
  left = set(wanted)
  for number, image in stream(clip):
    if number in left:
      left.remove(number)
      yield number, image
    if not left:
      return


def find_depth(clip: Clip) -> Depth | None:
  """Finds the bits per channel of a clip of 16-bit files; None for others.

  Raises:
    ValueError: its first frame cannot be decoded.
  """
  first = clip.frames[:1]
  if not _is_deep(first) or _from_file(*first)[1].dtype != np.uint16:
    return None
  return depth_lib.find(clip.frames, _decoded)


def stretching(clip: Clip) -> str:
  """Returns a note on pixels that are not square; '' if they are.

  Raises:
    ValueError: its first frame cannot be decoded, or its video not be opened.
  """
  if clip.video is None:
    if pixel_shape.is_square(_bytes_of(clip.frames[0])):
      return ''
    shape, frame = _from_file(clip.frames[0])
    return pixel_shape.note(*frame.shape[1::-1], shape)
  with decoder_log.listening(), _opened(clip.video) as capture:
    return pixel_shape.note(*_sides(capture), pixel_shape.of_video(capture))


def mirroring(clip: Clip) -> str:
  """Returns a note on a video that is mirrored as it says; '' on others."""
  if clip.video is None or not containers.is_mirrored(clip.video):
    return ''
  return 'its frames are mirrored, as its file says and players show them'


def raw(clip: Clip, numbers: Sequence[int]) -> Iterator[bytes]:
  """Yields the bytes that `decode` reads: of the files, or of the whole video.

  Of 16-bit files all are read, since the largest value decides their depth.

  Raises:
    ValueError: a frame is missing.
  """
  _check_known(clip, numbers)
  files = _files(clip, numbers) if clip.video is None else [clip.video]
  if clip.video is None and _is_deep(files):
    files = clip.frames
  for file in files:
    try:
      with limits.open_file(file) as stream:
        while piece := stream.read(_PIECE):
          yield piece
    except OSError as error:
      raise _unreadable(file, error) from error


def _turned(
  image: UInt8[np.ndarray, 'h w 3'], clip: Clip
) -> UInt8[np.ndarray, 'a b 3']:
  return np.ascontiguousarray(np.rot90(image, clip.turn // 90))


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


def _is_deep(files: Sequence[pathlib.Path]) -> bool:
  """Returns whether one of the files may have 16 bits per channel."""
  for file in files:
    try:
      with limits.open_file(file) as stream:
        if depth_lib.is_deep(stream.read(depth_lib.HEAD)):
          return True
    except OSError:
      pass  # Who needs the file will tell.
  return False


def _unreadable(file: pathlib.Path, error: OSError) -> ValueError:
  reason = error.strerror or error
  return ValueError(f'"{file.name}" cannot be read ({reason})')


def _bytes_of(file: pathlib.Path) -> bytes:
  try:
    return limits.read_bytes(file)
  except OSError as error:
    raise _unreadable(file, error) from error


def _from_file(
  file: pathlib.Path,
) -> tuple[Fraction, Num[np.ndarray, '...']]:
  """Returns the shape of its pixels, and the image."""
  # OpenCV does not open every path on every system, but takes bytes anywhere.
  data = _bytes_of(file)
  if not data:
    raise ValueError(f'"{file.name}" is an empty file; expected an image')
  image, complaint = None, ''
  if limits.check_image(data, f'"{file.name}"'):
    image, complaint = complaints.heard(_decoded, data)
  if image is None:
    raise ValueError(
      f'"{file.name}" ({len(data)} bytes) is damaged or no image'
      + f': {complaint}' * bool(complaint)
    )
  if complaint:
    raise ValueError(f'"{file.name}" is damaged: {complaint}')
  return pixel_shape.of_image(data, image), image


def _decoded(data: bytes) -> Num[np.ndarray, '...'] | None:
  """Decodes an image file; None if it is damaged or something else."""
  if not _is_whole(data):
    return None
  try:
    return cv2.imdecode(np.frombuffer(data, np.uint8), _AS_SEEN)
  except cv2.error:
    return None


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
  image: Num[np.ndarray, '...'], name: str, depth: Depth | None = None
) -> UInt8[np.ndarray, 'h w 3']:
  """Converts an image of OpenCV to 8-bit RGB."""
  if image.dtype == np.uint16:
    image = depth_lib.to_bytes(image, depth.bits if depth else 16)
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
  """Decodes frames of a video by their positions, counted from 0."""
  with decoder_log.listening() as said:
    found = dict(_pictures(file, set(numbers)))
  if problem := decoder_log.problem(said, file.name):
    raise ValueError(problem)
  return [found[number] for number in numbers]


def _pictures(
  file: pathlib.Path, wanted: Collection[int]
) -> Iterator[tuple[int, UInt8[np.ndarray, 'h w 3']]]:
  """Yields position and RGB of the frames at some positions, in order."""
  with _opened(file) as capture:
    limits.check_pixels(*_sides(capture), f'"{file.name}"')
    shape = pixel_shape.of_video(capture)
    axis = _mirror_axis(capture, file)
    number, last = 0, max(wanted, default=-1)
    for is_there in grab_all(capture):
      if number > last:
        break
      if is_there and number in wanted:
        # To count on after a failure would give the next frame its number.
        has_picture, image = capture.retrieve()
        if not has_picture:
          raise ValueError(
            f'"{file.name}" gives no picture of frame {number}, counted from 0'
          )
        image = _rgb(image, f'"{file.name}"')
        if axis is not None:
          image = np.ascontiguousarray(np.flip(image, axis))
        yield number, pixel_shape.squared(image, shape)
      number += is_there
    if number <= last:
      raise ValueError(
        f'"{file.name}" ends after {number} frames; expected frame {last}, '
        'counted from 0'
      )


@contextlib.contextmanager
def _opened(file: pathlib.Path) -> Iterator[cv2.VideoCapture]:
  """Opens a video, and closes it in the end."""
  if not cells.is_utf8(str(file)):
    raise ValueError(NOT_UTF8)  # OpenCV would end the process.
  if not file.is_file():
    raise ValueError(f'"{file.name}" is missing')
  capture = cv2.VideoCapture(str(file))
  try:
    if not capture.isOpened():
      size = file.stat().st_size
      raise ValueError(f'"{file.name}" ({size} bytes) is damaged or no video')
    yield capture
  finally:
    capture.release()


def _mirror_axis(capture: cv2.VideoCapture, file: pathlib.Path) -> int | None:
  """Returns the axis along which frames must be flipped; None for most.

  A mirror and a turn are the turn of frames that were flipped top to bottom.
  OpenCV gives them turned, and so the flip has to be turned too.
  """
  turn = capture.get(cv2.CAP_PROP_ORIENTATION_META)
  is_obeyed = capture.get(cv2.CAP_PROP_ORIENTATION_AUTO)
  if not (is_obeyed and containers.is_mirrored(file)):
    return None
  return 1 if turn % 180 else 0


def _sides(capture: cv2.VideoCapture) -> tuple[int, int]:
  width = capture.get(cv2.CAP_PROP_FRAME_WIDTH)
  return int(width), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))


def grab_all(capture: cv2.VideoCapture) -> Iterator[bool]:
  """Grabs the frames of a video one by one, and passes over damaged ones.

  Yields:
    True for a frame that can be retrieved, False for a damaged one; behind the
    end some more False.
  """
  claimed = min(capture.get(cv2.CAP_PROP_FRAME_COUNT), _MOST)
  tries, failed = 0, 0
  while failed < _FAILURES or tries < claimed:
    is_there = capture.grab()
    failed = 0 if is_there else failed + 1
    tries += 1
    yield is_there
