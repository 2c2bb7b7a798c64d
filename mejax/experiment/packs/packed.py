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
from collections.abc import Sequence
import dataclasses
import functools
import json
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

from mejax import files
from mejax import own_code
from mejax.corpora.faces import muscles
from mejax.evaluation import units as units_lib
from mejax.experiment import bounds
from mejax.experiment import model_checks
from mejax.experiment import resolve
from mejax.experiment import schema
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import packed_files
from mejax.experiment.packs import recipes
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.task import Clips
from mejax.training import augment
from mejax.training import sample as sample_lib

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
  def units(self) -> tuple[str, ...]:
    """The action units that it tells, beside the classes."""
    if told := self.about.get('units'):
      return tuple(told['names'])
    count = getattr(self.module, 'num_units', 0)
    if count == len(muscles.NAMES):
      return muscles.NAMES
    return tuple(map(str, range(count)))

  @property
  def thresholds(self) -> Float[np.ndarray, ' u']:
    """From which share on each of `units` is told; one half if not chosen."""
    if told := self.about.get('units'):
      return np.array(told['thresholds'], np.float64)
    return np.full(len(self.units), units_lib.HALF)

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
    each, _ = self._of_members(params, inputs)
    pooled = jax.nn.logsumexp(each, axis=0)
    return jax.nn.log_softmax(pooled / self.about['temperature'])

  def apply_units(
    self, params: PyTree, inputs: Num[Array | np.ndarray, 'b ...']
  ) -> Float[Array, 'b u']:
    """Returns how likely each of `units` is shown; not calibrated."""
    _, units = self._of_members(params, inputs)
    return jax.nn.sigmoid(units).mean(0)

  def _of_members(self, params, inputs):
    """Returns log probabilities [m, b, k] and logits of units [m, b, u]."""
    share = self.config.setting.test_mirror
    flip = augment.flip(self.layout) if share else None
    batch = sample_lib.decode(inputs)

    def apply_one(variables):
      logits, out = self.module.apply(variables, batch, train=False)
      units = out['units'] if self.units else jnp.zeros((logits.shape[0], 0))
      if flip:
        other, _ = self.module.apply(variables, flip(batch), train=False)
        logits = (1 - share) * logits + share * other
      # Spare outputs stand for no class.
      return jax.nn.log_softmax(logits[:, : len(self.classes)]), units

    with jax.default_matmul_precision(self.config.matmul_precision):
      # One after the other, so that many members need no more memory than one.
      return jax.lax.map(apply_one, params)

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
    return self._in_batches(self._jitted, inputs, len(self.classes))

  def predict_units(self, inputs: Num[np.ndarray, '...']) -> np.ndarray:
    """Returns how likely each of `units` is shown, f32[n, u].

    Nothing calibrates these numbers: they put clips into an order. A unit is
    told where it reaches its `thresholds`.
    """
    return self._in_batches(self._jitted_units, inputs, len(self.units))

  def _in_batches(self, function, inputs, width: int) -> np.ndarray:
    inputs = self.check_inputs(inputs)
    if not len(inputs):
      return np.zeros((0, width), np.float32)
    parts = []
    for start in range(0, len(inputs), _BATCH):
      # The last batch is filled up, so that there is one program.
      rows = np.arange(start, start + _BATCH)
      batch = inputs[np.minimum(rows, len(inputs) - 1)]
      found = np.asarray(function(self.params, jnp.asarray(batch)))
      parts.append(found[: len(inputs) - start])
    return np.concatenate(parts)

  @functools.cached_property
  def _jitted(self):
    return jax.jit(self.apply)

  @functools.cached_property
  def _jitted_units(self):
    return jax.jit(self.apply_units)

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

  def check_clips(
    self, clips: Clips, view: ml_collections.ConfigDict | None = None
  ) -> None:
    """Refuses clips that were not made as those of the training.

    Args:
      clips: the clips.
      view: the section of a config that made them; None if it is not known.

    Raises:
      ValueError: another recipe, view or level made them; the message lists
        every difference.
    """
    self.check_inputs(clips.inputs[:1])
    told, recipe = self.about['inputs'], self.about['recipe']
    there = {'levels': told['levels']}
    here = {'levels': list(clips.levels)}
    if view is not None:
      there['view'] = json.loads(self.config.view.to_json())
      here['view'] = json.loads(view.to_json())
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
  about = packed_files.read_description(folder)
  path = folder / packed_files.DESCRIPTION
  own_code.refuse_strange(
    about['config'], where=path, given=given, trust_code=trust_code
  )
  with files.reading(path, hint=packed_files.AGAIN):
    config = ml_collections.ConfigDict(
      schema.complete(about['config'], workdir_lib.SCHEMA_VERSION)
    )
    bounds.check(config)
    module = make_module(config, about)
    shapes = variable_shapes(module, about)
    _check_units(module, about)
  weights = packed_files.read_weights(folder / packed_files.WEIGHTS, shapes)
  params = jax.tree.map(jnp.asarray, weights)
  return Model(folder, module, params, about, config)


def _check_units(module: nn.Module, about: Mapping[str, Any]) -> None:
  """Raises ValueError if names of action units are not those of the module."""
  count = getattr(module, 'num_units', 0)
  if 'units' in about and len(about['units']['names']) != count:
    raise ValueError(f'it names other action units than the {count} it tells')


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
