"""Reads the blocks of code of a Markdown page, and runs them in their order.

A block of `bash` or `python` is run. Any block may be preceded by a comment:

    <!-- file: my.csv -->        it is written into this file
    <!-- not run: REASON -->     it is not run

Every other block needs the second. Only what takes long is changed: the demo is
the small one, configs are `:smoke`, and clones are folders of made-up data.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import subprocess
import sys

from tests.corpora import htnet_tree

ROOT = pathlib.Path(__file__).parent.parent
_BLOCK = re.compile(
  r'^(?:<!-- (?P<what>file|not run): (?P<word>[^\n]+) -->\n)?'
  r'```(?P<language>\w*)\n(?P<text>.*?)^```$',
  re.M | re.S,
)
_RUN = ('bash', 'python')


@dataclasses.dataclass(frozen=True)
class Block:
  """A block of code.

  Attributes:
    line: number of its first line on the page.
    language: the word after the fence.
    text: its lines.
    file: the file into which it is written, '' for none.
    reason: why it is not run, '' if it is.
  """

  line: int
  language: str
  text: str
  file: str
  reason: str


def read(page: pathlib.Path) -> list[Block]:
  """Returns the blocks of a page."""
  text = page.read_text()
  found = [
    Block(
      line=text.count('\n', 0, match.start('text')) + 1,
      language=match['language'],
      text=match['text'],
      file=match['word'] if match['what'] == 'file' else '',
      reason=match['word'] if match['what'] == 'not run' else '',
    )
    for match in _BLOCK.finditer(text)
  ]
  assert 2 * len(found) == len(re.findall(r'^\s*```', text, re.M)), page
  return found


def unmarked(page: pathlib.Path) -> list[Block]:
  """Returns the blocks that are neither run nor say why they are not."""
  return [
    block
    for block in read(page)
    if block.language not in _RUN and not block.file and not block.reason
  ]


def run(page: pathlib.Path, folder: pathlib.Path) -> None:
  """Runs the blocks of a page; fails with what the first bad one printed."""
  for block in read(page):
    if block.file:
      (folder / block.file).write_text(block.text)
    elif not block.reason:
      _run_block(block, folder, f'{page}:{block.line}')


def _run_block(block: Block, folder: pathlib.Path, where: str) -> None:
  if block.language == 'python':
    command = [sys.executable, '-c', block.text]
  else:
    command = ['bash', '-euc', shortened(block.text)]
  result = subprocess.run(
    command,
    cwd=folder,
    env=_environment(folder),
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
  )
  printed = result.stdout.decode()
  assert result.returncode == 0, f'{where}\n{block.text}{printed[-4000:]}'
  if block.language == 'bash':
    # Without a terminal a bar of progress is a line now and then.
    assert '\r' not in printed, f'{where}\n{block.text}'
  expected = re.findall(r'^print\(.*\)  # (.*)$', block.text, re.M)
  # A run prints its own lines before that.
  last = printed.splitlines()[-len(expected) :]
  assert not expected or last == expected, f'{where}\n{printed[-4000:]}'


def shortened(commands: str) -> str:
  """Returns commands that do the same in less time, and download nothing."""
  commands = re.sub(
    r'git clone \S+/(\w+)$', r'test -d \1', commands, flags=re.M
  )
  commands = re.sub(r'mejax demo$', 'mejax demo --small', commands, flags=re.M)
  return re.sub(r'--config (\w+)(:\w+)?', r'--config \1:smoke', commands)


def make_workplace(folder: pathlib.Path) -> None:
  """Makes the command `mejax`, and what commands clone, in a new folder."""
  command = folder / 'bin/mejax'
  command.parent.mkdir()
  command.write_text(f'#!/bin/sh\nexec {sys.executable} -m mejax "$@"\n')
  command.chmod(0o755)
  htnet_tree.write_tree(folder / 'HTNet')
  people = {
    'sub01': ([0, 1], [0, 2]), 's02': ([2, 1], [2, 1]), '006': ([0, 2], [1, 2])
  }  # fmt: skip
  (folder / 'HTNet/confusion_matrix.py').write_text(
    'import nothing_that_exists\nrows = '
    + repr({who: {'truth': t, 'pred': p} for who, (t, p) in people.items()})
    + '\nnothing_that_exists.plot(rows)\n'
  )
  (folder / 'STSTNet').mkdir()
  names = {'sub01': 'casme2', 's02': 'smic', '006': 'samm'}
  log, python_log = '', ''
  for who, (truth, predicted) in people.items():
    log += f'{names[who]} {who}\n'
    for i, pair in enumerate(zip(truth, predicted, strict=True)):
      log += f'clip_{i} {pair[0]} {pair[1]}\n'
    python_log += (
      f'Subject: {who} \nPredicted   : {predicted} \nGround Truth: {truth} \n'
      'UF1: 0.5 | UAR: nan \n'
    )
  (folder / 'STSTNet/STSTNet_logfile.txt').write_text(log)
  (folder / 'STSTNet/STSTNet_python_logfile.txt').write_text(python_log)


def _environment(folder: pathlib.Path) -> dict[str, str]:
  places = {
    'PATH': [str(folder / 'bin'), os.environ['PATH']],
    # A module of a page lies in its folder, where Python looks by itself.
    'PYTHONPATH': [str(ROOT), os.environ.get('PYTHONPATH', '')],
  }
  return os.environ | {
    name: os.pathsep.join(filter(None, each)) for name, each in places.items()
  }
