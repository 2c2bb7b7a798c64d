"""The folder of a stranger's run or dataset neither runs code nor writes."""

from __future__ import annotations

import io
import json
import pathlib
import shutil
import zipfile

import numpy as np
import pytest

from mejax import cli
from mejax import experiment
from mejax.datasets import builder
from mejax.datasets import load
from mejax.experiment import configuration
from mejax.experiment import evaluating
from mejax.experiment import resolve
from mejax.experiment.packs import saved as saved_lib
from tests import own_parts
from tests.corpora import htnet_tree

pytestmark = pytest.mark.unoptimised

EVIL = 'def make(**fields):\n  raise RuntimeError("CODE OF A STRANGER RAN")\n'
# What the user of these tests says on his command line.
OWN = (
  'model.name=tests.own_parts:Linear',
  'view.name=tests.own_parts:view',
  'view.scale=0.01',
  'setting.mirror=0',
)


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return htnet_tree.prepare_tree(tmp_path_factory.mktemp('tree'))


@pytest.fixture(scope='module')
def trained(data_dir, tmp_path_factory):
  """A finished run with a model and a view of the user's own."""
  workdir = tmp_path_factory.mktemp('run') / 'run'
  config = configuration.load_config('htnet_regions:smoke', OWN)
  experiment.train(config, data_dir=data_dir, workdir=workdir)
  return workdir


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
  """A copy that somebody else may have changed, beside his code."""
  (tmp_path / 'plug_evil.py').write_text(EVIL)
  monkeypatch.syspath_prepend(tmp_path)
  return pathlib.Path(shutil.copytree(trained, tmp_path / 'run'))


def change(path, *keys, to):
  content = json.loads(path.read_text())
  *outer, last = keys
  part = content
  for key in outer:
    part = part[key]
  part[last] = to
  path.write_text(json.dumps(content))


def test_a_run_that_names_code_needs_trust(run, data_dir, capsys):
  arguments = ['evaluate', str(run), '--data_dir', str(data_dir)]
  assert cli.main(arguments) == 2
  told = capsys.readouterr().err
  assert 'config.json names code' in told and '--trust_code' in told
  assert 'own_parts:Linear' in told and 'own_parts:view' in told
  assert not (run / 'evaluate').exists()
  assert cli.main([*arguments, '--trust_code']) == 0
  assert 'The predictions are those' in capsys.readouterr().out


def test_names_that_are_given_anew_need_no_trust(run, data_dir, capsys):
  arguments = ['evaluate', str(run), '--data_dir', str(data_dir)]
  given = ['--config.view.name=tests.own_parts:view']
  assert cli.main([*arguments, *given]) == 2
  told = capsys.readouterr().err
  assert 'own_parts:Linear' in told and 'own_parts:view' not in told
  config = configuration.load_config('htnet_regions:smoke', OWN)
  evaluating.evaluate(run, data_dir=data_dir, config=config)
  assert 'The predictions are those' in capsys.readouterr().out
  with pytest.raises(ValueError, match='trust_code=True'):
    evaluating.evaluate(run, data_dir=data_dir)
  evaluating.evaluate(run, data_dir=data_dir, trust_code=True)


def test_what_is_handed_over_needs_no_trust(run, data_dir, capsys):
  config = configuration.load_config('htnet_regions:smoke', OWN)
  model = own_parts.Linear()
  task = resolve.load_task(config, data_dir)
  with pytest.raises(ValueError, match='own_parts:view'):
    evaluating.evaluate(run, data_dir=data_dir, model=model)
  with pytest.raises(ValueError, match='own_parts:Linear'):
    evaluating.evaluate(run, task=task)
  evaluating.evaluate(run, task=task, model=model)
  assert 'The predictions are those' in capsys.readouterr().out
  # What nothing replaces is still refused.
  change(run / 'config.json', 'selection', to='plug_evil:make')
  with pytest.raises(ValueError, match='plug_evil:make'):
    evaluating.evaluate(run, task=task, model=model)


def test_the_config_that_began_a_run_resumes_it_without_a_question(
  run, data_dir
):
  config = configuration.load_config('htnet_regions:smoke', OWN)
  (run / 'record.npz').unlink()
  (run / 'metrics.json').unlink()
  experiment.train(config, data_dir=data_dir, workdir=run)


@pytest.mark.parametrize(
  'keys',
  [
    ('model', 'name'),
    ('model', 'attention_fn'),
    ('view', 'name'),
    ('view', 'anything'),
    ('protocol',),
    ('optimizer',),
    ('schedule',),
    ('selection',),
    ('new',),
  ],
)
def test_no_value_of_a_run_runs_code(run, data_dir, keys):
  change(run / 'config.json', *keys, to='plug_evil:make')
  with pytest.raises(ValueError, match='names code.*plug_evil:make'):
    evaluating.evaluate(
      run, data_dir=data_dir, overrides=['model.scale=2', 'view.scale=3']
    )


def test_a_report_imports_nothing(run):
  for keys in (('model', 'name'), ('view', 'name'), ('protocol',)):
    change(run / 'config.json', *keys, to='plug_evil:make')
  with pytest.raises(ValueError, match='belongs to another config'):
    experiment.report([run])
  # Runs of an older mejax do not say whose config it is.
  values = json.loads((run / 'run.json').read_text())
  del values['data']
  (run / 'run.json').write_text(json.dumps(values))
  assert 'plug_evil:make' in experiment.report([run]).read_text()


def test_converted_models_name_only_what_ships(tmp_path, monkeypatch):
  (tmp_path / 'plug_evil.py').write_text(EVIL + EVIL.replace('make', 'get'))
  (tmp_path / 'evil.py').write_text(
    'raise RuntimeError("CODE OF A STRANGER RAN")\n'
  )
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.chdir(tmp_path)
  description = {
    'schema_version': 1,
    'model': 'htnet',
    'preset': 'tiny',
    'fields': {},
    'num_classes': 3,
    'classes': ['a', 'b', 'c'],
    'config': 'htnet_released',
    'caution': '',
    'source': {},
  }
  file = tmp_path / 'models/model.json'
  file.parent.mkdir()
  file.write_text(json.dumps(description))
  assert saved_lib.read_models(file.parent).seeds == (0,)
  for config in ('evil.py', str(tmp_path / 'evil.py'), './evil.py:a'):
    file.write_text(json.dumps(description | {'config': config}))
    with pytest.raises(ValueError, match='no config that ships with mejax'):
      saved_lib.read_models(file.parent, trust_code=True)
  for name in ('model', 'fields'):
    value = {'fields': {'conv': 'plug_evil:make'}, 'model': 'plug_evil:make'}
    file.write_text(json.dumps(description | {name: value[name]}))
    with pytest.raises(ValueError, match='model.json names code.*plug_evil'):
      saved_lib.read_models(file.parent)


@pytest.mark.parametrize(
  'key', ['pythonClassName', 'python_class_name', 'type']
)
def test_features_of_a_dataset_run_no_code(
  data_dir, tmp_path, monkeypatch, key
):
  (tmp_path / 'plug_features.py').write_text('raise RuntimeError("RAN")\n')
  monkeypatch.syspath_prepend(tmp_path)
  shutil.copytree(data_dir, tmp_path / 'data')
  folder = tmp_path / 'data' / builder.NAME / 'htnet_release' / builder.VERSION
  content = json.loads((folder / 'features.json').read_text())
  features = content['featuresDict']['features']
  name = next(iter(features))
  features[name].pop('pythonClassName')
  features[name] = {key: 'plug_features.Evil', 'content': {}, **features[name]}
  (folder / 'features.json').write_text(json.dumps(content))
  with pytest.raises(ValueError, match='features.json names code.*plug_feat'):
    load.load_examples('htnet_release', tmp_path / 'data')


@pytest.mark.parametrize('name', ['../evil', '/tmp/evil', 'a/b', '', '..'])
def test_the_name_of_a_dataset_leads_nowhere_else(data_dir, name):
  with pytest.raises(ValueError, match='is no name of a dataset'):
    load.load_examples(name, data_dir)


@pytest.mark.parametrize(
  'name',
  [
    'report', 'report/index.html', 'evaluate', '.lock', 'log.jsonl',
    'metrics.json.partial', 'record.npz', 'loop',
  ],
)  # fmt: skip
def test_nothing_is_written_through_a_link(run, tmp_path, name, data_dir):
  target = tmp_path / 'mine'
  target.write_text('mine')
  link = run / name
  if link.is_dir():
    shutil.rmtree(link)
  link.unlink(missing_ok=True)
  link.parent.mkdir(exist_ok=True)
  link.symlink_to(target)
  if name != 'record.npz':
    with pytest.raises(ValueError, match='is a link to .*mine, outside'):
      experiment.report([run])
  with pytest.raises(ValueError, match='is a link to .*mine, outside'):
    evaluating.evaluate(run, data_dir=data_dir, trust_code=True)
  config = configuration.load_config('htnet_regions:smoke')
  with pytest.raises(ValueError, match='is a link to .*mine, outside'):
    experiment.train(config, data_dir=data_dir, workdir=run)
  assert target.read_text() == 'mine'


def test_checkpoints_may_lie_on_another_disk(run, tmp_path):
  shutil.move(run / 'checkpoints', tmp_path / 'elsewhere')
  (run / 'checkpoints').symlink_to(tmp_path / 'elsewhere')
  experiment.report([run])


def test_an_array_of_a_run_that_claims_too_much_is_refused(run):
  head = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    head, {'descr': '<f4', 'fortran_order': False, 'shape': (2**40,)}
  )
  with zipfile.ZipFile(run / 'record.npz', 'w') as file:
    file.writestr('logits.npy', head.getvalue())
  with pytest.raises(ValueError, match='record.npz.* claims .*4096 GiB'):
    experiment.report([run])
