"""Fits predictions to how common the classes are where they are made.

A model has learnt how common the classes were in training. Where they are as
common otherwise, its probabilities are corrected by Bayes' rule. How common
they are is estimated from the predictions themselves, or taken from what other
databases have published; no label is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from jaxtyping import Shaped
import numpy as np

from mejax.evaluation import selection

# `trained` leaves the predictions as they are.
RULES = ('trained', 'em', 'published')
# Published numbers of clips in databases of spontaneous micro-expressions that
# are not in MEGC 2019, on which models of generated faces are tried: MMEW (X.
# Ben et al., "Video-based facial micro-expression analysis", TPAMI 2022) and
# part A of CAS(ME)^3 (J. Li et al., "CAS(ME)^3", TPAMI 2023). Negative: anger,
# disgust, fear, sadness.
PUBLISHED = {'negative': 109 + 457, 'positive': 36 + 55, 'surprise': 89 + 187}
# Half of the way to them, for another database need not have the same shares.
# Chosen on generated and rendered people; see docs/generated.md.
_TRUST = 0.5
_ROUNDS = 1000
_ENOUGH = 1e-8


def estimate(
  probabilities: Float[np.ndarray, 'n k'], trained: Float[np.ndarray, ' k']
) -> Float[np.ndarray, ' k']:
  """Estimates how common each class is among unlabelled examples.

  It is the maximum of the likelihood, found by expectation-maximisation. M.
  Saerens, P. Latinne, C. Decaestecker, "Adjusting the outputs of a classifier
  to new a priori probabilities" (Neural Computation 14(1), 2002).

  Args:
    probabilities: of each class, for every example.
    trained: how common each class was in training.
  """
  ratio = probabilities.astype(np.float64) / trained
  share = np.asarray(trained, np.float64)
  for _ in range(_ROUNDS):
    found = ratio * share
    new = (found / found.sum(1, keepdims=True)).mean(0)
    if np.abs(new - share).max() < _ENOUGH:
      return new
    share = new
  return share


def adapt(
  logits: Float[np.ndarray, 's n k'],
  places: Shaped[np.ndarray, ' n'],
  *,
  trained: Float[np.ndarray, ' k'],
  rule: str,
  class_names: Sequence[str] = (),
) -> Float[np.ndarray, 's n k']:
  """Returns logits for the classes as common as they are in each place.

  Args:
    logits: of each seed and example.
    places: where each example is from, e.g. its database; each place has its
      own shares of the classes.
    trained: how common each class was in training.
    rule: a name of `RULES`.
    class_names: names of the classes, which `published` needs.

  Raises:
    ValueError: the rule is unknown, or nothing is published of the classes.
  """
  if rule not in RULES:
    raise ValueError(f'prior is {rule!r}; expected one of {", ".join(RULES)}.')
  if rule == 'trained':
    return logits
  if rule == 'published':
    if sorted(class_names) != sorted(PUBLISHED):
      raise ValueError(
        f'no shares are published of {", ".join(class_names)}; only of'
        f' {", ".join(PUBLISHED)}. Choose another --prior.'
      )
    counts = np.array([PUBLISHED[name] for name in class_names], np.float64)
    shift = _TRUST * np.log(counts / counts.sum() / trained)
    return (logits + shift).astype(logits.dtype)
  adapted = logits.astype(np.float64)
  for seed in adapted:
    for place in np.unique(places):
      here = places == place
      share = estimate(selection.probabilities(seed[here]), trained)
      # A class that is estimated to be absent keeps a finite logit.
      seed[here] += np.log(np.maximum(share, 1e-9) / trained)
  return adapted.astype(logits.dtype)
