"""What an epoch holds: each training example once, and nobody else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from mejax.training import batches

_DRAW = jax.jit(batches.draw, static_argnames=('sizes', 'even'))


@settings(deadline=None, max_examples=25)
@given(
  train=st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=12, max_size=12),
  batch_size=st.sampled_from([4, 5, 8]),
  seed=st.sampled_from([None, 0, 1]),
  even=st.booleans(),
)
def test_an_epoch_holds_each_training_example_once_and_no_other(
  train, batch_size, seed, even
):
  train = np.array(train, np.float32)
  if not train.any():
    train[0] = 1.0
  # Enough for a fold that trains on all of them.
  sizes = batches.epoch_batch_sizes(np.ones((1, 12)), batch_size, even=even)
  key = None if seed is None else jax.random.key(seed)
  stacks = _DRAW(key, jnp.asarray(train), sizes=sizes, even=even)
  index = jnp.concatenate([stack.index.ravel() for stack in stacks])
  weight = jnp.concatenate([stack.weight.ravel() for stack in stacks])
  seen = np.flatnonzero(train)
  assert set(index.tolist()) <= set(seen.tolist())
  assert sorted(index[weight > 0].tolist()) == seen.tolist()
  np.testing.assert_array_equal(weight[weight > 0], train[index[weight > 0]])
  if seed is None:
    assert index[weight > 0].tolist() == seen.tolist()
  # Full batches leave a remainder, even ones differ by one example at most.
  counts = [n for stack in stacks for n in (stack.weight > 0).sum(1).tolist()]
  if even:
    assert max(counts) - min(counts) <= 1
  else:
    filled = [n for n in counts if n]
    assert filled[:-1] == [*sizes[: len(filled) - 1]]


def test_only_the_last_of_one_or_two_steps_is_shorter():
  train = np.ones((1, 441), np.float32)
  assert batches.epoch_batch_sizes(train, 256) == (256, 185)
  assert batches.epoch_batch_sizes(train, 512) == (441,)
  assert batches.epoch_batch_sizes(train, 128) == (128,) * 4


def test_even_steps_are_as_many_as_full_ones_and_as_small_as_that_allows():
  train = np.ones((2, 353), np.float32)
  train[1, :40] = 0
  full = batches.epoch_batch_sizes(train, 32)
  assert len(full) == 12 and full[-1] == 32  # which has one example
  assert batches.epoch_batch_sizes(train, 32, even=True) == (30,) * 12
  assert batches.epoch_batch_sizes(train, 512, even=True) == (353,)
