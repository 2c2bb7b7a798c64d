"""Models that have learnt, on the clips that each of them did not see."""

from __future__ import annotations

import csv
import json
import re

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax import cli
from mejax import experiment
from mejax import torch_weights
from mejax.evaluation import baselines
from mejax.evaluation import selection
from mejax.experiment import applying
from mejax.experiment import configuration
from mejax.experiment import conversion
from mejax.experiment import evaluating
from mejax.experiment import resolve
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import saved as saved_lib
from mejax.models.capabilities import Capabilities
from mejax.training import cost
from tests import closeness
from tests import own_parts
from tests.corpora import htnet_tree
from tests.models import test_convert
from tests.training import setup_trials

pytestmark = pytest.mark.unoptimised


class Statistics(nn.Module):
  """A small model with batch statistics that shows what it reads."""

  num_classes: int = 3

  capabilities = Capabilities(takes_mask=True)

  @nn.compact
  def __call__(self, inputs, *, train: bool, mask=None):
    x = inputs.reshape(len(inputs), -1)
    mask = None if mask is None else mask[:, None]
    x = nn.BatchNorm(use_running_average=not train)(x, mask=mask)
    return nn.Dense(self.num_classes)(x), {'read': x, 'none': None}


def arrays():
  return setup_trials.make_arrays(num_subjects=5, n=40)


def task(inputs, labels, subjects):
  return experiment.Task(
    inputs=inputs,
    labels=labels,
    corpus=np.full(len(labels), 'own'),
    subject=subjects,
    clip=np.array([str(i) for i in range(len(labels))]),
    class_names=('a', 'b', 'c'),
    protocol='One.',
    groups=subjects,
  )


def apply(saved, task, **options):
  return applying.apply_folds(saved, task, task.groups, **options)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A finished run on own arrays: two seeds, inner folds, several rounds."""
  workdir = tmp_path_factory.mktemp('run') / 'run'
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(cost, 'MAP_ROUND', 1)
    experiment.leave_one_subject_out(
      *arrays(),
      workdir=workdir,
      model=Statistics(),
      class_names=('a', 'b', 'c'),
      num_epochs=3,
      num_seeds=2,
      batch_size=16,
      selection=('last', 'inner'),
      inner_folds=2,
    )
  assert len(list((workdir / 'checkpoints').glob('*_model'))) > 1
  return workdir


def test_a_run_says_again_the_last_logits_of_its_record(run):
  saved = saved_lib.read_models(run, Statistics())
  logits, _ = apply(saved, task(*arrays()))
  record = workdir_lib.load_npz(run / 'record.npz')
  expected = selection.select(record, 'last')
  closeness.assert_close(logits, expected.logits, 2e-6)
  assert saved.seeds == tuple(expected.seeds)
  assert saved.epoch == 3


def test_each_clip_meets_the_model_that_held_it_out(run):
  saved = saved_lib.read_models(run, Statistics())
  own = task(*arrays())
  _, out = apply(saved, own)
  assert out['none'] is None
  for i in (0, 7, 39):
    for row, seed in enumerate(saved.seeds):
      variables = saved.load(seed, own.groups[i])
      _, alone = saved.model.apply(
        variables, own.inputs[i : i + 1], train=False
      )
      closeness.assert_close(out['read'][row, i], alone['read'][0], 1e-6)


def test_parts_leave_several_subjects_out_and_intervals_are_over_subjects(
  tmp_path, capsys
):
  workdir = tmp_path / 'run'
  metrics = experiment.leave_one_subject_out(
    *arrays(),
    workdir=workdir,
    model=Statistics(),
    class_names=('a', 'b', 'c'),
    num_epochs=2,
    num_folds=2,
    num_seeds=1,
  )
  record = workdir_lib.load_npz(workdir / 'record.npz')
  assert record['fold_names'].tolist() == ['part 1 of 2', 'part 2 of 2']
  assert len(record['logits']) == 2
  assert metrics['selection']['last']['full']['subjects'] == 5
  told = ' left out in 2 parts'
  assert told in metrics['protocol']
  found = workdir_lib.load_npz(workdir / 'baselines.npz')
  assert (found['majority'] >= 0).all()
  again = evaluating.evaluate(workdir, task=task(*arrays()), model=Statistics())
  assert told in again['protocol']
  # Not by 0: two programs compute them, and another processor rounds otherwise.
  told = re.search(r'logits differ by up to (\S+)\)', capsys.readouterr().out)
  assert float(told[1]) <= 2e-6 * np.abs(record['logits']).max()
  # Without the first subject all others would be dealt to other parts.
  inputs, labels, subjects = arrays()
  fewer = subjects != np.unique(subjects)[0]
  last = selection.select(record, 'last').logits
  logits, _ = apply(
    saved_lib.read_models(workdir, Statistics()),
    task(inputs[fewer], labels[fewer], subjects[fewer]),
    keep=lambda out: {},
  )
  closeness.assert_close(logits, last[:, fewer], 2e-6)
  strangers = np.char.add('new_', subjects)
  with pytest.raises(ValueError, match='in none of them: new_'):
    evaluating.evaluate(
      workdir, task=task(inputs, labels, strangers), model=Statistics()
    )


def test_clips_without_labels_go_through_a_saved_model(run):
  saved, known = saved_lib.read_models(run, Statistics()), task(*arrays())
  clips = experiment.Clips(
    inputs=known.inputs,
    corpus=known.corpus,
    subject=known.subject,
    clip=known.clip,
  )
  # The model of a clip is found by its person, own/s1, who is s1 in the run.
  logits, _ = applying.apply_folds(saved, clips)
  np.testing.assert_array_equal(logits, apply(saved, known)[0])


def test_keep_chooses_what_is_returned_of_out(run):
  saved = saved_lib.read_models(run, Statistics())
  own = task(*arrays())
  _, kept = apply(saved, own, keep=lambda out: out['read'].mean(-1))
  _, out = apply(saved, own)
  closeness.assert_close(kept, out['read'].mean(-1), 5e-6)
  assert kept.shape == (2, 40)


def test_a_group_without_a_model_is_an_error_that_names_it(run):
  inputs, labels, subjects = arrays()
  subjects = np.where(subjects == 's2', 'stranger', subjects)
  saved = saved_lib.read_models(run, Statistics())
  with pytest.raises(ValueError, match='stranger: none'):
    apply(saved, task(inputs, labels, subjects))


def listing(folder):
  return {
    path: path.stat().st_mtime_ns
    for path in folder.rglob('*')
    if path.is_file() and 'evaluate' not in path.parts
  }


def test_evaluate_repeats_the_table_and_touches_nothing_of_the_run(run, capsys):
  before = listing(run)
  metrics = evaluating.evaluate(run, task=task(*arrays()), model=Statistics())
  assert listing(run) == before
  trained = json.loads((run / 'metrics.json').read_text())
  assert metrics['selection']['last'] == trained['selection']['last']
  assert metrics['baselines'] == trained['baselines']
  assert json.loads((run / 'evaluate/metrics.json').read_text()) == metrics
  shown = capsys.readouterr().out
  assert 'The predictions are those in the record of the run' in shown
  with (run / 'evaluate/predictions.csv').open() as file:
    rows = list(csv.DictReader(file))
  with (run / 'predictions.csv').open() as file:
    truth = [row for row in csv.DictReader(file) if row['selection'] == 'last']
  words = ('seed', 'clip', 'truth', 'prediction')
  assert [[r[w] for w in words] for r in rows] == [
    [r[w] for w in words] for r in truth
  ]
  experiment.report([run / 'evaluate'])


def test_other_clips_are_told_and_not_compared(run, tmp_path, capsys):
  inputs, labels, subjects = arrays()
  few = slice(0, 30)
  evaluating.evaluate(
    run,
    task=task(inputs[few], labels[few], subjects[few]),
    model=Statistics(),
    out=tmp_path / 'out',
  )
  shown = capsys.readouterr().out
  assert 'whose record has other clips.' in shown
  assert 'The predictions' not in shown
  evaluating.evaluate(
    run,
    task=task(inputs, (labels + 1) % 3, subjects),
    model=Statistics(),
    out=tmp_path / 'labels',
  )
  with pytest.raises(ValueError, match="matmul_precision is 'bogus'"):
    evaluating.evaluate(
      run,
      task=task(inputs, labels, subjects),
      model=Statistics(),
      out=tmp_path / 'out',
      overrides=['matmul_precision=bogus'],
    )
  shown = capsys.readouterr().out
  assert 'whose record has other motion, labels or people.' in shown
  assert 'The predictions' not in shown


@pytest.mark.parametrize(
  'left', ['run.json', 'config.json', 'log.jsonl', 'checkpoints']
)
def test_no_run_is_overwritten(run, tmp_path, left):
  """Whatever is left of it."""
  (tmp_path / left).touch()
  for out in (tmp_path, run):
    before = listing(out)
    with pytest.raises(ValueError, match='is the folder of a run.*--out'):
      evaluating.evaluate(
        run, task=task(*arrays()), model=Statistics(), out=out
      )
    assert listing(out) == before


def test_what_a_run_does_not_tell_by_name_must_be_handed_over(run):
  with pytest.raises(ValueError, match='was handed over in Python'):
    evaluating.evaluate(run, task=task(*arrays()))
  with pytest.raises(ValueError, match='trained on arrays'):
    evaluating.evaluate(run, data_dir='data', model=Statistics())


def test_classes_of_another_order_are_brought_into_that_of_the_protocol(run):
  inputs, labels, subjects = arrays()
  order = np.array([1, 2, 0])
  turned = experiment.Task(
    **{
      **vars(task(inputs, order[labels], subjects)),
      'class_names': ('c', 'a', 'b'),
    }
  )
  metrics = evaluating.evaluate(run, task=turned, model=Statistics())
  trained = json.loads((run / 'metrics.json').read_text())
  ours = metrics['selection']['last']['full']['uf1']
  assert ours == pytest.approx(trained['selection']['last']['full']['uf1'])


def test_classes_that_the_models_do_not_know_are_an_error(run):
  other = experiment.Task(
    **{**vars(task(*arrays())), 'class_names': ('a', 'b', 'd')}
  )
  with pytest.raises(ValueError, match='tell a, b, c apart.*has a, b, d'):
    evaluating.evaluate(run, task=other, model=Statistics())


def test_a_run_that_kept_no_models_says_how_to_keep_them(tmp_path):
  experiment.leave_one_subject_out(
    *arrays(),
    workdir=tmp_path / 'run',
    model=own_parts.Linear(),
    num_epochs=1,
    num_seeds=1,
    keep_models=False,
  )
  saved = saved_lib.read_models(tmp_path / 'run', own_parts.Linear())
  with pytest.raises(ValueError, match='--config.keep_models=True'):
    apply(saved, task(*arrays()))


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return htnet_tree.prepare_tree(tmp_path_factory.mktemp('tree'))


def test_evaluate_from_the_command_line_finds_all_in_the_run(
  data_dir, tmp_path, capsys, monkeypatch
):
  # Predictions with averaged weights, and with the mirrored clip.
  numbers = ['setting.test_mirror=0.5', 'setting.ema=0.5']
  config = configuration.load_config('linear:smoke', numbers)
  experiment.train(config, data_dir=data_dir, workdir=tmp_path / 'run')
  capsys.readouterr()
  arguments = ['evaluate', str(tmp_path / 'run'), '--data_dir', str(data_dir)]
  # Neither needs another fit: baselines depend on data and folds alone.
  monkeypatch.setattr(baselines, 'baselines', None)
  assert cli.main(arguments) == 0
  assert 'The predictions are those' in capsys.readouterr().out
  assert cli.main([*arguments, '--config.view.normalise=centre']) == 0
  assert 'not the data of the run' in capsys.readouterr().out


@pytest.fixture
def converted(monkeypatch):
  """Converts random weights of STSTNet as if they lay in files."""
  monkeypatch.setattr(
    torch_weights, 'read_state_dict', lambda path: test_convert.ststnet_state()
  )

  def convert(folder, names):
    for name in names:
      (folder / f'{name}.pth').write_text(name)
    files = [folder / f'{name}.pth' for name in names]
    return conversion.convert('ststnet', files, folder / 'models')

  return convert


def test_one_model_for_all_never_looks_like_an_estimate(
  converted, data_dir, tmp_path, capsys
):
  folder = converted(tmp_path, ['ststnet'])
  metrics = evaluating.evaluate(folder, data_dir=data_dir)
  shown = capsys.readouterr().out
  assert 'may have been trained on' in shown and 'last *' in shown
  assert metrics['protocol'].startswith('One model for all clips.')
  entries = metrics['selection']['last'].values()
  assert all('trained on' in entry['warning'] for entry in entries)
  assert (folder / 'evaluate' / 'predictions.csv').exists()
  saved = saved_lib.read_models(folder)
  config = configuration.load_config('ststnet')
  own = resolve.load_task(config, data_dir)
  logits, _ = apply(saved, own)
  direct = jax.jit(lambda v, x: saved.model.apply(v, x, train=False)[0])
  closeness.assert_close(
    logits[0], direct(saved.load(0, ''), jnp.asarray(own.inputs)), 1e-5
  )


def test_a_model_for_each_subject_is_marked_as_perhaps_test_selected(
  converted, data_dir, tmp_path, capsys
):
  own = resolve.load_task(configuration.load_config('ststnet'), data_dir)
  subjects = sorted({group.split('/')[1] for group in own.groups})
  folder = converted(tmp_path, [f'fold_{subject}' for subject in subjects])
  metrics = evaluating.evaluate(folder, data_dir=data_dir)
  shown = capsys.readouterr().out
  assert 'epoch of these weights may have been chosen on these clips' in shown
  assert 'last *' in shown
  assert metrics['selection']['last']['full']['n'] == len(own.labels)


def test_a_folder_that_holds_no_models_is_an_error(tmp_path):
  with pytest.raises(ValueError, match=r'record\.npz.*\n?.*model\.json'):
    evaluating.evaluate(tmp_path)


def test_whatever_started_from_converted_weights_says_so_at_every_number(
  converted, data_dir, tmp_path, capsys
):
  workdir = tmp_path / 'tuned'
  metrics = experiment.train(
    configuration.load_config(
      'ststnet:smoke',
      ['num_seeds=2', 'num_folds=2', 'num_epochs=1', 'eval_every=1'],
    ),
    data_dir=data_dir,
    workdir=workdir,
    init=converted(tmp_path, ['ststnet']),
  )
  rows = [*metrics['selection'].values(), *metrics['together'].values()]
  assert all('nobody knows' in row['full']['warning'] for row in rows)
  assert 'a budget fixed beforehand' in metrics['rules']['last']
  assert 'nobody knows' in capsys.readouterr().out
  page = (workdir / 'report/index.html').read_text()
  assert page.count('nobody knows') > 1
  both = experiment.together([workdir, 'lda'])
  first, second = (each['entries']['full'] for each in both['members'])
  assert 'nobody knows' in first['warning'] and 'warning' not in second
  assert 'nobody knows' in both['together']['full']['warning']
  results = experiment.export(workdir, tmp_path / 'results')
  assert '--init YOUR_MODEL' in (results / 'command.txt').read_text()
  scored = experiment.score(results, data_dir=data_dir)
  assert 'nobody knows' in scored['selection']['last']['full']['warning']
  capsys.readouterr()
  evaluating.evaluate(workdir, data_dir=data_dir)
  assert 'nobody knows' in capsys.readouterr().out
