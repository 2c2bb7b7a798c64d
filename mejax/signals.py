"""Ends a command on a signal as Python ends one on Ctrl-C: by an exception.

A scheduler, `timeout` and `kill` send SIGTERM, a closed terminal sends SIGHUP.
Their default action ends a process at once. An exception lets it close files,
end its children and say how to go on. Only while a module is imported an
exception would do harm: native libraries crash, or turn it into an ImportError,
if one comes while they set themselves up. Then the signal waits.
"""

from __future__ import annotations

import _thread
from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import contextvars
import os
import signal
import sys
import threading
import time
import types

_ENDING = tuple(
  getattr(signal, name)
  for name in ('SIGTERM', 'SIGHUP')
  if hasattr(signal, name)
)
# Signals reach the main thread only. What another one is asked by.
_asked: contextvars.ContextVar[Callable[[], bool]] = contextvars.ContextVar(
  'asked', default=lambda: False
)


class Terminated(BaseException):
  """A signal asked this process to end.

  Attributes:
    name: name of the signal.
    code: exit code of a process that ends by it.
  """

  def __init__(self, number: int):
    self.name = signal.Signals(number).name
    self.code = 128 + number
    super().__init__(self.name)


@contextlib.contextmanager
def raising() -> Iterator[None]:
  """Raises `Terminated` on SIGTERM and SIGHUP, unless they are handled.

  Ctrl-C raises `KeyboardInterrupt`, as ever. All of them wait for the end of an
  import.
  """
  # The caller itself may be imported; two frames are those of this function.
  caller = sys._getframe(2)

  def answer(number, frame):
    if _is_importing(frame, caller):
      # `threading` would take locks that the interrupted code may hold.
      _thread.start_new_thread(_send_again, (number,))
    elif number == signal.SIGINT:
      raise KeyboardInterrupt
    else:
      raise Terminated(number)

  # Only the main thread may set handlers. Under `nohup` SIGHUP is ignored.
  usual = (signal.SIG_DFL, signal.default_int_handler)
  before = {
    number: signal.getsignal(number)
    for number in (signal.SIGINT, *_ENDING)
    if threading.current_thread() is threading.main_thread()
    and signal.getsignal(number) in usual
  }
  for number in before:
    signal.signal(number, answer)
  try:
    yield
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


def _send_again(number: int) -> None:
  time.sleep(0.05)
  os.kill(os.getpid(), number)


def _is_importing(
  frame: types.FrameType | None, caller: types.FrameType
) -> bool:
  """Returns whether a frame that a caller has led to imports a module."""
  while frame not in (None, caller):
    if frame.f_code.co_filename.startswith('<frozen importlib'):
      return True
    frame = frame.f_back
  return False


@contextlib.contextmanager
def held(
  doing: str = 'The state is being saved',
) -> Iterator[Callable[[], bool]]:
  """Holds Ctrl-C and the other signals back until the end of the block.

  A second signal is not held back. Signals come to the main thread only;
  another one is asked by what `asked_by` says, and then ends by `Terminated`.

  Args:
    doing: what the block does, for the message when a signal comes.

  Yields:
    A function that says whether a signal has come, so that the block may save
    what it has and end.
  """
  if threading.current_thread() is not threading.main_thread():
    asked = _asked.get()
    yield asked
    if asked():
      raise Terminated(signal.SIGTERM)
    return
  came: list[int] = []

  def note(number, frame):
    if came:
      handlers[number](number, frame)
    came.append(number)
    # Not by `print`, which the signal may have interrupted.
    os.write(2, f'\n{doing}; once more ends all at once.\n'.encode())

  handlers = {
    number: signal.getsignal(number)
    for number in (signal.SIGINT, *_ENDING)
    # The others are ignored, or end the process without a word.
    if callable(signal.getsignal(number))
  }
  for number in handlers:
    signal.signal(number, note)
  try:
    yield lambda: bool(came)
  finally:
    for number, handler in handlers.items():
      signal.signal(number, handler)
    if came:
      signal.raise_signal(came[0])


@contextlib.contextmanager
def asked_by(asked: Callable[[], bool]) -> Iterator[None]:
  """Lets a function ask what this thread does to end; see `held`.

  Args:
    asked: says whether it is time to save and to end.
  """
  token = _asked.set(asked)
  try:
    yield
  finally:
    _asked.reset(token)
