"""The protocols on sheets as long as the published ones, without frames."""

from __future__ import annotations

import collections
import itertools
import shutil

import numpy as np
import pytest

from mejax.corpora import casme2
from mejax.corpora import casme3
from mejax.corpora import mmew
from mejax.corpora import samm
from mejax.corpora import smic
from mejax.datasets import clip_counts
from mejax.datasets import labelling
from mejax.datasets.protocols import PROTOCOLS
from tests.corpora import trees

# Clips that protocols know by name; 2014's emotion and, if it changed, 2019's.
NAMED = (
  ('04', 'EP12_01f', 50, '/', 'disgust', 'disgust'),
  ('05', 'EP09_05f', 50, 50, 'disgust', 'disgust'),
  ('24', 'EP07_01', 50, 55, 'sadness', 'surprise'),
  ('24', 'EP07_04f', 50, 55, 'sadness', 'surprise'),
  ('24', 'EP10_03', 50, 55, 'sadness', 'surprise'),
)
CASME2 = {
  'others': 99, 'disgust': 63 - 2, 'happiness': 32, 'repression': 27,
  'surprise': 25, 'sadness': 7 - 3, 'fear': 2,
}  # fmt: skip
SAMM = {
  'Anger': 57, 'Other': 26, 'Happiness': 26, 'Surprise': 15, 'Contempt': 12,
  'Disgust': 9, 'Fear': 8, 'Sadness': 6,
}  # fmt: skip
SMIC = {'ne': 70, 'po': 51, 'sur': 43}
SMIC_SUBJECTS = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 18, 19, 20)
SAMM_SUBJECTS = range(6, 35)
MMEW = {
  'surprise': 89, 'disgust': 72, 'others': 66, 'happiness': 36, 'fear': 16,
  'sadness': 13, 'anger': 8,
}  # fmt: skip
CASME3 = {
  'disgust': 250, 'surprise': 187, 'others': 158, 'Others': 3, 'fear': 86,
  'anger': 64, 'sad': 57, 'happy': 55,
}  # fmt: skip


def _each(counts):
  """(number, word) of each clip."""
  return enumerate(w for word, n in counts.items() for w in [word] * n)


def _casme2(root, date, edition):
  # In the published sheet subjects 10 and 18 have nothing but others.
  able = itertools.cycle(
    [f'{n:02d}' for n in range(1, 27) if n not in (10, 18)]
  )
  unable = itertools.cycle(['10', '18'])
  rows = [
    (
      next(unable if word == 'others' else able),
      f'EP{i // 90 + 20}_{i % 90:02d}f', 46, 59, 86, '4', word,
    )
    for i, word in _each(CASME2)
  ]  # fmt: skip
  rows += [(*clip[:4], 86, '4', clip[4 + edition]) for clip in NAMED]
  trees.casme2(root, rows, date=date)
  assert len(rows) == 255


@pytest.fixture(scope='module')
def full(tmp_path_factory):
  """Label sheets of CASME II (both), SAMM and SMIC-HS at full length."""
  root = tmp_path_factory.mktemp('full')
  _casme2(root / 'casme2', '20140508', 0)
  _casme2(root / 'casme2', '20190701', 1)
  # One subject in the middle has Other only: 28 of 29 are in the composite.
  subjects = itertools.cycle([n for n in SAMM_SUBJECTS if n != 8])
  rows = []
  for i, word in _each(SAMM):
    subject = 8 if word == 'Other' else next(subjects)
    rows.append(
      (f'{subject:03d}', f'{subject:03d}_{i}_1', 100, 110, 120, '4', word)
    )
  trees.samm(root / 'samm', rows)
  numbers = collections.Counter()
  rows = []
  for i, code in _each(SMIC):
    subject = SMIC_SUBJECTS[i % len(SMIC_SUBJECTS)]
    numbers[subject, code] += 1
    name = f's{subject}_{code}_{numbers[subject, code]:02d}'
    rows.append((f's{subject}', name, 10, 20, *[None] * 4, smic.EMOTIONS[code]))
  trees.smic(root / 'smic' / 'SMIC-HS-E_annotation.xlsx', rows)
  return root


def _examples(*clips):
  clips = [clip for clip in itertools.chain(*clips) if not clip.problem]
  fields = {'corpus': 'corpus', 'subject': 'subject', 'clip': 'name'}
  return {
    key: np.array([getattr(clip, field) for clip in clips])
    for key, field in (fields | {'emotion': 'emotion'}).items()
  }


@pytest.mark.parametrize('edition', ['2014', '2019'])
def test_megc2019_is_442_clips_with_either_sheet_of_casme2(full, edition):
  examples = _examples(
    smic.CORPUS.read(full / 'smic', with_frames=False),
    casme2.CORPUS.read(full / 'casme2', sheet=edition, with_frames=False),
    samm.CORPUS.read(full / 'samm', with_frames=False),
  )
  assert len(examples['clip']) == 164 + 255 + 159
  selection = labelling.apply(PROTOCOLS['megc2019'], examples)
  assert selection.notes[0] == (
    'megc2019: 442 clips = 164 smic + 145 casme2 + 133 samm; 68 subjects; '
    '250 negative, 109 positive, 83 surprise'
  )
  others = selection.notes[1:]
  assert [note.partition(':')[0] for note in others] == [
    'not counted',
    'excluded',
  ]
  clips = ['sub04/EP12_01f', 'sub05/EP09_05f']
  if edition == '2019':
    clips += ['sub24/EP07_01', 'sub24/EP07_04f', 'sub24/EP10_03']
  assert others[1].count('casme2/') == len(clips)
  assert all(f'casme2/{clip} (' in others[1] for clip in clips)


@pytest.mark.parametrize(('edition', 'surprise'), [('2014', 25), ('2019', 28)])
def test_casme2_5_fits_both_sheets(full, edition, surprise):
  clips = casme2.CORPUS.read(full / 'casme2', sheet=edition, with_frames=False)
  selection = labelling.apply(PROTOCOLS['casme2-5'], _examples(clips))
  counts = np.bincount(selection.labels).tolist()
  assert counts == [63, 32, 27, surprise, 99]
  assert 'expected' not in ' '.join(selection.notes)


def test_mmnet_3_is_156_clips_of_the_sheet_of_2019(full):
  protocol = PROTOCOLS['mmnet-3']

  def apply(edition):
    clips = casme2.CORPUS.read(
      full / 'casme2', sheet=edition, with_frames=False
    )
    return labelling.apply(protocol, _examples(clips))

  new, old = apply('2019'), apply('2014')
  assert protocol.classes == ('happiness', 'surprise', 'negative')
  assert np.bincount(new.labels).tolist() == [32, 28, 96]
  assert 'expected' not in ' '.join(new.notes)
  assert old.notes[1:3] == [
    'casme2 surprise: 25 clips, expected 28',
    'casme2 negative: 99 clips, expected 96',
  ]


def test_samm_5_is_136_clips(full):
  clips = samm.CORPUS.read(full / 'samm', with_frames=False)
  selection = labelling.apply(PROTOCOLS['samm-5'], _examples(clips))
  assert np.bincount(selection.labels).tolist() == [57, 26, 26, 15, 12]
  assert 'expected' not in ' '.join(selection.notes)


@pytest.mark.parametrize('word', ['others', 'repression'])
def test_mmew_4_is_263_clips_by_either_name_of_others(word, tmp_path):
  rows = [
    (f'S{i % 30:02d}', f'S{i % 30:02d}-01-{i:03d}', 1, 5, 9, '4',
     word if emotion == 'others' else emotion, '')
    for i, emotion in _each(MMEW)
  ]  # fmt: skip
  trees.write_sheet(tmp_path / 'MMEW_Micro_Exp.xlsx', trees.MMEW_HEADER, rows)
  examples = _examples(mmew.CORPUS.read(tmp_path, with_frames=False))
  selection = labelling.apply(PROTOCOLS['mmew-4'], examples)
  assert np.bincount(selection.labels).tolist() == [36, 89, 72, 66]
  assert 'expected' not in ' '.join(selection.notes)


@pytest.fixture(scope='module')
def casme3_root(tmp_path_factory):
  """Every sixteenth of the first 55 x 15 clips begins with its apex."""
  root = tmp_path_factory.mktemp('casme3')
  rows = [
    (
      f'spNO.{i % 94 + 1}', 'a', i + 1,
      i + (1 if i % 15 == 0 and i < 55 * 15 else 5), i + 9, '4', word,
    )
    for i, word in _each(CASME3)
  ]  # fmt: skip
  trees.casme3(root, rows)
  return root


@pytest.fixture(scope='module')
def casme3_examples(casme3_root):
  clips = casme3.CORPUS.read(
    casme3_root, apex_at_onset='middle', with_frames=False
  )
  return _examples(clips)


@pytest.mark.parametrize(
  ('name', 'counts'),
  [
    ('casme3-3', [457, 55, 187]),
    ('casme3-4', [457, 55, 187, 161]),
    ('casme3-7', [250, 187, 161, 86, 64, 57, 55]),
  ],
)
def test_casme3_in_three_four_and_seven_classes(name, counts, casme3_examples):
  selection = labelling.apply(PROTOCOLS[name], casme3_examples)
  assert np.bincount(selection.labels).tolist() == counts
  assert sum(counts) == (699 if name == 'casme3-3' else 860)
  assert len(set(selection.groups.tolist())) == 94
  assert 'expected' not in ' '.join(selection.notes)


@pytest.mark.parametrize('name', ['casme3-3', 'casme3-4', 'casme3-7'])
def test_casme3_tells_the_counts_with_and_without_what_is_left_out(
  name, casme3_root, casme3_examples
):
  clips = list(casme3.CORPUS.read(casme3_root, with_frames=False))
  skipped = clip_counts.describe_clips(clips)['skipped']
  assert len(skipped) == 55
  protocol = PROTOCOLS[name]
  selection = labelling.apply(protocol, _examples(clips), skipped=skipped)
  whole = labelling.apply(protocol, casme3_examples)
  number, total = len(selection.labels), len(whole.labels)
  assert total == (699 if name == 'casme3-3' else 860)
  counts = ', '.join(
    f'{n} {k}'
    for n, k in zip(np.bincount(whole.labels), protocol.classes, strict=True)
  )
  assert selection.notes[0].startswith(f'{name}: {number} clips = ')
  assert selection.notes[1] == (
    f'left out by choice: {total - number} casme3; with them {total} clips: '
    f'{counts}'
  )
  assert 'expected' not in ' '.join(selection.notes)
  # A clip that is missing for another reason is still told.
  short = _examples(clips[2:])
  notes = labelling.apply(protocol, short, skipped=skipped).notes
  assert 'clips, expected ' in notes[1]


def test_cross_corpus_leaves_one_database_out(full, casme3_examples):
  composite = _examples(
    smic.CORPUS.read(full / 'smic', with_frames=False),
    casme2.CORPUS.read(full / 'casme2', with_frames=False),
  )
  examples = {
    key: np.concatenate([composite[key], casme3_examples[key]])
    for key in composite
  }
  selection = labelling.apply(PROTOCOLS['cross-corpus'], examples)
  assert selection.notes[0] == (
    'cross-corpus: 1008 clips = 164 smic + 145 casme2 + 699 casme3; '
    '3 databases; 615 negative, 138 positive, 255 surprise'
  )
  assert set(selection.groups.tolist()) == {'smic', 'casme2', 'casme3'}


@pytest.mark.parametrize(
  ('corpus', 'emotion', 'name'),
  [
    ('samm', 'Fear', 'negative'),
    ('casme2', 'fear', None),
    ('casme3', 'Others', None),
    ('casme3_c', 'negative', 'negative'),
    ('casme', 'tense', None),
    ('casme', 'repression', 'negative'),
    ('mmew', 'repression', None),
    ('mmew', 'sadness', 'negative'),
    ('dfme', 'Contempt', 'negative'),
    ('fourdme', 'Negative+Repression', 'negative'),
    ('fourdme', 'Surprise+Positive', None),
    ('smic_vis', 'negative', None),
    ('synthetic', 'negative', None),
  ],
)
def test_the_three_classes_of_other_databases(corpus, emotion, name):
  assert PROTOCOLS['cross-corpus'].class_of(corpus, emotion) == name


@pytest.mark.parametrize(
  ('corpus', 'emotion', 'name'),
  [
    ('samm', 'Other', 'others'),
    ('casme', 'tense', 'others'),
    ('mmew', 'happiness', 'positive'),
    ('casme3', 'Others', 'others'),
    ('fourdme', 'Surprise+Positive', 'others'),
    # SMIC has no list of units; the other two are not among the six of MEB.
    ('smic', 'negative', None),
    ('dfme', 'happiness', None),
    ('casme3_c', 'negative', None),
  ],
)
def test_where_units_are_coded_every_clip_has_a_class(corpus, emotion, name):
  assert PROTOCOLS['cd6me'].class_of(corpus, emotion) == name


def test_a_short_protocol_says_what_is_short_and_which_clips_miss(
  full, tmp_path
):
  shutil.copytree(full / 'casme2', tmp_path / 'casme2')
  clips = list(casme2.CORPUS.read(tmp_path / 'casme2', with_frames=False))
  # Disgust: 04/EP12_01f, which does not count anyway, and another.
  lost = [c for c in clips if c.emotion == 'disgust'][0]
  kept = [c for c in clips if c is not lost]
  skipped = [{'identity': lost.identity, 'reason': 'frame 59 is missing'}]
  notes = labelling.apply(
    PROTOCOLS['megc2019'], _examples(kept), skipped=skipped
  ).notes
  assert notes[1:5] == [
    'smic is absent: 164 clips short',
    'casme2 negative: 87 clips, expected 88',
    'samm is absent: 133 clips short',
    f'missing (frame 59 is missing): {lost.identity}',
  ]
