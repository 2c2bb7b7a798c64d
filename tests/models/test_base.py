"""What all models do alike when they are called outside mejax."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import config as jaxtyping_config
import numpy as np
import pytest

from mejax import models
from mejax.models import base
from tests import closeness
from tests.models import smallest

pytestmark = pytest.mark.unoptimised

# Preset, fields and the shape of one example.
TINY = {
  'artnet': ('tiny', {'levels': (1, 2)}, (2, 32, 32, 3)),
  'cnn': ('tiny', {}, (28, 28, 3)),
  'htnet': ('tiny', {}, (28, 28, 3)),
  'linear': ('linear', {}, (28, 28, 3)),
  'mmnet': ('tiny', {}, (2, 32, 32, 3)),
  'offapexnet': ('tiny', {}, (28, 28, 3)),
  'resnet': ('tiny', {}, (28, 28, 3)),
  'sssnet': ('tiny', {}, (28, 28, 3)),
  'ststnet': ('ststnet', {}, (28, 28, 3)),
}
WITH_STATISTICS = ('cnn', 'mmnet', 'resnet', 'sssnet', 'ststnet')


def make(name, **fields):
  preset, own, shape = TINY[name]
  return models.make(name, preset, **own, **fields), shape


@pytest.fixture
def untyped(monkeypatch):
  """Calls as outside of these tests, where nobody checks jaxtyping's shapes."""
  monkeypatch.setattr(jaxtyping_config, 'jaxtyping_disable', True)


def shapes(model, *shape, **options):
  x = jax.ShapeDtypeStruct(shape, jnp.float32)
  return jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, **options), x
  )


def apply_shapes(model, variables, *shape, **options):
  x = jax.ShapeDtypeStruct(shape, jnp.float32)
  return jax.eval_shape(lambda v, x: model.apply(v, x, **options), variables, x)


def test_the_table_of_this_file_has_every_model():
  assert set(TINY) == set(models.MODELS)


@pytest.mark.parametrize('name', models.MODELS)
def test_every_class_can_be_imported_by_its_name(name):
  known = models.MODELS[name].module
  assert getattr(models, known.__name__) is known
  assert known.__name__ in models.__all__


@pytest.mark.parametrize('name', models.MODELS)
def test_train_has_a_default_only_where_nothing_depends_on_it(name):
  rates = ('dropout', 'drop_path', 'level_dropout')
  model, shape = make(name)
  without = {rate: 0.0 for rate in rates if hasattr(model, rate)}
  with_dropout = {rate: 0.5 for rate in without}
  model, _ = make(name, **without)
  variables = shapes(model, 2, *shape)
  if name in WITH_STATISTICS:
    with pytest.raises(ValueError, match='batch statistics.*train=True or'):
      apply_shapes(model, variables, 2, *shape)
  else:
    apply_shapes(model, variables, 2, *shape)
  # Each rate alone needs it.
  for rate in with_dropout:
    drops, _ = make(name, **(without | {rate: 0.5}))
    assert jax.tree.map(jnp.shape, shapes(drops, 2, *shape)) == jax.tree.map(
      jnp.shape, variables
    )
    words = 'statistics' if name in WITH_STATISTICS else f'{rate}=0.5'
    with pytest.raises(ValueError, match=f'{words}.*train=True or train=False'):
      apply_shapes(drops, variables, 2, *shape)
    apply_shapes(drops, variables, 2, *shape, train=False)


@pytest.mark.parametrize('name', ['artnet', 'htnet', 'linear'])
def test_the_default_of_train_is_false(name):
  rates = {'artnet': {'dropout': 0.0, 'level_dropout': 0.0}}
  model, shape = make(name, **rates.get(name, {}))
  x = jax.random.normal(jax.random.key(1), (2, *shape))
  variables = smallest.variables(model, x)
  told, _ = jax.jit(model.apply, static_argnames='train')(
    variables, x, train=False
  )
  np.testing.assert_array_equal(jax.jit(model.apply)(variables, x)[0], told)


def other_shapes(name, shape):
  """What does not fit: another size, other channels, another rank."""
  *before, h, w, c = shape
  yield (*before, h, w), 'expected'
  if name != 'linear':  # It reads the numbers in any shape.
    yield (*before, 1, h, w, c, 1), 'expected'
  if name not in ('cnn', 'resnet'):  # They average the last map.
    yield (*before, 2 * h, 2 * w, c), 'expected'
  if name != 'offapexnet':  # It reads the first two and no other.
    yield (*before, h, w, c + 1), 'expected'
    yield (*before, h, w, c - 2), 'expected'


@pytest.mark.parametrize('name', models.MODELS)
def test_another_input_than_the_parameters_were_drawn_for_is_an_error(
  name, untyped
):
  model, shape = make(name)
  variables = shapes(model, 2, *shape)
  apply_shapes(model, variables, 5, *shape, train=False)
  for other, words in other_shapes(name, shape):
    with pytest.raises(ValueError, match=words) as error:
      apply_shapes(model, variables, 5, *other, train=False)
    title = type(model).__name__.lower()
    message = str(error.value)
    assert title in message.replace('-', '').lower()
    # What came: the shape, or the sides of the images.
    came = f'{(5, *other)}', ' x '.join(map(str, other[-3:-1]))
    assert any(words in message for words in came)
    assert 'flax' not in message


@pytest.mark.parametrize(
  'name, size, words',
  [
    ('artnet', 64, 'images of 64 x 64 pixels; expected 32 x 32'),
    ('cnn', 14, 'end in 2 x 2 places; expected 16 places'),
    ('htnet', 56, r'\(1, 56, 56, 3\); expected \[b, 28, 28, c\]'),
    ('linear', 14, '588 numbers an example; expected 2352 numbers'),
    ('mmnet', 64, r'\(1, 2, 64, 64, 3\); expected .*2, 32, 32, 3'),
    ('offapexnet', 32, '1024 pixels; expected 784 pixels'),
    ('sssnet', 64, 'map of 9 x 9 places; expected 9 places'),
    ('ststnet', 32, r'\(1, 32, 32, 3\); expected \[b, 28, 28, 3\]'),
  ],
)
def test_another_size_is_named_beside_the_right_one(name, size, words):
  model, shape = make(name)
  variables = shapes(model, 1, *shape)
  shape = (1, *shape[:-3], size, size, 3)
  with pytest.raises(ValueError, match=words):
    apply_shapes(model, variables, *shape, train=False)


@pytest.mark.parametrize('name', models.MODELS)
def test_a_field_that_a_class_lacks_is_an_error_with_the_closest(name):
  known = models.MODELS[name].module
  words = "no field 'num_clases'. Did you mean 'num_classes'. Known fields:"
  with pytest.raises(TypeError, match=words) as error:
    known(num_clases=3)
  fields = {field.name for field in dataclasses.fields(known)}
  for field in fields - {'parent', 'name'}:
    assert field in str(error.value)


@pytest.mark.parametrize('name', models.MODELS)
def test_a_model_stays_a_linen_module(name):
  model, _ = make(name)
  named = type(model)(name='mine', parent=None, num_classes=4)
  assert named.name == 'mine' and 'num_classes = 4' in repr(named)
  assert model.clone(num_classes=7).num_classes == 7
  assert model.copy(num_classes=7) == model.clone(num_classes=7)
  for same in (
    copy.copy(model),
    copy.deepcopy(model),
    pickle.loads(pickle.dumps(model)),
  ):
    assert same == model and hash(same) == hash(model)


def test_a_model_may_be_a_part_of_another_and_have_subclasses():
  class Narrow(models.HTNet):
    dim: int = 8
    extra: float = 1.0

  class Pair(nn.Module):
    @nn.compact
    def __call__(self, x):
      one = Narrow(heads=2, patch_size=2, depths=(1, 1), name='one')
      return one(x)[0] + models.Linear(name='other')(x)[0]

  variables = shapes(Pair(), 1, 28, 28, 3)
  assert set(variables['params']) == {'one', 'other'}
  with pytest.raises(TypeError, match="Narrow has no field 'extr'.*'extra'"):
    Narrow(extr=2)


class Module(nn.Module):
  @nn.compact
  def __call__(self, x, *, train=None):
    return x


@pytest.mark.parametrize(
  'function, expected',
  [
    (lambda x, *, train: x, True),
    (lambda x, **options: x, True),
    (lambda x, mask=None: x, False),
    (jax.jit(lambda x, train: x), True),
    (Module, True),
    (Module(), True),
    (nn.Dense, False),
  ],
)
def test_takes_tells_whether_an_option_can_be_handed_on(function, expected):
  assert base.takes(function, 'train') is expected


@pytest.mark.parametrize('name', ['artnet', 'cnn', 'htnet'])
def test_action_units_are_told_beside_the_classes(name):
  x = smallest.inputs(name)
  plain, telling = (smallest.make(name, num_units=n) for n in (0, 7))
  variables = smallest.variables(telling, x)
  logits, out = telling.apply(variables, x, train=False)
  assert logits.shape == (3, telling.num_classes)
  head = variables['params']['units']
  closeness.assert_close(
    out['units'], out['head'] @ head['kernel'] + head['bias'], 1e-5
  )
  # The classes are told as by a model that tells no units.
  del variables['params']['units']
  alone, out = plain.apply(variables, x, train=False)
  np.testing.assert_array_equal(alone, logits)
  assert 'units' not in out
