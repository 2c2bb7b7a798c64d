"""Makes names of files and texts of sheets safe to print.

A terminal obeys control characters: they can hide what was printed, or print
something else over it. No name in a message needs them.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import re
import sys
from typing import Any

# All control characters but the tab and the end of a line, and those that turn
# the direction of text.
_UNSAFE = re.compile(
  '[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]'
)
# A bar of progress returns to the start of its line, or to the line above it.
_BAR = re.compile('\r|\x1b\\[A')


def plain(text: str) -> str:
  r"""Returns a text with `\x1b` for a character that a terminal would obey."""
  return _UNSAFE.sub(
    lambda match: match[0].encode('unicode_escape').decode(), text
  )


class _Plain:
  """A stream that writes only what is safe; see `plain`."""

  def __init__(self, stream: Any, *, bars: bool):
    self._stream, self._bars = stream, bars

  def write(self, text: str) -> int:
    if self._bars:
      parts = _BAR.split(text)
      marks = [*_BAR.findall(text), '']
      text = ''.join(
        plain(part) + mark for part, mark in zip(parts, marks, strict=True)
      )
    else:
      text = plain(text)
    return self._stream.write(text)

  def writelines(self, lines) -> None:
    for line in lines:
      self.write(line)

  def __getattr__(self, name: str) -> Any:
    return getattr(self._stream, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
  """Makes whatever is printed safe, until the end of the block."""
  before = sys.stdout, sys.stderr
  # Of a process that was started without them, they are None.
  sys.stdout = sys.stdout and _Plain(sys.stdout, bars=False)
  sys.stderr = sys.stderr and _Plain(sys.stderr, bars=True)
  try:
    yield
  finally:
    sys.stdout, sys.stderr = before
