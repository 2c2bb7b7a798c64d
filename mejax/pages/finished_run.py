"""What the pages show of a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from jaxtyping import Integer
import numpy as np

from mejax.evaluation import bootstrap
from mejax.evaluation import metrics
from mejax.evaluation import selection
from mejax.pages import score_tables


@dataclasses.dataclass(frozen=True)
class Run:
  """A finished run.

  Attributes:
    name: name of the run on the page.
    numbers: see `evaluation.summary.metrics_json`.
    record: see `evaluation.selection`.
    config: the config of the run; empty if it is not known.
    levels: scores and weights of amplification levels; empty if the models read
      no levels.
    attention: the attention maps; empty if the models do not show any.
    baselines: what the baselines on the same folds say, see
      `evaluation.baselines`; empty if there are none.
    units: scores of action units, see `pages.units.describe`; empty if the
      models tell none.
    cost: what the training took, see `cost.describe`; empty if it is not known.
    commands: what makes the data and the run again; empty if that is not known.
    data_dir: home of the prepared dataset, as it was given.
    defaults: values of the config that it leaves to the model, such as
      `model.attention_fn`, where they are known.
  """

  name: str
  numbers: Mapping[str, Any]
  record: selection.Record
  config: Mapping[str, Any]
  levels: Mapping[str, Any]
  attention: Mapping[str, np.ndarray]
  baselines: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
  units: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  cost: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  commands: Sequence[str] = ()
  data_dir: str = 'YOUR_DATA'
  defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  @property
  def setting(self) -> int:
    """The setting whose numbers the page shows: the first."""
    return int(self.record['setting'].min())

  def entry(self, rule: str = score_tables.HEADLINE) -> dict:
    """Returns the numbers of a rule on all examples."""
    return self.numbers['selection'][rule]['full']

  def matrices(self) -> Integer[np.ndarray, 's g k o']:
    """Returns confusion matrices of each seed and subject at the last epoch."""
    found = selection.select(
      self.record, score_tables.HEADLINE, setting=self.setting
    )
    return bootstrap.group_confusion(
      self.record['labels'],
      selection.predictions(found.logits),
      self.record['groups'],
      num_classes=len(self.record['class_names']),
      num_outputs=self.record['logits'].shape[-1],
    )

  def minus(
    self, other: Run, statistic: bootstrap.Statistic = metrics.uf1_of
  ) -> tuple[float, float, float] | None:
    """Returns this score minus that of another run, with its 95 % interval.

    Both are those of the last epoch, on the same resamples of people, see
    `bootstrap.paired_difference`. None if their clips or labels differ.
    """
    if self.examples() != other.examples():
      return None
    return bootstrap.paired_difference(
      other.matrices(), self.matrices(), statistic
    )

  def examples(self) -> list[tuple]:
    """Returns the identity, label and group of each example, sorted."""
    keys = ('corpus', 'subject', 'clip', 'labels', 'groups')
    return sorted(zip(*(self.record[k].tolist() for k in keys), strict=True))
