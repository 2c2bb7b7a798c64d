"""Catches what native decoders print, which is how they tell of lost pictures.

OpenCV says that a picture is there even if FFmpeg could not convert it: the
array then holds an earlier picture, or whatever lay in that memory. Interlaced
frames are such pictures. FFmpeg tells of it on the standard error and nowhere
else, where it would also break into the user's progress bars.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import os
import re
import tempfile
import threading

from mejax.corpora import fields

# A part of FFmpeg with its address, or a line of OpenCV's own log. FFmpeg may
# put the end of a sentence on a line of its own.
_FROM = re.compile(
  r'^(\[[\w,.:/ ]+ @ 0x[0-9a-f]+\] ?|\[ *[A-Z]+:\d+@[\d.]+\] ?|'
  r'\[OPENCV:FFMPEG:\d+\] ?| \([A-Z][\w ]+\): fmt:)'
)
_CONVERTER = re.compile('swscaler|Cannot convert')
# With one of these OpenCV prints FFmpeg's errors on the standard output, or
# none at all. It reads them before its first video.
for _name in ('OPENCV_FFMPEG_LOGLEVEL', 'OPENCV_FFMPEG_DEBUG'):
  os.environ.pop(_name, None)

_one_at_a_time = threading.RLock()


@contextlib.contextmanager
def listening(
  is_ours: Callable[[str], object] = _FROM.match,
) -> Iterator[list[str]]:
  """Catches the standard error; after the block the list has decoders' lines.

  What anybody else has printed meanwhile is printed after the block.

  Args:
    is_ours: whether a line is of the decoder; by default FFmpeg's and OpenCV's.
  """
  said: list[str] = []
  with _one_at_a_time, tempfile.TemporaryFile() as file:
    try:
      before = os.dup(2)
    except OSError:  # This process has no standard error.
      before = None
    os.dup2(file.fileno(), 2)
    try:
      yield said
    finally:
      if before is None:
        os.close(2)
      else:
        os.dup2(before, 2)
        os.close(before)
      file.seek(0)
      lines = file.read().decode(errors='replace').splitlines(keepends=True)
      said += [line.rstrip() for line in lines if is_ours(line)]
      others = ''.join(line for line in lines if not is_ours(line))
      if others and before is not None:
        os.write(2, others.encode())


def problem(said: Sequence[str], name: str) -> str:
  """Returns why the pictures of a video cannot be relied on; '' if they can.

  Args:
    said: lines of its decoder.
    name: of its file.
  """
  lost = [line for line in said if _CONVERTER.search(line)]
  if any('interlaced' in line for line in lost):
    return f'"{name}" {fields.INTERLACED.format(name=name)}'
  if lost:
    return f'"{name}" gives pictures that are none: {complaint(lost)}'
  return ''


def complaint(said: Sequence[str]) -> str:
  """Returns the lines as one sentence; '' if there are none."""
  lines = [_FROM.sub('', line).strip() for line in said]
  lines = [line for line in lines if line]
  if not lines:
    return ''
  more = f', and {len(lines) - 1} more' if len(lines) > 1 else ''
  return f'its decoder says: {lines[0][:120]}{more}'
