"""Every model in every dtype, against itself in a wider one."""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
from jax.extend import core
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import models
from mejax.models import attention
from tests import closeness
from tests.models import smallest

pytestmark = pytest.mark.unoptimised

ALL = pytest.mark.parametrize('name', models.MODELS)


@functools.cache
def initialised(name: str) -> Any:
  return smallest.variables(smallest.make(name), smallest.inputs(name))


def training(name: str, **fields: Any) -> Any:
  """Returns a function of parameters, statistics and inputs.

  It returns the gradients of the parameters, logits, `out` and statistics.
  """
  model = smallest.make(name, **fields)

  def loss(params, statistics, inputs):
    (logits, out), statistics = model.apply(
      {'params': params, **statistics},
      inputs,
      train=True,
      mutable=['batch_stats'],
      rngs={'dropout': jax.random.key(1)},
    )
    return logits.mean(), (logits, out, statistics)

  def train(params, statistics, inputs):
    gradients, others = jax.grad(loss, has_aux=True)(params, statistics, inputs)
    return gradients, *others

  return train


def split(variables: Any) -> tuple[Any, Any]:
  statistics = dict(variables)
  return statistics.pop('params'), statistics


def evaluate(name: str, inputs: Any, **fields: Any) -> Any:
  return smallest.apply(
    smallest.make(name, **fields), initialised(name), inputs
  )


def kinds(tree: Any) -> set[str]:
  return {x.dtype.name for x in jax.tree.leaves(tree)}


def assert_close(ours: Any, true: Any, tolerance: float) -> None:
  """Asserts that arrays are close, on the scale of the largest of them."""
  pairs = list(zip(*map(jax.tree.leaves, (ours, true)), strict=True))
  scale = max((float(jnp.abs(other).max()) for _, other in pairs), default=0.0)
  for one, other in pairs:
    one = np.asarray(one, np.float64)
    closeness.assert_close(one, other, tolerance, scale=scale)


def length(tree: Any) -> float:
  return sum(float(jnp.square(x).sum()) for x in jax.tree.leaves(tree)) ** 0.5


# Where ARTNet has four regions, patches a region, and two levels.
MODULES = {
  'talking_heads': (attention.TalkingHeads, attention.TalkingHeads),
  'relative': (attention.RelativeBias, attention.RelativeBias(grid=(1, 2))),
}
FIELDS = {
  'artnet': ('attention_fn', 'level_attention_fn'),
  'htnet': ('attention_fn',),
  'mmnet': ('attention_fn',),
}


@pytest.mark.parametrize('name', FIELDS)
@pytest.mark.parametrize('module', MODULES)
@pytest.mark.parametrize('param_dtype', ['float32', 'bfloat16', 'float64'])
def test_parameters_of_an_attention_have_the_dtype_of_the_models(
  name, module, param_dtype
):
  fields = dict(zip(FIELDS[name], MODULES[module], strict=False))
  fields['param_dtype'] = param_dtype
  with jax.enable_x64(True):
    model = smallest.make(name, **fields)
    inputs = smallest.inputs(name)
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)
    results = jax.eval_shape(
      training(name, **fields), *split(variables), inputs
    )
  params, _ = split(variables)
  own = [
    'level_block' in jax.tree_util.keystr(path)
    for path, _ in jax.tree_util.tree_leaves_with_path(params)
    if 'attention_fn' in jax.tree_util.keystr(path)
  ]
  # Of its levels, too, where it has some.
  assert set(own) == {False, name == 'artnet'}
  assert kinds(params) == kinds(results[0]) == {param_dtype}


def test_an_attention_that_names_its_dtype_keeps_it():
  module = attention.TalkingHeads(param_dtype=jnp.float16)
  model = smallest.make('htnet', attention_fn=module)
  params, _ = split(
    jax.eval_shape(model.init, jax.random.key(0), smallest.inputs('htnet'))
  )
  assert kinds(params) == {'float16', 'float32'}


# A rounding is at most eps / 2 of a value, and dozens of them follow each
# other. The gradient is compared as one vector, because many a part of it is
# zero but for rounding, as that of a bias before a norm. A maximum over places,
# in MMNet also over channels, chooses another winner after a rounding.
LOOSER = {'cnn': 2, 'offapexnet': 2, 'sssnet': 2, 'mmnet': 4}


@ALL
def test_bfloat16_trains_like_float32_up_to_its_rounding(name):
  arguments = *split(initialised(name)), smallest.inputs(name, 8)
  gradients, logits, _, statistics = jax.jit(training(name, dtype='bfloat16'))(
    *arguments
  )
  assert kinds((gradients, logits)) == {'float32'}
  assert kinds(statistics) <= {'float32'}
  true, true_logits, _, true_statistics = jax.jit(training(name))(*arguments)
  eps = float(jnp.finfo('bfloat16').eps)
  assert_close(logits, true_logits, 8 * eps)
  assert_close(statistics, true_statistics, 2 * eps)
  error = length(jax.tree.map(jnp.subtract, gradients, true))
  assert error < 8 * LOOSER.get(name, 1) * eps * length(true)


@ALL
def test_float16_and_float64_compute_what_float32_does(name):
  inputs = smallest.inputs(name)
  true, _ = evaluate(name, inputs)
  half, _ = evaluate(name, inputs, dtype=jnp.float16)
  assert half.dtype == jnp.float32
  assert_close(half, true, 8 * float(jnp.finfo('float16').eps))
  with jax.enable_x64(True):
    double, out = evaluate(name, inputs, dtype='float64')
    assert kinds((double, out)) == {'float64'}
  assert_close(true, double, 1e-5)


@ALL
def test_float32_stays_float32_where_jax_has_float64(name):
  with jax.enable_x64(True):
    model, inputs = smallest.make(name), smallest.inputs(name)
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)
    results = jax.eval_shape(training(name), *split(variables), inputs)
  assert kinds((variables, results)) == {'float32'}


@ALL
@pytest.mark.parametrize(
  ('param_dtype', 'wide'), [('bfloat16', 'float32'), ('float64', 'float64')]
)
def test_parameters_have_their_dtype_and_statistics_a_wide_one(
  name, param_dtype, wide
):
  inputs = smallest.inputs(name)
  with jax.enable_x64(wide == 'float64'):
    model = smallest.make(name, param_dtype=param_dtype)
    variables = jax.eval_shape(model.init, jax.random.key(0), inputs)
    results = jax.eval_shape(
      training(name, param_dtype=param_dtype), *split(variables), inputs
    )
  params, statistics = split(variables)
  gradients, logits, out, new_statistics = results
  assert kinds(params) == kinds(gradients) == {param_dtype}
  assert kinds((statistics, new_statistics)) <= {wide}
  # Inputs of float32 promote the computation.
  assert kinds((logits, out)) == {wide}
  names = jax.tree.structure(initialised(name))
  assert jax.tree.structure(variables) == names


@ALL
@pytest.mark.parametrize('dtype', ['uint8', 'bfloat16'])
def test_inputs_of_any_dtype_are_read_as_numbers(name, dtype):
  inputs = (10 * smallest.inputs(name)).astype(dtype)
  ours, _ = evaluate(name, inputs)
  true, _ = evaluate(name, inputs.astype(jnp.float32))
  np.testing.assert_array_equal(ours, true)


def equations(jaxpr: Any):
  """Yields the equations of a program, and of all programs inside it."""
  for equation in jaxpr.eqns:
    yield equation
    for value in jax.tree.leaves(
      list(equation.params.values()),
      is_leaf=lambda x: isinstance(x, core.Jaxpr | core.ClosedJaxpr),
    ):
      if isinstance(value, core.ClosedJaxpr):
        value = value.jaxpr
      if isinstance(value, core.Jaxpr):
        yield from equations(value)


def multiply(query, key, value, *, mask=None):
  """Attention without matrix products, which sees what a model hands to it."""
  assert kinds((query, key, value)) == {'bfloat16'}
  return query * key * value, None


CLASSES = 11  # No other axis is as long.


@ALL
def test_bfloat16_multiplies_matrices_in_bfloat16_but_for_the_head(name):
  fields = {'dtype': 'bfloat16', 'num_classes': CLASSES}
  if name in ('htnet', 'mmnet', 'artnet'):
    fields['attention_fn'] = multiply
  if name == 'artnet':
    fields['level_attention_fn'] = multiply
  inputs = smallest.inputs(name)
  variables = jax.eval_shape(
    smallest.make(name, **fields).init, jax.random.key(0), inputs
  )
  program = jax.make_jaxpr(training(name, **fields))(*split(variables), inputs)
  products = 0
  for equation in equations(program.jaxpr):
    if equation.primitive.name not in ('dot_general', 'conv_general_dilated'):
      continue
    sides = [x.aval for x in equation.invars]
    is_head = any(
      CLASSES in x.shape for x in (*sides, equation.outvars[0].aval)
    )
    # Only sums for statistics ask for full precision.
    exact = equation.params['precision'] is not None and kinds(sides) == {
      'float32'
    }
    if not is_head and not exact:
      products += 1
      assert kinds(sides) == {'bfloat16'}, equation
  assert products or name == 'linear'


def moving(size: float) -> jax.Array:
  """Pairs of frames, of which the second differs by a step of `size`."""
  source = np.random.default_rng(0)
  # As many as in `smallest.inputs`, for which programs are compiled already.
  onset = source.uniform(1, 2, (3, 1, 32, 32, 3))
  apex = onset + size * source.choice([-1, 1], onset.shape)
  return jnp.array(np.concatenate([onset, apex], 1), jnp.float32)


def test_bfloat16_keeps_a_motion_smaller_than_its_rounding_of_the_frames():
  inputs = moving(1e-3)
  rounded = inputs.astype(jnp.bfloat16)
  assert (rounded[:, 0] == rounded[:, 1]).mean() > 0.5
  (_, half), (_, single) = (
    evaluate('mmnet', inputs, dtype=dtype) for dtype in ('bfloat16', None)
  )
  assert_close(half['gates'][0], single['gates'][0], 0.02)


class WideGate(nn.Module):
  """A gate that knows nothing of dtypes, so that it returns float32."""

  @nn.compact
  def __call__(self, x, prior):
    assert x.dtype == jnp.bfloat16
    return nn.Dense(x.shape[-1])(x), prior


def test_a_gate_of_ones_own_does_not_widen_what_follows():
  model = smallest.make('mmnet', gate=WideGate, dtype='bfloat16')
  (_, out), _ = jax.eval_shape(
    model.init_with_output, jax.random.key(0), smallest.inputs('mmnet')
  )
  assert out['motion'].dtype == jnp.bfloat16


@pytest.mark.parametrize(
  ('fields', 'words'),
  [
    ({'dtype': 'bfloat61'}, "^dtype is 'bfloat61'; expected bfloat16, float16"),
    ({'dtype': 'int8'}, "^dtype is 'int8'; expected"),
    ({'dtype': ''}, "^dtype is ''; expected"),
    ({'param_dtype': 'half a float'}, '^param_dtype is .*; expected'),
    ({'param_dtype': None}, '^param_dtype is None; expected'),
    ({'dtype': 'float64'}, '^dtype is float64, which JAX has .*jax_enable_x64'),
  ],
)
def test_a_dtype_that_no_model_computes_in_is_refused(fields, words):
  model = smallest.make('htnet', **fields)
  with pytest.raises(ValueError, match=words):
    model.init(jax.random.key(0), smallest.inputs('htnet'))


def test_dtypes_are_named_as_in_flax_and_behind_all_other_fields():
  model = models.HTNet(7, dtype=jnp.bfloat16)
  assert (model.num_classes, model.param_dtype) == (7, jnp.float32)
  assert models.HTNet().dtype is None
