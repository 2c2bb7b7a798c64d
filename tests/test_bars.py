"""Bars of a program in Python, without the command line."""

from __future__ import annotations

import io
import sys

import pytest

from mejax import bars


def printed(monkeypatch, stream):
  monkeypatch.setattr(sys, 'stderr', stream)
  for _ in bars.Bar(range(5), desc='make', mininterval=0):
    pass
  print('done', file=stream, flush=True)


@pytest.fixture
def clock(monkeypatch):
  """Each look at the clock moves it on by ten seconds."""
  now = [0.0]

  def tick():
    now[0] += 10
    return now[0]

  monkeypatch.setattr(bars.time, 'monotonic', tick)


def test_in_a_file_a_bar_is_lines(tmp_path, monkeypatch, clock):
  path = tmp_path / 'log.txt'
  with path.open('w', newline='') as stream:
    printed(monkeypatch, stream)
  text = path.read_text()
  assert '\r' not in text
  *lines, last, done = text.splitlines()
  assert last.startswith('make: 100%') and done == 'done'
  assert 1 <= len(lines) < 5 and all(line.startswith('make') for line in lines)


def test_where_there_is_no_file_a_bar_moves(monkeypatch):
  # As in a notebook, whose stream is no terminal.
  stream = io.StringIO()
  printed(monkeypatch, stream)
  assert stream.getvalue().count('\r') >= 5
