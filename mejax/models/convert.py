"""PyTorch weights of the originals as ours, by an explicit table.

`from_pth` reads a file, `from_state` what it holds. A table says for every
entry of the original's `state_dict` where it lies in ours and how its axes are
exchanged. What the original makes but never reads has a name too, and is left
out. Anything else that does not fit is an error that lists all of it at once.

PyTorch is imported only to read a file: `pip install 'mejax[torch]'`.
"""

from __future__ import annotations

from collections.abc import Mapping
import functools
import os
from typing import Any
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import PyTree
import numpy as np

from mejax import models
from mejax import torch_weights
from mejax.models import originals

State = Mapping[str, np.ndarray]


class Converted(NamedTuple):
  """Weights of an original as ours.

  Attributes:
    model: the module that they belong to.
    variables: what `model.apply` takes.
    unused: names left out, because the original never reads them.
  """

  model: nn.Module
  variables: dict[str, PyTree]
  unused: tuple[str, ...]


def from_pth(
  name: str,
  path: str | os.PathLike,
  *,
  preset: str | None = None,
  **fields: Any,
) -> Converted:
  """Reads a `.pth` file of an original; see `from_state`.

  Raises:
    ValueError: PyTorch is not installed, the file is no `state_dict` that can
      be read without running code of it, or its entries do not fit.
    OSError: the file cannot be read.
  """
  return from_state(
    name, torch_weights.read_state_dict(path), preset=preset, **fields
  )


def from_state(
  name: str, state: State, *, preset: str | None = None, **fields: Any
) -> Converted:
  """Our model and variables from arrays under the original's names.

  Args:
    name: of `originals.ORIGINALS`.
    state: a `state_dict` as arrays.
    preset: of our model; the published one by default.
    **fields: of our model, in place of the preset's.

  Raises:
    ValueError: unknown model, or entries that are unknown, missing, of another
      shape or not finite; all of them are listed.
  """
  if name not in originals.ORIGINALS:
    raise ValueError(
      f'no table of names for {name!r}; there is one for'
      f' {", ".join(originals.ORIGINALS)}'
    )
  original = originals.ORIGINALS[name]
  preset = preset or original.preset
  model = models.make(name, preset, **fields)
  table = original.table(model)
  unused = tuple(entry for entry in state if original.never_reads(entry))
  known = {entry: state[entry] for entry in state if entry not in unused}
  like = _like(model, original.inputs(model))
  if problems := _problems(known, table, like):
    own = ', '.join(f'{key}={value!r}' for key, value in fields.items())
    raise ValueError(
      f'the weights do not fit {name}, preset {preset!r}{own and ", " + own}:'
      '\n  ' + '\n  '.join(problems) + '\nName the preset and the fields of'
      ' the model that they were trained in: --preset NAME --field KEY=VALUE.'
    )
  variables: dict[str, Any] = {}
  for entry, place in table.items():
    for path, value in place.ours(np.asarray(state[entry], np.float32)).items():
      *parents, leaf = path.split('/')
      branch = functools.reduce(
        lambda tree, key: tree.setdefault(key, {}), parents, variables
      )
      branch[leaf] = value
  return Converted(model, variables, unused)


def _like(model: nn.Module, inputs: tuple[int, ...]) -> PyTree:
  """Arrays of the shapes of the variables: one number each, broadcast."""
  shapes = jax.eval_shape(
    functools.partial(model.init, train=False),
    jax.random.key(0),
    jax.ShapeDtypeStruct((1, *inputs), jnp.float32),
  )
  return jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), shapes)


def _problems(state: State, table: originals.Table, like: PyTree) -> list[str]:
  """A line for each way in which the entries do not fit."""
  shapes, not_finite = [], []
  for entry in sorted(state.keys() & table.keys()):
    came, expected = state[entry], table[entry].shape(like)
    if came.shape != expected:
      shapes.append(f'{entry} {came.shape}, expected {expected}')
    elif not np.isfinite(came).all():
      not_finite.append(entry)
  lists = {
    'unknown': sorted(state.keys() - table.keys()),
    'missing': sorted(table.keys() - state.keys()),
    'of another shape': shapes,
    'not finite': not_finite,
  }
  return [
    f'{len(names)} {what}: {torch_weights.listed(names)}'
    for what, names in lists.items()
    if names
  ]
