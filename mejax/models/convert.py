"""Converts PyTorch weights of an original model to ours, by a table of names.

`from_pth` takes a file, `from_state` its content. For every entry of the
original's `state_dict` the table gives the place and the order of axes in our
model (see `originals`). Entries that the original creates but never reads are
left out. Any other misfit is an error, whose message lists all misfits.

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
  """A converted model.

  Attributes:
    model: our module.
    variables: the variables that `model.apply` takes.
    unused: entries that were left out because the original never reads them.
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
  """Converts a `.pth` file of an original; see `from_state`.

  Raises:
    ValueError: PyTorch is not installed, the file is not a `state_dict` that
      can be read without running code from it, or its entries do not fit.
    OSError: the file cannot be read.
  """
  return from_state(
    name, torch_weights.read_state_dict(path), preset=preset, **fields
  )


def from_state(
  name: str, state: State, *, preset: str | None = None, **fields: Any
) -> Converted:
  """Converts arrays under the original's names.

  Args:
    name: a name of `originals.ORIGINALS`.
    state: a `state_dict` as arrays.
    preset: preset of our model; the published one by default.
    **fields: fields of our model that differ from the preset's.

  Raises:
    ValueError: the model is unknown, or entries are unknown, missing, of
      another shape or not finite; all of them are listed.
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
  """Returns arrays with the shapes of the variables, which take no memory."""
  shapes = jax.eval_shape(
    functools.partial(model.init, train=False),
    jax.random.key(0),
    jax.ShapeDtypeStruct((1, *inputs), jnp.float32),
  )
  return jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), shapes)


def _problems(state: State, table: originals.Table, like: PyTree) -> list[str]:
  """Returns a line for each way in which the entries do not fit."""
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
