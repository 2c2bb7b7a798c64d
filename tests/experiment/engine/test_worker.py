"""What a worker does: whatever a unit does, the worker goes on."""

from __future__ import annotations

import asyncio
import json
import pathlib
import time

import pytest

from mejax.experiment.engine import worker
from tests.experiment.engine import toys


def attempt(unit, **changes):
  spec = {
    'unit': unit,
    'do': 'tests.experiment.engine.toys:do',
    'arguments': {'word': 'x'},
    'about': worker.describe(),
    'folders': [],
    'share': 0,
  }
  # All that is sent is JSON.
  return worker.attempt(json.loads(json.dumps(spec | changes)))


def test_a_unit_that_ends_well_is_told_with_what_it_said(tmp_path, capsys):
  one = toys.unit(tmp_path, 'a')
  outcome = attempt(one)
  assert 'error' not in outcome and outcome['seconds'] >= 0
  assert outcome['said'] == 'a is said' and not capsys.readouterr().out
  assert outcome['machine'].keys() == {
    'device',
    'devices',
    'cores',
    'peak_bytes',
  }
  assert pathlib.Path(one['result']).read_text() == 'x'


@pytest.mark.parametrize(
  ('how', 'error'), [('raise', 'Odd: 1 and 2'), ('exit', 'SystemExit: 3')]
)
def test_whatever_a_unit_raises_is_told_and_its_traceback_is_kept(
  how, error, tmp_path
):
  outcome = attempt(toys.unit(tmp_path, 'a', how))
  assert outcome['error'] == error
  kept = worker.failed_file(tmp_path / 'a.npz').read_text()
  assert 'Traceback' in kept and 'toys.py' in kept
  # A later try that succeeds leaves no word of it.
  assert 'error' not in attempt(toys.unit(tmp_path, 'a'))
  assert not worker.failed_file(tmp_path / 'a.npz').exists()


@pytest.mark.parametrize('key', ['mejax', 'jax', 'options of JAX'])
def test_a_worker_that_would_compute_otherwise_refuses(key, tmp_path):
  one = toys.unit(tmp_path, 'a')
  outcome = attempt(one, about={**worker.describe(), key: 'other'})
  assert f'{key} is' in outcome['error'] and 'anew' in outcome['error']
  assert not pathlib.Path(one['result']).exists()


def test_a_machine_without_the_folder_refuses(tmp_path):
  outcome = attempt(toys.unit(tmp_path / 'elsewhere', 'a'))
  assert 'does not exist on this machine' in outcome['error']
  assert not (tmp_path / 'elsewhere').exists()


def test_a_message_does_not_wait_for_a_clock_that_is_set_back(monkeypatch):
  batched = pytest.importorskip('distributed').batched
  clock, sent = [time.time()], []
  monkeypatch.setattr(time, 'time', lambda: clock[0])
  monkeypatch.setattr(batched, 'time', time.time)

  class Comm:
    def closed(self):
      return False

    async def write(self, messages, **_):
      sent.extend(messages)
      clock[0] -= 3600
      return 1

  async def send():
    stream = batched.BatchedSend('2 ms')
    stream.start(Comm())
    for message in ('first', 'second'):
      stream.send(message)
      await asyncio.sleep(0.1)
    stream.please_stop = True
    stream.waker.set()
    await stream.stopped.wait()

  # The class is as it was when this test ends.
  monkeypatch.setattr(batched.BatchedSend, 'next_deadline', None, raising=False)
  worker.sending_at_once()()
  asyncio.run(send())
  assert sent == ['first', 'second']
