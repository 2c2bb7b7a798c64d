"""Makes what is printed safe.

A terminal obeys control characters: they can hide what was printed, or print
something else over it. No name in a message needs them.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import re
import signal
import sys
from typing import Any

from mejax import bars
from mejax import signals
from mejax.cli.pulse import Pulse

# All control characters but the tab and the end of a line, and those that turn
# the direction of text.
_UNSAFE = re.compile(
  '[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]'
)


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
  """The stream that bars of progress go to; see `bars.Lines` for files."""

  def __init__(self, stream: Any, pulse: Pulse | None = None):
    super().__init__(stream, pulse)
    self._lines = None
    if not stream.isatty():
      self._lines = bars.Lines(stream, lambda text: self._send(plain(text)))

  def write(self, text: str) -> int:
    if self._lines:
      return self._lines.write(text)
    parts = bars.MOVES.split(text)
    safe = [plain(parts[0])]
    for mark, part in zip(bars.MOVES.findall(text), parts[1:], strict=True):
      safe += [mark, plain(part)]
    return self._send(''.join(safe))


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
