"""What a worker does with a unit: the only code of mejax that dask calls.

A worker may have been started by anybody, so it first checks that it would
compute the same numbers as the process that asks.
"""

from __future__ import annotations

from collections.abc import Mapping
import contextlib
import functools
import importlib
import io
import os
import pathlib
import socket
import time
import traceback
from typing import Any

# Ends the name of the file that says how a unit failed.
FAILED = '.failed.txt'


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
    beside the result.
  """
  start, said = time.monotonic(), io.StringIO()
  found = {'host': socket.gethostname(), 'process': os.getpid()}
  failed = pathlib.Path(spec['unit']['result']).with_suffix(FAILED)
  # Whatever a unit raises, SystemExit too, must not end the worker: the next
  # ones would end with it.
  try:
    _check_folder(failed.parent)
    failed.unlink(missing_ok=True)
    _pin(spec['share'])
    _check_same(spec['about'])
    _look_in(spec['folders'])
    module, _, name = spec['do'].partition(':')
    do = getattr(importlib.import_module(module), name)
    with contextlib.redirect_stdout(said):
      do(spec['unit'], **spec['arguments'])
    found['machine'] = _machine()
  except BaseException as error:
    found['error'] = f'{type(error).__name__}: {error}'
    with contextlib.suppress(OSError):
      failed.write_text(traceback.format_exc())
  found['seconds'] = round(time.monotonic() - start, 3)
  return found | {'said': said.getvalue().strip()}


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
