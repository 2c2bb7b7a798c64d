"""How far a run is above another is a number that Python gets."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from mejax import experiment
from mejax.evaluation import summary


def write(folder, record):
  folder.mkdir()
  numbers = summary.metrics_json(record, {}, protocol_sentence='Made-up clips.')
  np.savez(folder / 'record.npz', **record)
  (folder / 'metrics.json').write_text(json.dumps(numbers))
  return folder


def scores(record):
  """UF1, UAR and accuracy of the last epoch, means over seeds."""
  labels, found = record['labels'], []
  for seed in np.unique(record['seed']):
    said = np.full(len(labels), -1)
    for trial in np.flatnonzero(record['seed'] == seed):
      held = record['index'][trial] >= 0
      said[record['index'][trial][held]] = record['logits'][
        trial, -1, held
      ].argmax(-1)
    found.append(
      [
        reference.f1_score(labels, said, average='macro'),
        reference.balanced_accuracy_score(labels, said),
        reference.accuracy_score(labels, said),
      ]
    )
  return np.mean(found, 0)


def test_the_difference_is_that_of_the_scores(make_record, tmp_path):
  weak, strong = (make_record(num_seeds=2) for _ in range(2))
  right = strong['labels'][strong['index']][:, None]
  strong['logits'] += 0.5 * np.eye(3, dtype=np.float32)[right]
  first, second = (
    write(tmp_path / name, record)
    for name, record in (('weak', weak), ('strong', strong))
  )
  found = experiment.compare(second, first)
  expected = scores(strong) - scores(weak)
  for name, value in zip(('uf1', 'uar', 'accuracy'), expected, strict=True):
    difference, low, high = found[name]
    assert difference == pytest.approx(value, abs=1e-6)
    # The answers are better for everybody, so chance does not hide it.
    assert 0 < low < difference < high
  people = set(zip(weak['corpus'], weak['subject'], strict=True))
  assert (found['n'], found['subjects']) == (len(weak['labels']), len(people))
  swapped = experiment.compare(first, second)
  assert swapped['uf1'] == pytest.approx([-found['uf1'][i] for i in (0, 2, 1)])


def test_runs_on_other_clips_are_not_compared(make_record, tmp_path):
  folders = [
    write(tmp_path / str(draw), make_record(num_seeds=1, draw=draw))
    for draw in range(2)
  ]
  with pytest.raises(ValueError, match='not comparable: they have other clips'):
    experiment.compare(*folders)
