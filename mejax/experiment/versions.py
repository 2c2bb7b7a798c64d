"""Tells what makes the numbers of a run: libraries, and the commit of mejax."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import subprocess

import mejax

_LIBRARIES = ('jax', 'flax', 'optax', 'orbax-checkpoint', 'numpy')
# What is imported. Changes of documents and tests change no number.
_CODE = ('mejax', 'configs')
CHANGED = 'with changes'


def read() -> dict[str, str]:
  """Returns the version of each library, of mejax, and its commit.

  `mejax_commit` is there only if it is known, see `find_commit`.
  """
  found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
  found['mejax'] = mejax.__version__
  if commit := find_commit(pathlib.Path(mejax.__file__).resolve().parents[1]):
    found['mejax_commit'] = commit
  return found


def find_commit(root: pathlib.Path) -> str:
  """Returns the commit that the code in a checkout of mejax has.

  Args:
    root: folder that holds the package.

  Returns:
    The 40 digits of the commit; with ` with changes` if the code differs from
    it, or has files that it does not have. '' without git, or if the package is
    not part of a repository there.
  """
  if not (root / '.git').exists():
    return ''
  try:
    # Or an ignored copy would pass for the commit of what is around it.
    _git(root, 'ls-files', '--error-unmatch', 'mejax/__init__.py')
    lines = _git(
      root, 'status', '--porcelain=v2', '--branch', '--untracked-files=all',
      '--', *_CODE,
    ).splitlines()  # fmt: skip
  except (OSError, subprocess.SubprocessError):
    return ''
  head = [line.split()[-1] for line in lines if line.startswith('# branch.oid')]
  if head in ([], ['(initial)']):
    return ''
  is_changed = any(not line.startswith('#') for line in lines)
  return f'{head[0]} {CHANGED}' if is_changed else head[0]


def _git(root: pathlib.Path, *words: str) -> str:
  # In a hook of git, its variables name another repository or index.
  outside = {k: v for k, v in os.environ.items() if not k.startswith('GIT_')}
  return subprocess.run(
    ['git', '--no-optional-locks', *words],
    cwd=root,
    env=outside,
    capture_output=True,
    text=True,
    timeout=10,
    check=True,
  ).stdout
