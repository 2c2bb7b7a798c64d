"""With labels, a model is never asked of people whom it has seen."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

import mejax
from mejax import cli
from mejax.corpora import recordings
from mejax.corpora import synthetic
from mejax.datasets import prepare
from mejax.datasets.recipe import Recipe
from mejax.experiment import configuration
from mejax.experiment import running
from mejax.experiment import scoring_predictions
from mejax.experiment.packs import packing
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.predicting import events
from mejax.experiment.predicting import labels as labels_lib
from mejax.experiment.predicting import shipped

PEOPLE = ('anna', 'ben', 'cleo')


@pytest.fixture(scope='module')
def found(tmp_path_factory):
  """A folder of frames of each of three people; nobody looks into them."""
  folder = tmp_path_factory.mktemp('clips')
  for name in PEOPLE:
    (folder / name).mkdir()
    for i in range(2):
      (folder / name / f'img{i}.png').touch()
  return recordings.find([folder])


def with_seen(model, corpus, *people):
  """Returns a model as if it had seen people."""
  about = copy.deepcopy(dict(model.about))
  names = np.array(people or [''])
  about['seen'] = seen_lib.of(
    np.full(len(names), corpus), names, names
  ).to_json()
  about['data']['corpora'] = {corpus: {'clips': 1, 'people': len(people)}}
  return dataclasses.replace(model, about=about)


def sheet(folder, text):
  path = folder / 'labels.csv'
  path.write_text(text)
  return path


def read(text, found, folder, *, model=None, **options):
  return labels_lib.read(
    sheet(folder, text),
    found,
    model=model or with_seen(shipped.load(), 'casme2', '26'),
    **options,
  )


ROWS = (
  'clip,subject,emotion{}\nanna,{},positive{}\nben,7,surprise{}\n'
  'cleo,8,negative{}\n'
)


@pytest.mark.parametrize(
  'corpus', ['casme2', 'CASME II', 'CASME-II', 'casme2_', 'Casme 2']
)
@pytest.mark.parametrize('subject', ['26', 'sub26', 'Subject 026', 's26'])
def test_people_are_known_however_they_are_spelled(
  found, tmp_path, corpus, subject
):
  own = f',{corpus}'
  text = ROWS.format(',corpus', subject, own, own, own)
  with pytest.raises(ValueError, match='has seen 1 of the 3 people .*casme2'):
    read(text, found, tmp_path)
  left = read(text, found, tmp_path, leave_out_seen=True)
  assert [one.path.name for one in left.found] == ['ben', 'cleo']
  assert 'They were left out' in left.notes[0]


def test_the_same_name_in_another_corpus_is_another_person(found, tmp_path):
  text = ROWS.format(',corpus', '26', ',samm', ',samm', ',samm')
  assert len(read(text, found, tmp_path).found) == 3


def test_without_a_corpus_a_name_counts_for_those_of_the_model(found, tmp_path):
  with pytest.raises(ValueError, match='--leave_out_seen'):
    read(ROWS.format('', '26', '', '', ''), found, tmp_path)
  one = read(ROWS.format('', '27', '', '', ''), found, tmp_path)
  assert one.labels[one.found[0].path].corpus == 'video'


def test_a_corpus_that_nobody_knows_is_told(found, tmp_path):
  text = ROWS.format(',corpus', '26', ',kasme', ',samm', ',samm')
  (note,) = read(text, found, tmp_path).notes
  assert "'kasme' is none that mejax or the model knows" in note


@pytest.mark.parametrize(
  'seen, spelling, name',
  [
    ('smic', 'SMIC_VIS', 'smic_vis'),
    ('smic', 'SMIC-HS', 'smic'),
    ('casme3_c', 'CASME3_C', 'casme3_c'),
    ('MyLab', 'my_lab', 'MyLab'),
    ('mylab', 'MyLab', 'mylab'),
    ('casme2_long', 'CAS(ME)^2', 'casme2_long'),
  ],
)
def test_corpora_are_known_however_they_are_spelled(
  found, tmp_path, seen, spelling, name
):
  own = f',{spelling}'
  text = ROWS.format(',corpus', 's26', own, own, own)
  model = with_seen(shipped.load(), seen, '26')
  with pytest.raises(ValueError, match='has seen 1 of the 3 people'):
    read(text, found, tmp_path, model=model)
  model = with_seen(shipped.load(), seen, '99')
  told = read(text, found, tmp_path, model=model)
  assert {one.corpus for one in told.labels.values()} == {name}
  assert told.notes == ()


def test_cas_me_2_is_not_casme_ii(found, tmp_path):
  own = ',CAS(ME)^2'
  told = read(ROWS.format(',corpus', '26', own, own, own), found, tmp_path)
  assert len(told.found) == 3


@pytest.mark.parametrize('corpus', ['', ',casme2'])
def test_people_of_the_model_it_started_from_are_refused(
  found, tmp_path, corpus
):
  model = with_seen(shipped.load(), 'casme2', '26')
  model.about['data']['corpora'] = {'samm': {'clips': 1, 'people': 1}}
  text = ROWS.format(',corpus' if corpus else '', '26', *[corpus] * 3)
  with pytest.raises(ValueError, match='has seen 1 of the 3 people'):
    read(text, found, tmp_path, model=model)


def test_spellings_of_a_person_are_one_person(found, tmp_path):
  text = 'clip,subject,emotion\nanna,26,positive\nben,sub26,surprise\n'
  text += 'cleo,8,negative\n'
  with pytest.raises(ValueError, match='has seen 1 of the 2 people .*in 2 of'):
    read(text, found, tmp_path)


def test_if_all_have_been_seen_nothing_is_left(found, tmp_path):
  model = with_seen(shipped.load(), 'video', '26', '7', '8')
  with pytest.raises(ValueError, match='Without them nothing is left'):
    read(
      ROWS.format('', '26', '', '', ''),
      found,
      tmp_path,
      model=model,
      leave_out_seen=True,
    )


def test_what_is_not_understood_is_named_and_the_others_go_on(found, tmp_path):
  text = 'clip,subject,emotion,onset\nanna,1,positive,0\nben,,negative,\n'
  text += 'dora,4,surprise,\n'
  told = read(text, found, tmp_path)
  anna, ben, cleo = (told.labels[one.path].ask for one in found)
  assert anna.problem == '' and anna.given == (0, None, None)
  assert 'names no subject' in ben.problem
  assert 'no row for it' in cleo.problem
  assert told.notes == ("labels.csv: 'dora' is no recording here",)


@pytest.mark.parametrize(
  'row, words',
  [
    ('anna,1,happiness,', 'the model tells negative, positive, surprise apart'),
    ('anna,1,positive,soon', 'expected the number of a frame'),
    ('anna,1,positive,\nanna,1,negative,', 'several rows'),
  ],
)
def test_a_row_with_a_fault_says_which(found, tmp_path, row, words):
  told = read(f'clip,subject,emotion,onset\n{row}\n', found, tmp_path)
  assert words in told.labels[found[0].path].ask.problem


def first_event(found, ask, monkeypatch, *, frames=100, own_fps=None):
  """Finds what is looked at in the first recording, whatever it shows."""
  files = {i: found[0].path / f'img{i}.png' for i in range(frames)}
  one = dataclasses.replace(found[0])
  one.__dict__['content'] = recordings.Content(files, fps=own_fps)
  monkeypatch.setattr(events.turning, 'turned_back', lambda clip, _: clip)
  return events.find(one, ask, detector=lambda _: [], progress=False)


@pytest.mark.parametrize(
  'text, fps, own, expected, words',
  [
    ('200', None, 100.0, 200.0, '200 frames per second in the sheet, 100 in'),
    ('200', 100, 25.0, 200.0, 'in the sheet, 100 by --fps: 200 is taken'),
    ('200', None, 200.0, 200.0, ''),
    ('200', None, None, 200.0, ''),
    ('5', None, None, 5.0, 'it has 5 frames per second: a micro-expression'),
    ('', 100, 25.0, 100.0, ''),
    ('-', None, 25.0, 25.0, ''),
    ('', 0.5, None, 0.5, ''),
  ],
)
def test_the_rate_of_the_table_counts_and_others_are_told(
  found, tmp_path, monkeypatch, text, fps, own, expected, words
):
  table = f'clip,subject,emotion,fps\nanna,1,positive,{text}\n'
  label = read(table, found, tmp_path, fps=fps).labels[found[0].path]
  told = first_event(found, label.ask, monkeypatch, own_fps=own)
  assert (told.fps, told.problem) == (expected, '')
  assert words in ' '.join(told.remarks) and len(told.remarks) == bool(words)


def test_a_rate_that_cannot_be_is_told_of_its_cell(
  found, tmp_path, monkeypatch
):
  table = 'clip,subject,emotion,fps\nanna,1,positive,fast\n'
  label = read(table, found, tmp_path, fps=100).labels[found[0].path]
  told = first_event(found, label.ask, monkeypatch)
  assert "fps is 'fast' in cell D2; expected frames" in told.problem


@pytest.mark.parametrize('onset', ['', '0'])
def test_what_to_do_about_a_long_recording_can_be_done(
  found, tmp_path, monkeypatch, onset
):
  table = f'clip,subject,emotion,onset\nanna,1,positive,{onset}\n'
  label = read(table, found, tmp_path).labels[found[0].path]
  told = first_event(found, label.ask, monkeypatch, frames=600)
  assert 'in the table' in told.problem and '--' not in told.problem


def test_a_table_of_other_recordings_is_refused(found, tmp_path):
  with pytest.raises(ValueError, match="names none of the recordings.*'x'"):
    read('clip,subject,emotion\nx,1,positive\n', found, tmp_path)


def test_options_that_do_not_fit_labels_are_refused(tmp_path, capsys):
  (tmp_path / 'a').mkdir()
  for flags, words in (
    (['--labels', 'x.csv', '--whole'], 'leave out --whole'),
    (['--leave_out_seen'], 'belongs to --labels'),
  ):
    call = ['predict', str(tmp_path / 'a'), '--out', str(tmp_path / 'out')]
    assert cli.main([*call, *flags]) == 2
    assert words in capsys.readouterr().err


@pytest.fixture(scope='module')
def memorised(tmp_path_factory):
  """Clips of three people with labels, and a model that knows them by heart."""
  home = tmp_path_factory.mktemp('home')
  faces = synthetic.write(
    home / 'faces', num_subjects=3, clips_per_subject=3, progress=False
  )
  rows = pd.read_csv(faces / 'labels.csv', dtype=str)
  path = home / 'my.csv'
  rows.assign(clip=rows['subject'] + '/' + rows['clip'])[
    ['clip', 'subject', 'emotion', 'onset', 'apex', 'offset']
  ].to_csv(path, index=False)
  prepare.prepare(
    'video',
    source=faces,
    data_dir=home / 'data',
    recipe=Recipe(size=28),
    options={'labels': str(path)},
    workers=0,
    progress=False,
  )
  config = configuration.load_config(
    'linear',
    ['dataset=video', 'protocol=own', 'folds=all', 'num_epochs=200',
     'eval_every=200', 'num_seeds=1', 'setting.weight_decay=0.0',
     'setting.learning_rate=0.01', 'setting.label_smoothing=0.0',
     'selection=last'],
  )  # fmt: skip
  running.train(config, data_dir=home / 'data', workdir=home / 'run')
  return faces, path, packing.pack(home / 'run', home / 'model')


@pytest.mark.slow
def test_the_case_of_uf1_1_0000_is_refused_for_videos_too(
  memorised, tmp_path, capsys
):
  # Published: leaked weights, scored on people whom they had seen.
  faces, path, model = memorised
  out, call = tmp_path / 'out', {'labels': path, 'progress': False}
  with pytest.raises(ValueError, match='has seen 3 of the 3 people of these'):
    mejax.predict(faces, model=model, out=out, **call)
  assert not out.exists()
  assert cli.main(
    ['predict', str(faces), '--model', str(model.folder), '--labels',
     str(path), '--out', str(out)]
  ) == 2  # fmt: skip
  assert 'has seen 3 of the 3 people' in capsys.readouterr().err
  # What would have been told.
  blind = with_seen(model, 'casme2', '99')
  table = mejax.predict(faces, model=blind, out=out, pictures=False, **call)
  assert sklearn_metrics.f1_score(
    table['truth'], table['most_like'], average='macro'
  ) == 1.0  # fmt: skip
  found = scoring_predictions.score_predictions(out / 'predictions.csv')
  (entries,) = found['entries'].values()
  assert entries['full']['uf1'] == 1.0
  # One of three is known by it.
  some = with_seen(model, 'video', 's02')
  table = mejax.predict(faces, model=some, leave_out_seen=True, **call)
  assert set(table['subject']) == {'s01', 's03'} and len(table) == 6
  assert any('They were left out' in x for x in table.attrs['cautions'])
