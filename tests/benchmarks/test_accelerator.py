"""The benchmark of an accelerator runs on any, and says what it left out."""

from __future__ import annotations

import json

import pytest

pytest.importorskip('torch', reason='needs the extra `torch`')

from tests.benchmarks import accelerator
from tests.benchmarks import fold_training

pytestmark = pytest.mark.unoptimised


@pytest.mark.slow
def test_every_section_is_measured(tmp_path):
  accelerator.main(['--small', '--out', str(tmp_path / 'a.json')])
  told = json.loads((tmp_path / 'a.json').read_text())
  assert set(told['peaks']) == {
    *(f'{name} TFLOP/s' for name in ('float32', 'default', 'bfloat16')), 'GB/s'
  }  # fmt: skip
  assert told['agreement']['cnn']['gradient, highest'] < 1e-4
  modes = {(row['mode'], row['folds']) for row in told['trainings']}
  assert modes == {
    ('PyTorch, eager', 2), *((mode, 2) for mode in ('vmap', 'map'))
  }  # fmt: skip
  assert all(row['ms'] > 0 for row in told['trainings'])
  assert [row['pairs'] for row in told['flow']] == [1]


def test_what_has_no_time_is_named(capsys):
  accelerator.main(['--small', '--minutes', '0'])
  said = capsys.readouterr().out
  for what in ('agreement of cnn', 'flow'):
    assert f'NOT MEASURED, no time left: {what}' in said
  for mode in ('PyTorch, eager', 'vmap', 'map'):
    named = f'cnn, {mode}, default, 2 folds'
    reasons = 'no time left', 'not compiled in time'
    assert any(f'NOT MEASURED, {why}: {named}' in said for why in reasons)


def test_the_whole_is_extrapolated_from_the_fastest_row():
  def row(mode, ms, precision='highest'):
    row = {'mode': mode, 'ms': ms, 'batch': 256, 'folds': 16}
    return row | {'precision': precision}

  told = accelerator.extrapolate(
    [
      row('PyTorch, eager', 360.0), row('vmap', 36.0), row('map', 72.0),
      row('vmap', 12.0, 'default'),
    ]
  )  # fmt: skip
  # 68 x 800 x 2 steps of 36 ms are 1.088 hours.
  assert '1.09 h (vmap, 16 folds at once); PyTorch 10.88 h' in told


@pytest.mark.parametrize('name', fold_training.CASES)
def test_the_network_in_pytorch_has_the_parameters_of_ours(name):
  import jax
  import jax.numpy as jnp

  case = fold_training.CASES[name]
  model = case.make()
  variables = jax.eval_shape(
    lambda key, x: model.init(key, x, train=False),
    jax.random.key(0),
    jnp.zeros((1, *case.shape)),
  )
  ours = sum(x.size for x in jax.tree.leaves(variables['params']))
  theirs = sum(x.numel() for x in case.make_torch().parameters())
  # MMNet's queries, keys and values have biases in ours, as in the release.
  biases = 2 * 3 * 64 if name == 'mmnet small' else 0
  assert ours - theirs == biases
