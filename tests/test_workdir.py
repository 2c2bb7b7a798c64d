"""A folder holds one run, and a file is whole or not there."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mejax import workdir

CONFIG = {'num_epochs': 3, 'setting': {'learning_rate': 0.1}, 'rules': ('a',)}


def test_a_new_folder_is_claimed_and_the_same_run_may_return(tmp_path):
  folder = tmp_path / 'deep' / 'run'
  assert workdir.claim(folder, CONFIG, 'abc')['placement'] is None
  assert workdir.claim(folder, CONFIG, 'abc')['placement'] is None
  assert json.loads((folder / 'config.json').read_text())['num_epochs'] == 3


def test_another_config_is_refused_with_every_difference_named(tmp_path):
  workdir.claim(tmp_path / 'run', CONFIG, 'abc')
  other = CONFIG | {'num_epochs': 4, 'setting': {'learning_rate': 0.2}}
  with pytest.raises(ValueError) as error:
    workdir.claim(tmp_path / 'run', other, 'abc')
  message = str(error.value)
  assert 'num_epochs: there 3, asked for 4' in message
  assert 'setting.learning_rate: there 0.1, asked for 0.2' in message
  assert '--workdir' in message


def test_other_data_is_refused(tmp_path):
  folder = tmp_path / 'run'
  run = workdir.claim(folder, CONFIG, 'abc')
  workdir.write_json(folder / 'run.json', run)
  with pytest.raises(ValueError, match='other data'):
    workdir.claim(folder, CONFIG, 'abd')


def test_a_newer_schema_is_refused(tmp_path):
  folder = tmp_path / 'run'
  run = workdir.claim(folder, CONFIG, 'abc')
  workdir.write_json(folder / 'run.json', run | {'schema_version': 99})
  with pytest.raises(ValueError, match='schema 99'):
    workdir.claim(folder, CONFIG, 'abc')


def test_a_folder_with_other_files_is_left_alone(tmp_path):
  (tmp_path / 'thesis.tex').write_text('precious')
  with pytest.raises(ValueError, match='not empty and holds no run'):
    workdir.claim(tmp_path, CONFIG, 'abc')
  assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']


def test_arrays_come_back_as_they_went(tmp_path):
  arrays = {
    'names': np.array(['s1', 'größer']),
    'logits': np.random.default_rng(0).normal(size=(3, 2)),
  }
  workdir.save_npz(tmp_path / 'a.npz', arrays)
  loaded = workdir.load_npz(tmp_path / 'a.npz')
  for name, array in arrays.items():
    np.testing.assert_array_equal(loaded[name], array)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
  path = tmp_path / 'metrics.json'
  workdir.write_json(path, {'uf1': 0.5})
  with pytest.raises(TypeError):
    workdir.write_json(path, {'uf1': object()})
  assert json.loads(path.read_text()) == {'uf1': 0.5}
