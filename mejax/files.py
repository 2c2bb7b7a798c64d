"""Files that are there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import os
import pathlib
from typing import IO

# Behind the name of a file that is still being written. Only a process that
# was killed leaves one, and the next writing of that file takes its place.
SUFFIX = '.partial'


@contextlib.contextmanager
def writing(path: str | os.PathLike, mode: str = 'w') -> Iterator[IO]:
  """Opens a file that gets its name, or takes another's, once it is complete.

  Where that fails, an older file stays and nothing else is left behind.

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
