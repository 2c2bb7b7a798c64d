"""Where a dataset is written, and what to do where that cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import pathlib
import shutil
import tempfile


def check(root: pathlib.Path) -> None:
  """Tells before the work begins that nothing can be written below a folder.

  Raises:
    OSError: it, or the folder it would be made in, is no folder or read-only.
  """
  there = next(place for place in (root, *root.parents) if place.exists())
  if not there.is_dir():
    raise NotADirectoryError(f'{there} is no folder; choose another --data_dir')
  if not os.access(there, os.W_OK | os.X_OK):
    raise PermissionError(
      f'{there} cannot be written to; choose another --data_dir'
    )


@contextlib.contextmanager
def told(folder: pathlib.Path) -> Iterator[None]:
  """Says of what goes wrong while a folder is written what to do about it.

  Raises:
    OSError: in place of one without a hint, or of the RuntimeError of TFDS.
  """
  try:
    yield
  except (OSError, RuntimeError) as error:
    reason = getattr(error, 'strerror', None) or str(error)
    raise OSError(
      f'{folder} cannot be written to: {reason}\nMake room, or mend what else'
      ' is amiss, and repeat the command: it goes on with what is made.'
    ) from error


def replace(
  folder: pathlib.Path, write: Callable[[pathlib.Path], pathlib.Path]
) -> None:
  """Writes beside the folder of a dataset, then renames what is whole.

  Args:
    folder: `ROOT/NAME/VERSION`; if it is there it stays until then.
    write: writes somewhere below the folder that it is given, and says where.
  """
  root, prefix = folder.parent.parent, f'.{folder.parent.name}.incomplete.'
  folder.parent.mkdir(parents=True, exist_ok=True)
  for leftover in root.glob(f'{prefix}*'):
    shutil.rmtree(leftover)  # Of a preparation that was killed.
  temporary = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=root))
  try:
    made = write(temporary)
    replaced = temporary / 'replaced'
    if folder.exists():
      folder.rename(replaced)
    try:
      made.rename(folder)
    except BaseException:
      if replaced.exists():
        replaced.rename(folder)
      raise
  finally:
    shutil.rmtree(temporary)
