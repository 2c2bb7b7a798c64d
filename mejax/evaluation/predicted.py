"""Scores predictions of which the folds and probabilities are not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtyping import Int
from jaxtyping import Shaped
import numpy as np

from mejax.evaluation import bootstrap
from mejax.evaluation import entries
from mejax.evaluation import metrics
from mejax.evaluation import selection


def metrics_json(
  truth: Int[np.ndarray, ' n'],
  predicted: Mapping[str, Int[np.ndarray, 's n']],
  *,
  class_names: tuple[str, ...],
  corpus: Shaped[np.ndarray, ' n'],
  people: Shaped[np.ndarray, ' n'] | None,
) -> dict[str, Any]:
  """Returns every number of somebody's predictions, as plain Python values.

  `entries` maps each rule of selection to entries of `full` and of each corpus,
  if there are several; see `summary.metrics_json`. Without people, the
  intervals are None. `mistaken` has what is published in the place of the
  scores of the first rule, see `mistaken`. If people are known, `people` counts
  all, and those whose labels are of one class.

  Args:
    truth: class of each clip.
    predicted: predicted classes of each seed, for each rule; '' if unknown.
    class_names: names of the classes.
    corpus: corpus of each clip, '' if unknown.
    people: person of each clip, None if unknown.
  """
  names = [str(name) for name in np.unique(corpus)]
  masks = {'full': np.ones(len(truth), bool)}
  if len(names) > 1:
    masks |= {name: corpus == name for name in names}

  def count(rule, mask):
    groups = np.zeros(len(truth), int) if people is None else people
    return bootstrap.group_confusion(
      truth[mask],
      predicted[rule][:, mask],
      groups[mask],
      num_classes=len(class_names),
    )

  found: dict[str, Any] = {}
  for rule in predicted:
    found[rule] = {
      part: entries.of_counts(
        count(rule, mask), people_are_known=people is not None
      )
      for part, mask in masks.items()
    }
    # A rule may be followed by its setting.
    known = selection.RULES.get(rule.partition(',')[0])
    if known and not known.honest:
      for entry in found[rule].values():
        entry['warning'] = selection.WARNING
  first = next(iter(predicted))
  counts = count(first, masks['full'])
  classes_of = (counts[0].sum(-1) > 0).sum(-1)
  known = people is not None
  return {
    'num_seeds': len(predicted[first]),
    'class_names': list(class_names),
    'class_counts': {
      part: np.bincount(truth[mask], minlength=len(class_names)).tolist()
      for part, mask in masks.items()
    },
    'entries': found,
    'mistaken': mistaken(counts, people_are_known=known),
    'people': {
      'all': len(classes_of),
      'of one class': int((classes_of == 1).sum()),
    }
    if known
    else {},
  }


def mistaken(
  counts: Int[np.ndarray, 's g k o'], *, people_are_known: bool
) -> dict[str, float]:
  """Returns numbers that were published as UF1 or UAR, and are neither.

  Each is a mean over the seeds.

  Args:
    counts: a confusion matrix for each seed and person.
    people_are_known: whether the second axis stands for people.
  """
  pooled = counts.sum(1)
  clips = pooled.sum(-1)
  f1 = 2 * np.diagonal(pooled, axis1=-2, axis2=-1)
  f1 = f1 / np.maximum(clips + pooled.sum(-2)[..., : clips.shape[-1]], 1)
  found = {
    'mean precision': metrics.mean_precision_of(pooled).mean(),
    'F1 weighted by the clips of each class': (
      (f1 * clips).sum(-1) / clips.sum(-1)
    ).mean(),
  }
  if people_are_known:
    # Of a person only classes count that are among his labels or predictions.
    found['UF1 of each person, averaged'] = metrics.uf1_of(counts).mean()
    found['accuracy of each person, averaged'] = metrics.accuracy_of(
      counts
    ).mean()
  return {name: float(value) for name, value in found.items()}
