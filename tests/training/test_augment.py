"""Augmentations against NumPy, scikit-learn, and what they must leave alone."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from sklearn.utils.class_weight import compute_class_weight

from mejax.motion import flow as flow_lib
from mejax.training import augment
from tests import closeness

_PICTURES = {
  'mirror': lambda key, x, strength: augment.mirror(
    key, x, probability=strength, u_channel=2
  ),
  'shift': lambda key, x, strength: augment.shift(
    key, x, pixels=strength, blocks=2
  ),
  'scale_jitter': lambda key, x, strength: augment.scale_jitter(
    key, x, amount=strength
  ),
  'region_dropout': lambda key, x, strength: augment.region_dropout(
    key, x, rate=strength
  ),
  'level_dropout': lambda key, x, strength: augment.level_dropout(
    key, x, rate=strength
  ),
}


# Compiled once for each shape: hypothesis calls them many times.
_SHIFT = jax.jit(augment.shift, static_argnames=('blocks', 'border'))
_REGION_DROPOUT = jax.jit(augment.region_dropout)
_MIXUP = jax.jit(augment.mixup)
_BALANCE = jax.jit(augment.balance)


def _normal(*shape, seed=0):
  source = np.random.default_rng(seed)
  return jnp.asarray(source.normal(size=shape), jnp.float32)


@pytest.mark.parametrize('name', _PICTURES)
def test_strength_may_be_traced_and_0_changes_nothing(name):
  x, key = _normal(8, 3, 4, 6, 3), jax.random.key(2)
  apply, jitted = _PICTURES[name], jax.jit(_PICTURES[name])
  np.testing.assert_array_equal(jitted(key, x, 0.0), x)
  changed = apply(key, x, 0.75)
  np.testing.assert_allclose(jitted(key, x, 0.75), changed, rtol=1e-6)
  if name != 'shift':  # Less than a pixel.
    assert (changed != x).any()


@pytest.mark.parametrize('name', _PICTURES)
def test_under_vmap_each_trial_equals_itself_alone(name):
  x, keys = _normal(2, 5, 3, 4, 6, 3), jax.random.split(jax.random.key(0))
  strengths = jnp.array([0.5, 1.0])
  together = jax.vmap(_PICTURES[name])(keys, x, strengths)
  for i in range(2):
    alone = _PICTURES[name](keys[i], x[i], strengths[i])
    np.testing.assert_allclose(together[i], alone, rtol=1e-6)


@pytest.mark.parametrize('shape', [(16, 5, 6, 3), (16, 2, 5, 6, 3)])
def test_certain_mirror_reverses_columns_and_negates_u_only(shape):
  flow, key = _normal(*shape), jax.random.key(0)
  mirrored = augment.mirror(key, flow, probability=1.0, u_channel=2)
  expected = flow[..., ::-1, :] * np.array([1, 1, -1])
  np.testing.assert_array_equal(mirrored, expected)
  twice = augment.mirror(key, mirrored, probability=1.0, u_channel=2)
  np.testing.assert_array_equal(twice, flow)
  frames = augment.mirror(key, flow, probability=1.0, u_channel=None)
  np.testing.assert_array_equal(frames, flow[..., ::-1, :])


def test_each_example_draws_for_itself_with_the_probability_asked_for():
  flow = jnp.repeat(_normal(64, 5, 6, 3), 32, 0)
  mirrored = augment.mirror(
    jax.random.key(1), flow, probability=0.25, u_channel=0
  )
  changed = np.asarray(mirrored != flow).any((1, 2, 3))
  assert abs(changed.mean() - 0.25) < 0.03


@settings(deadline=None, max_examples=20)
@given(
  shape=st.sampled_from([(4, 6, 8, 2), (3, 2, 8, 4, 1), (2, 5, 7, 3)]),
  pixels=st.sampled_from([0.0, 1.0, 2.0, 2.9]),
  blocks=st.sampled_from([1, 2]),
  border=st.sampled_from(['edge', 'zero']),
  seed=st.integers(0, 99),
)
def test_shift_equals_padding_and_cutting(shape, pixels, blocks, border, seed):
  if shape[-3] % blocks or shape[-2] % blocks:
    blocks = 1
  x = _normal(*shape)
  moved = _SHIFT(
    jax.random.key(seed), x, pixels=pixels, blocks=blocks, border=border
  )
  for example, result in zip(np.asarray(x), np.asarray(moved), strict=True):
    for cut in _blocks(example, blocks):
      offsets = _offsets(example[cut], result[cut], int(pixels), border)
      assert len(offsets) >= 1


def _blocks(image, blocks):
  height, width = (side // blocks for side in image.shape[-3:-1])
  for row, column in itertools.product(range(blocks), repeat=2):
    yield (
      ...,
      slice(row * height, (row + 1) * height),
      slice(column * width, (column + 1) * width),
      slice(None),
    )


def _offsets(image, moved, reach, border):
  """Offsets by which NumPy turns the one into the other."""
  axes = [(0, 0)] * (image.ndim - 3) + [(reach, reach)] * 2 + [(0, 0)]
  mode = {'mode': 'edge'} if border == 'edge' else {}
  padded = np.pad(image, axes, **mode)
  height, width = image.shape[-3:-1]
  return [
    (reach - row, reach - column)
    for row, column in itertools.product(range(2 * reach + 1), repeat=2)
    if np.array_equal(
      padded[..., row : row + height, column : column + width, :], moved
    )
  ]


def test_all_offsets_are_equally_likely_and_blocks_move_apart():
  x = jnp.broadcast_to(_normal(1, 12, 12, 1), (2000, 12, 12, 1))
  moved = np.asarray(augment.shift(jax.random.key(0), x, pixels=1.0, blocks=2))
  found = [
    [
      _offsets(np.asarray(x[0])[cut], image[cut], 1, 'edge')[0]
      for cut in _blocks(image, 2)
    ]
    for image in moved[:900]
  ]
  flat = [offset for example in found for offset in example]
  counts = [flat.count(o) for o in itertools.product((-1, 0, 1), repeat=2)]
  assert scipy.stats.chisquare(counts).pvalue > 1e-3
  same = np.mean([example[0] == example[1] for example in found])
  assert abs(same - 1 / 9) < 0.05


def test_scale_jitter_multiplies_motion_and_strain_by_one_factor():
  uv = _normal(200, 8, 8, 2)
  strain = flow_lib.strain(uv)[..., None]
  flow = jnp.concatenate([uv, strain], -1)
  scaled = augment.scale_jitter(jax.random.key(0), flow, amount=0.5)
  factor = np.asarray(scaled / flow)
  log = np.log(factor.reshape(200, -1))
  np.testing.assert_allclose(log, log[:, :1].repeat(192, 1), atol=1e-5)
  assert (
    scipy.stats.kstest(
      log[:, 0] / np.log(1.5), scipy.stats.uniform(-1, 2).cdf
    ).pvalue
    > 1e-3
  )
  closeness.assert_close(scaled[..., 2], flow_lib.strain(scaled[..., :2]), 1e-6)


@settings(deadline=None, max_examples=20)
@given(
  shape=st.sampled_from([(6, 4, 6, 3), (6, 2, 4, 4, 1), (6, 28, 28, 3)]),
  rate=st.floats(0, 1, width=32),
  seed=st.integers(0, 99),
)
def test_regions_are_kept_or_zeroed_as_a_whole_and_never_all(shape, rate, seed):
  x = _normal(*shape)
  dropped = np.asarray(_REGION_DROPOUT(jax.random.key(seed), x, rate=rate))
  for image, result in zip(np.asarray(x), dropped, strict=True):
    kept = [
      np.array_equal(result[cut], image[cut]) for cut in _blocks(image, 2)
    ]
    zero = [not result[cut].any() for cut in _blocks(image, 2)]
    assert [not gone for gone in zero] == kept
    assert any(kept)
    assert sum(kept) == 1 or rate < 1


def test_parts_are_dropped_at_the_rate_asked_for():
  x = jnp.ones((4000, 4, 2, 2, 1))
  for apply in ('region_dropout', 'level_dropout'):
    result = np.asarray(_PICTURES[apply](jax.random.key(0), x, 0.4))
    # Of four, at least one stays: all would be dropped with .4^4.
    assert abs((result == 0).mean() - (0.4 - 0.4**4 / 4)) < 0.02


def test_levels_are_kept_or_zeroed_as_a_whole_and_never_all():
  x = _normal(300, 3, 4, 4, 2)
  result = np.asarray(augment.level_dropout(jax.random.key(0), x, rate=0.9))
  kept = (result == x).all((2, 3, 4))
  assert ((result == 0).all((2, 3, 4)) == ~kept).all()
  assert kept.any(1).all() and not kept.all()


@given(
  labels=st.lists(st.integers(0, 3), min_size=20, max_size=20),
)
@settings(deadline=None, max_examples=25)
def test_full_balance_equals_scikit_learn(labels):
  targets = np.eye(4, dtype=np.float32)[labels]
  factors = _BALANCE(
    jnp.asarray(targets), jnp.asarray(targets.sum(0)), strength=1.0
  )
  present = np.unique(labels)
  weights = dict(
    zip(
      present,
      compute_class_weight('balanced', classes=present, y=labels),
      strict=True,
    )
  )
  np.testing.assert_allclose(factors, [weights[y] for y in labels], rtol=1e-5)
  half = _BALANCE(
    jnp.asarray(targets), jnp.asarray(targets.sum(0)), strength=0.5
  )
  np.testing.assert_allclose(half, np.sqrt(factors), rtol=1e-5)
  off = _BALANCE(
    jnp.asarray(targets), jnp.asarray(targets.sum(0)), strength=0.0
  )
  assert (off == 1).all()


def _mixing(weight, *, alpha, seed=0):
  """The matrix that `mixup` applies to the rows, and what else it gives."""
  count = len(weight)
  targets = np.eye(3, dtype=np.float32)[np.arange(count) % 3]
  matrix, mixed_targets, mixed_weight = _MIXUP(
    jax.random.key(seed),
    jnp.eye(count),
    jnp.asarray(targets),
    jnp.asarray(weight, jnp.float32),
    alpha=alpha,
  )
  return np.asarray(matrix), targets, mixed_targets, mixed_weight


@settings(deadline=None, max_examples=40)
@given(
  weight=st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=8, max_size=8),
  alpha=st.sampled_from([0.1, 0.4, 2.0]),
  seed=st.integers(0, 99),
)
def test_mixup_pairs_real_rows_in_a_cycle_and_leaves_padding_alone(
  weight, alpha, seed
):
  matrix, targets, mixed_targets, mixed_weight = _mixing(
    weight, alpha=alpha, seed=seed
  )
  weight = np.array(weight)
  real = weight > 0
  np.testing.assert_array_equal(matrix[~real], np.eye(len(weight))[~real])
  assert not matrix[real][:, ~real].any()
  np.testing.assert_allclose(matrix.sum(1), 1, rtol=1e-6)
  np.testing.assert_allclose(matrix.sum(0), 1, rtol=1e-6)
  if real.sum() > 1:
    # The same share for all, and nobody is its own partner.
    shares = np.diag(matrix)[real]
    np.testing.assert_allclose(shares, shares[0], rtol=1e-6)
    assert (np.count_nonzero(matrix[real], axis=1) <= 2).all()
  # Each part counts for its own class with its own weight.
  np.testing.assert_allclose(mixed_weight, matrix @ weight, atol=1e-5)
  np.testing.assert_allclose(
    mixed_targets * mixed_weight[:, None],
    matrix @ (weight[:, None] * targets),
    atol=1e-5,
  )
  np.testing.assert_allclose(mixed_targets.sum(1), 1, rtol=1e-5)


def test_shares_of_mixup_are_beta_distributed_and_0_mixes_nothing():
  mixed = jax.vmap(
    lambda key: augment.mixup(
      key, jnp.eye(2), jnp.eye(2), jnp.ones(2), alpha=0.4
    )[0][0, 0]
  )(jax.random.split(jax.random.key(0), 400))
  test = scipy.stats.kstest(np.asarray(mixed), scipy.stats.beta(0.4, 0.4).cdf)
  assert test.pvalue > 1e-3
  matrix, targets, same, weight = _mixing([1.0, 2.0, 0.0, 1.0], alpha=0.0)
  np.testing.assert_array_equal(matrix, np.eye(4))
  np.testing.assert_array_equal(same, targets)
  np.testing.assert_array_equal(weight, [1, 2, 0, 1])
