"""Says which engine does the work, and refuses one that cannot be had."""

from __future__ import annotations

import dataclasses
import importlib.util
import ipaddress
import json
import pathlib
import urllib.parse

# The batch systems whose jobs dask-jobqueue submits, and its classes for them.
BATCH = {
  'lsf': 'LSFCluster',
  'pbs': 'PBSCluster',
  'sge': 'SGECluster',
  'slurm': 'SLURMCluster',
}
KINDS = ('local', 'dask', *BATCH)


@dataclasses.dataclass(frozen=True)
class Engine:
  """Who does the work.

  Attributes:
    kind: `local` is this process; `dask` are workers of this machine or those
      of a scheduler; the others are jobs of a batch system.
    scheduler: address of a running dask scheduler, or its file of JSON.
    jobs: number of workers to start.

  Raises:
    ValueError: the three do not fit each other, a library is missing, or
      whoever reaches the scheduler could run code as you.
  """

  kind: str = 'local'
  scheduler: str = ''
  jobs: int | None = None

  def __post_init__(self):
    if self.kind not in KINDS:
      raise ValueError(
        f'engine is {self.kind!r}; expected one of {", ".join(KINDS)}.'
      )
    if self.is_local:
      if self.scheduler or self.jobs is not None:
        raise ValueError(
          'scheduler and jobs belong to another engine than local: name it, as'
          ' in --engine dask.'
        )
      return
    if self.scheduler and (self.kind != 'dask' or self.jobs is not None):
      raise ValueError(
        'a scheduler that runs already has workers of its own: give it with'
        ' --engine dask, and without jobs.'
      )
    if self.jobs is not None and self.jobs < 1:
      raise ValueError(f'jobs is {self.jobs}; expected 1 or more.')
    if not (self.scheduler or self.jobs):
      raise ValueError(
        f'the engine {self.kind} needs a number of workers, as in --jobs 2'
        + ', or a --scheduler.' * (self.kind == 'dask')
        + '.' * (self.kind != 'dask')
      )
    self._check_libraries()
    if self.scheduler:
      self._check_safe()

  @property
  def is_local(self) -> bool:
    return self.kind == 'local'

  @property
  def address(self) -> str:
    """The address of the scheduler.

    Raises:
      ValueError: the file does not hold one.
    """
    if not self.scheduler.endswith('.json'):
      return self.scheduler
    path = pathlib.Path(self.scheduler)
    try:
      return json.loads(path.read_text())['address']
    except (ValueError, KeyError, TypeError):
      raise ValueError(
        f'{path} holds no address; expected the file that `dask scheduler'
        ' --scheduler-file` writes.'
      ) from None

  def _check_libraries(self) -> None:
    wanted = ['distributed'] + ['dask_jobqueue'] * (self.kind in BATCH)
    for name in wanted:
      if importlib.util.find_spec(name) is None:
        raise ValueError(
          f'the engine {self.kind} needs {name.replace("_", "-")}: pip install'
          " 'mejax[cluster]', in a checkout pip install -e '.[cluster]'."
        )

  def _check_safe(self) -> None:
    parts = urllib.parse.urlsplit(self.address)
    try:
      host, port = parts.hostname, parts.port
    except ValueError:
      host = port = None
    if parts.scheme not in ('tcp', 'tls') or not (host and port):
      raise ValueError(
        f'scheduler is {self.scheduler!r}; expected an address like'
        ' tls://HOST:8786, or the file of JSON of a scheduler.'
      )
    if parts.scheme == 'tcp' and not _is_this_machine(host):
      raise ValueError(
        f'{self.address} is not encrypted: whoever reaches that port can run'
        ' code as you. Start scheduler and workers with TLS, and give'
        f' tls://{host}:{port}; docs/scale.md shows how.'
      )


def _is_this_machine(host: str) -> bool:
  try:
    return ipaddress.ip_address(host).is_loopback
  except ValueError:
    return host == 'localhost'
