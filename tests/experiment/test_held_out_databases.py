"""Action units of sheets: trained with the class, scored by held-out database.

The faces are patterns: unit 4 moves the upper half down, unit 12 the lower half
up. Trees and sheets have the published shapes.
"""

from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest
from scipy import special
from sklearn import metrics as reference

from mejax import experiment
from mejax.datasets import load
from mejax.datasets import shown_units
from mejax.datasets.recipe import Recipe
from mejax.experiment import applying
from mejax.experiment import configuration
from mejax.experiment import evaluating
from mejax.experiment import unit_scores
from mejax.experiment.packs import saved as saved_lib
from mejax.motion import faces
from tests.corpora import trees
from tests.datasets import bad_trees

SIZE, NAME = 32, 'casme_casme2_samm_smic'
# Coded as the sheets do; a unit that is left open or of one side only.
CODES = ['4', 'L4', '12', 'R12', '4+12', '12A+(4 or 7)', '4+17', '12']
EMOTIONS = ['disgust', 'repression', 'happiness', 'happiness', 'tense']
NUMBERS = range(1, 6)
CONFIG = (
  'protocol=cd6me', f'dataset={NAME}', 'model.num_units=12',
  'setting.units=12.0', 'setting.shift=0.0', 'setting.mixup=0.0',
  'setting.learning_rate=0.01', 'num_epochs=100', 'eval_every=100',
  'folds=all',
)  # fmt: skip

pytestmark = pytest.mark.slow


def frames(seed, code):
  """Five frames in which the coded halves move by up to six pixels of 64."""
  noise = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
  face = cv2.GaussianBlur(noise, (0, 0), 3)
  face = cv2.normalize(face, None, 0, 255, cv2.NORM_MINMAX)
  for share in (0, 3, 6, 3, 0):
    image = face.copy()
    if '4' in code.split('(')[0].replace('L', '').split('+'):
      image[:32] = np.roll(face, share, 0)[:32]
    if '12' in code:
      image[32:] = np.roll(face, -share, 0)[32:]
    yield image


def write(root, folder, pattern, seed, code):
  names = [pattern.format(n) for n in NUMBERS]
  trees.write_frames(root / folder, names, images=frames(seed, code))


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  root = tmp_path_factory.mktemp('databases')
  rows = {'casme': [], 'casme2': [], 'samm': []}
  for i, code in enumerate(CODES):
    emotion = EMOTIONS[i % len(EMOTIONS)]
    one = (i + 1, f'EP01_{i}', 1, 3, None, 5, code, emotion)
    rows['casme'].append(one)
    folder = f'casme/CASME_raw_selected/sub{i + 1:02}/EP01_{i}'
    write(root, folder, f'EP01_{i}-{{:03}}.png', i, code)
    two = (f'{i + 1:02}', f'EP02_{i}', 1, 3, 5, code, emotion)
    rows['casme2'].append(two)
    folder = f'casme2/CASME2_RAW_selected/sub{i + 1:02}/EP02_{i}'
    write(root, folder, 'img{}.png', 100 + i, code)
    three = (f'{i + 6:03}', f'{i + 6:03}_1_1', 1, 3, 5, code, 'Anger')
    rows['samm'].append(three)
    folder = f'samm/SAMM/{i + 6:03}/{i + 6:03}_1_1'
    write(root, folder, f'{i + 6:03}_{{:05}}.png', 200 + i, code)
  trees.casme(root / 'casme', rows['casme'])
  trees.casme2(root / 'casme2', rows['casme2'])
  trees.samm(root / 'samm', rows['samm'])
  folder = 'smic/SMIC_all_raw/HS/s20/micro/surprise/s20_sur_05'
  write(root, folder, 'image{:06}.bmp', 300, '1')
  recipe = Recipe(size=SIZE, flow='farneback', faces='none', apex='midpoint')
  corpora = NAME.split('_')
  made = root / 'data'
  sources = [root / name for name in corpora]
  with pytest.MonkeyPatch.context() as patch:
    # To look for faces in every pattern would take a minute.
    patch.setattr(faces, 'locate', no_face)
    bad_trees.make(corpora, sources, made, recipe=recipe)
  return made


def no_face(*_, **__):
  raise faces.NoFace('patterns have none')


@pytest.fixture(scope='module')
def run(data_dir, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('run') / 'run'
  config = configuration.load_config('cnn:smoke', CONFIG)
  metrics = experiment.train(config, data_dir=data_dir, workdir=workdir)
  return workdir, config, metrics


def read(workdir):
  return json.loads((workdir / unit_scores.FILE).read_text())


def test_one_database_is_left_out_and_those_without_lists_do_not_count(run):
  workdir, _, metrics = run
  assert 'left out at a time' in metrics['protocol']
  assert 'without a list of action units: 1 of 25' in metrics['protocol']
  assert metrics['selection']['last']['full']['n'] == 3 * len(CODES)
  numbers = read(workdir)
  assert set(numbers['parts']) == {'casme', 'casme2', 'samm'}
  assert [part['examples'] for part in numbers['parts'].values()] == [8] * 3
  shown = {name: row['shown'] for name, row in numbers['units'].items()}
  # `12A+(4 or 7)` shows 12 alone.
  expected = dict.fromkeys(shown_units.MEB, 0) | {'4': 12, '12': 15, '17': 3}
  assert shown == expected


def test_scores_are_those_of_models_that_have_not_seen_the_database(
  run, data_dir
):
  workdir, config, _ = run
  task = experiment.plan(config, data_dir=data_dir).task
  saved = saved_lib.read_models(workdir)
  _, told = applying.apply_folds(
    saved, task, task.groups, keep=lambda out: out['units']
  )
  shares, numbers = special.expit(told).mean(0), read(workdir)
  limits = np.array([numbers['thresholds'][name] for name in task.groups])
  truth = task.extra['units']
  for i, name in enumerate(shown_units.MEB):
    if not truth[:, i].any():
      assert numbers['units'][name]['f1'] is None
      continue
    row, said = numbers['units'][name], shares[:, i] >= limits[:, i]
    expected = reference.f1_score(truth[:, i], said)
    assert row['f1'] == pytest.approx(expected)
    expected = reference.f1_score(truth[:, i], said, average='macro')
    assert row['f1_macro'] == pytest.approx(expected)
    expected = reference.f1_score(truth[:, i], shares[:, i] >= 0.5)
    assert row['f1_half'] == pytest.approx(expected)
  # The halves move as the sheets say, and the models have learnt it.
  for name in ('4', '12'):
    assert numbers['units'][name]['area'] > 0.8


def test_thresholds_of_a_fold_do_not_know_the_database_that_it_holds_out(
  run, data_dir
):
  workdir, config, _ = run
  plan = experiment.plan(config, data_dir=data_dir)
  before = read(workdir)['thresholds']
  units = plan.task.extra['units'].copy()
  units[plan.task.groups == 'samm'] = 1 - units[plan.task.groups == 'samm']
  task = dataclasses.replace(plan.task, extra={'units': units})
  after = unit_scores.score(dataclasses.replace(plan, task=task), workdir)
  assert after['thresholds']['samm'] == before['samm']
  assert after['thresholds']['casme'] != before['casme']


def test_such_a_run_is_evaluated_and_packed_with_names_and_thresholds(
  run, data_dir, tmp_path
):
  workdir, _, metrics = run
  again = evaluating.evaluate(workdir, data_dir=data_dir, out=tmp_path / 'eval')
  one, other = (x['selection']['last']['full'] for x in (again, metrics))
  assert one['uf1'] == pytest.approx(other['uf1']) and one['n'] == other['n']
  areas = json.loads((tmp_path / 'eval' / 'units.json').read_text())
  assert list(areas['full']) == list(shown_units.MEB)
  model = experiment.pack(workdir, tmp_path / 'model')
  assert model.units == shown_units.MEB
  (everybody,) = set(read(workdir)['thresholds']) - {'casme', 'casme2', 'samm'}
  chosen = read(workdir)['thresholds'][everybody]
  np.testing.assert_allclose(model.thresholds, chosen)
  card = (tmp_path / 'model' / 'MODEL.md').read_text()
  assert '## Action units' in card and '| unit | 1 | 2 | 4 | 5 |' in card


def test_a_dataset_without_lists_says_how_to_get_them(data_dir):
  examples = load.load_examples(NAME, data_dir)
  metadata = load.read_metadata(NAME, data_dir)
  assert metadata[shown_units.KEY]['casme2/sub05/EP02_4'] == [4, 12]
  del metadata[shown_units.KEY]
  with pytest.raises(ValueError, match='--overwrite'):
    shown_units.listed(examples, metadata, ('12',))
