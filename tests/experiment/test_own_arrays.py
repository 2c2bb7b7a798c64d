"""What cannot be inputs, labels and subjects of examples is told plainly."""

from __future__ import annotations

import inspect
import pathlib

import numpy as np
import pytest

from mejax import experiment
from mejax import files
from mejax.evaluation import entries
from mejax.evaluation import summary
from tests import records

INPUTS = np.zeros((9, 4, 4, 3), np.float32)
LABELS = np.arange(9) % 3
SUBJECTS = np.repeat(['a', 'b', 'c'], 3)


def test_the_page_lists_every_key_of_an_entry_and_the_defaults():
  root = pathlib.Path(__file__).parents[2]
  page = ' '.join((root / 'docs/how_to/own_arrays.md').read_text().split())
  counts = np.ones((1, 3, 2, 2), int)
  for key in [*entries.of_counts(counts), 'last_minus', 'warning']:
    name, _, ending = key.rpartition('_')
    if ending in ('ci', 'std', 'seeds'):
      key = name
      assert f'`_{ending}`' in page
    assert f'`{key}`' in page
  record = records.make(num_seeds=1, num_settings=2)
  numbers = summary.metrics_json(record, {}, protocol_sentence='')
  for key in [*numbers, files.OWNER]:
    assert f'`{key}`' in page or f"numbers['{key}']" in page
  config = experiment.load_config('synthetic')
  assert (
    f'{config.num_epochs} epochs, {config.num_seeds} seeds, batches of'
    f' {config.batch_size}, AdamW at 2e-3'
  ) in page and config.setting.learning_rate == 2e-3
  assert f'label smoothing {config.setting.label_smoothing}' in page
  default = inspect.signature(experiment.leave_one_subject_out).parameters
  assert f'the model is `{default["model"].default}`' in page


@pytest.mark.parametrize(
  ('changes', 'words'),
  [
    ({'labels': LABELS + 1}, 'labels are 1 to 3, and no example has 0; number'),
    ({'labels': LABELS * 2}, 'labels are 0 to 4, and no example has 1, 3;'),
    ({'labels': LABELS - 1}, 'labels are -1 to 1, and no example has a class'),
    ({'labels': LABELS + 0.5}, 'labels are float64, as 0.5; expected whole'),
    (
      {'labels': np.array(list('xyz' * 3))},
      "labels are <U1, as 'x'; expected whole",
    ),
    (
      {'labels': np.array([None] + [1] * 8, object)},
      'labels are object, as None; expected',
    ),
    ({'labels': LABELS[:, None]}, r'labels have shape \(9, 1\); expected'),
    ({'labels': np.eye(3, dtype=int)[LABELS]}, 'no one-hot rows'),
    ({'labels': LABELS[:8]}, r'labels have shape \(8,\); expected \(9,\)'),
    (
      {'labels': np.ma.masked_array(LABELS, mask=LABELS > 1)},
      'labels are a masked array; leave out',
    ),
    (
      {'labels': np.where(LABELS == 1, 10**6, LABELS)},
      'there are 1000001 classes; expected at most 1000',
    ),
    ({'class_names': list('aac')}, "class_names has 'a' twice"),
    ({'class_names': ['a', '', 'b']}, "class_names has '', which is no name"),
    ({'class_names': ['A', 'a', 'b']}, "class_names has 'A' and 'a'; write"),
    ({'class_names': 'abc'}, "class_names is 'abc'; expected a list"),
    ({'class_names': ['a', 'b']}, 'Labels must be integers from 0 to 1'),
    ({'inputs': INPUTS + 1j}, 'inputs are complex.*expected real numbers'),
    ({'inputs': INPUTS.astype(str)}, 'inputs are <U.*expected real numbers'),
    ({'inputs': INPUTS[:, :0]}, r'inputs have shape \(9, 0, 4, 3\)'),
    (
      {'inputs': INPUTS[:0], 'labels': [], 'subjects': []},
      r'inputs have shape \(0, 4, 4, 3\); expected one for each example',
    ),
    (
      {'inputs': np.ma.masked_array(INPUTS, mask=INPUTS > 1)},
      'inputs are a masked array',
    ),
    ({'inputs': [[1.0], [2.0, 3.0]]}, 'inputs are no array'),
    ({'subjects': SUBJECTS[:, None]}, r'subjects have shape \(9, 1\)'),
    ({'subjects': SUBJECTS[:8]}, r'subjects have shape \(8,\); expected'),
    ({'subjects': SUBJECTS == 'a'}, 'subjects are bool; expected names'),
    (
      {'subjects': np.ma.masked_array(LABELS, mask=LABELS > 1)},
      'subjects are a masked array',
    ),
    (
      {'subjects': np.array([1, 1.0, '1.0', *'222333'], object)},
      "'1', '1.0' may be one person",
    ),
    (
      {'subjects': np.array([b'a', 'A', 'a', *'bbbccc'], object)},
      "'a', 'A' may be one person",
    ),
    ({'subjects': np.array([b'\xff'] * 9)}, 'a subject is no UTF-8'),
    ({'dataset': 'synthetic'}, 'dataset belongs to a dataset, and not to arr'),
    ({'view__name': 'full_flow'}, 'view__name belongs to a dataset'),
    (
      {'learning_rate': 1e-3},
      "no value 'learning_rate'.*names are setting__learning_rate, grid__",
    ),
    ({'num_seeds': 'x'}, 'Bad value for num_seeds'),
    ({'model': 'htnet:tiny'}, "model='htnet', model__preset='tiny'"),
  ],
)
def test_misuse_is_refused_before_anything_is_written(tmp_path, changes, words):
  given = {'inputs': INPUTS, 'labels': LABELS, 'subjects': SUBJECTS} | changes
  with pytest.raises(ValueError, match=words):
    experiment.leave_one_subject_out(**given, workdir=tmp_path / 'run')
  assert not (tmp_path / 'run').exists()
