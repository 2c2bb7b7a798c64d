"""The small baselines: their published sizes, and each against PyTorch."""

from __future__ import annotations

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.models import cnn
from mejax.models import linear
from mejax.models import offapexnet
from mejax.models import resnet
from mejax.models import sssnet
from tests import closeness
from tests import compiling
from tests.models import smallest

MODULES = {
  'cnn': cnn,
  'linear': linear,
  'offapexnet': offapexnet,
  'resnet': resnet,
  'sssnet': sssnet,
}
WITH_STATISTICS = ('cnn', 'resnet', 'sssnet')


def images(count=6, side=28):
  x = np.random.default_rng(0).normal(size=(count, side, side, 3))
  return jnp.array(x, jnp.float32)


def init(model):
  return smallest.variables(model, images(1))


def num_parameters(model, side=28):
  blank = jnp.ones((1, side, side, 3))
  params = jax.eval_shape(
    lambda: model.init(jax.random.key(0), blank, train=False)
  )['params']
  return sum(x.size for x in jax.tree.leaves(params))


def shaken(variables):
  """Gains, offsets and statistics as a training would leave them."""
  key = np.random.default_rng(1)
  return jax.tree.map(
    lambda x: x + jnp.array(key.uniform(0.1, 0.5, x.shape), jnp.float32),
    variables,
  )


@pytest.mark.parametrize(
  ('name', 'counts'),
  [
    ('cnn', {'cnn': 24_099, 'tiny': 999}),
    ('linear', {'linear': 28 * 28 * 3 * 3 + 3}),
    # Two streams of 2,572, then 1568 x 1024, 1024 x 1024 and 1024 x 3.
    ('offapexnet', {'offapexnet': 2_664_475, 'tiny': 1_983}),
    ('resnet', {'small': 77_587, 'tiny': 763}),
    ('sssnet', {'sssnet': 169_603, 'tiny': 791}),
  ],
)
def test_presets_have_the_parameters_that_their_docstrings_tell(name, counts):
  assert list(counts) == list(MODULES[name].PRESETS)
  for preset, count in counts.items():
    assert num_parameters(models.make(name, preset)) == count
    row = rf'^{preset} .*\b{count:,} '
    assert re.search(row, MODULES[name].__doc__, re.MULTILINE), row


def test_sssnet_has_the_published_parameters_at_64_pixels():
  assert num_parameters(models.make('sssnet'), 64) == 1_349_251
  assert '1,349,251' in sssnet.__doc__


@pytest.mark.parametrize('name', MODULES)
def test_every_preset_gives_a_logit_for_each_class(name):
  for preset in MODULES[name].PRESETS:
    model = models.make(name, preset, num_classes=5)
    (logits, out), _ = jax.eval_shape(
      lambda model=model: model.init_with_output(
        jax.random.key(0), images(2), train=False
      )
    )
    assert logits.shape == (2, 5)
    assert all(x.shape[0] == 2 for x in jax.tree.leaves(out))


@pytest.mark.parametrize('name', WITH_STATISTICS)
def test_padding_rows_change_neither_logits_nor_statistics(name):
  model = models.make(name, 'tiny', dropout=0.0)
  variables = init(model)

  @functools.partial(jax.jit, compiler_options=compiling.options())
  def run(x, mask):
    return model.apply(
      variables, x, train=True, mask=mask, mutable=['batch_stats']
    )

  (alone, _), state = run(images()[:4], jnp.ones(4, bool))
  (padded, _), padded_state = run(images(), jnp.arange(6) < 4)
  closeness.assert_close(padded[:4], alone, 1e-5)
  closeness.assert_trees_close(padded_state, state, 1e-5)


@pytest.mark.parametrize('name', ['cnn', 'offapexnet', 'resnet', 'sssnet'])
def test_dropout_acts_in_training_alone(name):
  model = models.make(name, 'tiny', dropout=0.5)
  variables = init(model)

  @functools.partial(
    jax.jit, static_argnums=0, compiler_options=compiling.options()
  )
  def logits(train, seed):
    return model.apply(
      variables,
      images(),
      train=train,
      rngs={'dropout': jax.random.key(seed)},
      mutable=['batch_stats'],
    )[0][0]

  assert np.any(logits(True, 0) != logits(True, 1))
  np.testing.assert_array_equal(logits(False, 0), logits(False, 1))


def test_sssnet_drops_whole_maps():
  model = models.make('sssnet', dropout=0.5)

  @jax.jit
  def run(variables):
    return model.apply(
      variables,
      images(),
      train=True,
      rngs={'dropout': jax.random.key(0)},
      mutable=['batch_stats'],
    )

  (_, out), _ = run(init(model))
  dropped = np.asarray(out['features'] == 0).all((1, 2))
  assert dropped.mean() == pytest.approx(0.5, abs=0.1)


def test_offapexnet_reads_u_and_v_in_streams_of_their_own():
  model = models.make('offapexnet', 'tiny')
  variables = init(model)

  def streams(inputs):
    return smallest.apply(model, variables, inputs)[1]['streams']

  before = streams(images())
  for channel, changed in ((0, [True, False]), (1, [False, True]), (2, [0, 0])):
    after = streams(images().at[..., channel].add(1.0))
    moved = np.asarray(after != before).any((0, 2, 3, 4))
    assert moved.tolist() == list(map(bool, changed)), channel


class Torch:
  """The networks in PyTorch, on our variables."""

  def __init__(self, torch, variables):
    self.torch, self.nn = torch, torch.nn.functional
    self.variables = variables

  def tensor(self, *path, collection='params'):
    tree = self.variables[collection]
    for key in path:
      tree = tree[key]
    return self.torch.tensor(np.asarray(tree))

  def conv(self, x, *path, bias=True, **options):
    kernel = self.tensor(*path, 'kernel').permute(3, 2, 0, 1)
    offset = self.tensor(*path, 'bias') if bias else None
    return self.nn.conv2d(x, kernel, offset, **options)

  def norm(self, x, *path):
    mean, var = (
      self.tensor(*path, leaf, collection='batch_stats')
      for leaf in ('mean', 'var')
    )
    scale, bias = (self.tensor(*path, leaf) for leaf in ('scale', 'bias'))
    return self.nn.batch_norm(x, mean, var, scale, bias)

  def linear(self, x, *path):
    return x @ self.tensor(*path, 'kernel') + self.tensor(*path, 'bias')

  def flatten(self, x):
    return x.permute(0, 2, 3, 1).flatten(1)

  def cnn(self, x):
    for name, size, stride in (('first', 5, 2), ('second', 3, 1)):
      x = self.conv(
        x, name, 'conv', bias=False, stride=stride, padding=size // 2
      )
      x = self.norm(x, name, 'norm').relu()
      x = self.nn.max_pool2d(x, 2, ceil_mode=True)
    x = self.nn.adaptive_avg_pool2d(x, 4)
    return self.linear(self.flatten(x), 'head')

  def sssnet(self, x):
    for name, pool in (('first', 3), ('second', 2)):
      x = self.nn.max_pool2d(self.conv(x, name, 'conv').relu(), pool)
      x = self.norm(x, name, 'norm')
    x = self.linear(self.flatten(x), 'hidden').relu()
    return self.linear(x, 'head')

  def offapexnet(self, x):
    streams = []
    for i, name in enumerate('uv'):
      y = x[:, i : i + 1]
      for number in range(2):
        y = self.conv(y, f'{name}{number}', 'conv', padding=2).relu()
        y = self.nn.max_pool2d(y, 2)
      streams.append(self.flatten(y))
    x = self.torch.cat(streams, 1)
    for i in range(2):
      x = self.linear(x, f'hidden{i}').relu()
    return self.linear(x, 'head')

  def resnet(self, x):
    def conv(x, *path, stride=1):
      return self.conv(x, *path, bias=False, stride=stride, padding=1)

    x = self.norm(conv(x, 'stem', stride=2), 'stem_norm').relu()
    for i in range(3):
      at, stride = f'block{i}', 2 if i else 1
      y = self.norm(conv(x, at, 'conv0', stride=stride), at, 'norm0').relu()
      y = self.norm(conv(y, at, 'conv1'), at, 'norm1')
      if i:
        kernel = self.tensor(at, 'short', 'kernel').T[..., None, None]
        x = self.nn.conv2d(x, kernel, stride=stride)
        x = self.norm(x, at, 'short_norm')
      x = (x + y).relu()
    return self.linear(x.mean((2, 3)), 'head')


@pytest.mark.parametrize(
  'name, side',
  [
    ('cnn', 28),
    ('cnn', 60),  # Ends in 8 x 8 places, which become 4 x 4.
    ('cnn', 128),
    ('offapexnet', 28),
    ('resnet', 28),
    ('sssnet', 28),
  ],
)
def test_logits_equal_the_same_network_in_pytorch(name, side):
  torch = pytest.importorskip('torch', reason='compares with PyTorch')
  x = images(side=side)
  model = models.make(name)
  variables = shaken(smallest.variables(model, x))
  ours, _ = smallest.apply(model, variables, x)
  x = torch.tensor(np.asarray(x).transpose(0, 3, 1, 2))
  theirs = getattr(Torch(torch, variables), name)(x).numpy()
  closeness.assert_close(ours, theirs, 1e-5)


@pytest.mark.parametrize(
  ('name', 'fields', 'shape', 'words'),
  [
    ('offapexnet', {}, (1, 30, 30, 3), "view.channels = 'u_v_strain'"),
    ('offapexnet', {}, (1, 28, 28, 1), 'u, v as the first channels'),
    ('sssnet', {}, (1, 14, 14, 3), '16 pixels or more'),
  ],
)
def test_inputs_that_do_not_fit_are_an_error(name, fields, shape, words):
  with pytest.raises(ValueError, match=re.escape(words)):
    models.make(name, **fields).init(
      jax.random.key(0), jnp.ones(shape), train=False
    )


@pytest.mark.parametrize('name', MODULES)
def test_unknown_presets_and_fields_are_errors(name):
  with pytest.raises(ValueError, match="no preset 'none'. Known presets: "):
    models.make(name, 'none')
  with pytest.raises(ValueError, match="no field 'widht'.*num_classes"):
    models.make(name, widht=3)
