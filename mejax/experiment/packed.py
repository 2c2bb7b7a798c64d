"""Reads a saved model: a folder that holds all that its use needs.

    model.json           what it reads and says, whom it has seen, its scores
    weights.safetensors  the variables of all members, on the first axis
    model.jax            its function for places that have only JAX
    MODEL.md             the card, for people

`packing.pack` writes it. Several members, such as seeds or folds, are one
model: the mean of their probabilities, with one temperature for it (Rahaman and
Thiery 2021, "Uncertainty Quantification and Deep Ensembles": first pool, then
calibrate).
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import functools
import hashlib
import json
import math
import os
import pathlib
from typing import Any

from flax import linen as nn
from flax import traverse_util
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Num
from jaxtyping import PyTree
import ml_collections
import numpy as np
import safetensors

from mejax import files
from mejax import forms
from mejax import own_code
from mejax.experiment import bounds
from mejax.experiment import model_checks
from mejax.experiment import recipes
from mejax.experiment import resolve
from mejax.experiment import schema
from mejax.experiment import seen as seen_lib
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.task import Clips
from mejax.training import augment
from mejax.training import sample as sample_lib

KIND = 'saved model of mejax'
SCHEMA_VERSION = 1
DESCRIPTION, WEIGHTS = 'model.json', 'weights.safetensors'
EXPORTED, CARD = 'model.jax', 'MODEL.md'
FILES = (DESCRIPTION, WEIGHTS, EXPORTED, CARD)
_AGAIN = 'Get the folder again, or write it by `mejax pack RUN --out DIR`.'
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
  'seen': seen_lib.FORM,
  'data': dict,
  'scores': dict,
  'not_for': [str],
  'licences': [str],
  'versions': {str: str},
  'sha256': {str: str},
}
_BATCH = 64


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
  """A saved model.

  Attributes:
    folder: where it lies.
    module: the Linen module that all members share.
    params: the variables of all members, on the first axis of each array.
    about: the content of `model.json`.
    config: the complete config of the training.
  """

  folder: pathlib.Path
  module: nn.Module
  params: PyTree
  about: Mapping[str, Any]
  config: ml_collections.ConfigDict

  @property
  def classes(self) -> tuple[str, ...]:
    """The name of each class."""
    return tuple(self.about['classes'])

  @property
  def seen(self) -> seen_lib.Seen:
    """Whom the model has seen."""
    return seen_lib.from_json(self.about['seen'])

  @property
  def layout(self) -> sample_lib.Layout:
    """What is known of its inputs."""
    return sample_lib.Layout(**self.about['inputs']['layout'])

  def apply(
    self, params: PyTree, inputs: Num[Array | np.ndarray, 'b ...']
  ) -> Float[Array, 'b k']:
    """Returns calibrated log probabilities; a pure function.

    Args:
      params: `self.params`, or other values of the same shapes.
      inputs: as the view made them; see `about['inputs']`.
    """
    share = self.config.setting.test_mirror
    flip = augment.flip(self.layout) if share else None
    batch = sample_lib.decode(inputs)

    def apply_one(variables):
      logits, _ = self.module.apply(variables, batch, train=False)
      if flip:
        other, _ = self.module.apply(variables, flip(batch), train=False)
        logits = (1 - share) * logits + share * other
      # Spare outputs stand for no class.
      return jax.nn.log_softmax(logits[:, : len(self.classes)])

    with jax.default_matmul_precision(self.config.matmul_precision):
      # One after the other, so that many members need no more memory than one.
      each = jax.lax.map(apply_one, params)
    pooled = jax.nn.logsumexp(each, axis=0)
    return jax.nn.log_softmax(pooled / self.about['temperature'])

  def predict(self, inputs: Num[np.ndarray, '...']) -> np.ndarray:
    """Returns the calibrated probability of each class, f32[n, k].

    Args:
      inputs: as `apply` takes them; any number of them.

    Raises:
      ValueError: they have another shape or type, or are not finite.
    """
    return np.exp(self.log_probabilities(inputs))

  def log_probabilities(self, inputs: Num[np.ndarray, '...']) -> np.ndarray:
    """Returns the logarithm of `predict`, which is finite."""
    inputs = self.check_inputs(inputs)
    if not len(inputs):
      return np.zeros((0, len(self.classes)), np.float32)
    parts = []
    for start in range(0, len(inputs), _BATCH):
      # The last batch is filled up, so that there is one program.
      rows = np.arange(start, start + _BATCH)
      batch = inputs[np.minimum(rows, len(inputs) - 1)]
      found = np.asarray(self._jitted(self.params, jnp.asarray(batch)))
      parts.append(found[: len(inputs) - start])
    return np.concatenate(parts)

  @functools.cached_property
  def _jitted(self):
    return jax.jit(self.apply)

  def check_inputs(self, inputs: Num[np.ndarray, '...']) -> np.ndarray:
    """Returns inputs in the type that the model reads, or refuses them.

    Raises:
      ValueError: they have another shape or type, or are not finite.
    """
    inputs, told = np.asarray(inputs), self.about['inputs']
    shape, is_frames = told['shape'], told['dtype'] == 'uint8'
    fits = (inputs.dtype == np.uint8) == is_frames and inputs.dtype.kind in 'fu'
    if list(inputs.shape[1:]) != shape or not inputs.ndim or not fits:
      raise ValueError(
        f'inputs are {inputs.dtype}{list(inputs.shape)}; the model in'
        f' {self.folder} reads {told["dtype"]}[n, {", ".join(map(str, shape))}]'
      )
    if not is_frames and not np.isfinite(inputs).all():
      raise ValueError('inputs are not finite.')
    return inputs if is_frames else inputs.astype(np.float32)

  def check_clips(self, clips: Clips) -> None:
    """Refuses clips that were not made as those of the training.

    Raises:
      ValueError: another recipe, view or level made them; the message lists
        every difference.
    """
    self.check_inputs(clips.inputs[:1])
    told, recipe = self.about['inputs'], self.about['recipe']
    there = {'levels': told['levels']}
    here = {'levels': list(clips.levels)}
    # Arrays of the user's own have neither a recipe nor a layout.
    if recipe and clips.dataset:
      there['recipe'] = recipes.compared(recipe)
      here['recipe'] = recipes.of(clips.dataset)
    if self.layout.kind and clips.layout.kind:
      there['layout'] = told['layout']
      here['layout'] = dataclasses.asdict(clips.layout)
    files.refuse_other(
      self.folder,
      there,
      here,
      what='a model for inputs that are made otherwise',
      hint='Prepare the dataset, and choose the view, as model.json says under'
      ' "recipe" and "config".',
    )


def is_model(folder: str | os.PathLike) -> bool:
  """Returns whether a folder holds a saved model, or what is left of one."""
  folder = pathlib.Path(folder)
  return any((folder / name).exists() for name in (WEIGHTS, EXPORTED, CARD))


def load_model(
  folder: str | os.PathLike,
  *,
  given: Collection[str] = (),
  trust_code: bool = False,
) -> Model:
  """Reads a saved model.

  Args:
    folder: a folder that `mejax pack` wrote.
    given: names of code, `package.module:name`, that you have given yourself.
    trust_code: whether all code that the folder names may be imported and run.

  Raises:
    FileNotFoundError: a file is missing.
    ValueError: a file is damaged, was changed, does not fit the others, is of
      another version, or names code that is not trusted.
  """
  folder = pathlib.Path(folder)
  if not folder.is_dir():
    raise FileNotFoundError(f'{folder} is no folder of a saved model.')
  files.refuse_links(folder)
  path = folder / DESCRIPTION
  about = files.read_json(path, hint=_AGAIN)
  _check_kind(folder, about)
  with files.reading(path, hint=_AGAIN):
    if about.pop('digest', '') != digest(about):
      raise ValueError('its content is not that of its digest')
    forms.check(about, _FORM)
    _check_values(about)
  # In the card anybody may write. A model that JAX cannot export has no
  # function for other places.
  for name in (WEIGHTS, *sorted(about['sha256'].keys() & {EXPORTED})):
    with files.reading(folder / name, hint=_AGAIN):
      if sha256(folder / name) != about['sha256'].get(name):
        raise ValueError(f'its digest is not that in {DESCRIPTION}')
  own_code.refuse_strange(
    about['config'], where=path, given=given, trust_code=trust_code
  )
  with files.reading(path, hint=_AGAIN):
    config = ml_collections.ConfigDict(
      schema.complete(about['config'], workdir_lib.SCHEMA_VERSION)
    )
    bounds.check(config)
    module = make_module(config, about)
    shapes = variable_shapes(module, about)
  params = _read_weights(folder / WEIGHTS, shapes)
  return Model(folder, module, params, about, config)


def _check_kind(folder: pathlib.Path, about: Mapping[str, Any]) -> None:
  if about.get('kind') != KIND:
    raise ValueError(
      f'{folder / DESCRIPTION} is not that of a saved model, as `mejax pack`'
      ' writes it.'
    )
  if about.get('schema_version') != SCHEMA_VERSION:
    raise ValueError(
      f'{folder} has schema {about.get("schema_version")}; this mejax reads'
      f' {SCHEMA_VERSION}.'
    )


def _check_values(about: Mapping[str, Any]) -> None:
  """Raises an error if values of model.json make no sense."""
  inputs, temperature = about['inputs'], about['temperature']
  if not inputs['shape'] or min(inputs['shape']) < 1:
    raise ValueError(f'inputs.shape is {inputs["shape"]}')
  if inputs['dtype'] not in ('float32', 'uint8'):
    raise ValueError(f'inputs.dtype is {inputs["dtype"]!r}')
  if not 0 < temperature < math.inf:
    raise ValueError(f'temperature is {temperature}')
  if not about['members']:
    raise ValueError('it has no members')
  classes = about['classes']
  if not classes or len(set(classes)) < len(classes):
    raise ValueError(f'classes are {classes}')


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
  told = about['inputs']
  blank = jax.ShapeDtypeStruct((1, *told['shape']), told['dtype'])
  one = jax.eval_shape(
    lambda key, inputs: module.init(
      key, sample_lib.decode(inputs), train=False
    ),
    jax.random.key(0),
    blank,
  )
  count = len(about['members'])
  return {
    name: jax.ShapeDtypeStruct((count, *each.shape), each.dtype)
    for name, each in flat(one).items()
  }


def flat(variables: PyTree) -> dict[str, Any]:
  """Returns the arrays of variables by path, as `params/head/kernel`."""
  return traverse_util.flatten_dict(variables, sep='/')


def _read_weights(
  path: pathlib.Path, shapes: Mapping[str, jax.ShapeDtypeStruct]
) -> PyTree:
  """Reads arrays of known names, shapes and types."""
  with files.reading(path, hint=_AGAIN):
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
  arrays = {name: jnp.asarray(array) for name, array in arrays.items()}
  return traverse_util.unflatten_dict(arrays, sep='/')


def digest(about: Mapping[str, Any]) -> str:
  """Returns the digest of the content of `model.json` but the digest itself."""
  content = json.dumps(about, sort_keys=True)
  return hashlib.sha256(content.encode()).hexdigest()


def sha256(path: pathlib.Path) -> str:
  """Returns the SHA-256 of a file."""
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()
