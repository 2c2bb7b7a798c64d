"""Units are handed out until all are done or given up."""

from __future__ import annotations

import contextlib
import importlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
import tqdm

from mejax import signals
from mejax.experiment.engine import placing
from mejax.experiment.engine.options import Engine
from tests import child
from tests.experiment.engine import toys


@contextlib.contextmanager
def bar():
  with tqdm.tqdm(total=100, disable=True) as shown:
    # One that is disabled does not count.
    shown.update = lambda count: setattr(shown, 'n', shown.n + count)
    yield shown


def test_this_process_does_one_unit_after_another(tmp_path):
  done = []
  these = [toys.unit(tmp_path, name) for name in 'ab']

  def here(unit, *, progress, title):
    done.append((unit, progress, title))

  with bar() as shown, placing.opened(Engine(), tmp_path / 'no') as place:
    place.run(toys.work(here=here), these, shown)
    assert shown.n == 4
  assert [unit for unit, _, _ in done] == these
  assert done[1][1:] == (False, 'unit 2 of 2: 2 trainings')
  assert not (tmp_path / 'no').exists()


def test_a_unit_that_raises_in_this_process_is_named_and_the_others_go_on(
  tmp_path, capsys
):
  these = [
    toys.unit(tmp_path, 'raising', 'raise'),
    toys.unit(tmp_path, 'good'),
  ]

  def here(unit, *, progress, title):
    toys.do(unit, word='done')

  with bar() as shown, placing.opened(Engine(), tmp_path / 'no') as place:
    with pytest.raises(ValueError, match='1 of 2 units were given up') as found:
      place.run(toys.work(here=here), these, shown)
    assert shown.n == 2
    assert 'raising: Odd: 1 and 2 (see ' in str(found.value)
    failed = tmp_path / 'raising.failed.txt'
    assert str(failed) in str(found.value) and 'toys.py' in failed.read_text()
    assert (tmp_path / 'good.npz').read_text() == 'done'
    assert 'Given up: raising' in capsys.readouterr().out
    # The next one succeeds, and no word of the first is left.
    place.run(toys.work(here=here), [these[0] | {'how': 'well'}], shown)
  assert not failed.exists()


@pytest.mark.parametrize(
  'error', [KeyboardInterrupt(), signals.Terminated(15), OSError('no room')]
)
def test_an_end_and_a_full_disk_are_for_all_units_of_this_process(
  error, tmp_path
):
  done = []

  def here(unit, *, progress, title):
    done.append(unit)
    raise error

  with bar() as shown, placing.opened(Engine(), tmp_path / 'no') as place:
    with pytest.raises(type(error)):
      these = [toys.unit(tmp_path, name) for name in 'ab']
      place.run(toys.work(here=here), these, shown)
  assert len(done) == 1


@pytest.fixture(scope='module')
def place(tmp_path_factory):
  pytest.importorskip('distributed', reason='needs the extra cluster')
  folder = tmp_path_factory.mktemp('keys')
  # Workers import what the tests import.
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('PYTHONPATH', str(child.ROOT))
    with placing.opened(Engine('dask', jobs=2), folder) as place:
      yield place


@pytest.mark.slow
def test_bad_units_are_named_and_given_up_and_the_others_go_on(
  place, tmp_path, capsys
):
  these = [
    toys.unit(tmp_path, 'poisoned', 'poison'),
    toys.unit(tmp_path, 'raising', 'raise'),
    toys.unit(tmp_path, 'exiting', 'exit'),
    *(toys.unit(tmp_path, f'good{i}') for i in range(5)),
  ]
  (tmp_path / 'good0.npz').write_text('there')
  with bar() as shown, pytest.raises(ValueError) as raised:
    place.run(toys.work(), these, shown)
  message = str(raised.value)
  assert message.startswith('3 of 8 units were given up; the others are done')
  assert 'poisoned: it ended its worker 3 times' in message
  assert 'raising: Odd: 1 and 2' in message and 'raising.failed.txt' in message
  assert 'exiting: SystemExit: 3' in message
  assert [len(toys.starts(each)) for each in these] == [3, 1, 1, 0, 1, 1, 1, 1]
  assert (tmp_path / 'good0.npz').read_text() == 'there'
  assert (tmp_path / 'good4.npz').read_text() == 'done'
  assert shown.n == 2 * 5
  told = capsys.readouterr().out
  assert 'A worker was lost with unit poisoned: try 3 of 3' in told
  assert 'Given up: raising' in told and 'good1 is said' in told
  assert 'memory settings' not in told  # mejax has set them itself.


@pytest.mark.slow
def test_a_unit_whose_worker_is_killed_is_done_by_another(
  place, tmp_path, capsys
):
  these = [toys.unit(tmp_path, f'u{i}', seconds=2.0) for i in range(4)]

  def kill():
    while not toys.starts(these[0]):
      time.sleep(0.05)
    os.kill(toys.starts(these[0])[0], signal.SIGKILL)

  thread = threading.Thread(target=kill)
  thread.start()
  with bar() as shown:
    place.run(toys.work(), these, shown)
    assert shown.n == 8
  thread.join()
  assert [len(toys.starts(each)) for each in these] == [2, 1, 1, 1]
  # Never two at once in a worker, and both had work.
  assert len({toys.starts(each)[-1] for each in these}) >= 2
  assert 'A worker was lost with unit u0: try 2 of 3' in capsys.readouterr().out
  # What is held would be done again when its worker ends. dask lets go of it in
  # a thread of its own.
  end = time.monotonic() + 30
  while place._client.futures and time.monotonic() < end:
    time.sleep(0.05)
  assert not place._client.futures


@pytest.mark.slow
def test_a_worker_that_is_slow_to_start_again_is_not_forgotten(
  tmp_path, monkeypatch
):
  dask = pytest.importorskip('dask', reason='needs the extra cluster')
  monkeypatch.setenv('PYTHONPATH', str(child.ROOT))
  with dask.config.set({'distributed.deploy.lost-worker-timeout': '0.1 s'}):
    with placing.opened(Engine('dask', jobs=1), tmp_path / 'keys') as place:
      (process,) = place._client.run(os.getpid).values()
      first = place._workers().keys()
      os.kill(process, signal.SIGKILL)
      end = time.monotonic() + 60
      while not place._workers().keys() - first:
        assert time.monotonic() < end
        time.sleep(0.1)
      time.sleep(2)  # dask would let it start, and then end it.
      assert place._workers()


@pytest.mark.slow
def test_a_scheduler_that_is_lost_is_told_and_the_next_one_goes_on(
  tmp_path, capsys
):
  pytest.importorskip('distributed', reason='needs the extra cluster')
  these = [toys.unit(tmp_path, f'u{i}', seconds=3.0 * i) for i in range(3)]
  for last in (False, True):
    # The first worker is started as docs/scale.md says.
    limit = '2GB' if last else '0'
    with _scheduler(tmp_path, limit) as (scheduler, address):
      engine = Engine('dask', address)
      if not last:
        threading.Thread(target=_kill_after, args=(scheduler, these[0])).start()
        with pytest.raises(ConnectionError, match='scheduler was lost'):
          with placing.opened(engine, tmp_path) as place, bar() as shown:
            place.run(toys.work(), these, shown)
      else:
        with placing.opened(engine, tmp_path) as place, bar() as shown:
          place.run(toys.work(), these, shown)
          assert place.count() == 1
          # Neither waits for a clock that is set back, see worker.
          (in_worker,) = place._client.run(_SENDS_AT_ONCE).values()
          assert in_worker and place._client.run_on_scheduler(_SENDS_AT_ONCE)
    told = capsys.readouterr().out
    assert ('Start it with --memory-limit 0' in told) == last
  assert all(pathlib.Path(each['result']).exists() for each in these)
  assert len(toys.starts(these[0])) == 1


@pytest.mark.slow
def test_a_unit_that_takes_too_much_memory_is_given_up(tmp_path, capsys):
  pytest.importorskip('distributed', reason='needs the extra cluster')
  these = [
    toys.unit(tmp_path, 'hoarding', 'hoard', megabytes=2000),
    toys.unit(tmp_path, 'good'),
  ]
  with _scheduler(tmp_path, '1GB') as (_, address), bar() as shown:
    with placing.opened(Engine('dask', address), tmp_path) as place:
      with pytest.raises(ValueError, match='hoarding: it ended its worker 3'):
        place.run(toys.work(), these, shown)
  assert len(toys.starts(these[0])) == 3
  assert pathlib.Path(these[1]['result']).exists()
  assert 'was asked to end' not in capsys.readouterr().out


_SENDS_AT_ONCE = lambda: hasattr(  # noqa: E731 so that it is sent as code.
  importlib.import_module('distributed.batched').BatchedSend, 'next_deadline'
)


@contextlib.contextmanager
def _scheduler(folder, memory):
  """A scheduler with one worker, as somebody starts them by hand."""
  file = folder / 'scheduler.json'
  file.unlink(missing_ok=True)
  options = {
    'env': child.environment() | {'MALLOC_TRIM_THRESHOLD_': '0'},
    'stdout': subprocess.DEVNULL,
    'stderr': subprocess.DEVNULL,
  }
  dask = [sys.executable, '-m', 'dask']
  command = [
    *dask, 'scheduler', '--host', '127.0.0.1', '--port', '0',
    '--dashboard-address', '127.0.0.1:0', '--scheduler-file', str(file),
  ]  # fmt: skip
  scheduler = subprocess.Popen(command, **options)
  worker = subprocess.Popen(
    [
      *dask, 'worker', '--scheduler-file', str(file), '--nthreads', '1',
      '--no-dashboard', '--death-timeout', '20', '--local-directory', folder,
      '--memory-limit', memory,
    ],
    **options,
  )  # fmt: skip
  try:
    while not file.exists():
      time.sleep(0.1)
    yield scheduler, str(file)
  finally:
    for process in (worker, scheduler):
      process.kill()
      process.wait()


def _kill_after(scheduler, unit):
  while not pathlib.Path(unit['result']).exists():
    time.sleep(0.05)
  scheduler.kill()
