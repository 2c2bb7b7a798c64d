"""PyTorch weights of the originals as ours, by an explicit table.

`from_pth` reads a file, `from_state` what it holds. A table says for every
entry of the original's `state_dict` where it lies in ours and how its axes are
exchanged. What the original makes but never reads has a name too, and is left
out. Anything else that does not fit is an error that lists all of it at once.

PyTorch is imported only to read a file: `pip install 'mejax[torch]'`.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import functools
import os
import pickle
from typing import Any
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import PyTree
import numpy as np

from mejax.models import originals

State = Mapping[str, np.ndarray]

# What PyTorch raises for a file that it cannot, or will not, read.
_DAMAGED = (
  pickle.UnpicklingError,
  RuntimeError,
  OSError,
  EOFError,
  ValueError,
  TypeError,
  AttributeError,
  LookupError,
)


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
  return from_state(name, read_pth(path), preset=preset, **fields)


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
  model = original.make(preset, **fields)
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


def read_pth(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """The arrays of a file that `torch.save(model.state_dict(), path)` wrote.

  Only tensors are read: a file that would run code is refused. The dict may lie
  under 'state_dict' or 'model', and its names may begin with 'module.'.

  Raises:
    ValueError: PyTorch is not installed, or this is no such file.
    OSError: the file cannot be read.
  """
  try:
    import torch
  except ImportError:
    raise ValueError(
      f"reading {path} needs PyTorch: pip install 'mejax[torch]'"
    ) from None
  with open(path, 'rb') as file:
    try:
      content = torch.load(file, map_location='cpu', weights_only=True)
    except _DAMAGED as error:
      reason = str(error).strip().partition('\n')[0]
      raise ValueError(
        f'{path} is damaged, or no file of weights alone ({reason}). Expected'
        ' is what torch.save(model.state_dict(), path) writes.'
      ) from None
  state = _unwrap(content)
  wrong = [key for key, x in state.items() if not isinstance(x, torch.Tensor)]
  if wrong or not state:
    raise ValueError(
      f'{path} holds no state_dict: {_listed(wrong) or "nothing"} came in the'
      ' place of tensors. Expected is what torch.save(model.state_dict(), path)'
      ' writes.'
    )
  return {key: _as_numpy(tensor) for key, tensor in state.items()}


def _as_numpy(tensor: Any) -> np.ndarray:
  tensor = tensor.detach()
  # NumPy has no bfloat16.
  return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _unwrap(content: Any) -> dict[str, Any]:
  """The innermost dict, without the prefix of `DataParallel`."""
  while isinstance(content, Mapping):
    nested = [
      content[key]
      for key in ('state_dict', 'model')
      if isinstance(content.get(key), Mapping)
    ]
    if not nested:
      break
    content = nested[0]
  if not isinstance(content, Mapping):
    return {type(content).__name__: None}
  state = {str(key): value for key, value in content.items()}
  prefix = 'module.'
  if state and all(key.startswith(prefix) for key in state):
    state = {key.removeprefix(prefix): value for key, value in state.items()}
  return state


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
    f'{len(names)} {what}: {_listed(names)}'
    for what, names in lists.items()
    if names
  ]


def _listed(names: Sequence[str], most: int = 12) -> str:
  more = f', and {len(names) - most} more' if len(names) > most else ''
  return ', '.join(names[:most]) + more
