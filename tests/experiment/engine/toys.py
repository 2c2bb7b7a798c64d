"""Units that take no training: some end well, some as badly as they can."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import time

from mejax.experiment.engine import placing


class Odd(Exception):
  """An error that cannot be sent between processes."""

  def __init__(self, one, two):
    super().__init__(f'{one} and {two}')


def do(unit, *, word='') -> None:
  """Does a unit; each start of it is a line beside its result."""
  path = pathlib.Path(unit['result'])
  with path.with_suffix('.starts').open('a') as file:
    file.write(f'{os.getpid()}\n')
  print(f'{path.stem} is said')
  time.sleep(unit.get('seconds', 0.0))
  match unit['how']:
    case 'raise':
      raise Odd(1, 2)
    case 'exit':
      sys.exit(3)
    case 'hoard':
      # Touched, or it would take no memory.
      kept = bytearray(b'x') * (unit['megabytes'] * 2**20)
      time.sleep(60)
      del kept
    case 'poison':
      os.kill(os.getpid(), signal.SIGKILL)
  path.write_text(word)


def unit(folder: pathlib.Path, name: str, how: str = 'well', **more):
  return {'result': str(folder / f'{name}.npz'), 'count': 2, 'how': how, **more}


def starts(one) -> list[int]:
  """Returns the processes that have begun a unit, in order."""
  path = pathlib.Path(one['result']).with_suffix('.starts')
  return [*map(int, path.read_text().split())] if path.exists() else []


def work(*, here=None) -> placing.Work:
  return placing.Work(f'{__name__}:do', {'word': 'done'}, here)
