"""Headings that are understood, and those that are named."""

from __future__ import annotations

import datetime

import openpyxl
import pytest

from mejax.corpora import casme2
from mejax.corpora import video
from tests.corpora import trees

HEADER = 'clip,subject,emotion,onset,apex,offset\n'


@pytest.fixture
def read(tmp_path):
  """Reads two folders of ten frames with a sheet."""
  for name in ('smile', '007'):
    trees.write_frames(
      tmp_path / 'clips' / name, [f'{n}.png' for n in range(10)]
    )

  def read(text, **options):
    sheet = tmp_path / 'my.csv'
    if isinstance(text, str):
      sheet.write_bytes(text.encode())
    else:
      sheet = text
    found = video.read(tmp_path / 'clips', labels=sheet, **options)
    return {clip.name: clip for clip in found}

  return read


def _numbers(clip):
  return clip.onset, clip.apex, clip.offset, clip.apex_source


@pytest.mark.parametrize(
  'header',
  [
    'clip,subject,emotion,OnsetF,ApexF,OffsetF\n',
    'Filename,Subject,Estimated Emotion,OnsetFrame,ApexFrame,OffsetFrame\n',
    'fold_name,sub_ID,Emotion,Onset,Apex,Offset\n',
    'ＣＬＩＰ,person,label,ｏｎｓｅｔ,ＡＰＥＸ,offset\n',
    'clip,subject,emotion,frames,,\n,,,onset,apex,offset\n',
    'clip,subject,emotion,onset,apex,offset\n,,,frame,frame,frame\n',
    'clip,subject,emotion,onset,,apex\n,,,frame,,number\n',
    'about,,,frames,,\nclip,subject,emotion,onset,apex,offset\n',
    'made by anna\n\nclip,subject,emotion,onset,apex,offset\n',
  ],
)
def test_the_words_of_published_sheets_and_headers_of_two_rows(read, header):
  row = 'smile,A,joy,2,5,8\n'
  if header.count('offset') + header.lower().count('offset') == 0:
    row, expected = 'smile,A,joy,2,,5\n', (2, 5, 9, 'annotated')
  else:
    expected = (2, 5, 8, 'annotated')
  clip = read(header + row)['smile']
  assert (_numbers(clip), clip.problem) == (expected, '')


def test_a_header_of_two_rows_may_have_merged_cells(read, tmp_path):
  book = openpyxl.Workbook()
  page = book.active
  for row in (
    ['clip', 'subject', 'emotion', 'frames', None, None],
    [None, None, None, 'onset', 'apex', 'offset'],
    ['smile', 'A', 'joy', 2, 5, 8],
    ['007', None, 'fear', 1, 4, 7],
  ):
    page.append(row)
  for place in ('A1:A2', 'B1:B2', 'C1:C2', 'D1:F1', 'B3:B4'):
    page.merge_cells(place)
  book.save(tmp_path / 'my.xlsx')
  found = read(tmp_path / 'my.xlsx')
  assert _numbers(found['smile']) == (2, 5, 8, 'annotated')
  # Both rows belong to the person of the merged cell.
  assert [clip.subject for clip in found.values()] == ['A', 'A']
  assert _numbers(found['007']) == (1, 4, 7, 'annotated')


@pytest.mark.parametrize(
  ('heading', 'field'),
  [
    ('Onst', 'onset'), ('apexx', 'apex'), ('Offset time', 'offset'),
    ('FACS codes', 'facs'), ('Ofset', 'offset'),
  ],
)  # fmt: skip
def test_a_heading_that_seems_to_be_meant_for_a_field_is_refused(
  read, heading, field
):
  text = f'clip,subject,emotion,{heading}\nsmile,A,joy,4\n'
  words = f"my.csv: the heading '{heading}' in cell D1 is .* means {field}, "
  with pytest.raises(ValueError, match=words):
    read(text)
  # A column without a cell loses nothing.
  assert not read(text.replace(',4', ','))['smile'].problem


def test_columns_that_no_field_takes_are_named(read):
  text = 'clip,subject,emotion,age,,\nsmile,A,joy,30,x,\n007,B,joy,,,\n'
  found = read(text)
  words = (
    "not read in my.csv: the column 'age' (D1), a column without a heading (E1)"
  )
  assert all(clip.remarks[-1] == words for clip in found.values())


def test_two_columns_for_one_field_must_agree(read):
  text = 'clip,subject,emotion,onset,onset\nsmile,A,joy,2,{}\n'
  assert read(text.format(2))['smile'].onset == 2
  with pytest.raises(
    ValueError, match='for the onset, D1 and E1, which differ'
  ):
    read(text.format(3))


def test_a_second_sheet_with_labels_is_named(read, tmp_path):
  path = tmp_path / 'my.xlsx'
  header = HEADER.strip().split(',')
  for title, name in (('one', 'smile'), ('two', '007')):
    trees.write_sheet(path, header, [(name, 'A', 'joy', 1, 2, 3)], title=title)
  clip = read(path)['smile']
  assert clip.remarks[-1] == "not read in my.xlsx: the sheet 'two'"


@pytest.mark.parametrize(
  ('cells', 'words'),
  [
    ('2,9,2O', "offset is '2O' in cell F2; expected the number of a frame"),
    ('2,five,8', "apex is 'five' in cell E2; expected the number"),
    ('2,5.5,8', "apex is '5.5' in cell E2"),
    ('2,1_0,8', "apex is '1_0' in cell E2"),
    ('2,5e0,8', "apex is '5e0' in cell E2"),
    ('2,"1,5",8', "apex is '1,5' in cell E2"),
    (f'{"9" * 5000},5,8', "onset is '999"),
    ('True,5,8', "onset is 'True' in cell D2"),
  ],
)
def test_a_number_that_cannot_be_read_is_named_by_its_cell(read, cells, words):
  found = read(HEADER + f'smile,A,joy,{cells}\n007,B,joy,1,2,3\n')
  assert words in found['smile'].problem
  assert not found['007'].problem


@pytest.mark.parametrize('nothing', ['', '/', '-', 'nan', 'NA', '#N/A', '?'])
def test_a_word_for_no_number_is_none(read, nothing):
  clip = read(HEADER + f'smile,A,joy,2,{nothing},8\n')['smile']
  assert (_numbers(clip), clip.problem) == ((2, 5, 8, 'midpoint'), '')


@pytest.mark.parametrize('number', ['5', ' 5 ', '5.0', '５', '005', '+5'])
def test_a_number_may_be_written_in_several_ways(read, number):
  assert read(HEADER + f'smile,A,joy,2,{number},8\n')['smile'].apex == 5


@pytest.mark.parametrize(
  ('who', 'emotion', 'words'),
  [
    ('nan', 'joy', "its row gives no subject ('nan' in cell B2)"),
    ('A', 'NaN', "its row gives no emotion ('NaN' in cell C2)"),
    ('#REF!', '', "its row gives no subject ('#REF!' in cell B2) and no emo"),
  ],
)
def test_a_word_for_nothing_is_nobody_and_no_emotion(read, who, emotion, words):
  found = read(HEADER + f'smile,{who},{emotion},1,2,3\n007,B,joy,1,2,3\n')
  assert words in found['smile'].problem
  assert not found['007'].problem


def test_a_formula_or_a_date_in_a_name_is_nobody(read, tmp_path):
  book = openpyxl.Workbook()
  day = datetime.datetime(2026, 1, 5)
  rows = [
    ['clip', 'subject', 'emotion'],
    ['smile', '=A2', 'joy'],
    ['007', day, 'joy'],
    [day, 'A', 'joy'],
  ]
  for row in rows:
    book.active.append(row)
  book.save(tmp_path / 'my.xlsx')
  found = read(tmp_path / 'my.xlsx')
  words = "gives no subject ('=A2' in cell B2, a formula without a value: open"
  assert words in found['smile'].problem
  assert 'in cell B3, a date, which spreadsheets make' in found['007'].problem
  assert 'in cell A4, a date, which' in found['2026-01-05 00:00:00'].problem


def test_a_recording_shows_one_person(read):
  rows = 'smile,A,joy,1,2,3\nsmile,{},fear,5,6,7\n007,B,joy,1,2,3\n'
  found = read(HEADER + rows.format('C'))
  for name in ('smile_1', 'smile_5'):
    words = 'its rows name several people: A, C; if all are in the picture, a'
    assert found[name].problem.startswith(words)
  assert not found['007'].problem
  # Two spellings are for `people` to decide.
  assert not any(c.problem for c in read(HEADER + rows.format('a')).values())


@pytest.mark.parametrize(
  ('name', 'words'),
  [
    ('7', 'no such recording; the nearest is 007'),
    ('smiel', 'the nearest is smile'),
    ('', 'my.csv has a row without the name of a recording'),
  ],
)
def test_a_row_for_no_recording_says_what_is_near(read, name, words):
  rows = f'smile,A,joy,1,2,3\n{name},B,joy,1,2,3\n'
  assert words in read(HEADER + rows)[name].problem


def test_a_newest_sheet_that_is_damaged_is_not_passed_over(tmp_path):
  row = ('01', 'EP01_01', 8, 13, 14, '4', 'happiness')
  trees.casme2(tmp_path, [row], date='20140508')
  newest = tmp_path / 'CASME2-coding-20190701.csv'
  newest.write_bytes('Subject,Filename,\n高,1\n'.encode('gbk'))
  with pytest.raises(
    ValueError, match='20190701.csv cannot be read: it is not'
  ):
    casme2.CORPUS.read(tmp_path, with_frames=False)
  (clip,) = casme2.CORPUS.read(tmp_path, sheet='2014', with_frames=False)
  assert clip.subject == 'sub01'


def test_a_database_takes_the_encoding_of_its_sheet(tmp_path):
  header = ','.join(name or '' for name in trees.CASME2_HEADER)
  text = f'{header}\n01,EP01_01,,8,13,14,,4,élan\n'
  (tmp_path / 'CASME2-coding.csv').write_bytes(text.encode('cp1252'))
  (clip,) = casme2.CORPUS.read(tmp_path, with_frames=False, encoding='cp1252')
  assert clip.emotion == 'élan'
  with pytest.raises(ValueError, match='encoding=cp1252: 01,EP01.*élan'):
    casme2.CORPUS.read(tmp_path, with_frames=False)


@pytest.mark.parametrize('subject', ['1', '01', 'sub1', 'Sub 01', 's01'])
def test_a_person_of_a_database_has_one_name(tmp_path, subject):
  row = (subject, 'EP01_01', 8, 13, 14, '4', 'happiness')
  trees.casme2(tmp_path, [row])
  (clip,) = casme2.CORPUS.read(tmp_path, with_frames=False)
  assert clip.subject == 'sub01'


@pytest.mark.parametrize(
  ('numbers', 'words'),
  [
    ((8, 'l3', 14), "apex is 'l3' in cell E2; expected the number of a frame"),
    ((8, 13, '=D2+6'), "offset is '=D2+6' in cell F2, a formula without a"),
    (('8?', 13, 14), "the sheet gives no onset ('8?' in cell D2)"),
  ],
)
def test_a_database_refuses_a_misread_number_by_its_cell(
  tmp_path, numbers, words
):
  rows = [
    ('01', 'EP01_01', *numbers, '4', 'happiness'),
    ('02', 'EP01_02', 8, 13, 14, '4', 'happiness'),
  ]
  trees.casme2(tmp_path, rows)
  bad, good = casme2.CORPUS.read(tmp_path, with_frames=False)
  assert words in bad.problem
  assert not good.problem


@pytest.mark.parametrize(
  ('row', 'words'),
  [
    ('smile,A,joy,,2,5,9,30\n', "'A' in cell B2, its row has more"),
    ('smile,A,joy,2,5,9,29,97\n', "'A' in cell B2, its row has more"),
    ('smile,A,joy,2,5,0,30\n', 'offset 0 is not after onset 2'),
    ('smile,A,joy,2,5,3000000000,\n', "offset is '3000000000' in"),
    ('smile,A,joy,2,5,9,"1,000"\n', "fps is '1,000' in cell G2;"),
    ('smile,A,joy,2,5,9,1.000\n', "fps is '1.000' in cell G2;"),
    ('smile,A,joy,2,5,9,0.0000001\n', 'expected frames per second'),
    ('smile,A,joy,2,5,9,99999999999\n', 'expected frames per second'),
  ],
)
def test_a_row_that_would_be_misread_is_refused(read, row, words):
  header = 'clip,subject,emotion,onset,apex,offset,fps\n'
  (clip, *_) = read(header + row).values()
  assert words in clip.problem


@pytest.mark.parametrize(
  ('fps', 'number'), [('"29,97"', 29.97), ('25.000', 25.0), ('1000', 1000.0)]
)
def test_a_decimal_comma_is_no_sign_between_thousands(read, fps, number):
  header = 'clip,subject,emotion,onset,apex,offset,fps\n'
  (clip, *_) = read(f'{header}smile,A,joy,2,5,9,{fps}\n').values()
  assert (clip.fps, clip.problem) == (number, '')
