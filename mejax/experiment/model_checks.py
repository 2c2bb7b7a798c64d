"""Gives a model the levels of its data, and checks its declarations."""

from __future__ import annotations

from collections.abc import Sequence
import functools
from typing import Any

from flax import linen as nn
import jax

from mejax.evaluation import attention
from mejax.experiment.task import Clips
from mejax.experiment.task import Task
from mejax.models import capabilities
from mejax.training import sample


def fill_levels(model: nn.Module, levels: Sequence[float]) -> nn.Module:
  """Returns the model with the amplification of each level of its input.

  The field `levels` is filled only if the model declares levels and the field
  is not set.
  """
  if capabilities.declared_by(model).levels == ():
    return model.clone(levels=tuple(levels))
  return model


def check_model(model: nn.Module, task: Task) -> None:
  """Checks a model and its declarations on the shape of one input.

  Raises:
    ValueError: the model does not return a logit for each class and spare
      output, takes no mask although it declares one, or does not show what it
      declares.
  """
  declared = capabilities.declared_by(model)
  logits, out = output_shapes(model, task)
  expected = (1, len(task.class_names) + declared.spare_outputs)
  if logits.shape != expected:
    raise ValueError(
      f'{type(model).__name__} gives logits of shape {logits.shape} for one'
      f' example; expected {expected}, for the classes'
      f' {", ".join(task.class_names)}. Set its num_classes, or declare its'
      ' spare_outputs (mejax.models.capabilities).'
    )
  attention.list_maps(out, declared.shows, declared.levels or ())


def check_units(model: nn.Module, task: Task) -> None:
  """Checks that a model tells the action units that its data have.

  Raises:
    ValueError: the data have none, or the model tells none or another number.
  """
  if 'units' not in task.extra:
    raise ValueError(
      'setting.units trains action units, which these data do not tell: use'
      ' `mejax pretrain`, or a protocol that reads them from sheets, such as'
      ' cd6me, or set it to 0.'
    )
  expected = (1, *task.extra['units'].shape[1:])
  _, out = output_shapes(model, task)
  if 'units' not in out or out['units'].shape != expected:
    raise ValueError(
      f'setting.units trains {expected[1]} action units, but'
      f' {type(model).__name__} does not tell as many. Set model.num_units, or'
      ' setting.units=0.'
    )


def output_shapes(
  model: nn.Module, clips: Clips
) -> tuple[jax.ShapeDtypeStruct, Any]:
  """Returns the shapes of logits and `out` for one clip; computes nothing.

  Raises:
    ValueError: the model declares that it takes a mask, but does not; or it is
      called in another way than a model of mejax, or returns something else.
  """
  name = type(model).__name__
  shape = (1, *clips.inputs.shape[1:])
  inputs = jax.ShapeDtypeStruct(shape, clips.inputs.dtype)
  takes_mask = capabilities.declared_by(model).takes_mask
  mask = jax.ShapeDtypeStruct((1,), bool)
  try:
    outputs, _ = jax.eval_shape(
      functools.partial(model.init_with_output, train=False),
      jax.random.key(0),
      jax.eval_shape(sample.decode, inputs),
      **({'mask': mask} if takes_mask else {}),
    )
  except TypeError as error:
    if takes_mask and "'mask'" in str(error):
      raise ValueError(
        f'{name} declares takes_mask=True, but cannot be called'
        f' with a mask ({error}). Add `mask=None` to its __call__, or leave the'
        ' declaration out.'
      ) from error
    if "'train'" in str(error):
      raise ValueError(
        f'{name} cannot be told whether it trains ({error}). A model is called'
        ' as model(inputs, train=...): add `*, train` to its __call__.'
      ) from error
    raise
  if not isinstance(outputs, tuple) or len(outputs) != 2:
    raise ValueError(
      f'{name} returns {type(outputs).__name__}; expected the logits and a dict'
      ' of what else may be looked at: `return logits, {}`.'
    )
  return outputs
