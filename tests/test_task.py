"""What a task knows of its inputs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mejax import configuration
from mejax import task as task_lib
from mejax.datasets import prepare
from mejax.training import sample
from tests import own_parts
from tests.corpora import htnet_tree


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp('task')
  htnet_tree.write_tree(folder / 'clone')
  prepare.prepare(
    'htnet_release', source=folder / 'clone', data_dir=folder / 'data'
  )
  return folder / 'data'


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
  assert task_lib.load_task(config, data_dir).layout == layout


def test_a_view_may_hand_over_more_of_each_example(data_dir):
  def view(examples):
    number = np.arange(len(examples['subject']), dtype=np.int32)
    return own_parts.view(examples), {'number': number}

  config = configuration.load_config('ststnet')
  task = task_lib.load_task(config, data_dir, view=view)
  plain = task_lib.load_task(config, data_dir, view=own_parts.view)
  assert task.layout == sample.Layout()
  assert task.extra['number'].tolist() == list(range(len(task.labels)))
  assert task.sha256 != plain.sha256
  task_lib.check_task(task)
  short = {'number': task.extra['number'][1:]}
  with pytest.raises(ValueError, match="'number' has 4 rows for 5 inputs"):
    task_lib.check_task(dataclasses.replace(task, extra=short))
