"""Databases of long videos on tiny trees of their shape."""

from __future__ import annotations

import pytest

from mejax.corpora import casme2_long
from mejax.corpora import casme3_c_long
from mejax.corpora import casme3_long
from mejax.corpora import corpus
from mejax.corpora import long_videos
from mejax.corpora import samm_long
from tests.corpora import long_trees
from tests.corpora import trees

MICRO, MACRO = 'micro-expression', 'macro-expression'


@pytest.fixture
def casme2_tree(tmp_path):
  long_trees.casme2_long(
    tmp_path,
    [
      (1, 'disgust1_1', 3, 6, 12, '4', 'negative', MICRO),
      (1, 'disgust1_2', 20, 26, 0, '4+7', 'negative', MACRO),
      (1, 'disgust1_3', 30, 39, 33, '12', 'positive', MACRO),
      (1, 'disgust1_4', 2, 9, 25, '12', 'positive', MICRO),
      (2, 'anger1_1', 5, 0, 14, '12', 'positive', MICRO),
      (11, 'disgust2_1', 5, 8, 14, '12', 'positive', MICRO),
      (99, 'disgust1_1', 5, 8, 14, '12', 'positive', MICRO),
    ],
  )
  for folder, last in (
    ('s15/15_0101disgustingteeth', 40),
    ('s16/16_0401girlcrashing', 20),
    ('s16/16_0102eatingworms', 20),
  ):
    long_trees.frames(
      tmp_path / 'rawpic' / folder, range(1, last + 1), 'img{:03d}.jpg'
    )
  return tmp_path


def events_of(database, root):
  return {
    f'{video.name}/{event.name}': event
    for video in database.read(root)
    for event in video.events
  }


def test_casme2_names_of_events_lead_to_folders(casme2_tree):
  videos = {v.identity: v for v in casme2_long.DATABASE.read(casme2_tree)}
  assert list(videos)[:3] == [
    'casme2_long/s15/0101',
    'casme2_long/s16/0102',
    'casme2_long/s16/0401',
  ]
  assert [e.name for e in videos['casme2_long/s15/0101'].events] == [
    'disgust1_4',
    'disgust1_1',
    'disgust1_2',
    'disgust1_3',
  ]
  assert list(videos['casme2_long/s16/0401'].frames) == list(range(1, 21))


def test_video_without_an_event_is_read_too(casme2_tree):
  videos = {v.identity: v for v in casme2_long.DATABASE.read(casme2_tree)}
  empty = videos['casme2_long/s16/0102']
  assert empty.events == () and not empty.problem


def test_events_whose_folder_is_missing_are_kept_and_say_so(casme2_tree):
  lost = [v for v in casme2_long.DATABASE.read(casme2_tree) if v.problem]
  assert [(v.subject, v.name, len(v.events)) for v in lost] == [
    ('s27', '0102', 1),
    ('99', 'disgust1', 1),
  ]
  assert 'the folder of its frames is missing' in lost[0].problem


def test_absent_offset_is_mirrored_at_the_apex_and_said(casme2_tree):
  event = events_of(casme2_long.DATABASE, casme2_tree)['0101/disgust1_2']
  assert (event.onset, event.apex, event.offset) == (20, 26, 32)
  assert 'no offset: 32' in event.remarks[0]


def test_apex_outside_of_its_event_is_dropped_and_the_interval_stays(
  casme2_tree,
):
  found = events_of(casme2_long.DATABASE, casme2_tree)
  late, none = found['0101/disgust1_3'], found['0401/anger1_1']
  assert (late.onset, late.apex, late.offset) == (30, None, 33)
  assert 'apex 39 is not between' in late.remarks[0]
  assert (none.onset, none.apex, none.offset) == (5, None, 14)


def test_type_that_contradicts_the_rule_of_the_database_is_told(casme2_tree):
  found = events_of(casme2_long.DATABASE, casme2_tree)
  assert not found['0101/disgust1_1'].remarks
  assert 'called micro, but by the rule' in found['0101/disgust1_4'].remarks[0]
  assert found['0101/disgust1_4'].type == 'micro'


@pytest.fixture
def samm_tree(tmp_path):
  long_trees.samm_long(
    tmp_path,
    [
      ('006', '006_1_2', 10, 30, 60, 'Micro - 1/2', '4+7'),
      ('006', '006_1_3', 20.4, 33.6, 190.5, 'Macro', '12'),
      ('006', '006_1_4', 0, 33.6, 90.5, 'Macro', '12'),
      ('028', '028_4_1', 5, -1, 50, 'Micro - 1/2', 'L12 or L14'),
      ('028', '028_4_2', 900, 905, 950, 'Micro - 1/2', '1'),
    ],
  )
  trees.samm(tmp_path, [('006', '006_1_2', 98, 105, 120, '4+7', 'Anger')])
  for name, pad in (('006_1', 4), ('028_4', 5), ('030_2', 4)):
    long_trees.frames(
      tmp_path / 'SAMM_longvideos' / name,
      range(1, 201),
      name + f'_{{:0{pad}d}}.jpg',
    )
  return tmp_path


def test_samm_events_lie_in_the_video_of_their_name(samm_tree):
  videos = {v.identity: v for v in samm_long.DATABASE.read(samm_tree)}
  assert {k: len(v.events) for k, v in videos.items()} == {
    'samm_long/006/006_1': 3,
    'samm_long/028/028_4': 2,
    'samm_long/030/030_2': 0,
  }


def test_samm_fractions_are_rounded_and_minus_1_is_no_apex(samm_tree):
  found = events_of(samm_long.DATABASE, samm_tree)
  event = found['006_1/006_1_3']
  assert (event.onset, event.apex, event.offset) == (20, 34, 191)
  assert 'rounded' in event.remarks[0] and event.type == 'macro'
  assert found['028_4/028_4_1'].apex is None


def test_samm_event_under_way_begins_with_the_first_frame(samm_tree):
  event = events_of(samm_long.DATABASE, samm_tree)['006_1/006_1_4']
  assert event.onset == 1
  assert any('under way at the first frame' in r for r in event.remarks)


def test_samm_event_behind_the_end_of_its_video_cannot_be_used(samm_tree):
  event = events_of(samm_long.DATABASE, samm_tree)['028_4/028_4_2']
  assert event.problem == (
    'frames 900 to 950 are not there: the video has 1 to 200'
  )


def test_samm_emotions_come_from_the_other_sheet_if_it_is_there(samm_tree):
  found = events_of(samm_long.DATABASE, samm_tree)
  assert found['006_1/006_1_2'].emotion == 'Anger'
  assert found['006_1/006_1_3'].emotion == ''
  (samm_tree / 'SAMM_Micro_FACS_Codes_v2.xlsx').unlink()
  found = events_of(samm_long.DATABASE, samm_tree)
  assert found['006_1/006_1_2'].emotion == ''


@pytest.fixture
def casme3_tree(tmp_path):
  long_trees.casme3_long(
    tmp_path,
    [
      ('spNO.1', 'a', 10, 14, 60, '4', 'Micro-expression'),
      ('spNO.1', 'A', 20, 40, 60, '12', 'Macro-expression'),
      ('spNO.1', 'b', 2, 12, 20, '12', 'Micro-expression'),
      ('spNO.1', 'b', 3, 4, 20, '12', 'neither'),
    ],
  )
  trees.casme3(tmp_path, [('spNO.1', 'a', 10, 14, 60, '4', 'disgust')])
  gone = {15, 16}
  long_trees.frames(
    tmp_path / 'part_A/spNO.1/a/color',
    [n for n in range(8, 71) if n not in gone],
    '{}.jpg',
  )
  long_trees.frames(tmp_path / 'part_A/spNo.1/b/color', range(8, 31), '{}.jpg')
  long_trees.frames(tmp_path / 'part_A/spNO.1/a/depth', range(8, 12), '{}.png')
  return tmp_path


def test_casme3_frames_are_known_by_their_numbers(casme3_tree):
  video = next(v for v in casme3_long.DATABASE.read(casme3_tree) if v.events)
  assert 14 in video.frames and 15 not in video.frames
  assert video.remarks == (
    'its first frame has the number 8',
    '2 of 63 frames are missing',
  )


def test_casme3_joins_emotions_and_knows_fast_rises(casme3_tree):
  found = events_of(casme3_long.DATABASE, casme3_tree)
  fast = found['a/a_10']
  # It lasts for 1.7 s, and rises in 4 frames.
  assert (fast.type, fast.emotion, fast.remarks) == ('micro', 'disgust', ())
  assert found['a/a_20'].type == 'macro'


def test_casme3_event_that_begins_before_the_frames_is_cut(casme3_tree):
  event = events_of(casme3_long.DATABASE, casme3_tree)['b/b_2']
  assert (event.onset, event.apex, event.offset) == (8, 12, 20)
  assert 'onset 2 lies outside of the video: 8 is taken' in event.remarks


def test_word_that_is_no_type_is_a_problem_that_names_the_cell(casme3_tree):
  event = events_of(casme3_long.DATABASE, casme3_tree)['b/b_3']
  assert "type is 'neither' in cell G5" in event.problem


@pytest.fixture
def casme3_c_tree(tmp_path):
  # Part A has the same columns, and another person 4.
  long_trees.casme3_long(
    tmp_path, [('spNO.4', 'a', 10, 14, 60, '4', 'Micro-expression')]
  )
  long_trees.casme3_c_long(
    tmp_path, [(4, 5, 9, 1), (4, 20, 70, 0), (5, 30, 36, 1)]
  )
  for name in ('04/a', '05/a', '01/a'):
    folder = tmp_path / 'part_C' / name
    long_trees.frames(folder / 'color', range(1, 81), '{}.jpg')
    long_trees.frames(folder / 'depth', range(1, 81), '{}.png')
  # Somebody's cut clips are no videos.
  long_trees.frames(tmp_path / 'ME_C/04/1/color', range(5, 10), '{}.jpg')
  return tmp_path


def test_casme3_c_has_both_types_by_number(casme3_c_tree):
  found = events_of(casme3_c_long.DATABASE, casme3_c_tree)
  types = {name: event.type for name, event in found.items()}
  assert types == {'04/5': 'micro', '04/20': 'macro', '05/30': 'micro'}
  assert not any(event.problem or event.apex for event in found.values())


def test_casme3_c_takes_micro_expressions_of_the_newer_sheet(casme3_c_tree):
  long_trees.casme3_c_long(
    casme3_c_tree,
    [(4, 5, 9, 1), (4, 20, 70, 0)],
    [(4, 1, 6, 9, '4', 'negative'), (1, 1, 40, 44, '1，2', 'surprise')],
  )
  videos = {v.name: v for v in casme3_c_long.DATABASE.read(casme3_c_tree)}
  assert [e.onset for e in videos['04'].events] == [6, 20]
  assert videos['04'].events[0].emotion == 'negative'
  # Nobody annotated the macro-expressions of person 1.
  own = videos['01'].events
  assert [e.onset for e in own if not e.problem] == [40]
  assert any('nobody annotated' in e.problem for e in own)
  assert videos['05'].events == () and not videos['05'].problem


@pytest.mark.parametrize(
  'part, apex, expected',
  [('total', None, 'micro'), ('rise', None, None), ('rise', 12, 'macro')],
)
def test_rule_of_a_type_needs_the_apex_only_for_the_rise(part, apex, expected):
  rule = long_videos.TypeRule(part, 8 / 30)
  assert rule.type_of(1, apex, 8, fps=30.0) == expected


def test_event_of_exactly_the_longest_time_is_a_micro_expression():
  rule = long_videos.TypeRule('total', 0.5)
  assert rule.type_of(1, None, 15, fps=30.0) == 'micro'
  assert rule.type_of(1, None, 16, fps=30.0) == 'macro'


@pytest.mark.parametrize(
  'database',
  [
    casme2_long.DATABASE,
    samm_long.DATABASE,
    casme3_long.DATABASE,
    casme3_c_long.DATABASE,
  ],
)
def test_empty_folder_names_what_is_expected(database, tmp_path):
  with pytest.raises(FileNotFoundError, match='expected folders as in'):
    database.read(tmp_path)


def test_preparing_long_videos_as_clips_says_what_they_are():
  with pytest.raises(ValueError, match='holds long videos, not clips'):
    corpus.find_corpus('samm_long')
