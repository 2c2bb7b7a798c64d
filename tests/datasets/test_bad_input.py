"""Bad input costs what is bad, in words that say what to do.

Frames and clips: an empty file, a text called image, an image cut off, a size
that changes, a number that is there twice, no face, two faces, the apex's frame
missing or far from all that is there, one frame only, no frames, no folder,
numbers without padding, numbers of four and five digits, grey among colour,
16 bits, names that are not ASCII.
Sheets: no header, an apex before the onset or at it, no emotion, no subject, no
number, a row twice, frames without a row, other encodings and separators, a
folder or a text in place of a sheet, a video's row beyond its end.
Videos: cut off with and without its index, without frames, empty, no video.
Commands: a corpus misspelt, another number of sources, another database or a
file as source, levels, workers, names and options that cannot be, a dataset
that was made in another way.
Where nothing can be written and processes that die are in test_bad_target.
"""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

from mejax import cli
from mejax.datasets import check
from mejax.datasets import load
from tests.corpora import trees
from tests.datasets import bad_trees

FIRST, BAD, LAST = (row[1] for row in bad_trees.ROWS)
HEADER = 'clip,subject,emotion,onset,apex,offset,fps\n'


@pytest.fixture(scope='module')
def clean(rendered, tmp_path_factory):
  """What comes of a database without a fault."""
  folder = tmp_path_factory.mktemp('clean')
  bad_trees.write(folder / 'db', rendered)
  bad_trees.make('casme2', folder / 'db', folder)
  return bad_trees.made(folder)[0]


@pytest.fixture
def prepare(rendered, tmp_path, clean):
  """Prepares a spoiled database; sees that the clips beside are as ever."""

  def prepare(spoil=None, rows=bad_trees.ROWS):
    root = bad_trees.write(tmp_path / 'db', rendered, rows)
    if spoil is not None:
      spoil(root / bad_trees.BAD)
    bad_trees.make('casme2', root, tmp_path)
    examples, metadata = bad_trees.made(tmp_path)
    for name in (FIRST, LAST):
      assert bad_trees.same(examples[name], clean[name])
    return examples, metadata

  return prepare


def _cut(file):
  file.write_bytes(file.read_bytes()[:-100])


def _keep(folder, *numbers):
  for file in folder.iterdir():
    if file.name not in [f'img{n}.png' for n in numbers]:
      file.unlink()


def _replace(file, image):
  assert cv2.imwrite(str(file), image)


def _blank(folder):
  names = [file.name for file in folder.iterdir()]
  trees.write_frames(
    folder, names, images=[np.full((96, 96, 3), 90, np.uint8)] * 7
  )


@pytest.mark.parametrize(
  ('spoil', 'words'),
  [
    (
      lambda clip: (clip / 'img13.png').write_bytes(b''),
      '"img13.png" is an empty file; expected an image',
    ),
    (
      lambda clip: (clip / 'img13.png').write_text('see other folder'),
      '"img13.png" (16 bytes) is damaged or no image',
    ),
    (lambda clip: _cut(clip / 'img8.png'), '"img8.png" ('),
    (
      lambda clip: _replace(clip / 'img13.png', np.zeros((80, 70, 3))),
      '"img13.png" has 70x80 pixels, "img8.png" has 96x96; expected one size',
    ),
    (
      lambda clip: shutil.copy(clip / 'img13.png', clip / 'img0013.png'),
      'frame 13 is there twice: img0013.png, img13.png',
    ),
    (_blank, 'no face in any of'),
    (
      lambda clip: _keep(clip, 8, 9, 10),
      'apex frame 13 is missing; there are 3 frames from 8 to 10',
    ),
    (lambda clip: _keep(clip, 8), 'has one frame; expected two or more'),
    (_keep, 'EP01_02 holds no frames'),
    (shutil.rmtree, 'the folder of its frames is missing'),
  ],
  ids=[
    'empty frame', 'text', 'cut off', 'size', 'twice', 'no face', 'no apex',
    'one frame', 'no frames', 'no folder',
  ],
)  # fmt: skip
def test_a_spoiled_clip_is_left_out_and_named(prepare, capsys, spoil, words):
  examples, metadata = prepare(spoil)
  assert list(examples) == [FIRST, LAST]
  (skipped,) = metadata['skipped']
  assert skipped['identity'] == f'casme2/sub02/{BAD}'
  assert words in skipped['reason']
  printed = capsys.readouterr().out
  assert 'skipped: 1' in printed
  assert f'casme2/sub02/{BAD}: {skipped["reason"]}' in printed


def _as(folder, flags, change):
  file = folder / 'img13.png'
  _replace(file, change(cv2.imread(str(file), flags)))


def _doubled(folder):
  for file in folder.iterdir():
    image = cv2.imread(str(file))
    large = cv2.resize(image, None, fx=2, fy=2)
    canvas = np.zeros((192, 320, 3), np.uint8)
    canvas[:, :192], canvas[48:144, 208:304] = large, image
    _replace(file, canvas)


@pytest.mark.parametrize(
  ('spoil', 'words'),
  [
    (
      lambda clip: (clip / 'img13.png').unlink(),
      'apex frame 13 is missing: 12 is taken',
    ),
    (lambda clip: (clip / 'img10.png').unlink(), '1 of 7 frames from onset'),
    (_doubled, '2 faces in a frame; the largest'),
  ],
  ids=['no apex', 'gap', 'two faces'],
)
def test_what_can_be_mended_is_made_with_a_remark(prepare, spoil, words):
  examples, metadata = prepare(spoil)
  assert metadata['skipped'] == []
  assert words in ' '.join(metadata['warnings'][f'casme2/sub02/{BAD}'])
  assert examples[BAD]['flow'].any()


def test_sixteen_bits_are_the_same_picture(prepare, clean):
  examples, _ = prepare(
    lambda clip: _as(clip, cv2.IMREAD_COLOR, lambda i: i.astype('u2') * 257)
  )
  assert bad_trees.same(examples[BAD], clean[BAD])


def test_a_grey_frame_among_coloured_ones_is_made(prepare, clean):
  examples, _ = prepare(
    lambda clip: _as(clip, cv2.IMREAD_GRAYSCALE, lambda i: i)
  )
  apex = examples[BAD]['apex'].astype(int)
  assert np.abs(apex - apex[..., :1]).max() <= 1
  assert np.ptp(clean[BAD]['apex'].astype(int), axis=-1).max() > 10
  np.testing.assert_allclose(
    examples[BAD]['flow'][0, ..., :2], clean[BAD]['flow'][0, ..., :2], atol=0.3
  )


def test_padding_of_frame_numbers_changes_nothing(prepare, clean):
  # Unpadded as they are, the frames are in another order than their names.
  assert sorted(f'img{n}' for n in bad_trees.NUMBERS)[0] == 'img10'
  assert clean[BAD]['apex_number'] == 13

  def pad(clip):
    for number in bad_trees.NUMBERS:
      (clip / f'img{number}.png').rename(clip / f'img{number:05d}.png')

  assert bad_trees.same(prepare(pad)[0][BAD], clean[BAD])


def test_four_digits_beside_five(rendered, tmp_path):
  rows = [
    ('006', '006_1_2', 9997, 10002, 10003, '4', 'Anger'),
    ('007', '007_1_2', 97, 102, 103, '4', 'Happiness'),
  ]
  trees.samm(tmp_path / 'db', rows)
  folders = [tmp_path / 'db/SAMM' / row[0] / row[1] for row in rows]
  names = [
    [f'{row[0]}_{n:0{pad}d}.jpg' for n in range(row[2], row[2] + 7)]
    for row, pad in zip(rows, (4, 5), strict=True)
  ]
  trees.write_frames(folders[0], names[0], grey=True, images=rendered)
  folders[1].mkdir(parents=True)
  for name, copy in zip(*names, strict=True):
    shutil.copyfile(folders[0] / name, folders[1] / copy)
  bad_trees.make('samm', tmp_path / 'db', tmp_path)
  four, five = bad_trees.made(tmp_path, 'samm')[0].values()
  assert (four['onset_number'], five['apex_number']) == (9997, 102)
  np.testing.assert_array_equal(four['flow'], five['flow'])


@pytest.mark.parametrize(
  ('row', 'words'),
  [
    (('02', BAD, 10, 9, 14, '4', 'disgust'), 'apex 9 and offset 14 are not in'),
    (
      ('02', BAD, '?', 9, 14, '4', 'disgust'),
      "gives no onset ('?' in cell D3)",
    ),
    (('02', BAD, 8, 13, 14, '4', None), 'the sheet gives no emotion'),
    ((None, BAD, 8, 13, 14, '4', 'disgust'), 'the sheet gives no subject'),
  ],
  ids=['apex first', 'no number', 'no emotion', 'no subject'],
)
def test_a_row_that_cannot_be_costs_its_clip(prepare, row, words):
  rows = [bad_trees.ROWS[0], row, bad_trees.ROWS[2]]
  _, metadata = prepare(rows=rows)
  assert words in metadata['skipped'][0]['reason']
  assert metadata['skipped'][0]['identity'].endswith(BAD)


def test_an_apex_at_the_onset_is_spotted_instead(prepare):
  rows = list(bad_trees.ROWS)
  rows[1] = ('02', BAD, 8, 8, 14, '4', 'disgust')
  examples, metadata = prepare(rows=rows)
  assert examples[BAD]['apex_number'] > 8
  assert examples[BAD]['apex_source'] in ('spotted', 'midpoint')
  (remark, *_) = metadata['warnings'][f'casme2/sub02/{BAD}']
  assert 'apex is the onset' in remark


def test_a_row_that_is_there_twice_counts_once(prepare):
  rows = [*bad_trees.ROWS, bad_trees.ROWS[1]]
  examples, metadata = prepare(rows=rows)
  assert examples[BAD]['emotion'] == 'disgust'
  (skipped,) = metadata['skipped']
  assert 'has a row already in the label sheet' in skipped['reason']


def test_frames_without_a_row_are_told(prepare, tmp_path):
  _, metadata = prepare(rows=[bad_trees.ROWS[0], bad_trees.ROWS[2]])
  (skipped,) = metadata['skipped']
  assert skipped['identity'] == f'casme2/unknown/sub02/{BAD}'
  assert skipped['reason'] == 'has no row in CASME2-coding-20140508.xlsx'
  text = check.check_corpus(
    'casme2', tmp_path / 'db', workers=0, progress=False
  ).text
  assert 'has no row in' in text


def _mejax(*args):
  args = [str(arg) for arg in args]
  if args[0] == 'prepare':
    args += ['--size', '32', '--flow', 'farneback', '--workers', '0']
  return cli.main(args)


def test_a_sheet_without_a_header_is_refused(rendered, tmp_path, capsys):
  root = bad_trees.write(tmp_path / 'db', rendered)
  (root / 'CASME2-coding-20140508.xlsx').unlink()
  (root / 'labels.csv').write_text('01,EP01_01,8,13,14,4,happiness\n')
  command = ['prepare', 'casme2', '--source', root, '--data_dir', tmp_path]
  assert _mejax(*command) == 2
  message = capsys.readouterr().err
  for words in ('label sheet', 'header', 'OnsetFrame', 'there: labels.csv'):
    assert words in message
  assert _mejax('check', 'casme2', root) == 1
  assert 'It cannot be used' in capsys.readouterr().out


@pytest.fixture
def recordings(rendered, tmp_path):
  """Videos of seven faces, most of them bad, and a folder that is not ASCII."""
  root = tmp_path / 'Gesichter ä 表情'
  trees.write_frames(
    root / 'zoë', [f'{n}.png' for n in range(1, 8)], images=rendered
  )
  for name, codec, images in (
    ('good.avi', 'MJPG', rendered),
    ('cut.avi', 'MJPG', rendered * 3),
    ('index.mp4', 'mp4v', rendered * 3),
    ('none.avi', 'MJPG', []),
  ):
    writer = cv2.VideoWriter(
      str(root / name), cv2.VideoWriter_fourcc(*codec), 25.0, (96, 96)
    )
    assert writer.isOpened()
    for image in images:
      writer.write(image[..., ::-1])
    writer.release()
  for name in ('cut.avi', 'index.mp4'):
    data = (root / name).read_bytes()
    (root / name).write_bytes(data[: len(data) // 2])
  (root / 'empty.mp4').write_bytes(b'')
  (root / 'page.mp4').write_bytes(b'<html>')
  return root


def test_bad_videos_are_named_and_others_made(recordings, tmp_path):
  bad_trees.make('video', recordings, tmp_path / 'Daten ö', name='gesichter_ü')
  examples, metadata = bad_trees.made(tmp_path / 'Daten ö', 'gesichter_ü')
  assert sorted(examples) == ['cut', 'good', 'zoë']
  assert 'is cut off' in ' '.join(metadata['warnings']['video/cut/cut'])
  reasons = {
    entry['identity'].rpartition('/')[2]: entry['reason']
    for entry in metadata['skipped']
  }
  assert list(reasons) == ['empty', 'index', 'none', 'page']
  assert reasons['empty'] == '"empty.mp4" is an empty file'
  for name in ('index', 'none', 'page'):
    assert 'is damaged or no video' in reasons[name]


def test_a_row_beyond_the_end_of_a_video_cut_off_says_why(recordings, tmp_path):
  sheet = tmp_path / 'my.csv'
  rows = 'cut,anna,joy,0,14,18,\ngood,ben,joy,0,5,6,\nlost,ben,joy,0,5,6,\n'
  sheet.write_text(HEADER + rows)
  bad_trees.make('video', recordings, tmp_path, options={'labels': sheet})
  examples, metadata = bad_trees.made(tmp_path, 'video')
  assert list(examples) == ['good']
  reasons = {e['identity']: e['reason'] for e in metadata['skipped']}
  assert 'apex 14 is missing' in reasons['video/anna/cut']
  assert '"cut.avi" is cut off: ' in reasons['video/anna/cut']
  assert 'no such recording' in reasons['video/ben/lost']
  assert reasons['video/unknown/zoë'] == 'has no row in my.csv'


@pytest.mark.parametrize(
  ('sign', 'encoding'),
  [(';', 'utf-8-sig'), ('\t', 'utf-16'), (';', 'cp1252'), (',', 'utf-8')],
)
def test_sheets_are_read_as_spreadsheets_save_them(
  recordings, tmp_path, sign, encoding
):
  sheet = tmp_path / 'my.csv'
  text = HEADER + 'zoë,zoë,joy,1,6,7,\ngood,andré,anger,0,5,6,\n'
  sheet.write_bytes(text.replace(',', sign).encode(encoding))
  options = {'labels': sheet}
  if encoding == 'cp1252':
    options['encoding'] = encoding
  bad_trees.make('video', recordings, tmp_path, options=options)
  examples = load.load_examples('video', tmp_path)
  assert examples['clip'].tolist() == ['zoë', 'good']
  assert examples['subject'].tolist() == ['zoë', 'andré']
  assert examples['apex_number'].tolist() == [6, 5]


@pytest.mark.parametrize(
  ('name', 'content', 'words'),
  [
    ('folder', None, 'folder is no file; expected a sheet of labels'),
    ('my.txt', HEADER, 'my.txt is no sheet of labels; expected one that ends'),
    (
      'my.csv',
      'good,ben,joy,0,5,6,\n',
      'my.csv has no header with the columns',
    ),
    ('my.csv', HEADER, 'my.csv has no rows below its header'),
    (
      'my.csv',
      HEADER + 'x,ben,joy,,,,\n',
      'has rows for x; the recordings are',
    ),
    ('no.csv', '', 'no.csv is no file'),
  ],
)
def test_labels_that_are_none_are_refused(
  recordings, tmp_path, capsys, name, content, words
):
  (tmp_path / 'folder').mkdir()
  if content:
    (tmp_path / name).write_text(content)
  place = ['--data_dir', tmp_path / 'out', '--labels', tmp_path / name]
  assert _mejax('prepare', 'video', recordings, *place) == 2
  assert words in capsys.readouterr().err
  assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
  ('args', 'words'),
  [
    ('CASME2 --source db', ', video; do you mean casme2?'),
    ('CASME-II --source db', 'do you mean casme2?'),
    ('SMIC-HS --source db', 'do you mean smic?'),
    (
      'casme2 samm --source db',
      'samm; sources: db; expected one source for each',
    ),
    ('casme2 db', 'no source: name where the recordings lie'),
    ('samm --source db', 'db holds no frames of SAMM: expected folders as in'),
    (
      'casme2 --source db/CASME2-coding-20140508.xlsx',
      'is no folder; expected',
    ),
    ('casme2 --source nowhere', 'nowhere is not there; expected casme2 in it'),
    ('casme2 --source db --levels 0', 'levels are [0.0]; expected factors'),
    ('casme2 --source db --levels 1,nan', 'expected factors above 0, as 1,2,4'),
    ('casme2 --source db --neighbours -1', 'neighbours is -1; expected 0'),
    ('casme2 --source db --magnify zoom', "unknown magnify 'zoom'; known:"),
    (
      'casme2 --source db --name my-data',
      "name is 'my-data'; expected a letter",
    ),
    (
      'casme2 --source db --option camera=VIS',
      "no option 'camera'; it has ima",
    ),
    ('casme2 --source db --option images=cut', "images is 'cut'; CASME II has"),
    ('casme2 --source db --labels my.csv', "casme2 has no option 'labels'"),
  ],
)
def test_a_slip_is_one_message(
  rendered, tmp_path, monkeypatch, capsys, args, words
):
  monkeypatch.chdir(tmp_path)
  bad_trees.write(tmp_path / 'db', rendered)
  assert _mejax('prepare', *args.split()) == 2
  assert words in capsys.readouterr().err
  assert not (tmp_path / 'data').exists()


def test_a_negative_number_of_processes_is_refused(rendered, tmp_path):
  root = bad_trees.write(tmp_path / 'db', rendered)
  with pytest.raises(ValueError, match='workers is -1; expected 0 or more'):
    bad_trees.make('casme2', root, tmp_path, workers=-1)


def test_a_dataset_made_in_another_way_is_not_touched(
  prepare, tmp_path, capsys
):
  prepare()
  source = ['casme2', '--source', tmp_path / 'db', '--data_dir', tmp_path]
  assert _mejax('prepare', *source) == 0
  assert 'is prepared already' in capsys.readouterr().out
  assert _mejax('prepare', *source, '--strain', 'magnitude') == 2
  message = capsys.readouterr().err
  assert "strain: there 'shreve', asked for 'magnitude'" in message
  assert '--overwrite, or choose another --name' in message
  _cut(tmp_path / 'db' / bad_trees.BAD / 'img13.png')
  assert _mejax('prepare', *source) == 2
  words = "source_sha256: there 'other labels or frames'"
  assert words in capsys.readouterr().err
  assert len(load.load_examples('casme2', tmp_path)['clip']) == 3
