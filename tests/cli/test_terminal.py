"""What a name in a message can do to a terminal: nothing."""

from __future__ import annotations

import io
import re
import sys

import hypothesis
from hypothesis import strategies
import pytest
import tqdm

from mejax import bars
from mejax.cli import terminal


def _printed(text, monkeypatch, name='stdout'):
  stream = io.StringIO()
  stream.isatty = lambda: True
  with monkeypatch.context() as patch:
    patch.setattr(sys, name, stream)
    with terminal.guarded():
      print(text, end='', file=getattr(sys, name))
    assert getattr(sys, name) is stream
  return stream.getvalue()


def test_control_characters_are_shown_as_text(monkeypatch):
  shown = _printed('x\x1b[31mRED\r\x9b2J\u202egnp.exe', monkeypatch)
  assert shown == r'x\x1b[31mRED\r\x9b2J\u202egnp.exe'


def test_names_of_every_script_stay_as_they_are(monkeypatch):
  text = 'Jörg\t李雷 علي Анна é\n🙂'
  assert _printed(text, monkeypatch) == text


def test_a_bar_of_progress_still_moves(monkeypatch):
  bar = '\n\rtraining: 50%\x1b[A'
  assert _printed(bar, monkeypatch, 'stderr') == bar
  shown = _printed('\r\x1b[31mRED\x1b[A\x07', monkeypatch, 'stderr')
  assert shown == '\r\\x1b[31mRED\x1b[A\\x07'


def test_without_streams_nothing_is_printed(monkeypatch):
  monkeypatch.setattr(sys, 'stdout', None)
  with terminal.guarded():
    print('x')
    assert sys.stdout is None


@pytest.fixture
def clock(monkeypatch):
  """Replaces the clock of the module; each bar moves it on by a second."""
  now = [100.0]
  monkeypatch.setattr(bars.time, 'monotonic', lambda: now[0])
  return now


def _logged(clock, seconds, *, beside=(), monkeypatch):
  """Returns the lines of a file in which a bar of so many seconds ran."""
  stream = io.StringIO()
  monkeypatch.setattr(sys, 'stderr', stream)
  with terminal.guarded():
    with tqdm.tqdm(total=seconds, desc='make', mininterval=0) as bar:
      for second in range(seconds):
        clock[0] += 1
        bar.update()
        if second in beside:
          tqdm.tqdm.write(f'at {second}', file=sys.stderr)
    print('done', file=sys.stderr)
  assert '\r' not in stream.getvalue()
  return stream.getvalue().splitlines()


@pytest.mark.parametrize('seconds', [1, 29, 30, 31, 60, 100])
def test_in_a_file_a_bar_is_a_line_every_half_a_minute(
  clock, monkeypatch, seconds
):
  *bar, last = _logged(clock, seconds, monkeypatch=monkeypatch)
  assert last == 'done'
  assert bar[-1].startswith('make: 100%')
  shown = [int(re.search(r' (\d+)/', line)[1]) for line in bar]
  assert shown == [*range(30, seconds, 30), seconds]


def test_in_a_file_messages_stand_between_the_lines_of_a_bar(
  clock, monkeypatch
):
  lines = _logged(clock, 40, beside=(3, 35), monkeypatch=monkeypatch)
  assert [line for line in lines if not line.startswith('make')] == [
    'at 3',
    'at 35',
    'done',
  ]
  assert len(lines) == 5


@hypothesis.given(strategies.text())
@hypothesis.settings(max_examples=100)
def test_nothing_but_tabs_and_lines_is_left(text):
  plain = terminal.plain(text)
  assert all(c.isprintable() or c in '\t\n' or ord(c) > 0x9F for c in plain)
