"""Writes SVG: elements whose attributes and text are escaped."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from typing import Any

import markupsafe
from markupsafe import Markup

# The content of an element: text, elements, or iterables of these.
Content = Any

NAMESPACE = 'http://www.w3.org/2000/svg'
# For drawings outside a page, which have no style sheet; text takes the colour
# of its surroundings.
_OWN_STYLE = """
svg.alone { max-width: 100%; height: auto;
  font-family: system-ui, -apple-system, "Segoe UI", sans-serif; }
svg.alone text { fill: currentColor; font-size: 14px; }
svg.alone text.small { font-size: 12.5px; opacity: 0.75; }
"""


def element(name: str, *content: Content, **attributes: object) -> Markup:
  """Returns an element as markup.

  Args:
    name: name of the tag.
    *content: text, which is escaped, and elements.
    **attributes: attributes by name; underscores become hyphens, but one at the
      end is dropped (`class_`); numbers are rounded to two decimals; None
      leaves an attribute out.
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
  """Joins text, which is escaped, and elements, which may be nested."""
  return Markup('').join(
    part if isinstance(part, str) else join(part) for part in content
  )


def drawing(
  width: Real, height: Real, content: Content, *, label: str
) -> Markup:
  """Returns a whole picture; `label` describes it for screen readers."""
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
  """Makes a drawing that can stand alone, in a file or a notebook."""
  start = f'<svg xmlns="{NAMESPACE}" class="alone"'
  head, _, rest = picture.partition('>')
  style = element('style', Markup(_OWN_STYLE))
  return Markup(f'{start}{head.removeprefix("<svg")}>{style}{rest}')


def text(
  x: Real, y: Real, words: object, kind: str = '', anchor: str | None = None
) -> Markup:
  """Places words at (x, y); `kind` is their class, `anchor` the end at x."""
  return element(
    'text', str(words), class_=kind or None, x=x, y=y, text_anchor=anchor
  )


def rect(
  kind: str, x: Real, y: Real, width: Real, height: Real, **others: object
) -> Markup:
  """Returns a rectangle of class `kind`."""
  place = {'x': x, 'y': y, 'width': width, 'height': height}
  return element('rect', class_=kind, **place, **others)


def line(kind: str, x1: Real, y1: Real, x2: Real, y2: Real) -> Markup:
  """Returns a line of class `kind` from (x1, y1) to (x2, y2)."""
  return element('line', class_=kind, x1=x1, y1=y1, x2=x2, y2=y2)


def tooltip(words: str) -> Markup:
  """Returns words that appear when the pointer is on the parent element."""
  return element('title', words)


def _plain(value: object) -> str:
  """Formats a number with at most two decimals; keeps a string as it is."""
  if isinstance(value, str):
    return value
  short = f'{value:.2f}'
  return short.rstrip('0').rstrip('.') if '.' in short else short
