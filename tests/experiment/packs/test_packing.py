"""A saved model: written from a run, read again, refused if anything is off."""

from __future__ import annotations

import json
import pathlib
import re
import shutil

import hypothesis
from hypothesis import strategies
import jax
import numpy as np
import pytest
import safetensors.numpy
from scipy import special

from mejax import cli
from mejax import experiment
from mejax.evaluation import selection
from mejax.experiment import results
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import exporting
from mejax.experiment.packs import packed as packed_lib
from mejax.experiment.packs import packed_files
from mejax.experiment.packs import packing
from mejax.experiment.packs import saved as saved_lib
from tests import closeness
from tests import elsewhere
from tests.training import setup_trials

pytestmark = pytest.mark.unoptimised

OPTIONS = {
  'model': 'tests.own_parts:Portable',
  'class_names': ('a', 'b', 'c'),
  'num_epochs': 4,
  'eval_every': 4,
  'num_seeds': 2,
  'batch_size': 16,
  'selection': ('last',),
}
FILES = {'MODEL.md', 'model.jax', 'model.json', 'weights.safetensors'}


def arrays():
  return setup_trials.make_arrays(num_subjects=5, n=40)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A finished run with models of everybody."""
  workdir = tmp_path_factory.mktemp('run') / 'run'
  experiment.leave_one_subject_out(
    *arrays(), workdir=workdir, folds='all', **OPTIONS
  )
  return workdir


@pytest.fixture(scope='module')
def folder(run, tmp_path_factory):
  folder = tmp_path_factory.mktemp('models') / 'mine'
  packing.pack(run, folder, licences=['Apache-2.0'], trust_code=True)
  return folder


@pytest.fixture
def copy(folder, tmp_path):
  return pathlib.Path(shutil.copytree(folder, tmp_path / 'mine'))


@pytest.fixture
def model(folder):
  return packed_lib.load_model(folder, trust_code=True)


def test_a_run_of_all_has_the_folds_and_one_model_more(run):
  record = workdir_lib.load_npz(run / 'record.npz')
  assert record['fold_names'].tolist()[-1] == 'everybody'
  assert len(record['logits']) == 2 * 6
  holds_out = (record['index'] >= 0).any(1)
  assert holds_out.tolist() == 2 * (5 * [True] + [False])
  saved = saved_lib.read_models(run, trust_code=True)
  assert saved.everybody == 'everybody' and len(saved.names) == 5
  numbers = json.loads((run / 'metrics.json').read_text())
  assert 'One more model is trained on everybody' in numbers['protocol']
  assert numbers['selection']['last']['full']['n'] == 40


def test_the_model_of_everybody_has_learnt_from_everybody(run):
  # What a fold holds out changes nothing in its model, but all of it in that.
  inputs, labels, subjects = arrays()
  changed = inputs.copy()
  changed[subjects == subjects[0]] += 1.0
  other = run.parent / 'changed'
  if not other.exists():
    experiment.leave_one_subject_out(
      changed, labels, subjects, workdir=other, folds='all', **OPTIONS
    )
  ours, theirs = (
    saved_lib.read_models(each, trust_code=True) for each in (run, other)
  )

  def is_same(name):
    trees = ours.load(0, name), theirs.load(0, name)
    return jax.tree.all(jax.tree.map(np.array_equal, *trees))

  assert is_same(subjects[0])
  assert not is_same(subjects[-1]) and not is_same('everybody')


def test_a_saved_model_says_what_float64_says_of_the_weights_of_the_run(
  run, model
):
  inputs, _, _ = arrays()
  saved = saved_lib.read_models(run, trust_code=True)
  shares = []
  for seed in (0, 1):
    params = saved.load(seed, 'everybody')['params']['Dense_0']
    flat = inputs.reshape(len(inputs), -1).astype(np.float64)
    kernel, bias = (np.asarray(params[k], float) for k in ('kernel', 'bias'))
    shares.append(special.softmax(flat @ kernel + bias, -1))
  pooled = np.log(np.mean(shares, 0))
  expected = special.softmax(pooled / model.about['temperature'], -1)
  found = model.predict(inputs)
  assert found.dtype == np.float32 and found.shape == (40, 3)
  closeness.assert_close(found, expected, 1e-5)
  pure = jax.jit(model.apply)(model.params, inputs[:3])
  closeness.assert_close(np.exp(pure), expected[:3], 1e-5)


def test_predictions_do_not_depend_on_how_many_clips_come_together(
  model, monkeypatch
):
  inputs, _, _ = arrays()
  whole = model.predict(inputs)
  monkeypatch.setattr(packed_lib, '_BATCH', 7)
  again = packed_lib.load_model(model.folder, trust_code=True)
  closeness.assert_close(again.predict(inputs), whole, 1e-6)
  assert model.predict(inputs[:0]).shape == (0, 3)


def test_the_temperature_is_the_best_for_held_out_predictions(run, model):
  record = workdir_lib.load_npz(run / 'record.npz')
  logits = selection.select(record, 'last').logits.astype(np.float64)
  shares = special.softmax(logits, -1).mean(0)
  truth = record['labels']

  def loss(temperature):
    scaled = special.softmax(np.log(shares) / temperature, -1)
    return -np.log(scaled[np.arange(40), truth]).mean()

  best = model.about['temperature']
  grid = np.exp(np.linspace(-3, 3, 2001))
  assert loss(best) <= min(map(loss, grid)) + 1e-6
  told = model.about['calibration']
  assert told['loss'] == pytest.approx(loss(best))
  assert told['loss_before'] == pytest.approx(loss(1.0))


def test_folds_make_an_ensemble(run, tmp_path):
  model = packing.pack(run, tmp_path / 'all', members='folds', trust_code=True)
  assert len(model.about['members']) == 2 * 5
  assert not any(each['everybody'] for each in model.about['members'])
  assert model.predict(arrays()[0]).shape == (40, 3)


def test_the_card_tells_people_scores_baselines_limits_and_licences(
  run, folder, model
):
  text = (folder / 'MODEL.md').read_text()
  numbers = json.loads((run / 'metrics.json').read_text())
  full = numbers['selection']['last']['full']
  low, _ = full['uf1_ci']
  row = f'| mean over seeds | 40 | 5 | {full["uf1"]:.3f} | {low:.3f} to'
  assert row in text
  best = numbers['baselines'][numbers['best_baseline']]['full']
  assert '{:+.3f} ({:+.3f} to {:+.3f})'.format(*best['last_minus']) in text
  for words in (
    'own: 40 clips of 5 people', 'Apache-2.0', 'prohibits', 'temperature',
    'a budget fixed beforehand', 'the people in the recordings',
  ):  # fmt: skip
    assert words in text
  # Names of people, which may be licensed, are only there as digests.
  subjects = set(arrays()[2].tolist())
  assert not any(name in text for name in subjects)
  seen = model.about['seen']
  assert len(seen['people']) == 5 and len(seen['clips']) == 40
  assert all(re.fullmatch('[0-9a-f]{16}', each) for each in seen['people'])
  assert results.digest('own', arrays()[2][0], '0') in seen['clips']


def test_generated_people_are_nobody_and_a_recipe_can_be_named(
  run, tmp_path, capsys
):
  copy = pathlib.Path(shutil.copytree(run, tmp_path / 'run'))
  told = json.loads((copy / 'run.json').read_text())
  made = {
    'generator': 1, 'units': 'pixel', 'flow': {'method': 'generated'},
    'levels': [1.0], 'size': 28, 'strain': 'shreve',
    'landmark_source': 'generated',
  }  # fmt: skip
  (copy / 'run.json').write_text(json.dumps(told | {'dataset': made}))
  model = packing.pack(copy, tmp_path / 'a', trust_code=True)
  assert '--recipe_of' in capsys.readouterr().out
  assert model.seen.people == frozenset() and model.about['data']['generated']
  assert model.about['recipe']['generator'] == 1
  assert 'no real person' in (tmp_path / 'a/MODEL.md').read_text()
  real = {**made, 'flow': {'method': 'tvl1'}, 'mask_eyelids': True}
  real.pop('generator')
  model = packing.pack(copy, tmp_path / 'a', recipe=real, trust_code=True)
  assert '--recipe_of' not in capsys.readouterr().out
  assert model.about['recipe']['flow'] == {'method': 'tvl1'}
  assert model.about['recipe']['mask_eyelids']
  assert not model.about['recipe']['remove_head_motion']


def test_a_model_tells_no_folder_of_the_machine_that_made_it(root, run, folder):
  for path in (
    *folder.iterdir(),
    *(root / 'mejax/assets/recogniser').iterdir(),
  ):
    data = path.read_bytes()
    for place in (root, run, run.parent.parent, pathlib.Path(jax.__file__)):
      assert str(place).encode() not in data
    # The model that ships was made elsewhere: no file is named with a folder.
    assert not re.search(rb'/[\w.-]+/[\w./-]+\.py', data), path.name


def test_the_same_run_makes_the_same_model(run, folder, tmp_path):
  packing.pack(run, tmp_path / 'mine', licences=['Apache-2.0'], trust_code=True)
  assert {path.name for path in folder.iterdir()} == FILES
  for name in FILES - {'model.jax', 'model.json'}:
    assert (folder / name).read_bytes() == (
      tmp_path / 'mine' / name
    ).read_bytes()


@pytest.mark.parametrize(
  'name', ['model.json', 'weights.safetensors', 'model.jax']
)
def test_a_missing_file_is_named(copy, name):
  (copy / name).unlink()
  with pytest.raises(FileNotFoundError, match=f'{name} is missing'):
    packed_lib.load_model(copy, trust_code=True)


@hypothesis.settings(max_examples=60)
@hypothesis.given(data=strategies.data())
def test_a_flipped_byte_is_named(folder, tmp_path_factory, data):
  name = data.draw(strategies.sampled_from(sorted(FILES - {'MODEL.md'})))
  content = bytearray((folder / name).read_bytes())
  place = data.draw(strategies.integers(0, len(content) - 1))
  content[place] ^= data.draw(strategies.integers(1, 255))
  copy = tmp_path_factory.mktemp('flipped') / 'mine'
  shutil.copytree(folder, copy)
  (copy / name).write_bytes(content)
  try:
    model = packed_lib.load_model(copy, trust_code=True)
  except ValueError as error:
    assert re.search(f'{name} is (damaged|not that of)|schema', str(error))
  else:
    # White space of JSON, or a digit beyond the precision of a number.
    intact = packed_lib.load_model(folder, trust_code=True)
    assert model.about == intact.about


UNITS = {'names': ['1'], 'thresholds': [0.5], 'mean': {}, 'chosen': 'so'}


def rewrite(folder, change, *, weights=None):
  """Changes a model by somebody who knows how digests are made."""
  path = folder / 'model.json'
  about = json.loads(path.read_text())
  change(about)
  if weights is not None:
    (folder / 'weights.safetensors').write_bytes(weights)
  about['sha256'] = {
    name: packed_files.sha256(folder / name) for name in about['sha256']
  }
  about.pop('digest')
  about['digest'] = packed_files.digest(about)
  path.write_text(json.dumps(about))


def put(about, *keys, to):
  *outer, last = keys
  for key in outer:
    about = about[key]
  about[last] = to


@pytest.mark.parametrize(
  ('keys', 'value'),
  [
    (('temperature',), 0),
    (('temperature',), float('nan')),
    (('temperature',), 'hot'),
    (('members',), []),
    (('members',), 3),
    (('classes',), ['a', 'a', 'b']),
    (('classes',), []),
    (('inputs', 'shape'), []),
    (('inputs', 'shape'), [-4, 4, 3]),
    (('inputs', 'dtype'), 'object'),
    (('inputs', 'layout'), {'kind': 'image'}),
    (('units',), {**UNITS, 'thresholds': [2.0]}),
    (('units',), {**UNITS, 'thresholds': []}),
    (('units',), UNITS),  # The model tells none.
    (('config',), {'num_epochs': 'many'}),
    (('config', 'setting', 'test_mirror'), 7),
    (('config', 'model'), {'name': 'htnet', 'widht': 3}),
    (('seen', 'people'), None),
    (('sha256',), {}),
  ],
)
def test_a_description_made_by_hand_is_refused(copy, keys, value):
  rewrite(copy, lambda about: put(about, *keys, to=value))
  with pytest.raises(ValueError, match=r'mine/(model.json|weights)'):
    packed_lib.load_model(copy, trust_code=True)


def test_another_version_and_another_kind_are_named(copy):
  rewrite(copy, lambda about: put(about, 'schema_version', to=2))
  with pytest.raises(ValueError, match='has schema 2; this mejax reads 1'):
    packed_lib.load_model(copy, trust_code=True)
  rewrite(copy, lambda about: put(about, 'kind', to='cake'))
  with pytest.raises(
    ValueError, match='that of a cake; expected a saved model'
  ):
    packed_lib.load_model(copy, trust_code=True)


def other_weights(folder, name):
  found = safetensors.numpy.load_file(folder / 'weights.safetensors')
  bias = 'params/Dense_0/bias'
  if name == 'other shape':
    found[bias] = found[bias][:, :2]
  elif name == 'fewer members':
    found = {key: value[:1] for key, value in found.items()}
  elif name == 'other type':
    found[bias] = found[bias].astype(np.float16)
  elif name == 'one too few':
    del found[bias]
  elif name == 'one too many':
    found['params/more'] = found[bias]
  return safetensors.numpy.save(found)


@pytest.mark.parametrize(
  'name',
  ['other shape', 'fewer members', 'other type', 'one too few', 'one too many'],
)
def test_weights_of_another_model_are_refused(copy, name):
  weights = other_weights(copy, name)
  rewrite(copy, lambda about: None, weights=weights)
  with pytest.raises(
    ValueError, match=r'weights\.safetensors is damaged \(par'
  ):
    packed_lib.load_model(copy, trust_code=True)


@pytest.mark.parametrize(
  'header',
  [
    {
      'params/x': {'dtype': 'F32', 'shape': [2**40], 'data_offsets': [0, 2**42]}
    },
    {'params/x': {'dtype': 'F32', 'shape': [2**40, 0], 'data_offsets': [0, 0]}},
    {'params/x': {'dtype': 'F3', 'shape': [0], 'data_offsets': [0, 0]}},
    [],
  ],
)
def test_weights_that_claim_much_are_refused_before_they_are_read(copy, header):
  text = json.dumps(header).encode()
  weights = len(text).to_bytes(8, 'little') + text
  rewrite(copy, lambda about: None, weights=weights)
  with pytest.raises(ValueError, match='weights.safetensors is damaged'):
    packed_lib.load_model(copy, trust_code=True)
  rewrite(copy, lambda about: None, weights=b'\xff' * 64)
  with pytest.raises(ValueError, match='weights.safetensors is damaged'):
    packed_lib.load_model(copy, trust_code=True)


def test_code_that_only_the_folder_names_is_not_run(folder):
  with pytest.raises(ValueError, match='names code.*tests.own_parts:Portable'):
    packed_lib.load_model(folder)


@pytest.mark.parametrize(
  'inputs',
  [
    np.zeros((2, 4, 4, 2), np.float32),
    np.zeros((4, 4, 3), np.float32),
    np.zeros((2, 4, 4, 3), np.uint8),
    np.full((2, 4, 4, 3), np.nan, np.float32),
    np.array(1.0),
  ],
)
def test_other_inputs_are_refused(model, inputs):
  with pytest.raises(ValueError, match='^inputs are'):
    model.predict(inputs)


def test_a_folder_of_something_else_is_not_replaced(run, tmp_path):
  (tmp_path / 'thesis.txt').write_text('mine')
  with pytest.raises(
    ValueError, match='holds no files of a saved model, or more'
  ):
    packing.pack(run, tmp_path, trust_code=True)
  assert (tmp_path / 'thesis.txt').read_text() == 'mine'


def test_a_model_that_cannot_be_finished_leaves_the_older_one(
  run, copy, monkeypatch
):
  before = {path.name: path.read_bytes() for path in copy.iterdir()}

  def fail(*_):
    raise OSError('no room')

  monkeypatch.setattr(packing.card, 'render', fail)
  with pytest.raises(OSError, match='no room'):
    packing.pack(run, copy, members='folds', trust_code=True)
  assert {path.name: path.read_bytes() for path in copy.iterdir()} == before
  assert [path.name for path in copy.parent.iterdir()] == ['mine']


def test_a_model_that_cannot_be_exported_is_saved_without(
  run, tmp_path, monkeypatch, capsys
):
  def fail(*_, **__):
    raise TypeError('no symbols here')

  monkeypatch.setattr(exporting.jax_export, 'export', fail)
  model = packing.pack(run, tmp_path / 'mine', trust_code=True)
  assert 'model.jax is left out' in capsys.readouterr().out
  assert {path.name for path in model.folder.iterdir()} == FILES - {'model.jax'}
  assert 'flatbuffers' not in (model.folder / 'MODEL.md').read_text()


def test_without_models_of_everybody_they_cannot_be_asked_for(run, tmp_path):
  other = tmp_path / 'run'
  experiment.leave_one_subject_out(*arrays(), workdir=other, **OPTIONS)
  with pytest.raises(ValueError, match='--config.folds=all'):
    packing.pack(other, tmp_path / 'x', members='everybody', trust_code=True)
  model = packing.pack(other, tmp_path / 'x', trust_code=True)
  assert len(model.about['members']) == 10


def test_the_command_line_packs_a_run(run, tmp_path, capsys):
  notes = tmp_path / 'notes.md'
  notes.write_text('## Groups\n\nBy age.')
  out = tmp_path / 'mine'
  assert cli.main(
    ['pack', str(run), '--out', str(out), '--licence', 'CC0', '--notes',
     str(notes), '--trust_code']
  ) == 0  # fmt: skip
  assert f'2 members in {out}' in capsys.readouterr().out
  text = (out / 'MODEL.md').read_text()
  assert '* CC0\n' in text and '## Groups\n\nBy age.' in text


def test_a_config_of_all_over_clips_is_refused():
  with pytest.raises(ValueError, match="folds is 'all' and folds_over 'clips'"):
    experiment.load_config(
      'linear', ['folds=all', 'folds_over=clips', 'num_folds=3']
    )


def test_the_program_in_the_card_needs_only_jax_and_flatbuffers(
  folder, model, tmp_path
):
  numbers = elsewhere.run_card(
    folder,
    tmp_path,
    inputs="np.zeros((2, 4, 4, 3), 'float32')",
    others='np.arange(96, dtype=np.float32).reshape(2, 4, 4, 3) / 96',
  )
  inputs = np.arange(96, dtype=np.float32).reshape(2, 4, 4, 3) / 96
  closeness.assert_close(numbers.reshape(2, 3), model.predict(inputs), 1e-5)
