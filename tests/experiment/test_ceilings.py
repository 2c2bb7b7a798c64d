"""The ceiling of a dataset, measured by a baseline on its data."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from sklearn import metrics as reference

from mejax import cli
from mejax import experiment
from mejax.evaluation import baselines
from mejax.evaluation import selection
from mejax.experiment import baseline_cache
from mejax.experiment import resolve
from mejax.training import folds as folds_lib
from tests.datasets import frames_dataset
from tests.pages import html_page

pytestmark = pytest.mark.unoptimised

OVERRIDES = ('dataset=synthetic', 'protocol=synthetic')


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
  """A finished run on made-up rendered faces, and its data folder."""
  folder = tmp_path_factory.mktemp('rendered')
  frames_dataset.write(
    folder / 'data',
    ('negative', 'positive', 'surprise'),
    corpus='synthetic',
    subjects=4,
    neighbours=1,
  )
  config = experiment.load_config('linear:smoke', OVERRIDES)
  experiment.train(config, data_dir=folder / 'data', workdir=folder / 'run')
  return folder


def test_the_ceiling_is_that_of_lda_on_fewer_people_and_over_clips(rendered):
  data = rendered / 'data'
  page = experiment.report([rendered / 'run'], data_dir=data)
  found = json.loads((page.parent / 'ceiling.json').read_text())
  config = experiment.load_config('linear:smoke', OVERRIDES)
  task = resolve.load_task(config, data)
  over_clips = folds_lib.over_clips(task.labels, 4)

  def uf1(prediction):
    return reference.f1_score(
      task.labels, prediction, average='macro', zero_division=0
    )

  def fit(**options):
    return baselines.baselines(
      task.seen_by_baselines, task.labels, u_channel=task.baseline_u_channel,
      num_classes=len(task.class_names), progress=False, **options,
    )['lda']  # fmt: skip

  assert found['baseline'] == 'lda' and found['folds'] == 4
  people, clips = fit(groups=task.groups), fit(groups=over_clips)
  assert found['people']['uf1'] == pytest.approx(uf1(people))
  assert found['clips']['uf1'] == pytest.approx(uf1(clips))
  assert found['clips']['warning'] == selection.BOTH_SIDES
  assert 'warning' not in found['people']
  assert [one['share'] for one in found['curve']] == [0.25, 0.5, 0.75, 1]
  assert [one['people'] for one in found['curve']] == [1, 2, 2, 3]
  assert [one['draws'] for one in found['curve']] == [3, 3, 3, 1]
  assert found['curve'][3]['entry']['uf1'] == found['people']['uf1']
  shown = html_page.Page(page.read_text())
  assert 'LDA in 4 folds over people, and in as many over clips' in shown.text
  assert f'The lower row: {selection.BOTH_SIDES}' in shown.text


def test_rendered_faces_are_shown_and_licensed_ones_are_not(
  rendered, monkeypatch
):
  monkeypatch.setattr(
    'mejax.pages.ceiling.agree',
    lambda runs: {
      'models': ['a', 'b'], 'n': 12, 'missed': 2, 'pairs': [],
      'clips': [
        {
          'corpus': corpus, 'subject': runs[0].record['subject'][0],
          'clip': runs[0].record['clip'][0], 'label': 'x', 'answer': 'y',
        }
        for corpus in ('synthetic', 'casme2')
      ],
    },
  )  # fmt: skip
  page = experiment.report([rendered / 'run'], data_dir=rendered / 'data')
  shown = html_page.Page(page.read_text())
  assert len(shown.images) == 1
  assert shown.images[0][0].startswith('face, motion and strain of synth')
  assert html_page.decode(shown.images[0][1]).shape[0] > 20


def test_what_was_measured_is_kept_in_the_data_folder(rendered, monkeypatch):
  data = rendered / 'data'
  experiment.report([rendered / 'run'], data_dir=data)

  def refuse(*_, **__):
    raise AssertionError('was computed again')

  monkeypatch.setattr(baseline_cache.baselines_lib, 'baselines', refuse)
  experiment.report([rendered / 'run'], data_dir=data)


def test_data_that_are_not_those_of_the_run_are_refused(
  rendered, tmp_path, monkeypatch, capsys
):
  assert cli.main(
    ['report', str(rendered / 'run'), '--data_dir', str(tmp_path)]
  )
  assert 'is not prepared' in capsys.readouterr().err
  load_task = resolve.load_task

  def brighter(*args, **options):
    task = load_task(*args, **options)
    return dataclasses.replace(task, inputs=task.inputs + 1)

  monkeypatch.setattr(resolve, 'load_task', brighter)
  with pytest.raises(ValueError, match='is not the data that .* trained on'):
    experiment.report([rendered / 'run'], data_dir=rendered / 'data')


def test_arrays_are_in_no_data_folder(tmp_path):
  generator = np.random.default_rng(0)
  experiment.leave_one_subject_out(
    generator.normal(size=(12, 4)).astype(np.float32),
    np.tile([0, 1], 6),
    np.repeat(['a', 'b', 'c'], 4),
    workdir=tmp_path / 'run',
    model='linear',
    num_epochs=1,
  )
  with pytest.raises(ValueError, match='was trained on arrays'):
    experiment.report([tmp_path / 'run'], data_dir=tmp_path)
