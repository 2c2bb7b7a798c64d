"""The program of docs/models.md runs, and prints what its comments say."""

from __future__ import annotations

import contextlib
import io
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGE = ROOT / 'docs/models.md'
BLOCK = re.compile(r'^```python\n(.*?)^```$', re.M | re.S)


def test_the_readme_leads_to_the_page():
  assert '(docs/models.md)' in (ROOT / 'README.md').read_text()


@pytest.mark.slow
def test_the_program_of_the_page_prints_what_its_comments_say(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  text, names = PAGE.read_text(), {'__name__': 'page'}
  blocks = list(BLOCK.finditer(text))
  assert len(blocks) == text.count('```') // 2
  for block in blocks:
    # Errors name the line of the page.
    lines = '\n' * text.count('\n', 0, block.start(1))
    program = compile(lines + block.group(1), PAGE, 'exec')
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
      exec(program, names)
    expected = re.findall(r'^print\(.*\)  # (.*)$', block.group(1), re.M)
    assert len(expected) == block.group(1).count('print(')
    # A run prints its own lines before that.
    last = printed.getvalue().splitlines()[-len(expected) :]
    assert not expected or last == expected
