"""Connects to the workers of dask, or starts them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import dataclasses
import gc
import logging
from multiprocessing import resource_tracker
import os
import pathlib
import signal
import tempfile
import time
from typing import Any

import dask
import distributed
from distributed import system
import tqdm

from mejax import signals
from mejax.experiment.engine import options
from mejax.experiment.engine import worker
from mejax.experiment.engine.options import Engine

# A worker that says nothing for so long counts as lost. A library may hold
# Python's lock for minutes, and then not even a heartbeat gets through.
_SILENCE_S = 30 * 60
# Jobs that ended are submitted again, if they are asked for again.
_ASK_AGAIN_S = 10.0
_CONNECT_S = 30
# A unit has so long to save itself once its worker is asked to end.
_GRACE_S = 10.0
_CLOSE_S = 15
# How often workers of this machine are started if one ends as it starts.
_STARTS = 3
# After how long dask closes the nanny of a worker that was lost.
_REPLACED = 'distributed.deploy.lost-worker-timeout'
# What a job gets if the user's jobqueue.yaml does not say.
_CORES, _MEMORY = 4, '16GB'
_SETTINGS = {
  # The tries are counted here: dask blames units that only waited on a worker.
  'distributed.scheduler.allowed-failures': 0,
  'distributed.scheduler.worker-ttl': f'{_SILENCE_S} s',
  'distributed.comm.timeouts.connect': '60s',
  'distributed.comm.timeouts.tcp': '120s',
  'distributed.admin.tick.limit': '60s',
  # Units leave nothing in memory that could be spilled, and a worker that is
  # paused would take no more of them.
  'distributed.worker.memory.target': False,
  'distributed.worker.memory.spill': False,
  'distributed.worker.memory.pause': False,
  'distributed.worker.memory.terminate': 0.95,
  'distributed.worker.profile.enabled': False,
}


class _Nanny(distributed.Nanny):
  """Watches a worker of this machine, and has patience when it shall end."""

  async def kill(self, timeout: float = 0, reason: str = 'nanny-kill') -> None:
    # dask kills the process after .8 of it.
    await super().kill(timeout=max(timeout, _GRACE_S / 0.8), reason=reason)


@dataclasses.dataclass(frozen=True)
class Connection:
  """Workers that can be asked.

  Attributes:
    client: dask's client.
    keep: called again and again, it replaces jobs that have ended.
    share: in how many parts workers divide the cores of this machine; 0 if each
      has what it finds.
    jobs: number of workers that were asked for; 0 if others started them.
    place: where the workers are, for messages.
  """

  client: distributed.Client
  keep: Callable[[], None]
  share: int
  jobs: int
  place: str


@contextlib.contextmanager
def connected(engine: Engine, folder: pathlib.Path) -> Iterator[Connection]:
  """Connects to the workers of an engine, and ends those that it started.

  Args:
    engine: any but the local one.
    folder: for the keys and logs of jobs; all machines must see it.

  Raises:
    ConnectionError: no scheduler answers, or workers of this machine end while
      they start.
  """
  with contextlib.ExitStack() as stack:
    stack.enter_context(dask.config.set(_SETTINGS))
    _silence()
    _track_quietly()
    worker.sending_at_once()()
    if engine.scheduler:
      client = stack.enter_context(_closing(_find(engine)))
      _prepare_scheduler(client)
      yield Connection(client, lambda: None, 0, 0, engine.address)
      return
    if engine.kind == 'dask':
      # A nanny starts its worker again. dask would forget about it if that took
      # longer, and there would be one worker fewer from then on.
      stack.enter_context(dask.config.set({_REPLACED: f'{_SILENCE_S} s'}))
      # dask cannot close what is only half begun.
      with signals.held('Workers are being started') as asked:
        cluster = _start_workers(engine.jobs, asked)
        stack.enter_context(_closing(cluster))
      keep, share, place = lambda: None, engine.jobs, 'this machine'
    else:
      cluster = stack.enter_context(_closing(_prepare_jobs(engine, folder)))
      keep, share, place = _every(cluster, engine.jobs), 0, engine.kind
    client = stack.enter_context(_closing(distributed.Client(cluster)))
    yield Connection(client, keep, share, engine.jobs, place)


def job_script(engine: Engine, folder: str | os.PathLike) -> str:
  """Returns what would be submitted for each worker.

  Args:
    engine: submits jobs.
    folder: where keys and logs of the jobs would be. Nothing is written there.
  """
  _silence()
  with tempfile.TemporaryDirectory() as name:
    cluster = _prepare_jobs(engine, pathlib.Path(name))
    with dask.config.set(_SETTINGS), _closing(cluster):
      text = cluster.job_script()
    # Its files of keys go when it does, and so before their folder.
    del cluster
    gc.collect()
  return text.replace(name, os.path.abspath(folder))


def _find(engine: Engine) -> distributed.Client:
  address = engine.address
  try:
    return distributed.Client(address, timeout=_CONNECT_S)
  # dask raises OSError, and ssl and the parser of its settings their own.
  except Exception as error:
    reason = str(error).partition('\n')[0] or type(error).__name__
    raise ConnectionError(
      f'no scheduler answers at {address} ({reason}). Tried for up to'
      f' {_CONNECT_S} s. Is `dask scheduler` running there, is the port open,'
      ' and do DASK_DISTRIBUTED__COMM__TLS__CA_FILE and its siblings name the'
      ' same keys here as there? docs/scale.md shows how.'
    ) from error


def _prepare_scheduler(client: distributed.Client) -> None:
  """Gives a scheduler that somebody else started the settings of ours."""
  settings = {'allowed_failures': 0, 'worker_ttl': _SILENCE_S}
  # A function without a name is sent as code: a scheduler needs no mejax.
  client.run_on_scheduler(
    lambda dask_scheduler: vars(dask_scheduler).update(settings)
  )
  client.run_on_scheduler(worker.sending_at_once())


def _start_workers(count: int, asked: Callable[[], bool]) -> Any:
  """Starts workers on this machine; if one ends meanwhile, all once more.

  Args:
    count: their number.
    asked: whether the command was asked to end, as Ctrl-C asks workers, too.
  """
  for turn in range(1, _STARTS + 1):
    try:
      return distributed.LocalCluster(
        n_workers=count,
        worker_class=_Nanny,
        threads_per_worker=1,
        memory_limit=system.MEMORY_LIMIT // count,
        # Others may use this machine too.
        protocol='tls://',
        security=distributed.Security.temporary(),
        host='127.0.0.1',
        dashboard_address='127.0.0.1:0',
        silence_logs=logging.CRITICAL,
      )
    except RuntimeError as error:  # dask has ended the others.
      if turn == _STARTS or asked():
        raise ConnectionError(
          f'a worker of this machine ended while it started ({error}), try'
          f' {turn} of {_STARTS}. What is done stays done: repeat the command.'
        ) from error
      tqdm.tqdm.write(
        f'A worker ended while it started ({error}): try {turn + 1} of'
        f' {_STARTS}.'
      )


def _prepare_jobs(engine: Engine, folder: pathlib.Path) -> Any:
  """Makes a cluster without workers, whose jobs have the user's settings."""
  dask_jobqueue = _import_jobqueue()

  def own(key):
    return dask.config.get(f'jobqueue.{engine.kind}.{key}', default=None)

  # These reach workers of this machine by themselves.
  settings = [
    f'export DASK_{key.upper().replace(".", "__")}={value}'
    for key, value in _SETTINGS.items()
    if key.startswith('distributed.worker.memory')
  ]
  return getattr(dask_jobqueue, options.BATCH[engine.kind])(
    cores=own('cores') or _CORES,
    memory=own('memory') or _MEMORY,
    processes=1,
    # It is the last that counts: a unit uses all cores of its job by itself.
    worker_extra_args=[*(own('worker-extra-args') or ()), '--nthreads', '1'],
    job_script_prologue=[*(own('job-script-prologue') or ()), *settings],
    security=distributed.Security.temporary(),
    shared_temp_directory=str(folder),
    log_directory=own('log-directory') or str(folder),
    silence_logs=logging.CRITICAL,
  )


def _import_jobqueue() -> Any:
  """Imports dask_jobqueue, which takes Ctrl-C for itself, and gives it back."""
  before = signal.getsignal(signal.SIGINT)
  try:
    import dask_jobqueue
  finally:
    signal.signal(signal.SIGINT, before)
  return dask_jobqueue


def _every(cluster: Any, jobs: int) -> Callable[[], None]:
  """Returns what asks for so many jobs, once in a while."""
  last = [-_ASK_AGAIN_S]

  def keep():
    if time.monotonic() - last[0] >= _ASK_AGAIN_S:
      cluster.scale(jobs=jobs)
      last[0] = time.monotonic()

  return keep


@contextlib.contextmanager
def _closing(thing: Any) -> Iterator[Any]:
  try:
    yield thing
  finally:
    # Whatever has happened to the other side, this one ends.
    with contextlib.suppress(Exception):
      thing.close(timeout=_CLOSE_S)


def _track_quietly() -> None:
  """Starts Python's process that frees what killed processes have left.

  It would warn of what workers left that are ended in the middle of a unit,
  after the last words of the command.
  """
  before = os.environ.get('PYTHONWARNINGS')
  os.environ['PYTHONWARNINGS'] = 'ignore'
  try:
    resource_tracker.ensure_running()
  finally:
    if before is None:
      del os.environ['PYTHONWARNINGS']
    else:
      os.environ['PYTHONWARNINGS'] = before


def _silence() -> None:
  """Keeps dask from telling what is told in words of a unit."""
  for name in list(logging.root.manager.loggerDict):
    if name.split('.')[0] in ('distributed', 'tornado', 'asyncio'):
      logger = logging.getLogger(name)
      logger.handlers, logger.propagate = [logging.NullHandler()], False
