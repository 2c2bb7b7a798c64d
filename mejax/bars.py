"""Bars of progress that can be read in a file, too.

In a terminal or a notebook a bar moves. A file or a pipe would keep every state
of it, so there it is a line every half a minute, and one when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
import io
import re
import sys
import time
from typing import Any

import tqdm

# A bar of progress returns to the start of its line, or to the line above it.
MOVES = re.compile('\r|\x1b\\[A')
# Seconds between two lines of a bar where there is no terminal.
EVERY = 30.0


class Bar(tqdm.tqdm):
  """A bar of `tqdm`, which is made of lines in a file."""

  def __init__(self, *args: Any, **options: Any):
    stream = sys.stderr
    # A notebook has no terminal, and bars move there; its stream is no file.
    if isinstance(stream, io.TextIOWrapper) and not stream.isatty():
      options.setdefault('file', Lines(stream, stream.write))
    super().__init__(*args, **options)


class Lines:
  """A stream that makes lines of the states of a bar."""

  def __init__(self, stream: Any, send: Callable[[str], Any]):
    """Makes a stream.

    Args:
      stream: the file.
      send: writes a text into it.
    """
    self._stream, self._send = stream, send
    # What a bar shows and no line says yet; the last line of a bar, when it was
    # written, and whether nothing has followed it.
    self._shown, self._line = '', ''
    self._written, self._is_last = time.monotonic(), False

  def write(self, text: str) -> int:
    first, *states = MOVES.split(text)
    self._put(first)
    for state in states:
      self._put_state(state)
    return len(text)

  def __getattr__(self, name: str) -> Any:
    return getattr(self._stream, name)

  def _put(self, text: str) -> None:
    """Writes what is no state of a bar, below the bar if one is shown."""
    if not text:
      return
    if self._shown and _count(self._shown) != _count(self._line):
      self._put_line(self._shown)
    self._is_last |= bool(self._shown)
    if self._is_last and text.startswith('\n'):  # The end of the bar.
      text, self._line = text[1:], ''
    self._shown, self._is_last = '', False
    self._send(text)

  def _put_state(self, text: str) -> None:
    """Keeps a state of a bar, or writes it if it is time."""
    state, end, rest = text.partition('\n')
    self._shown, self._is_last = state.rstrip(), False
    if self._shown and time.monotonic() - self._written >= EVERY:
      self._put_line(self._shown)
      self._shown = ''
    self._put(end + rest)

  def _put_line(self, state: str) -> None:
    self._send(f'{state}\n')
    self._line = state
    self._written, self._is_last = time.monotonic(), True


def _count(state: str) -> str:
  """Returns what a bar has counted, without its times."""
  return state.partition(' [')[0]
