"""A model is never scored on people whom it has seen, however they come."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from mejax import cli
from mejax import experiment
from mejax.experiment import evaluating
from mejax.experiment import workdir as workdir_lib
from mejax.experiment.packs import packed as packed_lib
from mejax.experiment.packs import packing
from mejax.experiment.packs import saved as saved_lib
from mejax.experiment.packs import seen as seen_lib
from mejax.training import sample
from tests.corpora import htnet_tree

pytestmark = pytest.mark.unoptimised

OPTIONS = {
  'model': 'linear',
  'class_names': ('a', 'b', 'c'),
  'num_epochs': 80,
  'eval_every': 80,
  'num_seeds': 1,
  'batch_size': 8,
  'setting__learning_rate': 3e-2,
  'selection': ('last',),
}
SEEN = [f's{i}' for i in range(5)]
OTHERS = [f't{i}' for i in range(4)]


def noise(people):
  """Eight clips of each person, of which nothing can be told but by heart."""
  source = np.random.default_rng(len(people))
  inputs = source.normal(size=(8 * len(people), 4, 4, 3)).astype(np.float32)
  labels = source.integers(0, 3, len(inputs)).astype(np.int32)
  return inputs, labels, np.repeat(people, 8)


def task(people, **changes):
  inputs, labels, subjects = noise(people)
  known = noise(SEEN)
  # The people whom the model has seen come with the clips that it has seen.
  for i, name in enumerate(subjects):
    if name in SEEN:
      place = 8 * SEEN.index(name) + i % 8
      inputs[i], labels[i] = known[0][place], known[1][place]
  clip = np.array(
    [
      str(8 * SEEN.index(name) + i % 8) if name in SEEN else f'new{i}'
      for i, name in enumerate(subjects)
    ]
  )
  own = experiment.Task(
    inputs=inputs,
    labels=labels,
    corpus=np.full(len(labels), 'own'),
    subject=subjects,
    clip=clip,
    class_names=('a', 'b', 'c'),
    protocol='Noise.',
    groups=subjects,
  )
  return dataclasses.replace(own, **changes)


@pytest.mark.parametrize(
  'ours, theirs', [('smic', 'SMIC-HS'), ('My-Lab', 'mylab')]
)
def test_people_are_refused_however_their_corpus_is_spelled(ours, theirs):
  known = task(SEEN, corpus=np.full(8 * len(SEEN), ours))
  seen = seen_lib.of(known.corpus, known.subject, known.clip)
  asked = task(SEEN, corpus=np.full(8 * len(SEEN), theirs))
  with pytest.raises(ValueError, match='has seen 5 of the 5 people'):
    seen_lib.leave_out(
      asked, seen, whose='the model', leave_out_seen=False, hint=''
    )


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('run') / 'run'
  experiment.leave_one_subject_out(
    *noise(SEEN), workdir=workdir, folds='all', **OPTIONS
  )
  return workdir


@pytest.fixture(scope='module')
def folder(run, tmp_path_factory):
  return packing.pack(run, tmp_path_factory.mktemp('models') / 'mine').folder


def uf1(truth, model, inputs):
  guess = model.predict(inputs).argmax(-1)
  return sklearn_metrics.f1_score(truth, guess, average='macro')


def tune(folder, own, workdir, **changes):
  with pytest.MonkeyPatch.context() as patch:
    # Any task by the way of arrays.
    from mejax.experiment import own_arrays

    patch.setattr(own_arrays, 'Task', lambda **fields: own)
    return experiment.leave_one_subject_out(
      *noise(SEEN),
      workdir=workdir,
      init=folder,
      **(OPTIONS | {'num_epochs': 2, 'eval_every': 2} | changes),
    )


def test_the_case_of_uf1_1_0000_is_refused(run, folder, tmp_path):
  # Published: leaked weights, tuned and scored on people whom they had seen.
  model, own = packed_lib.load_model(folder), task(SEEN)
  assert uf1(own.labels, model, own.inputs) == 1.0
  honest = model.about['scores']['last']['full']['uf1']
  assert honest < 0.6
  refused = (
    r'mine has seen 5 of the 5 people of these data \(own/s0, .*\), with 40 of'
    ' their clips here'
  )
  with pytest.raises(ValueError, match=refused):
    evaluating.evaluate(folder, task=own, out=tmp_path / 'out')
  with pytest.raises(ValueError, match=f'{refused}.*--leave_out_seen'):
    tune(folder, own, tmp_path / 'tuned')
  assert not (tmp_path / 'out').exists() and not (tmp_path / 'tuned').exists()
  with pytest.raises(ValueError, match='Without them there are 0 people'):
    tune(folder, own, tmp_path / 'tuned', leave_out_seen=True)


def test_people_whom_it_has_not_seen_are_evaluated(folder, tmp_path, capsys):
  model, own = packed_lib.load_model(folder), task(OTHERS)
  found = evaluating.evaluate(folder, task=own, out=tmp_path / 'out')
  full = found['selection']['last']['full']
  assert full['n'] == 32 and 'warning' not in full
  assert full['uf1'] == pytest.approx(uf1(own.labels, model, own.inputs))
  assert found['protocol'].startswith('One model for all clips. Noise.')
  assert 'last   ' in capsys.readouterr().out


def test_of_a_mixture_only_the_others_are_evaluated(folder, tmp_path, capsys):
  own = task([*SEEN[:3], *OTHERS])
  with pytest.raises(ValueError, match='seen 3 of the 7 .*24 of their clips'):
    evaluating.evaluate(folder, task=own, out=tmp_path / 'out')
  found = evaluating.evaluate(
    folder, task=own, out=tmp_path / 'out', leave_out_seen=True
  )
  record = workdir_lib.load_npz(tmp_path / 'out' / 'record.npz')
  assert set(record['subject'].tolist()) == set(OTHERS)
  said = '3 of 7 people were left out'
  assert said in found['protocol'] and said in capsys.readouterr().out


def test_fine_tuning_goes_on_with_the_others(folder, tmp_path):
  workdir = tmp_path / 'tuned'
  own = task([*SEEN[:1], *OTHERS])
  found = tune(folder, own, workdir, leave_out_seen=True, folds='all')
  record = workdir_lib.load_npz(workdir / 'record.npz')
  assert set(record['subject'].tolist()) == set(OTHERS)
  assert 'it saw 5 other people' in found['protocol']
  # Whoever goes on from here has seen all of them.
  saved = saved_lib.read_models(workdir)
  assert saved.seen == packed_lib.load_model(folder).seen
  # A run says its own people again, and none whom its beginning saw.
  evaluating.evaluate(workdir, task=task(OTHERS))
  with pytest.raises(ValueError, match='has seen 1 of the 5 people'):
    evaluating.evaluate(workdir, task=own)
  both = packing.pack(workdir, tmp_path / 'both', licences=['CC0'])
  assert both.about['licences'][0] == 'CC0' and len(both.about['licences']) == 2
  assert len(both.seen.people) == 9 and len(both.seen.clips) == 40 + 32


def test_training_starts_from_the_weights_of_the_model(folder, tmp_path):
  options = {'setting__learning_rate': 0.0, 'setting__weight_decay': 0.0}
  tune(folder, task(OTHERS), tmp_path / 'run', **options)
  model = packed_lib.load_model(folder)
  saved = saved_lib.read_models(tmp_path / 'run')
  for name in saved.names:
    own = saved.load(0, name)
    for ours, theirs in zip(
      jax.tree.leaves(own), jax.tree.leaves(model.params), strict=True
    ):
      np.testing.assert_array_equal(ours, theirs[0])


def test_with_other_classes_the_last_layer_is_drawn(folder, tmp_path, capsys):
  own = task(OTHERS, class_names=('a', 'b', 'd'))
  options = {'setting__learning_rate': 0.0, 'setting__weight_decay': 0.0}
  tune(folder, own, tmp_path / 'run', **options)
  assert 'its last layer is drawn' in capsys.readouterr().out
  own = saved_lib.read_models(tmp_path / 'run').load(0, OTHERS[0])
  model = packed_lib.load_model(folder)
  assert not np.array_equal(
    own['params']['head']['kernel'], model.params['params']['head']['kernel'][0]
  )


def test_another_model_cannot_start_there(folder, tmp_path):
  with pytest.raises(ValueError, match='it is another one: .* absent'):
    tune(
      folder, task(OTHERS), tmp_path / 'run', model='tests.own_parts:Portable'
    )


def test_a_run_belongs_to_the_model_that_it_started_from(folder, tmp_path):
  workdir = tmp_path / 'run'
  tune(folder, task(OTHERS), workdir)
  config = json.loads((workdir / 'config.json').read_text())
  assert len(config['init']) == 64
  with pytest.raises(ValueError, match='another config:\n *init: there'):
    experiment.leave_one_subject_out(
      *noise(SEEN), workdir=workdir,
      **(OPTIONS | {'num_epochs': 2, 'eval_every': 2}),
    )  # fmt: skip
  given = experiment.load_config(str(workdir / 'config.json'))
  with pytest.raises(ValueError, match='and none is given.* --init'):
    experiment.plan(given, task=task(OTHERS))
  with given.unlocked():
    given.init = '0' * 64
  with pytest.raises(ValueError, match='model 00000000, and the one in .* is'):
    experiment.plan(given, task=task(OTHERS), init=folder)


@pytest.mark.parametrize(
  ('one', 'other', 'same'),
  [
    (('smic', 's01'), ('smic_vis', 'S1'), True),
    (('casme3', 'spNO.10'), ('casme3_long', '10'), True),
    (('samm', '006'), ('samm_long', '6'), True),
    (('casme2', 'sub01'), ('samm', 'sub01'), False),
    (('casme2', 'sub01'), ('casme2', 'sub10'), False),
  ],
)
def test_a_person_is_known_in_every_spelling_and_corpus(one, other, same):
  found = [
    seen_lib.people_of(np.array(corpus, ndmin=1), np.array(name, ndmin=1))
    for corpus, name in (one, other)
  ]
  assert (found[0] == found[1]).all() == same


def test_inputs_that_are_made_otherwise_are_refused(folder, tmp_path):
  with pytest.raises(ValueError, match='levels: there'):
    evaluating.evaluate(
      folder, task=task(OTHERS, levels=(2.0,)), out=tmp_path / 'out'
    )
  with pytest.raises(ValueError, match='reads float32'):
    own = task(OTHERS, inputs=np.zeros((32, 4, 4, 2), np.float32))
    evaluating.evaluate(folder, task=own, out=tmp_path / 'out')


def test_nothing_is_written_into_a_saved_model(folder):
  before = {path.name for path in folder.iterdir()}
  with pytest.raises(ValueError, match='by --out'):
    evaluating.evaluate(folder, task=task(OTHERS))
  with pytest.raises(ValueError, match='folder of a saved model'):
    evaluating.evaluate(folder, task=task(OTHERS), out=folder)
  assert {path.name for path in folder.iterdir()} == before


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  return htnet_tree.prepare_tree(tmp_path_factory.mktemp('tree'))


def test_from_a_dataset_to_a_model_that_knows_its_people_and_its_recipe(
  data_dir, tmp_path, capsys
):
  config = experiment.load_config(
    'linear:smoke',
    ['folds=all', 'num_folds=2', 'setting.test_mirror=0.5', 'num_seeds=1'],
  )
  experiment.train(config, data_dir=data_dir, workdir=tmp_path / 'run')
  model, data = str(tmp_path / 'model'), ['--data_dir', str(data_dir)]
  assert cli.main(['pack', str(tmp_path / 'run'), '--out', model]) == 0
  assert (tmp_path / 'model/model.jax').exists()
  out = ['--out', str(tmp_path / 'out')]
  capsys.readouterr()
  assert cli.main(['evaluate', model, *data, *out]) == 2
  assert 'has seen' in capsys.readouterr().err
  assert cli.main(
    ['train', '--config', 'linear:smoke', '--init', model, *data,
     '--workdir', str(tmp_path / 'tuned')]
  ) == 2  # fmt: skip
  assert 'has seen' in capsys.readouterr().err
  own = packed_lib.load_model(model)
  assert own.about['recipe']['units'] == 'minmax255'
  assert own.layout.kind == 'image' and own.layout.u_channel == 2
  clips = experiment.plan(config, data_dir=data_dir).task
  agrees_with_the_run(own, clips, tmp_path / 'run')
  own.check_clips(clips, config.view)
  with config.unlocked():
    config.view.normalise = 'centre'
  with pytest.raises(ValueError, match="view.normalise: there 'centre_std'"):
    own.check_clips(clips, config.view)
  for field, value in (
    ('dataset', {**clips.dataset, 'flow': {'method': 'dis'}}),
    ('layout', sample.Layout('mosaic', u_channel=2)),
  ):
    other = dataclasses.replace(clips, **{field: value})
    with pytest.raises(ValueError, match='made otherwise'):
      own.check_clips(other)


def agrees_with_the_run(model, clips, run):
  """The saved model says what the run's own way of applying models says."""
  from mejax.experiment import applying

  saved = saved_lib.read_models(run)
  alone = dataclasses.replace(saved, names=None, parts={})
  alone = dataclasses.replace(
    alone, load=lambda seed, name: saved.load(seed, saved.everybody)
  )
  logits, _ = applying.apply_folds(alone, clips, keep=lambda out: {})
  expected = jax.nn.softmax(logits[0] / model.about['temperature'])
  np.testing.assert_allclose(
    model.predict(clips.inputs), expected, atol=2e-5, rtol=0
  )
