"""Products of a fold give what scikit-learn computes from its examples."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st
import numpy as np
from sklearn import decomposition
from sklearn import preprocessing
from sklearn.metrics import pairwise

from mejax.evaluation import inner_products
from tests import closeness


def _inputs(seed, examples, values):
  generator = np.random.default_rng(seed)
  return generator.normal(size=(examples, values)) * generator.uniform(
    1, 9, values
  )


@hypothesis.settings(max_examples=15)
@hypothesis.given(st.integers(0, 99), st.integers(3, 12), st.integers(1, 12))
def test_components_are_those_of_pca_of_the_training_rows(
  seed, examples, values
):
  """Few examples of many values, or many of few."""
  inputs = _inputs(seed, examples + 3, values)
  train, test = np.arange(examples), np.arange(examples, examples + 3)
  products = inner_products.of_folds(inputs, None)(train, test)
  found = inner_products.components(products, 4)
  scaler = preprocessing.StandardScaler().fit(inputs[train])
  count = min(4, examples - 1, values)
  model = decomposition.PCA(count, svd_solver='full')
  model.fit(scaler.transform(inputs[train]))
  for ours, rows in zip(found, (train, test), strict=True):
    true = model.transform(scaler.transform(inputs[rows]))
    assert ours.shape == true.shape
    # The sign of a component is free.
    closeness.assert_close(np.abs(ours), np.abs(true), 1e-6)


def test_kernels_are_those_of_scikit_learn():
  inputs = _inputs(0, 14, 30)
  train, test = np.arange(10), np.arange(10, 14)
  products = inner_products.of_folds(inputs, None)(train, test)
  scaler = preprocessing.StandardScaler().fit(inputs[train])
  rows = scaler.transform(inputs)
  gamma = 1 / (30 * rows[train].var())
  true = pairwise.rbf_kernel(rows, rows[train], gamma=gamma)
  for ours, which in zip(
    inner_products.rbf_kernels(products), (train, test), strict=True
  ):
    closeness.assert_close(ours, true[which], 1e-9)


def test_large_inputs_are_multiplied_in_parts_and_as_a_whole():
  inputs = _inputs(1, 5, 9001).astype(np.float32)
  products = inner_products.of_folds(inputs, None)(np.arange(5), np.arange(0))
  rows = preprocessing.StandardScaler().fit_transform(inputs.astype(np.float64))
  closeness.assert_close(products.train, rows @ rows.T, 1e-9)


def test_a_constant_channel_becomes_0_and_scale_and_offset_do_not_count():
  flow = np.random.default_rng(0).normal(size=(4, 6, 6, 3)).astype(np.float32)
  flow[..., 1] = 0.1
  found = inner_products.normalise_flow(flow)
  assert (found[..., 1] == 0).all()
  closeness.assert_close(found.mean((1, 2)), np.zeros((4, 3)), 1e-6, scale=1)
  closeness.assert_close(found[..., 0].std((1, 2)), np.ones(4), 1e-6)
  other = inner_products.normalise_flow(flow * [2, 1, 5] + [9, 0, -3])
  closeness.assert_close(other[..., ::2], found[..., ::2], 1e-5)


def test_examples_that_are_all_the_same_have_no_spread():
  same = np.full((6, 4, 4, 3), 0.3, np.float32)
  for u_channel in (None, 0):
    products = inner_products.of_folds(same, u_channel)
    assert not products(np.arange(4), np.arange(4, 6)).has_spread
  same[0, 0, 0, 0] = 1
  assert inner_products.of_folds(same, 0)(
    np.arange(4), np.arange(4, 6)
  ).has_spread
