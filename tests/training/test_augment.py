"""Augmentations against NumPy, scikit-learn, and what they must leave alone."""

from __future__ import annotations

import functools
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
from mejax.training.sample import Layout
from mejax.training.sample import Sample
from mejax.training.trial import Setting
from tests import closeness

_PICTURES = (
  'mirror',
  'shift',
  'scale_jitter',
  'region_dropout',
  'level_dropout',
)
_MOSAIC = Layout('mosaic', levels=3, u_channel=2, centred=True)
# How blocks and borders of a shifted picture follow from what it is.
_SHIFTED = {
  (1, 'edge'): Layout('image', u_channel=2, centred=True),
  (2, 'edge'): _MOSAIC,
  (1, 'zero'): Layout('frames'),
}


def _sample(inputs, *, targets=None, weight=None):
  count = len(inputs)
  targets = jnp.eye(3)[jnp.arange(count) % 3] if targets is None else targets
  return Sample(
    inputs=inputs,
    targets=targets,
    weight=jnp.ones(count) if weight is None else weight,
    class_share=targets.sum(0),
  )


def _apply(name, key, inputs, strength, layout=_MOSAIC):
  """The inputs after one augmentation."""
  sample = _sample(inputs)
  return _changed(name, layout)(key, sample, strength).inputs


def _changed(name, layout=_MOSAIC):
  """An augmentation as a function of key, sample and strength."""
  ((_, apply),) = augment.compose([name], layout)
  return lambda key, sample, strength: apply(
    key, sample, Setting(**{name: strength})
  )


# Compiled once for each shape: hypothesis calls them many times.
_SHIFT = {
  form: jax.jit(functools.partial(_apply, 'shift', layout=layout))
  for form, layout in _SHIFTED.items()
}
_REGION_DROPOUT = jax.jit(functools.partial(_apply, 'region_dropout'))
_MIXUP = jax.jit(_changed('mixup'))
_BALANCE = jax.jit(_changed('balance'))


def _normal(*shape, seed=0):
  source = np.random.default_rng(seed)
  return jnp.asarray(source.normal(size=shape), jnp.float32)


@pytest.mark.parametrize('name', _PICTURES)
def test_strength_may_be_traced_and_0_changes_nothing(name):
  x, key = _normal(8, 3, 4, 6, 3), jax.random.key(2)
  apply = functools.partial(_apply, name)
  jitted = jax.jit(apply)
  np.testing.assert_array_equal(jitted(key, x, 0.0), x)
  changed = apply(key, x, 0.75)
  np.testing.assert_allclose(jitted(key, x, 0.75), changed, rtol=1e-6)
  if name != 'shift':  # Less than a pixel.
    assert (changed != x).any()


@pytest.mark.parametrize('name', _PICTURES)
def test_under_vmap_each_trial_equals_itself_alone(name):
  x, keys = _normal(2, 5, 3, 4, 6, 3), jax.random.split(jax.random.key(0))
  strengths = jnp.array([0.5, 1.0])
  together = jax.vmap(functools.partial(_apply, name))(keys, x, strengths)
  for i in range(2):
    alone = _apply(name, keys[i], x[i], strengths[i])
    np.testing.assert_allclose(together[i], alone, rtol=1e-6)


@pytest.mark.parametrize('shape', [(16, 5, 6, 3), (16, 2, 5, 6, 3)])
def test_certain_mirror_reverses_columns_and_negates_u_only(shape):
  flow, key = _normal(*shape), jax.random.key(0)
  mirrored = _apply('mirror', key, flow, 1.0)
  expected = flow[..., ::-1, :] * np.array([1, 1, -1])
  np.testing.assert_array_equal(mirrored, expected)
  twice = _apply('mirror', key, mirrored, 1.0)
  np.testing.assert_array_equal(twice, flow)
  frames = _apply('mirror', key, flow, 1.0, Layout('frames'))
  np.testing.assert_array_equal(frames, flow[..., ::-1, :])


def test_each_example_draws_for_itself_with_the_probability_asked_for():
  flow = jnp.repeat(_normal(64, 5, 6, 3), 32, 0)
  layout = Layout('image', u_channel=0, centred=True)
  mirrored = _apply('mirror', jax.random.key(1), flow, 0.25, layout)
  changed = np.asarray(mirrored != flow).any((1, 2, 3))
  assert abs(changed.mean() - 0.25) < 0.03


@settings(deadline=None, max_examples=20)
@given(
  shape=st.sampled_from([(4, 6, 8, 2), (3, 2, 8, 4, 1), (2, 5, 7, 3)]),
  pixels=st.sampled_from([0.0, 1.0, 2.0, 2.9]),
  form=st.sampled_from(list(_SHIFTED)),
  seed=st.integers(0, 99),
)
def test_shift_equals_padding_and_cutting(shape, pixels, form, seed):
  blocks, border = form
  if shape[-3] % blocks or shape[-2] % blocks:
    blocks = 1
  x = _normal(*shape)
  moved = _SHIFT[blocks, border](jax.random.key(seed), x, pixels)
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
  moved = np.asarray(_apply('shift', jax.random.key(0), x, 1.0))
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
  scaled = _apply('scale_jitter', jax.random.key(0), flow, 0.5)
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
  dropped = np.asarray(_REGION_DROPOUT(jax.random.key(seed), x, rate))
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
  for name in ('region_dropout', 'level_dropout'):
    result = np.asarray(_apply(name, jax.random.key(0), x, 0.4))
    # Of four, at least one stays: all would be dropped with .4^4.
    assert abs((result == 0).mean() - (0.4 - 0.4**4 / 4)) < 0.02


def test_levels_are_kept_or_zeroed_as_a_whole_and_never_all():
  x = _normal(300, 3, 4, 4, 2)
  result = np.asarray(_apply('level_dropout', jax.random.key(0), x, 0.9))
  kept = (result == x).all((2, 3, 4))
  assert ((result == 0).all((2, 3, 4)) == ~kept).all()
  assert kept.any(1).all() and not kept.all()


@given(
  labels=st.lists(st.integers(0, 3), min_size=20, max_size=20),
)
@settings(deadline=None, max_examples=25)
def test_full_balance_equals_scikit_learn(labels):
  targets = np.eye(4, dtype=np.float32)[labels]
  key, sample = jax.random.key(0), _sample(targets, targets=targets)
  factors = _BALANCE(key, sample, 1.0).weight
  present = np.unique(labels)
  weights = dict(
    zip(
      present,
      compute_class_weight('balanced', classes=present, y=labels),
      strict=True,
    )
  )
  np.testing.assert_allclose(factors, [weights[y] for y in labels], rtol=1e-5)
  half = _BALANCE(key, sample, 0.5).weight
  np.testing.assert_allclose(half, np.sqrt(factors), rtol=1e-5)
  off = _BALANCE(key, sample, 0.0).weight
  assert (off == 1).all()


def _mixing(weight, *, alpha, seed=0):
  """The matrix that `mixup` applies to the rows, and what else it gives."""
  count = len(weight)
  targets = np.eye(3, dtype=np.float32)[np.arange(count) % 3]
  sample = _sample(
    jnp.eye(count),
    targets=jnp.asarray(targets),
    weight=jnp.asarray(weight, jnp.float32),
  )
  mixed = _MIXUP(jax.random.key(seed), sample, alpha)
  return np.asarray(mixed.inputs), targets, mixed.targets, mixed.weight


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


def test_action_units_are_mixed_as_their_pictures_and_nothing_else_is():
  sample = _sample(
    jnp.eye(6), targets=jnp.eye(3)[jnp.arange(6) % 3], weight=jnp.ones(6)
  )
  extra = {'units': jnp.eye(6), 'windows': jnp.arange(6)}
  mixed = _MIXUP(jax.random.key(0), sample.replace(extra=extra), 0.4)
  assert (np.asarray(mixed.inputs) != np.eye(6)).any()
  np.testing.assert_array_equal(mixed.extra['units'], mixed.inputs)
  np.testing.assert_array_equal(mixed.extra['windows'], np.arange(6))


def test_shares_of_mixup_are_beta_distributed_and_0_mixes_nothing():
  pair = _sample(jnp.eye(2), targets=jnp.eye(2))
  mixed = jax.vmap(lambda key: _MIXUP(key, pair, 0.4).inputs[0, 0])(
    jax.random.split(jax.random.key(0), 400)
  )
  test = scipy.stats.kstest(np.asarray(mixed), scipy.stats.beta(0.4, 0.4).cdf)
  assert test.pvalue > 1e-3
  matrix, targets, same, weight = _mixing([1.0, 2.0, 0.0, 1.0], alpha=0.0)
  np.testing.assert_array_equal(matrix, np.eye(4))
  np.testing.assert_array_equal(same, targets)
  np.testing.assert_array_equal(weight, [1, 2, 0, 1])
