"""What a search is: its options, its programs and units, what was tried."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses
import functools
import json
import pathlib
from typing import Any

import ml_collections
import optuna

from mejax.evaluation import search
from mejax.experiment.engine import placing
from mejax.experiment.planning import Plan
from mejax.experiment.search import proposing
from mejax.experiment.search import spaces
from mejax.experiment.search import units
from mejax.experiment.search.proposing import Candidate
from mejax.experiment.search.spaces import Space
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
    """Whether all folds train the same settings to their end.

    Only then is there an un-nested best. Halving leaves most settings behind
    after short trainings, in each fold others, and training all of them to
    their end for that number would cost more than halving saves.
    """
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
    source: where the data come from, see `preparing.prepare`.
    folder: the folder of the units.
    owner: digest of what the search belongs to.
    on_disk: where workers of a cluster find the data, see
      `units.do_from_disk`.
    place: where units are done.
    programs: those that were asked for.
  """

  config: ml_collections.ConfigDict
  space: Space
  options: Options
  plan: Plan
  source: Mapping[str, Any]
  folder: pathlib.Path
  owner: str
  on_disk: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  place: placing.Place = dataclasses.field(default_factory=placing.Here)
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
    by_group: dict[int | None, list[tuple[int, str]]] = {}
    for fold, candidate in wanted:
      text = json.dumps(dataclasses.asdict(self.setting(candidate)))
      group = None if candidate is None else candidate.group
      by_group.setdefault(group, []).append((fold, text))
    found = []
    for group, pairs in by_group.items():
      # A fold may try a setting twice, and trains it once.
      pairs = list(dict.fromkeys(pairs))
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
    places = {text: i for i, text in enumerate(texts)}
    first = self.config.seed
    rows = [
      (fold, number, seed, places[text])
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
