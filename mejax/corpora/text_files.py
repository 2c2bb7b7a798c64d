"""Decodes text of which the encoding may be unknown."""

from __future__ import annotations

import codecs
import re

# The mark of UTF-32 begins like that of UTF-16.
_MARKS = (
  (codecs.BOM_UTF8, 'utf-8-sig'),
  (codecs.BOM_UTF32_LE, 'utf-32'),
  (codecs.BOM_UTF32_BE, 'utf-32'),
  (codecs.BOM_UTF16_LE, 'utf-16'),
  (codecs.BOM_UTF16_BE, 'utf-16'),
)
# Encodings of the systems that people export sheets from.
_CANDIDATES = (
  'gb18030', 'big5', 'shift_jis', 'euc_jp', 'euc_kr', 'cp1250', 'cp1251',
  'cp1252',
)  # fmt: skip
_SHOWN = 60


def decoded(data: bytes, encoding: str = '') -> str:
  """Decodes the text of a CSV file.

  Raises:
    ValueError: the bytes are no text in the encoding; the message shows a line
      as several encodings read it.
  """
  name = encoding or next((n for m, n in _MARKS if data.startswith(m)), 'utf-8')
  try:
    text = data.decode(name)
  except LookupError:
    raise ValueError(
      f'encoding is {encoding!r}, which Python does not know; it knows, for '
      f'example, {", ".join(_CANDIDATES)}'
    ) from None
  except UnicodeError as error:
    raise ValueError(_other_encodings(data, name)) from error
  except ValueError:  # A name with a NUL.
    raise ValueError(f'encoding is {encoding!r}, which is no name') from None
  if '\0' in text:
    raise ValueError(_other_encodings(data, name))
  return text.removeprefix('\ufeff')


def _other_encodings(data: bytes, name: str) -> str:
  """Says that a text is not in an encoding, and how others read a line."""
  lines = re.split(rb'\r\n|\r|\n', data)
  at = next((i for i, x in enumerate(lines) if not x.isascii()), 0)
  shown, candidates = lines[at], _CANDIDATES
  if b'\0' in data:  # Text of two bytes per letter, without its mark.
    candidates = ('utf-16-le', 'utf-16-be')
    at, shown = 0, data[: _SHOWN * 2]
  read = []
  for candidate in candidates:
    try:
      data.decode(candidate)
    except UnicodeError:
      continue
    line = shown.decode(candidate, errors='replace').partition('\n')[0]
    read.append(f'\n    encoding={candidate}: {line[:_SHOWN].rstrip()}')
  return (
    f'it is not {name}. Save it as UTF-8, or name its encoding with --option '
    f'encoding=NAME. Line {at + 1} is'
    + (''.join(read) or ' in no encoding that is common')
  )
