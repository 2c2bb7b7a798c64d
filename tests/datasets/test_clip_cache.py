"""From frames to examples: right numbers, same bytes, each clip by itself."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import shutil
import signal
import subprocess
import sys

import cv2
import jax
import numpy as np
import pytest

from mejax import bars
from mejax.corpora import synthetic
from mejax.corpora.clip import Clip
from mejax.datasets import builder
from mejax.datasets import clip_cache
from mejax.datasets import face_search
from mejax.datasets import frames_to_flow
from mejax.datasets import load
from mejax.datasets import prepare
from mejax.datasets import staging
from mejax.datasets import workers
from mejax.datasets.recipe import Recipe
from mejax.motion import faces
from mejax.motion import light
from mejax.motion import magnet

# Fast, and Farneback is the same on every machine.
SMALL = Recipe(size=32, flow='farneback')


def _prepare(source, data_dir, recipe=SMALL, **options):
  return prepare.prepare(
    'synthetic',
    source=source,
    data_dir=data_dir,
    recipe=recipe,
    **{'workers': 0, 'progress': False, **options},
  )


def _contents(folder):
  return {
    str(p.relative_to(folder)): p.read_bytes()
    for p in folder.rglob('*')
    if p.is_file()
  }


@pytest.fixture(scope='module')
def corpus(tmp_path_factory):
  # Enough clips for two batches on a CPU.
  return synthetic.write(
    tmp_path_factory.mktemp('synthetic') / 'faces',
    num_subjects=3,
    clips_per_subject=3,
    size=128,
    difficulty=0.0,
    progress=False,
  )


@pytest.fixture(scope='module')
def dataset(corpus, tmp_path_factory):
  folder = tmp_path_factory.mktemp('data')
  _prepare(corpus, folder, Recipe(size=64, flow='farneback', neighbours=2))
  return load.load_examples('synthetic', folder), load.read_metadata(
    'synthetic', folder
  )


def test_faces_lie_where_aligned_faces_lie(dataset):
  points = dataset[0]['landmarks']
  expected = faces.CANONICAL * 64 - 0.5
  assert np.abs(points - expected).max() < 4  # People differ in proportion.
  assert np.abs(points[:, :2].mean(0) - expected[:2]).max() < 1


def test_aligned_frames_are_what_opencv_warps(corpus, dataset):
  clip = next(synthetic.read(corpus))
  images = [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in clip.frames]
  looked_at = [
    images[clip.frame_numbers.index(n)] for n in face_search.numbers(clip)
  ]
  located = faces.locate(looked_at, detector=faces.detect_dense)
  matrix = faces.alignment(located.points, size=64)
  for name, number in (('onset', clip.onset), ('apex', clip.apex)):
    image = images[clip.frame_numbers.index(number)]
    # OpenCV does not reduce when it warps, so it is done before.
    factor = int(np.linalg.norm(matrix[:, 0]))
    small = cv2.resize(
      image, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA
    )
    inside = np.array(matrix, np.float64)
    inside[:, 2] = (inside[:, 2] + 0.5) / factor - 0.5
    inside[:, :2] /= factor
    expected = cv2.warpAffine(
      small,
      inside,
      (64, 64),
      flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
      borderMode=cv2.BORDER_REPLICATE,
    )
    found = dataset[0][name][0].astype(int)
    assert np.abs(found - expected).mean() < 1.5


def test_flow_is_that_of_the_stored_frames(dataset):
  examples, metadata = dataset
  onset, apex = (
    cv2.cvtColor(np.float32(examples[name][4]), cv2.COLOR_RGB2GRAY)
    for name in ('onset', 'apex')
  )
  expected = cv2.calcOpticalFlowFarneback(
    onset, apex, None, 0.5, 3, 15, 3, 5, 1.2, 0
  )
  np.testing.assert_allclose(
    examples['flow'][4, 0, ..., :2], expected, atol=2e-3
  )
  assert metadata['flow']['method'] == 'farneback'
  assert metadata['flow']['window'] == 15
  assert (metadata['units'], metadata['size']) == ('pixel', 64)


def test_flow_resembles_the_true_flow(dataset):
  flow, truth = dataset[0]['flow'][:, 0, ..., :2], dataset[0]['true_flow']
  error = np.linalg.norm(flow - truth, axis=-1).mean()
  assert error < 0.8 * np.linalg.norm(truth, axis=-1).mean()


def test_true_flow_carries_the_onset_to_the_apex(dataset):
  """Checks its direction, scale and place against the pixels."""
  y, x = np.mgrid[:64, :64].astype(np.float32)
  for i in range(3):
    onset, apex = (
      np.float32(dataset[0][name][i]) for name in ('onset', 'apex')
    )
    field = dataset[0]['true_flow'][i]
    back = cv2.remap(
      apex, x + field[..., 0], y + field[..., 1], cv2.INTER_CUBIC
    )
    inner = np.s_[8:-8, 8:-8]
    still = np.abs(apex - onset)[inner].mean()
    assert np.abs(back - onset)[inner].mean() < 0.7 * still


def test_neighbours_are_the_frames_about_onset_and_apex(dataset):
  examples, metadata = dataset
  assert metadata['neighbours'] == 2
  assert examples['onset_frames'].shape[1] == 3
  assert examples['apex_frames'].shape[1] == 5
  np.testing.assert_array_equal(
    examples['onset_frames'][:, 0], examples['onset']
  )
  np.testing.assert_array_equal(examples['apex_frames'][:, 2], examples['apex'])
  assert (examples['onset_frames'][:, 1] != examples['onset']).any()


def test_another_recipe_is_told_and_the_frames_are_not_blamed(corpus, tmp_path):
  _prepare(corpus, tmp_path)
  with pytest.raises(ValueError, match='size: there 32, asked for 64') as error:
    _prepare(corpus, tmp_path, dataclasses.replace(SMALL, size=64))
  assert 'other labels or frames' not in str(error.value)


def test_kept_frames_repeat_beyond_the_ends_of_a_clip(corpus):
  clip = next(synthetic.read(corpus))
  numbers = clip.frame_numbers
  late = dataclasses.replace(clip, apex=numbers[-1])
  assert staging.kept_numbers(late, late.apex, neighbours=2) == [
    *numbers[:3],
    *numbers[-3:],
    numbers[-1],
    numbers[-1],
  ]


def test_processes_and_this_one_give_the_same_bytes(corpus, tmp_path):
  one = _prepare(corpus, tmp_path / 'one')
  two = _prepare(corpus, tmp_path / 'two', workers=2)
  assert _contents(one) == _contents(two)
  assert not list((tmp_path / 'one/mejax').glob('.*')), 'nothing is left behind'


def test_a_broken_clip_costs_that_clip_only(corpus, tmp_path, capsys):
  source = shutil.copytree(corpus, tmp_path / 'faces')
  clips = list(synthetic.read(source))
  bad = clips[2]
  file = bad.frames[bad.frame_numbers.index(bad.apex)]
  whole = file.read_bytes()
  file.write_bytes(whole[:-100])
  _prepare(source, tmp_path)
  printed = capsys.readouterr().out
  assert f'{bad.identity}: ' in printed and file.name in printed
  examples = load.load_examples('synthetic', tmp_path)
  assert len(examples['clip']) == len(clips) - 1
  # Mended, it is made, and the others are not made again.
  file.write_bytes(whole)
  made = []
  original = clip_cache._write
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(
      clip_cache,
      '_write',
      lambda *args: made.append(args[0]) or original(*args),
    )
    folder = _prepare(source, tmp_path, overwrite=True)
  assert len(made) == 1
  assert _contents(folder) == _contents(_prepare(corpus, tmp_path / 'other'))


# Kills itself at the n-th clip that is written.
KILLED = """
import os, signal, sys
from mejax.datasets import clip_cache
from mejax.datasets import prepare
from mejax.datasets.recipe import Recipe
original, left = clip_cache._write, int(sys.argv[3])
def fatal(path, arrays):
  global left
  left -= 1
  if left < 0:
    path.with_suffix('.npz.partial').write_bytes(b'half of it')
    os.kill(os.getpid(), signal.SIGKILL)
  original(path, arrays)
clip_cache._write = fatal
prepare.prepare('synthetic', source=sys.argv[1], data_dir=sys.argv[2],
                recipe=Recipe(size=32, flow='farneback'), workers=0,
                progress=False)
"""


def test_a_killed_preparation_goes_on_to_the_same_bytes(corpus, tmp_path, root):
  whole = _contents(_prepare(corpus, tmp_path / 'whole'))
  command = [sys.executable, '-c', KILLED, str(corpus), str(tmp_path / 'data')]
  # In the middle of a batch, in the next one, and not at all.
  for left, there in (('3', 3), ('5', 8)):
    killed = subprocess.run([*command, left], cwd=root)
    assert killed.returncode == -signal.SIGKILL
    made = list((tmp_path / 'data/mejax/.synthetic.made').glob('*.npz'))
    assert len(made) == there
  with pytest.raises(FileNotFoundError, match='not prepared'):
    load.load_examples('synthetic', tmp_path / 'data')
  assert _contents(_prepare(corpus, tmp_path / 'data')) == whole


def test_the_bar_counts_clips_that_are_made_and_says_compiling(
  corpus, tmp_path, monkeypatch
):
  seen = []

  class Bar(bars.Bar):
    def set_postfix_str(self, text='', refresh=True):
      seen.append(text)

    def update(self, n=1):
      super().update(n)
      if self.desc == 'make':
        made = tmp_path.glob('mejax/.synthetic.made/*.npz')
        seen.append((self.n, len(list(made))))

  monkeypatch.setattr(bars, 'Bar', Bar)
  monkeypatch.setattr(clip_cache, 'BATCH', {jax.default_backend(): 8})
  _prepare(corpus, tmp_path, progress=True)
  assert seen == ['compiling', '', (8, 8), '', (9, 9)]


def test_a_clip_gives_the_same_bits_whatever_is_beside_it():
  generator = np.random.default_rng(0)
  frames = generator.integers(0, 255, (8, 2, 32, 32, 3), dtype=np.uint8)
  points = np.tile(np.float32(faces.CANONICAL * 32 - 0.5), (8, 1, 1))
  recipe = Recipe(size=32, levels=(1.0, 2.0))
  points = frames_to_flow.weights(points, np.ones((8, 32, 32), bool), recipe)
  among = frames_to_flow.measure_motion(frames, points, recipe)
  alone = frames_to_flow.measure_motion(
    np.where(np.arange(8)[:, None, None, None, None] == 5, frames, 0),
    points,
    recipe,
  )
  for name in among:
    np.testing.assert_array_equal(among[name][5], alone[name][5])


def test_a_dataset_says_how_its_flow_told_light_from_motion(monkeypatch):
  now, before = (
    Recipe(flow=name).describe()['flow'] for name in ('tvl1', 'tvl1_plain')
  )
  assert (now['light'], now['light_fit']) == (True, light.FIT)
  assert before['light'] is False
  assert 'light_fit' not in before
  # Datasets of 0.2 say `tvl1` without it, so they are another way.
  assert {**before, 'method': 'tvl1'} != now
  levels = (1.0, 2.0)
  amplified = Recipe(levels=levels).describe()['magnify']
  assert (amplified['method'], amplified['light']) == ('flow', True)
  assert amplified['light_fit'] == light.FIT
  # A clip or a dataset of another fit is told from that of this one.
  monkeypatch.setattr(light, 'FIT', light.FIT - 1)
  assert Recipe().describe()['flow'] != now


@pytest.mark.parametrize('text', ['left', '412,230', '412.5 230'])
def test_a_dataset_says_which_of_several_faces_was_taken(text):
  usual, chosen = Recipe(), Recipe(which_face=text)
  source = chosen.describe()['landmark_source']
  assert source != usual.describe()['landmark_source']
  assert source.endswith(text.replace(',', ' '))
  # A recipe that says the usual is the usual one.
  assert Recipe(which_face='Largest').describe() == usual.describe()


def test_an_unknown_apex_is_spotted_and_said(corpus, tmp_path):
  _prepare(corpus, tmp_path, dataclasses.replace(SMALL, apex='spotted'))
  examples = load.load_examples('synthetic', tmp_path)
  truth = [clip.apex for clip in synthetic.read(corpus)]
  assert set(examples['apex_source']) == {'spotted'}
  assert np.median(np.abs(examples['apex_number'] - truth)) <= 5


def test_a_middle_frame_that_was_replaced_by_spotting_is_said(corpus):
  clip = next(synthetic.read(corpus))
  clip = dataclasses.replace(clip, apex_source='midpoint')
  staged = staging.stage(clip, clip_cache.plan_of(clip, SMALL))
  kept = clip_cache._Kept.of_staged(clip, staged, SMALL)
  assert kept.apex_source == 'spotted'
  assert kept.remarks == ()
  assert kept.notes == (
    f'apex {kept.apex} was spotted and replaces that frame',
  )


def test_a_clip_without_motion_keeps_the_middle_frame_and_says_so(
  corpus, tmp_path
):
  source = shutil.copytree(corpus, tmp_path / 'faces')
  clip = next(synthetic.read(source))
  for file in clip.frames[1:]:
    shutil.copy(clip.frames[0], file)
  _prepare(source, tmp_path, dataclasses.replace(SMALL, apex='spotted'))
  examples = load.load_examples('synthetic', tmp_path)
  assert examples['apex_source'].tolist() == ['midpoint'] + ['spotted'] * 8
  # OpenCV's Farneback sees a little at the border of two equal frames.
  assert np.abs(examples['flow'][0]).max() < 0.05
  (remark,) = load.read_metadata('synthetic', tmp_path)['warnings'][
    clip.identity
  ]
  assert remark.endswith('middle frame')


def test_large_datasets_are_written_in_parts_and_read_in_order(
  corpus, tmp_path, monkeypatch
):
  monkeypatch.setattr(builder, 'SHARD', 2)
  folder = _prepare(corpus, tmp_path)
  assert len(list(folder.glob('*array_record*'))) == 5
  names = [clip.identity for clip in synthetic.read(corpus)]
  assert load.Examples('synthetic', tmp_path).identities() == names
  rows = load.load_examples('synthetic', tmp_path)
  found = zip(rows['corpus'], rows['subject'], rows['clip'], strict=True)
  assert ['/'.join(row) for row in found] == names


def test_levels_and_eyelids_and_head_motion(corpus, tmp_path):
  recipe = Recipe(
    size=64,
    levels=(1.0, 3.0),
    flow='farneback',
    mask_eyelids=True,
    remove_head_motion=True,
  )
  _prepare(corpus, tmp_path, recipe)
  examples = load.load_examples('synthetic', tmp_path)
  assert load.read_metadata('synthetic', tmp_path)['levels'] == [1.0, 3.0]
  size = np.linalg.norm(examples['flow'][..., :2], axis=-1).mean((2, 3))
  assert (size[:, 1] > 1.5 * size[:, 0]).all()
  np.testing.assert_array_equal(examples['amplified'][:, 0], examples['apex'])
  x, y = np.rint(examples['landmarks'][0, 0]).astype(int)
  assert not examples['flow'][0, :, y, x].any()
  assert examples['head_motion'].shape == (9, 2, 3)


def test_learned_amplification_reads_its_weights(corpus, tmp_path):
  module = magnet.MagNet(
    width=4, num_blocks=1, num_branch_blocks=1, num_decoder_blocks=1
  )
  frames = jax.numpy.zeros((1, 32, 32, 3))
  shapes = jax.eval_shape(
    module.init, jax.random.key(0), frames, frames, jax.numpy.ones(())
  )
  draw = np.random.default_rng(0).normal
  params = jax.tree.map(
    lambda x: draw(0, 0.1, x.shape).astype(x.dtype), shapes['params']
  )
  file = tmp_path / 'magnet.npz'
  magnet.save_params(file, params)
  recipe = Recipe(
    size=32, magnify='learned', weights=file, levels=(2.0,), flow='farneback'
  )
  _prepare(corpus, tmp_path, recipe)
  found = load.read_metadata('synthetic', tmp_path)['magnify']
  digest = hashlib.sha256(file.read_bytes()).hexdigest()
  assert found == {
    'method': 'learned',
    'params': None,
    'weights_sha256': digest,
  }


def test_few_clips_wait_in_memory(monkeypatch):
  monkeypatch.setattr(workers, '_stage', lambda job: job[0].name)
  taken = []
  plan = staging.Plan(size=32, neighbours=0, faces='none', whole=False)
  clips = [Clip('video', 'anna', str(i), 'joy') for i in range(100)]
  jobs = (taken.append(clip) or (clip, plan) for clip in clips)
  with workers.Decoders(0) as decoders:
    results = decoders.stage(jobs)
    assert next(results) == '0'
    assert len(taken) <= workers.AHEAD + 1
    assert list(results) == [clip.name for clip in clips[1:]]


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'size': 30}, 'size is 30; expected a multiple of 4'),
    ({'levels': (1.0, 0.0)}, 'expected factors above 0'),
    ({'levels': (2.0, 2.0)}, 'one occurs twice'),
    (
      {'flow': 'raft'},
      "unknown flow 'raft'; known: tvl1, tvl1_plain, farneback",
    ),
    ({'magnify': 'zoom'}, "unknown magnify 'zoom'; known: .*phase"),
    ({'neighbours': -1}, 'expected 0 or more'),
    ({'magnify': 'learned'}, 'learned needs --weights FILE'),
    ({'which_face': 'tallest'}, "'tallest'; expected largest, left, right, or"),
    ({'which_face': 'left', 'faces': 'none'}, "faces='none' finds none"),
    ({'weights': pathlib.Path('a.npz')}, "magnify is 'flow' and weights are"),
  ],
)
def test_a_recipe_that_cannot_be_is_refused(change, message):
  with pytest.raises(ValueError, match=message):
    Recipe(**change)


def test_a_copy_that_was_saved_again_and_cut_names_both_people(
  corpus, tmp_path
):
  """By `check`, by `prepare`, and by one that goes on from finished clips."""
  first, *others = synthetic.read(corpus)
  second = next(clip for clip in others if clip.subject != first.subject)
  frames = []
  for number, frame in zip(first.frame_numbers, first.frames, strict=True):
    if number == first.onset:
      continue
    frames.append(tmp_path / f'{number}.png')
    image = cv2.imread(str(frame))
    cv2.imwrite(str(frames[-1]), image, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    assert frames[-1].stat().st_size != frame.stat().st_size
  kept = [n for n in first.frame_numbers if n != first.onset]
  copy = dataclasses.replace(
    first, subject='other', name='copy', frames=tuple(frames),
    frame_numbers=tuple(kept), onset=kept[0], truth=None,
  )  # fmt: skip
  clips = [first, second, copy]
  keys = {clip.identity: f'key{i}' for i, clip in enumerate(clips)}
  options = {'workers': 0, 'progress': False}
  for made in (
    clip_cache.examine_clips(clips, SMALL, **options),
    clip_cache.make_clips(clips, keys, SMALL, tmp_path / 'kept', **options),
    clip_cache.make_clips(clips, keys, SMALL, tmp_path / 'kept', **options),
  ):
    told = [[r for r in clip.remarks if 'pixel by pixel' in r] for clip in made]
    assert [len(each) for each in told] == [1, 0, 1]
    assert f'in {copy.identity}: is this one person?' in told[0][0]
    assert f'in {first.identity}: is this one person?' in told[2][0]
  assert set(clip_cache.load_clip(tmp_path / 'kept', 'key2', SMALL)) >= {'flow'}
  assert 'pixels' not in clip_cache.load_clip(tmp_path / 'kept', 'key2', SMALL)
