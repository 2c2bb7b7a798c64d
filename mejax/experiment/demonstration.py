"""Runs the demo: renders faces, trains on them and writes a report."""

from __future__ import annotations

import os
import pathlib

from mejax import files
from mejax.experiment import configuration
from mejax.experiment import running
from mejax.training import devices


def demo(workdir: str | os.PathLike, *, small: bool = False) -> pathlib.Path:
  """Renders faces, prepares them, trains every fold and writes the report.

  Args:
    workdir: folder for `corpus/`, `data/` and `run/`; the same call resumes.
    small: render fewer faces and train for a shorter time.

  Returns:
    The path of the report.
  """
  from mejax.corpora import synthetic
  from mejax.datasets import prepare
  from mejax.datasets.recipe import Recipe

  devices.use_every_core()  # Preparation starts JAX; later is too late.
  devices.keep_compiled_programs()
  workdir = pathlib.Path(workdir)
  files.refuse_links(workdir)
  people, clips = (4, 3) if small else (8, 9)
  source = synthetic.write(
    workdir / 'corpus', num_subjects=people, clips_per_subject=clips
  )
  config = configuration.load_config(
    'synthetic:smoke' if small else 'synthetic:demo'
  )
  prepare.prepare(
    'synthetic',
    source=source,
    data_dir=workdir / 'data',
    recipe=Recipe(size=config.model.image_size),
  )
  running.train(config, data_dir=workdir / 'data', workdir=workdir / 'run')
  return workdir / 'run' / 'report' / 'index.html'
