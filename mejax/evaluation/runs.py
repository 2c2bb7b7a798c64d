"""What the report reads of a workdir."""

from __future__ import annotations

import dataclasses
import json
import pathlib

from jaxtyping import Integer
import numpy as np

from mejax.evaluation import bootstrap
from mejax.evaluation import selection
from mejax.evaluation import summary

HEADLINE = 'last'


@dataclasses.dataclass(frozen=True)
class Run:
  """What a workdir holds.

  Attributes:
    name: what the page calls the run.
    numbers: `metrics.json`.
    record: `record.npz`.
    config: `config.json`; empty if the run has none.
    levels: `levels.json`; empty if its models read no amplification levels.
    looked: `looked.npz`; empty if its models do not show where they looked.
  """

  name: str
  numbers: dict
  record: dict[str, np.ndarray]
  config: dict
  levels: dict
  looked: dict[str, np.ndarray]

  def entry(self, rule: str = HEADLINE) -> dict:
    """The numbers of a rule on all examples."""
    return self.numbers['selection'][rule]['full']

  def matrices(self) -> Integer[np.ndarray, 's g k o']:
    """Confusion matrices of seeds and subjects, as the headline rule picks."""
    setting = int(self.record['setting'].min())
    found = selection.select(self.record, HEADLINE, setting=setting)
    return bootstrap.group_confusion(
      self.record['labels'],
      selection.predictions(found.logits),
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
  numbers = json.loads((workdir / 'metrics.json').read_text())
  if numbers['schema_version'] != summary.SCHEMA_VERSION:
    raise ValueError(
      f'{workdir} was evaluated by a mejax with schema '
      f'{numbers["schema_version"]}; this one reads {summary.SCHEMA_VERSION}. '
      'The `mejax train` or `evaluate` command that made it does so again.'
    )
  return Run(
    name=name,
    numbers=numbers,
    record=record,
    config=_json(workdir / 'config.json'),
    levels=_json(workdir / 'levels.json'),
    looked=_npz(workdir / 'looked.npz'),
  )


def _json(path):
  return json.loads(path.read_text()) if path.exists() else {}


def _npz(path):
  if not path.exists():
    return {}
  with np.load(path, allow_pickle=False) as file:
    return dict(file)
