"""Ends commands at random moments and compares the bits.

  python -m tests.benchmarks.kills [--kills 200] [--verbs train prepare]

Each of render, prepare, train and report is ended in turn by SIGKILL, SIGTERM
and SIGINT, at moments spread over its life, until one life ends by itself. Then
its files must equal those of a command that was left alone. No process may be
left a second after the end, and nothing may follow the last message.
"""

from __future__ import annotations

import argparse
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

from tests import child

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
VERBS = ('render', 'prepare', 'train', 'report')
# What a run may write otherwise each time: times, and the log of TensorBoard.
_OTHERWISE = ('tensorboard', 'checkpoints', 'run.json', '.lock', '.jax')


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
    env=child.environment(),
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
      part.startswith(_OTHERWISE) or part.endswith('.lock')
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


def end(process: subprocess.Popen, number: int, *, after: float) -> bool:
  """Ends a command after so many seconds; whether it had to be ended."""
  try:
    process.communicate(timeout=after)
    return False
  except subprocess.TimeoutExpired:
    process.send_signal(number)
  _, errors = process.communicate(timeout=120)
  time.sleep(1)
  if left := left_over(process.pid):
    print(f'LEFT OVER after {signal.Signals(number).name}: {left}')
    os.killpg(process.pid, signal.SIGKILL)
  _, message, after_it = errors.partition('goes on from here:')
  if message and 'Traceback' in after_it:
    print(f'AFTER THE MESSAGE: {after_it}')
  return process.returncode != 0


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--kills', type=int, default=200)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--verbs', nargs='+', choices=VERBS, default=VERBS)
  args = parser.parse_args()
  moments, numbers = random.Random(args.seed), itertools.cycle(SIGNALS)
  with tempfile.TemporaryDirectory() as folder:
    home, broken = pathlib.Path(folder) / 'whole', pathlib.Path(folder) / 'out'
    lives, kills = {}, 0
    for verb in VERBS:
      begin = time.monotonic()
      process = start(arguments(verb, home, home / verb))
      _, errors = process.communicate()
      assert process.returncode == 0, errors
      lives[verb] = time.monotonic() - begin
    for verb in itertools.cycle(args.verbs):
      if kills >= args.kills:
        break
      shutil.rmtree(broken, ignore_errors=True)
      command = arguments(verb, home, broken)
      # Several kills of one folder, so that what resumes is killed as well.
      for _ in range(3):
        after = moments.uniform(0, lives[verb])
        kills += end(start(command), next(numbers), after=after)
      process = start(command)
      _, errors = process.communicate()
      assert process.returncode == 0, errors
      expected, found = contents(home / verb), contents(broken)
      wrong = [
        name
        for name in expected.keys() | found.keys()
        if expected.get(name) != found.get(name)
      ]
      print(
        f'{kills} kills, {verb}:'
        f' {"DIFFERS in " + ", ".join(wrong) if wrong else "the same bits"}',
        flush=True,
      )


if __name__ == '__main__':
  main()
