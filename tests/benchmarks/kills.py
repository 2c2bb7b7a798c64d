"""Ends commands at random moments and compares the bits.

  python -m tests.benchmarks.kills [--kills 200] [--verbs train prepare]
    [--folder FOLDER]

Each verb is ended in turn by SIGKILL, SIGTERM and SIGINT, at moments spread
over its life, until one life ends by itself. Then its files must equal those of
a command that was left alone. Where two workers of dask train (`workers` is a
run, `search_workers` a search), one of them is killed in each life too, and the
command that was left alone trained by itself: so the engines agree as well.

Soon after the end no process may be left. A command that was asked to end must
say how to go on, must say nothing after that, and must end with the code of its
signal. The last lines count the ends by verb, signal and code; a code below 0
is that of a process that was still importing, or already leaving.
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Iterator
import contextlib
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

import optuna

from mejax import files
from mejax import signals
from mejax.experiment.search import journal
from tests import child

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# Seconds after which a command is taken to hang.
PATIENCE = 120
# All verbs need what the first two have written, and a report needs a run.
_NEEDED = ('render', 'prepare')
VERBS = (*_NEEDED, 'train', 'report', 'sweep', 'workers', 'search_workers')
# With workers, and the verb that gives the same files without.
WORKERS = {'workers': 'train_map', 'search_workers': 'sweep'}
_DASK = ' --engine dask --jobs 2'
# Files and folders that a command may write otherwise each time: times, the log
# of TensorBoard, and how a process lays trainings out.
_OTHERWISE = {
  'tensorboard', 'checkpoints', 'run.json', 'cost.json', 'cluster',
  'placement.json',
}  # fmt: skip
# Folders of pages that tell how long something took.
_TELLS_TIME = {'report', 'search'}
_SPACE = """
def get_space(trial):
  trial.suggest_float('setting.learning_rate', 1e-3, 1e-1, log=True)
"""
# What a training keeps in the data folder that `prepare` made.
_KEPT = 'baselines'


def arguments(verb: str, home: pathlib.Path, out: pathlib.Path) -> list[str]:
  """Returns the command line of a verb that reads `home` and writes `out`."""
  train = (
    f'--config linear:smoke --data_dir {home}/prepare --workdir {out}'
    ' --config.dataset=synthetic --config.protocol=synthetic'
    ' --config.checkpoint_every_s=0'
  )
  sweep = f'sweep {train} --space {home}/space.py --settings 8 --round 4'
  sweep += ' --config.inner_folds=2 --config.num_epochs=20 --config.mode=map'
  run = f'train {train} --config.num_epochs=200 --config.num_seeds=4'
  return {
    'render': f'render {out} --subjects 4 --clips 3 --size 96',
    'prepare': f'prepare synthetic --source {home}/render --data_dir {out}'
    ' --size 64 --faces given --workers 2',
    'train': f'train {train} --config.num_epochs=200',
    'report': f'report {home}/train --out {out}',
    'sweep': sweep,
    'search_workers': sweep + _DASK,
    'train_map': run,
    'workers': run + _DASK,
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


def contents(folder: pathlib.Path, verb: str) -> dict[str, str]:
  """Returns a digest of each file that must be the same to the last bit."""
  otherwise = _OTHERWISE | {_KEPT}
  if verb != 'report':
    otherwise |= _TELLS_TIME
  if verb in WORKERS.values():  # Its rounds are other ones.
    otherwise |= {'log.jsonl'}
  return {
    str(path.relative_to(folder)): hashlib.sha256(_bits(path)).hexdigest()
    for path in sorted(folder.rglob('*'))
    if path.is_file()
    and not otherwise.intersection(path.relative_to(folder).parts)
    and path.suffix != '.lock'
    and path.name != '.lock'
  }


def _bits(path: pathlib.Path) -> bytes:
  """Returns what must be the same of a file: all but times."""
  if path.name == journal.NAME:
    return _describe_trials(path).encode()
  if path.parent.name == 'units' and path.suffix == '.npz':
    arrays = files.arrays(path)
    del arrays['seconds']
    return b''.join(
      f'{name} {array.dtype} {array.shape}'.encode() + array.tobytes()
      for name, array in sorted(arrays.items())
    )
  return path.read_bytes()


def _describe_trials(path: pathlib.Path) -> str:
  """Reads a journal by Optuna; returns its studies and all trials."""
  backend = optuna.storages.journal.JournalFileBackend(str(path))
  with journal.quiet():
    storage = optuna.storages.JournalStorage(backend)
  return repr(
    [
      (
        study.study_name,
        study.user_attrs,
        [
          (
            trial.number, trial.state.name, trial.params, trial.values,
            trial.user_attrs, trial.intermediate_values, trial.distributions,
          )
          for trial in storage.get_all_trials(study._study_id)
        ],
      )
      for study in storage.get_all_studies()
    ]
  )  # fmt: skip


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


def live(verb: str, home: pathlib.Path) -> float:
  """Leaves a verb alone, or reads how many seconds that took in this folder."""
  told = home / f'{verb}.seconds'
  if not told.exists():
    shutil.rmtree(home / verb, ignore_errors=True)
    told.write_text(str(left_alone(arguments(verb, home, home / verb))))
  return float(told.read_text())


def kill_worker(session: int) -> bool:
  """Kills one of the workers of a command; whether there was one."""
  workers = [line for line in left_over(session) if 'spawn_main' in line]
  if workers:
    with contextlib.suppress(ProcessLookupError):
      os.kill(int(workers[-1].split()[0]), signal.SIGKILL)
  return bool(workers)


def end(
  process: subprocess.Popen, number: int, *, after: float, patience: float = 1
) -> int:
  """Ends a command after so many seconds; returns its exit code.

  Args:
    process: the command.
    number: the signal.
    after: the seconds.
    patience: seconds after which none of its processes may be left.
  """
  try:
    process.communicate(timeout=after)
  except subprocess.TimeoutExpired:
    process.send_signal(number)
  errors = wait(process)
  deadline = time.monotonic() + patience
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
  alone = WORKERS.get(verb, verb)
  for _ in range(6):
    number, process = next(numbers), start(command)
    after = moments.uniform(0, life)
    if verb in WORKERS:
      time.sleep(moments.uniform(0, after))
      after /= 2
      if kill_worker(process.pid):
        ends[verb, 'SIGKILL of a worker', ''] += 1
    # Workers notice in seconds that the command has gone.
    patience = 20 if verb in WORKERS else 1
    code = end(process, number, after=after, patience=patience)
    if code:
      ends[verb, signal.Signals(number).name, code] += 1
  left_alone(command)
  expected, found = (
    contents(home / alone, alone),
    contents(broken / verb, alone),
  )
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
  parser.add_argument(
    '--folder',
    type=pathlib.Path,
    help='where to work, and to leave what was left alone for the next time',
  )
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
    folder = args.folder or pathlib.Path(name)
    (folder / 'whole').mkdir(parents=True, exist_ok=True)
    (folder / 'whole/space.py').write_text(_SPACE)
    wanted = [WORKERS.get(verb, verb) for verb in args.verbs]
    if 'report' in wanted:
      wanted.insert(0, 'train')
    lives = {
      verb: live(verb, folder / 'whole')
      for verb in dict.fromkeys((*_NEEDED, *wanted))
    }
    # To begin, two workers take seconds.
    lives |= {
      verb: 15 + 2 * lives[WORKERS[verb]]
      for verb in WORKERS.keys() & args.verbs
    }
    print(f'seconds of a life: {lives}', flush=True)
    try:
      while ends.total() < args.kills:
        verb = next(verbs)
        ends += end_often(verb, folder, life=lives[verb], **how)
    finally:
      for key, count in sorted(ends.items(), key=str):
        print(*key, count)


if __name__ == '__main__':
  main()
