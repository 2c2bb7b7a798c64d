"""Says what the training of a run took."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any


def describe(cost: Mapping[str, Any]) -> list[tuple[str, str]]:
  """Returns pairs of a number and what it counts; none if nothing is known.

  Args:
    cost: the content of `cost.json`, see `mejax.experiment.cost`.
  """
  if not cost:
    return []
  seconds = sum(cost['seconds'])
  several = len(cost['seconds'])
  device = f'{cost["devices"]} x {cost["device"]}'
  if cost['device'] == 'cpu':
    device = f'{cost["cores"]} CPU core{"s" * (cost["cores"] > 1)}'
  facts = [
    (time(seconds), f'on {device}' + f' in {several} parts' * (several > 1)),
    (time(seconds / cost['trials']), f'each of {cost["trials"]:,} trainings'),
  ]
  if cost['peak_bytes']:
    facts.append((_size(cost['peak_bytes']), 'of memory at most'))
  facts.append((f'{cost["parameters"]:,}', 'parameters'))
  if cost['flops']:
    facts.append((_count(cost['flops']), 'FLOPs a prediction'))
  return facts


def time(seconds: Real) -> str:
  """Formats a time with two digits at least."""
  if seconds < 100:
    return f'{seconds:.2g} s' if seconds < 10 else f'{seconds:.0f} s'
  minutes = round(seconds / 60)
  return f'{minutes} min' if minutes < 100 else f'{minutes / 60:.1f} h'


def _size(count: int) -> str:
  return f'{count / 2**30:.1f} GiB' if count >= 2**30 else f'{count >> 20} MiB'


def _count(number: Real) -> str:
  for unit, word in ((1e12, 'T'), (1e9, 'G'), (1e6, 'M'), (1e3, 'k')):
    if number >= unit:
      return f'{number / unit:.3g} {word}'
  return f'{number:.3g}'
