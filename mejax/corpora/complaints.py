"""Listens to what the image libraries print about damaged data.

libjpeg and libtiff fill what they cannot decode with grey and go on; OpenCV
then returns an image as if nothing had happened. The libraries only print it.
So the process's standard error is read while they decode.

What cannot be seen: a JPEG has no checksum. If its codes fit again after the
damage, give the right number of blocks and end where the scan ends, the file is
as valid as any other. Of losses within a file that is up to a sixth, of single
flipped bits more than half, mostly with little effect. Nor can damage of an
uncompressed TIFF or BMP be seen. A PNG has checksums, and OpenCV refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
import re
from typing import TypeVar

from mejax.corpora import decoder_log

_TOLD = re.compile(
  r'(?P<jpeg>(?:Corrupt JPEG data|Premature end of JPEG|Inconsistent progress'
  r'ion sequence).*)|.*?TIFF_Error(.*)|libpng error:(.*)'
)
# Some cameras fill up the end of a file.
_PADDING = re.compile(
  r'Corrupt JPEG data: (?:\d|1[0-6]) extraneous bytes before marker 0xd9\s*'
)
Result = TypeVar('Result')


def heard(decode: Callable[[bytes], Result], data: bytes) -> tuple[Result, str]:
  """Returns what a decoder returns, and its complaint of damaged data or ''.

  What else is printed meanwhile is passed on.
  """
  if not data.startswith((b'\xff\xd8', b'II', b'MM', b'\x89PNG')):
    return decode(data), ''
  with decoder_log.listening(_TOLD.match) as said:
    result = decode(data)
  for line in said:
    if not _PADDING.fullmatch(line):
      told = _TOLD.match(line)
      return result, next(filter(None, told.groups())).strip()
  return result, ''
