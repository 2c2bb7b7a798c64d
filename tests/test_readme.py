"""The README does what it says: its commands and programs, in its order.

The command line reads every command. The slow tests run them one after another,
in a clean copy with a virtual environment of its own, which borrows the
libraries of the one that runs the tests, so that nothing is downloaded. Changed
are only length (the small demo, `:smoke` configs) and the clone of HTNet, for
which a small one of the same layout stands in.
"""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import shutil
import site
import subprocess
import sys

import pytest

from mejax import cli
from mejax.experiment import configuration
from tests.corpora import htnet_tree

pytestmark = pytest.mark.unoptimised

ROOT = pathlib.Path(__file__).parent.parent
README = (ROOT / 'README.md').read_text()
BLOCKS = re.findall(r'^```(bash|python)\n(.*?)^```$', README, re.M | re.S)
COMMANDS = [
  line
  for block in re.findall(r'^```\w+\n(.*?)^```$', README, re.M | re.S)
  for line in block.splitlines()
  if line.startswith('mejax ')
]
STEPS = [
  (language, step.strip())
  for language, text in BLOCKS
  for step in (text.splitlines() if language == 'bash' else [text])
]
TESTS = next(step for _, step in STEPS if 'pytest' in step)
CLONE = 'git clone https://github.com/wangzhifengharrison/HTNet'


def test_the_clone_is_among_the_commands():
  assert any(CLONE in step for _, step in STEPS)


def test_ci_calls_exactly_the_test_command_and_then_the_slow_tests():
  lines = (ROOT / '.ci/run').read_text().splitlines()
  assert lines[-2:] == [TESTS, '.venv/bin/pytest -n 2 -m slow']


def test_the_main_job_and_the_tests_are_one_line_each():
  first, second = (text.splitlines() for _, text in BLOCKS[:2])
  assert len(first) == len(second) == 1
  assert first[0].endswith('mejax demo')
  assert second[0] == TESTS


def test_links_lead_to_files_that_are_there():
  targets = re.findall(r'\]\(([^)#]+)\)', README)
  local = [target for target in targets if '://' not in target]
  assert local
  assert [target for target in local if not (ROOT / target).exists()] == []


def test_every_shipped_config_is_in_the_table():
  table = README.split('| config | what it is |')[1].split('\n\n')[0]
  names = re.findall(r'^\| `(\w+)` \|', table, re.M)
  assert sorted(names) == sorted(
    path.stem
    for path in (ROOT / 'configs').glob('*.py')
    if path.stem != 'default'  # The values that all start from.
  )


@pytest.mark.parametrize('command', COMMANDS)
def test_the_command_line_takes_every_command_of_the_readme(command):
  args, rest = cli._parser().parse_known_args(shlex.split(command)[1:])
  assert all(word.startswith('--config.') for word in rest)
  if args.verb in ('train', 'sweep'):
    configuration.load_config(args.config, rest)
  else:
    assert rest == []


@pytest.fixture(scope='module')
def copy(tmp_path_factory) -> pathlib.Path:
  """A copy without anything that was made in the tree."""
  folder = tmp_path_factory.mktemp('readme') / 'mejax'
  made = ('.git', '.venv', '.cache', 'HTNet', 'data', 'runs', '*.egg-info')
  ignore = shutil.ignore_patterns(*made, '__pycache__')
  shutil.copytree(ROOT, folder, symlinks=True, ignore=ignore)
  htnet_tree.write_tree(folder.parent / 'HTNet')
  return folder


@pytest.mark.slow
@pytest.mark.parametrize(
  ('language', 'step'),
  [
    pytest.param(*step, id=step[1].splitlines()[0][:60])
    for step in STEPS
    if step[1] != TESTS
  ],
)
def test_step(language, step, copy):
  step = step.replace(CLONE, 'ln -s ../HTNet HTNet')
  step = re.sub(r'mejax demo$', 'mejax demo --small', step)
  step = re.sub(r'--config (\w+)(:\w+)?', r'--config \1:smoke', step)
  name = re.match(r'# (\w+\.py)\n', step)
  if name:
    (copy / name.group(1)).write_text(step)
    return
  command = ['bash', '-c'] if language == 'bash' else ['.venv/bin/python', '-c']
  result = subprocess.run(
    [*command, step],
    cwd=copy,
    env=environment(copy),
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
  )
  assert result.returncode == 0, f'{step}\n{result.stdout[-4000:]}'
  assert result.stdout or 'mejax' not in step


def environment(copy: pathlib.Path) -> dict[str, str]:
  """Finds the copy's programs first, and every library without a download."""
  folders = [copy / '.venv/bin', pathlib.Path(sys.executable).parent]
  return os.environ | {
    'PATH': os.pathsep.join([*map(str, folders), os.environ['PATH']]),
    'PYTHONPATH': os.pathsep.join(site.getsitepackages()),
    'PIP_NO_INDEX': '1',
    'PIP_NO_DEPS': '1',
    # pip reads this one as the value of `build_isolation`.
    'PIP_NO_BUILD_ISOLATION': 'false',
  }
