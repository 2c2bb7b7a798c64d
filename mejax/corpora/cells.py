"""The text of a cell of a sheet, and what no reader takes for an answer."""

from __future__ import annotations

import re
import unicodedata

# Words for no value. `Na` and `Nan` are names of people, but pandas and R write
# an absent value like this too; taking it for a person would make one person of
# all rows without one.
_NOTHING = ('nan', 'none', 'null', 'n/a', '<na>', 'nat')
_SIGNS = re.compile(r'[\s/?.–—-]*')
# What a spreadsheet shows in the place of a value that it cannot calculate.
_ERROR = re.compile(r'#(N/A|[A-Z/0]+[?!]|GETTING_DATA)', re.I)
_SURROGATE = re.compile('[\ud800-\udfff]')


class Cell(str):
  """The text of a cell.

  Attributes:
    place: column and row as spreadsheets name them, e.g. `F2`; '' if unknown.
    fault: what is wrong with the cell itself; '' if nothing is.
  """

  place: str
  fault: str

  def __new__(cls, text: str, place: str = '', fault: str = '') -> Cell:
    cell = super().__new__(cls, text)
    cell.place, cell.fault = place, fault
    return cell


def described(text: str) -> str:
  """Quotes a text for a message, with its cell if that is known."""
  place, fault = getattr(text, 'place', ''), getattr(text, 'fault', '')
  return (
    repr(str(text))
    + f' in cell {place}' * bool(place)
    + f', {fault}' * bool(fault)
  )


def says_nothing(text: str) -> bool:
  """Returns whether a text stands for no value: blank, `nan`, `/`, `#N/A`."""
  plain = unicodedata.normalize('NFKC', text).strip()
  plain = ''.join(c for c in plain if unicodedata.category(c) != 'Cf')
  return bool(
    _SIGNS.fullmatch(plain)
    or plain == 'NA'
    or plain.casefold() in _NOTHING
    or _ERROR.fullmatch(plain)
  )


def is_word(text: str) -> bool:
  """Returns whether a text is a value: neither nothing nor a faulty cell."""
  return not (says_nothing(text) or getattr(text, 'fault', ''))


def is_utf8(text: str) -> bool:
  """Returns whether a name can be written; a file's name may be any bytes."""
  return not _SURROGATE.search(text)


def printable(text: str) -> str:
  r"""Returns a name with `\xb8` for each byte that is no UTF-8."""

  def escaped(match: re.Match) -> str:
    code = ord(match[0])
    # Python keeps such a byte in a name as 0xdc00 plus the byte.
    return f'\\x{code - 0xDC00:02x}' if 0xDC80 <= code < 0xDD00 else '\ufffd'

  return _SURROGATE.sub(escaped, text)


def is_file_name(text: str) -> bool:
  """Returns whether a text names a file or folder, and no way to another."""
  return text not in ('', '.', '..') and not re.search(r'[/\\\0]', text)
