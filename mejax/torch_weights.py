"""Reads PyTorch weight files: only tensors are read, and no code is run.

PyTorch is imported only when a file is read: `pip install 'mejax[torch]'`.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import os
import pickle
from typing import Any
import zipfile

import numpy as np

from mejax import limits

# Errors for a file that PyTorch cannot, or will not, read.
_DAMAGED = (
  pickle.UnpicklingError,
  zipfile.BadZipFile,
  RuntimeError,
  OSError,
  EOFError,
  ValueError,
  TypeError,
  AttributeError,
  LookupError,
)


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """Reads a file that `torch.save(model.state_dict(), path)` wrote.

  Only tensors are read; a file that would run code is refused. The dict may be
  nested under 'state_dict' or 'model', and its names may begin with 'module.'.

  Returns:
    An array for each name.

  Raises:
    ValueError: PyTorch is not installed, or the file holds something else.
    OSError: the file cannot be read.
  """
  try:
    import torch
  except ImportError:
    raise ValueError(
      f"reading {path} needs PyTorch: pip install 'mejax[torch]'"
    ) from None
  with limits.open_file(path) as file:
    try:
      if zipfile.is_zipfile(file):
        limits.check_unpacked(file, limits.LARGEST_ARRAYS)
      file.seek(0)
      content = torch.load(file, map_location='cpu', weights_only=True)
    except _DAMAGED as error:
      reason = str(error).strip().partition('\n')[0]
      raise ValueError(
        f'{path} is damaged, or holds more than weights ({reason}). Expected a'
        ' file that torch.save(model.state_dict(), path) wrote.'
      ) from None
  state = _unwrap(content)
  wrong = [key for key, x in state.items() if not isinstance(x, torch.Tensor)]
  if wrong or not state:
    raise ValueError(
      f'{path} holds no state_dict: it has {listed(wrong) or "nothing"} instead'
      ' of tensors. Expected a file that torch.save(model.state_dict(), path)'
      ' wrote.'
    )
  return {key: _as_numpy(tensor) for key, tensor in state.items()}


def _as_numpy(tensor: Any) -> np.ndarray:
  tensor = tensor.detach()
  # NumPy has no bfloat16.
  return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _unwrap(content: Any) -> dict[str, Any]:
  """Returns the innermost dict, its names without the `DataParallel` prefix."""
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


def listed(names: Sequence[str], most: int = 12) -> str:
  """Lists the first `most` names, and the number of the others."""
  more = f', and {len(names) - most} more' if len(names) > most else ''
  return ', '.join(names[:most]) + more
