"""Weights of the originals: what they predict there, they predict here.

The arrays alone need no PyTorch; reading a file does, and is left out where it
is not installed.
"""

from __future__ import annotations

import collections
import csv
import os
import sys
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import limits
from mejax import models
from mejax import torch_weights
from mejax.models import convert
from mejax.models import originals
from tests import closeness
from tests.models import mmnet_formula
from tests.models import smallest
from tests.models import test_htnet_golden as golden_htnet

FIELDS = golden_htnet.SMALL['B'][1]


@pytest.fixture
def state():
  """The golden weights of a small HTNet, under the original's names."""
  return golden_htnet.hash_weights(golden_htnet.state_shapes(**FIELDS))


@pytest.fixture
def torch():
  return pytest.importorskip('torch', reason='reading .pth needs PyTorch')


def saved(torch, state, path):
  """`state` in a file, as tensors."""
  torch.save({k: torch.tensor(v) for k, v in state.items()}, path)
  return path


def logits(converted, inputs):
  return smallest.apply(converted.model, converted.variables, inputs)[0]


def ststnet_state():
  """Random weights under the names of the PyTorch STSTNet."""
  key = np.random.default_rng(0)
  state = {}
  for i, filters in enumerate((3, 5, 8), 1):
    state[f'conv{i}.weight'] = 0.1 * key.normal(size=(filters, 3, 3, 3))
    state[f'conv{i}.bias'] = key.normal(size=filters)
    state[f'bn{i}.weight'] = key.uniform(-1, 1, filters)
    state[f'bn{i}.bias'] = key.normal(size=filters)
    state[f'bn{i}.running_mean'] = key.normal(size=filters)
    state[f'bn{i}.running_var'] = key.uniform(0.5, 900, filters)
    state[f'bn{i}.num_batches_tracked'] = np.array(7)
  state['fc.weight'] = 0.1 * key.normal(size=(3, 400))
  state['fc.bias'] = key.normal(size=3)
  return {
    name: x if x.dtype == np.int64 else x.astype(np.float32)
    for name, x in state.items()
  }


def mmnet_state():
  """The golden weights of MMNet, with what its network makes and never uses."""
  shapes = mmnet_formula.shapes(depth=3, mlp_mult=2) | {
    'timeembed': (1, 4, 111, 111),
    'pos.1.running_mean': (512,),
    'vit_pos.cls_token': (1, 1, 512),
    'vit_pos.head.weight': (5, 512),
    'vit_pos.to_Mask.0.bias': (1,),
    'head.1.weight': (38, 12544),
    'conv_act.1.num_batches_tracked': (1,),
  }
  return {name: mmnet_formula.tensor(name, x) for name, x in shapes.items()}


def test_every_entry_returns_to_where_it_came_from(state):
  for name, own, fields in (
    ('htnet', state, FIELDS),
    ('mmnet', mmnet_state(), {'preset': 'released-3'}),
    ('ststnet', ststnet_state(), {}),
  ):
    converted = convert.from_state(name, own, **fields)
    table = originals.ORIGINALS[name].table(converted.model)
    assert set(own) == set(table) | set(converted.unused)
    for entry, place in table.items():
      back = place.theirs(converted.variables)
      np.testing.assert_array_equal(back, own[entry], err_msg=entry)


def test_what_mmnet_never_uses_is_known_by_its_name(shared):
  table = (shared / 'golden/mmnet/names_5class.csv').read_text().splitlines()
  original = originals.ORIGINALS['mmnet']
  used = original.table(models.make('mmnet', original.preset))
  for row in csv.DictReader(table):
    name = row['pytorch_name']
    assert original.never_reads(name) == (row['used'] == 'no'), name
    assert (name in used) == (row['used'] == 'yes'), name


def test_converted_variables_are_those_that_the_model_makes(state):
  converted = convert.from_state('htnet', state, **FIELDS)
  made = jax.eval_shape(
    lambda: converted.model.init(
      jax.random.key(0), jnp.ones((1, 28, 28, 3)), train=False
    )
  )
  shapes = jax.tree.map(lambda x: (x.shape, x.dtype), made)
  assert shapes == jax.tree.map(
    lambda x: (x.shape, x.dtype), converted.variables
  )


def test_without_unread_weights_an_original_converts_and_goes_back():
  fields = golden_htnet.SMALL['A'][1]
  state = golden_htnet.hash_weights(golden_htnet.state_shapes(**fields))
  lean = convert.from_state('htnet', state, **fields, unread_weights=False)
  table = originals.htnet_table(lean.model)
  back = {name: place.theirs(lean.variables) for name, place in table.items()}
  for name, value in state.items():
    kept = value
    if 'to_qkv' in name:
      kept = np.concatenate([0 * value[: len(value) // 3 * 2],
                             value[len(value) // 3 * 2 :]])  # fmt: skip
    np.testing.assert_array_equal(back[name], kept, err_msg=name)
  # The original model with zeros there, and so ours, says the same.
  for converted in (lean, convert.from_state('htnet', back, **fields)):
    ours = logits(converted, golden_htnet.synthetic_samples())
    np.testing.assert_allclose(ours, golden_htnet.PINNED['A'], atol=5e-6)


@pytest.mark.parametrize('nested', ['', 'state_dict', 'model'])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_a_file_of_the_original_gives_its_predictions(
  torch, state, tmp_path, nested, prefix
):
  tensors = collections.OrderedDict(
    (prefix + name, torch.tensor(value)) for name, value in state.items()
  )
  content = {nested: tensors, 'epoch': 3} if nested else tensors
  torch.save(content, tmp_path / 'model.pth')
  converted = convert.from_pth('htnet', tmp_path / 'model.pth', **FIELDS)
  ours = logits(converted, golden_htnet.synthetic_samples())
  np.testing.assert_allclose(ours, golden_htnet.PINNED['B'], atol=5e-6)
  assert converted.unused == ()


def test_ststnet_equals_pytorch_on_the_same_file(torch, tmp_path):
  state = ststnet_state()
  path = saved(torch, state, tmp_path / 's01.pth')
  converted = convert.from_pth('ststnet', path)
  x = np.random.default_rng(1).integers(0, 256, (5, 28, 28, 3))
  x = x.astype(np.float32)
  w = {name: torch.tensor(value) for name, value in state.items()}
  images, parts = torch.tensor(x.transpose(0, 3, 1, 2)), []
  functional = torch.nn.functional
  for i in (1, 2, 3):
    y = functional.conv2d(
      images, w[f'conv{i}.weight'], w[f'conv{i}.bias'], padding=2
    ).relu()
    norm = ('running_mean', 'running_var', 'weight', 'bias')
    y = functional.batch_norm(y, *(w[f'bn{i}.{part}'] for part in norm))
    parts.append(functional.max_pool2d(y, 3, 3, 1))
  y = functional.avg_pool2d(torch.cat(parts, 1), 2).flatten(1)
  theirs = functional.linear(y, w['fc.weight'], w['fc.bias'])
  closeness.assert_close(logits(converted, x), theirs, 1e-5)
  assert len(converted.unused) == 3
  assert all(name.endswith('num_batches_tracked') for name in converted.unused)


def test_all_that_does_not_fit_is_listed_in_one_error(state):
  state['mlp_head.3.weight'] = np.ones(3, np.float32)
  del state['layers.0.0.pos_emb']
  state['mlp_head.2.bias'] = np.ones(5, np.float32)
  state['mlp_head.0.g'] = np.full((1, 32, 1, 1), np.nan, np.float32)
  with pytest.raises(ValueError) as error:
    convert.from_state('htnet', state, **FIELDS)
  for words in (
    '1 unknown: mlp_head.3.weight',
    '1 missing: layers.0.0.pos_emb',
    '1 of another shape: mlp_head.2.bias (5,), expected (3,)',
    '1 not finite: mlp_head.0.g',
    "preset 'released', patch_size=2",
  ):
    assert words in str(error.value)


def test_weights_of_another_size_name_the_preset_as_the_way_out(state):
  with pytest.raises(ValueError, match='missing.*\n.*another shape') as error:
    convert.from_state('htnet', state)
  assert 'Name the preset' in str(error.value)
  assert len(str(error.value)) < 4000
  with pytest.raises(ValueError, match='htnet, mmnet, ststnet'):
    convert.from_state('resnet', state)


def _not_a_pickle(torch, path):
  path.write_bytes(b'these are no weights at all')


def _empty(torch, path):
  path.write_bytes(b'')


def _truncated(torch, path):
  saved(torch, {'a': np.ones(10_000, np.float32)}, path)
  path.write_bytes(path.read_bytes()[:9_000])


def _without_data(torch, path):
  saved(torch, {'a': np.ones(100, np.float32)}, path)
  with zipfile.ZipFile(path) as old:
    content = {name: old.read(name) for name in old.namelist()}
  with zipfile.ZipFile(path, 'w') as new:
    for name, value in content.items():
      if not name.endswith('data/0'):
        new.writestr(name, value)


def _number(torch, path):
  torch.save(3, path)


def _no_tensors(torch, path):
  torch.save({'state_dict': {'epoch': 3}}, path)


@pytest.mark.parametrize(
  'write',
  [_not_a_pickle, _empty, _truncated, _without_data, _number, _no_tensors],
)
def test_a_file_that_is_no_state_dict_is_refused_by_its_name(
  torch, tmp_path, write
):
  path = tmp_path / 'bad.pth'
  write(torch, path)
  with pytest.raises(ValueError, match=r'bad\.pth.*state_dict'):
    torch_weights.read_state_dict(path)


class Malicious:
  """Makes a file when it is unpickled."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.mkdir, (str(self.path),)


def test_a_file_that_would_run_code_is_refused_and_runs_none(torch, tmp_path):
  attack = {'a': torch.ones(1), 'b': Malicious(tmp_path / 'done')}
  torch.save(attack, tmp_path / 'bad.pth')
  with pytest.raises(ValueError, match='holds more than weights'):
    torch_weights.read_state_dict(tmp_path / 'bad.pth')
  assert not (tmp_path / 'done').exists()


def test_a_file_that_claims_too_much_is_refused(torch, tmp_path, monkeypatch):
  torch.save({'a': torch.zeros(2**20)}, tmp_path / 'large.pth')
  monkeypatch.setattr(limits, 'LARGEST_ARRAYS', 2**20)
  with pytest.raises(ValueError, match='large.pth is damaged.* the limit is 1'):
    torch_weights.read_state_dict(tmp_path / 'large.pth')


def test_a_whole_pickled_model_is_refused_with_what_to_save(torch, tmp_path):
  torch.save(torch.nn.Linear(2, 2), tmp_path / 'model.pth')
  with pytest.raises(ValueError, match=r'model\.state_dict\(\)'):
    torch_weights.read_state_dict(tmp_path / 'model.pth')


def test_a_file_that_is_not_there_is_an_oserror(torch, tmp_path):
  with pytest.raises(FileNotFoundError):
    torch_weights.read_state_dict(tmp_path / 'none.pth')


def test_without_pytorch_the_message_says_what_to_install(
  monkeypatch, tmp_path
):
  monkeypatch.setitem(sys.modules, 'torch', None)
  with pytest.raises(ValueError, match=r"pip install 'mejax\[torch\]'"):
    torch_weights.read_state_dict(tmp_path / 'model.pth')
