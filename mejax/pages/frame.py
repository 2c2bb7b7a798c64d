"""Renders templates into pages that need nothing from outside.

Blue is honest, orange is test-selected, grey is a baseline; each also has a
shape or a hatch of its own. Contrast of text is at least 4.5 in both colour
schemes. `templates/page.html` is the frame of all pages, `templates/page.css`
their look, `templates/parts.html` has the macros for what recurs.
"""

from __future__ import annotations

import functools
import pathlib

import jinja2

_TEMPLATES = pathlib.Path(__file__).parent / 'templates'


def render(template: str, **values: object) -> str:
  """Returns a whole HTML document.

  Text in `values` is escaped; a name that a template misses is an error.

  Args:
    template: file name in `templates/`.
    **values: what the template lays out.
  """
  return _environment().get_template(template).render(values)


def plural(number: int, word: str) -> str:
  """A count with its noun, as `1 seed` and `2 seeds`."""
  return f'{number} {word}{"" if number == 1 else "s"}'


@functools.cache
def _environment() -> jinja2.Environment:
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters |= {
    'plural': plural,
    'decimals': lambda value, count=3: f'{value:.{count}f}',
    'times': lambda level: f'×{level:g}',
  }
  return environment
