"""MMNet against the authors' model: outputs, gradients, statistics, steps.

`mmnet_golden.npz` holds what that model gave for the weights and inputs of
`mmnet_formula`: samples of activations (8 channels, rows and columns, evenly
spread), the first values of gradients and of parameters after a step.
"""

from __future__ import annotations

import csv
import json
import pathlib
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.models import convert
from mejax.models import mmnet
from mejax.models import originals
from mejax.models import pooling
from mejax.training import batches
from mejax.training import optimizer as optimizer_lib
from mejax.training import trial as trial_lib
from tests import closeness
from tests.models import mmnet_formula as formula

GOLDEN = pathlib.Path(__file__).with_name('mmnet_golden.npz')
TABLE = originals.mmnet_table(models.make('mmnet', 'released-5'))
VARIANTS = {'5class': (5, 2, 4), '3class': (3, 3, 2)}


@pytest.fixture(scope='module')
def golden():
  return dict(np.load(GOLDEN))


@pytest.fixture(scope='module')
def pairs():
  return jnp.asarray(formula.pairs())


def variables_of(tag):
  """Formula weights as our trees, and the shapes of the release's tensors."""
  shapes = formula.shapes(*VARIANTS[tag][1:])
  state = {name: formula.tensor(name, shape) for name, shape in shapes.items()}
  preset = f'released-{VARIANTS[tag][0]}'
  return convert.from_state('mmnet', state, preset=preset).variables, shapes


def model_of(tag, **fields):
  classes = VARIANTS[tag][0]
  return models.make(
    'mmnet', f'released-{classes}', num_classes=classes, **fields
  )


@pytest.fixture(scope='module')
def evaluate():
  """The 5-class network: logits, `out` and what each layer gave."""
  model = model_of('5class')

  @jax.jit
  def apply(variables, pairs):
    (logits, out), state = model.apply(
      variables, pairs, train=False, capture_intermediates=True, mutable=True
    )
    return logits, out, state['intermediates']

  return apply


@pytest.fixture(scope='module')
def evaluated(evaluate, pairs):
  return evaluate(variables_of('5class')[0], pairs)


@pytest.fixture(scope='module')
def trained():
  """One step at the released rate, and four at one that does not overshoot.

  In float64: in float32 rounding switches a few ReLUs, in the original's own
  numbers too, and gradients of single channels move by some percent.
  """
  with jax.enable_x64(True):
    return train()


def train():
  trainer = trial_lib.Trainer(
    model=model_of('5class'),
    num_classes=5,
    num_epochs=4,
    batch_sizes=(2,),
    optimizer=optimizer_lib.OPTIMIZERS['adamw'],
    takes_mask=True,
  )
  variables, _ = variables_of('5class')
  variables = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), variables)
  pairs = jnp.asarray(formula.pairs(), jnp.float64)
  data = trial_lib.Data(pairs, jnp.array([1, 3]))
  batch = batches.Batch(jnp.arange(2), jnp.ones(2))

  @jax.jit
  def step(state, learning_rate):
    setting = trial_lib.Setting(learning_rate, 0.6)
    trial = trial_lib.Trial(jax.random.key(0), jnp.ones(2), None, setting)
    gradient = jax.value_and_grad(trainer.loss, has_aux=True)
    (loss, collections), gradients = gradient(
      state.params, state, trial, trainer.sample(state, trial, data, batch)
    )
    state = trainer.apply_gradients(state, trial, gradients, collections, batch)
    return state, loss, gradients

  moments = trainer.optimizer(trial_lib.Setting()).init(variables['params'])
  params = variables.pop('params')
  start = trial_lib.TrialState(jnp.int32(0), params, variables, moments)
  after, _, gradients = step(start, 8e-4)
  state, losses = start, []
  for _ in range(4):
    state, loss, _ = step(state, 2e-6)
    losses.append(float(loss))
  found = {'gradients': gradients, 'after': after, 'last': state}
  found = jax.tree.map(np.asarray, found)
  return SimpleNamespace(**found, losses=losses)


def sample(x):
  """8 channels, rows and columns of a map, channels first."""
  x = np.moveaxis(np.asarray(x), -1, 1)
  for axis, size in enumerate(x.shape[1:], 1):
    count = min(size, 8 if axis > 1 or size > 3 else size)
    places = np.linspace(0, size - 1, count).astype(int)
    x = x.take(places, axis)
  return x


def as_map(tokens):
  return tokens.reshape(len(tokens), 14, 14, -1)


def test_formula_gives_the_weights_that_the_golden_data_was_made_with(shared):
  folder = shared / 'golden/mmnet'
  checks = json.loads((folder / 'checksums.json').read_text())
  frames = formula.pairs().transpose(0, 1, 4, 2, 3)
  arrays = {'onset': frames[:, 0], 'apex': frames[:, 1]}
  for name, check in checks.items():
    if name not in arrays:
      arrays[name] = formula.tensor(name, tuple(check['shape']))
    total = arrays[name].astype(np.float64)
    assert total.sum() == pytest.approx(check['sum'], abs=1e-6)
    assert np.abs(total).sum() == pytest.approx(check['abssum'])
    np.testing.assert_allclose(
      arrays[name].flat[: len(check['first'])], check['first'], rtol=1e-6
    )


@pytest.mark.parametrize('tag', VARIANTS)
def test_every_used_tensor_of_the_release_has_its_place(tag, shared):
  table = (shared / f'golden/mmnet/names_{tag}.csv').read_text().splitlines()
  used = {
    row['pytorch_name']: tuple(map(int, row['shape'].split('x')))
    for row in csv.DictReader(table)
    if row['used'] == 'yes'
  }
  variables, shapes = variables_of(tag)
  assert shapes == used
  wanted = jax.eval_shape(
    lambda: model_of(tag).init(
      jax.random.key(0), jnp.zeros((1, 2, 224, 224, 3)), train=False
    )
  )
  assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, wanted)


def test_logits_maps_and_tokens_equal_the_original(golden, evaluated):
  logits, out, seen = evaluated
  closeness.assert_close(logits, golden['5class/logits_noaa'], 1e-5)
  prior = None
  for i, gate in enumerate(out['gates'], 1):
    local = gate
    if prior is not None:
      local = gate / pooling.max_pool3x3(prior, 2)
    prior = gate
    for name, value in (('cum', gate), ('local', local)):
      np.testing.assert_allclose(
        sample(value), golden[f'5class/ca{i}_attn_{name}'], atol=1e-5
      )
  position = seen['position']
  blocks = [position[f'block{i}']['__call__'][0][0] for i in range(2)]
  found = {
    'motion_stem1': seen['stem0']['__call__'][0],
    'motion_stem2': seen['stem1']['__call__'][0],
    **{f'ca{i + 1}': seen[f'block{i}']['__call__'][0][0] for i in range(4)},
    'pc_tokens': position['embed']['__call__'][0],
    **{f'pc_block{i}': as_map(block) for i, block in enumerate(blocks)},
    'pc_norm': out['position'],
    'fused': out['motion'] + out['position'],
  }
  for name, value in found.items():
    closeness.assert_close(
      sample(value), golden[f'5class/{name}'], 2e-5, err_msg=name
    )


def test_position_attention_is_a_distribution_over_the_pixels(evaluated):
  _, out, _ = evaluated
  assert [w.shape for w in out['attention']] == [(2, 4, 196, 196)] * 2
  for weights in out['attention']:
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


def test_three_class_network_equals_the_original(golden, pairs):
  apply = jax.jit(model_of('3class').apply, static_argnames='train')
  logits, out = apply(variables_of('3class')[0], pairs, train=False)
  closeness.assert_close(logits, golden['3class/logits_noaa'], 1e-5)
  for i, gate in enumerate(out['gates'], 1):
    np.testing.assert_allclose(
      sample(gate), golden[f'3class/ca{i}_attn_cum'], atol=1e-5
    )
  assert len(out['attention']) == 3


def test_antialias_is_the_resize_of_newer_pytorch(golden, pairs, evaluated):
  variables, _ = variables_of('5class')
  position = mmnet.Position(
    512, 4, 2, 4, 0.0, True, model_of('5class').attention_fn
  )
  smooth, _ = jax.jit(position.apply, static_argnames='train')(
    {'params': variables['params']['position']}, pairs[:, 0], train=False
  )
  head = variables['params']['head']
  flat = (evaluated[1]['motion'] + smooth).reshape(2, -1)
  np.testing.assert_allclose(
    flat @ head['kernel'] + head['bias'],
    golden['5class/logits_aa'],
    atol=2e-5,
  )


@pytest.mark.slow
def test_gradients_equal_the_original(golden, trained):
  norms, start = golden['train/gradnorm'], 0
  for name, norm in zip(golden['train/names'], norms, strict=True):
    ours = TABLE[name].theirs({'params': trained.gradients}).ravel()
    size = ours.size if ours.size <= 2048 else 64
    true = golden['train/grad'][start : start + size]
    start += size
    if name.endswith('qkv.bias'):
      # That of the keys is zero but for rounding.
      keys = slice(512, 1024)
      assert np.abs(ours[keys]).max() < 1e-6
      ours[keys] = true[keys]
    assert np.linalg.norm(ours) == pytest.approx(norm, rel=1e-3), name
    # The original's own float32 gradient is off by as much in one channel.
    closeness.assert_close(ours[:size], true, 2e-2, err_msg=name)


def test_running_statistics_equal_the_original(golden, trained):
  names, start = golden['train/stats_names'], 0
  for name in names:
    ours = TABLE[name].theirs(trained.after.collections)
    true = golden['train/stats'][start : start + len(ours)]
    start += len(ours)
    closeness.assert_close(ours, true, 1e-5, err_msg=name)


def test_adamw_step_on_every_parameter_equals_the_original(golden, trained):
  start = 0
  for name, norm in zip(
    golden['train/names'], golden['train/step1norm'], strict=True
  ):
    ours = TABLE[name].theirs({'params': trained.after.params}).ravel()
    size = min(16, ours.size)
    true = golden['train/step1head'][start : start + size]
    start += size
    if name.endswith('qkv.bias'):
      continue  # Adam makes whole steps of the keys' rounding.
    np.testing.assert_allclose(ours[:size], true, atol=2e-6, err_msg=name)
    assert np.linalg.norm(ours) == pytest.approx(norm, rel=1e-5), name


def test_four_small_steps_follow_the_original(golden, trained, evaluate, pairs):
  assert trained.losses == pytest.approx(
    golden['train/losses_lr2e-6_f64'].tolist(), abs=1e-6
  )
  state = trained.last
  variables = {'params': state.params, **state.collections}
  np.testing.assert_allclose(
    evaluate(variables, pairs)[0],
    golden['train/eval_logits_after_4_steps_lr2e-6_f64'],
    atol=1e-3,
  )
