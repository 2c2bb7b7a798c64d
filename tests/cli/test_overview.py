"""The verbs by task, and completion as the shell itself does it."""

from __future__ import annotations

import argparse
import ast
import pathlib
import shutil
import subprocess
import sys

import pytest

from mejax import cli
from mejax.cli import overview
from tests import child

ROOT = pathlib.Path(__file__).parent.parent.parent


def _verbs():
  actions = cli._parser()._subparsers._group_actions
  return next(iter(actions)).choices


def test_every_verb_stands_once_under_its_task():
  text = cli._parser().format_help()
  listed = [verb for names in overview.GROUPS.values() for verb in names]
  assert set(_verbs()) <= set(listed)
  for verb in _verbs():
    assert text.count(f'\n    {verb} ') == 1
  titles = [f'\n  {title}:\n' for title in overview.GROUPS]
  places = [text.index(title) for title in titles if title in text]
  assert places == sorted(places) and len(places) > 3
  assert '\n  more:\n' not in text


def test_a_verb_without_a_task_comes_last():
  parser = argparse.ArgumentParser(formatter_class=overview.ByTask)
  verbs = parser.add_subparsers(dest='verb')
  verbs.add_parser('new', help='Do something.')
  verbs.add_parser('demo', help='Show it.')
  text = parser.format_help()
  assert text.index('demo ') < text.index('more:') < text.index('new ')


def test_python_m_mejax_is_the_command():
  result = subprocess.run(
    [sys.executable, '-m', 'mejax', '--version'],
    capture_output=True,
    text=True,
    env=child.environment(),
  )
  assert result.stdout.startswith('mejax ') and result.returncode == 0


@pytest.mark.parametrize('shell', overview.SHELLS)
def test_each_shell_gets_a_script_that_names_every_verb(shell, capsys):
  with pytest.raises(SystemExit) as stop:
    cli.main(['--completion', shell])
  assert stop.value.code == 0
  text = capsys.readouterr().out
  assert all(verb in text for verb in _verbs())


@pytest.mark.parametrize(
  ('words', 'completed'),
  [
    ('mejax tra', ['train']),
    ('mejax re', ['render', 'report']),
    ('mejax train --con', ['--config']),
    ('mejax score --tab', ['--table']),
  ],
)
def test_bash_completes(words, completed, tmp_path, capsys):
  if not shutil.which('bash'):
    pytest.skip('needs bash')
  with pytest.raises(SystemExit):
    cli.main(['--completion', 'bash'])
  script = tmp_path / 'mejax.bash'
  script.write_text(capsys.readouterr().out)
  program = (
    f'source {script}; COMP_WORDS=({words}); '
    'COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _shtab_mejax; '
    'echo "${COMPREPLY[@]}"'
  )
  result = subprocess.run(
    ['bash', '-c', program], capture_output=True, text=True, check=True
  )
  assert sorted(result.stdout.split()) == completed


def test_every_bar_of_progress_goes_to_the_stream_that_is_quiet_in_a_file():
  bars = 0
  for path in (ROOT / 'mejax').rglob('*.py'):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
      if isinstance(node, ast.ImportFrom):
        assert not (node.module or '').startswith('tqdm'), path
      if not isinstance(node, ast.Call):
        continue
      name = ast.unparse(node.func)
      assert name not in ('tqdm.tqdm', 'tqdm.trange'), path
      if name == 'bars.Bar':
        bars += 1
        named = {word.arg for word in node.keywords}
        assert not named & {'file', 'mininterval', 'ascii'}, path
  assert bars > 8
