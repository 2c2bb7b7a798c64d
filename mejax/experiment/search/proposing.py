"""Proposes the settings of a round of a search: a pure function.

A proposal depends on the space, the sampler, the seed, the outer fold, the
number of the round and what earlier rounds of this fold found, and on nothing
else. Optuna's samplers keep a state in the process, so each round gets a new
sampler and a study in memory. What a journal on disk holds is never asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import hashlib
import itertools
from typing import Any
import warnings

import numpy as np
import optuna

from mejax.experiment.search import journal
from mejax.experiment.search import spaces
from mejax.experiment.search.spaces import Space

# `True` for samplers that read no history: all folds get the same settings.
SAMPLERS = {'qmc': True, 'random': True, 'grid': True, 'tpe': False}


@dataclasses.dataclass(frozen=True)
class Candidate:
  """A setting that a search tries.

  Attributes:
    group: number of its group in the space.
    values: value of each key that the space suggests, as Optuna stores it.
  """

  group: int
  values: Mapping[str, Any]


def propose(
  space: Space,
  *,
  sampler: str,
  seed: int,
  fold: str,
  number: int,
  start: int,
  size: int,
  history: Sequence[optuna.trial.FrozenTrial] = (),
) -> list[Candidate]:
  """Returns the settings of a round.

  Args:
    space: what may be tried.
    sampler: a key of `SAMPLERS`.
    seed: seed of the search.
    fold: name of the outer fold; samplers that read no history ignore it.
    number: number of the round.
    start: settings of all earlier rounds.
    size: settings of the round.
    history: the finished trials of earlier rounds of this fold, in order.
  """
  if sampler == 'grid':
    return list(itertools.islice(_grid(space), start, start + size))
  if sampler == 'qmc':
    # A Sobol sequence depends on the seed alone, so it is drawn from its begin.
    # Optuna draws its first point at random; that one is left out.
    asked = _ask(space, _qmc(seed), 1 + start + size, coded=True)
    return asked[1 + start :]
  if sampler == 'random':
    fold = ''
  own = int.from_bytes(
    hashlib.sha256(f'{seed}/{fold}/{number}'.encode()).digest()[:4], 'big'
  )
  if sampler == 'random':
    return _ask(space, optuna.samplers.RandomSampler(seed=own), size)
  return _ask(space, optuna.samplers.TPESampler(seed=own), size, history)


def count_grid(space: Space) -> int:
  """Returns the number of settings of a grid."""
  return sum(1 for _ in _grid(space))


def _qmc(seed: int) -> optuna.samplers.BaseSampler:
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', optuna.exceptions.ExperimentalWarning)
    return optuna.samplers.QMCSampler(scramble=True, seed=seed)


def _ask(space, sampler, count, history=(), *, coded=False) -> list[Candidate]:
  with journal.quiet():
    study = optuna.create_study(direction='maximize', sampler=sampler)
  study.add_trials(history)
  found = []
  for _ in range(count):
    asked = _Asked(study.ask(), coded=coded)
    space.suggest(asked)
    found.append(_candidate(space, asked.values))
  return found


def _candidate(space: Space, values: Mapping[str, Any]) -> Candidate:
  """Finds the group of values.

  Raises:
    ValueError: the space suggests other keys than it did when it was explored.
  """
  for number, group in enumerate(space.groups):
    if values.keys() == group.distributions.keys() and all(
      values[key] == spaces.stored(value)
      for key, value in group.choices.items()
    ):
      return Candidate(number, dict(values))
  raise ValueError(
    f'The space {space.name} suggests {", ".join(values)} for'
    f' {dict(values)}, and other keys for other numbers. Only choices that are'
    ' compiled in may decide what is suggested.'
  )


class _Asked:
  """Optuna's trial, of which the values are kept.

  Attributes:
    values: what was suggested, by key, as Optuna stores it.
  """

  def __init__(self, trial: optuna.Trial, *, coded: bool):
    self._trial, self._coded = trial, coded
    self.values: dict[str, Any] = {}

  def suggest_float(self, name, low, high, **options):
    return self._keep(
      name, self._trial.suggest_float(name, low, high, **options)
    )

  def suggest_int(self, name, low, high, **options):
    return self._keep(name, self._trial.suggest_int(name, low, high, **options))

  def suggest_categorical(self, name, choices):
    choices = list(choices)
    values = [spaces.stored(each) for each in choices]
    if self._coded:
      # A Sobol sequence of Optuna's covers numbers only.
      place = self._trial.suggest_int(name, 0, len(values) - 1)
    else:
      place = values.index(self._trial.suggest_categorical(name, values))
    self._keep(name, values[place])
    return choices[place]

  def _keep(self, name, value):
    self.values[name] = value
    return value


def _grid(space: Space):
  """Yields every combination of all values, the last key varying fastest."""
  for number, group in enumerate(space.groups):
    keys = [key for key in group.distributions if spaces.is_number(key)]
    lists = [_values(key, group.distributions[key]) for key in keys]
    for values in itertools.product(*lists):
      own = dict(zip(keys, values, strict=True))
      yield Candidate(
        number,
        {
          key: spaces.stored({**group.choices, **own}[key])
          for key in group.distributions
        },
      )


def _values(key: str, distribution) -> list[Any]:
  if choices := getattr(distribution, 'choices', None):
    return list(choices)
  if not distribution.step:
    raise ValueError(
      f'A grid needs the values of {key}: suggest it with step=, or by'
      ' suggest_categorical. Other samplers take it as it is.'
    )
  low, high, step = distribution.low, distribution.high, distribution.step
  count = round((high - low) / step) + 1
  kind = int if isinstance(low, int) else float
  return [kind(value) for value in low + step * np.arange(count)]
