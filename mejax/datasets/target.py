"""Where a dataset is written, and what to do where that cannot be done."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import pathlib


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
