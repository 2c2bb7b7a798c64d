"""What a process that a test starts needs to find mejax and the tests."""

from __future__ import annotations

import os
import pathlib

ROOT = pathlib.Path(__file__).parent.parent


def environment() -> dict[str, str]:
  """The environment of a child: the root of the project, and nothing else.

  `sys.path` of the parent will not do: OpenCV puts a folder of its own into it,
  whose `typing` hides Python's.
  """
  return os.environ | {'PYTHONPATH': str(ROOT)}
