"""Lists the options of JAX that change the numbers of a training.

Each can be set by an environment variable, so two runs of one config may differ
although nothing in the config says why. A run records them and is not resumed
under others. The precision of matrix products is none of them: the config has
it, and it holds whatever JAX's own default is.
"""

from __future__ import annotations

import jax

OPTIONS = (
  'jax_default_prng_impl',
  'jax_enable_x64',
  'jax_high_dynamic_range_gumbel',
  'jax_numpy_dtype_promotion',
  'jax_random_seed_offset',
  'jax_softmax_custom_jvp',
  'jax_threefry_gpu_kernel_lowering',
  'jax_threefry_partitionable',
)


def check_precision(name: str) -> None:
  """Refuses a name that is no precision of matrix products.

  Raises:
    ValueError: JAX does not know it.
  """
  try:
    with jax.default_matmul_precision(name):
      pass
  except (TypeError, ValueError) as error:
    raise ValueError(f'matmul_precision is {name!r}: {error}.') from None


def read() -> dict[str, bool | int | str]:
  """Returns the present values; without options that this JAX does not have."""
  values = {
    name: getattr(jax.config, name)
    for name in OPTIONS
    if hasattr(jax.config, name)
  }
  # One of them is an enumeration, whose value is a text.
  return {
    name: getattr(value, 'value', value) for name, value in values.items()
  }
