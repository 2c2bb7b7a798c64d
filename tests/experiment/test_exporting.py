"""Results of a run, and seeds that are added to them."""

from __future__ import annotations

import json
import pathlib

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from mejax import cli
from mejax.evaluation import selection
from mejax.experiment import exporting
from mejax.experiment import results
from tests.corpora import htnet_tree
from tests.experiment import made_up_runs

pytestmark = pytest.mark.unoptimised

BY_TRIAL = (
  'logits', 'index', 'fold', 'inner', 'seed', 'setting', 'train_loss',
)  # fmt: skip


@pytest.fixture
def record(make_record):
  return make_record(num_seeds=3, corpora=(('casme2', 5, 4.0), ('b', 3, 3.0)))


@pytest.fixture
def run(record, tmp_path):
  return made_up_runs.write_run(tmp_path / 'run', record), record


def write_seeds(folder, record, seeds, config=(), **more):
  """Writes the run that trained some of the seeds of a record alone."""
  chosen = np.isin(record['seed'], seeds)
  part = {key: record[key][chosen] for key in BY_TRIAL}
  config = {'seed': min(seeds), 'num_seeds': len(seeds), **dict(config)}
  return made_up_runs.write_run(folder, record | part, config, **more)


def contents(folder):
  return {path.name: path.read_bytes() for path in folder.iterdir()}


def _rounded(logits):
  (found,) = exporting._exact_enough(logits, results.shares_of(logits)).items()
  return found


@hypothesis.given(
  strategies.integers(0, 2**16), strategies.sampled_from([1e-7, 1e-3, 1, 30])
)
@hypothesis.settings(max_examples=20)
def test_rounding_keeps_every_prediction_of_seeds_and_of_all_together(
  draw, scale
):
  generator = np.random.default_rng(draw)
  logits = (scale * generator.normal(size=(3, 40, 5))).astype(np.float32)
  logits[0, 0], logits[:, 1, 2] = np.nan, -np.inf
  name, kept = _rounded(logits)
  back = results.logits_of(kept) if name == 'probabilities' else kept
  np.testing.assert_array_equal(
    selection.predictions(back), selection.predictions(logits)
  )
  np.testing.assert_array_equal(
    selection.predictions(selection.probabilities(back).mean(0)),
    selection.predictions(selection.probabilities(logits).mean(0)),
  )
  # Only a diverged training is told as one.
  assert np.isnan(back[0, 0]).all()
  assert name == 'logits' or np.isfinite(back[1:]).all()
  # Where predictions are clear, few bits are enough.
  assert name == 'probabilities' or scale != 1


def test_seeds_that_are_equally_sure_of_different_classes_stay_tied():
  logits = np.zeros((3, 1, 3), np.float32)
  logits[[0, 1, 2], 0, [2, 1, 0]] = 80, 90, 85
  name, kept = _rounded(logits)
  back = results.logits_of(kept) if name == 'probabilities' else kept
  assert selection.predictions(selection.probabilities(back).mean(0)) == (
    selection.predictions(selection.probabilities(logits).mean(0))
  )


def test_export_replaces_results_and_nothing_else(run, tmp_path):
  workdir, _ = run
  folder = exporting.export(workdir, tmp_path / 'results')
  assert exporting.export(workdir, folder) == folder
  with pytest.raises(ValueError, match='holds no results'):
    exporting.export(workdir, workdir)
  # The folder of somebody's work may hold a file of that name.
  (folder / 'thesis.tex').write_text('precious')
  with pytest.raises(ValueError, match='or more than results'):
    exporting.export(workdir, folder)
  assert (folder / 'thesis.tex').read_text() == 'precious'
  for target in ('nowhere', 'results'):
    (tmp_path / 'link').symlink_to(target)
    with pytest.raises(ValueError, match='or more than results'):
      exporting.export(workdir, tmp_path / 'link')
    (tmp_path / 'link').unlink()
  with pytest.raises(NotADirectoryError, match='choose another --export'):
    exporting.export(workdir, '/dev/null/new')
  (workdir / 'run.json').unlink()
  with pytest.raises(FileNotFoundError, match='not the workdir of a finished'):
    exporting.export(workdir, tmp_path / 'new')


@pytest.mark.parametrize('parts', [[[0], [1, 2]], [[2], [1], [0]]])
def test_seeds_that_are_added_give_the_files_of_one_run(
  record, tmp_path, parts
):
  whole = write_seeds(tmp_path / 'whole', record, [0, 1, 2])
  whole = exporting.export(whole, tmp_path / 'of_one' / 'results')
  for i, seeds in enumerate(parts):
    part = write_seeds(tmp_path / f'part{i}', record, seeds)
    folder = exporting.export(
      part, tmp_path / 'of_parts' / 'results', add_seeds=i > 0
    )
  assert contents(folder) == contents(whole)
  assert results.read(folder).config.num_seeds == 3


def test_what_changes_no_number_may_differ_and_both_versions_are_kept(
  record, tmp_path
):
  first = write_seeds(tmp_path / 'first', record, [0])
  second = write_seeds(
    tmp_path / 'second',
    record,
    [1, 2],
    {'keep_models': False, 'checkpoint_every_s': 5.0},
    run={'versions': {'jax': '1'}, 'backend': 'gpu'},
  )
  folder = exporting.export(first, tmp_path / 'results')
  exporting.export(second, folder, add_seeds=True)
  told = json.loads((folder / 'versions.json').read_text())
  assert told['versions'] == {'jax': '0'}
  (other,) = told['other_seeds']
  assert other['seeds'] == [1, 2]
  assert (other['versions'], other['backend']) == ({'jax': '1'}, 'gpu')
  assert results.read(folder).seeds == (0, 1, 2)


def _rename(record):
  return record | {'clip': np.char.add(record['clip'], 'x')}


def _deal(record):
  """Holds several people out at a time."""
  names = record['fold_names'][:3]
  return record | {'fold': record['fold'] % 3, 'fold_names': names}


@pytest.mark.parametrize(
  ('seeds', 'config', 'run', 'change', 'said'),
  [
    ([0, 1], {}, {}, None, r'has seed 0 already.*--config.seed=1'),
    ([2], {}, {}, None, 'there is no seed 1 between them'),
    (
      [1],
      {'batch_size': 7},
      {},
      None,
      'config.batch_size: there 32, asked .*7',
    ),
    (
      [1],
      {'setting': {'mirror': 0.5}},
      {},
      None,
      r'config.setting.mirror: there 0.0, asked for 0.5',
    ),
    (
      [1],
      {},
      {'data_sha256': 'other'},
      None,
      "data_sha256: there 'of the data",
    ),
    (
      [1],
      {},
      {'numerics': {'jax_x': 1}},
      None,
      'numerics.jax_x: there .absent',
    ),
    (
      [1],
      {},
      {'named_objects': {'model.name': 'mine:Net 12'}},
      None,
      "own_code_sha256: there 'none'",
    ),
    ([1], {}, {}, _rename, 'clips: there'),
    ([1], {}, {}, _deal, 'folds: there'),
  ],
)
def test_what_is_not_of_the_same_run_is_refused_by_name(
  record, tmp_path, seeds, config, run, change, said
):
  first = write_seeds(tmp_path / 'first', record, [0])
  folder = exporting.export(first, tmp_path / 'results')
  before = contents(folder)
  other = change(record) if change else record
  second = write_seeds(tmp_path / 'second', other, seeds, config, run=run)
  with pytest.raises(ValueError, match=said):
    exporting.export(second, folder, add_seeds=True)
  assert contents(folder) == before


def test_classes_that_rounded_seeds_leave_open_are_counted(
  record, tmp_path, capsys
):
  """A run of both seeds predicts class 1 of the clip, the parts class 0."""
  logits = np.zeros_like(record['logits'][:, :, :, :3])
  logits[record['seed'] == 0] = np.log([0.45001, 0.44999, 0.1])
  logits[record['seed'] == 1] = np.log([0.44998, 0.45002, 0.1])
  record = record | {'logits': logits}
  first = write_seeds(tmp_path / 'first', record, [0])
  second = write_seeds(tmp_path / 'second', record, [1])
  folder = exporting.export(first, tmp_path / 'results')
  assert 'class of all seeds' not in capsys.readouterr().out
  exporting.export(second, folder, add_seeds=True)
  count = len(record['labels'])
  assert f'For {count} of {count} clips the class' in capsys.readouterr().out


def test_the_command_line_adds_a_seed_that_was_trained_later(
  tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  htnet_tree.prepare_tree(tmp_path)
  for name, seed, count in (('both', 0, 2), ('first', 0, 1), ('second', 1, 1)):
    assert not cli.main(
      [
        'train',
        '--config',
        'linear:smoke',
        '--workdir',
        f'runs/{name}',
        '--data_dir',
        'data',
        f'--config.seed={seed}',
        f'--config.num_seeds={count}',
      ]  # fmt: skip
    )
  shown = capsys.readouterr().out.split('runs/first')[0]
  one = ['--export', 'one/linear']
  assert not cli.main(['report', 'runs/both', *one])
  parts = ['--export', 'parts/linear']
  assert not cli.main(['report', 'runs/first', *parts])
  assert not cli.main(['report', 'runs/second', *parts, '--add_seeds'])
  assert contents(pathlib.Path('parts/linear')) == contents(
    pathlib.Path('one/linear')
  )
  capsys.readouterr()
  assert not cli.main(['score', 'parts/linear', '--data_dir', 'data'])
  (row,) = (
    line for line in shown.splitlines() if line.startswith('seeds together f')
  )
  assert row in capsys.readouterr().out.splitlines()
  # The mistakes that are made with it.
  for words, said in (
    (['runs/second', *parts, '--add_seeds'], 'has seed 1 already'),
    (['runs/second', '--add_seeds'], '--add_seeds needs --export'),
    (['runs/first', '--export', 'none', '--add_seeds'], 'none is not there'),
  ):
    assert cli.main(['report', *words]) == 2
    assert said in capsys.readouterr().err
  # Who asks for more seeds in the old folder is told how.
  train = ['train', '--config', 'linear:smoke', '--workdir', 'runs/both']
  train += ['--data_dir', 'data', '--config.num_seeds=5']
  assert cli.main(train) == 2
  said = capsys.readouterr().err
  assert '--config.seed=2 --config.num_seeds=3' in said
  assert 'mejax report NEW_WORKDIR --export results/NAME --add_seeds' in said
