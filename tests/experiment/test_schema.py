"""Configs and old runs that do not list everything."""

from __future__ import annotations

import json
import pathlib
import shutil

import ml_collections
import pytest

from mejax.configs import default
from mejax.experiment import configuration
from mejax.experiment import resolve
from mejax.experiment import schema
from mejax.experiment import workdir
from mejax.training import setting as setting_lib

OLD = pathlib.Path(__file__).parent / 'old_runs'

# Whole, from an empty ConfigDict, as configs once were.
WHOLE = """
import ml_collections

def get_config(arg=''):
  config = ml_collections.ConfigDict()
  config.dataset = 'mine'
  config.protocol = 'casme2-5'
  config.view = ml_collections.ConfigDict({'name': 'full_flow', 'level': 1})
  config.model = ml_collections.ConfigDict({'name': 'ststnet'})
  config.setting = ml_collections.ConfigDict({'learning_rate': 1e-2})
  config.grid = ml_collections.ConfigDict({'mixup': (0.1, 0.2)})
  config.num_epochs = 7
  config.notes = 'of my own'
  return config
"""
DIFFERENT = """
from mejax.configs import default

def get_config(arg=''):
  config = default.get_config()
  config.dataset = 'mine'
  config.setting.mirror = 0.5
  return config
"""


def test_a_whole_config_of_a_users_own_is_filled_in(tmp_path):
  (tmp_path / 'own.py').write_text(WHOLE)
  config = configuration.load_config(str(tmp_path / 'own.py'), ['seed=3'])
  assert config.is_locked
  assert (config.num_epochs, config.seed, config.notes) == (7, 3, 'of my own')
  assert config.num_folds == default.get_config().num_folds
  assert config.setting.learning_rate == 1e-2
  assert set(config.setting) == set(config.grid) == set(setting_lib.NUMBERS)
  settings = setting_lib.combinations(config.setting, config.grid)
  assert [setting.mixup for setting in settings] == [0.1, 0.2]
  # Options belong to the view and the model that are named.
  assert config.view.to_dict() == {'name': 'full_flow', 'level': 1}
  assert config.model.to_dict() == {'name': 'ststnet'}


def test_a_config_that_says_what_differs_is_complete(tmp_path):
  (tmp_path / 'own.py').write_text(DIFFERENT)
  config = configuration.load_config(str(tmp_path / 'own.py'))
  expected = default.get_config()
  expected.dataset = 'mine'
  expected.setting.mirror = 0.5
  assert config.to_dict() == expected.to_dict()


def test_filling_in_leaves_the_config_itself_alone():
  config = ml_collections.ConfigDict({'setting': {'mirror': 0.5}})
  filled = schema.fill(config)
  assert set(config) == {'setting'} and set(config.setting) == {'mirror'}
  assert filled.setting.mirror == 0.5 and filled.batch_size > 0


@pytest.fixture
def old_run(tmp_path):
  """A folder of a run of schema 1 from its two files."""

  def make(name, schema_version=1):
    shutil.copy(OLD / f'{name}.json', tmp_path / 'config.json')
    run = {'schema_version': schema_version, 'data_sha256': 'abc'}
    workdir.write_json(tmp_path / 'run.json', run)
    (tmp_path / 'checkpoints').mkdir()
    return tmp_path

  return make


def test_a_run_of_schema_1_means_what_it_did(old_run):
  """An ARTNet of mejax 0.1.0, as it was written then."""
  config = schema.read_run_config(old_run('schema_1'))
  meant = {
    'learning_rate': 0.002,
    'weight_decay': 0.05,
    'b1': 0.9,
    'b2': 0.999,
    'eps': 1e-8,
    'warmup_fraction': 0.1,
    'label_smoothing': 0.1,
    'jitter': 0.0,
    'mirror': 0.5,
    'rotation': 0.0,
    'shift': 1.0,
    'scale_jitter': 0.5,
    'region_dropout': 0.0,
    'level_dropout': 0.0,
    'balance': 0.0,
    'mixup': 0.3,
    'ema': 0.98,
    'test_mirror': 0.5,
  }
  # Numbers that came later are those of default.py.
  assert {name: config.setting[name] for name in meant} == meant
  assert not any(config.grid.values())
  assert config.view.name == 'level_stack'
  assert (config.model.name, config.model.dim) == ('artnet', 16)
  assert resolve.make_model(config, 3).dim == 16
  assert len(resolve.make_settings(config)) == 1


def test_the_first_runs_of_schema_1_mean_what_they_did(old_run):
  """Before people were left out in parts, with a field that was renamed."""
  config = schema.read_run_config(old_run('schema_1_first'))
  assert config.num_folds == 0
  assert config.setting.mirror == config.setting.warmup_fraction == 0
  assert config.setting.b1 == 0.9
  assert 'alphas' not in config.model
  assert resolve.make_model(config, 3).levels == (1.0, 4.0)
  assert [s.learning_rate for s in resolve.make_settings(config)] == [0.1, 0.2]


def test_a_default_that_changes_does_not_change_old_runs(old_run, monkeypatch):
  changed = default.get_config()
  changed.num_folds, changed.setting.ema = 5, 0.9
  changed.setting.later = 0.0
  monkeypatch.setattr(schema.default, 'get_config', lambda: changed)
  config = schema.read_run_config(old_run('schema_1_first'))
  assert (config.num_folds, config.setting.ema) == (0, 0.0)
  # A number that came later was off.
  assert config.setting.later == 0.0


def test_an_unknown_schema_is_refused(old_run):
  with pytest.raises(ValueError, match='schema 99 cannot be read.*reads 1'):
    schema.read_run_config(old_run('schema_1', 99))


def test_a_run_of_schema_1_resumes_with_the_same_config_of_today(old_run):
  folder = old_run('schema_1')
  config = configuration.load_config('artnet:smoke')
  run = {'data_sha256': 'abc'}
  today = json.loads(config.to_json())
  assert workdir.claim(folder, today, run)['schema_version'] == 1
  config.setting.eps = 1e-6
  with pytest.raises(ValueError, match='setting.eps: there 1e-08, asked for'):
    workdir.claim(folder, json.loads(config.to_json()), run)


def test_an_object_of_a_users_own_stands_as_it_was_described():
  config = {'model': 'own:Model 0123', 'view': {'partial': ['f', {'keys': 1}]}}
  complete = schema.complete(config, 1)
  assert complete['model'] == config['model']
  assert complete['view'] == config['view']


def test_a_placement_that_nothing_reads_is_named(tmp_path):
  placement = {'mode': 'map', 'width': 1, 'round_size': 4, 'colour': 1}
  run = {'schema_version': 3, 'data_sha256': '0', 'placement': placement}
  (tmp_path / 'run.json').write_text(json.dumps(run))
  with pytest.raises(ValueError, match='run.json .*placement has colour'):
    schema.read_run(tmp_path)
