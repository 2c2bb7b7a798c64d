"""Carries out the rounds of a nested search: each outer fold for itself.

All folds propose their settings, all trainings of a rung are cut into units on
one axis, and each fold ranks its own settings by its own training people. With
halving the axis is filled anew at each rung with the settings that are left, so
that no device waits for a fold that is done.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import functools
import math
from typing import Any

from jaxtyping import Float
import numpy as np
import tqdm

from mejax.evaluation import metrics
from mejax.evaluation import search
from mejax.experiment.engine import placing
from mejax.experiment.planning import Plan
from mejax.experiment.search import proposing
from mejax.experiment.search import units
from mejax.experiment.search.proposing import Candidate
from mejax.experiment.search.state import Search
from mejax.experiment.search.state import Tried


def run_units(
  found: Search, these: Sequence[Mapping[str, Any]], bar: tqdm.tqdm
) -> None:
  """Does units where the search does them; those that are done are skipped."""
  work = placing.Work(
    there='mejax.experiment.search.units:do_from_disk',
    arguments=found.on_disk,
    here=functools.partial(units.do, **found.source),
    is_done=units.is_done,
    partly=units.count_done,
  )
  found.place.run(work, these, bar)


def scores_of(
  these: Sequence[Mapping[str, Any]], plan: Plan
) -> dict[tuple[int, str], tuple[float, bool]]:
  """Returns the score of each fold and setting, and whether all was finite.

  The score is the UF1 pooled over the inner folds, mean over seeds; what
  diverged counts 0. Settings have the names of `units.identify`.
  """
  pooled: dict[tuple[int, str], dict[int, Any]] = {}
  finite: dict[tuple[int, str], bool] = {}
  for unit in these:
    result = units.read(unit)
    held_out = {key: result[key] for key in ('logits', 'index')}
    matrices = search.confusions(
      **held_out,
      labels=plan.task.labels,
      num_classes=len(plan.task.class_names),
    )
    fine = search.is_finite(**held_out, train_loss=result['train_loss'])
    names = [units.identify(unit['program'], x) for x in unit['settings']]
    numbers = (result[key].tolist() for key in ('fold', 'seed', 'setting'))
    for i, (fold, seed, setting) in enumerate(zip(*numbers, strict=True)):
      key = fold, names[setting]
      seeds = pooled.setdefault(key, {})
      seeds[seed] = seeds.get(seed, 0) + matrices[i]
      finite[key] = finite.get(key, True) and bool(fine[i])
  return {
    key: (
      float(metrics.uf1_of(np.stack(list(seeds.values()))).mean())
      if finite[key]
      else 0.0,
      finite[key],
    )
    for key, seeds in pooled.items()
  }


def run_round(
  found: Search,
  number: int,
  history: Mapping[int, Sequence[Tried]],
  bar: tqdm.tqdm,
) -> dict[int, list[Tried]]:
  """Carries out a round.

  Args:
    found: the search.
    number: number of the round.
    history: what each fold has tried in earlier rounds.
    bar: counts the trainings.

  Returns:
    What each fold has tried in this round.
  """
  proposed = _propose(found, number, history)
  left = {fold: list(range(len(own))) for fold, own in proposed.items()}
  scores: dict[tuple[int, int], dict[int, float]] = {}
  diverged: set[tuple[int, int]] = set()
  divisors = found.rungs(found.options.sizes()[number])
  for rung, divisor in enumerate(divisors):
    these = found.make_units(
      [(fold, proposed[fold][i]) for fold in left for i in left[fold]],
      inner=True,
      divisor=divisor,
      label=f'round{number}_rung{rung}',
    )
    run_units(found, these, bar)
    known = scores_of(these, found.plan)
    for fold, places in left.items():
      for i in places:
        candidate = proposed[fold][i]
        name = found.identify(candidate, inner=True, divisor=divisor)
        score, finite = known[fold, name]
        epochs = max(1, found.epochs(candidate.group) // divisor)
        scores.setdefault((fold, i), {})[epochs] = score
        if not finite:
          diverged.add((fold, i))
    if divisor > 1:
      left = _halve(left, scores, found.options.halving)
  return {
    fold: [
      Tried(
        candidate=candidate,
        round=number,
        index=i,
        scores=scores[fold, i],
        is_whole=i in left[fold],
        diverged=(fold, i) in diverged,
      )
      for i, candidate in enumerate(own)
    ]
    for fold, own in proposed.items()
  }


def _propose(found: Search, number: int, history) -> dict[int, list[Candidate]]:
  """Returns what each fold tries in a round."""
  options = found.options
  folds = range(len(found.fold_names))

  def ask(fold):
    return proposing.propose(
      found.space,
      sampler=options.sampler,
      seed=found.config.seed,
      fold=found.fold_names[fold],
      number=number,
      start=sum(options.sizes()[:number]),
      size=options.sizes()[number],
      history=[each.frozen(found.space) for each in history[fold]],
    )

  if proposing.SAMPLERS[options.sampler]:
    return dict.fromkeys(folds, ask(0))
  return {fold: ask(fold) for fold in folds}


def _halve(left, scores, halving: int) -> dict[int, list[int]]:
  """Keeps the best settings of each fold, by the last of their scores."""
  kept = {}
  for fold, places in left.items():
    last = [list(scores[fold, i].values())[-1] for i in places]
    best = search.best(last, math.ceil(len(places) / halving))
    kept[fold] = sorted(places[j] for j in best)
  return kept


def choose(tried: Sequence[Tried]) -> Tried:
  """Returns the setting with the best score of those trained to the end."""
  whole = [each for each in tried if each.is_whole]
  return whole[search.best([each.score for each in whole], 1)[0]]


def first_scores(
  tried: Mapping[int, Sequence[Tried]],
) -> Float[np.ndarray, 'f n']:
  """Returns the scores of all settings after equally many epochs."""
  return np.array(
    [
      [next(iter(each.scores.values())) for each in own]
      for own in tried.values()
    ]
  )
