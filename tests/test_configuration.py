"""Finding a config, changing values of it, and what a slip is answered."""

from __future__ import annotations

import dataclasses
import pathlib

import pytest

from mejax import configuration
from mejax.training import sample
from mejax.training import trial

OWN = """
import ml_collections

def get_config(arg='plain'):
  config = ml_collections.ConfigDict({'arg': arg, 'depths': (1, 2)})
  config.section = ml_collections.ConfigDict({'rate': 0.5, 'on': True})
  return config
"""


@pytest.fixture
def own(tmp_path: pathlib.Path) -> str:
  path = tmp_path / 'own.py'
  path.write_text(OWN)
  return str(path)


def test_a_shipped_config_is_found_from_anywhere(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert configuration.load_config('ststnet').model.name == 'ststnet'


def test_a_path_and_its_argument_reach_get_config(own):
  assert configuration.load_config(own).arg == 'plain'
  assert configuration.load_config(f'{own}:wide').arg == 'wide'


def test_a_relative_path_counts_from_the_current_folder(own, monkeypatch):
  monkeypatch.chdir(pathlib.Path(own).parent)
  assert configuration.load_config('own.py').arg == 'plain'


@pytest.mark.parametrize(
  ('override', 'key', 'value'),
  [
    ('--config.section.rate=1', 'section.rate', 1.0),
    ('section.rate=3e-4', 'section.rate', 3e-4),
    ('section.on=false', 'section.on', False),
    ('arg=a b=c', 'arg', 'a b=c'),
    ('depths=(3, 4, 5)', 'depths', (3, 4, 5)),
    ('depths=3,4', 'depths', (3, 4)),
    ('depths=last,inner', 'depths', ('last', 'inner')),
    ('depths=()', 'depths', ()),
  ],
)
def test_an_override_keeps_the_type_of_the_value(own, override, key, value):
  config = configuration.load_config(own, [override])
  for part in key.split('.'):
    config = config[part]
  assert config == value
  assert type(config) is type(value)


def test_numbers_of_a_setting_need_not_be_listed_to_be_set():
  config = configuration.load_config('ststnet', ['setting.mixup=0.4'])
  assert config.setting.mixup == 0.4
  assert 'ema' not in config.setting and config.is_locked
  configuration.change(config, {'setting.ema': 0.9})
  assert config.setting.ema == 0.9
  with pytest.raises(ValueError, match='setting.mixup'):
    configuration.load_config('ststnet', ['setting.mixupp=0.4'])


def test_what_need_not_be_listed_is_what_augments_and_regularises():
  fields = [field.name for field in dataclasses.fields(trial.Setting)]
  own = fields[fields.index('jitter') :]
  assert list(configuration.OFF_UNLESS_SET) == own
  assert set(sample.AUGMENTATIONS) <= set(own)
  assert all(getattr(trial.Setting(), name) == 0 for name in own)


def test_the_last_of_two_overrides_wins(own):
  config = configuration.load_config(own, ['arg=first', 'arg=second'])
  assert config.arg == 'second'


def test_overrides_do_not_reach_the_next_load(own):
  configuration.load_config(own, ['section.rate=7'])
  assert configuration.load_config(own).section.rate == 0.5


@pytest.mark.parametrize('overrides', [[], ['arg=x']])
def test_the_config_is_locked_in_every_section(own, overrides):
  config = configuration.load_config(own, overrides)
  with pytest.raises(AttributeError):
    config.typo = 1
  with pytest.raises(AttributeError):
    config.section.typo = 1


@pytest.mark.parametrize('slip', ['rate', 'section.rat', 'sction.rate'])
def test_an_unknown_key_names_the_closest_first_and_all(own, slip):
  with pytest.raises(ValueError, match='closest first: section.rate') as error:
    configuration.load_config(own, [f'--config.{slip}=1'])
  for known in ('arg', 'depths', 'section.rate', 'section.on'):
    assert known in str(error.value)


@pytest.mark.parametrize(
  ('override', 'words'),
  [
    ('section={}', "no value 'section'"),
    ('arg', 'write it as --config.arg=VALUE'),
    ('section.rate=fast', 'section.rate=fast'),
  ],
)
def test_an_override_that_cannot_be_taken_says_why(own, override, words):
  with pytest.raises(ValueError, match=words):
    configuration.load_config(own, [override])


def test_an_unknown_config_lists_those_that_ship():
  with pytest.raises(ValueError, match='which are htnet_regions') as error:
    configuration.load_config('htnet_region')
  for name in configuration.list_configs():
    assert name in str(error.value)


def test_an_unknown_variant_lists_those_there_are():
  with pytest.raises(ValueError, match='htnet_regions:small'):
    configuration.load_config('htnet_regions:smal')


@pytest.mark.parametrize(
  ('name', 'text', 'words'),
  [
    ('none.py', 'x = 1', 'no function get_config'),
    ('other.py', 'get_config = dict', 'returned a dict'),
    ('sheet.csv', 'a,b', 'not a Python file'),
  ],
)
def test_a_file_that_is_no_config_says_so(tmp_path, name, text, words):
  (tmp_path / name).write_text(text)
  with pytest.raises(ValueError, match=words):
    configuration.load_config(str(tmp_path / name))
