"""Keeps the columns of tables in docstrings, which Markdown would run together.

Griffe, which reads the docstrings, takes this file as an extension: mkdocs.yml.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_COLUMNS = re.compile(r'\S {2,}\S')


def with_tables(text: str) -> str:
  """Returns a docstring whose paragraphs with columns are blocks of code."""
  parts = text.split('\n\n')
  for i, part in enumerate(parts):
    lines = part.splitlines()
    if len(lines) > 1 and all(map(_COLUMNS.search, lines)):
      parts[i] = '\n'.join(f'    {line}' for line in lines)
  return '\n\n'.join(parts)


class DocstringTables(griffe.Extension):
  """Changes the docstrings as they are read."""

  def on_object(self, *, obj: griffe.Object, **others: Any) -> None:
    del others
    if obj.docstring:
      obj.docstring.value = with_tables(obj.docstring.value)
