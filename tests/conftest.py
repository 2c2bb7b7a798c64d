"""What every test shares."""

from __future__ import annotations

import gc
import getpass
import os
import pathlib
import signal
import tempfile

import hypothesis
import jax
import pytest

from tests import compiling
from tests import records

ROOT = pathlib.Path(__file__).parent.parent

# A shell starts what runs in its background with this signal ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples each time: a change is judged by itself.
# `HYPOTHESIS=search` looks for new ones. A busy machine is slow, not wrong.
PATIENT = {
  'deadline': None,
  'suppress_health_check': [hypothesis.HealthCheck.too_slow],
}
hypothesis.settings.register_profile(
  'same', **PATIENT, derandomize=True, database=None
)
hypothesis.settings.register_profile('search', **PATIENT)
hypothesis.settings.load_profile(os.environ.get('HYPOTHESIS', 'same'))


# Files of long tests, the longest first: a worker that began one at the end
# would still be at it when the others have nothing left.
LONG = (
  # Of which most tests are slow.
  'test_readme.py',
  'test_docs.py',
  'test_notebooks.py',
  'test_runs.py',
  'test_export.py',
  # The others.
  'test_dtypes.py',
  'test_mmnet_golden.py',
  'test_clip_cache.py',
  'test_htnet_golden.py',
  'test_running.py',
  'test_sweep.py',
  'test_pretraining.py',
  'test_derivatives.py',
  'test_placement.py',
  'test_sample.py',
  'test_loop.py',
  'test_magnet_training.py',
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
  begin = {name: number for number, name in enumerate(LONG)}
  items.sort(key=lambda item: begin.get(item.path.name, len(LONG)))


def pytest_collection_finish() -> None:
  """Lets the collector look seldom, and not at what stays until the end."""
  gc.freeze()
  gc.set_threshold(*gc.get_threshold()[:2], 100)


def pytest_configure() -> None:
  """Lets all workers, and programs that tests start, share compiled programs.

  The folder is not that of a run of pytest, so the next run starts warm.
  """
  folder = f'{tempfile.gettempdir()}/mejax-tests-{getpass.getuser()}/jax'
  # Children read the environment. JAX itself may have read it before.
  for name, value in (
    ('jax_compilation_cache_dir', folder),
    ('jax_persistent_cache_min_compile_time_secs', '0.1'),
  ):
    value = os.environ.setdefault(name.upper(), value)
    jax.config.update(name, value if name.endswith('dir') else float(value))


@pytest.fixture(scope='module', autouse=True)
def optimisation(request: pytest.FixtureRequest) -> None:
  """Compiles the programs of files that are marked `unoptimised` quickly."""
  marked = request.node.get_closest_marker('unoptimised') is not None
  compiling.quickly(marked)


@pytest.fixture(scope='session')
def root() -> pathlib.Path:
  """The root of the project."""
  return ROOT


@pytest.fixture(scope='session')
def shared() -> pathlib.Path:
  """The folder of licensed and golden data, which does not ship."""
  folder = pathlib.Path(os.environ.get('MEJAX_SHARED', ROOT / '../shared'))
  if not folder.is_dir():
    pytest.skip(
      f'needs the data folder {folder.resolve()}; MEJAX_SHARED names another'
    )
  return folder.resolve()


@pytest.fixture(scope='session')
def released_dir(shared, tmp_path_factory) -> pathlib.Path:
  """The folder of the prepared data of the real release, 442 clips."""
  from mejax.datasets import prepare

  folder = tmp_path_factory.mktemp('released')
  prepare.prepare(
    'htnet_release',
    source=shared / 'htnet442',
    options={'landmarks': shared / 'htnet442/landmarks28.csv'},
    data_dir=folder,
    progress=False,
  )
  return folder


@pytest.fixture(scope='session')
def make_record():
  """The function that makes up records of runs."""
  return records.make
