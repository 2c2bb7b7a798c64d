"""Hands units out until all are done or given up."""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import os
import pathlib
import time
from typing import Any
from typing import Protocol
from typing import runtime_checkable

import tqdm

from mejax.experiment.engine import worker
from mejax.experiment.engine.options import Engine

# Workers that a unit may end before it is given up.
_TRIES = 3
# Seconds between two looks at workers that come and go.
_LOOK_S = 1.0
# Seconds after which a file that another machine wrote must be seen here.
_SEEN_S = 60.0
_REMIND_S = 60.0

# Where a run keeps keys and logs of its jobs.
FOLDER = 'cluster'

Unit = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Work:
  """What is done with units.

  A unit is a mapping of JSON values. Its `result` is the path of the file that
  it writes, and `count` the number of its trainings.

  Attributes:
    there: the function that does a unit in a worker, as `module:name`.
    arguments: JSON values that `there` is given beside the unit.
    here: does one in this process: `(unit, progress=..., title=...)`; None if
      only workers do them. One that is done is left as it is.
    is_done: returns whether a unit is done.
    partly: returns how many trainings of a unit that is not done are done.
  """

  there: str
  arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  here: Callable[..., None] | None = None
  is_done: Callable[[Unit], bool] = lambda unit: _path(unit).exists()
  partly: Callable[[Unit], int] = lambda unit: 0


@runtime_checkable
class Place(Protocol):
  """Where units are done."""

  def count(self) -> int:
    """Returns the number of workers that there are, or shall be."""

  def machines(self) -> list[dict[str, Any]]:
    """Returns the workers that have done something, see `cost.machine`."""

  def run(self, work: Work, units: Sequence[Unit], bar: tqdm.tqdm) -> None:
    """Does units; those that are done are skipped.

    Args:
      work: what is done with each.
      units: the units.
      bar: counts the trainings.

    Raises:
      ValueError: some were given up, after all others were done.
      OSError: this process cannot read or write, as on a full disk.
    """


class Here:
  """This process, which does one unit after another."""

  def count(self) -> int:
    return 1

  def machines(self) -> list[dict[str, Any]]:
    return []

  def run(self, work: Work, units: Sequence[Unit], bar: tqdm.tqdm) -> None:
    given_up: list[str] = []
    for number, unit in enumerate(units, 1):
      title = f'unit {number} of {len(units)}: {unit["count"]} trainings'
      path = _path(unit)
      try:
        worker.failed_file(path).unlink(missing_ok=True)
        work.here(unit, progress=not bar.disable, title=title)
      except OSError:  # As on a full disk: the others would meet it, too.
        raise
      except Exception as error:
        told = worker.describe_error(error, path)
        _give_up(unit, f'{told} (see {worker.failed_file(path)})', given_up)
      else:
        bar.update(unit['count'])
    _check_given_up(given_up, units)


@contextlib.contextmanager
def opened(engine: Engine, folder: pathlib.Path) -> Iterator[Place]:
  """Gives the place of an engine, and ends the workers that it started.

  Args:
    engine: the engine.
    folder: a folder for keys and logs of jobs, which all machines see.

  Raises:
    ConnectionError: no scheduler answers.
  """
  if engine.is_local:
    yield Here()
    return
  from mejax.experiment.engine import clusters

  folder.mkdir(parents=True, exist_ok=True)
  try:
    with clusters.connected(engine, folder.absolute()) as connection:
      yield Workers(connection)
  finally:
    with contextlib.suppress(OSError):  # There are logs of jobs in it.
      folder.rmdir()


class Workers:
  """Workers of dask.

  No more units are handed out than there are workers: dask would let a unit
  wait at one worker while another that came late has nothing to do, and blame
  it when that worker ends.

  Args:
    connection: see `clusters.Connection`.
  """

  def __init__(self, connection: Any):
    from mejax import own_code

    self._connection, self._client = connection, connection.client
    self._common = {
      'about': worker.describe(),
      'folders': own_code.folders(),
      'share': connection.share,
    }
    self._machines: dict[Any, dict[str, Any]] = {}
    # How often the worker at an address has said that it closes, and how often
    # it was ended because it had too much memory.
    self._closings: collections.Counter = collections.Counter()
    self._overfull: collections.Counter = collections.Counter()
    self._had_workers, self._reminded = False, time.monotonic()

  def count(self) -> int:
    return self._connection.jobs or max(1, len(self._workers()))

  def machines(self) -> list[dict[str, Any]]:
    return list(self._machines.values())

  def _workers(self) -> dict[str, Any]:
    try:
      return self._client.scheduler_info(n_workers=-1)['workers']
    except OSError as error:
      raise self._lost() from error

  def run(self, work: Work, units: Sequence[Unit], bar: tqdm.tqdm) -> None:
    waiting, given_up = collections.deque(), []
    for unit in units:
      if work.is_done(unit):
        bar.update(unit['count'])
      else:
        waiting.append(unit)
    tries: collections.Counter = collections.Counter()
    flying: dict[Any, tuple[Unit, str]] = {}
    done = bar.n
    try:
      while waiting or flying:
        self._check_scheduler()
        self._connection.keep()
        self._hand_out(work, waiting, flying, tries)
        for future in self._ended(flying):
          # Here first: what ended badly must be known before it is forgotten.
          unit, _ = flying.pop(future)
          done += self._take(future, unit, work, waiting, given_up, tries)
        partly = sum(work.partly(unit) for unit, _ in flying.values())
        bar.update(done + partly - bar.n)
    finally:
      for future in flying:
        future.release()
    _check_given_up(given_up, units)

  def _hand_out(self, work, waiting, flying, tries) -> None:
    """Gives each worker that has none a unit."""
    busy = {address for _, address in flying.values()}
    workers = self._workers()
    self._remind(len(workers))
    for address in sorted(workers.keys() - busy):
      if not waiting:
        return
      unit = waiting.popleft()
      name = _name(unit)
      future = self._client.submit(
        worker.attempt,
        {
          'unit': dict(unit),
          'do': work.there,
          'arguments': dict(work.arguments),
          **self._common,
        },
        # A key that dask knows already would give what it gave.
        key=f'{name}-{tries[name]}-{time.monotonic_ns()}',
        pure=False,
        retries=0,
        workers=[address],
        # If that one leaves, another takes it.
        allow_other_workers=True,
      )
      flying[future] = unit, address

  def _remind(self, count: int) -> None:
    now = time.monotonic()
    if count:
      self._had_workers, self._reminded = True, now
    elif not self._had_workers or now - self._reminded > _REMIND_S:
      self._had_workers, self._reminded = True, now
      tqdm.tqdm.write(
        f'Waiting for workers ({self._connection.place}). The work goes on when'
        ' one comes.'
      )

  def _ended(self, flying) -> list[Any]:
    import distributed

    if not flying:
      time.sleep(_LOOK_S)
      return []
    # One is cancelled when the scheduler is lost; that is told below.
    with contextlib.suppress(TimeoutError, distributed.CancelledError):
      distributed.wait(
        list(flying), timeout=_LOOK_S, return_when='FIRST_COMPLETED'
      )
    return [future for future in flying if future.done()]

  def _take(self, future, unit, work, waiting, given_up, tries) -> int:
    """Takes a unit back; returns how many trainings are done by it."""
    import distributed

    self._check_scheduler()
    name, path = _name(unit), _path(unit)
    error, asked, lost = None, False, False
    if future.status == 'finished':
      outcome = future.result()
      asked, error = 'asked' in outcome, self._read(outcome, path)
    elif future.status == 'cancelled' or isinstance(
      future.exception(), distributed.scheduler.KilledWorker
    ):
      asked = self._was_asked(future)
      lost = not asked
    else:
      error = f'{type(future.exception()).__name__}: {future.exception()}'
    # As long as a future is held, dask would do it again if its worker ends.
    future.release()
    # It may have ended the unit before it ended itself.
    again = (asked or lost) and not work.is_done(unit)
    if asked and again:
      tqdm.tqdm.write(
        f'The worker of unit {name} was asked to end; the unit goes on from'
        ' what it has saved.'
      )
    if lost and again:
      tries[name] += 1
      if tries[name] == _TRIES:
        error = f'it ended its worker {_TRIES} times; the log of it may say why'
      else:
        tqdm.tqdm.write(
          f'A worker was lost with unit {name}: try {tries[name] + 1} of'
          f' {_TRIES}.'
        )
    if error:
      _give_up(unit, error, given_up)
    elif again:
      waiting.appendleft(unit)
      return 0
    return unit['count'] if path.exists() else 0

  def _read(self, outcome: Mapping[str, Any], path: pathlib.Path) -> str | None:
    """Tells what `worker.attempt` has returned; returns the error if any."""
    if outcome['said']:
      tqdm.tqdm.write(outcome['said'])
    if 'machine' in outcome:
      place = outcome['host'], outcome['process']
      self._machines[place] = outcome['machine']
    if 'error' in outcome:
      told = f'{outcome["host"]}; see {worker.failed_file(path)}'
      return f'{outcome["error"]} ({told})'
    if 'asked' in outcome or _is_seen(path):
      return None
    return (
      f'{path} was written on {outcome["host"]}, and is not seen here. All'
      ' machines need the same folder under the same name.'
    )

  def _was_asked(self, future) -> bool:
    """Returns whether a worker that was lost had been asked to end.

    The unit is not to blame then. Such a worker tells the scheduler before. One
    that has too much memory is asked by its nanny, and the unit is to blame.
    """
    if future.status == 'cancelled':
      return False
    address = future.exception().last_worker.address
    try:
      told = self._client.get_events(address)
      overfull = self._client.get_events('worker-restart-memory')
    except OSError as error:
      raise self._lost() from error
    closings = sum(
      event.get('action') == 'closing-worker'
      # These it did not answer for too long.
      and event.get('reason') != 'scheduler-remove-worker'
      for _, event in told
    )
    restarts = sum(event.get('worker') == address for _, event in overfull)
    asked = closings > self._closings[address]
    to_blame = restarts > self._overfull[address]
    self._closings[address] = closings
    self._overfull[address] = restarts
    return asked and not to_blame

  def _check_scheduler(self) -> None:
    if self._client.status != 'running':
      raise self._lost()

  def _lost(self) -> ConnectionError:
    return ConnectionError(
      f'the scheduler was lost ({self._connection.place}). What is done stays'
      ' done: start the scheduler again, and repeat the command.'
    )


def _path(unit: Unit) -> pathlib.Path:
  return pathlib.Path(unit['result'])


def _name(unit: Unit) -> str:
  return _path(unit).stem


def _give_up(unit: Unit, error: str, given_up: list[str]) -> None:
  given_up.append(f'{_name(unit)}: {error}')
  tqdm.tqdm.write(f'Given up: {given_up[-1]}. The others go on.')


def _check_given_up(given_up: Sequence[str], units: Sequence[Unit]) -> None:
  if given_up:
    raise ValueError(
      f'{len(given_up)} of {len(units)} units were given up; the others are'
      ' done, and stay so:\n' + '\n'.join(given_up) + '\nThe same command'
      ' tries these again.'
    )


def _is_seen(path: pathlib.Path) -> bool:
  """Waits for a file that another machine has written, as on NFS."""
  moment = time.monotonic() + _SEEN_S
  while not path.exists():
    if time.monotonic() > moment:
      return False
    time.sleep(_LOOK_S)
    os.listdir(path.parent)  # It asks the server anew.
  return True
