"""The files of a saved model, each of which is checked before it is used."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import hashlib
import json
import math
import os
import pathlib
from typing import Any

from flax import traverse_util
import jax
from jaxtyping import PyTree
import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from mejax import files
from mejax import forms
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import seen as seen_lib

KIND = 'saved model of mejax'
SCHEMA_VERSION = 1
DESCRIPTION, WEIGHTS = 'model.json', 'weights.safetensors'
EXPORTED, CARD = 'model.jax', 'MODEL.md'
FILES = (DESCRIPTION, WEIGHTS, EXPORTED, CARD)
AGAIN = 'Get the folder again, or write it by `mejax pack RUN --out DIR`.'
_INPUTS = {
  'shape': [int],
  'dtype': str,
  'levels': [forms.NUMBER],
  'layout': {
    'kind': str,
    'levels': int,
    'u_channel': (int, type(None)),
    'centred': bool,
    'windows': bool,
  },
}
_FORM = {
  'classes': [str],
  'inputs': _INPUTS,
  'config': dict,
  'recipe': dict,
  'members': [{'seed': int, 'everybody': bool}],
  'epoch': int,
  'temperature': forms.NUMBER,
  # Models of mejax 0.2 and older have no thresholds.
  'units?': {
    'names': [str],
    'thresholds': [forms.NUMBER],
    'mean': {str: (float, int, type(None))},
    'chosen': str,
  },
  'seen': seen_lib.FORM,
  'data': dict,
  'scores': dict,
  'not_for': [str],
  'licences': [str],
  'versions': {str: str},
  'sha256': {str: str},
}


def is_model(folder: str | os.PathLike) -> bool:
  """Returns whether a folder holds a saved model, or what is left of one."""
  folder = pathlib.Path(folder)
  return any((folder / name).exists() for name in (WEIGHTS, EXPORTED, CARD))


def read_description(folder: pathlib.Path) -> dict[str, Any]:
  """Reads `model.json`, and compares the other files with their digests.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: a file is damaged or was changed, or the folder is of another
      kind or version.
  """
  about = read_signed(folder, kind=KIND, version=SCHEMA_VERSION, form=_FORM)
  with files.reading(folder / DESCRIPTION, hint=AGAIN):
    _check_values(about)
  return about


def read_signed(
  folder: pathlib.Path, *, kind: str, version: int, form: forms.Form
) -> dict[str, Any]:
  """Reads the description of any saved model; all files have their digests.

  Args:
    folder: where it lies.
    kind, version: what the description has to say of itself.
    form: of its content.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: a file is damaged or was changed, or the folder is of another
      kind or version.
  """
  if not folder.is_dir():
    raise FileNotFoundError(f'{folder} is no folder of a {kind}.')
  files.refuse_links(folder)
  path = folder / DESCRIPTION
  about = files.read_json(path, hint=AGAIN)
  if about.get('kind') != kind:
    found = str(about.get('kind', 'nameless thing'))[:60]
    raise ValueError(
      f'{path} is that of a {found}; expected a {kind}, as `mejax pack` writes'
      ' it.'
    )
  if about.get('schema_version') != version:
    raise ValueError(
      f'{folder} has schema {about.get("schema_version")}; this mejax reads'
      f' {version}.'
    )
  with files.reading(path, hint=AGAIN):
    if about.pop('digest', '') != digest(about):
      raise ValueError('its content is not that of its digest')
    forms.check(about, form)
  # In the card anybody may write. A model that JAX cannot export has no
  # function for other places.
  for name in (WEIGHTS, *sorted(about['sha256'].keys() & {EXPORTED})):
    with files.reading(folder / name, hint=AGAIN):
      if sha256(folder / name) != about['sha256'].get(name):
        raise ValueError(f'its digest is not that in {DESCRIPTION}')
  return about


def check_out(folder: pathlib.Path, *, kind: str) -> None:
  """Refuses a folder that cannot be written, or holds anything but a model.

  Args:
    folder: where a model will be written.
    kind: of the model; one of another kind is not replaced.

  Raises:
    ValueError, OSError: see `files.check_replaceable`, `files.check_writable`;
      also if it holds a model of another kind.
  """
  files.check_replaceable(
    folder, marker=DESCRIPTION, names=FILES, what='files of a saved model'
  )
  if (folder / DESCRIPTION).exists():
    hint = f'Delete {folder} to write another model there.'
    found = files.read_json(folder / DESCRIPTION, hint=hint).get('kind')
    if found != kind:
      raise ValueError(
        f'{folder} holds a {str(found)[:60]}, which a {kind} would replace.'
        ' Choose another folder.'
      )
  files.check_writable(folder.parent, flag='--out')


def write(
  folder: pathlib.Path,
  about: dict[str, Any],
  arrays: Mapping[str, np.ndarray],
  exported: bytes | bytearray,
  render: Callable[[Mapping[str, Any]], str],
) -> None:
  """Writes the folder of a saved model, whole or not at all.

  Args:
    folder: the folder; an older one is replaced.
    about: the content of `model.json`, which gets the digests.
    arrays: the weights by path.
    exported: content of `model.jax`; there is none if it is empty.
    render: `about` -> the Markdown of the card.
  """
  with files.replacing(folder) as partial:
    with files.writing(partial / WEIGHTS, 'wb') as file:
      file.write(safetensors_numpy.save(dict(arrays)))
    if exported:
      with files.writing(partial / EXPORTED, 'wb') as file:
        file.write(exported)
    about['sha256'] = {
      path.name: sha256(path) for path in sorted(partial.iterdir())
    }
    about['digest'] = digest(about)
    workdir_lib.write_json(partial / DESCRIPTION, about)
    with files.writing(partial / CARD) as file:
      file.write(render(about))


def _check_values(about: Mapping[str, Any]) -> None:
  """Raises an error if values of model.json make no sense."""
  inputs, temperature = about['inputs'], about['temperature']
  if not inputs['shape'] or min(inputs['shape']) < 1:
    raise ValueError(f'inputs.shape is {inputs["shape"]}')
  if inputs['dtype'] not in ('float32', 'uint8'):
    raise ValueError(f'inputs.dtype is {inputs["dtype"]!r}')
  if not 0 < temperature < math.inf:
    raise ValueError(f'temperature is {temperature}')
  if 'units' in about:
    _check_units(about['units'])
  if not about['members']:
    raise ValueError('it has no members')
  classes = about['classes']
  if not classes or len(set(classes)) < len(classes):
    raise ValueError(f'classes are {classes}')


def _check_units(told: Mapping[str, Any]) -> None:
  names, thresholds = told['names'], told['thresholds']
  if not names or len(set(names)) < len(names):
    raise ValueError(f'action units are {names}')
  if len(thresholds) != len(names) or not all(0 <= x <= 1 for x in thresholds):
    raise ValueError(f'thresholds of action units are {thresholds}')


def read_weights(
  path: pathlib.Path, shapes: Mapping[str, jax.ShapeDtypeStruct]
) -> PyTree:
  """Reads arrays of known names, shapes and types.

  Raises:
    ValueError: they have others, or the file is damaged.
  """
  with files.reading(path, hint=AGAIN):
    with safetensors.safe_open(path, 'numpy') as file:
      names = set(file.keys())
      for name in sorted(names ^ shapes.keys()):
        there = 'and the model has none' if name in names else 'is missing'
        raise ValueError(f'{name} {there}')
      # Before any is read: the header may claim anything.
      for name, each in shapes.items():
        shape = file.get_slice(name).get_shape()
        if tuple(shape) != each.shape:
          raise ValueError(
            f'{name} has shape {shape}; expected {list(each.shape)}'
          )
      arrays = {name: file.get_tensor(name) for name in shapes}
    for name, array in arrays.items():
      if array.dtype != shapes[name].dtype:
        raise ValueError(
          f'{name} is {array.dtype}; expected {shapes[name].dtype}'
        )
  return traverse_util.unflatten_dict(arrays, sep='/')


def digest(about: Mapping[str, Any]) -> str:
  """Returns the digest of the content of `model.json` but the digest itself."""
  content = json.dumps(about, sort_keys=True)
  return hashlib.sha256(content.encode()).hexdigest()


def sha256(path: pathlib.Path) -> str:
  """Returns the SHA-256 of a file."""
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
