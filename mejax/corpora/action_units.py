"""Reads action units as the sheets of the databases write them.

    4+R12+(L6 or L7)+10A/B+A/L14,AU25(k)

`+` and commas (full-width ones too) join units; `or` and `/` leave open which
of several was seen. A side may stand before a unit (L or R: that side alone; A:
both, unequally) and an intensity behind it (A, a trace, to E, the maximum).
`(k)` marks a unit that does not move (4DME). A question mark means that the
coder could not see something, often the end; it is skipped.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata

_UNIT = re.compile(
  r'(?:AU)?\s*(?P<side>[LRA](?:/[LRA])*)?(?:AU)?\s*(?P<number>\d{1,3})(?!\d)'
  # In `10A/L12` the slash begins another unit.
  r'(?P<intensity>[A-E](?:/[A-E](?![A-Z]*\d))*)?\s*(?P<static>\(K\))?'
)
# No cell of a database is longer than 60.
_LONGEST, _DEEPEST, _SHOWN = 400, 20, 60
_SIGN = re.compile(r'(?P<plus>[+,;])|(?P<either>OR|/)|(?P<bracket>[()])')


@dataclasses.dataclass(frozen=True, order=True)
class ActionUnit:
  """One movement of a face.

  Attributes:
    number: of the Facial Action Coding System.
    side: '' for both sides alike, 'L', 'R', 'A' for both unequally, or two of
      them with a slash where the coder left it open.
    intensity: '' or 'A' to 'E', or two of them with a slash.
    certain: False if it is one of several that the coder left open.
    static: whether it is held through the clip and does not move.
  """

  number: int
  side: str = ''
  intensity: str = ''
  certain: bool = True
  static: bool = False

  def __str__(self) -> str:
    static = '(k)' if self.static else ''
    return f'{self.side}{self.number}{self.intensity}{static}'


def parse(text: str) -> tuple[ActionUnit, ...]:
  """Returns the action units of a sheet's cell, each once, sorted.

  Raises:
    ValueError: the text does not follow the grammar at the top of the module.
  """
  if len(text) > _LONGEST:
    raise _fault(text, f'has {len(text)} characters')
  # Full-width signs become plain ones.
  plain = unicodedata.normalize('NFKC', text).upper().replace('?', ' ')
  tokens = _tokens(plain.strip(), text)
  if tokens.count('(') > _DEEPEST:
    raise _fault(text, 'has too many brackets')
  units, rest = _joined(tokens, text)
  if rest:
    raise _fault(text, 'has a bracket too many')
  return tuple(sorted(set(units)))


def _tokens(plain: str, text: str) -> list[str | ActionUnit]:
  """Splits a cell into units and the signs '+', 'or', '(' and ')'."""
  tokens, place = [], 0
  while place < len(plain):
    if match := _UNIT.match(plain, place):
      tokens.append(
        ActionUnit(
          number=int(match['number']),
          side=match['side'] or '',
          intensity=match['intensity'] or '',
          static=bool(match['static']),
        )
      )
    elif match := _SIGN.match(plain, place):
      tokens.append(
        '+' if match['plus'] else 'or' if match['either'] else match.group()
      )
    else:
      raise _fault(text, f'has {plain[place:]!r}')
    place = match.end()
    while plain[place : place + 1].isspace():
      place += 1
  return tokens


def _joined(tokens: list, text: str) -> tuple[list[ActionUnit], list]:
  """Parses terms joined by `+`, up to a closing bracket or the end.

  Returns the units and the tokens that are left, as the next functions do.
  """
  units, is_open = [], True
  while tokens and tokens[0] != ')':
    if tokens[0] == '+':
      tokens, is_open = tokens[1:], True
      continue
    if not is_open:
      raise _fault(text, 'has two units with nothing between them')
    term, tokens = _either(tokens, text)
    units, is_open = units + term, False
  return units, tokens


def _either(tokens: list, text: str) -> tuple[list[ActionUnit], list]:
  """Parses one term, or several with `or` between them."""
  units, tokens = _single(tokens, text)
  while tokens and tokens[0] == 'or':
    other, tokens = _single(tokens[1:], text)
    units = [
      dataclasses.replace(unit, certain=False) for unit in [*units, *other]
    ]
  return units, tokens


def _single(tokens: list, text: str) -> tuple[list[ActionUnit], list]:
  """Parses a unit or a bracket."""
  if tokens and isinstance(tokens[0], ActionUnit):
    return tokens[:1], tokens[1:]
  if not tokens or tokens[0] != '(':
    raise _fault(text, 'has a sign where a unit should be')
  units, tokens = _joined(tokens[1:], text)
  if not tokens:
    raise _fault(text, 'has a bracket that is not closed')
  return units, tokens[1:]


def _fault(text: str, what: str) -> ValueError:
  shown = text if len(text) <= _SHOWN else f'{text[:_SHOWN]}...'
  return ValueError(
    f'action units {shown!r}: {what}; expected for example 4+R12+(L6 or L7)'
  )
