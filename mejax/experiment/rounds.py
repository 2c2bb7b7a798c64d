"""Carries out the rounds of a nested search: each outer fold for itself.

All folds propose their settings, all trainings of a rung are cut into units on
one axis, and each fold ranks its own settings by its own training people. With
halving the axis is filled anew at each rung with the settings that are left, so
that no device waits for a fold that is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import json
import math
import pathlib
from typing import Any

from jaxtyping import Float
import ml_collections
import numpy as np
import optuna
import tqdm

from mejax.evaluation import metrics
from mejax.evaluation import search
from mejax.experiment import proposing
from mejax.experiment import spaces
from mejax.experiment import units
from mejax.experiment.planning import Plan
from mejax.experiment.proposing import Candidate
from mejax.experiment.spaces import Space
from mejax.training.setting import Setting

# Trainings of a unit: enough to fill a device, and few enough that several
# processes share a round evenly.
_MOST = 256
# Places at which a training may save its state. Only the last evaluation
# counts, so there are no more of them than that takes.
_WINDOWS = 4


@dataclasses.dataclass(frozen=True)
class Options:
  """How a space is searched.

  Attributes:
    sampler: a key of `proposing.SAMPLERS`.
    num_settings: settings that each fold tries.
    round_size: settings of a round.
    halving: see `evaluation.search.rungs`.
  """

  sampler: str
  num_settings: int
  round_size: int
  halving: int

  @property
  def shared(self) -> bool:
    """Whether all folds train the same settings to their end."""
    return proposing.SAMPLERS[self.sampler] and not self.halving

  def sizes(self) -> list[int]:
    """Returns the number of settings of each round."""
    full, rest = divmod(self.num_settings, self.round_size)
    return [self.round_size] * full + [rest] * bool(rest)


@dataclasses.dataclass(frozen=True)
class Tried:
  """A setting that a fold has tried.

  Attributes:
    candidate: the setting.
    round: number of its round.
    index: its place in the round.
    scores: pooled inner UF1, mean over seeds, by the epochs of each rung.
    is_whole: whether it was trained to the end, and not left by halving.
    diverged: whether one of its trainings diverged; then its score is 0.
  """

  candidate: Candidate
  round: int
  index: int
  scores: Mapping[int, float]
  is_whole: bool
  diverged: bool

  @property
  def score(self) -> float:
    """The last score."""
    return list(self.scores.values())[-1]

  def frozen(self, space: Space) -> optuna.trial.FrozenTrial:
    """Returns it as Optuna's trial."""
    states = optuna.trial.TrialState
    about = {'round': self.round, 'index': self.index}
    return optuna.create_trial(
      state=states.COMPLETE if self.is_whole else states.PRUNED,
      value=self.score,
      params=dict(self.candidate.values),
      distributions=dict(space.groups[self.candidate.group].distributions),
      user_attrs=about | ({'diverged': True} if self.diverged else {}),
      intermediate_values=dict(self.scores) if len(self.scores) > 1 else {},
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Search:
  """What all rounds of a search share.

  Attributes:
    config: the complete config.
    space: what may be tried.
    options: how.
    plan: the config, resolved.
    source: where the data come from, see `units.prepare`.
    folder: the folder of the units.
    owner: digest of what the search belongs to.
    programs: those that were asked for.
  """

  config: ml_collections.ConfigDict
  space: Space
  options: Options
  plan: Plan
  source: Mapping[str, Any]
  folder: pathlib.Path
  owner: str
  programs: dict[tuple, dict[str, Any]] = dataclasses.field(
    default_factory=dict
  )

  @property
  def fold_names(self) -> tuple[str, ...]:
    return self.plan.folds.names

  @functools.cached_property
  def configs(self) -> list[ml_collections.ConfigDict]:
    """The config of each group."""
    return [
      spaces.configure(self.config, group.choices)
      for group in self.space.groups
    ]

  def epochs(self, group: int) -> int:
    """Returns the epochs of a whole training of a group."""
    return self.configs[group].num_epochs

  def rungs(self, size: int) -> list[int]:
    """Returns the divisors of the epochs of a round of so many settings."""
    fewest = min(self.epochs(i) for i in range(len(self.space.groups)))
    return search.rungs(size, fewest, self.options.halving)

  def program(
    self, group: int | None, *, inner: bool, divisor: int = 1
  ) -> dict[str, Any]:
    """Returns the program of a group, or of the config without a search."""
    key = group, inner, divisor
    if key not in self.programs:
      self.programs[key] = self._make_program(*key)
    return self.programs[key]

  def _make_program(self, group, inner, divisor) -> dict[str, Any]:
    if group is None:
      config, ends = self.config, list(self.plan.settings)
    else:
      config = self.configs[group]
      ends = spaces.ends(self.space.groups[group], config)
    config = config.copy_and_resolve_references()
    epochs = max(1, config.num_epochs // divisor)
    config.update(num_epochs=epochs, eval_every=_window(epochs))
    return {
      'config': json.loads(config.to_json()),
      'ends': [dataclasses.asdict(setting) for setting in ends],
      'inner': inner,
    }

  def setting(self, candidate: Candidate | None) -> Setting:
    """Returns the numbers of a candidate, or of the config."""
    if candidate is None:
      return self.plan.settings[0]
    config = self.configs[candidate.group]
    return spaces.make_setting(config, candidate.values)

  def identify(
    self, candidate: Candidate | None, *, inner: bool, divisor: int = 1
  ) -> str:
    """Returns the name of its trainings, by which results are found."""
    return units.identify(
      self.program(candidate and candidate.group, inner=inner, divisor=divisor),
      dataclasses.asdict(self.setting(candidate)),
    )

  def make_units(
    self,
    wanted: Iterable[tuple[int, Candidate | None]],
    *,
    inner: bool,
    label: str,
    divisor: int = 1,
    keep_models: bool = False,
  ) -> list[dict[str, Any]]:
    """Returns the units in which folds train candidates.

    Args:
      wanted: outer fold and candidate; None for the config without a search.
      inner: whether the inner folds are trained, or the outer one.
      label: begins the names of the units.
      divisor: the epochs are divided by it.
      keep_models: whether to keep the parameters.
    """
    by_group: dict[int | None, dict[tuple[int, str], None]] = {}
    for fold, candidate in wanted:
      text = json.dumps(dataclasses.asdict(self.setting(candidate)))
      group = None if candidate is None else candidate.group
      by_group.setdefault(group, {})[fold, text] = None
    found = []
    for group, pairs in by_group.items():
      texts = list(dict.fromkeys(text for _, text in pairs))
      unit = {
        'program': self.program(group, inner=inner, divisor=divisor),
        'settings': [json.loads(text) for text in texts],
        'trials': self._trials(pairs, texts, inner),
        'keep_models': keep_models,
        'may_diverge': True,
        'owner': self.owner,
      }
      name = label if group is None else f'{label}_group{group}'
      found += units.split(unit, self.folder, most=_MOST, label=name)
    return found

  def _trials(self, pairs, texts, inner) -> dict[str, list[int]]:
    """Lists the trainings of (fold, setting), the inner fold varying first."""
    numbers = range(self.config.inner_folds) if inner else [-1]
    first = self.config.seed
    rows = [
      (fold, number, seed, texts.index(text))
      for fold, text in pairs
      for seed in range(first, first + self.config.num_seeds)
      for number in numbers
    ]
    keys = ('fold', 'inner', 'seed', 'setting')
    return {
      key: list(column)
      for key, column in zip(keys, zip(*rows, strict=True), strict=True)
    }


def _window(epochs: int) -> int:
  """Returns the epochs between two places where a state may be saved."""
  return next(
    each
    for each in range(1, epochs + 1)
    if epochs % each == 0 and each * _WINDOWS >= epochs
  )


def run_units(
  these: Sequence[Mapping[str, Any]], source: Mapping[str, Any], bar: tqdm.tqdm
) -> None:
  """Does units, one after another; those that are done are skipped."""
  for number, unit in enumerate(these, 1):
    count = len(unit['trials']['fold'])
    title = f'unit {number} of {len(these)}: {count} trainings'
    units.do(unit, progress=not bar.disable, title=title, **source)
    bar.update(count)


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
    run_units(these, found.source, bar)
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
