"""The command line: quick, teaching, and clear about bad input."""

from __future__ import annotations

import re
import resource
import subprocess
import sys

import pytest

from mejax import cli
from mejax.experiment import configuration
from tests import child

VERBS = (
  'demo',
  'render',
  'check',
  'prepare',
  'inspect',
  'spot',
  'train',
  'pretrain',
  'sweep',
  'convert',
  'pack',
  'evaluate',
  'report',
  'score',
)
TRAIN = ['train', '--config', 'ststnet', '--workdir', 'run']


def run(*args: str, cwd=None) -> subprocess.CompletedProcess:
  """`mejax args...` in a process of its own."""
  program = 'from mejax import cli; cli.run()'
  return subprocess.run(
    [sys.executable, '-c', program, *args],
    capture_output=True,
    text=True,
    cwd=cwd,
    env=child.environment(),
  )


@pytest.mark.parametrize('verb', VERBS)
def test_the_help_of_a_verb_teaches_with_an_example(verb, capsys):
  with pytest.raises(SystemExit) as stop:
    cli.main([verb, '--help'])
  assert stop.value.code == 0
  text = capsys.readouterr().out
  assert 'example:\n  ' in text
  assert f'mejax {verb}' in text.partition('example:')[2]


def test_help_names_all_verbs_within_0_3_seconds_of_computing():
  def seconds():
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = run('--help')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert all(f'\n    {verb} ' in result.stdout for verb in VERBS)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

  assert min(seconds() for _ in range(3)) < 0.3


def test_help_of_train_names_every_shipped_config(capsys):
  with pytest.raises(SystemExit):
    cli.main(['train', '--help'])
  text = capsys.readouterr().out
  assert all(name in text for name in configuration.list_configs())


@pytest.mark.parametrize(
  ('args', 'words'),
  [
    (['--config', 'nothing'], 'which are'),
    (['--config', 'ststnet:large'], 'ststnet:smoke'),
    (['--config', 'ststnet', '--config.learning_rate=1'], 'setting.learning_'),
    (['--config', 'ststnet', '--config.num_seeds=many'], 'num_seeds=many'),
  ],
)
def test_bad_input_is_one_message_and_exit_code_2(args, words, tmp_path):
  result = run('train', '--workdir', 'run', *args, cwd=tmp_path)
  assert result.returncode == 2
  assert words in result.stderr
  assert 'Traceback' not in result.stderr
  assert result.stderr.startswith('mejax train: ')
  assert not list(tmp_path.iterdir())


def test_debug_shows_where_bad_input_was_noticed():
  result = run('train', '--debug', '--workdir', 'run', '--config', 'nothing')
  assert result.returncode != 0
  assert 'Traceback' in result.stderr


@pytest.mark.parametrize(
  'args',
  [
    [*TRAIN, '--conf.num_seeds=1'],
    [*TRAIN, '--dry'],
    ['report', 'run', '--config.num_seeds=1'],
    ['fly'],
    [],
  ],
)
def test_unknown_options_and_verbs_are_refused(args, capsys):
  with pytest.raises(SystemExit) as stop:
    cli.main(args)
  assert stop.value.code == 2
  assert 'mejax' in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(monkeypatch):
  def broken(*_):
    raise ValueError('not raised by mejax')

  monkeypatch.setattr(configuration, 'load_config', broken)
  with pytest.raises(ValueError, match='not raised by mejax'):
    cli.main(TRAIN)


def test_a_missing_file_is_bad_input_wherever_it_is_noticed(
  monkeypatch, capsys
):
  def missing(*_):
    open('no such file')

  monkeypatch.setattr(configuration, 'load_config', missing)
  assert cli.main(TRAIN) == 2
  assert 'no such file' in capsys.readouterr().err


def test_little_memory_is_one_message(monkeypatch, capsys):
  def fail(*args):
    raise MemoryError('Unable to allocate 29.8 GiB')

  monkeypatch.setattr(configuration, 'load_config', fail)
  assert cli.main(TRAIN) == 2
  assert capsys.readouterr().err == (
    'mejax train: there is not enough memory (Unable to allocate 29.8 GiB).\n'
  )


@pytest.mark.parametrize(
  ('variable', 'value', 'words'),
  [
    ('JAX_PLATFORMS', 'nonsense', 'JAX cannot start: .*nonsense'),
    ('JAX_ENABLE_X64', 'maybe', 'a library cannot be imported: .*X64'),
  ],
)
def test_a_variable_that_jax_does_not_take_is_one_message(
  tmp_path, monkeypatch, variable, value, words
):
  monkeypatch.setenv(variable, value)
  arrays = 'np.zeros((4, 2)), [0, 1, 0, 1], ["a", "a", "b", "b"]'
  (tmp_path / 'verb.py').write_text(
    'from mejax import cli\n'
    'from mejax.cli import scores\n'
    'def report(args):\n'
    '  import numpy as np\n'
    '  from mejax import experiment\n'
    f'  experiment.leave_one_subject_out({arrays}, workdir="run")\n'
    'scores._report = report\n'
    'cli.run()\n'
  )
  done = subprocess.run(
    [sys.executable, 'verb.py', 'report', 'x'],
    capture_output=True,
    text=True,
    cwd=tmp_path,
    env=child.environment(),
  )
  assert done.returncode == 2
  assert re.fullmatch(f'mejax report: {words}.*\n', done.stderr)


def test_an_output_that_nobody_reads_ends_without_a_traceback(tmp_path):
  code = 'for i in range(9999): print("line", i)'
  program = (
    'from mejax import cli\nfrom mejax.cli import scores\n'
    f'def report(args):\n  {code}\n'
    'scores._report = report\ncli.run()\n'
  )
  (tmp_path / 'verb.py').write_text(program)
  for lines, both in ((1, ''), (1, '2>&1'), (0, '')):
    done = subprocess.run(
      f'("{sys.executable}" verb.py report x {both}; echo $? >code)'
      f' | head -n {lines}',
      shell=True,
      capture_output=True,
      text=True,
      cwd=tmp_path,
      env=child.environment(),
    )
    assert done.stdout == 'line 0\n' * lines
    assert (tmp_path / 'code').read_text() == '141\n'
    assert 'Traceback' not in done.stderr and 'Exception' not in done.stderr
    assert ('Ended by SIGPIPE' in done.stderr) == (not both)


def test_a_line_break_in_an_error_begins_no_line_of_its_own(
  monkeypatch, capsys
):
  def odd(*_):
    raise OSError('no file x\nmejax train: all is well')

  monkeypatch.setattr(configuration, 'load_config', odd)
  assert cli.main(TRAIN) == 2
  text = capsys.readouterr().err
  assert text == 'mejax train: no file x\n  mejax train: all is well\n'


def test_a_closed_output_takes_nothing_and_breaks_nothing(tmp_path):
  program = (
    'import os, sys\n'
    'for number in (0, 1, 2): os.close(number)\n'
    'from mejax import cli\n'
    'cli._fill_up_streams()\n'
    'with open(sys.argv[1], "wb") as file:\n'
    '  for number in (1, 2): os.write(number, b"noise")\n'
    '  file.write(str(file.fileno()).encode())\n'
  )
  path = tmp_path / 'result'
  subprocess.run([sys.executable, '-c', program, str(path)], check=True)
  assert int(path.read_text()) > 2
  done = subprocess.run(
    f'"{sys.executable}" -m mejax check casme2 nowhere 2>&1 >&-',
    shell=True,
    capture_output=True,
    text=True,
  )
  assert (done.returncode, done.stdout[:12]) == (2, 'mejax check:')
  closed = f'"{sys.executable}" -m mejax check casme2 nowhere >&- 2>&-'
  assert subprocess.run(closed, shell=True, check=False).returncode == 2


def test_a_current_folder_that_was_deleted_is_told(
  tmp_path, monkeypatch, capsys
):
  (tmp_path / 'gone').mkdir()
  monkeypatch.chdir(tmp_path / 'gone')
  (tmp_path / 'gone').rmdir()
  assert cli.main(['report', str(tmp_path)]) == 2
  assert 'the current folder was deleted' in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
  def interrupted(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(configuration, 'load_config', interrupted)
  assert cli.main([*TRAIN, '--config.model.name=my model']) == 130
  assert (
    "mejax train --config ststnet --workdir run '--config.model.name=my model'"
    in capsys.readouterr().err
  )
