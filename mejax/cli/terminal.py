"""Makes what is printed safe, and bars of progress readable in a file.

A terminal obeys control characters: they can hide what was printed, or print
something else over it. No name in a message needs them.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import re
import signal
import sys
import time
from typing import Any

from mejax import signals
from mejax.cli.pulse import Pulse

# All control characters but the tab and the end of a line, and those that turn
# the direction of text.
_UNSAFE = re.compile(
  '[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]'
)
# A bar of progress returns to the start of its line, or to the line above it.
_BAR = re.compile('\r|\x1b\\[A')
# Seconds between two lines of a bar where there is no terminal.
EVERY = 30.0


def plain(text: str) -> str:
  r"""Returns a text with `\x1b` for a character that a terminal would obey."""
  return _UNSAFE.sub(
    lambda match: match[0].encode('unicode_escape').decode(), text
  )


@contextlib.contextmanager
def _ending_if_closed() -> Iterator[None]:
  """Ends the process, as SIGPIPE does, if nobody reads its output any more."""
  try:
    yield
  except BrokenPipeError:
    raise signals.Terminated(signal.SIGPIPE) from None


class _Plain:
  """A stream that writes only what is safe; see `plain`."""

  def __init__(self, stream: Any, pulse: Pulse | None = None):
    self._stream, self._pulse = stream, pulse

  def write(self, text: str) -> int:
    return self._send(plain(text))

  def _send(self, text: str) -> int:
    with _ending_if_closed():
      if self._pulse is None:
        return self._stream.write(text)
      with self._pulse.aside(text):
        return self._stream.write(text)

  def flush(self) -> None:
    with _ending_if_closed():
      self._stream.flush()

  def writelines(self, lines) -> None:
    for line in lines:
      self.write(line)

  def __getattr__(self, name: str) -> Any:
    return getattr(self._stream, name)


class _Bars(_Plain):
  """The stream that bars of progress go to.

  In a terminal a bar moves. A file or a pipe would keep every state of it, so
  there it is a line every half a minute, and one when it ends.
  """

  def __init__(self, stream: Any, pulse: Pulse | None = None):
    super().__init__(stream, pulse)
    self._moves = stream.isatty()
    # What a bar shows and no line says yet; the last line of a bar, when it was
    # written, and whether nothing has followed it.
    self._shown, self._line = '', ''
    self._written, self._is_last = time.monotonic(), False

  def write(self, text: str) -> int:
    parts = _BAR.split(text)
    marks = _BAR.findall(text)
    if self._moves:
      safe = [plain(parts[0])]
      for mark, part in zip(marks, parts[1:], strict=True):
        safe += [mark, plain(part)]
      return self._send(''.join(safe))
    first, *states = map(plain, parts)
    self._put(first)
    for state in states:
      self._put_state(state)
    return len(text)

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


@contextlib.contextmanager
def guarded(title: str = 'mejax') -> Iterator[None]:
  """Makes whatever is printed safe, until the end of the block.

  In a terminal, something moves once a second; see `pulse`.

  Args:
    title: what is at work.
  """
  before = sys.stdout, sys.stderr
  # Of a process that was started without them, they are None.
  pulse = None
  if all(stream and stream.isatty() for stream in before):
    pulse = Pulse(before[1], title)
  sys.stdout = sys.stdout and _Plain(sys.stdout, pulse)
  sys.stderr = sys.stderr and _Bars(sys.stderr, pulse)
  try:
    with pulse.beating() if pulse else contextlib.nullcontext():
      yield
  finally:
    sys.stdout, sys.stderr = before
