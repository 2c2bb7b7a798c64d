"""Exports the function of a saved model, for places that have only JAX."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
from typing import Any

import jax
from jax import export as jax_export

from mejax.experiment.packs import packed_files

_PLATFORMS = ('cpu', 'cuda', 'tpu')


def export(
  probabilities: Callable[[Mapping[str, Any], Any], Any],
  weights: Mapping[str, jax.ShapeDtypeStruct],
  *,
  shape: Sequence[int],
  dtype: str,
) -> bytearray:
  """Returns `model.jax`: a function (weights by path, inputs) -> probabilities.

  Weights are an argument, so that they are not stored twice. A model of the
  user's own may be no function of batches of any size; then nothing is
  returned, and the reason is printed.

  Args:
    probabilities: the function.
    weights: shape and type of each array.
    shape, dtype: of one input.
  """
  (b,) = jax_export.symbolic_shape('b')
  inputs = jax.ShapeDtypeStruct((b, *shape), dtype)
  try:
    with _without_folders():
      exported = jax_export.export(
        jax.jit(probabilities), platforms=_PLATFORMS
      )(dict(weights), inputs)
  # Of JAX, or of code of the user's own: anything may come.
  except Exception as error:
    reason = str(error).partition('\n')[0] or type(error).__name__
    print(
      f'{packed_files.EXPORTED} is left out, because the model cannot be'
      f' exported for batches of any size: {reason}. In its code write'
      ' x.shape[0] for len(x).'
    )
    return bytearray()
  return exported.serialize()


@contextlib.contextmanager
def _without_folders() -> Iterator[None]:
  """Keeps the folders of this machine out of a program that is given away.

  JAX notes for each operation the file of the code that asked for it.
  """
  name = 'jax_hlo_source_file_canonicalization_regex'
  before = getattr(jax.config, name)
  jax.config.update(name, r'.*[/\\]')
  try:
    yield
  finally:
    jax.config.update(name, before)
