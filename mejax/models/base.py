"""The base class of the models, and what all of them decide alike."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import difflib
import inspect
import math
from typing import Any

import flax.linen as nn
from flax.typing import Dtype
import jax.numpy as jnp
from jaxtyping import Array

from mejax.models import capabilities

# Linen's own fields: a module takes them, but a config does not set them.
LINENS = ('parent', 'name')
# An axis of at most three, before two of at least eight, holds channels.
_MOST_CHANNELS = 3
_LEAST_SIDE = 8


class Model(nn.Module, kw_only=True):
  """A Linen module that names its fields if it is given one that it lacks.

  Attributes:
    dtype: what the model computes in, as in Flax: None for that to which the
      inputs and the parameters promote, or one of `dtypes.KNOWN`. Batch
      statistics, norms, softmax and logits are float32 or wider.
    param_dtype: what the parameters are kept in.
  """

  dtype: Dtype | None = None
  param_dtype: Dtype = jnp.float32

  def __new__(cls, *args: Any, **fields: Any) -> Model:
    # `__new__` runs before the dataclass's `__init__`, whose error names
    # neither the closest field nor the others.
    if wrong := unknown_field(cls, fields.keys() - set(LINENS)):
      raise TypeError(wrong)
    return super().__new__(cls)


def unknown_field(model: type[nn.Module], fields: Iterable[str]) -> str:
  """Returns sentences about a field that the model lacks; '' if it has all."""
  known = [field.name for field in dataclasses.fields(model)]
  known = [field for field in known if field not in LINENS]
  for field in fields:
    if field not in known:
      has_none = f'{model.__name__} has no field {field!r}.'
      return has_none + closest(field, known, 'fields')
  return ''


def closest(word: str, known: Sequence[str], what: str) -> str:
  """Returns sentences that suggest the closest name and list the known ones."""
  close = difflib.get_close_matches(word, known, n=1)
  meant = f' Did you mean {close[0]!r}?' if close else ''
  return f'{meant} Known {what}: {", ".join(known)}.'


def takes(function: Any, option: str) -> bool:
  """Returns whether a function, module or class of modules takes an option.

  Raises:
    ValueError: it is none of them.
  """
  if not callable(function):
    raise ValueError(
      f'{function!r} is no function. To give it by its name, make the model by'
      ' mejax.models.make.'
    )
  if inspect.isclass(function):
    function = function.__call__
  parameters = inspect.signature(function).parameters
  return option in parameters or any(
    parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()
  )


def settle_train(model: nn.Module, train: bool | None, *fields: str) -> bool:
  """Returns whether a model trains in this call.

  Args:
    model: the bound model.
    train: what the caller says; None if nothing.
    fields: fields of the model that may act in training alone: rates, and
      functions or modules, which do so if they take `train`.

  Returns:
    `train`; if it is None, False. The call that draws the weights does not
    train, and where nothing depends on `train` there is no difference.

  Raises:
    ValueError: `train` is None and the model depends on it.
  """
  if train is not None:
    return train
  if model.is_initializing():
    return False
  # Only batch statistics need the mask of the examples that count.
  reasons = []
  if capabilities.declared_by(model).takes_mask:
    reasons.append('batch statistics')
  for field in fields:
    value = getattr(model, field)
    if takes(value, 'train') if callable(value) else value:
      reasons.append(f'{field}={value}')
  if reasons:
    raise ValueError(
      f'{type(model).__name__} has {", ".join(reasons)}: call it with'
      ' train=True or train=False'
    )
  return False


def check_layout(model: nn.Module, inputs: Array, *, axes: int = 4) -> None:
  """Raises ValueError if images have their channels first, as in PyTorch.

  Args:
    model: the model, for the message.
    inputs: its input; one with fewer or more axes is wrong in another way.
    axes: how many axes the inputs of the model have.
  """
  if inputs.ndim != axes:
    return
  channels, *sides = inputs.shape[-3:]
  if channels <= _MOST_CHANNELS and min(sides) >= _LEAST_SIDE:
    raise ValueError(
      f'{type(model).__name__} got inputs of shape {inputs.shape}, with the'
      f' channels ({channels}) before the sides, as in PyTorch; here they are'
      ' the last axis: np.moveaxis(inputs, -3, -1)'
    )


def check_channels(
  model: nn.Module, inputs: Array, *path: str, places: int
) -> None:
  """Raises ValueError if the parameters were drawn for other channels.

  Args:
    model: the bound model.
    inputs: its input, channels last.
    *path: the first kernel of the model, whose last axis are its outputs.
    places: number of pixels that an output reads.
  """
  shape = initialised_shape(model, *path)
  if shape is None:
    return
  channels = math.prod(shape[:-1]) // places
  if inputs.shape[-1] != channels:
    raise ValueError(
      f'{type(model).__name__} got inputs of shape {inputs.shape}, with'
      f' {inputs.shape[-1]} channels; expected {channels}, with which its'
      ' parameters were initialised'
    )


def initialised_shape(model: nn.Module, *path: str) -> tuple[int, ...] | None:
  """Returns the shape of a parameter; None in the call that draws it."""
  found: Any = model.variables.get('params', {})
  for name in path:
    if name not in found:
      return None
    found = found[name]
  return found.shape
