"""Capabilities that a model declares, so that no caller has to guess them.

A model declares what differs from the defaults, as a class attribute or, where
it depends on a field, as a property:

    class Mine(nn.Module):
      capabilities = Capabilities(takes_mask=True)

A model that declares nothing has the defaults.
"""

from __future__ import annotations

import dataclasses

from flax import linen as nn


@dataclasses.dataclass(frozen=True)
class Capabilities:
  """The properties of a model that an experiment must know.

  Attributes:
    takes_mask: whether `__call__` takes `mask`, Bool [b], which marks the
      examples that count; the others only pad the batch. A model with batch
      statistics must hand it to every normalisation.
    levels: amplification of each level of the input, the model's field
      `levels`; where it is empty, it is filled with the levels of the data.
      None for a model whose input has no levels.
    spare_outputs: number of outputs beyond the classes, which no label uses.
    caution: a sentence that is shown with every result of the model.
    shows: the form in which `out` holds where the model looks, a name of
      `mejax.evaluation.attention.FORMS`; empty if it holds nothing of the kind.
  """

  takes_mask: bool = False
  levels: tuple[float, ...] | None = None
  spare_outputs: int = 0
  caution: str = ''
  shows: str = ''


def declared_by(model: nn.Module) -> Capabilities:
  """Returns what a model declares.

  Raises:
    ValueError: the declaration is of another type, or does not fit the fields
      of the model.
  """
  name = type(model).__name__
  found = getattr(model, 'capabilities', Capabilities())
  if not isinstance(found, Capabilities):
    raise ValueError(
      f'{name}.capabilities is a {type(found).__name__}; expected'
      ' mejax.models.capabilities.Capabilities, e.g.'
      ' Capabilities(takes_mask=True).'
    )
  fields = {field.name for field in dataclasses.fields(model)}
  if found.levels is not None and 'levels' not in fields:
    raise ValueError(
      f'{name} declares levels, but has no field for those of the data. Add'
      ' the field `levels: tuple[float, ...] = ()`, or declare levels=None.'
    )
  return found
