"""The truth of the synthetic corpus is true; its files survive accidents."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pandas as pd
import pytest

from mejax import cli
from mejax.corpora import synthetic
from mejax.corpora.faces import acting
from mejax.corpora.faces import camera
from mejax.corpora.faces import canvas
from mejax.corpora.faces import drawing
from mejax.corpora.faces import movement
from tests import closeness

SMALL = {
  'num_subjects': 2,
  'clips_per_subject': 3,
  'size': 64,
  'progress': False,
}


@pytest.fixture(scope='module')
def corpus(tmp_path_factory) -> pathlib.Path:
  """Two subjects at full size and default difficulty; never changed."""
  root = tmp_path_factory.mktemp('synthetic') / 'corpus'
  return synthetic.write(
    root, num_subjects=2, clips_per_subject=3, progress=False
  )


@pytest.fixture(scope='module')
def easy(tmp_path_factory) -> pathlib.Path:
  """One subject without distractors; never changed."""
  root = tmp_path_factory.mktemp('synthetic') / 'easy'
  return synthetic.write(
    root,
    num_subjects=1,
    clips_per_subject=6,
    difficulty=0,
    progress=False,
  )


@pytest.fixture(scope='module')
def pristine(tmp_path_factory) -> pathlib.Path:
  root = tmp_path_factory.mktemp('synthetic') / 'small'
  return synthetic.write(root, **SMALL)


@pytest.fixture
def small(pristine, tmp_path) -> pathlib.Path:
  """A small corpus of the test's own, to damage."""
  return shutil.copytree(pristine, tmp_path / 'small')


@functools.lru_cache
def _face() -> drawing.NeutralFace:
  return drawing.make_face(np.random.default_rng(0), size=128)


def _digests(root: pathlib.Path) -> dict[str, str]:
  return {
    str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(root.rglob('*'))
    if path.is_file()
  }


def _frame(clip, number, *, colour=cv2.IMREAD_GRAYSCALE) -> np.ndarray:
  path = clip.frames[clip.frame_numbers.index(number)]
  return cv2.imread(str(path), colour)


def _pull(image, flow) -> np.ndarray:
  """Looks `image` up where `flow` says that each pixel went."""
  pixels = np.stack(
    np.meshgrid(np.arange(flow.shape[1]), np.arange(flow.shape[0])), axis=-1
  )
  return cv2.remap(
    image.astype(np.float32),
    (pixels + flow).astype(np.float32),
    None,
    cv2.INTER_CUBIC,
    borderMode=cv2.BORDER_REFLECT,
  )


def _truth(clip) -> dict[str, np.ndarray]:
  with np.load(clip.truth) as arrays:
    return dict(arrays)


def _take(seed: int, hard: float) -> acting.Take:
  """Returns a clip of one person without habits, at `size` 128."""
  units = sorted(set(movement.ACTION_UNITS) - {'45', 'gaze', 'twitch'})
  person = acting.Person(
    face=_face(),
    strength=1.0,
    asymmetry=0.0,
    habits=dict.fromkeys(units, 0.5),
  )
  emotion = sorted(movement.EMOTIONS)[seed % 3]
  generator = np.random.default_rng(seed)
  return acting.perform(generator, person, emotion, size=128, hard=hard)


@functools.lru_cache
def _rendered(seed: int, amplitude: float):
  """Returns a noise-free onset and apex of a person, and the flow between."""
  generator = np.random.default_rng(seed)
  face = drawing.make_face(generator, size=128)
  pose = camera.Pose(shift=(0.008, -0.005), roll=0.03, scale=1.02)
  points = {name: pose.place(xy) for name, xy in face.points.items()}
  field = movement.field(
    {'4': (1.0, 0.6), '12': (0.3, 1.0), '26': (0.8, 0.8)}, points, size=128
  )
  field *= amplitude / np.linalg.norm(field, axis=-1).max()
  drift = movement.drift(generator, num_frames=20, size=128, amount=0.5)
  flow = field + movement.displacement(drift, 15)
  onset = camera.render(face, pose, np.zeros_like(flow))
  apex = camera.render(face, pose, movement.backward(flow))
  return 255 * onset, 255 * apex, flow


def test_a_backward_field_undoes_its_forward_field_to_0_02_pixels():
  _, _, flow = _rendered(seed=1, amplitude=2.0)
  back = movement.backward(flow)
  rest = flow + _pull(back, flow)
  assert np.abs(rest[8:-8, 8:-8]).max() < 0.02


def test_the_true_flow_takes_a_noise_free_apex_back_to_its_onset():
  for seed in range(3):
    onset, apex, flow = _rendered(seed=seed, amplitude=2.0)
    # Without the finest detail, which no interpolation can restore.
    onset, apex = (cv2.GaussianBlur(x, (0, 0), 1) for x in (onset, apex))
    still, right, wrong = (
      np.abs(_pull(apex, sign * flow) - onset)[8:-8, 8:-8].mean()
      for sign in (0, 1, -1)
    )
    assert right < still / 5
    assert wrong > 1.5 * still


def test_no_uniform_correction_of_the_true_flow_beats_a_few_hundredths():
  onset, apex, flow = _rendered(seed=4, amplitude=2.0)
  inside = np.s_[12:-12, 12:-12]
  back = _pull(apex, flow)
  grey, rest = onset.mean(-1), (onset - back).mean(-1)[inside]
  slopes = np.stack([s[inside].ravel() for s in np.gradient(grey)])
  correction = np.linalg.lstsq(slopes.T, rest.ravel(), rcond=None)[0]
  assert np.abs(correction).max() < 0.03


def test_opencv_sees_the_true_flow_in_the_frames(corpus):
  seen, true = [], []
  dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
  for clip in synthetic.read(corpus):
    pair = [
      cv2.GaussianBlur(_frame(clip, n), (0, 0), 1)
      for n in (clip.onset, clip.apex)
    ]
    seen.append(dis.calc(pair[0], pair[1], None)[20:-12, 28:-28])
    true.append(_truth(clip)['true_flow'][20:-12, 28:-28])
  for channel in (0, 1):
    a, b = (np.stack(x)[..., channel].ravel() for x in (seen, true))
    assert np.corrcoef(a, b)[0, 1] > 0.7
    slope = np.dot(a, b) / np.dot(b, b)
    assert 0.5 < slope < 1.5


def test_expressions_move_by_0_3_to_2_pixels_of_128(easy):
  for hard in (0.0, 0.5, 0.9):
    for seed in range(10):
      take = _take(seed, hard)
      length = np.linalg.norm(take.expression[0].field, axis=-1)
      assert 0.3 <= take.amplitude <= 2.0
      np.testing.assert_allclose(length.max(), take.amplitude, rtol=1e-4)
  # Nothing but the expression moves a face at difficulty 0.
  sheet = pd.read_csv(easy / 'labels.csv')
  for clip, amplitude in zip(
    synthetic.read(easy), sheet.amplitude, strict=True
  ):
    flow = _truth(clip)['expression_flow']
    peak = np.linalg.norm(flow, axis=-1).max()
    np.testing.assert_allclose(peak, amplitude, atol=1e-3)


def test_movement_rises_to_the_apex_and_falls_to_the_offset(corpus):
  for clip in synthetic.read(corpus):
    intensity = _truth(clip)['intensity']
    apex = clip.apex - clip.onset
    assert len(intensity) == len(clip.frames) == clip.offset - clip.onset + 1
    assert intensity[0] == 0 and intensity[apex] == 1
    assert abs(intensity[-1]) < 1e-6
    assert (np.diff(intensity[: apex + 1]) > 0).all()
    assert (np.diff(intensity[apex:]) < 0).all()


def test_the_frames_move_as_the_intensity_says(easy):
  dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
  for clip in synthetic.read(easy):
    truth = _truth(clip)
    pattern = truth['expression_flow'] - truth['expression_flow'].mean((0, 1))
    onset = _frame(clip, clip.onset)
    seen = [
      np.sum(pattern * dis.calc(onset, _frame(clip, n), None))
      for n in clip.frame_numbers
    ]
    assert np.corrcoef(seen, truth['intensity'])[0, 1] > 0.9


def test_the_emotions_differ_in_where_the_face_moves(easy):
  down_at = {}
  for clip in synthetic.read(easy):
    left_eye, right_eye, _, *mouth = np.asarray(clip.landmarks)
    flow = _truth(clip)['expression_flow'][..., 1]
    brow = [(1.3 * left_eye + 0.7 * right_eye) / 2 - [0, 10]]
    brow.append((0.7 * left_eye + 1.3 * right_eye) / 2 - [0, 10])
    places = [np.round(xy).astype(int) for xy in (brow, mouth)]
    down_at.setdefault(clip.emotion, []).append(
      [flow[xy[:, 1], xy[:, 0]].mean() for xy in places]
    )
  brow, mouth = 0, 1
  mean = {name: np.mean(rows, axis=0) for name, rows in down_at.items()}
  assert set(mean) == {'negative', 'positive', 'surprise'}
  assert mean['negative'][brow] > 0.2
  assert mean['surprise'][brow] < -0.2
  assert abs(mean['positive'][brow]) < 0.2
  assert mean['positive'][mouth] < -0.2


def test_landmarks_lie_on_the_eyes_nose_and_mouth(corpus):
  for clip in synthetic.read(corpus):
    left, right, nose, mouth_left, mouth_right = clip.landmarks
    assert left[0] < nose[0] < right[0] and mouth_left[0] < mouth_right[0]
    assert left[1] < nose[1] < mouth_left[1]
    colour = _frame(clip, clip.onset, colour=cv2.IMREAD_COLOR).astype(float)
    for x, y in (left, right):
      x, y = round(x), round(y)
      eye = colour[y - 2 : y + 3, x - 2 : x + 3].sum(-1).min()
      cheek = np.median(colour[y + 14 : y + 18, x - 2 : x + 3].sum(-1))
      assert eye < 0.6 * cheek


def test_the_same_parameters_give_the_same_bytes(pristine, tmp_path):
  again = synthetic.write(tmp_path / 'again', **SMALL)
  assert _digests(pristine) == _digests(again)
  other = synthetic.write(tmp_path / 'other', **SMALL, seed=1)
  assert _digests(pristine) != _digests(other)


def test_a_person_looks_the_same_whatever_the_number_of_people(small, tmp_path):
  more = synthetic.write(tmp_path / 'more', **{**SMALL, 'num_subjects': 3})
  assert _digests(more / 's01') == _digests(small / 's01')


def test_looks_are_those_of_the_people_who_were_rendered(pristine):
  looks = synthetic.looks(pristine)
  lightness = {}
  for clip in synthetic.read(pristine):
    frame = cv2.imread(str(clip.frames[0])) / 255
    eyes, mouth = np.array(clip.landmarks[:2]), np.array(clip.landmarks[3:])
    # The cheeks lie half way from the eyes to the corners of the mouth.
    x, y = np.rint((eyes + mouth) / 2).astype(int).T
    lightness[clip.subject] = frame[y, x].mean()
  assert looks.keys() == lightness.keys() and len(looks) >= 2
  tone = [looks[name]['tone'] for name in sorted(looks)]
  seen = [lightness[name] for name in sorted(looks)]
  assert np.argmax(tone) == np.argmax(seen)
  for look in looks.values():
    assert 0.2 < look['tone'] < 1 and 0 <= look['folds'] <= 1
    assert 0.6 < look['width'] < 0.9


def test_looks_of_another_renderer_are_refused(small):
  marker = small / 'corpus.json'
  content = json.loads(marker.read_text())
  marker.write_text(json.dumps({**content, 'version': 0}))
  with pytest.raises(ValueError, match='version 0 of the renderer'):
    synthetic.looks(small)
  marker.write_text(json.dumps({**content, 'more': 0}))
  with pytest.raises(ValueError, match='more'):
    synthetic.looks(small)


def test_a_second_call_keeps_whole_clips_and_mends_the_rest(small):
  before = _digests(small)
  times = {p: p.stat().st_mtime_ns for p in small.glob('s*/*/img*.png')}
  (small / 'labels.csv').unlink()
  shutil.rmtree(small / 's02' / 'clip03')
  next(small.glob('s01/clip02/img*.png')).unlink()
  unfinished = small / 's02' / '.clip03.partial'
  unfinished.mkdir()
  (unfinished / 'img1.png').write_bytes(b'half a frame')
  synthetic.write(small, **SMALL)
  assert _digests(small) == before
  kept = small / 's01' / 'clip01'
  for path, written in times.items():
    if path.is_relative_to(kept):
      assert path.stat().st_mtime_ns == written


def test_a_killed_write_is_carried_on_to_the_same_bytes(small, tmp_path):
  root = tmp_path / 'killed'
  code = (
    f'from mejax.corpora import synthetic; '
    f'synthetic.write({str(root)!r}, **{SMALL!r})'
  )
  process = subprocess.Popen([sys.executable, '-c', code])
  while not any(root.glob('s*/clip02')):
    assert process.poll() is None
    time.sleep(0.002)
  os.kill(process.pid, signal.SIGKILL)
  process.wait()
  assert not (root / 'labels.csv').exists()
  with pytest.raises(FileNotFoundError, match='not finished'):
    synthetic.read(root)
  synthetic.write(root, **SMALL)
  assert _digests(root) == _digests(small)


# Of the files that version 1 of the renderer writes; decoded, because the bytes
# of PNG and NPZ files also depend on the libraries that write them.
GOLDEN = {
  'amplitude': [0.911, 0.627, 0.884, 0.787, 0.885, 0.797],
  'mean': [77.806640625, 78.081787109375],
  'flow': [0.24551914632320404, 0.6938811540603638],
}


def test_without_the_option_every_number_is_as_it_has_always_been(pristine):
  assert 'expressiveness' not in (pristine / 'corpus.json').read_text()
  first = next(synthetic.read(pristine))
  truth = _truth(first)
  assert sorted(truth) == [
    'expression_flow',
    'intensity',
    'landmarks',
    'true_flow',
  ]
  sheet = pd.read_csv(pristine / 'labels.csv')
  closeness.assert_close(sheet.amplitude, GOLDEN['amplitude'], 1e-3)
  frames = [_frame(first, n).astype(float) for n in (first.onset, first.apex)]
  closeness.assert_close([x.mean() for x in frames], GOLDEN['mean'], 1e-4)
  flow = np.abs(truth['true_flow'])
  closeness.assert_close([flow.mean(), flow.max()], GOLDEN['flow'], 1e-5)


def test_expressiveness_multiplies_the_expression_and_nothing_else(
  pristine, tmp_path
):
  ends = (0.25, 2.0)
  root = synthetic.write(tmp_path / 'other', **SMALL, expressiveness=ends)
  factors = []
  for plain, own in zip(
    synthetic.read(pristine), synthetic.read(root), strict=True
  ):
    before, after = _truth(plain), _truth(own)
    factor = after['expressiveness']
    factors.append(float(factor))
    assert (own.emotion, own.facs, own.frame_numbers) == (
      plain.emotion,
      plain.facs,
      plain.frame_numbers,
    )
    for name in ('landmarks', 'intensity'):
      np.testing.assert_array_equal(after[name], before[name])
    # Head and distractors move as before: only the expression adds to the flow,
    # in proportion to factor - 1.
    drift = before['true_flow'] - before['expression_flow']
    closeness.assert_close(
      after['true_flow'] - after['expression_flow'], drift, 1e-5
    )
    np.testing.assert_array_equal(
      _frame(own, own.onset), _frame(plain, plain.onset)
    )
  assert factors[:3] == factors[:1] * 3 and factors[3:] == factors[3:4] * 3
  assert factors[0] != factors[3]
  before, after = (
    pd.read_csv(path / 'labels.csv').amplitude for path in (pristine, root)
  )
  # The sheet has three decimals.
  np.testing.assert_allclose(after, before * factors, atol=2e-3)
  with pytest.raises(ValueError, match='expressiveness: there'):
    synthetic.write(root, **SMALL)
  with pytest.raises(ValueError, match='expressiveness: there'):
    synthetic.write(root, **SMALL, expressiveness=(0.5, 2))


def test_the_command_renders_people_who_differ_in_expressiveness(tmp_path):
  root = tmp_path / 'faces'
  options = {'subjects': 2, 'clips': 1, 'size': 32, 'expressiveness': '.5,2'}
  words = [f'--{name}={value}' for name, value in options.items()]
  assert cli.main(['render', str(root), *words]) == 0
  factors = [float(_truth(c)['expressiveness']) for c in synthetic.read(root)]
  assert 0.5 <= min(factors) < max(factors) <= 2
  assert cli.main(['render', str(tmp_path / 'b'), '--expressiveness=9,1']) == 2


def test_ages_change_the_look_of_people_and_nothing_else(pristine, tmp_path):
  root = synthetic.write(tmp_path / 'other', **SMALL, ages=True)
  for plain, own in zip(
    synthetic.read(pristine), synthetic.read(root), strict=True
  ):
    before, after = _truth(plain), _truth(own)
    for name, array in before.items():
      np.testing.assert_array_equal(after[name], array)
    assert (own.facs, own.frame_numbers) == (plain.facs, plain.frame_numbers)
    assert (_frame(own, own.onset) != _frame(plain, plain.onset)).any()
  before, after = synthetic.looks(pristine), synthetic.looks(root)
  ages = [look['age'] for look in after.values()]
  assert 0 <= min(ages) < max(ages) <= 1
  for name, look in after.items():
    for same in ('tone', 'width'):
      assert look[same] == before[name][same]
  with pytest.raises(ValueError, match='ages: there True'):
    synthetic.write(root, **SMALL)


def test_the_signs_of_age_are_on_the_forehead_and_below_the_eyes():
  def draw(age):
    return drawing.make_face(np.random.default_rng(3), size=128, age=age)

  young, old = draw(0.0), draw(1.0)
  # Between them in frame units; the drawing has a margin.
  side = young.texture.shape[0]
  y, x = (np.mgrid[:side, :side] + 0.5) / side * (
    1 + 2 * canvas.MARGIN
  ) - canvas.MARGIN
  change = np.abs(old.texture - young.texture).mean(-1)
  eyes, brows = young.points['eye'], young.points['brow_inner']
  middle = np.abs(x - 0.5)
  forehead = (middle < 0.1) & (y < brows[0, 1] - 0.03) & (y > brows[0, 1] - 0.1)
  lids = (np.abs(middle - (eyes[1, 0] - 0.5)) < 0.04) & (
    (y > eyes[0, 1] + 0.03) & (y < eyes[0, 1] + 0.07)
  )
  nose = (middle < 0.02) & (y > eyes[0, 1]) & (y < eyes[0, 1] + 0.1)
  for signs in (forehead, lids):
    assert change[signs].mean() > 5 * change[nose].mean()
  # Half as old, half as deep.
  half = np.abs(draw(0.5).texture - young.texture).mean(-1)
  for signs in (forehead, lids):
    assert 0.3 < half[signs].mean() / change[signs].mean() < 0.7
  np.testing.assert_array_equal(old.points['eye'], young.points['eye'])


def test_the_truth_is_recovered_from_the_rendered_motion(tmp_path):
  """By OpenCV, which knows nothing of the renderer."""
  lengths = []
  how = dict(num_subjects=1, clips_per_subject=3, difficulty=0, progress=False)
  dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
  for factor in (0.5, 1.0, 2.0):
    root = synthetic.write(
      tmp_path / f'{factor}', **how, expressiveness=(factor, factor)
    )
    for clip in synthetic.read(root):
      truth = _truth(clip)
      assert truth['expressiveness'] == np.float32(factor)
      pattern = truth['expression_flow'] / factor
      seen = dis.calc(_frame(clip, clip.onset), _frame(clip, clip.apex), None)
      lengths.append(np.sum(seen * pattern) / np.sum(pattern**2))
  half, one, twice = np.reshape(lengths, (3, 3)).mean(1)
  assert 0.35 < half / one < 0.65
  assert 1.6 < twice / one < 2.4


def test_other_parameters_are_refused_and_nothing_is_lost(small):
  before = _digests(small)
  with pytest.raises(ValueError, match='difficulty: there 0.5, asked for 0.9'):
    synthetic.write(small, **SMALL, difficulty=0.9)
  assert _digests(small) == before


def test_a_folder_with_other_things_is_refused(tmp_path):
  (tmp_path / 'thesis.txt').write_text('years of work')
  with pytest.raises(ValueError, match='not empty'):
    synthetic.write(tmp_path, **SMALL)
  assert [p.name for p in tmp_path.iterdir()] == ['thesis.txt']


@pytest.mark.parametrize(
  'wrong',
  [
    {'difficulty': 1.5},
    {'num_subjects': 0},
    {'size': 8},
    {'seed': -1},
    {'expressiveness': (0.0, 1.0)},
    {'expressiveness': (2.0, 0.5)},
    {'expressiveness': (0.5, 3.0)},
    {'expressiveness': (0.5,)},
  ],
)
def test_parameters_out_of_range_are_refused(tmp_path, wrong):
  with pytest.raises(ValueError, match=f'{next(iter(wrong))} is'):
    synthetic.write(tmp_path / 'c', **{**SMALL, **wrong})
  assert not (tmp_path / 'c').exists()


def test_faces_without_end_are_refused_before_the_first_is_drawn(tmp_path):
  folder = tmp_path / 'faces'
  with pytest.raises(ValueError, match='100000000 x 100000000 pixels'):
    synthetic.write(folder, size=100_000_000)
  with pytest.raises(ValueError, match='10,000,000 clips; expected at most'):
    synthetic.write(folder, num_subjects=10_000, clips_per_subject=1_000)
  assert not folder.exists()


def test_reading_tells_empty_wrong_and_absent_folders_apart(tmp_path):
  with pytest.raises(FileNotFoundError, match='No folder'):
    synthetic.read(tmp_path / 'nowhere')
  with pytest.raises(FileNotFoundError, match='is empty'):
    synthetic.read(tmp_path)
  (tmp_path / 'sub01').mkdir()
  with pytest.raises(FileNotFoundError, match='something else'):
    synthetic.read(tmp_path)


def test_a_sheet_without_a_column_names_the_column(small):
  sheet = pd.read_csv(small / 'labels.csv').drop(columns='apex')
  sheet.to_csv(small / 'labels.csv', index=False)
  with pytest.raises(ValueError, match=r"lacks the columns \['apex'\]"):
    synthetic.read(small)


@pytest.mark.parametrize(
  'column, value, message',
  [
    ('emotion', 'joy', "emotion 'joy' of s01/clip01"),
    ('apex', 'soon', 's01/clip01'),
    ('apex', '999999', 'in this order'),
  ],
)
def test_a_value_out_of_range_names_its_clip(small, column, value, message):
  sheet = pd.read_csv(small / 'labels.csv', dtype=str)
  sheet.loc[0, column] = value
  sheet.to_csv(small / 'labels.csv', index=False)
  with pytest.raises(ValueError, match=message):
    list(synthetic.read(small))


def test_damaged_clips_are_listed_and_the_others_go_on(small):
  first, third, fourth, *rest = synthetic.read(small)
  first.frames[3].unlink()
  third.truth.write_bytes(third.truth.read_bytes()[:100])
  fourth.truth.unlink()
  clips = list(synthetic.read(small))
  assert first.frames[3].name in clips[0].problem
  assert 'truth.npz is damaged' in clips[1].problem
  assert 'truth.npz is missing' in clips[2].problem
  assert [clip.problem for clip in clips[3:]] == [''] * len(rest)


def test_clips_say_what_they_are(corpus):
  clips = list(synthetic.read(corpus))
  assert [c.identity for c in clips] == [
    f'synthetic/s0{s}/clip0{k}' for s in (1, 2) for k in (1, 2, 3)
  ]
  for clip in clips:
    assert clip.fps == 100 and clip.apex_source == 'rendered'
    assert clip.problem == '' and clip.action_units
    assert len(clip.landmarks) == 5
    assert _truth(clip)['true_flow'].dtype == np.float32
  for subject in ('s01', 's02'):
    emotions = sorted(c.emotion for c in clips if c.subject == subject)
    assert emotions == ['negative', 'positive', 'surprise']


def test_difficulty_weakens_the_expression_against_everything_else():
  ratio = []
  for hard in (0.0, 0.5, 0.9):
    expression, rest = [], []
    for seed in range(12):
      take = _take(seed, hard)
      own, *others = [
        m.field * m.envelope[take.apex] for m in take.expression + take.drift
      ]
      expression.append(own)
      rest.append(np.sum(others, axis=0))
    ratio.append(np.std(expression) / np.std(rest))
  assert ratio[0] > 1.5 * ratio[1] > 1.5 * ratio[2]


@pytest.mark.parametrize('text', ['{', '5', '[1]'])
def test_a_damaged_marker_is_told(tmp_path, text):
  (tmp_path / 'corpus.json').write_text(text)
  with pytest.raises(ValueError, match='corpus.json is damaged'):
    synthetic.write(tmp_path, progress=False)


@pytest.mark.parametrize(
  ('change', 'words'),
  [
    (lambda text: '', 'cannot be read: it is empty'),
    (lambda text: text.replace('s01', '王').encode('gbk'), 'it is not utf-8'),
    (lambda text: text + '"s01,clip', 'a fault in its quotation marks'),
    (lambda text: text.replace(',negative,', ',negative,9' + '9' * 30, 1),
     "onset is '9999.*expected the number of a frame"),
  ],
)  # fmt: skip
def test_a_sheet_that_cannot_be_read_is_told(small, change, words):
  sheet = small / 'labels.csv'
  text = change(sheet.read_text())
  sheet.write_bytes(text if isinstance(text, bytes) else text.encode())
  with pytest.raises(ValueError, match=words):
    list(synthetic.read(small))


def test_a_sheet_may_claim_more_frames_than_fit_into_memory(small):
  table = pd.read_csv(small / 'labels.csv', dtype=str)
  length = int(table.offset[0]) - int(table.onset[0]) + 1
  table.loc[0, 'offset'] = '2000000000'
  table.to_csv(small / 'labels.csv', index=False, encoding='utf-16')
  first, *others = synthetic.read(small)
  claimed = 2_000_000_000 - int(table.onset[0]) + 1
  lost = f'{claimed - length} of {claimed} frames missing: img'
  assert first.problem.startswith(lost)
  assert not any(clip.problem for clip in others)
