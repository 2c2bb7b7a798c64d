"""What a worker does with a unit: the only code of mejax that dask calls.

A worker may have been started by anybody, so it first checks that it would
compute the same numbers as the process that asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Mapping
import contextlib
import functools
import importlib
import io
import os
import pathlib
import signal
import socket
import sys
import time
import traceback
from typing import Any

from mejax import signals

# Seconds that a compiled call of a training should take in a worker. A state is
# saved between calls, and dask kills a worker that was asked to end after 8 to
# 10 seconds.
CALL_SECONDS = 2.0


def describe() -> dict[str, Any]:
  """Returns what must be the same in all processes that share the work."""
  import jax

  import mejax
  from mejax.training import numerics

  return {
    'mejax': mejax.__version__,
    'jax': jax.__version__,
    'options of JAX': numerics.read(),
  }


def attempt(spec: Mapping[str, Any]) -> dict[str, Any]:
  """Does a unit.

  Args:
    spec: `unit`, with `result`, the path of its file; `do`, a function as
      `module:name`, and its further `arguments`; `about`, from `describe`;
      `folders` of code of the user; `share` of the cores, in how many workers.

  Returns:
    `host`, `process`, `seconds` and what was `said`; `machine`, see
    `cost.machine`, or `error` if the unit failed, with the traceback in a file
    beside the result, or `asked` if the worker was asked to end before.
  """
  start, said = time.monotonic(), io.StringIO()
  found = {'host': socket.gethostname(), 'process': os.getpid()}
  result = pathlib.Path(spec['unit']['result'])
  if own := _own():
    own.loop.add_callback(sending_at_once())
  # Whatever a unit raises, SystemExit too, must not end the worker: the next
  # ones would end with it.
  try:
    _check_folder(result.parent)
    failed_file(result).unlink(missing_ok=True)
    _pin(spec['share'])
    _check_same(spec['about'])
    _look_in(spec['folders'])
    module, _, name = spec['do'].partition(':')
    do = getattr(importlib.import_module(module), name)
    with contextlib.redirect_stdout(said), signals.asked_by(_leaving()):
      do(spec['unit'], **spec['arguments'])
    found['machine'] = _machine()
  except signals.Terminated:
    found['asked'] = True
  except BaseException as error:
    found['error'] = describe_error(error, result)
  found['seconds'] = round(time.monotonic() - start, 3)
  return found | {'said': said.getvalue().strip()}


def failed_file(result: pathlib.Path) -> pathlib.Path:
  """Returns the file that says how a unit failed."""
  return result.with_suffix('.failed.txt')


def describe_error(error: BaseException, result: pathlib.Path) -> str:
  """Returns an error in words; its traceback is kept beside the result."""
  with contextlib.suppress(OSError):
    failed_file(result).write_text(''.join(traceback.format_exception(error)))
  return f'{type(error).__name__}: {error}'


def check_data(where: str, sha256: str, asked: str | None) -> None:
  """Refuses data that are not those of the process that asks.

  Args:
    where: the place of the data.
    sha256: their digest.
    asked: the digest that they must have; None if any will do.

  Raises:
    ValueError: they are others.
  """
  if asked not in (None, sha256):
    raise ValueError(
      f'{where} has other data on this machine than on that of the command.'
      ' Copy the prepared datasets from there.'
    )


def sending_at_once() -> Callable[[], None]:
  """Returns what makes dask send each message of its process at once.

  It would hold messages back for some milliseconds by the clock. If the clock
  is set back meanwhile, they wait until it shows the same time again. To be
  called in the thread of dask's loop, or before there is one. A scheduler that
  has no mejax can run it: a function without a name is sent as code.
  """
  return lambda: setattr(
    importlib.import_module('distributed.batched').BatchedSend,
    'next_deadline',
    property(lambda own: None, lambda own, moment: None),
  )


def _check_folder(folder: pathlib.Path) -> None:
  if not folder.is_dir():
    raise FileNotFoundError(
      f'{folder} does not exist on this machine. All machines need the folders'
      ' of data and of the run, under the same names.'
    )


def _check_same(about: Mapping[str, Any]) -> None:
  own = describe()
  for name, asked in about.items():
    if own[name] != asked:
      raise ValueError(
        f'{name} is {own[name]} in this worker and {asked} in the command, so'
        ' the numbers would differ. Start the worker anew with the same.'
      )


def _machine() -> dict[str, Any]:
  from mejax.experiment import cost

  return cost.machine()


def _look_in(folders) -> None:
  from mejax import own_code

  for folder in folders:
    own_code.look_in(folder)


def _own() -> Any:
  """Returns dask's worker of this process; None if it was called by hand."""
  distributed = sys.modules.get('distributed')
  try:
    return distributed and distributed.get_worker()
  except ValueError:
    return None


# Once, as a process is one worker at most.
@functools.cache
def _leaving() -> Callable[[], bool]:
  """Returns what says whether the worker of this process is about to end.

  Whoever asks it to end, its nanny, the scheduler or SIGTERM, dask changes its
  status at once, and then waits a few seconds for the unit.
  """
  own = _own()
  if not own:
    return lambda: False
  _remark_memory(own)
  own.loop.add_callback(_close_on_sigterm, own)
  status = sys.modules['distributed'].Status
  running = status.running, status.paused
  return lambda: own.status not in running


def _remark_memory(own: Any) -> None:
  """Says of a worker that dask might pause it, and then give it no units."""
  if (
    own.memory_manager.memory_limit and own.memory_manager.memory_pause_fraction
  ):
    print(
      f'The worker on {socket.gethostname()} was started with a limit of'
      ' memory at which dask pauses it, and then gives it no more units. Start'
      ' it with --memory-limit 0.'
    )


def _close_on_sigterm(own: Any) -> None:
  """Lets SIGTERM close a worker; otherwise it would end the process at once.

  Args:
    own: the worker, in whose loop, that of the main thread, this is called.
  """

  def close():
    own.loop.add_callback(own.close, nanny=False, reason='SIGTERM')

  if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, close)


# Once, as JAX counts the cores only once.
@functools.cache
def _pin(share: int) -> None:
  """Takes a part of this machine's cores, before JAX counts them."""
  if not (share and hasattr(os, 'sched_setaffinity')):
    return
  import distributed

  cores = sorted(os.sched_getaffinity(0))
  if share <= len(cores):
    # Workers of this machine are numbered; one that is started again keeps its
    # number. The threads that JAX starts have the cores of this one.
    number = int(distributed.get_worker().name)
    os.sched_setaffinity(0, cores[number::share])
