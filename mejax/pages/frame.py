"""Renders templates into pages that need no other files.

Blue means honest, orange test-selected and grey a baseline; each also has its
own shape or hatch. The contrast of text is at least 4.5 in both colour schemes.
`templates/page.html` is the frame of all pages, `templates/page.css` and
`charts.css` their style, and `templates/parts.html` has macros for the parts
that they share.
"""

from __future__ import annotations

import functools
import pathlib
import re

import jinja2
import markupsafe

from mejax.pages import notice

_FLAG = re.compile('--[a-z_]+')
_TEMPLATES = pathlib.Path(__file__).parent / 'templates'


def render(template: str, **values: object) -> str:
  """Returns a whole HTML document.

  Text in `values` is escaped. A name that the template uses and `values` lacks
  is an error.

  Args:
    template: file name in `templates/`.
    **values: the variables of the template.
  """
  return _environment().get_template(template).render(values)


def plural(number: int, word: str) -> str:
  """Returns a count with its noun, e.g. `1 seed` or `2 seeds`."""
  return f'{number} {word}{"" if number == 1 else "s"}'


def sentence(text: str) -> markupsafe.Markup:
  """Returns a remark as a sentence, with flags of the command line as code."""
  text = text[:1].upper() + text[1:].rstrip('.') + '.' * bool(text)
  return markupsafe.Markup(
    _FLAG.sub(r'<code class="flag">\g<0></code>', str(markupsafe.escape(text)))
  )


@functools.cache
def _environment() -> jinja2.Environment:
  environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.globals['responsible_use'] = notice.RESPONSIBLE_USE
  environment.filters |= {
    'plural': plural,
    'sentence': sentence,
    'decimals': lambda value, count=3: f'{value:.{count}f}',
    'times': lambda level: f'×{level:g}',
  }
  return environment
