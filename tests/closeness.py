"""Comparisons whose tolerance is set against the scale of what is computed.

A sum is rounded by as much as its largest terms are, however small the result:
the gradient of a bias in front of a batch norm is zero in exact arithmetic and
1e-6 in float32, another 1e-6 on another processor. So a tolerance is a share of
the largest number around, never of each number itself.
"""

from __future__ import annotations

import collections
from typing import Any

import jax
import numpy as np


def assert_close(
  ours: Any,
  true: Any,
  tolerance: float,
  *,
  scale: float | None = None,
  err_msg: str = '',
) -> None:
  """Asserts that two arrays differ by less than `tolerance` times `scale`.

  Args:
    ours: the array to check.
    true: what it should be.
    tolerance: largest error, as a share of the scale.
    scale: size of the numbers that were computed with; the largest magnitude
      of `true` if None.
    err_msg: says which array it is.
  """
  scale = _largest([true]) if scale is None else scale
  np.testing.assert_allclose(
    ours, true, rtol=0, atol=tolerance * scale, err_msg=err_msg
  )


def assert_trees_close(ours: Any, true: Any, tolerance: float) -> None:
  """Asserts that two trees are close, each array on the scale of its layer.

  A layer is all arrays with the same parent: kernel and bias, or mean and
  variance.
  """
  assert jax.tree.structure(ours) == jax.tree.structure(true)
  leaves = jax.tree_util.tree_leaves_with_path(true)
  layers = collections.defaultdict(list)
  for path, leaf in leaves:
    layers[path[:-1]].append(leaf)
  for (path, leaf), mine in zip(leaves, jax.tree.leaves(ours), strict=True):
    assert_close(
      mine,
      leaf,
      tolerance,
      scale=_largest(layers[path[:-1]]),
      err_msg=jax.tree_util.keystr(path),
    )


def _largest(arrays: list[Any]) -> float:
  return max(
    (np.abs(np.asarray(x)).max() for x in arrays if np.size(x)), default=0.0
  )
