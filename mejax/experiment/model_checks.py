"""Tells a model the levels of its data, and checks what it declares."""

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
  """Returns the model, told how much each level of its input is amplified.

  The data know that. It fills the field `levels` of a model that declares
  levels, unless the field is set.
  """
  if capabilities.declared_by(model).levels == ():
    return model.clone(levels=tuple(levels))
  return model


def check_model(model: nn.Module, task: Task) -> None:
  """Checks a model and its declaration on the shapes of one input.

  Raises:
    ValueError: it does not give a logit for each class and spare output, or
      does not take or show what it declares.
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


def output_shapes(
  model: nn.Module, clips: Clips
) -> tuple[jax.ShapeDtypeStruct, Any]:
  """Returns the shapes of logits and `out` for one clip; nothing is computed.

  Raises:
    ValueError: the model declares that it takes a mask, and does not.
  """
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
        f'{type(model).__name__} declares takes_mask=True, but cannot be called'
        f' with a mask ({error}). Add `mask=None` to its __call__, or leave the'
        ' declaration out.'
      ) from error
    raise
  return outputs
