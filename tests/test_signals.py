"""Signals end a block by an exception, at a moment that it chooses."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from mejax import cli
from mejax import signals
from mejax.cli import learning
from mejax.cli import scores
from tests import child


@pytest.mark.parametrize(('name', 'code'), [('SIGTERM', 143), ('SIGHUP', 129)])
def test_a_signal_becomes_an_exception_with_its_code(name, code):
  number = getattr(signal, name)
  # Under nohup the tests themselves start with SIGHUP ignored.
  before = signal.signal(number, signal.SIG_DFL)
  try:
    with pytest.raises(signals.Terminated) as ended, signals.raising():
      signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL
  finally:
    signal.signal(number, before)
  assert (ended.value.name, ended.value.code) == (name, code)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_an_import_waits_for_its_end(
  number, tmp_path, monkeypatch
):
  """Native modules crash if it does not."""
  name = f'imported_{number}'
  (tmp_path / f'{name}.py').write_text(
    f'import signal\nsignal.raise_signal({number})\nDONE = True\n'
  )
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises((KeyboardInterrupt, signals.Terminated)):
    with signals.raising():
      assert importlib.import_module(name).DONE
      time.sleep(10)
  assert sys.modules.pop(name).DONE


CALLER = """
import signal
from mejax import signals
try:
  with signals.raising():
    signal.raise_signal(signal.SIGTERM)
except signals.Terminated:
  print('ended at once')
"""


def test_a_caller_that_is_imported_itself_is_ended_at_once(tmp_path):
  (tmp_path / 'caller.py').write_text(CALLER)
  done = subprocess.run(
    [sys.executable, '-c', 'import caller'],
    capture_output=True,
    cwd=tmp_path,
    env=child.environment(),
    text=True,
  )
  assert done.stdout == 'ended at once\n', done.stderr


def test_an_ignored_signal_stays_ignored():
  before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  try:
    with signals.raising():
      signal.raise_signal(signal.SIGHUP)
  finally:
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_held_signal_waits_for_the_end_of_the_block(number):
  done = []
  with pytest.raises((KeyboardInterrupt, signals.Terminated)):
    with signals.raising(), signals.held() as asked:
      assert not asked()
      signal.raise_signal(number)
      assert asked()
      done.append('saved')
  assert done == ['saved']


def test_a_second_signal_does_not_wait():
  with pytest.raises(KeyboardInterrupt), signals.held():
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
      signal.raise_signal(signal.SIGINT)


def test_other_threads_hold_nothing_and_fail_at_nothing():
  found = []

  def hold():
    with signals.raising(), signals.held() as asked:
      found.append(asked())

  thread = threading.Thread(target=hold)
  thread.start()
  thread.join()
  assert found == [False]


def test_another_thread_is_asked_by_what_it_was_told_and_then_ends():
  found, asks = [], iter([False, True, True])

  def hold():
    try:
      with signals.asked_by(lambda: next(asks)), signals.held() as asked:
        found.extend([asked(), asked()])
    except signals.Terminated as error:
      found.append(error.name)
    with signals.held() as asked:  # What was told holds no longer.
      found.append(asked())

  thread = threading.Thread(target=hold)
  thread.start()
  thread.join()
  assert found == [False, True, 'SIGTERM', False]


def test_a_command_ended_by_sigterm_says_how_to_go_on(monkeypatch, capsys):
  monkeypatch.setattr(
    scores, '_report', lambda _: signal.raise_signal(signal.SIGTERM)
  )
  assert cli.main(['report', 'runs/a b']) == 143
  shown = capsys.readouterr().err
  assert 'Ended by SIGTERM' in shown and "mejax report 'runs/a b'" in shown


@pytest.mark.parametrize('word', [signal.SIGTERM, signal.SIGINT])
def test_what_only_forecasts_does_not_promise_to_go_on(
  monkeypatch, capsys, word
):
  monkeypatch.setattr(learning, '_train', lambda _: signal.raise_signal(word))
  arguments = ['train', '--config', 'cnn', '--workdir', 'run', '--dry_run']
  assert cli.main(arguments) == 128 + word
  shown = capsys.readouterr().err
  assert 'nothing is left to go on with' in shown and 'from here' not in shown
  # Without the flag there is.
  cli.main(arguments[:-1])
  assert 'goes on from here' in capsys.readouterr().err


# As if the signal had come before a library could cancel its timer.
TIMER = """
import signal, threading
from mejax import cli
from mejax.cli import scores
def report(args):
  threading.Timer(900, print, ['later']).start()
  signal.raise_signal(signal.SIGTERM)
scores._report = report
cli.run()
"""


def test_a_command_that_was_ended_waits_for_no_timer():
  done = subprocess.run(
    [sys.executable, '-c', TIMER, 'report', 'somewhere'],
    capture_output=True,
    env=child.environment(),
    text=True,
    timeout=600,
  )
  assert done.returncode == 143 and not done.stdout
  assert done.stderr.endswith('here:\n  mejax report somewhere\n')
