"""The files at the top of the project agree with what is in it."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

import mejax
from tests import test_readme

ROOT = pathlib.Path(__file__).parent.parent


def test_the_citation_names_authors_version_and_licence():
  citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
  # What the format, version 1.2.0, requires.
  assert {'cff-version', 'message', 'title', 'authors'} <= set(citation)
  assert citation['cff-version'] == '1.2.0'
  assert citation['authors'] == [{'name': 'The mejax authors'}]
  assert citation['version'] == mejax.__version__
  assert 'Apache License' in (ROOT / 'LICENSE').read_text()
  assert citation['license'] == 'Apache-2.0'


def test_the_rooms_of_the_house_are_those_that_are_there():
  text = (ROOT / 'CONTRIBUTING.md').read_text()
  told = set(re.findall(r'^\| `(\w+)` \|', text, re.M))
  there = {path.parent.name for path in (ROOT / 'mejax').glob('*/__init__.py')}
  assert told == there


def test_dockers_context_leaves_out_data_and_runs():
  ignored = (ROOT / '.dockerignore').read_text().split()
  assert {'data/*', 'runs', '.git'} <= set(ignored)


@pytest.mark.slow
def test_the_steps_of_the_dockerfile_install_a_command_that_works(tmp_path):
  text = (ROOT / 'Dockerfile').read_text().replace('\\\n', ' ')
  steps = re.findall(r'^(RUN|ENTRYPOINT|CMD) (.*)$', text, re.M)
  runs = [step for kind, step in steps if kind == 'RUN']
  system, install = runs
  assert 'apt-get install' in system  # Which this test cannot do.
  assert {kind: step for kind, step in steps if kind != 'RUN'} == {
    'ENTRYPOINT': '["mejax"]',
    'CMD': '["--help"]',
  }
  ignored = (ROOT / '.dockerignore').read_text().split()
  names = [name for name in ignored if not name.startswith(('!', 'data'))]
  copy = tmp_path / 'mejax'
  shutil.copytree(
    ROOT,
    copy,
    symlinks=True,
    ignore=shutil.ignore_patterns(*names, '*.egg-info', '__pycache__'),
  )
  environment = test_readme.environment(copy)
  for step in ('python3 -m venv .venv', install):
    result = subprocess.run(
      ['bash', '-euc', step],
      cwd=copy,
      env=environment,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
    )
    assert result.returncode == 0, result.stdout.decode()[-2000:]
  # Outside of the checkout, as in the image.
  elsewhere = tmp_path / 'work'
  elsewhere.mkdir()
  result = subprocess.run(
    [copy / '.venv/bin/mejax', 'train', '--help'],
    cwd=elsewhere,
    env=environment,
    capture_output=True,
    text=True,
  )
  assert 'htnet_regions' in result.stdout, result.stderr
