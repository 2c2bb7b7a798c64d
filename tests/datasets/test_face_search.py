"""A clip is used only if onset and apex show its face, in one scene.

Clips: a title after or before the face, a hand that slides over it, a face in
one of three frames, a face that is covered for a moment, a cut to another face
with labels and without, no face at all, more frames than an apex is spotted in;
on its side and upside down, by EXIF and without; 12 bits. `check` says of each
what `prepare` does.
"""

from __future__ import annotations

import dataclasses
import re

import cv2
import numpy as np
import pytest

from mejax.corpora import video
from mejax.corpora.clip import Clip
from mejax.datasets import check
from mejax.datasets import clip_cache
from mejax.datasets import face_search
from mejax.datasets import load
from mejax.datasets import prepare
from mejax.datasets import staging
from mejax.datasets.recipe import Recipe
from tests.corpora import image_files
from tests.corpora import trees
from tests.motion import sample_faces

SMALL = Recipe(size=32, flow='farneback')
HEADER = 'clip,subject,emotion,onset,apex,offset\n'
OTHER = 'other,ann,joy,0,7,13\n'


def acted(picture: np.ndarray, moves) -> list[np.ndarray]:
  """The mouth moves down by these pixels."""
  height, width = picture.shape[:2]
  y, x = np.mgrid[:height, :width].astype(np.float32)
  bump = np.exp(-((x - 100) ** 2 + (y - 135) ** 2) / (2 * 20**2))
  return [
    cv2.remap(
      picture,
      x,
      y - np.float32(move) * bump,
      cv2.INTER_LINEAR,
      borderMode=cv2.BORDER_REPLICATE,
    )
    for move in moves
  ]


MOVES = np.r_[np.linspace(0, 3, 8), np.linspace(3, 1, 6)]


@pytest.fixture(scope='module')
def face() -> list[np.ndarray]:
  return acted(sample_faces.portrait('astronaut'), MOVES)


def title(length: int) -> list[np.ndarray]:
  source = np.random.default_rng(0)
  return [
    np.uint8(source.normal((90, 150, 180), 1, (200, 200, 3)))
    for _ in range(length)
  ]


@pytest.fixture
def made(tmp_path):
  """Prepares and checks one clip of frames; sees that both agree."""

  def made(frames, row='', recipe=SMALL, files=None):
    folder = tmp_path / 'clips/clip'
    names = [f'img{n:03d}.png' for n in range(len(frames))]
    trees.write_frames(folder, names, images=frames)
    for name, data in (files or {}).items():
      (folder / 'img{:03d}.png'.format(int(name.split('.')[0]))).unlink()
      (folder / f'img{name}').write_bytes(data)
    options = {}
    if row:
      (tmp_path / 'my.csv').write_text(HEADER + row + OTHER)
      options['labels'] = str(tmp_path / 'my.csv')
    # A second clip, without which a dataset might be empty.
    trees.write_frames(
      tmp_path / 'clips/other',
      names,
      images=acted(sample_faces.portrait('hopper'), MOVES),
    )
    source = tmp_path / 'clips'
    prepare.prepare(
      'video',
      source=source,
      data_dir=tmp_path / 'data',
      recipe=recipe,
      options=options,
      workers=0,
      progress=False,
    )
    text = check.check_corpus(
      'video', source, options=options, recipe=recipe, workers=0, progress=False
    ).text
    metadata = load.read_metadata('video', tmp_path / 'data')
    for skipped in metadata['skipped']:
      assert f'{skipped["identity"]}: {skipped["reason"]}' in text
    for level in ('warnings', 'notes'):
      for words in (w for some in metadata[level].values() for w in some):
        assert words in text
    examples = load.load_examples('video', tmp_path / 'data')
    for source in set(examples['apex_source']):
      count = int((examples['apex_source'] == source).sum())
      assert f'{count} {source}' in text
    at = [i for i, name in enumerate(examples['clip']) if name == 'clip']
    example = {k: v[at[0]] for k, v in examples.items()} if at else None
    reasons = {s['identity']: s['reason'] for s in metadata['skipped']}
    (reason,) = reasons.values() or ('',)
    return example, reason, metadata

  return made


def _warned(metadata) -> str:
  (words,) = [w for k, w in metadata['warnings'].items() if 'other' not in k]
  return ' '.join(words)


def test_an_ordinary_clip_has_notes_and_no_warning(made, face):
  example, reason, metadata = made(face)
  assert reason == ''
  assert abs(example['apex_number'] - 7) <= 1
  assert metadata['warnings'] == {}
  assert len(metadata['notes']['video/clip/clip']) == 5


def test_a_title_after_the_face_is_told(made, face):
  example, reason, _ = made(face[:9] + title(5))
  assert example is None
  assert 'the scene changes at frame 9, between onset 0 and offset 13' in reason


def test_a_face_that_comes_late_is_found_and_told(made, face):
  example, reason, _ = made(title(9) + face[:5])
  assert example is None
  assert reason.startswith('the onset, frame 0, does not show the face that is')
  assert 'seen in frames 9, 10' in reason


def test_a_label_that_leaves_the_title_out_makes_the_clip(made, face):
  example, reason, _ = made(title(6) + face[:8], 'clip,me,joy,6,,13\n')
  assert reason == ''
  assert example['onset_number'] == 6 and example['apex_number'] > 8


def test_a_hand_that_slides_over_the_face_leaves_an_apex_without_one(
  made, face
):
  noise = np.random.default_rng(0).normal(0, 1, (200, 200))
  card = cv2.GaussianBlur(noise, (0, 0), 6)
  card = np.uint8(120 + 60 * card / np.abs(card).max())
  frames = []
  for n, image in enumerate(face):
    frames.append(image.copy())
    if n > 7:
      top = 200 - 66 * (n - 7)
      frames[-1][max(top, 0) :] = card[max(top, 0) :, :, None]
  example, reason, _ = made(frames)
  assert example is None
  assert re.match('the apex, frame (9|1[0-3]), does not show the face', reason)
  assert 'that is seen in frames 0, 3, 6' in reason


@pytest.mark.parametrize('missing', ['onset', 'apex', 'both'])
def test_a_face_in_some_of_the_frames_is_not_enough(made, face, missing):
  frames = list(face)
  if missing != 'apex':
    frames[2] = title(1)[0]
  if missing != 'onset':
    frames[7] = title(1)[0]
  example, reason, _ = made(frames, 'clip,me,joy,2,7,13\n')
  assert example is None
  number = 7 if missing == 'apex' else 2
  which = 'apex' if missing == 'apex' else 'onset'
  assert f'the {which}, frame {number}, does not show the face' in reason


def test_a_face_covered_between_onset_and_apex_is_a_warning(made, face):
  frames = list(face)
  frames[4] = title(1)[0]
  example, reason, metadata = made(frames, 'clip,me,joy,1,7,13\n')
  assert reason == '' and example is not None
  assert 'no such face in 1 of 3 frames (2)' in _warned(metadata)


def _noisy(images):
  source = np.random.default_rng(0)
  noisy = [image + source.normal(0, 1, image.shape) for image in images]
  return [np.clip(image, 0, 255).round().astype(np.uint8) for image in noisy]


def test_a_labelled_apex_without_motion_is_told(made, face):
  example, reason, metadata = made(
    _noisy(14 * [face[0]]), 'clip,me,joy,0,7,13\n'
  )
  assert reason == '' and example is not None
  assert _warned(metadata).startswith('nothing moves from onset 0 to apex 7')


def test_motion_above_the_noise_is_no_reason_to_warn(made, face):
  _, reason, metadata = made(_noisy(face), 'clip,me,joy,0,7,13\n')
  assert (reason, metadata['warnings']) == ('', {})


def test_a_cut_between_a_labelled_onset_and_apex_is_told(made, face):
  other = acted(sample_faces.portrait('hopper'), MOVES)
  example, reason, _ = made(face[:5] + other[5:], 'clip,me,joy,1,7,13\n')
  assert example is None
  assert 'onset 1 and apex 7 do not show the same face' in reason


def test_a_cut_to_another_face_is_told_without_labels(made, face):
  other = acted(sample_faces.portrait('hopper'), MOVES)
  example, reason, _ = made(face[:6] + other[6:])
  assert example is None
  assert 'the scene changes at frame 6' in reason


def test_no_face_in_the_whole_clip_is_told(made):
  example, reason, _ = made(title(6))
  assert example is None
  assert 'no face in any of 3 frames of 200x200 pixels' in reason
  assert '3 further frames of the clip show none either' in reason


def test_a_clip_too_long_to_spot_is_told(made, face, monkeypatch):
  monkeypatch.setattr(staging, 'LONGEST', 13)
  example, reason, _ = made(face, 'clip,me,joy,0,,13\n')
  assert example is None
  assert 'to be spotted among 14 frames; expected at most 13' in reason


@pytest.mark.parametrize('quarter', [1, 2, 3])
def test_a_turned_clip_gives_the_flow_of_the_upright_one(
  made, face, tmp_path, quarter
):
  frames = [np.ascontiguousarray(np.rot90(image, quarter)) for image in face]
  example, reason, metadata = made(frames, 'clip,me,joy,0,7,13\n')
  assert reason == ''
  (note,) = metadata['notes']['video/me/clip']
  assert f'turned by {360 - 90 * quarter} degrees anticlockwise' in note
  _check_motion(example)


def _check_motion(example) -> None:
  """Sees that the mouth, below the middle, moves downwards."""
  u, v, _ = np.moveaxis(example['flow'][0], -1, 0)
  mouth = v[18:26, 10:22]
  assert mouth.mean() > 0.15
  assert mouth.mean() > 3 * abs(u[18:26, 10:22].mean())
  assert mouth.mean() > 3 * abs(v[4:10, 10:22].mean())


@pytest.mark.parametrize('orientation', [1, 2, 3, 6, 8])
def test_frames_lie_as_their_exif_says(made, face, orientation):
  files = {}
  for n, image in enumerate(face):
    stored = image_files.turned_for(orientation, image)[..., ::-1]
    data = cv2.imencode('.jpg', stored, [cv2.IMWRITE_JPEG_QUALITY, 98])[1]
    files[f'{n:03d}.jpg'] = image_files.with_orientation(
      data.tobytes(), '.jpg', orientation
    )
  example, reason, metadata = made(face, 'clip,me,joy,0,7,13\n', files=files)
  assert (reason, metadata['warnings'], metadata['notes']) == ('', {}, {})
  _check_motion(example)


def test_twelve_bits_give_the_flow_of_eight(made, face):
  files = {}
  for n, image in enumerate(face):
    deep = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint16) * 16
    files[f'{n:03d}.png'] = cv2.imencode('.png', deep)[1].tobytes()
  example, reason, metadata = made(face, 'clip,me,joy,0,7,13\n', files=files)
  assert reason == '' and metadata['warnings'] == {}
  (note,) = metadata['notes']['video/me/clip']
  assert note.startswith('12 bits are taken for full')
  _check_motion(example)
  assert example['onset'].max() > 150


def test_frames_that_are_cut_already_need_not_show_a_face(made):
  recipe = Recipe(size=32, flow='farneback', faces='none')
  moving = [np.roll(title(1)[0], n, axis=0) for n in range(14)]
  example, reason, metadata = made(moving, 'clip,me,joy,0,7,13\n', recipe)
  assert reason == '' and example is not None
  assert 'those of an average face' in _warned(metadata)


def test_each_of_two_people_in_a_picture_can_be_taken(face, tmp_path):
  still = sample_faces.portrait('hopper')
  frames = [np.concatenate([moving, still], axis=1) for moving in face]
  names = [f'img{n:03d}.png' for n in range(len(frames))]
  trees.write_frames(tmp_path / 'talk', names, images=frames)
  (tmp_path / 'my.csv').write_text(
    'clip,subject,emotion,onset,apex,offset,which_face\n'
    'talk,ann,joy,0,7,13,left\ntalk,ben,fear,0,7,13,300 100\n'
  )
  prepare.prepare(
    'video',
    source=tmp_path / 'talk',
    data_dir=tmp_path / 'data',
    recipe=SMALL,
    options={'labels': tmp_path / 'my.csv'},
    workers=0,
    progress=False,
  )
  made = load.load_examples('video', tmp_path / 'data')
  motion = np.abs(made['flow'][:, 0, ..., :2]).max((1, 2, 3))
  assert made['subject'].tolist() == ['ann', 'ben']
  # Ann smiles and Ben does not.
  assert motion[0] > 2 * motion[1]
  metadata = load.read_metadata('video', tmp_path / 'data')
  ((identity, (warning,)),) = metadata['warnings'].items()
  assert identity.startswith('video/ben/')
  assert warning.startswith('nothing moves from onset 0 to apex 7')
  for notes in metadata['notes'].values():
    assert any('2 faces in a frame; which_face chooses' in n for n in notes)
  # The recipe chooses for the clips that do not say it.
  (clip,) = video.read(tmp_path / 'talk')
  plan = clip_cache.plan_of(clip, dataclasses.replace(SMALL, apex='midpoint'))
  taken = {}
  for which in ('left', 'right'):
    by_recipe = dataclasses.replace(plan, which_face=which)
    by_clip = dataclasses.replace(clip, which_face=which)
    taken[which] = staging.stage(clip, by_recipe).patches
    np.testing.assert_array_equal(
      taken[which], staging.stage(by_clip, plan).patches
    )
  assert np.abs(np.subtract(*map(np.float32, taken.values()))).mean() > 20
  with pytest.raises(ValueError, match='--faces none looks for no face'):
    face_search.find(clip, {}, dict, 'none', 'left')


def test_points_that_a_corpus_does_not_give_can_be_found():
  clip = Clip('video', 'ann', 'c', 'joy')
  with pytest.raises(ValueError, match='video gives no face points') as error:
    face_search.find(clip, {}, dict, 'given')
  # What it advises is there.
  _, _, advice = str(error.value).partition('let them be found: --faces ')
  assert Recipe(faces=advice).faces == 'mesh'


def test_the_whole_clip_is_read_for_its_face_only_in_need(face, tmp_path):
  trees.write_frames(
    tmp_path / 'clip', [f'{n}.png' for n in range(14)], images=face
  )
  (clip,) = video.read(tmp_path / 'clip')
  plan = staging.Plan(size=32, neighbours=0, faces='mesh', whole=False)
  for n in (1, 2, 4, 5, 8, 9):
    (tmp_path / f'clip/{n}.png').write_bytes(b'')
  staged = staging.stage(clip, plan)
  assert staged.seen == (0, 3, 6)
  assert staged.beside is None  # It is one of the damaged frames.
