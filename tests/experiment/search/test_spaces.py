"""What a search may try: groups, and one clear message for each slip."""

from __future__ import annotations

import itertools
import pathlib

import numpy as np
import pytest

from mejax import experiment
from mejax.experiment import model_checks
from mejax.experiment import resolve
from mejax.experiment.search import spaces
from tests.experiment.search import small_search

CONFIGS = {
  'cnn': 'cnn',
  'htnet': 'htnet_regions:small',
  'artnet': 'artnet:small',
  'mmnet': 'mmnet_synthetic',
}
SHAPES = {
  'cnn': (28, 28, 3),
  'htnet': (28, 28, 3),
  'artnet': (3, 64, 64, 3),
  'mmnet': (2, 96, 96, 3),
}


@pytest.fixture(scope='module')
def config():
  return experiment.load_config('cnn')


def write(folder, *lines):
  path = folder / 'space.py'
  body = ''.join(f'  {line}\n' for line in lines)
  path.write_text(f'def get_space(trial):\n{body}')
  return str(path)


@pytest.mark.parametrize('name', spaces.list_spaces())
def test_a_shipped_space_fits_a_config_of_its_name_around_its_own_values(name):
  config = experiment.load_config(CONFIGS[name])
  space = spaces.load(name, config)
  assert space.name == name
  for group in space.groups:
    low, high = spaces.ends(group, config)
    for key in filter(spaces.is_number, group.distributions):
      number = key.removeprefix('setting.')
      own = config.setting[number]
      assert getattr(low, number) <= own <= getattr(high, number)


@pytest.mark.parametrize('name', spaces.list_spaces())
def test_every_group_of_a_shipped_space_builds_what_it_says(name):
  config = experiment.load_config(CONFIGS[name])
  task = small_search.make_task(
    inputs=np.zeros((40, *SHAPES[name]), np.float32)
  )
  for group in spaces.load(name, config).groups:
    model = resolve.make_model(spaces.configure(config, group.choices), 3)
    model = model_checks.fill_levels(model, (1.0, 2.0, 4.0))
    model_checks.check_model(model, task)
    for key, value in group.choices.items():
      assert getattr(model, key.removeprefix('model.')) == value


def test_a_shipped_space_is_named_by_its_path_too_and_a_file_of_ours_first(
  config, tmp_path, monkeypatch
):
  assert spaces.load('sweeps/cnn.py', config).name == 'cnn'
  with pytest.raises(ValueError, match="No space 'other/cnn.py'"):
    spaces.load('other/cnn.py', config)
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'sweeps').mkdir()
  own = write(tmp_path / 'sweeps', "trial.suggest_int('batch_size', 8, 9)")
  pathlib.Path(own).rename('sweeps/cnn.py')
  assert len(spaces.load('sweeps/cnn.py', config).groups) == 2


def test_every_combination_of_choices_is_a_group_with_its_own_numbers(config):
  def get_space(trial):
    preset = trial.suggest_categorical('model.preset', ['cnn', 'tiny'])
    trial.suggest_int('batch_size', 16, 48, step=16)
    if preset == 'tiny':
      trial.suggest_float('setting.mixup', 0.0, 0.5)
    trial.suggest_float('setting.shift', 0.0, 2.0)

  space = spaces.load(get_space, config)
  found = [
    (*group.choices.values(), 'setting.mixup' in group.distributions)
    for group in space.groups
  ]
  expected = itertools.product(['cnn', 'tiny'], [16, 32, 48])
  assert found == [(*pair, pair[0] == 'tiny') for pair in expected]
  changed = spaces.configure(config, space.groups[-1].choices)
  assert changed.model.preset == 'tiny' and changed.batch_size == 48
  assert config.model.preset == 'cnn' and config.batch_size == 32


def test_a_setting_has_the_values_of_the_config_but_those_that_are_tried(
  config,
):
  setting = spaces.make_setting(config, {'setting.mixup': 0.1, 'batch_size': 8})
  assert setting.mixup == 0.1
  assert setting.learning_rate == config.setting.learning_rate


@pytest.mark.parametrize(
  ('lines', 'words'),
  [
    (['pass'], 'suggests nothing; call, for example, trial.suggest_float'),
    (
      ["trial.suggest_float('learning_rate', 1e-4, 1e-2)"],
      'line 2: .*learning_rate is compiled in, so there must be a list',
    ),
    (
      ["trial.suggest_float('setting.learn_rate', 1e-4, 1e-2)"],
      "no value 'setting.learn_rate' to set. The closest names are"
      ' setting.learning_rate',
    ),
    (
      ["trial.suggest_float('setting.mirror', 0, 1.5)"],
      r'setting.mirror is 0.0, 1.5; expected 0 to 1.0',
    ),
    (
      ["trial.suggest_float('setting.shift', 2, 1)"],
      'line 2: ValueError: .*low.*',
    ),
    (
      ["trial.suggest_categorical('num_folds', [5, 10])"],
      'num_folds cannot be searched, because it decides what is compared',
    ),
    (
      ["trial.suggest_categorical('model.widht', [5, 10])"],
      "The model cnn has no field 'widht' to set",
    ),
    (
      ["trial.suggest_categorical('batch_size', ['small'])"],
      'Bad value for batch_size',
    ),
    (
      ["trial.suggest_categorical('model.x', [[1, 2]])"],
      r'model.x may be \[1, 2\]; expected texts, numbers, .* or tuples of them',
    ),
    (
      ["trial.suggest_categorical('model.x', [(1, (2,))])"],
      r'model.x may be \(1, \(2,\)\); expected texts, numbers',
    ),
    (
      ["trial.suggest_categorical('setting.mixup', [(0.1, 0.2)])"],
      r'setting.mixup may be \(0.1, 0.2\), which is no number',
    ),
    (
      ["trial.suggest_categorical('setting.mixup', ['a'])"],
      "setting.mixup may be 'a', which is no number",
    ),
    (["trial.suggest_int('batch_size', 1, 2000)"], 'more than 1000 comb'),
    (["trial.suggest_uniform('x', 1, 2)"], 'line 2: AttributeError'),
    (
      ["trial.suggest_float('setting.shift', 0, 1)"] * 2,
      'line 3: ValueError: setting.shift is suggested twice',
    ),
    (['exit()'], 'line 2: SystemExit'),
  ],
)
def test_a_space_that_does_not_fit_is_one_message(
  config, lines, words, tmp_path
):
  path = write(tmp_path, *lines)
  with pytest.raises(ValueError, match=words) as error:
    spaces.load(path, config)
  assert path in str(error.value)


def test_a_file_without_a_space_and_an_unknown_name_are_told(config, tmp_path):
  path = tmp_path / 'no.py'
  path.write_text('x = 1\n')
  with pytest.raises(ValueError, match=r'no space: it has no function get_sp'):
    spaces.load(str(path), config)
  with pytest.raises(ValueError, match="No space 'cn': .* artnet, cnn, htnet"):
    spaces.load('cn', config)
