"""A model of generated faces: trained, resumed, and applied to others."""

from __future__ import annotations

import dataclasses
import html
import json
import re
import shlex

import numpy as np
import pytest

from mejax import experiment
from mejax import models
from mejax.datasets import as_generated
from mejax.datasets import builder
from mejax.datasets import generated
from mejax.experiment import configuration
from mejax.experiment import evaluating
from mejax.experiment import finished
from mejax.experiment import pretraining
from mejax.experiment import resolve
from mejax.experiment import results
from mejax.experiment.packs import packing
from mejax.experiment.packs import saved as saved_lib
from mejax.experiment.packs import trained_on
from mejax.training import checkpoint
from tests.corpora import htnet_tree
from tests.datasets import test_rendered

pytestmark = pytest.mark.unoptimised


def config(**changes):
  found = configuration.load_config('generated:smoke')
  with found.unlocked():
    found.num_epochs = 3
    found.checkpoint_every_s = 0.0
    found.generated.update(people=20, pictures=3)
  configuration.change(
    found, {key.replace('__', '.'): value for key, value in changes.items()}
  )
  return found


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('run') / 'run'
  return workdir, experiment.pretrain(config(), workdir=workdir)


def test_a_run_has_what_a_run_has_and_holds_people_out(run):
  workdir, metrics = run
  for name in (
    'config.json', 'run.json', 'record.npz', 'predictions.csv', 'metrics.json',
    'log.jsonl', 'units.json', 'report/index.html',
  ):  # fmt: skip
    assert (workdir / name).exists(), name
  # One part of ten: two of twenty people.
  assert metrics['selection']['last']['full']['n'] == 6
  with np.load(workdir / 'record.npz') as record:
    held = set(record['subject'].tolist())
    assert record['logits'].shape == (1, 3, 6, 3)
  plan = pretraining.make_plan(config())
  trained = plan.task.subject[np.asarray(plan.trials.train)[0] > 0]
  assert len(held) == 2 and not held & set(trained.tolist())
  assert len(set(trained.tolist())) == 18
  about = json.loads((workdir / 'run.json').read_text())
  assert about['dataset']['generator'] == generated.VERSION
  units = json.loads((workdir / 'units.json').read_text())
  assert set(units['units']) == set(about['dataset']['action_units'])
  assert units['names'] == about['dataset']['action_units']
  (thresholds,) = units['thresholds'].values()
  assert len(thresholds) == 18 and not units['parts']


def test_the_page_and_the_terminal_tell_its_action_units(run, capsys):
  workdir, _ = run
  units = json.loads((workdir / 'units.json').read_text())
  experiment.pretrain(config(), workdir=workdir)
  page = (workdir / 'report/index.html').read_text(encoding='utf-8')
  told = capsys.readouterr().out
  (thresholds,) = units['thresholds'].values()
  rows = {
    cells[0]: cells[1:]
    for cells in (
      re.findall('<td>(.*?)</td>', row) for row in page.split('<tr')
    )
    if cells
  }
  lines = {
    line.split()[0]: line.split()[1:] for line in told.splitlines() if line
  }
  for name, threshold in zip(units['names'], thresholds, strict=True):
    row = units['units'][name]
    assert rows[name][0] == lines[name][-1] == f'{threshold:.2f}'
    assert rows[name][-1] == lines[name][-2] == str(row['shown'])
    for place, key in ((1, 'area'), (2, 'f1'), (3, 'f1_macro')):
      number = '–' if row[key] is None else f'{row[key]:.3f}'
      assert rows[name][place] == number
      assert lines[name][place - 1] == number.replace('–', '-')
  assert rows['mean'][3] == f'{units["mean"]["f1_macro"]:.3f}'


def test_an_interrupted_run_ends_with_the_same_bits(run, tmp_path, monkeypatch):
  def fail(*args):
    raise RuntimeError('interrupted')

  with monkeypatch.context() as patch:
    patch.setattr(checkpoint.Round, 'finish', fail)
    with pytest.raises(RuntimeError, match='interrupted'):
      experiment.pretrain(config(), workdir=tmp_path / 'run')
  assert not (tmp_path / 'run/record.npz').exists()
  experiment.pretrain(config(), workdir=tmp_path / 'run')
  with (
    np.load(run[0] / 'record.npz') as whole,
    np.load(tmp_path / 'run/record.npz') as resumed,
  ):
    for name in whole.files:
      np.testing.assert_array_equal(whole[name], resumed[name], err_msg=name)


def test_another_version_of_the_generator_is_refused(run, monkeypatch):
  ours = generated.VERSION
  monkeypatch.setattr(generated, 'VERSION', ours + 1)
  with pytest.raises(
    ValueError, match=f'version {ours} of the generator; this'
  ):
    experiment.pretrain(config(), workdir=run[0])


def test_other_pictures_are_refused_in_the_same_workdir(run):
  with pytest.raises(ValueError, match='generated.seed'):
    experiment.pretrain(config(generated__seed=1), workdir=run[0])


def test_rendered_faces_are_trained_on_and_held_out_like_others(tmp_path):
  test_rendered.write(tmp_path / 'data', people=10)
  faces = config(generated__rendered='faces')
  plan = pretraining.make_plan(faces, data_dir=tmp_path / 'data')
  train, test = (
    np.asarray(x[0]) > 0 for x in (plan.folds.train, plan.folds.test)
  )
  corpus, people = plan.task.corpus, plan.task.people
  for chosen in (train, test):
    assert set(corpus[chosen]) == {'generated', 'synthetic'}
  assert not set(people[train]) & set(people[test])
  # Their units are trained, and are those of the sheets.
  shown = plan.task.extra['units'][corpus == 'synthetic']
  assert shown.sum(1).tolist() == [2, 2, 3] * 10
  workdir = tmp_path / 'run'
  metrics = experiment.pretrain(
    faces, workdir=workdir, data_dir=tmp_path / 'data'
  )
  entries = metrics['selection']['last']
  assert entries['synthetic']['n'] + entries['generated']['n'] == test.sum()
  one, other = finished.read_run(workdir, name='run').commands[-2:]
  assert one.startswith('mejax prepare synthetic') and '--name faces' in one
  assert '--remove_head_motion' in one and '--data_dir' in other
  # Not on other faces, or others that are cut out.
  test_rendered.write(tmp_path / 'data', people=9)
  with pytest.raises(ValueError, match='belongs to'):
    experiment.pretrain(faces, workdir=workdir, data_dir=tmp_path / 'data')


@pytest.mark.slow
def test_rendered_faces_may_be_those_of_the_training_and_numbers_say_so(
  tmp_path,
):
  data_dir = tmp_path / 'data'
  how = {'crop': 'aligned', 'size': test_rendered.SIDE}
  recipe = as_generated.recipe_of(**how, levels=(1.0,)).describe()
  test_rendered.write(data_dir, people=10, **recipe)
  faces = config(generated__rendered='faces', generated__units='pixel')
  faces.generated.update(how)
  experiment.pretrain(faces, workdir=tmp_path / 'run', data_dir=data_dir)
  metrics = evaluating.evaluate(
    tmp_path / 'run',
    data_dir=data_dir,
    out=tmp_path / 'out',
    overrides=['dataset=faces', 'protocol=synthetic'],
  )
  assert 'generated and rendered faces alone' in metrics['protocol']
  warning = metrics['selection']['last']['full']['warning']
  assert evaluating.RENDERED in warning


def test_rendered_faces_need_the_folder_that_they_are_in(tmp_path):
  faces = config(generated__rendered='faces')
  with pytest.raises(ValueError, match='give data_dir'):
    pretraining.make_plan(faces)
  with pytest.raises(FileNotFoundError, match='mejax prepare'):
    pretraining.make_plan(faces, data_dir=tmp_path)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'num_folds': 0}, 'num_folds is 0'),
    ({'folds_over': 'clips'}, 'over clips'),
    ({'selection': ('last', 'oracle')}, 'expected only last'),
    ({'model__num_units': 3}, 'trains 18 action units'),
  ],
)
def test_configs_that_hold_nobody_out_are_refused(changes, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    experiment.pretrain(config(**changes), workdir=tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


def test_real_clips_have_no_action_units_to_train(tmp_path):
  data_dir = htnet_tree.prepare_tree(tmp_path)
  with pytest.raises(ValueError, match='which these data do not tell'):
    experiment.plan(config(num_folds=0), data_dir=data_dir)


def test_it_is_applied_to_a_dataset_that_it_has_not_seen(run, tmp_path, capsys):
  data_dir = htnet_tree.prepare_tree(tmp_path)
  metrics = {
    prior: evaluating.evaluate(
      run[0], data_dir=data_dir, out=tmp_path / prior, prior=prior
    )
    for prior in ('trained', 'em')
  }
  assert 'trained on generated faces alone' in metrics['em']['protocol']
  assert 'estimated without labels' in metrics['em']['protocol']
  for numbers in metrics.values():
    full = numbers['selection']['last']['full']
    assert full['n'] == len(htnet_tree.ROWS) and 'warning' not in full
    assert 'lda' in numbers['baselines']
  assert 'NOTE' not in capsys.readouterr().out
  units = json.loads((tmp_path / 'em/units.json').read_text())
  assert set(units['full']['12']) == {'negative', 'positive', 'surprise'}
  page = experiment.report([tmp_path / 'em']).read_text(encoding='utf-8')
  assert page.count(f'<td>{units["full"]["12"]["surprise"]:.3f}</td>')
  one, other = (
    np.load(tmp_path / prior / 'record.npz')['logits']
    for prior in ('trained', 'em')
  )
  assert (one != other).any()


def change_metadata(data_dir, **values):
  """Lets a dataset say that it was made otherwise."""
  (folder,) = (data_dir / 'mejax/htnet_release').iterdir()
  path = folder / 'metadata.json'
  path.write_text(json.dumps(json.loads(path.read_text()) | values))
  (folder / builder.DIGESTS).unlink()


def test_clips_that_were_made_otherwise_give_a_warning(run, tmp_path, capsys):
  data_dir = htnet_tree.prepare_tree(tmp_path)
  change_metadata(
    data_dir, units='pixel', landmark_source='mesh: found', size=64
  )
  metrics = evaluating.evaluate(run[0], data_dir=data_dir, out=tmp_path / 'out')
  warning = metrics['selection']['last']['full']['warning']
  for said in (
    "crop: trained on 'released', these have 'aligned'",
    'size: trained on 28, these have 64',
    "units: trained on 'minmax255', these have 'pixel'",
  ):
    assert said in warning
  assert 'levels' not in warning and 'flow' not in warning
  assert warning in capsys.readouterr().out
  page = experiment.report([tmp_path / 'out']).read_text(encoding='utf-8')
  assert html.escape(warning, quote=False).replace("'", '&#39;') in page


def test_clips_of_another_shape_are_refused_with_both_shapes(run, tmp_path):
  task = resolve.load_task(config(), htnet_tree.prepare_tree(tmp_path))
  cut = dataclasses.replace(task, inputs=task.inputs[:, 4:, 4:])
  with pytest.raises(ValueError, match='cannot read others') as error:
    evaluating.evaluate(run[0], task=cut, out=tmp_path / 'out')
  assert '[24, 24, 3]' in str(error.value) and '[28, 28, 3]' in str(error.value)


def test_a_shape_that_a_model_refuses_itself_is_told_in_the_same_words(
  run, tmp_path
):
  htnet = models.make('htnet', 'tiny')
  saved = dataclasses.replace(saved_lib.read_models(run[0]), model=htnet)
  task = resolve.load_task(config(), htnet_tree.prepare_tree(tmp_path))
  cut = dataclasses.replace(task, inputs=task.inputs[:, 4:, 4:])
  with pytest.raises(ValueError, match='shape .24, 24, 3.; the models were'):
    trained_on.compare(saved, cut)


def test_a_prior_is_refused_for_models_that_saw_people(tmp_path):
  data_dir = htnet_tree.prepare_tree(tmp_path)
  real = configuration.load_config('linear:smoke')
  experiment.train(real, data_dir=data_dir, workdir=tmp_path / 'real')
  with pytest.raises(ValueError, match='for models of generated faces'):
    evaluating.evaluate(tmp_path / 'real', data_dir=data_dir, prior='em')


def test_it_is_packed_and_then_says_the_same_of_clips(run, tmp_path):
  data_dir = htnet_tree.prepare_tree(tmp_path)
  recipe = packing.recipe_of('htnet_release', data_dir)
  model = experiment.pack(run[0], out=tmp_path / 'model', recipe=recipe)
  units = json.loads((run[0] / 'units.json').read_text())
  assert list(model.units) == units['names']
  assert [model.thresholds.tolist()] == list(units['thresholds'].values())
  said = {}
  for source in (run[0], tmp_path / 'model'):
    out = tmp_path / f'of {source.name}'
    metrics = evaluating.evaluate(
      source, data_dir=data_dir, out=out, prior='em'
    )
    assert 'trained on generated faces alone' in metrics['protocol']
    said[source.name] = np.load(out / 'record.npz')['logits'].argmax(-1)
  np.testing.assert_array_equal(said['run'], said['model'])


def test_an_evaluation_is_exported_and_scored_as_it_was(run, tmp_path, capsys):
  """The models saw no person of the data, and nobody trains them again."""
  data_dir = htnet_tree.prepare_tree(tmp_path)
  out = tmp_path / 'out'
  there = evaluating.evaluate(
    run[0], data_dir=data_dir, out=out, prior='published'
  )
  folder = experiment.export(out, tmp_path / 'results/generated')
  capsys.readouterr()
  found = experiment.score(folder, data_dir=data_dir)
  assert 'NOTE' not in capsys.readouterr().out
  assert found['protocol'] == there['protocol']
  assert 'trained on generated faces alone' in found['protocol']
  for key in ('selection', 'baselines', 'class_counts', 'num_seeds'):
    assert found[key] == there[key], key
  # Its config is that of the training, and its commands make all of it again.
  lines = (folder / 'command.txt').read_text().splitlines()
  assert lines[0].startswith('# Put your own')
  train, prepare, evaluate, score = map(shlex.split, lines[1:])
  assert train[:2] == ['mejax', 'pretrain'] and prepare[1] == 'prepare'
  assert evaluate[1:] == [
    'evaluate', 'runs/generated', '--data_dir', 'data', '--prior', 'published',
  ]  # fmt: skip
  assert score[1:3] == ['score', 'results/generated']
  kept = configuration.load_config(str(folder / 'config.json'))
  assert kept.generated == config().generated and kept.num_epochs == 3
  told = json.loads((folder / 'versions.json').read_text())
  assert told['evaluation']['trained']['dataset']['generator'] == (
    generated.VERSION
  )
  assert told['evaluation']['options'] == ['--prior', 'published']
  # No label, and no name of a person or clip.
  clips = np.load(out / 'record.npz')['clip'].tolist()
  text = (folder / 'versions.json').read_text() + '\n'.join(lines)
  assert not any(f'"{clip}"' in text for clip in clips)
  both = experiment.score_together([folder, 'lda'], data_dir=data_dir)
  assert both['protocol'] == there['protocol']


def test_the_results_of_an_evaluation_are_scored_as_its_clips_were_read(
  run, tmp_path
):
  """Not as the config of the run reads others."""
  data_dir = htnet_tree.prepare_tree(tmp_path)
  there = evaluating.evaluate(
    run[0],
    data_dir=data_dir,
    out=tmp_path / 'out',
    overrides=['protocol=cross-corpus'],
  )
  folder = experiment.export(tmp_path / 'out', tmp_path / 'results')
  assert results.read(folder).config.protocol == 'megc2019'
  commands = (folder / 'command.txt').read_text()
  assert '--prior trained --config.protocol=cross-corpus' in commands
  found = experiment.score(folder, data_dir=data_dir)
  assert found['selection'] == there['selection']
  assert found['baselines'] == there['baselines']
  # What a stranger's file names is not run.
  told = json.loads((folder / 'versions.json').read_text())
  told['evaluation']['reading']['protocol'] = 'tests.nowhere:protocol'
  (folder / 'versions.json').write_text(json.dumps(told))
  with pytest.raises(ValueError, match='names code.*tests.nowhere:protocol'):
    experiment.score(folder, data_dir=data_dir)
  told['evaluation']['reading']['protocol'] = 7
  (folder / 'versions.json').write_text(json.dumps(told))
  with pytest.raises(ValueError, match='versions.json is damaged.*protocol'):
    experiment.score(folder, data_dir=data_dir)


def test_what_does_not_tell_how_it_is_made_again_is_not_exported(run, tmp_path):
  data_dir = htnet_tree.prepare_tree(tmp_path)
  out = tmp_path / 'out'
  evaluating.evaluate(run[0], data_dir=data_dir, out=out)
  folder = experiment.export(out, tmp_path / 'results')
  with pytest.raises(ValueError, match='which has all seeds of its run'):
    experiment.export(out, folder, add_seeds=True)
  # Nor is what a run held out added to what its models said of others.
  with pytest.raises(ValueError, match='more than its seeds'):
    experiment.export(run[0], folder, add_seeds=True)
  task = resolve.load_task(config(), data_dir)
  evaluating.evaluate(run[0], task=task, out=out)
  with pytest.raises(FileNotFoundError, match='neither the workdir of a fin'):
    experiment.export(out, folder)
