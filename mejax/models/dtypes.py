"""The dtypes of a model: of what it computes, and of its parameters.

Every model has the fields `dtype` and `param_dtype` with Flax's meaning, and
hands them to its layers as one value. Whatever they are, batch statistics, the
inside of norms and of softmax, and the logits are float32 or wider.
"""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

import flax.linen as nn
from flax.typing import Dtype
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Shaped
import numpy as np

KNOWN = ('bfloat16', 'float16', 'float32', 'float64')


class DTypes(NamedTuple):
  """The dtypes of a layer.

  Attributes:
    dtype: what it computes in; None for that to which its input and its
      parameters promote.
    param_dtype: what its parameters are kept in.
  """

  dtype: Dtype | None = None
  param_dtype: Dtype = jnp.float32

  @property
  def wide(self) -> DTypes:
    """The same, but what is computed is float32 or wider."""
    return self._replace(dtype=widen(self.dtype))

  def of(self, *arrays: Array) -> np.dtype:
    """Returns the dtype in which a layer of these arrays computes."""
    dtype = nn.dtypes.canonicalize_dtype(*arrays, dtype=self.dtype)
    return jnp.dtype(dtype)


# As Flax's layers, which a model's own layers are unless it says otherwise.
DEFAULT = DTypes()


def widen(dtype: Dtype) -> np.dtype:
  """Returns float32, or the dtype itself if it is wider."""
  return jnp.promote_types(dtype, jnp.float32)


def settle(
  inputs: Shaped[Array | np.ndarray, '...'],
  dtype: Dtype | None,
  param_dtype: Dtype,
) -> tuple[Array, DTypes]:
  """Converts the inputs of a model to the dtype in which it computes.

  Args:
    inputs: images of any real dtype, whole numbers too.
    dtype: the model's field; None for that to which the inputs and
      `param_dtype` promote.
    param_dtype: the model's field.

  Returns:
    The inputs, and the dtypes of the model's layers.

  Raises:
    ValueError: a dtype is not one of `KNOWN`, or is float64 while JAX does not
      have it switched on.
  """
  param_dtype = _checked(param_dtype, 'param_dtype')
  if dtype is None:
    dtype = jnp.result_type(inputs, param_dtype)
  dtype = _checked(dtype, 'dtype')
  return jnp.asarray(inputs, dtype), DTypes(dtype, param_dtype)


def _checked(dtype: Any, field: str) -> np.dtype:
  try:
    # NumPy takes None for float64.
    found = jnp.dtype('' if dtype is None else dtype)
  except TypeError:
    found = None
  if found is None or found.name not in KNOWN:
    raise ValueError(f'{field} is {dtype!r}; expected {", ".join(KNOWN)}')
  # JAX would compute in float32 instead, with a warning.
  if jax.dtypes.canonicalize_dtype(found) != found:
    raise ValueError(
      f'{field} is {found.name}, which JAX has switched off; set'
      " jax.config.update('jax_enable_x64', True) or JAX_ENABLE_X64=1"
    )
  return found
