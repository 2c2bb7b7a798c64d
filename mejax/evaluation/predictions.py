"""Writes what the models of a run say of each example that they held out."""

from __future__ import annotations

from collections.abc import Sequence
import os

import numpy as np

from mejax import files
from mejax.evaluation import selection


def write_csv(
  path: str | os.PathLike,
  record: selection.Record,
  *,
  rules: Sequence[str] | None = None,
) -> None:
  """Writes a row per rule, seed and example.

  Columns: seed, corpus, subject, clip, truth, prediction, p0.. (softmax),
  selection, and setting if the record has several. A name that a spreadsheet
  would take for a formula gets an apostrophe; see `files.plain_cell`.
  """
  rules = selection.rules_of(record) if rules is None else rules
  settings = np.unique(record['setting'])
  several = len(settings) > 1
  classes = [f'p{k}' for k in range(record['logits'].shape[-1])]
  header = ['seed', 'corpus', 'subject', 'clip', 'truth', 'prediction']
  header += [*classes, 'selection'] + ['setting'] * several
  identity = list(
    zip(
      *(
        record[key].tolist() for key in ('corpus', 'subject', 'clip', 'labels')
      ),
      strict=True,
    )
  )
  with files.writing(path) as file:
    writer = files.CsvWriter(file)
    writer.writerow(header)
    for setting in settings:
      for rule in rules:
        found = selection.select(record, rule, setting=int(setting))
        prediction = selection.predictions(found.logits)
        share = selection.probabilities(found.logits)
        for row, seed in enumerate(found.seeds):
          for i, name in enumerate(identity):
            writer.writerow(
              [seed, *name, prediction[row, i]]
              + [f'{p:.6g}' for p in share[row, i]]
              + [rule]
              + [setting] * several
            )
