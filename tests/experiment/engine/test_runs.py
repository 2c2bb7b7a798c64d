"""Runs and searches by workers: the bits of one process, whatever is killed."""

from __future__ import annotations

import _thread
import contextlib
import importlib
import json
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest

from mejax import experiment
from mejax.experiment.engine import chunks
from mejax.experiment.engine import placing
from mejax.experiment.engine.options import Engine
from mejax.experiment.packs import saved as saved_lib
from tests import child
from tests.corpora import htnet_tree

SPACE = """
def get_space(trial):
  trial.suggest_float('setting.learning_rate', 1e-3, 1e-1, log=True)
"""


def load_config(*changes):
  return experiment.load_config(
    'linear:smoke',
    [
      'dataset=htnet_release', 'protocol=megc2019', 'mode=map', 'num_epochs=4',
      'inner_folds=2', 'checkpoint_every_s=0', *changes,
    ],
  )  # fmt: skip


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return htnet_tree.prepare_tree(tmp_path_factory.mktemp('data'))


def numbers(workdir):
  """All numbers of a run that must be the same to the last bit."""
  found = {
    name: (workdir / name).read_bytes()
    for name in ('config.json', 'predictions.csv', 'metrics.json')
  }
  with np.load(workdir / 'record.npz') as record:
    return found | {name: record[name].tobytes() for name in record.files}


def weights(workdir):
  saved = saved_lib.read_models(workdir)
  return [
    np.asarray(leaf).tobytes()
    for seed in saved.seeds
    for name in saved.names
    for leaf in jax.tree.leaves(saved.load(seed, name))
  ]


@pytest.fixture(scope='module')
def alone(data_dir, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('alone') / 'run'
  experiment.train(
    load_config('num_seeds=3'), data_dir=data_dir, workdir=workdir
  )
  return workdir


class Elsewhere:
  """Does units as workers do them, but in this process."""

  def count(self):
    return 2

  def machines(self):
    return []

  def run(self, work, units, bar):
    module, _, name = work.there.partition(':')
    for unit in json.loads(json.dumps(units)):
      getattr(importlib.import_module(module), name)(unit, **work.arguments)


def _open(monkeypatch, place):
  """Lets every engine be a place."""

  @contextlib.contextmanager
  def opened(engine, folder):
    folder.mkdir(parents=True)
    yield place

  monkeypatch.setattr(placing, 'opened', opened)


def test_a_search_by_units_that_read_from_disk_has_the_same_bits(
  data_dir, tmp_path, monkeypatch
):
  (tmp_path / 'space.py').write_text(SPACE)

  def sweep(name, **more):
    experiment.sweep(
      load_config(),
      space=str(tmp_path / 'space.py'),
      data_dir=data_dir,
      workdir=tmp_path / name,
      num_settings=2,
      **more,
    )

  sweep('here')
  _open(monkeypatch, Elsewhere())
  sweep('there', engine=Engine('dask', jobs=2))
  for name in ('search.json', 'metrics.json', 'predictions.csv'):
    here, there = (tmp_path / each / name for each in ('here', 'there'))
    assert here.read_bytes() == there.read_bytes()
  assert {path.name for path in (tmp_path / 'here/units').iterdir()} == {
    path.name for path in (tmp_path / 'there/units').iterdir()
  }


def test_a_run_whose_rounds_others_have_begun_ends_with_the_same_bits(
  data_dir, alone, tmp_path, monkeypatch
):
  """Rounds are done as workers do them, in any order; then `train` goes on."""
  config, workdir = load_config('num_seeds=3'), tmp_path / 'run'

  class Some(Elsewhere):
    def run(self, work, units, bar):
      assert work.there == 'mejax.experiment.engine.chunks:do' or (
        units[0]['count'] == 0
      )
      assert all(json.loads(json.dumps(each)) == each for each in units)
      if units[0]['count'] == 0:
        return chunks.choose(units[0])
      for each in (units[2], units[0]):
        chunks.do(each)
      raise KeyboardInterrupt

  _open(monkeypatch, Some())
  with pytest.raises(KeyboardInterrupt):
    experiment.train(
      config,
      data_dir=data_dir,
      workdir=workdir,
      engine=Engine('dask', jobs=2),
    )
  assert [*(workdir / 'cluster/logs').glob('*/log.jsonl')]
  experiment.train(config, data_dir=data_dir, workdir=workdir)
  assert numbers(workdir) == numbers(alone)
  assert weights(workdir) == weights(alone)
  lines = [
    json.loads(line) for line in (workdir / 'log.jsonl').read_text().split('\n')
    if line
  ]  # fmt: skip
  rounds = -(-12 // json.loads((workdir / 'run.json').read_text())['placement'][
    'round_size'
  ])  # fmt: skip
  assert rounds >= 3
  assert [(x['round'], x['window']) for x in lines] == [
    (r, w) for r in range(rounds) for w in range(4)
  ]
  assert len([*(workdir / 'tensorboard').glob('*/*')]) == rounds
  # Nothing but the run is left.
  assert not [*workdir.glob('**/*.lock')] or {
    path.name for path in workdir.glob('**/*.lock')
  } == {'.lock'}


def test_other_data_on_the_machine_of_a_worker_are_refused(
  data_dir, tmp_path, monkeypatch
):
  monkeypatch.setattr(chunks, '_kept', [None, None, None])
  unit = {
    'plan_by': 'mejax.experiment.planning:plan',
    'arguments': {'data_dir': str(data_dir)},
    'config': json.loads(load_config().to_json()),
    'data_sha256': 'other',
    'result': str(tmp_path / 'x.json'),
  }
  with pytest.raises(ValueError, match='has other data on this machine'):
    chunks.choose(unit)


@pytest.fixture
def workers_find_tests(monkeypatch):
  pytest.importorskip('distributed', reason='needs the extra cluster')
  monkeypatch.setenv('PYTHONPATH', str(child.ROOT))


@pytest.mark.slow
def test_a_run_by_two_workers_of_which_one_is_killed_has_the_same_bits(
  data_dir, alone, tmp_path, workers_find_tests, capfd
):
  workdir = tmp_path / 'run'
  thread = threading.Thread(target=_kill_a_worker, args=(workdir,), daemon=True)
  thread.start()
  experiment.train(
    load_config('num_seeds=3'),
    data_dir=data_dir,
    workdir=workdir,
    engine=Engine('dask', jobs=2),
  )
  thread.join()
  assert 'A worker was lost with unit round_' in capfd.readouterr().out
  assert numbers(workdir) == numbers(alone)
  assert weights(workdir) == weights(alone)
  cost = json.loads((workdir / 'cost.json').read_text())
  assert cost['devices'] >= 2 and cost['trials'] == 12


def _kill_a_worker(workdir: pathlib.Path) -> None:
  """Kills a worker in the middle of a round."""
  # Both have one as soon as one has begun.
  moment = time.monotonic() + 300
  while not [*workdir.glob('checkpoints/*.lock')]:
    if time.monotonic() > moment:
      return
    time.sleep(0.02)
  os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)


def _ask_to_end(workdir: pathlib.Path, ask, saved: list[str]) -> None:
  """Asks in the middle of a round; waits for what it saves."""
  log = workdir / chunks.LOGS / 'round_0/log.jsonl'
  moment = time.monotonic() + 300
  while not (log.exists() and log.read_text().count('\n') >= 2):
    if time.monotonic() > moment:
      return
    time.sleep(0.02)
  folder = workdir / 'checkpoints/round_0'
  if [*folder.glob('[0-9]*')]:
    return  # Though no time has come to save.
  ask()
  moment = time.monotonic() + 60
  while not saved and time.monotonic() < moment:
    saved += [path.name for path in folder.glob('[0-9]*')]
    time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize('who', ['worker', 'command'])
def test_a_worker_that_is_asked_to_end_saves_what_it_trains(
  who, data_dir, tmp_path, workers_find_tests, capfd
):
  """SIGTERM of a worker, and the end of a command, which ends its workers."""
  # A round takes many times the two seconds of a call.
  config = load_config('num_epochs=60000', 'eval_every=150')
  with config.unlocked():
    config.checkpoint_every_s = 3600.0
  workdir, saved = tmp_path / 'run', []
  options = {'data_dir': data_dir, 'workdir': workdir}
  ask = {
    'worker': lambda: multiprocessing.active_children()[0].terminate(),
    'command': _thread.interrupt_main,
  }[who]
  thread = threading.Thread(
    target=_ask_to_end, args=(workdir, ask, saved), daemon=True
  )
  thread.start()
  with contextlib.ExitStack() as stack:
    if who == 'command':
      stack.enter_context(pytest.raises(KeyboardInterrupt))
    experiment.train(config, engine=Engine('dask', jobs=1), **options)
  thread.join()
  assert saved
  if who == 'command':
    experiment.train(config, **options)
  else:
    told = capfd.readouterr().out
    assert 'The worker of unit round_0 was asked to end' in told
    assert 'try 2' not in told  # It is not the unit that is to blame.
  experiment.train(config, data_dir=data_dir, workdir=tmp_path / 'alone')
  assert numbers(workdir) == numbers(tmp_path / 'alone')


@pytest.mark.slow
def test_a_search_whose_command_is_killed_goes_on_to_the_bits_of_one_process(
  data_dir, tmp_path, workers_find_tests
):
  (tmp_path / 'space.py').write_text(SPACE)
  config = [
    f'--config.{each}'
    for each in ('dataset=htnet_release', 'protocol=megc2019', 'mode=map',
                 'num_epochs=4', 'inner_folds=2', 'checkpoint_every_s=0')
  ]  # fmt: skip
  command = [
    sys.executable, '-m', 'mejax', 'sweep', '--config', 'linear:smoke',
    '--space', str(tmp_path / 'space.py'), '--data_dir', str(data_dir),
    '--settings', '4', '--round', '2', *config,
  ]  # fmt: skip
  options = {'env': child.environment(), 'stdout': subprocess.DEVNULL}
  workdir = tmp_path / 'killed'
  spread = [*command, '--workdir', str(workdir), '--engine', 'dask']
  for number in (signal.SIGKILL, signal.SIGTERM):
    before = len([*workdir.glob('units/*.npz')])
    process = subprocess.Popen(
      [*spread, '--jobs', '2'],
      stderr=subprocess.PIPE,
      text=True,
      start_new_session=True,
      **options,
    )
    while len([*workdir.glob('units/*.npz')]) == before:
      assert process.poll() is None
      time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (-number, 128 + number), errors
    if number == signal.SIGTERM:
      assert 'The same command goes on from here' in errors
      assert 'Traceback' not in errors and 'leaked' not in errors
    # No worker is left.
    deadline = time.monotonic() + 20
    while left := subprocess.run(
      ['ps', '-o', 'pid=', '-s', str(process.pid)],
      capture_output=True,
      text=True,
    ).stdout.split():
      assert time.monotonic() < deadline, left
      time.sleep(0.2)
  subprocess.run([*spread, '--jobs', '1'], check=True, **options)
  alone = tmp_path / 'alone'
  subprocess.run([*command, '--workdir', str(alone)], check=True, **options)
  for name in ('search.json', 'metrics.json', 'predictions.csv'):
    assert (workdir / name).read_bytes() == (alone / name).read_bytes()
  assert {p.name for p in workdir.glob('units/*')} == {
    p.name for p in alone.glob('units/*')
  }
