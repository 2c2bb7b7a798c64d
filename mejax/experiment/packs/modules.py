"""Makes the module of a saved model, and tells the shapes of its variables."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from flax import linen as nn
from flax import traverse_util
import jax
from jaxtyping import PyTree
import ml_collections

from mejax.experiment import model_checks
from mejax.experiment import resolve
from mejax.training import sample as sample_lib


def make_module(
  config: ml_collections.ConfigDict, about: Mapping[str, Any]
) -> nn.Module:
  """Makes the module that a config names, for the inputs of a model."""
  module = resolve.make_model(config, len(about['classes']))
  return model_checks.fill_levels(module, about['inputs']['levels'])


def variable_shapes(
  module: nn.Module, about: Mapping[str, Any]
) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns the shape of each array in the file of weights, by its path."""
  told, count = about['inputs'], len(about['members'])
  return {
    name: jax.ShapeDtypeStruct((count, *each.shape), each.dtype)
    for name, each in shapes_of(module, told['shape'], told['dtype']).items()
  }


def shapes_of(
  module: nn.Module, shape: Sequence[int], dtype: Any
) -> dict[str, jax.ShapeDtypeStruct]:
  """Returns the shapes of a module's variables by path; computes nothing.

  Args:
    module: the module.
    shape: of one input.
    dtype: of the inputs.
  """
  variables = jax.eval_shape(
    lambda key, x: module.init(key, sample_lib.decode(x), train=False),
    jax.random.key(0),
    jax.ShapeDtypeStruct((1, *shape), dtype),
  )
  return flat(variables)


def flat(variables: PyTree) -> dict[str, Any]:
  """Returns the arrays of variables by path, as `params/head/kernel`."""
  return traverse_util.flatten_dict(variables, sep='/')


def unflat(arrays: Mapping[str, Any]) -> PyTree:
  """Returns the variables of `flat`."""
  return traverse_util.unflatten_dict(arrays, sep='/')
