"""What a worker process does that some clips kill; see test_bad_target."""

from __future__ import annotations

import os
import pathlib

from mejax.datasets import workers


def stage(job):
  """EP01_02 kills its process each time, EP01_01 the first time."""
  name = job[0].name
  once = pathlib.Path(os.environ['MEJAX_TEST_KILLED'])
  if name == 'EP01_01' and not once.exists():
    once.touch()
    os._exit(9)
  if name == 'EP01_02':
    os._exit(9)
  return workers._stage(job)
