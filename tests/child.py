"""What a process that a test starts needs to find mejax and the tests."""

from __future__ import annotations

import os
import pathlib
import time

ROOT = pathlib.Path(__file__).parent.parent


def environment() -> dict[str, str]:
  """The environment of a child: the root of the project, and nothing else.

  `sys.path` of the parent will not do: OpenCV puts a folder of its own into it,
  whose `typing` hides Python's.
  """
  return os.environ | {'PYTHONPATH': str(ROOT)}


def ends(process: int, *, within: float = 60.0) -> bool:
  """Whether a process ends within some seconds."""
  moment = time.monotonic() + within
  while time.monotonic() < moment:
    try:
      stat = pathlib.Path(f'/proc/{process}/stat').read_text()
    except FileNotFoundError:
      return True
    # In a container nobody may ask for the exit code of an orphan.
    if stat.rpartition(')')[2].split()[0] == 'Z':
      return True
    time.sleep(0.05)
  return False
