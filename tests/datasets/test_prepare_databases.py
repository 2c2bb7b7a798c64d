"""Every database from its published shape to examples: right counts, frames.

Frames are rendered faces; each bears its own number in its last row of pixels,
and nothing is cut or aligned, so that an example shows which file it is of.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mejax.datasets import labelling
from mejax.datasets import load
from mejax.datasets.protocols import PROTOCOLS
from mejax.datasets.recipe import Recipe
from tests.corpora import trees
from tests.datasets import bad_trees

SIZE = 96
SHOWN = Recipe(size=SIZE, flow='farneback', faces='none', apex='midpoint')


@pytest.fixture
def write(rendered, tmp_path):
  """Writes the frames of a clip, named by a pattern, of these numbers."""

  def write(folder, pattern, first, last, *, grey=False, lacks=()):
    numbers = [n for n in range(first, last + 1) if n not in lacks]
    images = []
    for number in numbers:
      place = (number - first) * (len(rendered) - 1) // max(last - first, 1)
      image = rendered[min(place, 6)].copy()
      # Square by square one bit of the number, black or white.
      bits = [255 * (number >> bit & 1) for bit in range(12)]
      image[-8:] = np.repeat(bits, 8)[:, None]
      images.append(image)
    trees.write_frames(
      tmp_path / folder,
      [pattern.format(number) for number in numbers],
      grey=grey,
      images=images,
    )

  return write


@pytest.fixture
def prepare(tmp_path):
  def prepare(corpora, recipe=SHOWN, **options):
    names = [corpora] if isinstance(corpora, str) else corpora
    bad_trees.make(
      corpora,
      [tmp_path] * len(names),
      tmp_path / 'data',
      recipe=recipe,
      options=options or None,
    )
    return bad_trees.made(tmp_path / 'data', '_'.join(names))

  return prepare


def _shown(image):
  """The number that a frame bears."""
  bits = image[-4].reshape(12, 8, 3).mean((1, 2)) > 127
  return int(sum(1 << bit for bit in np.flatnonzero(bits)))


def _told(metadata):
  """The warnings, less those of the squares that show a frame's number.

  The squares change at once, which is a motion that no face has.
  """
  told = {
    clip: [sentence for sentence in said if not sentence.startswith('moves by')]
    for clip, said in metadata['warnings'].items()
  }
  return {clip: said for clip, said in told.items() if said}


def _check(example, onset, apex, offset, source):
  """The numbers are right, and the frames are those of the numbers."""
  numbers = [int(example[f'{k}_number']) for k in ('onset', 'apex', 'offset')]
  assert numbers == [onset, apex, offset]
  assert _shown(example['onset']) == onset % 4096
  assert _shown(example['apex']) == apex % 4096
  assert example['apex_source'] == source
  assert np.abs(example['flow']).max() > 0


def test_a_stored_frame_is_the_file(write, prepare, tmp_path):
  trees.casme2(tmp_path, [('01', 'EP02_01f', 46, 49, 52, '6+12', 'happiness')])
  folder = 'CASME2_RAW_selected/sub01/EP02_01f'
  write(folder, 'img{}.png', 40, 55)
  examples, _ = prepare('casme2')
  for name, number in (('onset', 46), ('apex', 49)):
    file = tmp_path / folder / f'img{number}.png'
    expected = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(examples['EP02_01f'][name], expected)


def test_casme_both_cameras_and_a_row_outside_of_its_folder(
  write, prepare, tmp_path
):
  rows = [
    (1, 'EP01_12', 5, 8, None, 12, '4+7', 'tense'),
    (12, 'EP03_2', 3, None, 6, 9, 'R6', 'happiness'),
    (13, 'EP04_4', 140, 150, None, 160, 4, 'disgust'),
  ]
  trees.casme(tmp_path, rows)
  for subject, name, number in ((1, 'EP01_12', '{}'), (12, 'EP03_2', '{:03}')):
    folder = f'CASME_raw_selected/sub{subject:02d}/{name}'
    write(folder, f'{name}-{number}.jpg', 1, 14)
  write('CASME_raw_selected/sub13/EP04_4', 'EP04_4-{:03}.jpg', 1, 14)
  examples, metadata = prepare('casme')
  _check(examples['EP01_12'], 5, 8, 12, 'annotated')
  _check(examples['EP03_2'], 3, 6, 9, 'annotated')
  _check(examples['EP04_4'], 1, 7, 14, 'midpoint')
  remarks = metadata['warnings']['casme/sub13/EP04_4']
  assert 'onset 140 and offset 160 repaired to 1 and 14' in remarks[0]
  assert metadata['counts'] == {
    'casme': {'tense': 1, 'happiness': 1, 'disgust': 1}
  }


@pytest.fixture
def casme2(write, tmp_path):
  rows = [
    ('01', 'EP02_01f', 46, 49, 58, '6+12', 'happiness'),
    ('04', 'EP12_01f', 8, '/', 20, '4', 'disgust'),
    ('05', 'EP09_05f', 8, 8, 20, '4', 'repression'),
  ]
  trees.casme2(tmp_path, rows)
  for subject, name, onset, _, offset, *_ in rows:
    for home, prefix in (('CASME2_RAW_selected', ''), ('Cropped', 'reg_')):
      write(
        f'{home}/sub{subject}/{name}',
        prefix + 'img{}.jpg',
        onset - 3,
        offset + 3,
        lacks=(49,) if prefix else (),
      )


def test_casme2_with_and_without_an_apex(casme2, prepare):
  examples, metadata = prepare('casme2')
  _check(examples['EP02_01f'], 46, 49, 58, 'annotated')
  _check(examples['EP12_01f'], 8, 14, 20, 'midpoint')
  _check(examples['EP09_05f'], 8, 14, 20, 'midpoint')
  assert (
    "no apex ('/' in cell E3)" in metadata['notes']['casme2/sub04/EP12_01f'][0]
  )


def test_cropped_casme2_lacks_an_apex_frame(casme2, prepare):
  examples, metadata = prepare('casme2', images='cropped')
  _check(examples['EP02_01f'], 46, 48, 58, 'repaired')
  remarks = metadata['warnings']['casme2/sub01/EP02_01f']
  assert 'apex frame 49 is missing: 48 is taken' in remarks


def test_an_unknown_apex_is_spotted_where_that_is_asked_for(casme2, prepare):
  recipe = Recipe(size=SIZE, flow='farneback', faces='none')
  examples, _ = prepare('casme2', recipe)
  _check(examples['EP02_01f'], 46, 49, 58, 'annotated')
  spotted = examples['EP12_01f']
  assert spotted['apex_source'] == 'spotted'
  assert 8 < spotted['apex_number'] <= 20
  assert _shown(spotted['apex']) == spotted['apex_number']


def test_samm_repairs_the_sheet_and_reads_grey_frames_of_any_padding(
  write, prepare, tmp_path
):
  rows = [
    ('006', '006_1_2', 98, 105, 110, '4+7', 'Anger'),
    ('011', '011_6_1', 9996, 10002, 10006, 'L12 or L14', 'Other'),
    ('032', '032_3_1', 4926, 1930, 4936, 'A/L12', 'Happiness'),
  ]
  trees.samm(tmp_path, rows)
  for (subject, name, on, _, off, *_), pad in zip(rows, (5, 4, 5), strict=True):
    pattern = f'{subject}_{{:0{pad}}}.jpg'
    write(f'SAMM/{subject}/{name}', pattern, on - 2, off + 2, grey=True)
  examples, metadata = prepare('samm')
  _check(examples['006_1_2'], 98, 105, 110, 'annotated')
  _check(examples['011_6_1'], 9996, 10002, 10006, 'annotated')
  _check(examples['032_3_1'], 4926, 4930, 4936, 'repaired')
  told = _told(metadata)
  assert list(told) == ['samm/032/032_3_1']
  assert 'apex 1930 repaired to 4930' in told['samm/032/032_3_1'][0]


@pytest.mark.parametrize(
  ('options', 'corpus', 'first'),
  [({}, 'smic', 17581039), ({'camera': 'VIS'}, 'smic_vis', 12)],
)
def test_smic_from_folders_alone_for_each_camera(
  write, prepare, options, corpus, first
):
  for camera, number in (('HS', 17581039), ('VIS', 12)):
    folder = f'SMIC_all_raw/{camera}/s20/micro/surprise/s20_sur_05'
    write(folder, 'image{:06}.bmp', number, number + 10)
  examples, metadata = prepare('smic', **options)
  _check(examples['s20_sur_05'], first, first + 5, first + 10, 'midpoint')
  assert metadata['counts'] == {corpus: {'surprise': 1}}


def test_smic_e_with_two_movements_in_a_row(write, prepare, tmp_path):
  rows = [('s02', 's02_po_03', 210, 220, 230, 240, None, None, 'positive')]
  trees.smic(tmp_path / 'SMIC-HS-E_annotation_2019.xlsx', rows)
  folder = 'SMIC-E_raw image/HS_long/SMIC-HS-E/s2/s2_po_03'
  write(folder, 'image{:06}.jpg', 200, 250)
  examples, metadata = prepare('smic')
  _check(examples['s02_po_03'], 210, 215, 220, 'midpoint')
  _check(examples['s02_po_03_2'], 230, 235, 240, 'midpoint')
  assert metadata['skipped'] == []


@pytest.mark.parametrize(
  'home', ['Micro_Expression/happiness', 'S03/happiness']
)
def test_mmew_by_emotion_and_by_subject(write, prepare, tmp_path, home):
  rows = [
    ('S03', 'S03-01-001', 1, 10, 12, '6+12', 'happiness', None),
    ('S03', 'S03-01-002', 1, 40, 80, '6+12', 'happiness', None),
  ]
  trees.write_sheet(tmp_path / 'MMEW_Micro_Exp.xlsx', trees.MMEW_HEADER, rows)
  for _, name, *_ in rows:
    write(f'{home}/{name}', '{}.jpg', 1, 12)
  write('Macro_Expression/happiness/S03-01-003', '{}.jpg', 1, 12)
  examples, metadata = prepare('mmew')
  assert list(examples) == ['S03-01-001', 'S03-01-002']
  _check(examples['S03-01-001'], 1, 10, 12, 'annotated')
  _check(examples['S03-01-002'], 1, 6, 12, 'midpoint')
  remarks = metadata['warnings']['mmew/S03/S03-01-002']
  assert 'offset 80 repaired to 12, the last frame' in remarks
  assert metadata['skipped'] == []


CASME3_ROWS = [
  ('spNO.10', 'a', 116, 120, 126, '4', 'disgust'),
  ('spNO.10', 'a', 130, 130, 140, '4,7', 'Others'),
  # As published, the offset is impossible.
  ('spNO.214', 'c', 5, 5, 3460, '4', 'fear'),
]


@pytest.mark.parametrize('images', ['clips', 'videos'])
def test_casme3_cut_and_as_whole_videos(write, prepare, tmp_path, images):
  trees.casme3(tmp_path, CASME3_ROWS)
  if images == 'clips':
    home = 'Part_A_ME_clip/frame'
    write(f'{home}/spNo.10_a_116', '{}.jpg', 116, 126)
    write(f'{home}/spNo.10_a_130', '{}.jpg', 130, 140)
    write(f'{home}/spNo.214_c_5', '{}.jpg', 5, 34)
  else:
    write('part_A/spNO.10/a/color', '{}.jpg', 110, 145)
    write('part_A/spNO.214/c/color', '{}.jpg', 1, 36)
    # It shows no micro-expression.
    write('part_A/spNO.10/b/color', '{}.jpg', 1, 12)
  examples, metadata = prepare('casme3', images=images, apex_at_onset='middle')
  _check(examples['a_116'], 116, 120, 126, 'annotated')
  _check(examples['a_130'], 130, 135, 140, 'midpoint')
  _check(examples['c_5'], 5, 19, 34, 'midpoint')
  assert metadata['skipped'] == []
  remarks = ' '.join(metadata['warnings']['casme3/spNO.214/c_5'])
  assert 'offset 3460 repaired to 34' in remarks
  assert 'a face that relaxes' in remarks


def test_casme3_c_has_no_apexes(write, prepare, tmp_path):
  trees.write_sheet(
    tmp_path / 'CAS(ME)3_part_C_ME.xlsx',
    trees.CASME3_C_HEADER,
    [(1, 1, 3, 9, '4,7', 'negative')],
    title='mockCrimeME',
  )
  write('part_C/01/1/color', '{}.jpg', 1, 12)
  examples, metadata = prepare('casme3', part='C')
  _check(examples['1_3'], 3, 6, 9, 'midpoint')
  assert metadata['counts'] == {'casme3_c': {'negative': 1}}


def test_4dme_mends_rows_that_are_exchanged(write, prepare, tmp_path):
  both = (1, 0, 1, 0, 0, 0)
  rows = [
    ('sub1', 'f1', 'Surprise+Positive', 5, 8, 12, 'AU1', 0, 0, *both),
    ('sub1', 'f2', 'Negative', 5, 8, 12, 'AU12', 0, 1, 1, 0, 0, 0, 0, 0),
    ('sub1', 'f3', 'Positive', 5, 8, 12, 'AU4', 1, 0, 0, 1, 0, 0, 0, 0),
  ]  # fmt: skip
  trees.write_sheet(
    tmp_path / '4DME_Labelling_Micro_release v1.xlsx',
    trees.FOURDME_HEADER,
    rows,
  )
  for name, below in (('f1', 'frames'), ('f2', ''), ('f3', '')):
    write(f'gray_micro/sub1/{name}/{below}', '{}.jpg', 1, 14, grey=True)
  examples, metadata = prepare('fourdme')
  for name in ('f1', 'f2', 'f3'):
    _check(examples[name], 5, 8, 12, 'annotated')
  assert examples['f1']['emotion'] == 'Surprise+Positive'
  told = _told(metadata)
  repaired = [k for k, words in told.items() if 'repaired' in words[0]]
  assert repaired == ['fourdme/sub1/f2', 'fourdme/sub1/f3'], told[
    'fourdme/sub1/f1'
  ]
  assert 'repaired, from the row of f3' in told['fourdme/sub1/f2'][0]


def test_three_databases_become_one_and_get_the_labels_of_megc2019(
  casme2, write, prepare, tmp_path
):
  rows = [
    ('006', '006_1_2', 98, 105, 110, '4+7', 'Anger'),
    ('011', '011_6_1', 98, 105, 110, '12', 'Other'),
  ]
  trees.samm(tmp_path, rows)
  for subject, name, *_ in rows:
    write(f'SAMM/{subject}/{name}', subject + '_{:05}.jpg', 96, 112, grey=True)
  for camera in ('HS', 'VIS'):
    folder = f'SMIC_all_raw/{camera}/s20/micro/surprise/s20_sur_05'
    write(folder, 'image{:06}.bmp', 100, 110)
  options = {'casme2.images': 'cropped', 'smic.camera': 'HS'}
  _, metadata = prepare(['casme2', 'samm', 'smic'], **options)
  data = load.load_examples('casme2_samm_smic', tmp_path / 'data')
  found = labelling.apply(PROTOCOLS['megc2019'], data)
  names = [found.classes[label] for label in found.labels]
  pairs = dict(zip(data['clip'][found.indices].tolist(), names, strict=True))
  # SAMM's other counts in no class; two of CASME II have no apex.
  assert pairs == {
    'EP02_01f': 'positive',
    '006_1_2': 'negative',
    's20_sur_05': 'surprise',
  }
  assert found.groups.tolist() == ['casme2/sub01', 'samm/006', 'smic/s20']
  assert list(metadata['counts']) == ['casme2', 'samm', 'smic']


def test_options_of_one_of_several_databases(casme2, write, prepare):
  for camera, first in (('HS', 100), ('VIS', 12)):
    folder = f'SMIC_all_raw/{camera}/s20/micro/surprise/s20_sur_05'
    write(folder, 'image{:06}.bmp', first, first + 10)
  options = {'casme2.images': 'cropped', 'smic.camera': 'VIS'}
  examples, metadata = prepare(['casme2', 'smic'], **options)
  _check(examples['EP02_01f'], 46, 48, 58, 'repaired')
  _check(examples['s20_sur_05'], 12, 17, 22, 'midpoint')
  assert list(metadata['counts']) == ['casme2', 'smic_vis']
