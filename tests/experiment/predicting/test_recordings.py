"""`mejax.predict` and `mejax predict`, on rendered faces and hopeless files."""

from __future__ import annotations

import dataclasses
import math
import shutil

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy import special

import mejax
from mejax import cli
from mejax.corpora import synthetic
from mejax.corpora.faces import long_takes
from mejax.corpora.faces import muscles
from mejax.experiment.predicting import results
from mejax.experiment.predicting import shipped
from mejax.experiment.spotting import recordings as spotting
from mejax.experiment.spotting import trained
from mejax.motion.spotting import curves
from mejax.pages import notice
from mejax.pages import predicting as page_lib
from tests import closeness
from tests.corpora import test_decode
from tests.known_faces import detector_of
from tests.pages import html_page

QUIET = {'progress': False}
CLASSES = ('negative', 'positive', 'surprise')


pytestmark = pytest.mark.usefixtures('small')


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
  """Three rendered clips as folders of frames, and their sheet."""
  folder = tmp_path_factory.mktemp('rendered') / 'faces'
  synthetic.write(
    folder, num_subjects=1, clips_per_subject=3, difficulty=0.2, progress=False
  )
  return folder, pd.read_csv(folder / 'labels.csv')


@pytest.fixture(scope='module')
def predicted(clips, tmp_path_factory):
  out = tmp_path_factory.mktemp('out') / 'predicted'
  table = mejax.predict(clips[0], out=out, whole=True, fps=100, **QUIET)
  return table, out


@pytest.fixture(scope='module')
def take():
  script = long_takes.Script(micro=1, amplitude=(3.0, 3.0), noise=1.0)
  return long_takes.play(script, seed=4, seconds=6, fps=30.0, size=160)


@pytest.fixture(scope='module')
def images(take):
  return list(take.frames(np.random.default_rng(0)))


def video(path, images, fps=30.0):
  return test_decode.write_video(path, images, fps=fps, codec='MJPG')


def frames_of(clips, row):
  folder = clips[0] / row['subject'] / row['clip']
  paths = sorted(folder.glob('img*.png'), key=lambda p: int(p.stem[3:]))
  return [cv2.imread(str(path))[..., ::-1] for path in paths]


def test_rendered_expressions_are_most_like_what_they_are(clips, predicted):
  table, _ = predicted
  truth = clips[1]
  assert table['file'].tolist() == truth['clip'].tolist()
  # The model is right on three of four rendered clips.
  assert (table['most_like'] == truth['emotion']).sum() >= 2
  assert (table['onset'] == truth['onset']).all()
  assert ((table['apex'] - truth['apex']).abs() <= 3).all()
  # Seconds count from the first frame, which has a number of its own.
  first = table['onset']
  assert np.allclose(table['apex_s'], (table['apex'] - first) / 100)


def test_a_row_is_consistent_in_itself(predicted):
  table, _ = predicted
  shares = table[[f'p_{name}' for name in CLASSES]].to_numpy(float)
  np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)
  np.testing.assert_allclose(table['probability'], shares.max(1))
  expected = [-sum(p * math.log(p) for p in row if p > 0) for row in shares]
  np.testing.assert_allclose(table['entropy'], expected, atol=1e-4)
  assert not table['abstained'].any()
  # A rendered face of 128 pixels has its eyes 36 pixels apart, and moves by
  # less than two.
  assert table['face_px'].between(30, 42).all()
  assert table['motion_px'].between(0.1, 2).all()
  units = table[[f'au_{name}' for name in muscles.NAMES]].to_numpy(float)
  assert ((units > 0) & (units < 1)).all()
  thresholds = shipped.load().about['units']['thresholds']
  for told, row in zip(table['units'], units, strict=True):
    above = {
      name
      for name, share, limit in zip(muscles.NAMES, row, thresholds, strict=True)
      if share >= limit
    }
    assert set(told.split('+')) - {''} == above


def test_files_say_the_same_as_the_table(predicted):
  table, out = predicted
  read = pd.read_csv(out / 'predictions.csv', keep_default_na=False)
  assert list(read.columns) == list(table.columns)
  assert read['most_like'].tolist() == table['most_like'].tolist()
  page = html_page.Page((out / 'index.html').read_text())
  for name in table['most_like']:
    assert f'most like {name}' in page.text
  assert notice.RESPONSIBLE_USE in page.text
  assert page.text.count('99 % of it below') == len(table)
  assert page.text.count('held still there, the answer loses') == len(table)
  strips = sorted((out / 'pictures').iterdir())
  assert len(strips) == 3
  assert cv2.imread(str(strips[0])).shape[1] > 5 * 240


def test_the_same_call_goes_on_where_it_stopped(clips, predicted, monkeypatch):
  table, out = predicted
  kept = sorted((out / 'kept').iterdir())
  kept[1].write_text('{"damaged')
  made = []
  make = results._make

  def counted(todo, *rest):
    made.extend(todo)
    return make(todo, *rest)

  monkeypatch.setattr(results, '_make', counted)
  again = mejax.predict(clips[0], out=out, whole=True, fps=100, **QUIET)
  assert len(made) == 1
  pd.testing.assert_frame_equal(again, table, atol=1e-5)


def test_pictures_for_which_a_page_has_no_room_are_files_and_not_in_memory(
  clips, predicted, tmp_path, monkeypatch
):
  out = shutil.copytree(predicted[1], tmp_path / 'out')
  before = {p.name: p.read_bytes() for p in (out / 'pictures').iterdir()}
  shutil.rmtree(out / 'pictures')
  monkeypatch.setattr(page_lib, 'MOST', 1)
  held = []
  page = page_lib.page

  def watched(given, **options):
    held.extend(len(c['tiles']) for one in given for c in one['cards'])
    return page(given, **options)

  monkeypatch.setattr(page_lib, 'page', watched)
  mejax.predict(clips[0], out=out, whole=True, fps=100, **QUIET)
  after = {p.name: p.read_bytes() for p in (out / 'pictures').iterdir()}
  assert after == before and len(after) == 3
  assert held == [5, 0, 0]
  text = (out / 'index.html').read_text()
  assert text.count('<article') == 1


def test_results_of_another_call_are_not_replaced(clips, predicted):
  _, out = predicted
  before = (out / 'predictions.csv').read_bytes()
  with pytest.raises(ValueError, match='abstain: there 0.0, asked for 0.5'):
    mejax.predict(clips[0], out=out, whole=True, fps=100, abstain=0.5, **QUIET)
  with pytest.raises(ValueError, match='recordings: there'):
    mejax.predict(clips[0].parent, out=out, whole=True, fps=100, **QUIET)
  with pytest.raises(ValueError, match="verb: there 'predict'"):
    spotting.write(clips[0], out)
  assert (out / 'predictions.csv').read_bytes() == before


def test_below_a_probability_there_is_no_answer(clips, predicted, tmp_path):
  table, out = predicted
  limit = float(table['probability'].median())
  # Whatever was said of each recording is kept for any call.
  shutil.copytree(out / 'kept', tmp_path / 'kept')
  out = tmp_path
  again = mejax.predict(
    clips[0], out=out, whole=True, fps=100, abstain=limit, **QUIET
  )
  assert again['abstained'].tolist() == (table['probability'] < limit).tolist()
  assert (again['most_like'] == '').equals(again['abstained'].astype(bool))


def test_a_recording_is_spotted_in_and_shown_on_a_timeline(
  take, images, tmp_path
):
  path = video(tmp_path / 'talk.avi', images)
  out = tmp_path / 'out'
  found = mejax.predict(
    path, out=out, annotate=True, detector=detector_of(take), **QUIET
  )
  (row,) = found[found['type'] == 'micro'].to_dict('records')
  event = take.events[0]
  assert abs(row['apex'] - event.apex) <= 1
  assert row['most_like'] in CLASSES and row['motion_noise'] > 9
  assert '<path class="curve' in (out / 'index.html').read_text()
  shown = cv2.VideoCapture(str(out / 'annotated/talk.mp4'))
  count = 0
  while shown.grab():
    count += 1
  assert count == len(images)


def test_a_network_may_spot_instead(take, images, tmp_path):
  path = video(tmp_path / 'talk.avi', images)
  out = tmp_path / 'out'
  call = {'out': out, 'detector': detector_of(take), 'pictures': False, **QUIET}
  # It has learnt from minutes, and is not sure of a few seconds.
  limits = {'micro': curves.LEAST, 'macro': 1.1}
  spotter = trained.read()._replace(thresholds=limits)
  found = mejax.predict(path, spotter=spotter, **call)
  assert (found['type'] == 'micro').all()
  assert (found['apex'] - take.events[0].apex).abs().min() <= 3
  assert found['most_like'].isin(CLASSES).any()
  # Its score is a probability, and not in units of noise.
  assert found['motion_noise'].isna().all()
  page = (out / 'index.html').read_text()
  assert 'The faint line' not in page and '<path class="curve' in page
  with pytest.raises(ValueError, match='spotter: there'):
    mejax.predict(path, **call)


def test_given_frames_are_those_of_the_whole_clip(clips, predicted):
  table, _ = predicted
  row = table.iloc[0]
  folder = clips[0] / clips[1]['subject'][0] / clips[1]['clip'][0]
  found = mejax.predict(
    folder,
    onset=int(row['onset']),
    apex=int(row['apex']),
    offset=int(row['offset']),
    **QUIET,
  )
  assert found['type'].tolist() == ['given']
  np.testing.assert_allclose(
    found[['p_negative', 'motion_px']].to_numpy(float),
    table.loc[[0], ['p_negative', 'motion_px']].to_numpy(float),
    rtol=0.05,
  )
  assert found['onset_s'].isna().all()  # Frames of a folder have no rate.
  with pytest.raises(ValueError, match='apex 3 is no frame of the recording'):
    mejax.predict(folder, onset=int(row['onset']), apex=3, **QUIET)
  with pytest.raises(ValueError, match='belong to one recording; there are 3'):
    mejax.predict(clips[0], onset=1, apex=3, **QUIET)


@pytest.fixture(scope='module')
def hopeless(clips, tmp_path_factory):
  """Recordings of which nothing or little can be said."""
  folder = tmp_path_factory.mktemp('hopeless')
  first, second, third = (
    frames_of(clips, row) for _, row in clips[1].iterrows()
  )
  wide = [np.concatenate([a, a], 1) for a in first]
  video(folder / 'a_sound.avi', first, 100)
  (folder / 'b_broken.avi').write_bytes(b'\0no video\xff' * 50)
  video(folder / 'c_one.avi', first[:1], 100)
  video(folder / 'd_two.avi', [first[0], first[len(first) // 2]], 100)
  video(folder / 'e_still.avi', first[:1] * 20, 100)
  video(folder / 'f_wall.avi', [np.full((64, 96, 3), 90, np.uint8)] * 20, 100)
  noise = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
  video(folder / 'g_cut.avi', first[:12] + [noise] * 8, 100)
  video(folder / 'h_people.avi', wide, 100)
  tall = [cv2.copyMakeBorder(a, 80, 60, 0, 0, 1) for a in second]
  video(folder / 'i_tall.avi', tall, 100)
  video(
    folder / 'j_leaves.avi', third[:14] + [np.roll(third[9], 70, 1)] * 8, 100
  )
  video(folder / 'k_nothing.avi', first[:1] * 60)
  table = mejax.predict(folder, out=folder / 'out', **QUIET)
  return table.set_index('file')


@pytest.mark.parametrize(
  'name, words',
  [
    ('b_broken', 'damaged or no video'),
    ('c_one', 'one frame'),
    ('d_two', 'too short to spot'),
    ('e_still', 'nothing moves'),
    ('f_wall', 'no face'),
    ('g_cut', 'scene changes'),
    ('h_people', '2 faces'),
    ('j_leaves', ''),
    ('k_nothing', 'nothing stands out'),
  ],
)
def test_what_is_hopeless_has_a_row_that_says_why(hopeless, name, words):
  assert words in hopeless.loc[name, 'warnings']
  assert hopeless.loc[name, 'warnings']


def test_the_others_go_on(hopeless):
  for name in ('a_sound', 'd_two', 'h_people', 'i_tall'):
    assert hopeless.loc[name, 'most_like'] in CLASSES
    assert 0 < hopeless.loc[name, 'motion_px'] < 3
  for name in ('b_broken', 'c_one', 'e_still', 'f_wall', 'k_nothing'):
    assert hopeless.loc[name, 'most_like'] == ''
    assert np.isnan(hopeless.loc[name, 'probability'])


def test_command_prints_what_it_found_and_the_notice(clips, predicted, capsys):
  _, out = predicted
  command = ['predict', str(clips[0]), '--whole', '--fps', '100']
  assert cli.main([*command, '--out', str(out)]) == 0
  said = capsys.readouterr().out
  assert said.count('is most like') == 3 and ' feels' in said
  assert notice.RESPONSIBLE_USE in said
  assert said.count(notice.GENERATED) == 1
  assert cli.main([*command, '--onset', '3', '--out', str(out)]) == 2
  assert 'exclude each other' in capsys.readouterr().err


def test_the_model_that_ships_has_seen_nobody_and_tells_its_scores():
  model = shipped.load()
  assert model.classes == CLASSES and model.units == muscles.NAMES
  assert not model.seen.people and not model.seen.unknown
  assert model.about['licences'] == ['Apache-2.0']
  card = (shipped.FOLDER / 'MODEL.md').read_text()
  assert '442 real clips' in card and 'LDA' in card and 'prohibits' in card
  size = sum(path.stat().st_size for path in shipped.FOLDER.iterdir())
  assert size < 1_000_000


def test_action_units_are_those_of_the_network():
  model = shipped.load()
  shape = (3, *model.about['inputs']['shape'])
  inputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
  shares = []
  for i in range(len(model.about['members'])):
    member = jax.tree.map(lambda x, i=i: x[i], model.params)
    _, out = model.module.apply(member, jnp.asarray(inputs), train=False)
    shares.append(special.expit(np.asarray(out['units'], np.float64)))
  expected = np.mean(shares, 0)
  closeness.assert_close(model.predict_units(inputs), expected, 1e-5)


def test_a_model_without_thresholds_tells_units_from_one_half_on():
  model = shipped.load()
  assert (model.thresholds < 0.5).all()
  about = {key: x for key, x in model.about.items() if key != 'units'}
  older = dataclasses.replace(model, about=about)
  assert older.units == muscles.NAMES
  assert older.thresholds.tolist() == [0.5] * len(muscles.NAMES)
