"""A folder holds one run, and a file is whole or not there."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from mejax import files
from mejax.experiment import workdir
from tests import child

CONFIG = {'num_epochs': 3, 'setting': {'learning_rate': 0.1}, 'rules': ('a',)}
RUN = {'data_sha256': 'abc'}


@pytest.fixture
def begun(tmp_path):
  """A run that has its first checkpoint."""
  workdir.claim(tmp_path, CONFIG, RUN)
  (tmp_path / 'checkpoints').mkdir()
  return tmp_path


def test_another_version_of_the_users_code_is_refused(tmp_path):
  run = RUN | {'named_objects': {'model.attention_fn': 'mine:relu 0123'}}
  workdir.claim(tmp_path, CONFIG, run)
  (tmp_path / 'record.npz').touch()
  workdir.claim(tmp_path, CONFIG, run)
  changed = RUN | {'named_objects': {'model.attention_fn': 'mine:relu 4567'}}
  with pytest.raises(ValueError, match='mine:relu 0123.*mine:relu 4567'):
    workdir.claim(tmp_path, CONFIG, changed)


def test_runs_that_did_not_record_the_users_code_go_on(begun):
  workdir.claim(begun, CONFIG, RUN | {'named_objects': {'model.name': 'a:b 1'}})


def test_other_options_of_jax_are_refused_with_every_difference_named(tmp_path):
  run = RUN | {'numerics': {'jax_enable_x64': False, 'jax_other': 1}}
  workdir.claim(tmp_path, CONFIG, run)
  (tmp_path / 'checkpoints').mkdir()
  workdir.claim(tmp_path, CONFIG, run)
  changed = RUN | {'numerics': {'jax_enable_x64': True, 'jax_other': 1}}
  with pytest.raises(ValueError, match='options of JAX') as error:
    workdir.claim(tmp_path, CONFIG, changed)
  assert 'jax_enable_x64: there False, asked for True' in str(error.value)
  assert 'jax_other' not in str(error.value)


def test_runs_that_did_not_record_the_options_of_jax_go_on(begun):
  workdir.claim(begun, CONFIG, RUN | {'numerics': {'jax_enable_x64': True}})


def test_the_same_run_may_return(begun):
  assert workdir.claim(begun, CONFIG, RUN)['data_sha256'] == 'abc'
  assert json.loads((begun / 'config.json').read_text())['num_epochs'] == 3


def test_what_a_run_was_done_with_is_kept(begun):
  again = workdir.claim(begun, CONFIG, RUN | {'backend': 'gpu'})
  assert 'backend' not in again


def test_another_config_is_refused_with_every_difference_named(begun):
  other = CONFIG | {'num_epochs': 4, 'setting': {'learning_rate': 0.2}}
  with pytest.raises(ValueError) as error:
    workdir.claim(begun, other, RUN)
  message = str(error.value)
  assert 'num_epochs: there 3, asked for 4' in message
  assert 'setting.learning_rate: there 0.1, asked for 0.2' in message
  assert '--workdir' in message


def test_a_run_that_failed_before_its_first_checkpoint_may_be_mended(tmp_path):
  workdir.claim(tmp_path, CONFIG, RUN)
  workdir.claim(tmp_path, CONFIG | {'num_epochs': 4}, RUN)
  assert json.loads((tmp_path / 'config.json').read_text())['num_epochs'] == 4


@pytest.mark.parametrize(
  'name',
  [
    'record.npz', 'metrics.json', 'log.jsonl', 'baselines.npz',
    'predictions.csv', 'levels.json', 'attention.npz', 'floors.npz', 'report',
  ],
)  # fmt: skip
def test_a_result_without_checkpoints_belongs_to_its_config(tmp_path, name):
  workdir.claim(tmp_path, CONFIG, RUN)
  (tmp_path / name).write_text('{}')
  with pytest.raises(ValueError, match='num_epochs: there 3, asked for 4'):
    workdir.claim(tmp_path, CONFIG | {'num_epochs': 4}, RUN)
  assert workdir.claim(tmp_path, CONFIG, RUN)['data_sha256'] == 'abc'


@pytest.mark.parametrize('name', ['log.jsonl', 'baselines.npz', 'run.json'])
def test_what_is_left_of_a_run_without_its_config_is_left_alone(tmp_path, name):
  (tmp_path / name).write_text('{}')
  with pytest.raises(ValueError, match=f'holds no run .*{name}'):
    workdir.claim(tmp_path, CONFIG, RUN)
  assert not (tmp_path / 'config.json').exists()


def test_a_kill_during_the_first_write_does_not_block_the_folder(tmp_path):
  (tmp_path / f'config.json{files.SUFFIX}').write_text('{"num_ep')
  workdir.claim(tmp_path, CONFIG, RUN)


def test_what_an_older_config_did_not_list_may_stand_at_what_it_was(begun):
  workdir.claim(begun, CONFIG | {'num_folds': 0}, RUN)
  with pytest.raises(ValueError, match='num_folds: there 0, asked for 4'):
    workdir.claim(begun, CONFIG | {'num_folds': 4}, RUN)


@pytest.mark.parametrize(
  ('home', 'words'),
  [
    (
      {'dataset': {'a': 1}},
      'other data.*new --workdir, or prepare the dataset',
    ),
    ({'dataset': {}}, 'other data.*new workdir, or give the data as they were'),
  ],
)
def test_other_data_is_refused(begun, home, words):
  with pytest.raises(ValueError, match=words):
    workdir.claim(begun, CONFIG, {'data_sha256': 'abd'} | home)


def test_a_newer_schema_is_refused(begun):
  workdir.write_json(begun / 'run.json', RUN | {'schema_version': 99})
  with pytest.raises(ValueError, match='schema 99'):
    workdir.claim(begun, CONFIG, RUN)


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
  hold = (
    'import pathlib, sys, time; from mejax.experiment import workdir\n'
    'with workdir.locked(pathlib.Path(sys.argv[1])):\n'
    '  print("held", flush=True); time.sleep(60)'
  )
  process = subprocess.Popen(
    [sys.executable, '-c', hold, str(tmp_path)],
    stdout=subprocess.PIPE,
    text=True,
    env=child.environment(),
  )
  assert process.stdout.readline() == 'held\n'
  with pytest.raises(ValueError, match='in use by another process'):
    with workdir.locked(tmp_path):
      pass
  process.kill()
  process.communicate()
  with workdir.locked(tmp_path):
    pass


def test_a_folder_with_other_files_is_left_alone(tmp_path):
  (tmp_path / 'thesis.tex').write_text('precious')
  with pytest.raises(ValueError, match='not empty and holds no run'):
    workdir.claim(tmp_path, CONFIG, RUN)
  assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']


def test_files_of_older_names_are_read(tmp_path):
  arrays = {'majority': np.arange(3)}
  for read in (workdir.read_baselines, workdir.read_attention):
    assert read(tmp_path) == {}
  workdir.save_npz(tmp_path / 'floors.npz', arrays)
  workdir.save_npz(tmp_path / 'looked.npz', arrays)
  for read in (workdir.read_baselines, workdir.read_attention):
    np.testing.assert_array_equal(read(tmp_path)['majority'], np.arange(3))
  assert workdir.read_levels(tmp_path) == {}
  levels = {'scores': [], 'subjects': []}
  workdir.write_json(tmp_path / 'levels.json', {'alphas': [1, 4], **levels})
  assert workdir.read_levels(tmp_path) == {'levels': [1, 4], **levels}


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


@pytest.mark.parametrize(
  'data',
  [
    {'arrays': {'inputs': 'float32[9, 4, 16, 3]'}, 'class_names': ['a', 'b']},
    {'arrays': {'inputs': 'float64[9, 8, 8, 3]'}, 'class_names': ['a', 'b']},
    {'arrays': {'inputs': 'float32[9, 8, 8, 3]'}, 'class_names': ['b', 'a']},
  ],
)
def test_the_same_bytes_in_another_form_are_other_data(tmp_path, data):
  of = {'arrays': {'inputs': 'float32[9, 8, 8, 3]'}, 'class_names': ['a', 'b']}
  workdir.claim(tmp_path, CONFIG, RUN | {'data': of})
  (tmp_path / 'record.npz').touch()
  workdir.claim(tmp_path, CONFIG, RUN | {'data': of})
  with pytest.raises(ValueError, match='a run on other data'):
    workdir.claim(tmp_path, CONFIG, RUN | {'data': data})


def test_the_owner_changes_with_config_data_and_code_alone(tmp_path):
  run = RUN | {'data': {'a': 1}, 'named_objects': {}, 'backend': 'cpu'}

  def owner(config=CONFIG, **changes):
    return workdir.describe_owner(config, run | changes)

  assert owner() == owner(backend='gpu', placement={'round_size': 4})
  changed = [
    owner(CONFIG | {'num_epochs': 4}),
    owner(data_sha256='abd'),
    owner(data={'a': 2}),
    owner(named_objects={'model.name': 'a:b 1'}),
  ]
  assert len({owner(), *changed}) == 5
  assert workdir.owner(tmp_path) == ''
  workdir.claim(tmp_path, CONFIG, run)
  config = json.loads(json.dumps(CONFIG))
  assert workdir.owner(tmp_path) == owner(config)


def test_a_file_of_another_run_is_refused_and_one_of_nobody_is_told(
  tmp_path, capsys
):
  workdir.claim(tmp_path, CONFIG, RUN | {'data': {'a': 1}})
  own = workdir.owner(tmp_path)
  arrays = {'majority': np.arange(3)}
  path = tmp_path / workdir.BASELINES
  workdir.save_npz(path, arrays | {files.OWNER: np.array(own)})
  assert list(workdir.read_baselines(tmp_path)) == ['majority']
  assert capsys.readouterr().out == ''
  for other in ({}, {files.OWNER: np.array('0' * 64)}):
    workdir.save_npz(path, arrays | other)
    with pytest.raises(ValueError, match='baselines.npz belongs to another'):
      workdir.read_baselines(tmp_path)
  levels = {'levels': [1], 'scores': [], 'subjects': []}
  workdir.write_json(tmp_path / 'levels.json', levels | {files.OWNER: own})
  assert workdir.read_levels(tmp_path) == levels
  workdir.write_json(tmp_path / 'levels.json', levels | {files.OWNER: '0'})
  with pytest.raises(ValueError, match='levels.json belongs to another'):
    workdir.read_levels(tmp_path)
  assert capsys.readouterr().out == ''
  workdir.write_json(tmp_path / 'run.json', {'schema_version': 1, **RUN})
  for _ in range(2):
    assert list(workdir.read_baselines(tmp_path)) == ['majority']
  assert capsys.readouterr().out.count('it is not checked') == 1


@pytest.mark.parametrize(
  ('content', 'said'),
  [
    ({'levels': 5}, 'levels is 5; expected a list'),
    ({'levels': ['x']}, r"levels\[0\] is 'x'; expected .* a number"),
    ({'levels': [1], 'scores': [{}]}, r'scores\[0\].levels is missing'),
  ],
)
def test_odd_levels_are_refused_by_name(tmp_path, content, said):
  workdir.write_json(tmp_path / 'levels.json', content)
  with pytest.raises(ValueError, match=f'levels.json is damaged .{said}'):
    workdir.read_levels(tmp_path)
