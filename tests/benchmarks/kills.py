"""Kills an experiment at hundreds of random moments and compares the bits.

  python -m tests.benchmarks.kills [--kills 200]

Each experiment is killed at moments spread over its whole life, from the first
import to the report, until one life ends by itself. Then its files must equal
those of an experiment that was left alone.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import tempfile
import time

from tests.experiment import killed_experiment


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--kills', type=int, default=200)
  parser.add_argument('--seed', type=int, default=0)
  args = parser.parse_args()
  moments = random.Random(args.seed)
  with tempfile.TemporaryDirectory() as folder:
    whole = pathlib.Path(folder) / 'whole'
    start = time.monotonic()
    killed_experiment.finish(killed_experiment.start(whole))
    life = time.monotonic() - start
    expected = killed_experiment.results(whole)
    kills = experiments = 0
    while kills < args.kills:
      workdir = pathlib.Path(folder) / f'broken_{experiments}'
      while killed_experiment.kill(workdir, after=moments.uniform(0, life)):
        kills += 1
      killed_experiment.finish(killed_experiment.start(workdir))
      found = killed_experiment.results(workdir)
      wrong = [name for name in expected if found[name] != expected[name]]
      experiments += 1
      print(
        f'{kills} kills, {experiments} experiments:'
        f' {"differ in " + ", ".join(wrong) if wrong else "the same bits"}',
        flush=True,
      )


if __name__ == '__main__':
  main()
