"""Finds the best baseline of a run, with which its models are compared."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from mejax.evaluation import baselines as baselines_lib
from mejax.evaluation import bootstrap

CHOSEN = (
  'The best baseline is chosen on the numbers reported here, which favours the'
  ' baselines.'
)


def find(baselines: Mapping[str, Any]) -> str | None:
  """Returns the name of the baseline with the highest UF1 on all examples.

  Args:
    baselines: the entries of each baseline, see `summary.metrics_json`.

  Returns:
    The first of the best; None if there are no baselines.
  """
  return max(
    baselines, key=lambda name: baselines[name]['full']['uf1'], default=None
  )


def describe(numbers: Mapping[str, Any]) -> dict[str, Any] | None:
  """Says whether the models of a run differ from the best baseline.

  Args:
    numbers: the result of `summary.metrics_json`.

  Returns:
    `name`, `uf1`, the `difference` of `last` minus it with its 95 % interval as
    text, and the `verdict` in words; of several seeds the same of all seeds
    together as `together`, else None. None if there are no baselines.
  """
  best = numbers['best_baseline']
  if best is None:
    return None
  entry = numbers['baselines'][best]['full']
  together = numbers['together'].get('last')
  return {
    'name': baselines_lib.NAMES.get(best, best),
    'uf1': entry['uf1'],
    **compare(entry['last_minus']),
    'together': (
      compare(together['full']['minus_best_baseline']) if together else None
    ),
  }


def compare(difference: Sequence[float]) -> dict[str, str]:
  """Returns a `difference` to a baseline as text, and its `verdict` in words.

  Args:
    difference: value, low and high of the score minus that of the baseline.
  """
  _, low, high = difference
  verdict = 'not clearly different from'
  if low > 0:
    verdict = 'above'
  elif high < 0:
    verdict = 'below'
  return {
    'verdict': verdict,
    'difference': bootstrap.describe_difference(difference),
  }


def sentences(numbers: Mapping[str, Any], *, run: str = '') -> list[str]:
  """Returns `describe` as sentences; [] if there are no baselines.

  Args:
    numbers: the result of `summary.metrics_json`.
    run: name of the run, where the sentences stand beside those of others.
  """
  best = describe(numbers)
  if best is None:
    return []
  whose = f'{run}: ' if run else ''
  lines = [
    f'{whose}The last epoch is {best["verdict"]} the best baseline,'
    f' {best["name"]} ({best["uf1"]:.3f}): {best["difference"]}'
  ]
  if together := best['together']:
    lines.append(
      f'{whose}Seeds together are {together["verdict"]} {best["name"]}:'
      f' {together["difference"]}'
    )
  return [*lines, CHOSEN]
