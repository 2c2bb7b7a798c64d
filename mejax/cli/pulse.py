"""Keeps a line of the terminal moving while a command is at work.

Compiling takes up to a minute, in which nothing can be counted. A line that
stands still looks like a command that hangs.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import threading
import time
from typing import Any

import tqdm

EVERY = 1.0  # Seconds.
_ERASE = '\r\x1b[K'


class Pulse:
  """Moves what is shown once a second.

  The time of a bar of progress goes on. Where no bar is shown, a line says for
  how long the command has been at work; what is printed next takes its place.
  """

  def __init__(self, stream: Any, title: str):
    """Makes a pulse.

    Args:
      stream: the terminal.
      title: what the line begins with.
    """
    self._stream, self._title = stream, title
    self._began = self._written = time.monotonic()
    self._is_shown, self._may_show = False, True
    # The main thread may be interrupted while it writes, and write then.
    self._lock = threading.RLock()
    self._ended = threading.Event()

  @contextlib.contextmanager
  def aside(self, text: str) -> Iterator[None]:
    """Takes the line away, and keeps it away while a text is written."""
    with self._lock:
      self._take_away()
      yield
      # What does not end its line will be followed by more.
      self._may_show = text.endswith(('\n', '\r')) if text else self._may_show
      self._written = time.monotonic()

  def tick(self) -> None:
    """Moves the bars, or the line if there are none."""
    # Bars have a lock of their own, which is never taken within ours.
    if bars := list(getattr(tqdm.tqdm, '_instances', ())):
      for bar in bars:
        bar.refresh()
      return
    with self._lock:
      now = time.monotonic()
      if self._is_shown or (self._may_show and now - self._written >= EVERY):
        line = f'{self._title}: {now - self._began:.0f} s'
        self._stream.write(_ERASE + line)
        self._stream.flush()
        self._is_shown = True

  @contextlib.contextmanager
  def beating(self) -> Iterator[None]:
    """Moves the line until the end of the block."""
    thread = threading.Thread(target=self._beat, daemon=True)
    thread.start()
    try:
      yield
    finally:
      self._ended.set()
      thread.join()
      with self._lock:
        self._take_away()

  def _beat(self) -> None:
    while not self._ended.wait(EVERY):
      # A terminal that was closed is the business of the main thread.
      with contextlib.suppress(OSError, ValueError):
        self.tick()

  def _take_away(self) -> None:
    if self._is_shown:
      self._is_shown = False
      with contextlib.suppress(OSError):
        self._stream.write(_ERASE)
