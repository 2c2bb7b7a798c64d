"""Frame files, trees of clips, label sheets and repairs."""

from __future__ import annotations

import csv
import pathlib

import pytest

from mejax.corpora import casme2
from mejax.corpora import frames
from mejax.corpora import repairs
from mejax.corpora import sheets
from tests.corpora import trees


@pytest.mark.parametrize(
  ('name', 'number'),
  [
    ('img46.jpg', 46),
    ('reg_img46.jpg', 46),
    ('EP01_12-007.jpg', 7),
    ('reg_EP01_12-7.jpg', 7),
    ('006_05562.jpg', 5562),
    ('image17581039.jpg', 17581039),
    ('1.jpg', 1),
    ('cover.jpg', None),
  ],
)
def test_the_last_integer_of_a_name_is_the_frame(name, number):
  assert frames.frame_number(pathlib.Path('s01', name)) == number


def test_frames_come_in_the_order_of_numbers_and_of_any_padding(tmp_path):
  names = ['10.jpg', '9.JPG', '0011.png', '2.bmp']
  trees.write_frames(tmp_path, names)
  (tmp_path / '._10.jpg').write_bytes(b'of a Mac')
  (tmp_path / 'Thumbs.db').write_bytes(b'of Windows')
  (tmp_path / 'notes12.txt').write_text('')
  found = frames.list_frames(tmp_path)
  assert list(found) == [2, 9, 10, 11]
  assert found[11].name == '0011.png'


def test_two_files_of_one_number_are_an_error(tmp_path):
  trees.write_frames(tmp_path, ['46.jpg', '046.jpg'])
  with pytest.raises(ValueError, match='46 is there twice: 046.jpg, 46.jpg'):
    frames.list_frames(tmp_path)


def test_a_circle_of_links_ends(tmp_path):
  (tmp_path / 'loop').symlink_to(tmp_path)
  (tmp_path / 'labels.csv').write_text('')
  found, files = frames.scan(tmp_path, lambda parts: None)
  assert found == []
  assert files[0].name == 'labels.csv'


FIELDS = {'name': ('Filename',), 'onset': ('Onset Frame', 'OnsetF')}


def _find(folder: pathlib.Path, **options):
  return sheets.find(sorted(folder.iterdir()), fields=FIELDS, **options)


def test_a_header_is_found_below_notes_and_between_blank_columns(tmp_path):
  header = ('', 'FileName ', None, 'onset_frame')
  trees.write_sheet(
    tmp_path / 'a.xlsx',
    header,
    [('x', 'EP01', '', 46.0), ('x', None, '', 5), ('x', ' EP02 ', '', '007')],
    above=trees.SAMM_NOTES,
  )
  assert _find(tmp_path).rows == [
    {'name': 'EP01', 'onset': '46'},
    {'name': 'EP02', 'onset': '007'},
  ]


def test_other_sheets_and_files_are_passed_over(tmp_path):
  path = tmp_path / 'labels.xlsx'
  trees.write_sheet(path, ('a', 'b'), [(1, 2)], title='notes')
  trees.write_sheet(path, ('Filename', 'OnsetF'), [('x', 1)], title='codes')
  trees.write_sheet(tmp_path / 'z.xlsx', ('Filename', 'Class'), [('x', 1)])
  (tmp_path / '~$labels.xlsx').write_bytes(b'open in Excel')
  (tmp_path / 'readme.pdf').write_bytes(b'')
  found = _find(tmp_path)
  assert (found.path, found.title) == (path, 'codes')


def test_a_usual_name_goes_first_then_the_last_by_name(tmp_path):
  for name in ('z.xlsx', 'codes_v1.xlsx', 'Codes_v2.xlsx'):
    trees.write_sheet(tmp_path / name, ('Filename', 'OnsetF'), [(name, 1)])
  assert _find(tmp_path, name='^codes').path.name == 'Codes_v2.xlsx'
  assert _find(tmp_path).path.name == 'z.xlsx'


def test_csv_is_read_with_its_mark_and_short_rows(tmp_path):
  (tmp_path / 'a.csv').write_text(
    'Filename,OnsetF,,\n"a, b",3\nc,4,,\n', encoding='utf-8-sig'
  )
  assert [row['name'] for row in _find(tmp_path).rows] == ['a, b', 'c']


def test_a_workbook_of_the_old_format_by_its_name_is_read(tmp_path):
  path = trees.write_sheet(
    tmp_path / 'a.xlsx', ('Filename', 'OnsetF'), [('x', 1)]
  )
  path.rename(tmp_path / 'a.xls')
  assert _find(tmp_path).rows == [{'name': 'x', 'onset': '1'}]


@pytest.mark.parametrize('data', [b'', b'PK no zip', b'\xd0\xcf\x11\xe0 no'])
@pytest.mark.parametrize('suffix', ['.xlsx', '.xls'])
def test_a_damaged_workbook_is_named(data, suffix, tmp_path):
  path = tmp_path / f'codes{suffix}'
  path.write_bytes(data)
  with pytest.raises(ValueError, match='cannot be read') as error:
    _find(tmp_path)
  assert str(path) in str(error.value)


def test_what_is_missing_is_said_with_what_was_expected(tmp_path):
  with pytest.raises(FileNotFoundError, match='is no folder'):
    casme2.CORPUS.read(tmp_path / 'nothing')
  with pytest.raises(FileNotFoundError, match='CASME2_RAW_selected/sub01'):
    casme2.CORPUS.read(tmp_path)
  trees.write_frames(tmp_path / 'Cropped/sub01/EP02_01f', ['reg_img46.jpg'])
  with pytest.raises(FileNotFoundError, match='raw frames of CASME II.*there'):
    casme2.CORPUS.read(tmp_path, images='raw')
  with pytest.raises(ValueError, match="'colour'; CASME II has raw, cropped"):
    casme2.CORPUS.read(tmp_path, images='colour')
  header = [name for name in trees.CASME2_HEADER if name != 'ApexFrame']
  trees.write_sheet(tmp_path / 'codes.xlsx', header, [])
  with pytest.raises(FileNotFoundError, match='spreadsheets there: codes.xlsx'):
    casme2.CORPUS.read(tmp_path)


def test_repairs_are_keyed_by_clip_and_say_why_and_whence():
  with repairs.TABLE.open(newline='') as file:
    header = next(csv.reader(file))
  assert header[:4] == ['corpus', 'subject', 'clip', 'onset']
  table = repairs.read_table()
  keys = [(r.corpus, r.subject, r.clip, r.onset, r.field) for r in table]
  assert len(set(keys)) == len(keys) == 9
  assert all(row.reason and row.source for row in table)
  assert {row.field for row in table} <= {'onset', 'apex', 'offset'}


def test_a_repair_leaves_a_right_value_and_other_clips_alone():
  def mended(clip, apex):
    values = {'onset': 1075, 'apex': apex, 'offset': 1134}
    return repairs.repair('samm', '028', clip, values)

  values, made = mended('028_4_1', 1143)
  assert values['apex'] == 1113
  assert str(made[0]).startswith('apex 1143 repaired to 1113: ')
  assert mended('028_4_1', 1113)[1] == mended('028_4_2', 1143)[1] == []
