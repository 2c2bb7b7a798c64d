"""The bounds of the values of a config that are counts or seconds.

The numbers of a setting have theirs in `training.setting`. This module does not
import JAX, so that an error in a config is reported before that import.
"""

from __future__ import annotations

import math
import numbers

import ml_collections

from mejax.training import setting as setting_lib

# Seeds and counts are i32 in a record.
_LARGEST = 2**31 - 1
# Smallest and largest value, and whether it is a whole number.
_BOUNDS = {
  'batch_size': (1, _LARGEST, True),
  'microbatch': (0, _LARGEST, True),
  'num_epochs': (1, _LARGEST, True),
  'eval_every': (1, _LARGEST, True),
  'num_seeds': (1, _LARGEST, True),
  'seed': (-_LARGEST, _LARGEST, True),
  'num_folds': (0, _LARGEST, True),
  'inner_folds': (2, _LARGEST, True),
  'checkpoint_every_s': (0, math.inf, False),
}
_WORDS = {'folds': ('held_out', 'all'), 'folds_over': ('people', 'clips')}


def check(config: ml_collections.ConfigDict) -> None:
  """Refuses values by which nothing, or not what was meant, would be trained.

  Args:
    config: the complete config.

  Raises:
    ValueError: a value is out of its bounds or is no number; the message names
      it.
  """
  for key, (smallest, largest, whole) in _BOUNDS.items():
    if key == 'inner_folds' and 'inner' not in config.selection:
      continue
    value = config[key]
    kind = numbers.Integral if whole else numbers.Real
    if not isinstance(value, kind) or isinstance(value, bool):
      raise ValueError(
        f'{key} is {value!r}; expected a {"whole " * whole}number.'
      )
    # nan is within no bounds.
    if not smallest <= value <= largest:
      raise ValueError(f'{key} is {value}; expected {smallest} to {largest}.')
  for key, words in _WORDS.items():
    if config[key] not in words:
      raise ValueError(
        f'{key} is {config[key]!r}; expected one of {", ".join(words)}.'
      )
  if config.folds == 'all' and config.folds_over == 'clips':
    raise ValueError(
      "folds is 'all' and folds_over 'clips': a score of folds over clips says"
      ' nothing about the people for whom a model of everybody is used.'
    )
  if not config.selection:
    raise ValueError('selection is empty; expected a rule, as last.')
  last = config.seed + config.num_seeds - 1
  if last > _LARGEST:
    raise ValueError(f'the last seed is {last}; expected up to {_LARGEST}.')
  setting_lib.in_use(setting_lib.combinations(config.setting, config.grid))
  lists = {f'grid.{name}': values for name, values in config.grid.items()}
  for key, values in {'selection': config.selection, **lists}.items():
    twice = [value for value in values if list(values).count(value) > 1]
    if twice:
      raise ValueError(f'{key} has {twice[0]} twice.')
