"""Finds the best baseline of a run, with which its models are compared."""

from __future__ import annotations

from collections.abc import Mapping
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
    text, and the `verdict` in words; None if there are no baselines.
  """
  best = numbers['best_baseline']
  if best is None:
    return None
  entry = numbers['baselines'][best]['full']
  _, low, high = entry['last_minus']
  verdict = 'Not clearly different from'
  if low > 0:
    verdict = 'Above'
  elif high < 0:
    verdict = 'Below'
  return {
    'verdict': verdict,
    'name': baselines_lib.NAMES.get(best, best),
    'uf1': entry['uf1'],
    'difference': bootstrap.describe_difference(entry['last_minus']),
  }
