"""The configs that ship: complete, alike, and depending on nothing."""

from __future__ import annotations

import ast
import dataclasses
import pathlib

import pytest

from mejax import experiment
from mejax.datasets import prepare
from mejax.datasets import protocols
from mejax.experiment import configuration
from mejax.models import originals
from mejax.training import trial
from tests.corpora import htnet_tree

CONFIGS = pathlib.Path(__file__).parents[2] / 'configs'
NAMES = sorted(path.stem for path in CONFIGS.glob('*.py'))


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


def shared_keys(config) -> set[str]:
  """Dotted names of all values but those that a model or a view has alone."""
  return {
    f'{name}.{key}'
    for name, value in config.items()
    for key in (value if hasattr(value, 'keys') else [''])
    if name not in ('model', 'view') or key == 'name'
  }


def test_all_ship_under_their_names():
  assert configuration.list_configs() == NAMES
  assert {'htnet_regions', 'htnet_released', 'ststnet', 'synthetic'} < {*NAMES}


@pytest.mark.parametrize('spec', SPECS)
def test_every_config_builds_locked_and_with_the_same_fields(spec):
  config = configuration.load_config(spec)
  assert config.is_locked
  reference = configuration.load_config('synthetic')
  numbers = {f'setting.{name}' for name in dataclasses.asdict(trial.Setting())}
  # A config lists the numbers of a setting that it uses.
  assert shared_keys(config) - numbers == shared_keys(reference) - numbers


@pytest.mark.parametrize('name', NAMES)
def test_a_config_file_imports_ml_collections_only(name):
  tree = ast.parse((CONFIGS / f'{name}.py').read_text())
  imports = [
    node
    for node in ast.walk(tree)
    if isinstance(node, ast.Import | ast.ImportFrom)
  ]
  assert [ast.unparse(node) for node in imports] == ['import ml_collections']


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


@pytest.mark.parametrize(
  'name',
  [
    'htnet_regions',
    'htnet_released',
    'linear',
    'offapexnet',
    'resnet',
    'sssnet',
    'ststnet',
  ],
)
def test_smoke_runs_on_a_tree_in_the_layout_of_the_release(name, tmp_path):
  htnet_tree.write_tree(tmp_path / 'clone')
  prepare.prepare(
    'htnet_release', source=tmp_path / 'clone', data_dir=tmp_path / 'data'
  )
  config = configuration.load_config(f'{name}:smoke')
  metrics = experiment.train(
    config, data_dir=tmp_path / 'data', workdir=tmp_path / 'run'
  )
  assert metrics['selection']['last']['full']['n'] == len(htnet_tree.ROWS)
