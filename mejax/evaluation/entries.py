"""Computes all numbers of predictions from their confusion matrices."""

from __future__ import annotations

from typing import Any

from jaxtyping import Integer
import numpy as np

from mejax.evaluation import bootstrap
from mejax.evaluation import metrics

STATISTICS = {
  'uf1': metrics.uf1_of,
  'uar': metrics.uar_of,
  'accuracy': metrics.accuracy_of,
  'mean_precision': metrics.mean_precision_of,
}


def of_counts(
  counts: Integer[np.ndarray, 's g k o'], *, people_are_known: bool = True
) -> dict[str, Any]:
  """Returns the entry of a table; see `summary.metrics_json` for its keys.

  Args:
    counts: a confusion matrix for each seed and person.
    people_are_known: whether the second axis stands for people. If not, the
      entry has no intervals (None), and 0 `subjects`.
  """
  pooled = counts.sum(1)
  entry: dict[str, Any] = {}
  for name, statistic in STATISTICS.items():
    seeds = statistic(pooled)
    spread = seeds.std(ddof=1) if len(seeds) > 1 else 0.0
    entry[name] = float(seeds.mean())
    entry[f'{name}_std'] = float(spread)
    entry[f'{name}_ci'] = (
      list(bootstrap.interval(counts, statistic)) if people_are_known else None
    )
    entry[f'{name}_seeds'] = seeds.tolist()
  entry['confusion'] = pooled.sum(0).tolist()
  entry['n'] = int(counts[0].sum())
  entry['subjects'] = counts.shape[1] if people_are_known else 0
  return entry
