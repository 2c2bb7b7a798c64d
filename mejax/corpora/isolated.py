"""Calls functions in another process, because a user's file may crash them.

The decoders of OpenCV are native code. A damaged file, or a name that is no
UTF-8, can end the process that decodes it, and nothing in Python can catch
that. One process serves all calls; if it dies, the next call starts another.
It begins without the caller's main module, so that it also serves notebooks and
scripts, and it ends when its input does, even if the caller was killed.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
from typing import Any

_HOME = pathlib.Path(__file__).parents[2]
_SERVE = 'from mejax.corpora import isolated; isolated.serve()'


class _Server:
  """The other process, which is started when it is needed."""

  def __init__(self):
    self._process = None
    self._lock = threading.Lock()

  def call(self, function: Callable, args: tuple) -> Any:
    with self._lock:
      process = self._process or self._start()
      try:
        pickle.dump((function, args), process.stdin)
        process.stdin.flush()
        fault, result = pickle.load(process.stdout)
      except (EOFError, OSError, pickle.UnpicklingError):
        raise ValueError(_cause_of(self.stop())) from None
      except BaseException:
        # After Ctrl-C, the answer must not be taken for that of the next call.
        self.stop()
        raise
    if fault:
      raise ValueError(fault)
    return result

  def _start(self) -> subprocess.Popen:
    # Not `sys.path`: OpenCV puts a folder of its own into it, whose `typing`
    # hides Python's.
    paths = [str(_HOME), os.environ.get('PYTHONPATH', '')]
    self._process = subprocess.Popen(
      # -P: otherwise code in the current folder, which may be a stranger's,
      # would be imported in place of Python's and ours.
      [sys.executable, '-P', '-c', _SERVE],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      env=os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, paths))},
    )
    return self._process

  def stop(self) -> int:
    """Ends the process and returns its exit code."""
    process, self._process = self._process, None
    if process is None:
      return 0
    try:
      # One that crashed has ended, or is about to.
      process.wait(0.5)
    except subprocess.TimeoutExpired:
      process.kill()
    for stream in (process.stdin, process.stdout):
      try:
        stream.close()
      except OSError:  # What was not sent cannot be sent any more.
        pass
    return process.wait()


_server = _Server()


def call(function: Callable, *args: Any) -> Any:
  """Returns what a function of a module returns, called in another process.

  Raises:
    ValueError: the function raised an error, whose text this one has, or the
      process died.
  """
  return _server.call(function, args)


def _cause_of(code: int) -> str:
  if code >= 0:
    return f'the process that decodes it ended with code {code}'
  try:
    name = signal.Signals(-code).name
  except ValueError:
    name = f'signal {-code}'
  return (
    f'the process that decodes it died ({name}); a damaged file can do that, or'
    ' a lack of memory'
  )


def serve() -> None:
  """Answers the calls that come in, until there are no more."""
  # Only the process that waits for the answers shall react to Ctrl-C.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  answers = os.fdopen(os.dup(1), 'wb')
  # What a library prints must not get between the answers.
  os.dup2(2, 1)
  while True:
    try:
      function, args = pickle.load(sys.stdin.buffer)
    except EOFError:
      return
    try:
      answer = ('', function(*args))
    except Exception as error:
      answer = (str(error) or type(error).__name__, None)
    try:
      pickle.dump(answer, answers)
      answers.flush()
    except BrokenPipeError:  # Nobody waits any more.
      os._exit(1)


@atexit.register
def _end() -> None:
  process = _server._process
  if process is not None:
    process.stdin.close()
    process.kill()
    process.wait()
