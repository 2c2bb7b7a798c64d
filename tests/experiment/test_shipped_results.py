"""The folders in results/ are whole, and give the scores of the documents."""

from __future__ import annotations

import json
import pathlib
import re
import shlex

import numpy as np
import pytest

from mejax.experiment import results
from mejax.experiment import scoring

pytestmark = pytest.mark.unoptimised

HOME = pathlib.Path(__file__).parents[2] / 'results'
FOLDERS = sorted(path.name for path in HOME.iterdir() if path.is_dir())
REAL = [name for name in FOLDERS if not name.endswith('_rendered')]
TABLE = HOME.parent / 'docs' / 'measurements.md'
# How the row of a folder begins in the table of docs/measurements.md.
ROWS = {
  'cnn': 'CNN, `cnn`',
  'generated': 'the CNN on [generated flow]',
  'htnet_face': 'HTNet `face_small`, as in',
  'htnet_regions': 'HTNet `regions_small`',
  'linear': 'linear probe',
  'offapexnet': 'OFF-ApexNet',
  'resnet': 'ResNet, small',
  'sssnet': 'SSSNet',
  'ststnet': 'STSTNet',
}


def _rows(text):
  """The cells of all rows of tables."""
  lines = [line for line in text.splitlines() if line.startswith('| ')]
  return [[cell.strip() for cell in line[1:-1].split('|')] for line in lines]


def _said():
  """What results/README.md says of each folder."""
  rows = _rows((HOME / 'README.md').read_text().partition('| folder |')[2])
  return {row[0].strip('`'): row[1] for row in rows}


def test_the_list_of_results_names_every_folder():
  assert sorted(_said()) == FOLDERS


@pytest.mark.parametrize('name', FOLDERS)
def test_a_folder_is_whole_and_has_the_seeds_that_are_told(name):
  folder = HOME / name
  assert sorted(path.name for path in folder.iterdir()) == sorted(results.FILES)
  result = results.read(folder)
  said = _said()[name]
  (count,) = re.findall(r'(\d+) seeds?\b', said)
  assert result.seeds == tuple(range(int(count)))
  for folds in re.findall(r'(\d+) folds', said):
    assert len(np.unique(result.fold)) == int(folds)
  share = np.exp(result.logits)
  np.testing.assert_allclose(
    share.sum(-1), 1, atol=0.01, err_msg='these were no probabilities'
  )
  assert {'jax', 'numpy', 'mejax'} <= set(result.versions['versions'])
  assert re.fullmatch('[0-9a-f]{64}', result.versions['data_sha256'])
  assert result.versions['dataset']['corpora']


@pytest.mark.parametrize('name', FOLDERS)
def test_no_label_and_no_name_of_a_clip_is_in_a_folder(name):
  arrays = dict(np.load(HOME / name / 'probabilities.npz'))
  said = arrays.pop('probabilities', arrays.pop('logits', None))
  assert set(arrays) == {
    'schema_version', 'class_names', 'clip', 'fold', 'seeds', 'epoch',
  }  # fmt: skip
  clip = arrays['clip'].tolist()
  assert all(re.fullmatch('[0-9a-f]{16}', each) for each in clip)
  # In the order of digests, which is that of no class.
  assert clip == sorted(clip) and said.shape[1] == len(clip)
  told = json.loads((HOME / name / 'versions.json').read_text())
  assert not {'clips', 'counts', 'skipped'} & set(told['dataset'])


@pytest.mark.parametrize('name', FOLDERS)
def test_the_commands_of_a_folder_end_with_its_score(name):
  lines = (HOME / name / 'command.txt').read_text().splitlines()
  commands = [shlex.split(line) for line in lines if line[0] != '#']
  assert [words[0] for words in commands] == ['mejax'] * len(commands)
  assert commands[-1][1:3] == ['score', f'results/{name}']
  text = '\n'.join(lines)
  # What the reader has to put in place is explained first.
  assert ('YOUR_' in text) == lines[0].startswith('# Put your own')
  if 'landmarks28.csv' in text:
    assert 'landmarks28.csv' in (HOME / 'README.md').read_text()


def _table():
  """The rows of the first table of the documents, each by its columns."""
  block = TABLE.read_text().partition('| model |')[2].partition('\n\n')[0]
  head, *rows = _rows('| model |' + block)
  return [dict(zip(head, row, strict=True)) for row in rows]


def _check_row(row, entry):
  """Compares UF1, its deviation and interval, and UAR with those of a row."""
  uf1, interval, uar = (
    [float(x) for x in re.findall(r'\.\d{3}', row[name])]
    for name in ('UF1, honest', '95 %', 'UAR')
  )
  assert entry['uf1'] == pytest.approx(uf1[0], abs=5.1e-4)
  for deviation in uf1[1:]:
    assert entry['uf1_std'] == pytest.approx(deviation, abs=5.1e-4)
  assert entry['uf1_ci'] == pytest.approx(interval, abs=5.1e-4)
  assert [entry['uar']] == pytest.approx(uar, abs=5.1e-4)


@pytest.mark.parametrize('name', REAL)
def test_a_folder_gives_the_scores_of_the_table(
  name, released_dir, monkeypatch, capsys
):
  # Baselines are no part of the folder, and their fits take a minute.
  monkeypatch.setattr(
    scoring.baseline_cache, 'read_or_fit', lambda *_, **__: {}
  )
  numbers = scoring.score(HOME / name, data_dir=released_dir)
  # The data are those of the run, face points included.
  assert 'NOTE' not in capsys.readouterr().out
  assert name in ROWS, f'say in ROWS which row of {TABLE.name} has {name}'
  rows = _table()
  (place,) = (
    i for i, row in enumerate(rows) if row['model'].startswith(ROWS[name])
  )
  entry = numbers['selection']['last']['full']
  assert entry['n'] == 442
  (seeds,) = re.findall(r'\((\d+) seeds?\)', rows[place]['UF1, honest'])
  assert numbers['num_seeds'] == int(seeds)
  _check_row(rows[place], entry)
  if rows[place + 1]['model'] == 'the same, seeds together':
    _check_row(rows[place + 1], numbers['together']['last']['full'])
