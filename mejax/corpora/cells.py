"""The text of a cell of a sheet, and what no reader takes for an answer."""

from __future__ import annotations

import re
import unicodedata

# Words for no value. `Na` and `Nan` are names of people, but pandas and R write
# an absent value like this too; taking it for a person would make one person of
# all rows without one.
_NOTHING = re.compile(
  r'nan|none|null|nil|nat|n\s*[/.]\s*a|missing|undefined|tbd|tba|todo|ditto|'
  'idem'
)
# Quotes and commas stand for `as above`, which nobody can rely on.
_SIGNS = re.compile(r'[\s/?.,#*\'"\u3003\ufffd–—-]*')
_AROUND = re.compile(r'[<(\[{]\s*(.*?)\s*[>)\]}]')
# What a spreadsheet shows in the place of a value that it cannot calculate.
_ERROR = re.compile(r'#(N/A|[A-Z/0]+[?!]|GETTING_DATA)', re.I)
# What is not seen: Unicode's Default_Ignorable_Code_Point, and the blank of
# Braille.
_IGNORED = re.compile(
  '[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f'
  '\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0'
  '\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a'
  '\U000e0000-\U000e0fff]'
)
# Signs that programs and keyboards put for one another.
_SIGN = str.maketrans(
  dict.fromkeys('\u2018\u2019\u201a\u201b\u02bc\u2032\u00b4`', "'")
  | dict.fromkeys('\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033', '"')
  | {'\u2212': '-', '\u2043': '-', '\u02d7': '-'}
)
# Scripts with letters that look like Latin ones.
_LIKE_LATIN = (
  'CYRILLIC ',
  'GREEK ',
  'CHEROKEE ',
  'ARMENIAN ',
  'COPTIC ',
  'LISU ',
)
_SURROGATE = re.compile('[\ud800-\udfff]')
# What ends a line, or moves the place where a terminal writes.
_CONTROL = re.compile('[\x00-\x1f\x7f-\x9f\u2028\u2029]')


class Cell(str):
  """The text of a cell.

  Attributes:
    place: column and row as spreadsheets name them, e.g. `F2`; '' if unknown.
    fault: what is wrong with the cell itself; '' if nothing is.
    is_there: whether the file has the cell; blank ones fill up short rows.
  """

  place: str
  fault: str
  is_there: bool

  def __new__(
    cls, text: str, place: str = '', fault: str = '', *, is_there: bool = True
  ) -> Cell:
    cell = super().__new__(cls, text)
    cell.place, cell.fault, cell.is_there = place, fault, is_there
    return cell


def described(text: str) -> str:
  """Quotes a text for a message, with its cell if that is known."""
  place, fault = getattr(text, 'place', ''), getattr(text, 'fault', '')
  return (
    repr(str(text))
    + f' in cell {place}' * bool(place)
    + f', {fault}' * bool(fault)
  )


def visible(text: str) -> str:
  """Returns a text without what nobody sees, and with one kind of each sign.

  Letters are composed (NFKC) and digits of any script are ASCII; control
  characters, letters without width and blank letters are gone; dashes and
  minus are `-`, quotes are straight, and a blank of any kind or length is ` `.
  """
  text = unicodedata.normalize('NFKC', text.translate(_SIGN))
  return ' '.join(''.join(map(_visible, text)).split())


def _visible(letter: str) -> str:
  kind = unicodedata.category(letter)
  if kind == 'Nd':
    return str(unicodedata.decimal(letter))
  if kind == 'Pd':
    return '-'
  is_control = kind in ('Cc', 'Cf') and not letter.isspace()
  return '' if is_control or _IGNORED.match(letter) else letter


def says_nothing(text: str) -> bool:
  """Returns whether a text stands for no value: blank, `nan`, `/`, `#N/A`."""
  plain = visible(text)
  if around := _AROUND.fullmatch(plain):
    plain = around[1]
  return bool(
    _SIGNS.fullmatch(plain)
    or plain == 'NA'
    or _NOTHING.fullmatch(plain.casefold().rstrip('.'))
    or _ERROR.fullmatch(plain)
  )


def mixed_scripts(text: str) -> str:
  """Returns a letter of a script like Latin among Latin ones, described, or ''.

  Such a letter looks like a Latin one, so that two names look like one.
  """
  scripts = {c: unicodedata.name(c, '') for c in text if c.isalpha()}
  if not any(name.startswith('LATIN ') for name in scripts.values()):
    return ''
  for letter, name in scripts.items():
    # The micro sign is what a keyboard has for the Greek letter.
    if name.startswith(_LIKE_LATIN):
      return f'{letter!r} ({name}, U+{ord(letter):04X})'
  return ''


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


def has_control(text: str) -> bool:
  """Returns whether a text holds a line break or another control character."""
  return bool(_CONTROL.search(text))


def in_line(text: str) -> str:
  r"""Returns a printable text of one line, with `\n` for a line break."""
  return _CONTROL.sub(
    lambda match: match[0].encode('unicode_escape').decode(), printable(text)
  )


def is_file_name(text: str) -> bool:
  """Returns whether a text names a file or folder, and no way to another."""
  return text not in ('', '.', '..') and not re.search(r'[/\\\0]', text)
