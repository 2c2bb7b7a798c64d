"""Stages clips in worker processes, in order and a few ahead of need.

Decoding and face detection take most of the time of a preparation, and OpenCV
keeps no more than one core busy with them, so each core gets a process.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import process
import contextlib
import multiprocessing
from multiprocessing import connection
import os
import signal
import threading

import cv2

from mejax.corpora.clip import Clip
from mejax.datasets import staging

# Clips that are staged before they are needed. Staged frames are large: without
# a limit, fast workers would fill memory while the accelerator computes.
AHEAD = 16
# Python reads it when it starts.
_SAFE_PATH = 'PYTHONSAFEPATH'

Job = tuple[Clip, staging.Plan]


class Decoders:
  """Processes that stage clips, or a thread of this process.

  A damaged file may crash the process that decodes it, and the system may kill
  a process for the memory it takes. The clips in progress are then staged
  again, one after the other, so that only the clip at fault is lost.
  """

  def __init__(self, workers: int):
    self._workers = workers
    self._others = multiprocessing.active_children()
    self._pool = self._start()

  def __enter__(self) -> Decoders:
    return self

  def __exit__(self, kind, *_) -> None:
    if kind is not None:
      # After Ctrl-C nobody wants the clips in progress. Waiting for them could
      # last for ever if a second Ctrl-C came meanwhile.
      for child in multiprocessing.active_children():
        if child not in self._others:
          child.terminate()
    self._pool.shutdown(cancel_futures=True)

  def stage(self, jobs: Iterable[Job]) -> Iterator[staging.Staged | str]:
    """Yields for each job, in order, a staged clip or why there is none."""
    waiting = collections.deque()
    for job in jobs:
      waiting.append((job, self._submit(job)))
      if len(waiting) > AHEAD:
        yield from self._first(waiting)
    while waiting:
      yield from self._first(waiting)

  def _first(self, waiting: collections.deque) -> list[staging.Staged | str]:
    """Returns the first result; all of them if a process died.

    A pool that lost one process is broken as a whole, and does not tell which
    clip was to blame. So all waiting clips are staged again, each alone.
    """
    job, future = waiting.popleft()
    try:
      return [future.result()]
    except process.BrokenProcessPool:
      self._restart()
      jobs = [job, *(job for job, _ in waiting)]
      waiting.clear()
      return [self._alone(job) for job in jobs]

  def _submit(self, job: Job) -> futures.Future:
    try:
      return self._send(_stage, job)
    except process.BrokenProcessPool as error:
      # The pool broke since the last result was taken; `_first` meets the same
      # error when it comes to this job, and handles it there.
      future = futures.Future()
      future.set_exception(error)
      return future

  def _send(self, function: Callable, *args: Job) -> futures.Future:
    # The pool starts its processes when it is given work.
    with _starting():
      return self._pool.submit(function, *args)

  def _alone(self, job: Job) -> staging.Staged | str:
    try:
      return self._send(_stage, job).result()
    except process.BrokenProcessPool:
      self._restart()
      return (
        'the process that decodes it died; a damaged file can do that, or a '
        'lack of memory: then take fewer --workers'
      )

  def _start(self) -> futures.Executor:
    if not self._workers:
      return futures.ThreadPoolExecutor(1)
    with _starting():
      return futures.ProcessPoolExecutor(
        self._workers,
        # Forking a process that runs JAX may hang it.
        mp_context=multiprocessing.get_context('spawn'),
        initializer=_start_worker,
      )

  def _restart(self) -> None:
    self._pool.shutdown()
    self._pool = self._start()
    # A pool that breaks at its start would otherwise blame one clip after the
    # other.
    try:
      self._send(os.getpid).result()
    except process.BrokenProcessPool:
      raise OSError(
        'processes that decode frames die when they start; a script that calls '
        "mejax needs `if __name__ == '__main__':` around the call; otherwise "
        'decode in this process with workers=0'
      ) from None


def cores() -> int:
  """Returns how many cores this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


@contextlib.contextmanager
def _starting() -> Iterator[None]:
  """Lets processes that are started here begin safely.

  They never get SIGINT, because until `_start_worker` runs they would answer
  Ctrl-C by a traceback. They import nothing from the current folder, in which
  a stranger's recordings may lie, with files that are named like modules.
  """
  before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
  safe = os.environ.get(_SAFE_PATH)
  os.environ[_SAFE_PATH] = '1'
  try:
    yield
  finally:
    os.environ.pop(_SAFE_PATH)
    if safe is not None:
      os.environ[_SAFE_PATH] = safe
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
  # Its end is ready once the parent is gone, whatever ended it.
  connection.wait([multiprocessing.parent_process().sentinel])
  os._exit(1)


def _start_worker() -> None:
  threading.Thread(target=_end_with_parent, daemon=True).start()
  # Only the process that waits for the workers shall react to Ctrl-C.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  # There is a process for each core already.
  cv2.setNumThreads(1)


def _stage(job: Job) -> staging.Staged | str:
  """Returns a staged clip, or why there is none.

  Errors become text here, because not every exception survives the way between
  processes.
  """
  try:
    return staging.stage(*job)
  except (OSError, ValueError, cv2.error) as error:
    return str(error)
  except MemoryError:
    return 'there is not enough memory for its frames; take fewer --workers'
