"""Says in a protocol's sentence how the folds at hand divide the people."""

from __future__ import annotations

import re

from jaxtyping import Shaped
import numpy as np

from mejax.evaluation import selection

# How the sentences of mejax's protocols end.
_ONE_BY_ONE = re.compile(
  r', one (?:of \d+ )?(subject|database)s? left out at a time'
)


def divides_people(
  groups: Shaped[np.ndarray, ' n'], left_out: Shaped[np.ndarray, ' n']
) -> bool:
  """Returns whether several folds share the clips of a group."""
  pairs = set(zip(groups.tolist(), left_out.tolist(), strict=True))
  return len(pairs) > len(set(groups.tolist()))


def say(
  protocol: str,
  groups: Shaped[np.ndarray, ' n'],
  left_out: Shaped[np.ndarray, ' n'],
) -> str:
  """Returns the sentence above a table.

  It comes from the folds and not from a config, which may say something else.

  Args:
    protocol: sentences of a protocol, which tell of groups that are left out
      one at a time, or do not tell how.
    groups: group of each clip, a subject or a database.
    left_out: the fold that holds each clip out.
  """
  folds = len(set(left_out.tolist()))
  if divides_people(groups, left_out):
    how = f'folds over clips: {selection.BOTH_SIDES}'
    return _replace(protocol, how, f'Here are {how}.')
  if folds < len(set(groups.tolist())):
    how = f'left out in {folds} parts'
    return _replace(
      protocol, rf'\1s {how}', f'Here they are {how}, not one at a time.'
    )
  return protocol


def without(protocol: str) -> str:
  """Returns the sentences of a protocol without how people are left out."""
  return _ONE_BY_ONE.sub('', protocol)


def _replace(protocol: str, how: str, more: str) -> str:
  """Puts `how` in the place of the clause, or `more` at the end."""
  said, found = _ONE_BY_ONE.subn(f', {how}', protocol)
  return said if found else f'{protocol} {more}'.strip()
