"""The configs that ship: complete, alike, short, and depending on nothing."""

from __future__ import annotations

import ast
import pathlib

import pytest

from mejax import experiment
from mejax.configs import default
from mejax.datasets import protocols
from mejax.experiment import configuration
from mejax.models import originals
from tests.configs import programs
from tests.corpora import htnet_tree

pytestmark = pytest.mark.unoptimised

CONFIGS = pathlib.Path(__file__).parents[2] / 'configs'
NAMES = sorted(
  path.stem for path in CONFIGS.glob('*.py') if path.stem != 'default'
)


def variants(name: str) -> list[str]:
  """Every spec of a config: itself and its variants."""
  tree = ast.parse((CONFIGS / f'{name}.py').read_text())
  found = [
    ast.literal_eval(node.value)
    for node in tree.body
    if isinstance(node, ast.Assign) and node.targets[0].id == 'VARIANTS'
  ]
  return [name, *(f'{name}:{variant}' for variant in found[0])]


SPECS = [spec for name in NAMES for spec in variants(name)]


def shared_values(config) -> dict[str, type]:
  """Type of each value, by dotted name, but those of one model or view."""
  return {
    f'{name}.{key}': type(value[key] if key else value)
    for name, value in config.items()
    for key in (value if hasattr(value, 'keys') else [''])
    if name not in ('model', 'view') or key == 'name'
  }


def test_all_ship_under_their_names():
  assert configuration.list_configs() == NAMES
  assert {'htnet_regions', 'htnet_released', 'ststnet', 'synthetic'} < {*NAMES}


@pytest.mark.parametrize('spec', SPECS)
def test_every_config_builds_locked_with_the_values_of_the_default(spec):
  config = configuration.load_config(spec)
  assert config.is_locked
  assert shared_values(config) == shared_values(default.get_config())


def test_configs_say_what_differs_and_are_short():
  texts = [(CONFIGS / f'{name}.py').read_text() for name in NAMES]
  # About 30 lines each, docstrings with command, time and result included.
  assert sum(text.count('\n') for text in texts) < 600


def test_every_default_has_a_comment_above_it():
  lines = (CONFIGS / 'default.py').read_text().splitlines()
  values = [line for line in lines if line.startswith('  config.')]
  assert len(values) > 15
  for before, line in zip(lines, lines[1:], strict=False):
    if line.startswith('  config.') and line != '  config.seed = 0':
      assert before.startswith('  # '), line


@pytest.mark.parametrize('name', NAMES)
def test_a_config_file_imports_the_defaults_only(name):
  tree = ast.parse((CONFIGS / f'{name}.py').read_text())
  imports = [
    node
    for node in ast.walk(tree)
    if isinstance(node, ast.Import | ast.ImportFrom)
  ]
  expected = 'from mejax.configs import default'
  assert [ast.unparse(node) for node in imports] == [expected]


@pytest.mark.parametrize('name', NAMES)
def test_the_docstring_gives_command_variants_time_and_result(name):
  text = ast.get_docstring(ast.parse((CONFIGS / f'{name}.py').read_text()))
  assert 'mejax ' in text
  assert 'Time: ' in text
  assert 'Expected result: ' in text
  for spec in variants(name)[1:]:
    assert f'  {spec}  ' in text


@pytest.mark.parametrize('name', NAMES)
def test_smoke_is_short(name):
  config = configuration.load_config(f'{name}:smoke')
  assert config.num_epochs <= 2
  assert config.num_seeds == 1


def test_the_published_settings_are_the_published_ones():
  for name in ('htnet_released', 'ststnet'):
    config = configuration.load_config(name)
    assert config.setting.learning_rate == 5e-5
    assert (config.optimizer, config.schedule) == ('adam', 'constant')
    assert (config.batch_size, config.num_epochs) == (256, 800)
    assert config.setting.weight_decay == config.setting.label_smoothing == 0


def test_weights_of_the_originals_are_applied_to_their_own_classes():
  for original in originals.ORIGINALS.values():
    for spec, names in original.published.items():
      config = configuration.load_config(spec)
      known = protocols.PROTOCOLS[config.protocol].classes
      assert sorted(known) == sorted(names)


# The configs that read the flow of the release.
OF_THE_RELEASE = (
  'cnn',
  'htnet_face',
  'htnet_regions',
  'htnet_released',
  'linear',
  'offapexnet',
  'resnet',
  'sssnet',
  'ststnet',
)


@pytest.mark.parametrize('name', OF_THE_RELEASE)
def test_smoke_is_a_program_for_a_tree_in_the_layout_of_the_release(
  name, tmp_path
):
  data_dir = htnet_tree.prepare_tree(tmp_path)
  config = configuration.load_config(f'{name}:smoke')
  # Four people, of whom one has two clips, and three classes.
  shape = (4, config.num_epochs // config.eval_every, 2, 3)
  assert programs.trace(config, data_dir).shape == shape


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=[pytest.mark.slow] * (name != 'linear'))
    for name in OF_THE_RELEASE
  ],
)
def test_smoke_runs_on_a_tree_in_the_layout_of_the_release(name, tmp_path):
  htnet_tree.prepare_tree(tmp_path)
  config = configuration.load_config(f'{name}:smoke')
  metrics = experiment.train(
    config, data_dir=tmp_path / 'data', workdir=tmp_path / 'run'
  )
  assert metrics['selection']['last']['full']['n'] == len(htnet_tree.ROWS)
