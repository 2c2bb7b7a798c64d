"""Who may import whom, what ships, and what must not be needed."""

from __future__ import annotations

import ast
from collections.abc import Sequence
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import pytest

from mejax.experiment.search import spaces
from tests import child

HEAVY = {'cv2', 'matplotlib', 'tensorflow', 'tensorflow_datasets'}


def python(
  program: str,
  *,
  cwd: pathlib.Path | None = None,
  path: Sequence[str | pathlib.Path] = (child.ROOT,),
) -> str:
  """What a program prints in a fresh interpreter with `path` to import from."""
  return subprocess.run(
    [sys.executable, '-c', program],
    check=True,
    capture_output=True,
    text=True,
    cwd=cwd,
    env=os.environ | {'PYTHONPATH': os.pathsep.join(map(str, path))},
  ).stdout


def test_imports_follow_the_contracts_of_pyproject(root):
  lint = pathlib.Path(sys.executable).with_name('lint-imports')
  result = subprocess.run(
    [lint, '--no-cache', '--config', root / 'pyproject.toml'],
    capture_output=True,
    text=True,
    cwd=root,
    env=os.environ | {'PYTHONPATH': str(root)},
  )
  assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize('room', ['mejax.models', 'mejax.training'])
def test_models_and_training_load_no_pictures_and_no_databases(room, root):
  program = f"""
import importlib, pkgutil, sys
room = importlib.import_module({room!r})
for module in pkgutil.iter_modules(room.__path__, {room + '.'!r}):
  importlib.import_module(module.name)
print(*sys.modules)
"""
  loaded = set(python(program, cwd=root).split())
  assert f'{room}' in loaded
  assert not HEAVY & loaded


def test_the_package_itself_imports_nothing(root):
  program = 'import sys; a = set(sys.modules); import mejax; '
  program += 'print(*(set(sys.modules) - a))'
  assert python(program, cwd=root).split() == ['mejax']


def test_every_folder_of_modules_is_a_package(root):
  folders = {path.parent for path in (root / 'mejax').rglob('*.py')}
  configs = root / 'mejax/configs'
  folders -= {configs, configs / 'sweeps'}
  assert all((folder / '__init__.py').exists() for folder in folders)


def test_setup_declares_exactly_what_the_package_imports(root):
  imported = {
    module.partition('.')[0]
    for path in (root / 'mejax').rglob('*.py')
    for node in ast.walk(ast.parse(path.read_text()))
    for module in (
      [alias.name for alias in node.names]
      if isinstance(node, ast.Import)
      else [node.module]
      if isinstance(node, ast.ImportFrom)
      else []
    )
  }
  imported -= set(sys.stdlib_module_names) | {'mejax'}
  setup = ast.parse((root / 'setup.py').read_text())
  arguments = {
    keyword.arg: keyword.value
    for node in ast.walk(setup)
    if isinstance(node, ast.Call)
    for keyword in node.keywords
  }
  extras = ast.literal_eval(arguments['extras_require'])
  declared, optional = (
    {_normal(re.match(r'[\w-]+', line).group()) for line in lines}
    for lines in (
      ast.literal_eval(arguments['install_requires']),
      [*extras['torch'], *extras['search'], *extras['cluster']],
    )
  )
  homes = importlib.metadata.packages_distributions()
  needed = {
    _normal(home)
    for module in imported
    for home in set(homes.get(module, [module]))
  }
  # dask comes with distributed, which makes keys with cryptography.
  optional = (optional - {'cryptography'}) | {'dask'}
  # Weights in files of PyTorch are read with it, searches are Optuna's, and
  # workers on other machines are dask's; nothing else needs any of them.
  assert needed - declared == optional
  # TFDS needs the first two at run time without asking for them, and the export
  # of JAX the last.
  unasked = {'array-record', 'importlib-resources', 'flatbuffers'}
  assert declared - needed <= unasked


def _normal(distribution: str) -> str:
  # The headless OpenCV may stand in for the other one; see the README.
  distribution = distribution.removesuffix('-headless')
  return re.sub(r'[-_.]+', '-', distribution).lower()


@pytest.fixture(scope='module')
def wheel(root, tmp_path_factory) -> pathlib.Path:
  """The wheel of a clean copy, built by the setuptools that is installed."""
  copy = tmp_path_factory.mktemp('checkout')
  names = 'setup.py pyproject.toml README.md LICENSE configs mejax'.split()
  subprocess.run(['cp', '-a', *names, copy], check=True, cwd=root)
  out = tmp_path_factory.mktemp('wheel')
  flags = ['--no-deps', '--no-build-isolation', '--quiet']
  subprocess.run(
    [sys.executable, '-m', 'pip', 'wheel', *flags, '--wheel-dir', out, '.'],
    check=True,
    cwd=copy,
  )
  return next(out.glob('*.whl'))


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_the_files_they_read(wheel, root):
  expected = {
    f'mejax/{path.relative_to(root)}' for path in root.glob('configs/**/*.py')
  }
  for pattern in (
    '**/*.py',
    'corpora/*.csv',
    'assets/**/*',
    'pages/templates/*',
  ):
    for path in root.glob(f'mejax/{pattern}'):
      if path.is_file():
        expected.add(str(path.relative_to(root)))
  assert 'mejax/assets/recogniser/weights.safetensors' in expected
  assert 'mejax/assets/spotter/weights.safetensors' in expected
  assert 'mejax/pages/templates/page.css' in expected
  assert 'mejax/configs/sweeps/cnn.py' in expected
  assert expected - set(zipfile.ZipFile(wheel).namelist()) == set()


@pytest.mark.slow
def test_an_installed_wheel_finds_its_configs(wheel, tmp_path):
  zipfile.ZipFile(wheel).extractall(tmp_path)
  program = """
import mejax
from mejax.experiment import configuration
print(mejax.__file__, *configuration.list_configs())
configuration.load_config('synthetic:smoke')
from mejax.experiment.search import spaces
print(*spaces.list_spaces())
"""
  path = [str(tmp_path), *_libraries()]
  file, *names = python(program, cwd=tmp_path, path=path).split()
  assert file.startswith(str(tmp_path))
  assert 'htnet_regions' in names
  assert names[-len(spaces.list_spaces()) :] == spaces.list_spaces()


@pytest.mark.slow
def test_the_demo_of_a_wheel_runs_outside_of_the_checkout(wheel, tmp_path):
  installed, elsewhere = tmp_path / 'installed', tmp_path / 'elsewhere'
  zipfile.ZipFile(wheel).extractall(installed)
  elsewhere.mkdir()
  program = """
from mejax import cli
assert cli.main(['demo', '--small']) == 0
"""
  python(program, cwd=elsewhere, path=[str(installed), *_libraries()])
  assert (elsewhere / 'runs/demo/run/report/index.html').exists()


def _libraries() -> list[str]:
  return [entry for entry in sys.path if entry.endswith('site-packages')]
