"""Files and folders that are there whole or not at all, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import os
import pathlib
import shutil
from typing import IO
from typing import Any

# Behind the name of a file or folder that is still being written. Only a
# process that was killed leaves one, and the next writing of the same name
# takes its place.
SUFFIX = '.partial'


@contextlib.contextmanager
def writing(path: str | os.PathLike, mode: str = 'w') -> Iterator[IO]:
  """Opens a file that gets its name, or takes another's, once it is complete.

  If that fails, an older file stays and nothing else is left behind.

  Args:
    path: of the file.
    mode: `w` for text, in UTF-8 and with line ends as they are given; `wb`.

  Raises:
    OSError: it cannot be written.
  """
  path = pathlib.Path(path)
  partial = path.with_name(path.name + SUFFIX)
  text = {} if 'b' in mode else {'encoding': 'utf-8', 'newline': ''}
  try:
    with partial.open(mode, **text) as file:
      yield file
    os.replace(partial, path)
  except BaseException:
    partial.unlink(missing_ok=True)
    raise


@contextlib.contextmanager
def replacing(folder: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields an empty folder that gets the name of `folder` once it is whole.

  An older folder of that name stays until then, and stays if anything fails.
  Parent folders are made. One process at a time may replace a folder.

  Args:
    folder: what is to be written or replaced.

  Raises:
    OSError: it cannot be written.
  """
  folder = pathlib.Path(folder)
  partial = folder.with_name(f'.{folder.name}{SUFFIX}')
  replaced = folder.with_name(f'.{folder.name}.replaced')
  folder.parent.mkdir(parents=True, exist_ok=True)
  # No system renames a folder onto one with content, so there is a moment
  # without either; a process that was killed in it is undone here.
  if replaced.exists() and not folder.exists():
    replaced.rename(folder)
  for leftover in (partial, replaced):
    if leftover.exists():
      shutil.rmtree(leftover)
  partial.mkdir()
  try:
    yield partial
    if folder.exists():
      folder.rename(replaced)
    try:
      partial.rename(folder)
    except BaseException:
      if replaced.exists():
        replaced.rename(folder)
      raise
  finally:
    shutil.rmtree(partial, ignore_errors=True)
  shutil.rmtree(replaced, ignore_errors=True)


def differences(
  there: Mapping[str, Any], asked: Mapping[str, Any], *, within: str = ''
) -> Iterator[str]:
  """Yields a line for every value in which two nested mappings differ."""
  for name in sorted(there.keys() | asked.keys()):
    old, new = there.get(name, 'absent'), asked.get(name, 'absent')
    key = f'{within}.{name}'.lstrip('.')
    if isinstance(old, Mapping) and isinstance(new, Mapping):
      yield from differences(old, new, within=key)
    elif old != new:
      yield f'{key}: there {old!r}, asked for {new!r}'


def refuse_other(
  folder: str | os.PathLike,
  there: Mapping[str, Any],
  asked: Mapping[str, Any],
  *,
  what: str,
  hint: str,
) -> None:
  """Refuses a folder whose content differs from the one that is asked for.

  Args:
    folder: the folder in question.
    there: describes how its content was made, as JSON has it.
    asked: describes the content that is asked for, in the same way.
    what: names the content, as in `a run with another config`.
    hint: a sentence on what to do.

  Raises:
    ValueError: the two differ; the message has every difference.
  """
  if lines := list(differences(there, asked)):
    raise ValueError(
      '\n  '.join([f'{folder} belongs to {what}:', *lines]) + f'\n{hint}'
    )


def check_writable(folder: pathlib.Path, *, flag: str) -> None:
  """Fails before the work begins if nothing can be written below a folder.

  Args:
    folder: it need not be there.
    flag: what on the command line names another folder.

  Raises:
    OSError: it, or the folder it would be made in, is no folder or read-only.
  """
  there = next(place for place in (folder, *folder.parents) if place.exists())
  if not there.is_dir():
    raise NotADirectoryError(f'{there} is no folder; choose another {flag}')
  if not os.access(there, os.W_OK | os.X_OK):
    raise PermissionError(
      f'{there} cannot be written to; choose another {flag}'
    )


@contextlib.contextmanager
def hinting(folder: pathlib.Path) -> Iterator[None]:
  """Re-raises write errors with a hint.

  Raises:
    OSError: instead of one without a hint, and instead of the RuntimeError that
      TFDS raises if it cannot write.
  """
  try:
    yield
  except (OSError, RuntimeError) as error:
    reason = getattr(error, 'strerror', None) or str(error)
    raise OSError(
      f'{folder} cannot be written to: {reason}\nMake room, or correct the'
      ' cause, and repeat the command: it resumes from what is finished.'
    ) from error
