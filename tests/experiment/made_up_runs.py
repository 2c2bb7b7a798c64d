"""Runs of made-up records, with no more files than results come from."""

from __future__ import annotations

import json
import pathlib

import numpy as np

from mejax import experiment

CONFIG = {'dataset': '', 'protocol': '', 'view': {'name': ''}, 'model': {}}
RUN = {
  'schema_version': 1,
  'data_sha256': 'of the data',
  'dataset': {
    'corpora': ['smic'],
    'clips': ['smic/s01/s01_ne_01'],
    'counts': {'negative': 1},
    'levels': [1.0],
  },
  'versions': {'jax': '0'},
}


def write_run(folder: pathlib.Path, record, config=(), run=()) -> pathlib.Path:
  """Writes a run; `config` and `run` have what differs from those above."""
  folder.mkdir()
  np.savez(folder / 'record.npz', **record)
  (folder / 'config.json').write_text(json.dumps(CONFIG | dict(config)))
  (folder / 'run.json').write_text(json.dumps(RUN | dict(run)))
  return folder


def task_of(record, order=None) -> experiment.Task:
  """The data of a made-up run, in another order."""
  order = np.arange(len(record['labels'])) if order is None else order
  inputs = np.random.default_rng(3).normal(size=(len(order), 2, 2, 3))
  return experiment.Task(
    inputs=inputs.astype(np.float32),
    labels=record['labels'][order],
    corpus=record['corpus'][order],
    subject=record['subject'][order],
    clip=record['clip'][order],
    class_names=tuple(record['class_names'].tolist()),
    protocol='Made-up.',
    groups=record['groups'][order],
  )
