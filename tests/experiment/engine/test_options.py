"""An engine that cannot be had, or is unsafe, is refused in words."""

from __future__ import annotations

import importlib.util
import json
import signal

import ml_collections
import pytest

from mejax import cli
from mejax import experiment
from mejax.experiment import running
from mejax.experiment.engine import options
from mejax.experiment.spotting import training
from tests.experiment.search import small_search


@pytest.mark.parametrize(
  ('given', 'message'),
  [
    ({'kind': 'ray'}, "engine is 'ray'; expected one of local, dask, lsf"),
    ({'jobs': 2}, 'belong to another engine than local'),
    ({'scheduler': 'tls://a:1'}, 'belong to another engine than local'),
    ({'kind': 'dask'}, 'needs a number of workers.* or a --scheduler'),
    ({'kind': 'slurm'}, 'needs a number of workers, as in --jobs 2'),
    ({'kind': 'dask', 'jobs': 0}, 'jobs is 0; expected 1 or more'),
    (
      {'kind': 'slurm', 'scheduler': 'tls://a:1', 'jobs': 2},
      'has workers of its own',
    ),
    (
      {'kind': 'dask', 'scheduler': 'tls://a:1', 'jobs': 2},
      'has workers of its own',
    ),
    ({'kind': 'dask', 'scheduler': 'HOST'}, 'expected an address like'),
    ({'kind': 'dask', 'scheduler': 'tls://HOST:x'}, 'expected an address like'),
    (
      {'kind': 'dask', 'scheduler': 'tcp://10.0.0.1:8786'},
      'whoever reaches that port can run code as you.*tls://10.0.0.1:8786',
    ),
  ],
)
def test_an_engine_that_does_not_fit_is_refused(given, message):
  with pytest.raises(ValueError, match=message):
    options.Engine(**given)


@pytest.mark.parametrize(
  'address',
  [
    'tls://far.away:1',
    'tcp://127.0.0.1:1',
    'tcp://localhost:1',
    'tcp://[::1]:1',
  ],
)
def test_a_scheduler_is_encrypted_or_on_this_machine(address):
  assert options.Engine('dask', address).address == address


def test_a_scheduler_may_be_named_by_its_file(tmp_path):
  path = tmp_path / 'scheduler.json'
  path.write_text(json.dumps({'address': 'tls://far.away:8786'}))
  assert options.Engine('dask', str(path)).address == 'tls://far.away:8786'
  path.write_text(json.dumps({'address': 'tcp://far.away:8786'}))
  with pytest.raises(ValueError, match='is not encrypted'):
    options.Engine('dask', str(path))
  path.write_text('[]')
  with pytest.raises(ValueError, match='holds no address'):
    options.Engine('dask', str(path))


@pytest.mark.parametrize(
  ('missing', 'kind'), [('distributed', 'dask'), ('dask_jobqueue', 'pbs')]
)
def test_a_missing_library_names_the_extra(missing, kind, monkeypatch):
  found = importlib.util.find_spec
  monkeypatch.setattr(
    importlib.util,
    'find_spec',
    lambda name: None if name == missing else found(name),
  )
  with pytest.raises(ValueError, match=r"pip install 'mejax\[cluster\]'"):
    options.Engine(kind, jobs=1)


def test_what_is_handed_over_in_python_would_not_reach_a_worker(tmp_path):
  engine = options.Engine('dask', jobs=1)
  task = small_search.make_task()
  config = small_search.load_config()
  for call in (
    lambda: experiment.train(
      config, task=task, engine=engine, workdir=tmp_path / 'a'
    ),
    lambda: experiment.sweep(
      config,
      space=small_search.space,
      task=task,
      engine=engine,
      workdir=tmp_path / 'a',
    ),
  ):
    with pytest.raises(ValueError, match='task was handed over in Python'):
      call()
  assert not (tmp_path / 'a').exists()


def test_the_network_for_spotting_is_trained_by_this_process(monkeypatch):
  monkeypatch.setattr(training, 'train', lambda config, **options: {'it': 1})
  config = ml_collections.ConfigDict({'protocol': running.SPOTTING})
  for engine in (None, options.Engine()):
    assert experiment.train(config, workdir='x', engine=engine) == {'it': 1}
  with pytest.raises(ValueError, match='is trained by one process'):
    experiment.train(config, workdir='x', engine=options.Engine('dask', jobs=1))


def test_a_scheduler_that_does_not_answer_is_told_with_what_was_tried(
  tmp_path, monkeypatch, capsys
):
  clusters = pytest.importorskip('mejax.experiment.engine.clusters')
  monkeypatch.setattr(clusters, '_CONNECT_S', 1)
  engine = options.Engine('dask', 'tcp://127.0.0.1:9')
  with pytest.raises(ConnectionError, match='no scheduler answers at tcp') as e:
    with clusters.connected(engine, tmp_path):
      pass
  assert 'dask scheduler' in str(e.value) and 'Tried for up to 1 s' in str(
    e.value
  )


def test_a_command_sends_messages_at_once_whatever_the_clock_says(
  tmp_path, monkeypatch
):
  clusters = pytest.importorskip('mejax.experiment.engine.clusters')
  sender = clusters.distributed.batched.BatchedSend
  monkeypatch.delattr(sender, 'next_deadline', raising=False)

  def start(**_):
    assert isinstance(sender.next_deadline, property)
    raise KeyboardInterrupt

  monkeypatch.setattr(clusters.distributed, 'LocalCluster', start)
  with pytest.raises(KeyboardInterrupt):
    with clusters.connected(options.Engine('dask', jobs=1), tmp_path):
      pass


def test_workers_that_end_whenever_they_start_are_told(tmp_path, monkeypatch):
  clusters = pytest.importorskip('mejax.experiment.engine.clusters')

  def fail(**options):
    raise RuntimeError('Nanny failed to start.')

  monkeypatch.setattr(clusters.distributed, 'LocalCluster', fail)
  with pytest.raises(ConnectionError, match=r'Nanny.*repeat the command'):
    with clusters.connected(options.Engine('dask', jobs=2), tmp_path):
      pass


def test_a_worker_that_ends_while_it_starts_is_started_again(
  tmp_path, monkeypatch, capsys
):
  clusters = pytest.importorskip('mejax.experiment.engine.clusters')
  start, failures = clusters.distributed.LocalCluster, ['Nanny failed.'] * 2

  def fail_first(**options):
    if failures:
      raise RuntimeError(failures.pop())
    return start(**options)

  monkeypatch.setattr(clusters.distributed, 'LocalCluster', fail_first)
  engine = options.Engine('dask', jobs=1)
  with clusters.connected(engine, tmp_path) as connection:
    assert len(connection.client.scheduler_info()['workers']) == 1
  told = capsys.readouterr().out
  assert 'Nanny failed.): try 2 of 3.' in told and 'try 3 of 3.' in told


class _Started:
  """Stands in for a cluster; Ctrl-C comes while it starts."""

  def __init__(self, closed, error=None):
    self._closed = closed
    signal.raise_signal(signal.SIGINT)
    if error:
      raise RuntimeError(error)

  def close(self, timeout):
    self._closed.append(timeout)


def test_a_signal_waits_until_workers_have_started_and_then_ends_them(
  tmp_path, monkeypatch
):
  clusters = pytest.importorskip('mejax.experiment.engine.clusters')
  closed = []
  monkeypatch.setattr(
    clusters.distributed, 'LocalCluster', lambda **options: _Started(closed)
  )
  with pytest.raises(KeyboardInterrupt):
    with clusters.connected(options.Engine('dask', jobs=2), tmp_path):
      pass
  assert len(closed) == 1


def test_workers_that_a_signal_ends_are_not_started_again(
  tmp_path, monkeypatch
):
  clusters = pytest.importorskip('mejax.experiment.engine.clusters')
  started = []

  def start(**options):
    started.append(options)
    return _Started([], 'Nanny failed to start.')

  monkeypatch.setattr(clusters.distributed, 'LocalCluster', start)
  with pytest.raises(KeyboardInterrupt):
    with clusters.connected(options.Engine('dask', jobs=2), tmp_path):
      pass
  assert len(started) == 1


@pytest.mark.parametrize('verb', ['train', 'sweep', 'pretrain'])
def test_the_help_of_what_trains_teaches_engines(verb, capsys):
  with pytest.raises(SystemExit):
    cli.main([verb, '--help'])
  told = capsys.readouterr().out
  for words in ('--engine', '--scheduler', '--jobs', '--show_job_script'):
    assert words in told
  assert 'docs/scale.md' in told


def test_only_a_batch_system_has_a_script_to_show(tmp_path, capsys):
  code = cli.main(
    f'train --config linear:smoke --workdir {tmp_path}/a'
    ' --show_job_script'.split()
  )
  assert code == 2
  assert 'submits no jobs' in capsys.readouterr().err
  assert not (tmp_path / 'a').exists()
