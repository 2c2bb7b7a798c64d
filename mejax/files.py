"""Writes files and folders whole or not at all; refuses damaged and others'."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import csv
import errno
import fcntl
import io
import json
import os
import pathlib
import re
import shutil
import stat
from typing import IO
from typing import Any
import zipfile

from mejax import limits

# Ends the name of a file or folder that is still being written. Only a process
# that was killed leaves one behind, and the next one that writes the same name
# replaces it.
SUFFIX = '.partial'
# The name, in a file of a run, of the digest of what it belongs to.
OWNER = 'belongs_to'
# A disk that is full, over its quota or its largest file, read-only, or broken.
_NO_ROOM = (
  errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO,
)  # fmt: skip
# A spreadsheet takes a cell that begins like this for a formula. Apostrophes
# before it are counted in, so that names of every kind come back unchanged.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


@contextlib.contextmanager
def writing(path: str | os.PathLike, mode: str = 'w') -> Iterator[IO]:
  """Opens a file for writing that appears under its name once it is complete.

  It then replaces an older file of that name. If writing fails, the older file
  stays and nothing else is left behind. The content is on the disk before the
  name is, so that a power failure leaves no empty file under it. Of two
  processes that write one file, the second waits for the first.

  Args:
    path: path of the file.
    mode: `w` for text, in UTF-8 and with line ends as given, or `wb`.

  Raises:
    OSError: the file cannot be written; the message names it.
  """
  path = pathlib.Path(path)
  partial = path.with_name(path.name + SUFFIX)
  text = {} if 'b' in mode else {'encoding': 'utf-8', 'newline': ''}
  try:
    with os.fdopen(_open_own(partial), mode, **text) as file:
      try:
        yield file
        file.flush()
        os.fsync(file.fileno())
        os.replace(partial, path)
      except BaseException:
        partial.unlink(missing_ok=True)  # As long as it is ours.
        raise
  except OSError as error:
    # Python names no file if it is a write that fails.
    if error.errno in _NO_ROOM:
      raise no_room(path, error) from error
    raise


def _open_own(partial: pathlib.Path) -> int:
  """Opens an empty file that no other process has open to write.

  What lies there already may also be a link to any other file.
  """
  while True:
    number = _open_lock(partial)
    fcntl.flock(number, fcntl.LOCK_EX)
    there = os.fstat(number)
    # Its last owner renamed or removed it; or it has another name, too.
    if there.st_nlink == 1 and _is_at(partial, there):
      os.ftruncate(number, 0)
      return number
    if there.st_nlink > 1:
      partial.unlink(missing_ok=True)
    os.close(number)


def _open_lock(path: pathlib.Path) -> int:
  """Opens an ordinary file, without changing it; removes anything else.

  Raises:
    OSError: it cannot be opened, or is a folder.
  """
  how = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
  while True:
    try:
      number = os.open(path, how, 0o666)
    except OSError as error:
      if error.errno not in (errno.ELOOP, errno.ENXIO):
        raise
    else:
      if stat.S_ISREG(os.fstat(number).st_mode):
        return number
      os.close(number)
    # A link, of which the target stays as it is, or a pipe.
    path.unlink(missing_ok=True)


def _is_at(path: pathlib.Path, there: os.stat_result) -> bool:
  try:
    return os.path.samestat(path.stat(follow_symlinks=False), there)
  except FileNotFoundError:
    return False


@contextlib.contextmanager
def replacing(folder: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields an empty folder that gets the name of `folder` once it is whole.

  An older folder of that name stays until then, and stays if anything fails.
  Parent folders are made. Of two processes that replace one folder, the second
  waits for the first.

  Args:
    folder: path of the folder to write or replace.

  Raises:
    OSError: the folder cannot be written.
  """
  folder = pathlib.Path(folder)
  with locked(folder.with_name(f'.{folder.name}.lock'), remove=True):
    yield from _replacing(folder)


def _replacing(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  partial = folder.with_name(f'.{folder.name}{SUFFIX}')
  replaced = folder.with_name(f'.{folder.name}.replaced')
  # A folder cannot be renamed onto one with content, so for a moment there is
  # neither. If a process was killed at that moment, its step is undone here.
  if replaced.exists() and not folder.exists():
    replaced.rename(folder)
  for leftover in (partial, replaced):
    if leftover.is_dir() and not leftover.is_symlink():
      shutil.rmtree(leftover)
    else:  # A link, of which the target stays as it is, or a file.
      leftover.unlink(missing_ok=True)
  partial.mkdir()
  try:
    yield partial
    for path in partial.rglob('*'):
      if path.is_file():
        with path.open('rb') as file:
          os.fsync(file.fileno())
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
  there: Mapping[str, Any],
  asked: Mapping[str, Any],
  *,
  within: str = '',
  words: tuple[str, str] = ('there', 'asked for'),
) -> Iterator[str]:
  """Yields a line for every value that differs between two nested mappings.

  Args:
    there, asked: the mappings.
    within: name of the mapping that both are in, if they are in one.
    words: what to call the values of the one and of the other.
  """
  for name in sorted(there.keys() | asked.keys()):
    old, new = there.get(name, 'absent'), asked.get(name, 'absent')
    key = f'{within}.{name}'.lstrip('.')
    if isinstance(old, Mapping) and isinstance(new, Mapping):
      yield from differences(old, new, within=key, words=words)
    elif old != new:
      yield f'{key}: {words[0]} {old!r}, {words[1]} {new!r}'


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


def check_owner(
  path: pathlib.Path, found: Any, expected: str, *, hint: str
) -> None:
  """Refuses a file of another run, or one that does not say whose it is.

  Args:
    path: the file.
    found: the digest in it; None if there is none.
    expected: the digest of its run; nothing is compared if it is ''.
    hint: a sentence on what to do.

  Raises:
    ValueError: the file belongs to another config or other data.
  """
  if expected and str(found) != expected:
    raise ValueError(
      f'{path} belongs to another config or other data than this run. {hint}'
    )


def refuse_links(folder: pathlib.Path) -> None:
  """Refuses a folder in which links lead to places outside, or lie pipes.

  What is written through such a link overwrites files of the user that somebody
  else has chosen. Only the folder `checkpoints` may lie on another disk.

  Raises:
    ValueError: there is such a link; the message names it.
    OSError: there is a pipe or a device.
  """
  for path in [*folder.glob('*'), *folder.glob('*/*')]:
    limits.check_ordinary(path)
    if 'checkpoints' not in path.relative_to(folder).parts:
      refuse_way_out(path, folder)


def refuse_way_out(path: pathlib.Path, home: pathlib.Path) -> None:
  """Refuses a path in a folder if links on it lead out of the folder.

  Raises:
    ValueError: they do; the message names the place.
  """
  place = pathlib.Path(os.path.realpath(path))
  if not place.is_relative_to(os.path.realpath(home)):
    raise ValueError(
      f'{path} is a link to {place}, outside of the folder, and'
      ' what is written there could overwrite files of yours. Replace the'
      ' link by what it stands for.'
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


def check_replaceable(
  folder: pathlib.Path, *, marker: str, names: Collection[str], what: str
) -> None:
  """Refuses to write a folder in the place of anything but an older one.

  Args:
    folder: the folder; it need not exist.
    marker: a file that is in every folder of the kind.
    names: all files that may be in it.
    what: what it holds, for messages.

  Raises:
    ValueError: it is something else, or holds more.
  """
  if not os.path.lexists(folder):
    return
  if not folder.is_symlink() and folder.is_dir():
    there = {path.name for path in folder.iterdir()}
    if not there or (marker in there and there <= set(names)):
      return
  raise ValueError(
    f'{folder} exists and holds no {what}, or more than {what}. Choose another'
    ' folder.'
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
    if isinstance(error.__cause__, OSError):
      raise  # It has its hint already.
    raise no_room(folder, error) from error


def no_room(path: pathlib.Path, error: Exception) -> OSError:
  """Returns the error that says that a file or folder cannot be written."""
  reason = getattr(error, 'strerror', None) or str(error).partition('\n')[0]
  return OSError(
    f'{path} cannot be written to: {reason}\nMake room, or correct the'
    ' cause, and repeat the command: it resumes from what is finished.'
  )


@contextlib.contextmanager
def locked(
  lock: pathlib.Path,
  *,
  refusal: str = '',
  remove: bool = False,
  notice: str = '',
) -> Iterator[None]:
  """Locks a file against every other process; makes it if it is missing.

  The lock ends with the process, however it ends.

  Args:
    lock: the file; its folder is made if it is not there.
    refusal: the message if another process has locked it; without a message,
      this one waits for it.
    notice: a message that is printed before this one waits.
    remove: whether the file is removed in the end. A killed process leaves it,
      unlocked.

  Raises:
    ValueError: another process has locked it, and there is a refusal.
  """
  lock.parent.mkdir(parents=True, exist_ok=True)
  while True:
    with os.fdopen(_open_lock(lock), 'r+') as file:
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        if refusal:
          raise ValueError(refusal) from None
        if notice:
          print(notice)
          notice = ''
        fcntl.flock(file, fcntl.LOCK_EX)
      # Its last owner may have removed the file after it was opened here. Then
      # the lock is on a file that nobody else can find.
      if not _is_at(lock, os.fstat(file.fileno())):
        continue
      try:
        yield
      finally:
        if remove:
          lock.unlink()
      return


@contextlib.contextmanager
def reading(path: pathlib.Path, *, hint: str) -> Iterator[None]:
  """Says in one sentence which file is damaged if reading it fails.

  Args:
    path: the file, or the folder of a checkpoint, as the message names it.
    hint: what to do; it says whether the file may be deleted because it is made
      again.

  Raises:
    FileNotFoundError: the file is missing.
    ValueError: its content cannot be read.
  """
  try:
    limits.check_ordinary(path)
    yield
  except FileNotFoundError as error:
    raise FileNotFoundError(f'{path} is missing. {hint}') from error
  except (MemoryError, PermissionError):
    raise
  # What damage does to a parser is beyond counting: BadZipFile, KeyError,
  # NotImplementedError, struct.error, UnicodeDecodeError, ...
  except Exception as error:
    reason = str(error).partition('\n')[0] or type(error).__name__
    raise ValueError(f'{path} is damaged ({reason}). {hint}') from error


def read_json(path: pathlib.Path, *, hint: str) -> dict[str, Any]:
  """Reads an object of JSON; errors are those of `reading`."""
  with reading(path, hint=hint):
    limits.check_size(path, limits.LARGEST_TEXT)
    text = path.read_text(encoding='utf-8')
    content = json.loads(text, object_pairs_hook=_unique)
    if not isinstance(content, dict):
      raise ValueError('it holds no object')
    return content


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
  content = dict(pairs)
  if len(content) < len(pairs):
    raise ValueError('a key stands twice in one object')
  return content


def read_npz(
  path: pathlib.Path, *, hint: str, only: Collection[str] = ()
) -> dict[str, Any]:
  """Reads the arrays of a `.npz` file; errors are those of `reading`.

  Args:
    path: the file.
    hint: as `reading` takes it.
    only: names of the arrays to read; all of them if not given.
  """
  with reading(path, hint=hint):
    return arrays(path, only)


def arrays(path: pathlib.Path, only: Collection[str] = ()) -> dict[str, Any]:
  """Reads arrays as `read_npz` does, but a damaged file may raise anything.

  Each array is read to its end, where zip compares its digest. `np.load` stops
  where the header of an array says, so a damaged header goes unnoticed.
  """
  # The command line reads no arrays before it has to.
  import numpy as np

  limits.check_arrays(path)
  with zipfile.ZipFile(path) as file:
    return {
      name.removesuffix('.npy'): np.load(
        io.BytesIO(file.read(name)), allow_pickle=False
      )
      for name in [f'{each}.npy' for each in only] or file.namelist()
    }


class CsvWriter:
  """Writes rows of CSV that a spreadsheet shows as they are.

  A text that would be a formula there gets an apostrophe before it, which
  `plain_cell` takes off again. Numbers are never changed.
  """

  def __init__(self, file: IO[str]):
    self._file = file
    # It quotes those characters that its own line end holds: with this one, the
    # carriage return too.
    self._writer = csv.writer(self, lineterminator='\r\n')

  def write(self, row: str) -> None:
    """Writes the text of one row; `csv` calls it."""
    self._file.write(row.removesuffix('\r\n') + '\n')

  def writerow(self, cells: Sequence[Any]) -> None:
    """Writes one row."""
    self._writer.writerow([_safe_cell(cell) for cell in cells])


def _safe_cell(cell: Any) -> Any:
  is_formula = isinstance(cell, str) and _FORMULA.match(cell)
  return f"'{cell}" if is_formula else cell


def plain_cell(cell: str) -> str:
  """Returns the text that `CsvWriter` wrote into a cell."""
  is_marked = cell.startswith("'") and _FORMULA.match(cell)
  return cell[1:] if is_marked else cell
