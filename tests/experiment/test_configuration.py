"""Finding a config, changing values of it, and what a slip is answered."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

import ml_collections
import pytest

from mejax.experiment import configuration
from mejax.experiment import resolve
from mejax.models import convolution
from tests import child
from tests import own_parts

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


def test_a_number_of_a_setting_is_set_and_a_slip_is_told():
  config = configuration.load_config('ststnet', ['setting.mixup=0.4'])
  assert config.setting.mixup == 0.4
  assert config.setting.ema == 0 and config.is_locked
  configuration.change(config, {'setting.ema': 0.9})
  assert config.setting.ema == 0.9
  with pytest.raises(ValueError, match='setting.mixup'):
    configuration.load_config('ststnet', ['setting.mixupp=0.4'])
  for override, words in (
    ('setting.ema=1', 'setting.ema is 1.0; expected 0 to 0.9999'),
    ('grid.mirror=0,2', 'setting.mirror is 0.0, 2.0; expected 0 to 1'),
    ('grid.mirror=0,half', "grid.mirror holds 'half'"),
  ):
    with pytest.raises(ValueError, match=words):
      configuration.load_config('ststnet', [override])


@pytest.mark.parametrize(
  ('override', 'values'),
  [
    ('1e-3,3e-4', (1e-3, 3e-4)),
    ('1e-3, 3e-4', (1e-3, 3e-4)),
    ('(1e-3, 3e-4)', (1e-3, 3e-4)),
    ('1e-3', (1e-3,)),
    ('1e-3,', (1e-3,)),
    ('', ()),
  ],
)
def test_a_number_is_swept_from_the_command_line(override, values):
  overrides = [f'--config.grid.learning_rate={override}']
  config = configuration.load_config('ststnet', overrides)
  assert config.grid.learning_rate == values


def test_a_blank_behind_a_comma_is_no_error():
  config = configuration.load_config('ststnet', ['selection=last, inner'])
  assert config.selection == ('last', 'inner')


@pytest.mark.parametrize(
  ('overrides', 'section', 'options'),
  [
    (['model.name=resnet'], 'model', {'name': 'resnet'}),
    # In whatever order they come.
    (
      ['model.preset=tiny', 'model.name=resnet'],
      'model',
      {'name': 'resnet', 'preset': 'tiny'},
    ),
    (
      ['view.name=full_flow', 'view.normalise=centre'],
      'view',
      {'name': 'full_flow', 'normalise': 'centre'},
    ),
    (
      ['view.name=tests.own_parts:view', 'view.scale=0.5'],
      'view',
      {'name': 'tests.own_parts:view', 'scale': 0.5},
    ),
    # The same name keeps its options.
    (
      ['view.name=region_mosaic'],
      'view',
      {
        'name': 'region_mosaic',
        'mode': 'landmarks',
        'normalise': 'centre_std',
      },
    ),
  ],
)
def test_another_view_or_model_drops_the_options_of_the_old_one(
  overrides, section, options
):
  config = configuration.load_config('htnet_regions', overrides)
  assert config[section].to_dict() == options and config.is_locked
  changed = configuration.load_config('htnet_regions')
  values = dict(each.split('=') for each in overrides)
  values = {key: options[key.partition('.')[2]] for key in values}
  configuration.change(changed, values)
  assert changed == config


def test_another_model_trains_with_its_own_defaults():
  config = configuration.load_config('htnet_regions', ['model.name=resnet'])
  assert type(resolve.make_model(config, 3)).__name__ == 'ResNet'


def test_an_option_that_the_view_does_not_have_names_those_it_has():
  for slip in ('view.modee=released', 'view.stored_levels=1'):
    with pytest.raises(ValueError, match='region_mosaic has no field') as error:
      configuration.load_config('htnet_regions', [slip])
    assert 'Its fields: mode, level, channels, normalise' in str(error.value)


def test_the_list_of_defaults_is_no_experiment():
  assert 'default' not in configuration.list_configs()
  for spec in ('default', 'default:smoke', str(configuration.DEFAULT)):
    with pytest.raises(ValueError, match='is no experiment.*htnet_regions'):
      configuration.load_config(spec)


@pytest.mark.parametrize(
  ('spec', 'override', 'value'),
  [
    ('htnet_regions', 'dim=48', 48),
    ('htnet_regions', 'depths=1,3', (1, 3)),
    ('synthetic', 'drop_path=1e-1', 0.1),
    ('mmnet_synthetic', 'antialias=true', True),
    ('mmnet_synthetic', 'widths=(8, 8, 16, 16)', (8, 8, 16, 16)),
    ('artnet', 'levels=1,2.5', (1.0, 2.5)),
    ('ststnet', 'branches=2,2', (2, 2)),
    ('ststnet', 'dtype=bfloat16', 'bfloat16'),
    ('htnet_regions', 'param_dtype=float64', 'float64'),
    ('synthetic', 'conv=mejax.models.convolution:conv', convolution.conv),
    (
      'synthetic',
      'attention_fn=tests.own_parts:double_softmax',
      own_parts.double_softmax,
    ),
  ],
)
def test_fields_of_the_model_need_not_be_listed_to_be_set(
  spec, override, value
):
  name = override.partition('=')[0]
  assert name not in configuration.load_config(spec).model
  config = configuration.load_config(spec, [f'--config.model.{override}'])
  assert config.is_locked
  model = resolve.make_model(config, 3)
  assert getattr(model, name) == value
  assert type(getattr(model, name)) is type(value)
  assert resolve.make_model(as_kept(config), 3) == model


def as_kept(config) -> ml_collections.ConfigDict:
  """A config as it comes back from the folder of a run."""
  return ml_collections.ConfigDict(json.loads(config.to_json()))


def test_a_field_can_be_set_with_another_preset_and_without_one():
  overrides = ['model.dim=24', 'model.preset=regions_small']
  config = configuration.load_config('htnet_regions', overrides)
  model = resolve.make_model(config, 3)
  assert (model.dim, model.depths, model.num_classes) == (24, (1, 1), 3)
  with config.unlocked():
    config.model = {'name': 'htnet'}
  changes = {'model.preset': 'tiny', 'model.heads': 1}
  configuration.change(config, changes)
  model = resolve.make_model(config, 3)
  assert (model.dim, model.heads) == (8, 1)


@pytest.mark.parametrize(
  ('override', 'value'),
  [('scale=0.5', 0.5), ('limit=0.5', 0.5), ('widths=4,2', (4, 2))],
)
def test_fields_of_a_model_of_ones_own_need_not_be_listed(own, override, value):
  config = configuration.load_config(own)
  with config.unlocked():
    config.model = {'name': 'tests.own_parts:Scaled'}
  config = configuration.override(config, [f'model.{override}'])
  name = override.partition('=')[0]
  for each in (config, as_kept(config)):
    assert getattr(resolve.make_model(each, 3), name) == value


def test_a_field_that_the_model_does_not_have_names_those_it_has():
  with pytest.raises(ValueError, match="htnet has no field 'dimm'") as error:
    configuration.load_config('htnet_regions', ['model.dimm=48'])
  text = str(error.value)
  assert "Did you mean 'dim'?" in text
  assert all(name in text for name in ('patch_size', 'depths', 'conv'))
  with pytest.raises(ValueError, match='The data decide num_classes'):
    configuration.load_config('htnet_regions', ['model.num_classes=4'])
  with pytest.raises(ValueError, match='model.dim=wide: invalid literal'):
    configuration.load_config('htnet_regions', ['model.dim=wide'])


def test_only_a_field_that_is_not_listed_imports_jax_and_starts_nothing():
  program = """
import sys
from mejax.experiment import configuration
configuration.load_config('htnet_regions', ['model.dropout=0.1'])
assert 'jax' not in sys.modules
configuration.load_config('htnet_regions', ['model.dim=48'])
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
"""
  subprocess.run(
    [sys.executable, '-c', program], check=True, env=child.environment()
  )


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
def test_an_unknown_key_names_the_five_closest(own, slip):
  words = 'The closest names are (section.rate, .*)[.]$'
  with pytest.raises(ValueError, match=words) as error:
    configuration.load_config(own, [f'--config.{slip}=1'])
  closest = re.search(words, str(error.value)).group(1).split(', ')
  assert len(closest) == 5


def test_a_plain_value_is_closer_than_a_list_of_values():
  with pytest.raises(ValueError, match='are setting.learning_rate, grid.lear'):
    configuration.load_config('ststnet', ['learning_rate=1'])


@pytest.mark.parametrize(
  ('override', 'words'),
  [
    ('section={}', "no value 'section'"),
    ('arg', 'write it as --config.arg=VALUE'),
    ('section.rate=fast', 'section.rate=fast'),
    ('section.rate.x=1', "no value 'section.rate.x'"),
    ('model.dimm=1', "htnet has no field 'dimm'"),
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


_BEGIN = """
from mejax.configs import default
def get_config():
  config = default.get_config()
"""


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('def get_config(:', 'line 1: SyntaxError'),
    ('import no_such_package', 'ModuleNotFoundError: .*no_such_package'),
    ('import sys\nsys.exit(0)', 'SystemExit: 0'),
    ('def get_config():\n  raise RuntimeError("boom")', 'line 2: Runt.*: boom'),
    (f'{_BEGIN}  config.num_epochs = "ten"\n', 'line 5: TypeError: .*num_ep'),
    (f'{_BEGIN}  config.grid.mirror = .5\n', 'line 5: TypeError: .*mirror'),
  ],
)
def test_a_config_whose_code_fails_is_told_by_file_and_line(
  tmp_path, text, words
):
  path = tmp_path / 'mine.py'
  path.write_text(text)
  with pytest.raises(ValueError, match=f'config {path} fails: .*{words}'):
    configuration.load_config(str(path))


def test_what_a_config_says_to_its_user_is_said_as_it_is(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text('def get_config():\n  raise ValueError("only a or b")')
  with pytest.raises(ValueError, match='^only a or b$'):
    configuration.load_config(str(path))


@pytest.mark.parametrize('value', ['None', '"cnn"'])
def test_a_section_must_be_a_section(tmp_path, value):
  path = tmp_path / 'mine.py'
  path.write_text(
    f'{_BEGIN}  with config.unlocked():\n    del config.view\n'
    f'    config.view = {value}\n  return config\n'
  )
  with pytest.raises(ValueError, match='^view is .*; expected a section'):
    configuration.load_config(str(path))


def test_the_json_of_a_run_is_its_config_and_may_be_changed(tmp_path):
  config = configuration.load_config('htnet_regions:smoke')
  path = tmp_path / 'config.json'
  path.write_text(config.to_json())
  assert configuration.load_config(str(path)).to_dict() == config.to_dict()
  changed = configuration.load_config(
    str(path), ['--config.selection=last', 'num_seeds=7']
  )
  assert (changed.selection, changed.num_seeds) == (('last',), 7)


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    ({'foo': 1}, "no config has the key 'foo'"),
    ({'setting.mirror': 0.5}, "no config has the key 'setting.mirror'"),
    ({'setting': []}, r'config.setting is \[\]; expected an object'),
    ({'model': None}, 'config.model is None; expected a text or an object'),
    ({'model': 'x'}, "its model is 'x', which is not the name of one"),
    ({'view': {}}, 'its view is {}, which is not the name'),
    ({'view': {'name': {}}}, 'config.view.name is {}; expected a text'),
    ({'dataset': 5}, 'config.dataset is 5; expected a text'),
    ({'protocol': None}, 'config.protocol is None; expected a text or an obj'),
  ],
)
def test_the_json_of_a_run_that_is_no_config_is_named(tmp_path, change, said):
  config = configuration.load_config('htnet_regions:smoke')
  path = tmp_path / 'config.json'
  path.write_text(json.dumps(json.loads(config.to_json()) | change))
  with pytest.raises(ValueError, match=f'config.json is damaged .{said}'):
    configuration.load_config(str(path))


def test_code_that_only_the_json_of_a_run_names_is_refused(tmp_path):
  config = configuration.load_config('htnet_regions:smoke')
  config.model.attention_fn = 'tests.own_parts:double_softmax'
  path = tmp_path / 'config.json'
  path.write_text(config.to_json())
  with pytest.raises(
    ValueError, match='names code.*double_softmax.*name it your'
  ) as error:
    configuration.load_config(str(path))
  given = '--config.model.attention_fn=tests.own_parts:double_softmax'
  assert f'add {given}.' in str(error.value)
  again = configuration.load_config(str(path), [given])
  assert again.to_dict() == config.to_dict()
