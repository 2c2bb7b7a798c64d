"""Folders of converted models."""

from __future__ import annotations

import json
import pathlib

import jax
import numpy as np
import pytest

from mejax import cli
from mejax import torch_weights
from mejax.experiment import applying
from mejax.experiment import conversion
from mejax.experiment.packs import saved
from tests.models import test_convert
from tests.models import test_htnet_golden as golden_htnet


@pytest.fixture
def files(tmp_path, monkeypatch):
  """Two files that hold two STSTNets, without PyTorch."""
  states = {}
  for number, name in enumerate(('fold_s01', 'fold_s02')):
    state = test_convert.ststnet_state()
    state['fc.bias'] += number
    path = tmp_path / f'{name}.pth'
    path.write_text(name)
    states[path] = state
  monkeypatch.setattr(
    torch_weights, 'read_state_dict', lambda path: states[pathlib.Path(path)]
  )
  return list(states)


def test_a_lone_file_is_one_model_for_all(files, tmp_path, capsys):
  folder = conversion.convert('ststnet', files[:1], tmp_path / 'out')
  assert 'num_batches_tracked' in capsys.readouterr().out
  found = saved.read_models(folder)
  assert found.names is None
  assert found.classes == ('negative', 'positive', 'surprise')
  assert found.config.model.name == 'ststnet'
  state = test_convert.ststnet_state()
  bias = found.load(0, 'anybody')['params']['head']['bias']
  np.testing.assert_array_equal(bias, state['fc.bias'])
  content = json.loads((folder / 'model.json').read_text())
  assert content['source']['file'] == 'fold_s01.pth'
  assert len(content['source']['sha256']) == 64


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    ({'fields': [1]}, r'damaged .fields is \[1\]; expected an object'),
    ({'preset': 5}, 'damaged .preset is 5; expected a text'),
    ({'classes': 5}, 'damaged .classes is 5; expected a list'),
    ({'classes': [1, 2, 3]}, r'damaged .classes\[0\] is 1'),
    ({'config': None}, 'damaged .config is None'),
    ({'model': None}, 'damaged .model is None'),
    ({'schema_version': 'x'}, 'model.json'),
    ({'model': 'mejax.models.originals:ORIGINALS'}, 'expected a class or func'),
  ],
)
def test_an_odd_description_of_a_model_is_named(files, tmp_path, change, said):
  folder = conversion.convert('ststnet', files[:1], tmp_path / 'out')
  path = folder / 'model.json'
  content = json.loads(path.read_text())
  path.write_text(json.dumps(content | change))
  with pytest.raises(ValueError, match=said):
    saved.read_models(folder)
  for text in ('{', '[1]', '', '{"a":' * 9999 + '1' + '}' * 9999):
    path.write_text(text)
    with pytest.raises(ValueError, match='model.json is damaged'):
      saved.read_models(folder)


def test_several_files_are_a_model_for_each_subject(files, tmp_path):
  found = saved.read_models(
    conversion.convert('ststnet', files, tmp_path / 'out')
  )
  assert found.names == ('fold_s01', 'fold_s02')
  first, second = (
    found.load(0, name)['params']['head']['bias'] for name in found.names
  )
  np.testing.assert_allclose(second - first, 1, rtol=1e-6)


def test_a_second_conversion_is_done_already_and_another_refused(
  files, tmp_path, capsys, monkeypatch
):
  folder = conversion.convert('ststnet', files[:1], tmp_path / 'out')
  monkeypatch.setattr(torch_weights, 'read_state_dict', None)
  assert conversion.convert('ststnet', files[:1], folder) == folder
  assert 'already' in capsys.readouterr().out
  for other in (files[1:], files):
    with pytest.raises(ValueError, match='something else'):
      conversion.convert('ststnet', other, folder)
  (tmp_path / 'notes').mkdir()
  with pytest.raises(ValueError, match='something else'):
    conversion.convert('ststnet', files, tmp_path / 'notes')


def test_a_conversion_that_fails_leaves_nothing(files, tmp_path, monkeypatch):
  whole = torch_weights.read_state_dict

  def broken(path):
    if path == files[1]:
      raise ValueError('broken')
    return whole(path)

  monkeypatch.setattr(torch_weights, 'read_state_dict', broken)
  with pytest.raises(ValueError, match='broken'):
    conversion.convert('ststnet', files, tmp_path / 'out')
  assert not (tmp_path / 'out').exists()
  monkeypatch.setattr(torch_weights, 'read_state_dict', whole)
  conversion.convert('ststnet', files, tmp_path / 'out')
  assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
    'fold_s01',
    'fold_s02',
  ]


def test_two_files_of_one_name_are_an_error(files, tmp_path):
  (tmp_path / 'more').mkdir()
  with pytest.raises(ValueError, match='several files are named fold_s01'):
    conversion.convert(
      'ststnet', [files[0], tmp_path / 'more/fold_s01.pth'], tmp_path / 'out'
    )


@pytest.mark.parametrize(
  'names',
  [
    ('s01', '006', 'sub01'),
    ('fold_s01', 'fold_006', 'fold_sub01'),
    ('smic_s01', 'samm_006', 'casme2_sub01'),
    ('smic/s01', 'samm/006', 'casme2/sub01'),
    ('best-s01', 'best-006', 'best-sub01'),
  ],
)
def test_a_name_that_is_or_ends_with_the_subject_is_its_model(names):
  groups = ('smic/s01', 'samm/006', 'casme2/sub01')
  strangers = ('notes1', 'x1006')
  assert applying.match(groups, names + strangers) == dict(
    zip(groups, names, strict=True)
  )


def test_databases_tell_subjects_of_one_name_apart():
  groups = ('casme2/sub01', 'casme/sub01')
  names = ('casme_sub01', 'casme2_sub01')
  assert applying.match(groups, names) == dict(
    zip(groups, reversed(names), strict=True)
  )
  with pytest.raises(ValueError, match='casme2/sub01, casme/sub01: the same'):
    applying.match(groups, ['sub01'])


def test_all_groups_without_one_model_are_listed_together():
  with pytest.raises(ValueError) as error:
    applying.match(['smic/s01', 'smic/s02'], ['a_s01', 'b_s01'])
  assert 'smic/s01: a_s01, b_s01' in str(error.value)
  assert 'smic/s02: none' in str(error.value)


def test_convert_from_the_command_line_gives_the_originals_predictions(
  tmp_path, capsys
):
  torch = pytest.importorskip('torch', reason='reading .pth needs PyTorch')
  fields = golden_htnet.SMALL['B'][1]
  state = golden_htnet.hash_weights(golden_htnet.state_shapes(**fields))
  test_convert.saved(torch, state, tmp_path / 'model.pth')
  arguments = ['convert', 'htnet', str(tmp_path / 'model.pth')]
  arguments += ['--out', str(tmp_path / 'out')]
  assert cli.main(arguments) == 2
  assert 'Name the preset' in capsys.readouterr().err
  for key, value in fields.items():
    arguments += ['--field', f'{key}={value}']
  assert cli.main(arguments) == 0
  found = saved.read_models(tmp_path / 'out')
  apply = jax.jit(found.model.apply, static_argnames='train')
  logits, _ = apply(
    found.load(0, ''), golden_htnet.synthetic_samples(), train=False
  )
  np.testing.assert_allclose(logits, golden_htnet.PINNED['B'], atol=5e-6)


def test_unknown_originals_and_fields_are_errors(files, tmp_path, capsys):
  with pytest.raises(ValueError, match='htnet, mmnet, ststnet can'):
    conversion.convert('resnet', files, tmp_path / 'out')
  with pytest.raises(SystemExit):
    cli.main(['convert', 'htnet', 'a', '--out', 'b', '--field', 'dim=wide'])
  assert "'wide' is neither" in capsys.readouterr().err
