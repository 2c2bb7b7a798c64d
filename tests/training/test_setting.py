"""Each number of a setting stands once, and all else follows from that."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from mejax.configs import default
from mejax.experiment import configuration
from mejax.training import augment
from mejax.training import augment_frames
from mejax.training import setting as setting_lib
from mejax.training import trial
from tests import child

NAMES = list(setting_lib.NUMBERS)


@pytest.mark.parametrize('name', NAMES)
def test_a_number_has_its_place_everywhere(name):
  number = setting_lib.NUMBERS[name]
  assert getattr(setting_lib.Setting(), name) == number.default
  config = default.get_config()
  assert config.setting[name] == number.default
  assert type(config.setting[name]) is float
  assert config.grid[name] == ()
  assert f'\n  {name} ' in f'\n{setting_lib.describe_numbers()}'
  assert 0 <= number.default <= number.largest
  assert number.meaning and '\n' not in number.meaning


@pytest.mark.parametrize('name', NAMES)
def test_a_number_can_be_set_and_swept_from_the_command_line(name):
  overrides = [f'--config.setting.{name}=1e-3', f'--config.grid.{name}=0,0.5']
  config = configuration.load_config('ststnet', overrides)
  assert config.setting[name] == 1e-3
  settings = setting_lib.combinations(config.setting, config.grid)
  assert [getattr(setting, name) for setting in settings] == [0, 0.5]
  others = [{**dataclasses.asdict(setting), name: None} for setting in settings]
  assert others[0] == others[1] == {**config.setting, name: None}


@pytest.mark.parametrize('name', NAMES)
def test_a_number_out_of_its_bounds_is_refused(name):
  largest = setting_lib.NUMBERS[name].largest
  for value in (-0.1, float('nan'), *([largest + 0.1] * (largest < 1e9))):
    settings = [setting_lib.Setting(), setting_lib.Setting(**{name: value})]
    with pytest.raises(ValueError, match=f'setting.{name} is .*expected 0 to'):
      setting_lib.in_use(settings)


@pytest.mark.parametrize('name', setting_lib.STREAMS)
def test_an_augmentation_is_found_by_its_name_and_is_off_by_default(name):
  homes = [home for home in (augment, augment_frames) if hasattr(home, name)]
  assert len(homes) == 1
  assert setting_lib.NUMBERS[name].default == 0


def test_streams_are_those_that_trainings_have_always_drawn_from():
  assert setting_lib.STREAMS == {
    'jitter': 8,
    'mirror': 1,
    'rotation': 9,
    'shift': 2,
    'scale_jitter': 3,
    'region_dropout': 4,
    'level_dropout': 5,
    'balance': 6,
    'mixup': 7,
  }
  # The order in which they act.
  assert list(setting_lib.STREAMS)[:4] == [
    'jitter',
    'mirror',
    'rotation',
    'shift',
  ]


def test_a_grid_is_every_combination_and_the_last_number_varies_fastest():
  settings = setting_lib.combinations(
    {'b1': 0.5, 'mirror': 0.25},
    {'learning_rate': (1e-3, 1e-4), 'eps': (), 'mirror': [0, 1]},
  )
  assert [(s.learning_rate, s.mirror) for s in settings] == [
    (1e-3, 0.0),
    (1e-3, 1.0),
    (1e-4, 0.0),
    (1e-4, 1.0),
  ]
  assert {(s.b1, s.eps) for s in settings} == {(0.5, 1e-8)}
  assert type(settings[0].mirror) is float
  assert setting_lib.combinations({}, {}) == [setting_lib.Setting()]


@pytest.mark.parametrize(
  ('setting', 'grid', 'words'),
  [
    ({'learning_rat': 1.0}, {}, 'setting has learning_rat.*learning_rate'),
    ({}, {'mixupp': (1.0,)}, 'grid has mixupp'),
    ({'mirror': 'half'}, {}, "setting.mirror holds 'half'"),
    ({}, {'mirror': (0, 'half')}, "grid.mirror holds 'half'"),
    ({}, {'mirror': (True,)}, 'grid.mirror holds True'),
  ],
)
def test_what_is_no_number_of_a_setting_is_refused(setting, grid, words):
  with pytest.raises(ValueError, match=words):
    setting_lib.combinations(setting, grid)


def test_in_use_is_what_is_not_0_in_every_setting():
  settings = [setting_lib.Setting(mirror=0.5), setting_lib.Setting(ema=0.9)]
  always = {'learning_rate', 'b1', 'b2', 'eps'}
  assert setting_lib.in_use(settings) == {*always, 'mirror', 'ema'}


def test_settings_are_pytrees_of_their_numbers():
  leaves, tree = jax.tree.flatten(trial.Setting(mixup=0.4))
  assert len(leaves) == len(NAMES) and leaves[NAMES.index('mixup')] == 0.4
  assert jax.tree.unflatten(tree, leaves) == setting_lib.Setting(mixup=0.4)
  doubled = jax.jit(lambda s: jax.tree.map(lambda x: 2 * x, s))(
    setting_lib.Setting(mixup=jnp.float32(0.4))
  )
  assert float(doubled.mixup) == pytest.approx(0.8)


def test_the_table_is_read_without_jax():
  program = """
import sys
from mejax.configs import default
from mejax.training import setting
assert default.get_config().setting.mirror == setting.Setting().mirror
assert 'jax' not in sys.modules
"""
  subprocess.run(
    [sys.executable, '-c', program], check=True, env=child.environment()
  )
