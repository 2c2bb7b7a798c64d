"""The numbers that may differ between trainings of one compiled program.

Each number is defined here once: its name, default, bounds and meaning, and, if
it drives an augmentation, the random stream of that augmentation. Everything
else follows from these fields: the sections `setting` and `grid` of a config,
the check of bounds, `mejax train --help` and the list of augmentations.

To add a number, add a field to `Setting` and use it where it has its effect: in
`trial.py` under `if 'its_name' in self.in_use`. If it drives an augmentation,
write a function of the same name in `augment.py` or `augment_frames.py`.

This module does not import JAX, so that `mejax train` can report an error in a
config before that import, which takes seconds. `trial.py` registers `Setting`
as a pytree.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import itertools
import math
import numbers
import textwrap
from typing import Any

# A float in a config; an array while JAX traces.
Value = Any
# A mapping from names, but the sections of a config are not `Mapping`s.
Section = Any


def _number(
  default: float,
  meaning: str,
  *,
  largest: float = math.inf,
  stream: int | None = None,
) -> Any:
  """Makes the field of a number; see `Number` for the arguments."""
  metadata = {'meaning': meaning, 'largest': largest, 'stream': stream}
  return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Setting:
  """The numbers of one training; each field says what its number means.

  Augmentation and regularisation are off at 0, and an augmentation is compiled
  only if a trial's number is not 0. Augmentations act in the order of these
  fields.
  """

  learning_rate: Value = _number(1e-3, 'learning rate at its peak')
  weight_decay: Value = _number(
    0.0, 'share of each weight that a step removes, times the learning rate'
  )
  b1: Value = _number(
    0.9, "decay of Adam's mean gradient; momentum of sgd", largest=0.9999
  )
  b2: Value = _number(
    0.999, "decay of Adam's mean squared gradient", largest=0.999999
  )
  eps: Value = _number(1e-8, "term added to the divisor of Adam's step")
  warmup_fraction: Value = _number(
    0.0, 'share of all steps in which the learning rate rises', largest=1.0
  )
  label_smoothing: Value = _number(
    0.0, 'share of each target that is spread over all classes', largest=1.0
  )
  jitter: Value = _number(
    0.0,
    'chance that onset and apex are replaced by frames near them',
    largest=1.0,
    stream=8,
  )
  mirror: Value = _number(
    0.0,
    'chance that a face is mirrored left-right, with its flow',
    largest=1.0,
    stream=1,
  )
  rotation: Value = _number(
    0.0, 'largest angle in degrees that frames turn by', largest=180.0, stream=9
  )
  shift: Value = _number(
    0.0,
    'largest shift in pixels of a picture, or of a region of a mosaic',
    stream=2,
  )
  scale_jitter: Value = _number(
    0.0, 'motion is multiplied or divided by up to 1 + this', stream=3
  )
  region_dropout: Value = _number(
    0.0, 'chance that a quarter of the image is zeroed', largest=1.0, stream=4
  )
  level_dropout: Value = _number(
    0.0, 'chance that an amplification level is zeroed', largest=1.0, stream=5
  )
  balance: Value = _number(
    0.0,
    'extra weight of rare classes; 1 makes all classes weigh the same',
    largest=1.0,
    stream=6,
  )
  mixup: Value = _number(
    0.0, 'examples are mixed in pairs with Beta(this, this) shares', stream=7
  )
  units: Value = _number(
    0.0, 'weight of the loss of action units, where the data tell them'
  )
  ema: Value = _number(
    0.0,
    'decay of the average of weights used for predictions; 0 = no average',
    largest=0.9999,
  )
  test_mirror: Value = _number(
    0.0,
    'weight of the mirrored image in a prediction; 0.5 = both weigh the same',
    largest=1.0,
  )


@dataclasses.dataclass(frozen=True)
class Number:
  """The description of one number of a `Setting`.

  Attributes:
    name: name of its field.
    default: its value if a config does not set it; for augmentation and
      regularisation it is 0, which is off.
    largest: its upper bound; the lower bound is always 0.
    meaning: its meaning in one line.
    stream: if the number drives an augmentation, the number from which its
      random draws derive, so that they do not depend on other augmentations;
      None otherwise. A stream is never used twice, not even after its
      augmentation has been removed.
  """

  name: str
  default: float
  largest: float
  meaning: str
  stream: int | None


NUMBERS: dict[str, Number] = {
  field.name: Number(field.name, field.default, **field.metadata)
  for field in dataclasses.fields(Setting)
}
# The augmentations, in the order in which they act.
STREAMS: dict[str, int] = {
  number.name: number.stream
  for number in NUMBERS.values()
  if number.stream is not None
}


def combinations(setting: Section, grid: Section) -> list[Setting]:
  """Returns the settings of a config: every combination of its grid.

  Args:
    setting: the numbers that all settings share; missing ones have their
      default.
    grid: for each number, the values to try in place of the shared one; a
      number without values is not varied. The last number varies fastest.

  Raises:
    ValueError: a name is unknown, or a value is not a number.
  """
  for section, names in (('setting', setting), ('grid', grid)):
    if unknown := [name for name in names if name not in NUMBERS]:
      raise ValueError(
        f'{section} has {", ".join(unknown)}, which is no number of a setting.'
        f' The numbers are {", ".join(NUMBERS)}.'
      )
  for name, values in grid.items():
    if not isinstance(values, list | tuple):
      raise ValueError(
        f'grid.{name} is {values!r}; expected a list of numbers.'
      )
  common = {
    name: _as_number(value, f'setting.{name}')
    for name, value in setting.items()
  }
  varied = {
    name: [_as_number(value, f'grid.{name}') for value in values]
    for name, values in grid.items()
    if len(values)
  }
  return [
    Setting(**(common | dict(zip(varied, values, strict=True))))
    for values in itertools.product(*varied.values())
  ]


def _as_number(value: Any, key: str) -> float:
  if isinstance(value, bool) or not isinstance(value, numbers.Real):
    raise ValueError(f'{key} holds {value!r}, which is no number.')
  return float(value)


def in_use(settings: Sequence[Setting]) -> set[str]:
  """Returns the names of the numbers that any setting has above 0.

  Raises:
    ValueError: a value is out of its bounds.
  """
  used = set()
  for number in NUMBERS.values():
    values = [getattr(setting, number.name) for setting in settings]
    if not all(
      0 <= value <= number.largest and math.isfinite(value) for value in values
    ):
      raise ValueError(
        f'setting.{number.name} is {", ".join(map(str, values))}; expected'
        f' 0 to {number.largest}.'
      )
    if any(values):
      used.add(number.name)
  return used


def describe_numbers() -> str:
  """Returns a paragraph for each number: name, default, meaning and bounds."""
  return '\n'.join(
    textwrap.fill(
      f'{number.meaning} (0 to {number.largest:g})',
      width=80,
      initial_indent=f'  {number.name:<16}{number.default:<7g}',
      subsequent_indent=25 * ' ',
    )
    for number in NUMBERS.values()
  )
