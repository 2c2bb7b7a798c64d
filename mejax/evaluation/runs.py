"""What the report reads of a workdir."""

from __future__ import annotations

import dataclasses
import json
import pathlib

from jaxtyping import Integer
import numpy as np

from mejax.evaluation import bootstrap
from mejax.evaluation import selection

HEADLINE = 'last'


@dataclasses.dataclass(frozen=True)
class Run:
  """What a workdir holds.

  Attributes:
    name: what the page calls the run.
    numbers: `metrics.json`.
    record: `record.npz`.
    floors: `floors.npz`; empty if the run has none.
    config: `config.json`; empty if the run has none.
    levels: `levels.json`; empty if its models read no amplification levels.
  """

  name: str
  numbers: dict
  record: dict[str, np.ndarray]
  floors: dict[str, np.ndarray]
  config: dict
  levels: dict

  def entry(self, rule: str = HEADLINE) -> dict:
    """The numbers of a rule on all examples."""
    return self.numbers['selection'][rule]['full']

  def matrices(
    self, prediction: Integer[np.ndarray, 's n'] | None = None
  ) -> Integer[np.ndarray, 's g k o']:
    """Confusion matrices of seeds and subjects.

    Args:
      prediction: what to count; the picks of the headline rule if None.
    """
    if prediction is None:
      setting = int(self.record['setting'].min())
      found = selection.select(self.record, HEADLINE, setting=setting)
      prediction = selection.predictions(found.logits)
    return bootstrap.group_confusion(
      self.record['labels'],
      prediction,
      self.record['groups'],
      num_classes=len(self.record['class_names']),
      num_outputs=self.record['logits'].shape[-1],
    )


def read_run(workdir: pathlib.Path, *, name: str) -> Run:
  """Reads what the page needs of a workdir."""
  for needed in ('metrics.json', 'record.npz'):
    if not (workdir / needed).exists():
      raise FileNotFoundError(
        f'{workdir} has no {needed}: it is not the workdir of a finished run. '
        'Finish it with the `mejax train` command that began it.'
      )
  record = _npz(workdir / 'record.npz')
  selection.check(record)
  return Run(
    name=name,
    numbers=json.loads((workdir / 'metrics.json').read_text()),
    record=record,
    floors=_npz(workdir / 'floors.npz'),
    config=_json(workdir / 'config.json'),
    levels=_json(workdir / 'levels.json'),
  )


def _json(path):
  return json.loads(path.read_text()) if path.exists() else {}


def _npz(path):
  if not path.exists():
    return {}
  with np.load(path, allow_pickle=False) as file:
    return dict(file)
