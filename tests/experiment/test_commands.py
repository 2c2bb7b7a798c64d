"""The commands of a report make data and run again as they are pasted."""

from __future__ import annotations

import json
import shlex

import pytest

from mejax.experiment import commands
from mejax.experiment import configuration

OWN = 'tests.own_parts:double_softmax'


def _of(config, metadata=None):
  return commands.of_run(
    json.loads(config.to_json()),
    metadata or {},
    config_path='my run/config.json',
    workdir='my run-again',
    data_dir='my data',
  )


def test_the_data_folder_is_that_of_the_run_and_what_is_unknown_is_said():
  said, prepare, train = _of(configuration.load_config('synthetic'))
  assert said == '# Put your own in the place of words that begin with YOUR_.'
  assert shlex.split(prepare) == [
    'mejax', 'prepare', 'synthetic', '--source', 'YOUR_SYNTHETIC',
    '--data_dir', 'my data',
  ]  # fmt: skip
  assert shlex.split(train) == [
    'mejax', 'train', '--config', 'my run/config.json',
    '--data_dir', 'my data', '--workdir', 'my run-again',
  ]  # fmt: skip


def test_a_dataset_of_several_corpora_is_prepared_from_all_of_them():
  config = configuration.load_config('synthetic', ['dataset=mine'])
  metadata = {'corpora': ['casme2', 'samm; ls']}
  assert shlex.split(_of(config, metadata)[1])[:8] == [
    'mejax', 'prepare', 'casme2', 'samm; ls',
    '--source', 'YOUR_CASME2', 'YOUR_SAMM; LS', '--name',
  ]  # fmt: skip


@pytest.mark.parametrize(
  'given', [f'model.attention_fn={OWN}', f'selection=last,{OWN}']
)
def test_the_command_of_a_run_with_own_code_names_it_again(tmp_path, given):
  config = configuration.load_config('synthetic', [given])
  path = tmp_path / 'config.json'
  path.write_text(config.to_json())
  *_, train = _of(config)
  flags = [word for word in shlex.split(train) if '--config.' in word]
  assert flags == [f'--config.{given}']
  again = configuration.load_config(str(path), flags)
  assert again.to_dict() == config.to_dict()


def test_what_was_handed_over_in_python_is_said_in_place_of_a_command():
  config = json.loads(configuration.load_config('synthetic').to_json())
  config['model'] = {'module': 'mine:Net 12ab'}
  *_, last = commands.of_run(config, {}, config_path='c', workdir='w')
  assert last.startswith('# Its model came from Python: call mejax.experiment.')
  assert not commands.of_run({'dataset': ''}, {}, config_path='', workdir='')


def test_a_run_on_generated_faces_is_pretrained_again():
  config = configuration.load_config('generated')
  assert _of(config, {'generator': {}}) == [
    "mejax pretrain --config 'my run/config.json' --workdir 'my run-again'"
  ]


def _of_evaluation(config, reading, metadata, options=()):
  config = json.loads(config.to_json())
  return commands.of_evaluation(
    config,
    metadata,
    {'dataset': config['dataset'], 'protocol': config['protocol']} | reading,
    {'corpora': ['samm']},
    options=options,
    config_path='results/x/config.json',
    workdir='runs/x',
  )


def test_an_evaluation_on_other_data_prepares_both_and_names_what_it_read():
  config = configuration.load_config('cnn')
  other = {'dataset': 'mine', 'view': {'normalise': 'none'}}
  said, *lines = _of_evaluation(config, other, {}, ['--prior', 'em'])
  assert said.startswith('# Put your own')
  one, train, two, evaluate = map(shlex.split, lines)
  assert [each[1] for each in (one, train, two)] == [
    'prepare', 'train', 'prepare',
  ]  # fmt: skip
  assert one[2] == 'htnet_release' and two[2] == 'samm'
  assert evaluate[1:] == [
    'evaluate', 'runs/x', '--data_dir', 'data', '--prior', 'em',
    '--config.dataset=mine', '--config.view.normalise=none',
  ]  # fmt: skip


def test_an_evaluation_names_own_code_once_and_tells_of_arrays_in_python():
  config = configuration.load_config('cnn')
  own = {'protocol': OWN}
  evaluate = shlex.split(_of_evaluation(config, own, {})[-1])
  assert evaluate.count(f'--config.protocol={OWN}') == 1
  with config.unlocked():
    config.dataset = ''
  first, second, *_ = _of_evaluation(config, {'dataset': 'mine'}, {})
  assert 'YOUR_' in first and 'on arrays in Python' in second


def test_the_flags_of_an_evaluation_give_the_view_that_it_read():
  config = configuration.load_config('cnn')
  view = json.loads(configuration.load_config('htnet_regions').to_json())[
    'view'
  ]
  words = shlex.split(_of_evaluation(config, {'view': view}, {})[-1])
  flags = [w.removeprefix('--config.') for w in words if '--config.' in w]
  assert flags[0] == 'view.name=region_mosaic'
  found = configuration.load_config('cnn', flags)
  assert json.loads(found.to_json())['view'] == view
