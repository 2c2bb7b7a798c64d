"""Reads which of several faces in a picture is meant."""

from __future__ import annotations

import re

from mejax.corpora import cells

# The largest and most central face, and the outermost ones as one sees them.
LARGEST, LEFT, RIGHT = WORDS = ('largest', 'left', 'right')
_PLACE = re.compile(r'\(?(\d+(?:\.\d+)?)\s*[,; x]\s*(\d+(?:\.\d+)?)\)?')

# One of `WORDS`, or a place (x, y) in the face, in pixels as decoded.
WhichFace = str | tuple[float | int, float | int]


def parse(text: str) -> WhichFace:
  """Parses a word or a place, such as `left`, `412,230` or `412 230`.

  Raises:
    ValueError: it is neither.
  """
  plain = cells.visible(text).casefold()
  if plain in WORDS:
    return plain
  if place := _PLACE.fullmatch(plain):
    return float(place[1]), float(place[2])
  raise ValueError(
    f'which_face is {cells.described(text)}; expected {", ".join(WORDS)}, or '
    'the place of the face in pixels, as 412,230'
  )


def written(which: WhichFace) -> str:
  """Returns what `parse` reads; it needs no quotes in a CSV file."""
  return which if isinstance(which, str) else '{:g} {:g}'.format(*which)
