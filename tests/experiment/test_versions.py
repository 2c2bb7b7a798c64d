"""The commit in a run is that of the code, or it is not told."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

import mejax
from mejax.experiment import versions

pytestmark = [
  pytest.mark.unoptimised,
  pytest.mark.skipif(shutil.which('git') is None, reason='needs git'),
]


def _git(root, *words):
  who = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'commit.gpgsign=0']
  variables = {k: v for k, v in os.environ.items() if not k.startswith('GIT_')}
  shown = subprocess.run(
    ['git', *who, *words],
    cwd=root,
    env=variables,
    capture_output=True,
    text=True,
    check=True,
  )
  return shown.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
  """A repository with a package in it."""
  (tmp_path / 'mejax').mkdir()
  (tmp_path / 'configs').mkdir()
  for name in ('mejax/__init__.py', 'configs/cnn.py', 'README.md'):
    (tmp_path / name).write_text('1\n')
  _git(tmp_path, 'init', '-q')
  _git(tmp_path, 'add', '.')
  _git(tmp_path, 'commit', '-qm', 'first')
  return tmp_path


def test_the_commit_is_that_of_the_checkout(checkout, monkeypatch):
  commit = _git(checkout, 'rev-parse', 'HEAD')
  assert len(commit) == 40 and versions.find_commit(checkout) == commit
  # Only code counts.
  (checkout / 'README.md').write_text('2\n')
  assert versions.find_commit(checkout) == commit
  # A hook of git runs with these.
  monkeypatch.setenv('GIT_DIR', str(checkout / 'elsewhere'))
  assert versions.find_commit(checkout) == commit


@pytest.mark.parametrize('name', ['mejax/__init__.py', 'configs/cnn.py'])
@pytest.mark.parametrize('is_staged', [False, True])
def test_changed_code_is_not_told_as_the_commit(checkout, name, is_staged):
  commit = _git(checkout, 'rev-parse', 'HEAD')
  (checkout / name).write_text('2\n')
  if is_staged:
    _git(checkout, 'add', name)
  assert versions.find_commit(checkout) == f'{commit} with changes'


def test_a_new_module_is_a_change_whatever_git_shows_its_user(checkout):
  commit = _git(checkout, 'rev-parse', 'HEAD')
  _git(checkout, 'config', 'status.showUntrackedFiles', 'no')
  (checkout / 'mejax/new.py').write_text('1\n')
  assert versions.find_commit(checkout) == f'{commit} with changes'


def test_what_is_no_checkout_of_the_package_has_no_commit(
  checkout, monkeypatch
):
  # An ignored copy in somebody's repository.
  (checkout / '.gitignore').write_text('mejax\n')
  _git(checkout, 'rm', '-rq', '--cached', 'mejax')
  _git(checkout, 'commit', '-qam', 'second')
  assert versions.find_commit(checkout) == ''
  # An installed package, below a repository or not.
  (checkout / 'site').mkdir()
  shutil.copytree(checkout / 'mejax', checkout / 'site/mejax')
  assert versions.find_commit(checkout / 'site') == ''
  # Nothing is committed yet.
  shutil.rmtree(checkout / '.git')
  (checkout / '.gitignore').unlink()
  _git(checkout, 'init', '-q')
  _git(checkout, 'add', 'mejax')
  assert versions.find_commit(checkout) == ''
  _git(checkout, 'commit', '-qm', 'first')
  assert versions.find_commit(checkout)
  monkeypatch.setenv('PATH', str(checkout))
  assert versions.find_commit(checkout) == ''


def test_versions_are_those_of_this_checkout():
  root = pathlib.Path(mejax.__file__).resolve().parents[1]
  found = versions.read()
  assert found['mejax'] == mejax.__version__
  if not (root / '.git').exists():  # No checkout of its own.
    assert 'mejax_commit' not in found
    return
  assert found['mejax_commit'].split()[0] == _git(root, 'rev-parse', 'HEAD')
