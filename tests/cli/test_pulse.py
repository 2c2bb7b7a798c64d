"""Something on the terminal always moves, and nothing is lost by it."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import time

import pytest
import tqdm

from mejax.cli import pulse as pulse_lib
from mejax.cli import terminal


class Terminal(io.StringIO):
  """A terminal whose screen is known: what a line shows in the end."""

  def isatty(self):
    return True

  def screen(self) -> list[str]:
    lines = []
    for line in self.getvalue().split('\n'):
      shown = ''
      for part in re.split('\r', line):
        erased = part.removeprefix('\x1b[K')
        # Without an erasure only what is written over is replaced.
        shown = erased if erased != part else part + shown[len(part) :]
      lines.append(shown.rstrip())
    return lines


@pytest.fixture
def screen(monkeypatch):
  monkeypatch.setattr(pulse_lib, 'EVERY', 0.01)
  return Terminal()


@contextlib.contextmanager
def at_work(screen, monkeypatch, **others):
  """A command at work on a terminal, or with other streams."""
  with monkeypatch.context() as patch:
    for name in ('stdout', 'stderr'):
      patch.setattr(sys, name, others.get(name, screen))
    with terminal.guarded('mejax train'):
      yield


def wait(screen, words: str) -> None:
  for _ in range(500):
    if words in screen.getvalue():
      return
    time.sleep(0.01)
  raise AssertionError(screen.getvalue())


def test_a_command_that_prints_nothing_shows_that_it_is_at_work(
  screen, monkeypatch
):
  with at_work(screen, monkeypatch):
    print('first')
    wait(screen, 'mejax train: 0 s')
    print('second')
    wait(screen, 'second\n\r\x1b[Kmejax train')
  # In the end no trace of it is left.
  assert screen.screen() == ['first', 'second', '']


def test_the_time_of_a_bar_goes_on_while_it_waits(screen, monkeypatch):
  with at_work(screen, monkeypatch):
    with tqdm.tqdm(total=2, desc='training') as bar:
      shown = screen.getvalue().count('training')
      for _ in range(500):
        if screen.getvalue().count('training') > shown + 2:
          break
        time.sleep(0.01)
      else:
        raise AssertionError(screen.getvalue())
      bar.update(2)
  _, _, rest = screen.getvalue().partition('training')
  assert 'mejax train:' not in rest.partition('2/2')[0]
  assert screen.screen()[0].startswith('training: 100%')


def test_a_line_that_is_not_finished_stays(screen, monkeypatch):
  with at_work(screen, monkeypatch):
    print('so far', end=' ')
    time.sleep(0.1)
    print('so good')
  assert screen.screen() == ['so far so good', '']


@pytest.mark.parametrize('name', ['stdout', 'stderr'])
def test_what_goes_into_a_file_has_no_such_line(screen, name, monkeypatch):
  file = io.StringIO()
  with at_work(screen, monkeypatch, **{name: file}):
    time.sleep(0.1)
  assert screen.getvalue() == file.getvalue() == ''
