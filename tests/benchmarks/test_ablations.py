"""The table of changes has one row for each case and grouping."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from sklearn import metrics

from mejax.evaluation import selection
from mejax.experiment import record as record_lib
from tests.benchmarks import ablations
from tests.corpora import htnet_tree

SHORT = (
  'dataset=htnet_release', 'protocol=megc2019', 'mode=map', 'num_epochs=2'
)  # fmt: skip
CASES = {
  'linear': ablations.Case('linear', SHORT),
  'linear raw': ablations.Case(
    'linear', (*SHORT, *ablations.RECIPE['raw']), 'linear'
  ),
}


@pytest.fixture
def table(tmp_path, monkeypatch, capsys):
  """A function that runs the command and returns the lines of its table."""
  groupings = tmp_path / 'groupings.csv'
  people = sorted({row[:2] for row in htnet_tree.ROWS})
  lines = [f'{",".join(who)},{i % 2}' for i, who in enumerate(people)]
  groupings.write_text('\n'.join(['corpus,subject,A', *lines]))
  data_dir = htnet_tree.prepare_tree(tmp_path)
  monkeypatch.setattr(ablations, 'CASES', CASES)

  def run(*cases):
    command = ['ablations', '--data_dir', str(data_dir), '--seeds', '2']
    command += ['--groupings', str(groupings), '--workdir', str(tmp_path / 'w')]
    monkeypatch.setattr(sys, 'argv', [*command, *cases])
    ablations.main()
    return re.findall(r'^\|.*\|$', capsys.readouterr().out, re.MULTILINE)

  return run


def test_a_case_is_trained_once_and_compared_with_its_base(table, tmp_path):
  base, changed = table('linear', 'linear raw')
  assert base.startswith('| linear A | ') and base.count('|') == 4
  assert re.search(r'\| [+-]\.?\d.* \([+-].* to [+-].*\) \|$', changed)
  records = sorted(tmp_path.glob('w/*/*/record.npz'))
  assert len(records) == 4  # Two seeds of each.
  before = [path.stat().st_mtime_ns for path in records]
  assert table() == [base, changed]
  assert [path.stat().st_mtime_ns for path in records] == before


def test_the_score_of_a_row_is_that_of_all_parts_taken_together(
  table, tmp_path
):
  (row,) = table('linear')
  scores = []
  for seed in range(2):
    record = record_lib.read_record(tmp_path / f'w/linear A/{seed}')
    (logits,) = selection.select(record, 'last').logits
    said = logits.argmax(-1)
    scores.append(metrics.f1_score(record['labels'], said, average='macro'))
  told = f'{np.mean(scores):.3f} ± {np.std(scores, ddof=1):.3f} (2)'
  assert told in row
