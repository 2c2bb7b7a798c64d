"""Ends commands at random moments and compares the bits.

  python -m tests.benchmarks.kills [--kills 200] [--verbs train prepare]

Each of render, prepare, train and report is ended in turn by SIGKILL, SIGTERM
and SIGINT, at moments spread over its life, until one life ends by itself. Then
its files must equal those of a command that was left alone. A second after the
end no process may be left. A command that was asked to end must say how to go
on, must say nothing after that, and must end with the code of its signal. The
last lines count the ends by verb, signal and code; a code below 0 is that of a
process that was still importing, or already leaving.
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Iterator
import hashlib
import itertools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from mejax import signals
from tests import child

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Seconds after which a command is taken to hang.
PATIENCE = 120
VERBS = ('render', 'prepare', 'train', 'report')
# What a run may write otherwise each time: times, and the log of TensorBoard.
_OTHERWISE = ('tensorboard', 'checkpoints', 'run.json', '.lock', '.jax')
# What a training keeps in the data folder that `prepare` made.
_KEPT = 'baselines'


def arguments(verb: str, home: pathlib.Path, out: pathlib.Path) -> list[str]:
  """Returns the command line of a verb that reads `home` and writes `out`."""
  return {
    'render': f'render {out} --subjects 4 --clips 3 --size 96',
    'prepare': f'prepare synthetic --source {home}/render --data_dir {out}'
    ' --size 64 --faces given --workers 2',
    'train': f'train --config linear:smoke --data_dir {home}/prepare'
    f' --workdir {out} --config.dataset=synthetic'
    ' --config.protocol=synthetic --config.num_epochs=200'
    ' --config.checkpoint_every_s=0',
    'report': f'report {home}/train --out {out}',
  }[verb].split()


def start(command: list[str]) -> subprocess.Popen:
  """Starts a command in a session of its own."""
  return subprocess.Popen(
    [sys.executable, '-m', 'mejax', *command],
    # So that a command that hangs can be asked where.
    env=child.environment() | {'PYTHONFAULTHANDLER': '1'},
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,
  )


def contents(folder: pathlib.Path) -> dict[str, str]:
  """Returns a digest of each file that must be the same to the last bit."""
  return {
    str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(folder.rglob('*'))
    if path.is_file()
    and not any(
      part.startswith(_OTHERWISE) or part.endswith('.lock') or part == _KEPT
      for part in path.relative_to(folder).parts
    )
  }


def left_over(session: int) -> list[str]:
  """Returns the processes of a session that still run."""
  found = subprocess.run(
    ['ps', '-o', 'pid=,stat=,args=', '-s', str(session)],
    capture_output=True,
    text=True,
  ).stdout.splitlines()
  return [line for line in found if '<defunct>' not in line]


def wait(process: subprocess.Popen) -> str:
  """Waits for the end of a command; returns what it wrote as errors."""
  try:
    return process.communicate(timeout=PATIENCE)[1]
  except subprocess.TimeoutExpired:
    process.send_signal(signal.SIGABRT)
    errors = process.communicate()[1]
    print(f'HANGS: {process.args}\n{errors}', flush=True)
    return errors


def left_alone(command: list[str]) -> float:
  """Runs a command to its end; returns how many seconds it took."""
  begin, process = time.monotonic(), start(command)
  errors = wait(process)
  assert process.returncode == 0, errors
  return time.monotonic() - begin


def end(process: subprocess.Popen, number: int, *, after: float) -> int:
  """Ends a command after so many seconds; returns its exit code."""
  try:
    process.communicate(timeout=after)
  except subprocess.TimeoutExpired:
    process.send_signal(number)
  errors = wait(process)
  deadline = time.monotonic() + 1
  while (left := left_over(process.pid)) and time.monotonic() < deadline:
    time.sleep(0.05)
  if left:
    print(f'LEFT OVER after {signal.Signals(number).name}: {left}')
    os.killpg(process.pid, signal.SIGKILL)
  code = process.returncode
  if code not in (0, 128 + number, -number):
    print(f'CODE {code} after {signal.Signals(number).name}: {errors}')
  _, message, further = errors.partition('goes on from here:')
  if code > 0 and not message:
    print(f'NO MESSAGE after {signal.Signals(number).name}: {errors}')
  if len(further.split('\n')) > 3:  # The command, between two line ends.
    print(f'AFTER THE MESSAGE: {further}')
  return code


def end_often(
  verb: str,
  folder: pathlib.Path,
  *,
  life: float,
  moments: random.Random,
  numbers: Iterator[int],
) -> collections.Counter:
  """Ends a verb six times in one folder, lets it finish, compares the files.

  So what resumes is ended as well.

  Args:
    verb: the verb.
    folder: holds what the verbs wrote that were left alone, in `whole`.
    life: seconds of a command that is left alone.
    moments: decides when each life ends.
    numbers: the signals.

  Returns:
    How often a command ended by verb, signal and code. Those that had finished
    before the signal came are not counted.
  """
  home, broken = folder / 'whole', folder / 'out'
  shutil.rmtree(broken, ignore_errors=True)
  # The page of a run shows the name of its folder.
  command, ends = arguments(verb, home, broken / verb), collections.Counter()
  for _ in range(6):
    number = next(numbers)
    code = end(start(command), number, after=moments.uniform(0, life))
    if code:
      ends[verb, signal.Signals(number).name, code] += 1
  left_alone(command)
  expected, found = contents(home / verb), contents(broken / verb)
  wrong = [
    name
    for name in expected.keys() | found.keys()
    if expected.get(name) != found.get(name)
  ]
  same = f'DIFFERS in {", ".join(wrong)}' if wrong else 'the same bits'
  print(f'{ends.total()} kills, {verb}: {same}', flush=True)
  return ends


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--kills', type=int, default=200)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--verbs', nargs='+', choices=VERBS, default=VERBS)
  args = parser.parse_args()
  how = {
    'moments': random.Random(args.seed), 'numbers': itertools.cycle(SIGNALS)
  }  # fmt: skip
  # A shell starts what runs in the background with SIGINT ignored, and so would
  # the commands start: nobody could end them so.
  signal.signal(signal.SIGINT, signal.default_int_handler)
  ends, verbs = collections.Counter(), itertools.cycle(args.verbs)
  # If it is ended itself, it still says what it has counted.
  with signals.raising(), tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    lives = {
      verb: left_alone(
        arguments(verb, folder / 'whole', folder / 'whole' / verb)
      )
      for verb in VERBS
    }
    print(f'seconds of a life: {lives}', flush=True)
    try:
      while ends.total() < args.kills:
        verb = next(verbs)
        ends += end_often(verb, folder, life=lives[verb], **how)
    finally:
      for key, count in sorted(ends.items()):
        print(*key, count)


if __name__ == '__main__':
  main()
