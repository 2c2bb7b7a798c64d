"""Clips staged by processes, in their order, few at a time."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from collections.abc import Iterator
from concurrent import futures
from concurrent.futures import process
import multiprocessing
import os
import signal
import zipfile

import cv2

from mejax.corpora.clip import Clip
from mejax.datasets import staging

# Clips that are staged before they are wanted.
AHEAD = 16

Job = tuple[Clip, staging.Plan]


class Decoders:
  """Processes that stage clips, or a thread of this one.

  A file may bring down the process that decodes it, and a process may be killed
  for the memory it takes. The clips that were at work are then done again, one
  after the other, so that only the one at fault is lost.
  """

  def __init__(self, workers: int):
    self._workers = workers
    self._others = multiprocessing.active_children()
    self._pool = self._start()

  def __enter__(self) -> Decoders:
    return self

  def __exit__(self, kind, *_) -> None:
    if kind is not None:
      # After Ctrl-C nobody waits for what is at work; a second one, while this
      # process did, could leave it waiting for ever.
      for child in multiprocessing.active_children():
        if child not in self._others:
          child.terminate()
    self._pool.shutdown(cancel_futures=True)

  def stage(self, jobs: Iterable[Job]) -> Iterator[staging.Staged | str]:
    """A staged clip for each job, in their order, or why there is none."""
    waiting = collections.deque()
    for job in jobs:
      waiting.append((job, self._submit(job)))
      if len(waiting) > AHEAD:
        yield from self._first(waiting)
    while waiting:
      yield from self._first(waiting)

  def _first(self, waiting: collections.deque) -> list[staging.Staged | str]:
    """The first result; all of them if a process died."""
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
      return self._pool.submit(_stage, job)
    except process.BrokenProcessPool as error:
      future = futures.Future()
      future.set_exception(error)
      return future

  def _alone(self, job: Job) -> staging.Staged | str:
    try:
      return self._pool.submit(_stage, job).result()
    except process.BrokenProcessPool:
      self._restart()
      return (
        'the process that decodes it died; a damaged file can do that, or a '
        'lack of memory: then take fewer --workers'
      )

  def _start(self) -> futures.Executor:
    if not self._workers:
      return futures.ThreadPoolExecutor(1)
    return futures.ProcessPoolExecutor(
      self._workers,
      # Forking a process that runs JAX may hang it.
      mp_context=multiprocessing.get_context('spawn'),
      initializer=_start_worker,
    )

  def _restart(self) -> None:
    self._pool.shutdown()
    self._pool = self._start()
    try:
      self._pool.submit(os.getpid).result()
    except process.BrokenProcessPool:
      raise OSError(
        'processes that decode frames die when they start; a script that calls '
        "mejax needs `if __name__ == '__main__':` about the call; otherwise "
        'decode in this process with workers=0'
      ) from None


def cores() -> int:
  """How many this process may use."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _start_worker() -> None:
  # Ctrl-C is for the one that waits for the workers.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  # There is a process for each core already.
  cv2.setNumThreads(1)


def _stage(job: Job) -> staging.Staged | str:
  """A worker's answer: a staged clip, or why there is none."""
  try:
    return staging.stage(*job)
  except (OSError, ValueError, cv2.error, zipfile.BadZipFile) as error:
    return str(error)
  except MemoryError:
    return 'there is not enough memory for its frames; take fewer --workers'
