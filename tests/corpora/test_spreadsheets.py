"""Cells, encodings, line ends and formulas of the files that people have."""

from __future__ import annotations

import csv
import datetime
import io
import re
import struct
import zipfile

from hypothesis import given
from hypothesis import strategies as st
import openpyxl
import pytest

from mejax import limits
from mejax.corpora import cells
from mejax.corpora import spreadsheets

TEXT = 'clip,subject\nsmile,王\nfrown,李\n'
ROWS = [['clip', 'subject'], ['smile', '王'], ['frown', '李']]


def _read(tmp_path, data, name='a.csv', **options):
  (tmp_path / name).write_bytes(data)
  ((_, rows),) = spreadsheets.read_pages(tmp_path / name, **options)
  return rows


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-32'])
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_unicode_is_read_with_line_ends_of_any_system(tmp_path, encoding, end):
  text = TEXT.replace('\n', end)
  rows = _read(tmp_path, text.encode(encoding))
  assert rows == ROWS
  assert rows[2][1].place == 'B3'
  # The other order of bytes, with its mark.
  assert _read(tmp_path, ('\ufeff' + text).encode('utf-16-be')) == ROWS


@pytest.mark.parametrize('encoding', ['gb18030', 'big5', 'shift_jis'])
def test_another_encoding_is_refused_with_a_line_as_each_would_read_it(
  tmp_path, encoding
):
  data = TEXT.encode(encoding)
  with pytest.raises(ValueError, match='not utf-8. Save it as') as error:
    _read(tmp_path, data)
  assert 'Line 2 is\n' in str(error.value)
  assert f'\n    encoding={encoding}: smile,王' in str(error.value)
  assert '\n    encoding=cp1252: smile,' in str(error.value) or (
    encoding != 'gb18030'
  )
  assert _read(tmp_path, data, encoding=encoding) == ROWS


@pytest.mark.parametrize('encoding', ['utf-16-le', 'utf-16-be'])
def test_utf_16_without_its_mark_is_refused_and_recognised(tmp_path, encoding):
  for text in (TEXT, TEXT.replace('王', 'x').replace('李', 'y')):
    data = text.encode(encoding)
    with pytest.raises(ValueError, match=f'encoding={encoding}: clip,subject'):
      _read(tmp_path, data)
    assert _read(tmp_path, data, encoding=encoding)[1][0] == 'smile'


@pytest.mark.parametrize(
  ('encoding', 'words'),
  [
    ('klingon', "'klingon', which Python does not know; it knows, for example"),
    ('hex', "encoding is 'hex', which Python"),
    ('shift_jis', 'it is not shift_jis. Save it as'),
    ('utf-8\0', 'which is no name'),
  ],
)
def test_a_wrong_encoding_is_refused(tmp_path, encoding, words):
  with pytest.raises(ValueError, match=words):
    _read(tmp_path, b'a,\xff\xff\n', encoding=encoding)


@given(
  st.lists(
    st.lists(
      st.text(
        st.characters(
          exclude_categories=['C', 'Z'], exclude_characters='\ufeff'
        )
      ),
      min_size=2,
      max_size=4,
    ),
    min_size=1,
    max_size=4,
  )
)
def test_any_cells_are_read_as_they_were_written(tmp_path_factory, rows):
  out = io.StringIO(newline='')
  csv.writer(out).writerows(rows)
  width = max(map(len, rows))
  found = _read(tmp_path_factory.mktemp('a'), out.getvalue().encode())
  if spreadsheets._delimiter(out.getvalue()) == ',':
    assert found == [row + [''] * (width - len(row)) for row in rows]


@pytest.mark.parametrize(
  'text', ['a,b\n"smile,joy\nfrown,fear\n', 'a,b\nx,y\n"smile"s,joy\n']
)
def test_a_quotation_mark_that_is_not_closed_does_not_swallow_rows(
  tmp_path, text
):
  with pytest.raises(ValueError, match='row [23] has a fault in its quotation'):
    _read(tmp_path, text.encode())


@pytest.mark.parametrize(
  'text',
  [
    'c,s,e,n\na,"A,joy,2\nb,B,fear,3\nc,C",joy,4\n',
    'c,s,e,n\na,A,"joy,2\nb,B,sad,3\nc,C,sad",4\n',
    'c;s;e\r\na;"A;joy\r\nb";B;joy\r\n',
  ],
)
def test_quotation_marks_that_enclose_rows_are_refused(tmp_path, text):
  with pytest.raises(ValueError, match='a quotation mark in line 2 ends in'):
    _read(tmp_path, text.encode())


def test_a_cell_may_have_lines_with_commas(tmp_path):
  text = 'c,s,e,notes\na,A,joy,"one, two,\nthree, four"\n'
  assert _read(tmp_path, text.encode())[1][3] == 'one, two,\nthree, four'


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('a,b,c\n' + ',' * 5000, 'to row 2 and column 5001; expected at most'),
    ('a,b\n' * 100_001, 'to row 100001 and column 2; expected at most'),
    ('a,b\n' * 2000 + ',' * 900, 'to row 2001 and column 901; expected at'),
  ],
)
def test_a_table_whose_blanks_would_fill_the_memory_is_refused(
  tmp_path, text, words
):
  with pytest.raises(ValueError, match=words):
    _read(tmp_path, text.encode())


def _patched(path, change):
  """Changes the text of the first sheet in a workbook."""
  data = io.BytesIO()
  with (
    zipfile.ZipFile(path) as old,
    zipfile.ZipFile(data, 'w', zipfile.ZIP_DEFLATED) as new,
  ):
    for name in old.namelist():
      text = old.read(name)
      new.writestr(name, change(text) if name.endswith('sheet1.xml') else text)
  path.write_bytes(data.getvalue())
  return path


def _merged(place):
  return lambda text: text.replace(
    b'</sheetData>',
    b'</sheetData><mergeCells><mergeCell ref="%s"/></mergeCells>' % place,
  )


@pytest.mark.parametrize(
  ('change', 'words'),
  [
    (_merged(b'A3:XFD1048576'), 'merges A3:XFD1048576; expected at most'),
    (_merged(b'B2:B1048576'), 'merges B2:B1048576; expected at most'),
    (_merged(b'A:A'), 'merges A:A; expected at most'),
    (_merged(b'1:1'), 'merges 1:1; expected at most'),
    (_merged(b'C5:A2'), 'merges C5:A2, from end to start'),
    (
      lambda text: text.replace(b'row r="2"', b'row r="%s"' % (b'9' * 5000)),
      "the number of a row is '99999",
    ),
    (
      lambda text: text.replace(b'r="A2"', b'r="XFD1048576"'),
      'reaches to row 1048576 and column 16384; expected at most',
    ),
    (
      lambda text: text.replace(
        b'</sheetData>', b'<!--' + b'A' * (65 << 20) + b'--></sheetData>'
      ),
      'has 65 MiB unpacked; the limit is 64 MiB',
    ),
  ],
)
def test_a_small_workbook_that_claims_much_is_refused_before_it_is_opened(
  tmp_path, change, words
):
  path = _patched(_workbook(tmp_path, ['who'], ['anna']), change)
  assert path.stat().st_size < 300_000
  with pytest.raises(ValueError, match=words):
    _rows_of(path)


def test_formats_far_from_the_table_cost_nothing(tmp_path):
  def far(text):
    row = b'<row r="1048576"><c r="XFD1048576" s="0"/></row></sheetData>'
    return text.replace(b'</sheetData>', row)

  path = _patched(_workbook(tmp_path, ['who'], ['anna']), far)
  assert _rows_of(path) == [['who'], ['anna']]


def test_a_hidden_sheet_comes_after_those_that_are_shown(tmp_path):
  book = openpyxl.Workbook()
  book.active.append(['old'])
  book.active.sheet_state = 'hidden'
  book.create_sheet('new').append(['new'])
  book.active = 1
  book.save(tmp_path / 'a.xlsx')
  pages = spreadsheets.read_pages(tmp_path / 'a.xlsx')
  assert [title for title, _ in pages] == ['new', 'Sheet']


def _workbook(tmp_path, *rows, change=lambda page: None):
  book = openpyxl.Workbook()
  for row in rows:
    book.active.append(row)
  change(book.active)
  book.save(tmp_path / 'a.xlsx')
  return tmp_path / 'a.xlsx'


def _rows_of(path):
  ((_, rows),) = spreadsheets.read_pages(path)
  return rows


def test_a_formula_without_a_value_is_no_blank_cell(tmp_path):
  ((first, second),) = _rows_of(_workbook(tmp_path, [2, '=A1+7']))
  assert (first, first.fault) == ('2', '')
  assert (second, second.place) == ('=A1+7', 'B1')
  assert 'a formula without a value: open' in cells.described(second)


def test_a_formula_with_a_value_is_its_value(tmp_path):
  path = _workbook(tmp_path, [2, '=A1+7', '=IF(A1>3,1,"")'])
  # As a spreadsheet program stores a number, and a text that is blank.
  data = io.BytesIO()
  with zipfile.ZipFile(path) as old, zipfile.ZipFile(data, 'w') as new:
    for name in old.namelist():
      text = old.read(name).decode()
      if name.endswith('sheet1.xml'):
        text = re.sub('<v ?/>', '<v></v>', text)
        both = '<v></v></c><c r="C1"'
        assert both in text
        text = text.replace(both, '<v>9</v></c><c r="C1" t="str"')
      new.writestr(name, text)
  path.write_bytes(data.getvalue())
  ((_, number, blank),) = _rows_of(path)
  assert (number, blank) == ('9', '')


def test_a_cell_merged_over_rows_counts_for_each_of_them(tmp_path):
  rows = [['who', 'take'], ['anna', 'x'], [None, 'y'], ['note', None]]

  def merge(page):
    page.merge_cells('A2:A3')
    page.merge_cells('A4:B4')  # A note over columns stays one cell.

  read = _rows_of(_workbook(tmp_path, *rows, change=merge))
  assert [row[0] for row in read] == ['who', 'anna', 'anna', 'note']
  assert read[3][1] == ''
  assert read[2][0].place == 'A3'


def test_a_format_down_to_the_last_row_makes_no_rows(tmp_path):
  path = _workbook(
    tmp_path, ['who'], ['anna'], change=lambda p: p.merge_cells('A2:A900')
  )
  assert _rows_of(path) == [['who'], ['anna']]


def _replacing(old, new):
  def change(text):
    assert old in text
    return text.replace(old, new)

  return change


def test_a_workbook_that_would_fill_the_memory_is_refused_at_once(
  tmp_path, monkeypatch
):
  path = _workbook(tmp_path, ['who'], ['anna'])
  monkeypatch.setattr(limits, 'LARGEST_SHEET', 2**20)
  assert _rows_of(path) == [['who'], ['anna']]
  blank = b' ' * 2**21
  _patched(path, _replacing(b'</worksheet>', blank + b'</worksheet>'))
  assert path.stat().st_size < 2**14
  with pytest.raises(ValueError, match='has 2 MiB unpacked; the limit is 1'):
    _rows_of(path)


@pytest.mark.parametrize('suffix', ['.csv', '.xls', '.xlsx'])
def test_a_sheet_that_is_too_large_is_not_read(tmp_path, suffix):
  path = tmp_path / f'a{suffix}'
  with path.open('wb') as file:
    file.truncate(limits.LARGEST_SHEET + 1)  # It takes no room on the disk.
  with pytest.raises(ValueError, match='has 64 MiB; the limit is 64 MiB'):
    next(spreadsheets.read_pages(path))


def test_a_cell_in_the_farthest_corner_does_not_make_a_billion_cells(tmp_path):
  path = _workbook(
    tmp_path, ['who'], change=lambda p: p.cell(2**20, 2**14, 'far')
  )
  with pytest.raises(ValueError, match='to row 1048576 and column 16384'):
    _rows_of(path)


@pytest.mark.parametrize('sign', ['"', "'"])
def test_a_merged_cell_of_a_whole_sheet_is_refused(tmp_path, sign):
  path = _workbook(
    tmp_path, ['who'], ['anna'], change=lambda p: p.merge_cells('A2:B3')
  )
  area = f'ref={sign}A1:XFD1048576{sign}'.encode()
  _patched(path, _replacing(b'ref="A2:B3"', area))
  with pytest.raises(ValueError, match='merges A1:XFD1048576; expected'):
    _rows_of(path)


@pytest.mark.parametrize('data', [b'\xef\xbb\xbf', b'\n\n', b' '])
def test_a_file_without_a_cell_is_empty(tmp_path, data):
  with pytest.raises(ValueError, match='it is empty'):
    _read(tmp_path, data)


def test_what_a_spreadsheet_made_of_a_name_or_a_number_is_told(tmp_path):
  day = datetime.datetime(2026, 1, 5)
  date, error, whole, half = _rows_of(
    _workbook(tmp_path, [day, '#REF!', 12.0, 12.5])
  )[0]
  assert 'a date, which spreadsheets make of names' in cells.described(date)
  assert cells.says_nothing(error)
  assert (whole, half) == ('12', '12.5')


def _old_workbook(*records):
  """A workbook of Excel 2, which consists of records: number, size, content."""
  begin = struct.pack('<HHHH', 0x0009, 4, 2, 0x0010)
  body = b''.join(struct.pack('<HH', n, len(x)) + x for n, x in records)
  return begin + body + struct.pack('<HH', 0x000A, 0)


def test_an_error_in_an_old_workbook_is_no_number(tmp_path):
  place = struct.pack('<HH3x', 0, 0)
  error = (0x0005, place + bytes([42, 1]))  # #N/A is 42.
  number = (0x0002, struct.pack('<HH3xH', 0, 1, 7))
  path = tmp_path / 'a.xls'
  path.write_bytes(_old_workbook(error, number))
  ((first, second),) = _rows_of(path)
  assert (first, second, second.place) == ('#N/A', '7', 'B1')
  assert cells.says_nothing(first)
