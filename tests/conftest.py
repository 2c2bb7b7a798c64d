"""What every test shares."""

from __future__ import annotations

import os
import pathlib

import hypothesis
import pytest

from tests import records

ROOT = pathlib.Path(__file__).parent.parent

# A busy machine is slow, not wrong.
hypothesis.settings.register_profile('mejax', deadline=None)
hypothesis.settings.load_profile('mejax')


# Files of few and long tests. They come first, or one worker would still be at
# them when the others have nothing left.
LONG = (
  'test_readme.py',
  'test_loop.py',
  'test_running.py',
  'test_mmnet.py',
  'test_placement.py',
  'test_notebooks.py',
  'test_mmnet_golden.py',
  'test_htnet_golden.py',
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
  items.sort(key=lambda item: item.path.name not in LONG)


def pytest_configure() -> None:
  """Lets all workers, and programs that tests start, share compiled code."""
  os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(ROOT / '.cache/jax'))
  os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.3')


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
def make_record():
  """The function that makes up records of runs."""
  return records.make
