"""What a name in a message can do to a terminal: nothing."""

from __future__ import annotations

import io
import sys

import hypothesis
from hypothesis import strategies

from mejax.cli import terminal


def _printed(text, monkeypatch, name='stdout'):
  stream = io.StringIO()
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


@hypothesis.given(strategies.text())
@hypothesis.settings(max_examples=100)
def test_nothing_but_tabs_and_lines_is_left(text):
  plain = terminal.plain(text)
  assert all(c.isprintable() or c in '\t\n' or ord(c) > 0x9F for c in plain)
