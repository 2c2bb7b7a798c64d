"""Small datasets of made-up motion, written without preparing anything."""

from __future__ import annotations

from collections.abc import Callable
import json
import pathlib

import numpy as np
import pytest

from mejax import files
from mejax.datasets import builder
from mejax.evaluation import summary

SIDE = 64
LANDMARKS = np.float32([[20, 24], [43, 24], [32, 35], [23, 46], [41, 46]])
METADATA = {
  'schema_version': builder.SCHEMA_VERSION,
  'corpora': ['synthetic'],
  'units': 'pixel',
  'strain': 'shreve',
  'flow': {'method': 'tvl1', 'blur': 0.7, 'pairs_at_once': None},
  'levels': [1.0, 2.0],
  'magnify': {'method': 'phase'},
  'size': SIDE,
  'landmark_source': 'detect: found by the detector',
  'remove_head_motion': False,
  'mask_eyelids': False,
}


def example(*, motion: float = 1.0, **others) -> builder.Example:
  """A face of noise that moves to the right, twice as far at the 2nd level."""
  made = np.random.default_rng(7)
  noise = made.integers(0, 255, (4, SIDE, SIDE, 3), np.uint8)
  flow = np.zeros((2, SIDE, SIDE, 3), np.float32)
  flow[0, ..., 0], flow[1, ..., 0] = motion, 2 * motion
  flow[0, ..., 2], flow[1, ..., 2] = 0.1, 0.2
  return {
    'flow': flow,
    'landmarks': LANDMARKS,
    'onset': noise[0],
    'apex': noise[1],
    'amplified': noise[2:],
    'onset_number': np.int32(3),
    'apex_number': np.int32(9),
    'offset_number': np.int32(14),
    'emotion': 'negative',
    'corpus': 'synthetic',
    'subject': 's01',
    'clip': 'c01',
    'apex_source': 'annotated',
  } | others


def ready_made() -> builder.Example:
  """Flow in 0..255 without frames."""
  flow = np.random.default_rng(3).integers(0, 256, (1, 28, 28, 3))
  kept = ('landmarks', 'emotion', 'corpus', 'subject', 'clip', 'apex_source')
  return {
    **{key: value for key, value in example().items() if key in kept},
    'flow': flow.astype(np.float32),
    'landmarks': LANDMARKS * 28 / SIDE,
    'crop_points': np.int32(LANDMARKS * 28 / SIDE),
    'corpus': 'casme2',
  }


def _identity(example: builder.Example) -> str:
  return '/'.join(example[key] for key in ('corpus', 'subject', 'clip'))


@pytest.fixture
def write(tmp_path) -> Callable[..., pathlib.Path]:
  """Writes a dataset `made` of some examples; returns its `data_dir`."""

  def write(examples: list[builder.Example], **metadata) -> pathlib.Path:
    config = builder.Config(
      name='made',
      number=len(examples),
      examples=lambda start, stop: iter(examples[start:stop]),
      features=examples[0],
      metadata=METADATA | {'clips': list(map(_identity, examples))} | metadata,
    )
    folder = tmp_path / 'data' / builder.NAME / 'made' / builder.VERSION
    with files.replacing(folder) as partial:
      builder.write(config, partial)
    return tmp_path / 'data'

  return write


@pytest.fixture
def workdir(make_record, tmp_path):
  """Writes a workdir of a made-up run and returns it with its numbers."""

  def write(name, change=None, **options):
    folder = tmp_path / name
    folder.mkdir()
    record = make_record(**options)
    if change:
      change(record)
    predictions = {
      'majority': np.zeros(len(record['labels']), np.int32),
      'rbf_svm': np.roll(record['labels'], 1),
    }
    numbers = summary.metrics_json(
      record, predictions, protocol_sentence='Made-up clips, <one> & all.'
    )
    np.savez(folder / 'record.npz', **record)
    np.savez(folder / 'baselines.npz', **predictions)
    (folder / 'metrics.json').write_text(json.dumps(numbers))
    config = {'model': {'name': 'htnet'}, 'num_epochs': 60}
    (folder / 'config.json').write_text(json.dumps(config))
    return folder, numbers

  return write
