"""A whole experiment in a process of its own, so that a test can kill it."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import time

from mejax import experiment
from tests import child
from tests import own_parts
from tests.training import setup_trials


def start(workdir: pathlib.Path) -> subprocess.Popen:
  """Begins the experiment, or goes on with it."""
  return subprocess.Popen(
    [sys.executable, '-m', 'tests.experiment.killed_experiment', str(workdir)],
    env=child.environment(),
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
  )


def finish(process: subprocess.Popen) -> None:
  _, errors = process.communicate(timeout=900)
  assert process.returncode == 0, errors


def kill(workdir: pathlib.Path, *, after: float) -> bool:
  """Runs the experiment for so many seconds; whether it had to be killed."""
  process = start(workdir)
  moment = time.monotonic() + after
  while time.monotonic() < moment and process.poll() is None:
    time.sleep(0.01)
  killed = process.poll() is None
  process.send_signal(signal.SIGKILL)
  process.communicate()
  return killed


def results(workdir: pathlib.Path) -> dict[str, bytes]:
  """All that must be the same to the last bit."""
  names = ('config.json', 'log.jsonl', 'predictions.csv', 'metrics.json')
  return {name: (workdir / name).read_bytes() for name in names}


def main(workdir: str) -> None:
  experiment.leave_one_subject_out(
    *setup_trials.make_arrays(num_subjects=6, n=60),
    workdir=workdir,
    model=own_parts.Linear(),
    num_epochs=300,
    num_seeds=5,
    checkpoint_every_s=0.0,
  )


if __name__ == '__main__':
  main(sys.argv[1])
