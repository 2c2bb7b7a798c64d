"""Writes SVG: elements whose attributes and text are escaped."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import markupsafe
from markupsafe import Markup

# What may stand inside an element: text, elements, or iterables of these.
Content = Any

_NAMESPACE = 'http://www.w3.org/2000/svg'
# Outside a page there is no style sheet; text takes the colour around it.
_OWN_STYLE = """
svg.alone { max-width: 100%; height: auto;
  font-family: system-ui, -apple-system, "Segoe UI", sans-serif; }
svg.alone text { fill: currentColor; font-size: 14px; }
svg.alone text.small { font-size: 12.5px; opacity: 0.75; }
"""


def element(name: str, *content: Content, **attributes: object) -> Markup:
  """Returns an element as markup.

  Args:
    name: of the tag.
    *content: text, which is escaped, and elements.
    **attributes: an underscore stands for a hyphen, one at the end for
      nothing (`class_`); numbers keep two decimals; None leaves one out.
  """
  words = ''.join(
    f' {key.rstrip("_").replace("_", "-")}="{markupsafe.escape(_plain(value))}"'
    for key, value in attributes.items()
    if value is not None
  )
  inside = join(content)
  if not inside:
    return Markup(f'<{name}{words}/>')
  return Markup(f'<{name}{words}>{inside}</{name}>')


def join(content: Iterable[Content]) -> Markup:
  """Joins text, which is escaped, and elements, however they are nested."""
  return Markup('').join(
    part if isinstance(part, str) else join(part) for part in content
  )


def drawing(
  width: Real, height: Real, content: Content, *, label: str
) -> Markup:
  """Returns a whole picture; `label` is for those who cannot see it."""
  return element(
    'svg',
    content,
    viewBox=f'0 0 {_plain(width)} {_plain(height)}',
    width=width,
    height=height,
    role='img',
    aria_label=label,
  )


def standalone(picture: Markup) -> Markup:
  """Makes a drawing fit to stand alone, in a file or in a notebook."""
  start = f'<svg xmlns="{_NAMESPACE}" class="alone"'
  head, _, rest = picture.partition('>')
  style = element('style', Markup(_OWN_STYLE))
  return Markup(f'{start}{head.removeprefix("<svg")}>{style}{rest}')


def text(
  x: Real, y: Real, words: object, kind: str = '', anchor: str | None = None
) -> Markup:
  """Words at a place; `kind` is their class, `anchor` which end lies there."""
  return element(
    'text', str(words), class_=kind or None, x=x, y=y, text_anchor=anchor
  )


def rect(
  kind: str, x: Real, y: Real, width: Real, height: Real, **others: object
) -> Markup:
  """A rectangle whose class is `kind`."""
  place = {'x': x, 'y': y, 'width': width, 'height': height}
  return element('rect', class_=kind, **place, **others)


def line(kind: str, x1: Real, y1: Real, x2: Real, y2: Real) -> Markup:
  """A line whose class is `kind`, from (x1, y1) to (x2, y2)."""
  return element('line', class_=kind, x1=x1, y1=y1, x2=x2, y2=y2)


def tooltip(words: str) -> Markup:
  """Words that a browser shows while one points at the parent element."""
  return element('title', words)


def _plain(value: object) -> str:
  """A number with at most two decimals; anything else as it is."""
  if isinstance(value, str):
    return value
  short = f'{value:.2f}'
  return short.rstrip('0').rstrip('.') if '.' in short else short
