"""Searches and runs by workers on a full disk, and under clocks that jump."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from mejax import experiment
from tests import child
from tests.corpora import htnet_tree
from tests.experiment.engine import test_runs

pytestmark = pytest.mark.slow
CONFIG = {
  'dataset': 'htnet_release', 'protocol': 'megc2019', 'mode': 'map',
  'num_epochs': 4, 'inner_folds': 2, 'checkpoint_every_s': 0, 'num_seeds': 2,
}  # fmt: skip
# No file of this process and of its workers may become larger.
LIMITED = """
import resource, sys
from mejax import cli
if __name__ == '__main__':
  limit = int(sys.argv[1])
  resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
  sys.exit(cli.main(sys.argv[2:]))
"""
# The clocks of workers are wrong by days. That of the command, and with it that
# of the scheduler, is set back by a year once there is work, and jumps twice a
# second from then on.
CLOCKS = """
import os, pathlib, sys, time
home, began = pathlib.Path(__file__).parent, pathlib.Path(os.environ['BEGAN'])
clock, told, first = time.time, [], []
worker = any('spawn_main' in each for each in sys.orig_argv)
def jumping():
  off = (os.getpid() % 7 - 3.5) * 86400
  if not worker:
    if not first and began.exists():
      first.append(time.monotonic())
    turns = int(2 * (time.monotonic() - first[0])) if first else 1
    off = (-86400.0 * 365, 0.0, 86400.0)[turns % 3]
  if off and not told:
    told.append(0)
    (home / f'{os.getpid()}.jumped').touch()
  return clock() + off
time.time = jumping
"""


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  pytest.importorskip('distributed', reason='needs the extra cluster')
  folder = htnet_tree.prepare_tree(tmp_path_factory.mktemp('data'))
  (folder / 'space.py').write_text(test_runs.SPACE)
  return folder


def arguments(verb: str, folder: pathlib.Path, data_dir: pathlib.Path):
  """The command line of a verb whose workdir is `folder/run`."""
  more = []
  if verb == 'sweep':
    more = ['--space', str(data_dir / 'space.py'), '--settings', '4']
    more += ['--round', '2']
  return [
    verb, '--config', 'linear:smoke', '--data_dir', str(data_dir),
    '--workdir', str(folder / 'run'), *more,
    *(f'--config.{key}={value}' for key, value in CONFIG.items()),
  ]  # fmt: skip


def start(program: list[str], command: list[str], **environment: str):
  return subprocess.run(
    [sys.executable, *program, *command],
    env=child.environment()
    | {'JAX_ENABLE_COMPILATION_CACHE': 'false'}
    | environment,
    capture_output=True,
    text=True,
    timeout=300,
  )


def numbers(verb: str, workdir: pathlib.Path) -> dict:
  """All numbers that must be the same to the last bit."""
  names = ['metrics.json', 'predictions.csv']
  names += ['search.json'] if verb == 'sweep' else []
  return {name: (workdir / name).read_bytes() for name in names}


@pytest.fixture(scope='module')
def alone(data_dir, tmp_path_factory):
  """Folders of the same search and the same run, by this process."""
  found = {}
  config = experiment.load_config(
    'linear:smoke', [f'{key}={value}' for key, value in CONFIG.items()]
  )
  for verb in ('sweep', 'train'):
    found[verb] = tmp_path_factory.mktemp(verb) / 'run'
    options = {'data_dir': data_dir, 'workdir': found[verb]}
    if verb == 'sweep':
      experiment.sweep(
        config,
        space=str(data_dir / 'space.py'),
        num_settings=4,
        round_size=2,
        **options,
      )
    else:
      experiment.train(config, **options)
  return found


WORKERS = ['--engine', 'dask', '--jobs', '2']


@pytest.mark.parametrize(
  ('verb', 'results', 'parts'),
  # Workers train a run in more and smaller rounds than one process.
  [('sweep', 'units/*.npz', 1), ('train', 'checkpoints/**/*', 8)],
)
def test_units_that_workers_cannot_write_are_named_and_done_once_there_is_room(
  verb, results, parts, data_dir, alone, tmp_path
):
  largest = max(path.stat().st_size for path in alone[verb].glob(results))
  command = arguments(verb, tmp_path, data_dir)
  # What the command writes before it is smaller.
  (tmp_path / 'limited.py').write_text(LIMITED)
  limited = [str(tmp_path / 'limited.py'), str(largest // parts - 1)]
  full = start(limited, [*command, *WORKERS])
  assert full.returncode == 2, full.stderr
  told = full.stdout + full.stderr
  assert 'Given up: ' in told and 'cannot be written to: ' in told
  assert 'The same command tries these again.' in full.stderr
  workdir = tmp_path / 'run'
  assert not [*workdir.rglob('*.partial')]
  done = start(['-m', 'mejax'], command)
  assert done.returncode == 0, done.stderr
  assert numbers(verb, workdir) == numbers(verb, alone[verb])


@pytest.mark.parametrize('verb', ['sweep', 'train'])
def test_clocks_that_differ_and_jump_change_nothing(
  verb, data_dir, alone, tmp_path
):
  (tmp_path / 'sitecustomize.py').write_text(CLOCKS)
  began = {'sweep': 'units', 'train': 'checkpoints'}[verb]
  done = start(
    ['-m', 'mejax'],
    [*arguments(verb, tmp_path, data_dir), *WORKERS],
    PYTHONPATH=f'{tmp_path}:{child.ROOT}',
    BEGAN=str(tmp_path / 'run' / began),
  )
  assert done.returncode == 0, done.stderr
  assert 'worker was lost' not in done.stdout
  assert len([*tmp_path.glob('*.jumped')]) >= 3
  assert numbers(verb, tmp_path / 'run') == numbers(verb, alone[verb])
