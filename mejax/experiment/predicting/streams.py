"""Opens what shows frames one after the other: a camera, or a recorded stream.

A recorded stream takes the place of a camera, and is looked at in the same way:
whoever takes its frames sees none before its time.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import pathlib
import queue
import threading
import time

import cv2
from jaxtyping import UInt8
import numpy as np

from mejax.corpora import decode
from mejax.corpora import recordings as recordings_lib
from mejax.experiment.spotting import recordings as spotting
from mejax.experiment.spotting import remarks
from mejax.experiment.spotting import turning
from mejax.motion import detection
from mejax.motion.spotting.tracks import Frames

# Frames that a camera needs to set its light, and those whose rate is measured.
_SETTLING, _MEASURED = 5, 20
# Frames a second of a camera, at most, and the share by which what it tells may
# differ from what comes.
_FASTEST, _NEAR = 240.0, 0.1
# Seconds of frames that wait while the last ones are worked on.
_WAITING = 4.0
# Attempts to get a picture of a camera.
_ATTEMPTS = 20


@dataclasses.dataclass(frozen=True)
class Stream:
  """Frames that come one after the other.

  Attributes:
    name: for tables and titles.
    fps: frames a second.
    frames: number and RGB of each; numbers are missing where frames are.
    is_live: whether nobody can make it wait.
    remarks: sentences on it.
  """

  name: str
  fps: float
  frames: Frames
  is_live: bool
  remarks: tuple[str, ...] = ()


def open_stream(
  camera: int | str | pathlib.Path, *, fps: float | int | None = None
) -> Stream:
  """Opens a camera by its number, or a video or folder of frames by its path.

  Raises:
    FileNotFoundError: there is no such path.
    OSError: the camera cannot be opened, or gives no picture.
    ValueError: the path is no recording, it has no frame rate and `fps` is not
      given, or `fps` is out of bounds.
  """
  if fps is not None and not 0 < fps < 10_000:
    raise ValueError(f'fps is {fps}; expected frames a second, above 0')
  if str(camera).isdecimal():
    return _camera(int(camera), fps)
  found = recordings_lib.find([pathlib.Path(camera)])
  if len(found) != 1:
    raise ValueError(f'{camera} holds {len(found)} recordings; expected one')
  content = found[0].content
  rate = float(fps) if fps else content.fps
  problem = content.problem
  if not problem and rate is None:
    problem = 'it has no frame rate: give the frames a second (--fps)'
  if problem:
    raise ValueError(f'{found[0].name}: {problem}')
  clip = turning.turned_back(spotting.clip_of(found[0], rate), detection.detect)
  return Stream(
    found[0].name,
    rate,
    decode.stream(clip),
    is_live=False,
    remarks=(*content.remarks, *remarks.on_turn(clip.turn)),
  )


def _camera(
  number: int,
  fps: float | int | None,
  clock: Callable[[], float] = time.monotonic,
) -> Stream:
  capture = cv2.VideoCapture(number)
  if not capture.isOpened():
    raise OSError(
      f'camera {number} cannot be opened: is it connected, free, and may this'
      ' program use it? The first one is 0, on most systems'
    )
  rate = float(fps) if fps else _rate(number, capture, clock)
  frames = _ahead(_numbered(capture, rate, clock), round(_WAITING * rate))
  return Stream(f'camera {number}', rate, frames, is_live=True)


def _rate(number: int, capture, clock: Callable[[], float]) -> float:
  """Measures the frames a second: many cameras tell another number."""
  for _ in range(_SETTLING):
    if _taken(capture) is None:
      raise OSError(f'camera {number} gives no picture')
  begun = clock()
  for _ in range(_MEASURED):
    _taken(capture)
  measured = _MEASURED / max(clock() - begun, 1e-6)
  told = float(capture.get(cv2.CAP_PROP_FPS))
  if abs(measured - told) <= _NEAR * told:
    return told
  return round(min(measured, _FASTEST), 1)


def _taken(capture) -> UInt8[np.ndarray, 'h w 3'] | None:
  """Returns the next frame in RGB; None if there is none any more."""
  for _ in range(_ATTEMPTS):
    is_there, image = capture.read()
    if is_there:
      return np.ascontiguousarray(image[..., ::-1])
  return None


def _numbered(
  capture, fps: float, clock: Callable[[], float]
) -> Iterator[tuple[int, UInt8[np.ndarray, 'h w 3']]]:
  """Yields frames, numbered by the time at which they come."""
  begun, number = None, -1
  try:
    while (image := _taken(capture)) is not None:
      now = clock()
      begun = now if begun is None else begun
      # Two that come close together are not one.
      number = max(number + 1, round((now - begun) * fps))
      yield number, image
  finally:
    capture.release()


def _ahead(frames: Iterable, most: int) -> Iterator:
  """Yields what another thread takes meanwhile, so that little is lost."""
  waiting: queue.Queue = queue.Queue(maxsize=max(most, 1))
  ended = threading.Event()
  nothing = object()

  def put(one) -> None:
    while not ended.is_set():
      try:
        waiting.put(one, timeout=0.1)
        return
      except queue.Full:
        continue

  def take() -> None:
    fault = None
    try:
      for one in frames:
        put((one, None))
        if ended.is_set():
          break
    except Exception as error:  # Whatever it is, the other thread raises it.
      fault = error
    finally:
      frames.close()
    put((nothing, fault))

  thread = threading.Thread(target=take, daemon=True)
  thread.start()
  try:
    while True:
      one, fault = waiting.get()
      if fault:
        raise fault
      if one is nothing:
        return
      yield one
  finally:
    ended.set()
    thread.join(timeout=2)
