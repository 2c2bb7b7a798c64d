"""Something on the terminal always moves, and nothing is lost by it."""

from __future__ import annotations

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
  stream = Terminal()
  monkeypatch.setattr(sys, 'stdout', stream)
  monkeypatch.setattr(sys, 'stderr', stream)
  monkeypatch.setattr(pulse_lib, 'EVERY', 0.01)
  return stream


def wait(screen, words: str) -> None:
  for _ in range(500):
    if words in screen.getvalue():
      return
    time.sleep(0.01)
  raise AssertionError(screen.getvalue())


def test_a_command_that_prints_nothing_shows_that_it_is_at_work(screen):
  with terminal.guarded('mejax train'):
    print('first')
    wait(screen, 'mejax train: 0 s')
    print('second')
    wait(screen, 'second\n\r\x1b[Kmejax train')
  # In the end no trace of it is left.
  assert screen.screen() == ['first', 'second', '']


def test_the_time_of_a_bar_goes_on_while_it_waits(screen):
  with terminal.guarded('mejax train'):
    with tqdm.tqdm(total=2, desc='training') as bar:
      before = screen.getvalue().count('training')
      for _ in range(500):
        if screen.getvalue().count('training') > before + 2:
          break
        time.sleep(0.01)
      bar.update(2)
  assert screen.getvalue().count('training') > before + 2
  assert 'mejax train:' not in screen.getvalue().split('2/2')[0]
  assert screen.screen()[0].startswith('training: 100%')


def test_a_line_that_is_not_finished_stays(screen):
  with terminal.guarded('mejax train'):
    print('so far', end=' ')
    time.sleep(0.1)
    print('so good')
  assert screen.screen() == ['so far so good', '']


@pytest.mark.parametrize('name', ['stdout', 'stderr'])
def test_what_goes_into_a_file_has_no_such_line(screen, name, monkeypatch):
  monkeypatch.setattr(sys, name, io.StringIO())
  with terminal.guarded('mejax train'):
    time.sleep(0.1)
  assert screen.getvalue() == ''
