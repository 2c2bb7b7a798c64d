"""The moving average of weights, against optax."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mejax.training import average as average_lib
from tests import closeness


def _trees(count):
  source = np.random.default_rng(0)
  return [
    {'a': jnp.asarray(source.normal(size=(3, 2)), jnp.float32), 'b': {}}
    for _ in range(count)
  ]


@pytest.mark.parametrize('decay', [0.0, 0.5, 0.99])
def test_it_equals_optax_with_its_bias_corrected(decay):
  trees = _trees(7)
  reference = optax.ema(decay, debias=True)
  state, average = reference.init(trees[0]), average_lib.start(trees[0])
  for tree in trees:
    expected, state = reference.update(tree, state)
    average = average_lib.add(average, tree, decay=decay)
    closeness.assert_trees_close(
      average_lib.mean(average, tree), expected, 1e-5
    )


def test_at_decay_0_it_is_the_last_tree_to_the_bit():
  average = average_lib.start(_trees(1)[0])
  for tree in _trees(3):
    average = average_lib.add(average, tree, decay=jnp.float32(0))
  last = _trees(3)[-1]
  assert (average_lib.mean(average, last)['a'] == last['a']).all()


def test_before_the_first_step_it_is_the_tree():
  (tree,) = _trees(1)
  mean = average_lib.mean(average_lib.start(tree), tree)
  np.testing.assert_array_equal(mean['a'], tree['a'])
