"""What a task knows of its inputs, and what a protocol makes of a dataset."""

from __future__ import annotations

import dataclasses

import ml_collections
import numpy as np
import pytest

from mejax.datasets import load
from mejax.datasets import prepare
from mejax.experiment import configuration
from mejax.experiment import resolve
from mejax.experiment import task as task_lib
from mejax.training import sample
from tests import own_parts
from tests.corpora import htnet_tree

METADATA = {
  'skipped': [],
  'units': 'pixel',
  'landmark_source': 'none',
  'levels': [1.0],
}


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return htnet_tree.prepare_tree(tmp_path_factory.mktemp('task'))


@pytest.mark.parametrize(
  ('name', 'layout'),
  [
    ('ststnet', sample.Layout('image', u_channel=2)),
    ('htnet_regions', sample.Layout('mosaic', u_channel=2, centred=True)),
    ('htnet_released', sample.Layout('mosaic')),
  ],
)
def test_the_layout_follows_from_the_view(data_dir, name, layout):
  config = configuration.load_config(name)
  assert resolve.load_task(config, data_dir).layout == layout


def test_crops_that_are_not_the_released_ones_are_told(data_dir, tmp_path):
  constant = 'The crops are not as released'
  config = configuration.load_config('htnet_released')
  words = resolve.load_task(config, data_dir).protocol
  assert constant in words
  # Measured in tests/datasets/test_views.py.
  assert 'In the other 276 its crops lie 2.6 of 28 pixels away' in words
  assert 'the mosaics correlate by .88; docs/released_crops.md' in words
  others = configuration.load_config('htnet_regions')
  assert constant not in resolve.load_task(others, data_dir).protocol
  htnet_tree.write_tree(tmp_path / 'clone')
  htnet_tree.write_landmarks(tmp_path / 'points.csv')
  prepare.prepare(
    'htnet_release',
    source=tmp_path / 'clone',
    data_dir=tmp_path / 'data',
    options={'landmarks': tmp_path / 'points.csv'},
  )
  task = resolve.load_task(config, tmp_path / 'data')
  assert constant not in task.protocol


def test_a_view_may_hand_over_more_of_each_example(data_dir):
  def view(examples):
    number = np.arange(len(examples['subject']), dtype=np.int32)
    return own_parts.view(examples), {'number': number}

  config = configuration.load_config('ststnet')
  task = resolve.load_task(config, data_dir, view=view)
  plain = resolve.load_task(config, data_dir, view=own_parts.view)
  assert task.layout == sample.Layout()
  assert task.extra['number'].tolist() == list(range(len(task.labels)))
  assert task.sha256 != plain.sha256
  task_lib.check_task(task)
  short = {'number': task.extra['number'][1:]}
  with pytest.raises(ValueError, match="'number' has 4 rows for 5 inputs"):
    task_lib.check_task(dataclasses.replace(task, extra=short))


@pytest.fixture
def load_task(monkeypatch):
  """A task of four examples of one's own, with a given protocol."""
  examples = {
    'corpus': ['video'] * 4,
    'subject': ['a', 'a', 'b', 'b'],
    'clip': ['1', '2', '3', '4'],
    'emotion': ['joy', 'fear', 'joy', 'awe'],
  }
  columns = {key: np.array(value, np.str_) for key, value in examples.items()}
  columns['flow'] = np.zeros((4, 1, 2, 2, 3), np.float32)
  monkeypatch.setattr(load, 'load_examples', lambda name, data_dir: columns)
  monkeypatch.setattr(load, 'read_metadata', lambda name, data_dir: METADATA)

  def view(examples):
    return np.zeros((len(examples['clip']), 2, 2, 1), np.float32)

  def load_task(protocol):
    config = ml_collections.ConfigDict(
      {'dataset': 'video', 'protocol': protocol, 'order': '', 'view': {}}
    )
    return resolve.load_task(config, 'data', view=view)

  return load_task


def test_the_classes_of_the_own_protocol_are_those_of_the_data(load_task):
  task = load_task('own')
  assert task.class_names == ('awe', 'fear', 'joy')
  assert task.labels.tolist() == [2, 1, 2, 0]
  task_lib.check_task(task)


def test_a_config_may_name_a_protocol_file(load_task, tmp_path):
  file = tmp_path / 'my.csv'
  file.write_text(
    'corpus,emotion,class\nvideo,joy,good\nvideo,awe,good\nvideo,fear,bad\n'
  )
  task = load_task(str(file))
  assert task.class_names == ('good', 'bad')
  assert task.labels.tolist() == [0, 1, 0, 0]
  assert task.groups.tolist() == ['video/a'] * 2 + ['video/b'] * 2
  assert task.protocol.startswith('Protocol of my.csv: 2 classes')
