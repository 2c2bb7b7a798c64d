"""Writes files and folders whole or not at all; refuses those of others."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import os
import pathlib
import shutil
from typing import IO
from typing import Any

# Ends the name of a file or folder that is still being written. Only a process
# that was killed leaves one behind, and the next one that writes the same name
# replaces it.
SUFFIX = '.partial'


@contextlib.contextmanager
def writing(path: str | os.PathLike, mode: str = 'w') -> Iterator[IO]:
  """Opens a file for writing that appears under its name once it is complete.

  It then replaces an older file of that name. If writing fails, the older file
  stays and nothing else is left behind.

  Args:
    path: path of the file.
    mode: `w` for text, in UTF-8 and with line ends as given, or `wb`.

  Raises:
    OSError: the file cannot be written.
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
  Parent folders are made. Only one process at a time may replace a folder.

  Args:
    folder: path of the folder to write or replace.

  Raises:
    OSError: the folder cannot be written.
  """
  folder = pathlib.Path(folder)
  partial = folder.with_name(f'.{folder.name}{SUFFIX}')
  replaced = folder.with_name(f'.{folder.name}.replaced')
  folder.parent.mkdir(parents=True, exist_ok=True)
  # A folder cannot be renamed onto one with content, so for a moment there is
  # neither. If a process was killed at that moment, its step is undone here.
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
  """Yields a line for every value that differs between two nested mappings."""
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
  """Refuses a folder whose content differs from the content asked for.

  Args:
    folder: the folder in question.
    there: describes by JSON values how its content was made.
    asked: describes the content that is asked for, in the same way.
    what: the content in words, as in `a run with another config`.
    hint: a sentence on what to do.

  Raises:
    ValueError: the two differ; the message lists every difference.
  """
  if lines := list(differences(there, asked)):
    raise ValueError(
      '\n  '.join([f'{folder} belongs to {what}:', *lines]) + f'\n{hint}'
    )


def check_writable(folder: pathlib.Path, *, flag: str) -> None:
  """Raises an error if nothing can be written below a folder.

  It is called before long work begins, so that the work is not lost.

  Args:
    folder: the folder; it need not exist.
    flag: the command-line option that chooses the folder.

  Raises:
    OSError: the folder, or its nearest existing parent, is not a folder or is
      read-only; or its path is not UTF-8.
  """
  try:
    str(folder.absolute()).encode()
  except UnicodeEncodeError:
    # The libraries that write would fail in the end, or crash.
    shown = os.fsencode(folder).decode(errors='backslashreplace')
    raise OSError(f'{shown} is not UTF-8; choose another {flag}') from None
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
    OSError: in place of an OSError without a hint, or of the RuntimeError that
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
