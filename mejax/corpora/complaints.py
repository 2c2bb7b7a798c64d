"""Listens to what the image libraries print about damaged data.

libjpeg and libtiff fill what they cannot decode with grey and go on; OpenCV
then returns an image as if nothing had happened. The libraries only print it.
So the process's standard error is read while they decode.

What cannot be seen: a JPEG has no checksum, so that damage after which its
codes happen to fit again goes unnoticed (about a quarter of losses within a
file), and so does any damage of an uncompressed TIFF or BMP. A PNG has
checksums, and OpenCV refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
import os
import re
import tempfile
import threading
from typing import TypeVar

_JPEG = re.compile(rb'^(?:Corrupt JPEG data|Premature end of JPEG).*\n?', re.M)
_TIFF = re.compile(rb'^.*TIFF_Error.*\n?', re.M)
# Some cameras fill up the end of a file.
_PADDING = re.compile(
  rb'Corrupt JPEG data: (?:\d|1[0-6]) extraneous bytes before marker 0xd9\s*'
)
_STDERR = 2
_lock = threading.Lock()

Result = TypeVar('Result')


def heard(decode: Callable[[bytes], Result], data: bytes) -> tuple[Result, str]:
  """Returns what a decoder returns, and its complaint of damaged data or ''.

  What else is printed meanwhile is passed on.
  """
  if not data.startswith((b'\xff\xd8', b'II', b'MM')):
    return decode(data), ''
  # Standard error belongs to the process: one thread at a time.
  with _lock:
    try:
      kept = os.dup(_STDERR)
    except OSError:  # Nothing can be printed.
      return decode(data), ''
    with tempfile.TemporaryFile() as file:
      os.dup2(file.fileno(), _STDERR)
      try:
        result = decode(data)
      finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
        file.seek(0)
        said = file.read()
        others = _JPEG.sub(b'', _TIFF.sub(b'', said))
        if others:
          os.write(_STDERR, others)
  words = [match.group() for match in _JPEG.finditer(said)]
  words = [line for line in words if not _PADDING.fullmatch(line)]
  words += [
    match.group().partition(b'TIFF_Error')[2] for match in _TIFF.finditer(said)
  ]
  return result, words[0].decode(errors='replace').strip() if words else ''
