"""Reads a space: a Python file that says which settings a search may try.

  def get_space(trial):
    trial.suggest_float('setting.learning_rate', 3e-4, 1e-2, log=True)
    trial.suggest_categorical('model.preset', ('tiny', 'small'))

These are Optuna's words, and each name is a key of the config. Numbers of a
setting may differ between the trainings of one compiled program. Every other
key is compiled in, so its choices form groups of settings, a program each.
Choices may decide what else is suggested; numbers may not.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import itertools
import pathlib
from typing import Any

import ml_collections
from optuna import distributions

from mejax.experiment import configuration
from mejax.experiment import own_files
from mejax.training import setting as setting_lib
from mejax.training.setting import Setting

SHIPPED = configuration.SHIPPED / 'sweeps'
# Other keys decide what is compared, and with whom.
_SEARCHED = ('setting.', 'model.', 'view.')
SEARCHED_KEYS = (
  'batch_size', 'even_batches', 'microbatch', 'num_epochs', 'optimizer',
  'schedule', 'shuffle',
)  # fmt: skip
_MOST_GROUPS = 1000
_PLAIN = str | int | float | bool | None


@dataclasses.dataclass(frozen=True)
class Group:
  """The settings that one compiled program trains.

  Attributes:
    choices: for each key that is compiled in, the value of this group.
    distributions: for each key that the space suggests, what it may be, as
      Optuna stores it, see `stored`.
  """

  choices: Mapping[str, Any]
  distributions: Mapping[str, distributions.BaseDistribution]

  def __str__(self) -> str:
    return ', '.join(f'{key}={value}' for key, value in self.choices.items())


@dataclasses.dataclass(frozen=True)
class Space:
  """A space.

  Attributes:
    name: the file.
    suggest: calls its `get_space` with something like Optuna's trial.
    groups: every combination of its choices.
  """

  name: str
  suggest: Callable[[Any], None]
  groups: tuple[Group, ...]

  def describe(self) -> list[Any]:
    """Returns all that is suggested, as JSON values."""
    return [
      {
        key: distributions.distribution_to_json(each)
        for key, each in group.distributions.items()
      }
      | {'choices': {key: stored(each) for key, each in group.choices.items()}}
      for group in self.groups
    ]


def list_spaces() -> list[str]:
  """Returns the names of the spaces that ship with mejax."""
  return sorted(path.stem for path in SHIPPED.glob('[!_]*.py'))


def load(spec: str | Callable, config: ml_collections.ConfigDict) -> Space:
  """Loads a space and checks that it fits a config.

  Args:
    spec: name of a space that ships with mejax or `sweeps/NAME.py`, path of a
      file that has `get_space(trial)`, or such a function.
    config: the complete config whose values it changes.

  Raises:
    ValueError: there is no such space, it fails, or it does not fit.
  """
  if callable(spec):
    name, suggest = getattr(spec, '__name__', repr(spec)), spec
  else:
    path = _find(spec)
    words = {'function': 'get_space', 'what': 'space'}
    module = own_files.load(path, shipped=SHIPPED, **words)
    name = str(path if path.parent != SHIPPED else path.stem)

    def suggest(trial):
      with own_files.running(path, **words):
        module.get_space(trial)

  groups = tuple(itertools.islice(_explore(suggest), _MOST_GROUPS + 1))
  try:
    if len(groups) > _MOST_GROUPS:
      raise ValueError(
        f'there are more than {_MOST_GROUPS} combinations of values that are'
        ' compiled in, a program each. Suggest fewer of them.'
      )
    for group in groups:
      _check(group, config)
  except ValueError as error:
    raise ValueError(f'The space {name} does not fit: {error}') from error
  return Space(name, suggest, groups)


def _find(name: str) -> pathlib.Path:
  """Returns the file of a space; `NAME` comes first, `sweeps/NAME.py` last."""
  shipped = {each: SHIPPED / f'{each}.py' for each in list_spaces()}
  if name in shipped:
    return shipped[name]
  path = pathlib.Path(name).expanduser()
  if path.is_file():
    return path
  for each in shipped.values():
    if path == pathlib.Path(SHIPPED.name, each.name):
      return each
  raise ValueError(
    f'No space {name!r}: it is neither a file nor one of the spaces that ship'
    f' with mejax, which are {", ".join(shipped)}.'
  )


def is_number(key: str) -> bool:
  """Returns whether a key may differ within a compiled program."""
  return key.startswith('setting.')


def stored(value: Any) -> Any:
  """Returns a value as Optuna stores it, which is plain: a tuple is a text."""
  return repr(value) if isinstance(value, tuple) else value


def configure(
  config: ml_collections.ConfigDict, choices: Mapping[str, Any]
) -> ml_collections.ConfigDict:
  """Returns a copy of a config with the choices of a group."""
  changed = config.copy_and_resolve_references()
  configuration.change(changed, choices)
  return changed.lock()


def make_setting(
  config: ml_collections.ConfigDict, values: Mapping[str, Any]
) -> Setting:
  """Returns the setting of a config with other values, by dotted key."""
  own = {
    key.removeprefix('setting.'): value
    for key, value in values.items()
    if is_number(key)
  }
  (setting,) = setting_lib.combinations({**config.setting, **own}, {})
  return setting


def ends(group: Group, config: ml_collections.ConfigDict) -> list[Setting]:
  """Returns settings with the smallest and the largest of all numbers.

  They tell which numbers are ever above 0, and so what is compiled in.
  """
  low, high = {}, {}
  for key, each in group.distributions.items():
    if is_number(key):
      values = getattr(each, 'choices', None) or (each.low, each.high)
      low[key], high[key] = min(values), max(values)
  return [make_setting(config, low), make_setting(config, high)]


def _check(group: Group, config: ml_collections.ConfigDict) -> None:
  if not group.distributions:
    raise ValueError(
      'get_space(trial) suggests nothing; call, for example,'
      " trial.suggest_float('setting.learning_rate', 1e-4, 1e-2, log=True)."
    )
  for key in group.distributions:
    known = key in SEARCHED_KEYS or key.startswith(_SEARCHED)
    if key in dict(configuration.leaves(config)) and not known:
      raise ValueError(
        f'{key} cannot be searched, because it decides what is compared.'
        ' A space may suggest setting.NUMBER, model.FIELD, view.OPTION,'
        f' {", ".join(SEARCHED_KEYS)}.'
      )
  numbers = {key: 0.0 for key in group.distributions if is_number(key)}
  configure(config, {**group.choices, **numbers})
  setting_lib.in_use(ends(group, config))


def _explore(suggest: Callable[[Any], None]) -> Iterable[Group]:
  """Yields a group for every combination of the choices of a space."""
  open_choices = [{}]
  while open_choices:
    explorer = _Explorer(open_choices.pop())
    try:
      suggest(explorer)
    except _Undecided as more:
      decided = explorer.choices
      open_choices += [
        {**decided, more.key: value} for value in reversed(more.values)
      ]
      continue
    yield Group(explorer.choices, explorer.found)


class _Undecided(BaseException):
  """A space asks for a choice that has not been made yet."""

  def __init__(self, key: str, values: list[Any]):
    self.key, self.values = key, values


class _Explorer:
  """Stands in for Optuna's trial and notes what a space suggests."""

  def __init__(self, choices: dict[str, Any]):
    self.choices = choices
    self.found: dict[str, distributions.BaseDistribution] = {}

  def suggest_float(self, name, low, high, *, step=None, log=False):
    if not is_number(name):
      raise ValueError(
        f'{name} is compiled in, so there must be a list of its values: use'
        ' suggest_categorical or suggest_int.'
      )
    each = distributions.FloatDistribution(low, high, step=step, log=log)
    return self._note(name, each, low)

  def suggest_int(self, name, low, high, *, step=1, log=False):
    each = distributions.IntDistribution(low, high, step=step, log=log)
    return self._note(name, each, low, range(low, each.high + 1, step))

  def suggest_categorical(self, name, choices):
    values = list(choices)
    for value in values:
      parts = value if isinstance(value, tuple) else (value,)
      if not all(isinstance(part, _PLAIN) for part in parts):
        raise ValueError(
          f'{name} may be {value!r}; expected texts, numbers, True, False,'
          ' None, or tuples of them.'
        )
      if is_number(name) and not isinstance(value, int | float):
        raise ValueError(f'{name} may be {value!r}, which is no number.')
    each = distributions.CategoricalDistribution([*map(stored, values)])
    return self._note(name, each, values[0], values)

  def _note(self, name, distribution, first, values=()):
    if name in self.found:
      raise ValueError(f'{name} is suggested twice.')
    self.found[name] = distribution
    if is_number(name):
      return first
    if name not in self.choices:
      raise _Undecided(name, list(values))
    return self.choices[name]
