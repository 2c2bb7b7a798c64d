"""Flags on who trains: this process, or the workers of a cluster."""

from __future__ import annotations

import argparse
import pathlib
import sys

TEXT = """
several processes or machines:
  --engine dask --jobs 2             two workers on this machine
  --engine dask --scheduler tls://HOST:8786
                                     the workers of a dask scheduler
  --engine slurm --jobs 16           a job for each worker; also pbs, sge, lsf.
                                     Queue, cores, memory and time are yours to
                                     say in ~/.config/dask/jobqueue.yaml;
                                     --show_job_script prints what is submitted
  Numbers do not depend on the engine (mode map: not by a bit). Any worker may
  come, leave or be killed, and so may this command: repeated, with this engine
  or another, it goes on. The network for spotting is trained by one process,
  and refuses engines. All machines need the folders of data and run, under
  the same names. The extra is needed: pip install 'mejax[cluster]'.
  docs/scale.md has recipes. One machine with one GPU needs nothing of this.
"""


def add_engine(verb) -> None:
  verb.add_argument(
    '--engine',
    default='local',
    metavar='NAME',
    help='who trains: local is this process (the default), dask are workers'
    ' here or of a --scheduler; slurm, pbs, sge and lsf submit jobs',
  )
  verb.add_argument(
    '--scheduler',
    default='',
    metavar='ADDRESS',
    help='with --engine dask: tls://HOST:PORT of a running scheduler, or its'
    ' file of JSON',
  )
  verb.add_argument(
    '--jobs', type=int, metavar='N', help='number of workers to start'
  )
  verb.add_argument(
    '--show_job_script',
    action='store_true',
    help='print what a batch system would get for each worker; submit nothing',
  )


def read_engine(args: argparse.Namespace):
  """Returns the engine that the flags name."""
  from mejax.experiment.engine import options

  return options.Engine(args.engine, args.scheduler, args.jobs)


def show_job_script(engine, workdir: pathlib.Path) -> None:
  """Prints the script of the jobs of an engine.

  Args:
    engine: the engine.
    workdir: folder of the run.

  Raises:
    ValueError: it submits none.
  """
  from mejax.experiment.engine import options

  if engine.kind not in options.BATCH:
    raise ValueError(
      f'the engine {engine.kind} submits no jobs; --show_job_script goes with'
      f' --engine {" or ".join(options.BATCH)}.'
    )
  from mejax.experiment.engine import clusters
  from mejax.experiment.engine import placing

  print(clusters.job_script(engine, workdir / placing.FOLDER))
  print(
    'Cores, memory, time and queue are those of ~/.config/dask/jobqueue.yaml,'
    ' where it names them, and else what dask-jobqueue and mejax suggest. When'
    ' the time of a job is over, another goes on from its checkpoint.',
    file=sys.stderr,
  )
