"""The page of what was spotted."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mejax.pages import spotting
from tests.pages import html_page


def row(start, kind='micro', regions='chin'):
  times = {'onset_s': start, 'apex_s': start + 0.2, 'offset_s': start + 0.4}
  frames = {k[:-2]: round(30 * v) for k, v in times.items()}
  other = {'type': kind, 'score': 12.0, 'regions': regions, 'flags': 'blink'}
  return times | frames | other


def recording(**values):
  times = np.arange(0, 150, 1 / 30)
  strength = np.ones(len(times))
  strength[(times > 70) & (times < 80)] = np.nan
  given = {
    'name': 'talk',
    'seconds': 150.0,
    'fps': 30.0,
    'candidates': [row(10.0), row(130.0, 'macro', '<b>chin</b>')],
    'times': times,
    'strength': strength,
    'blinks': [(5.0, 5.4)],
    'absent': [(70.0, 80.0)],
    'threshold': 9.0,
    'remarks': ['It has 15 frames a second.'],
  }
  return spotting.Recording(**(given | values))


def test_page_shows_candidates_remarks_and_stretches_without_a_face():
  page = spotting.page([recording()])
  assert page.count('class="bar oracle"') == 1
  assert page.count('class="bar honest"') == 1
  assert page.count('class="bar baseline"') == 1
  # The stretch lies in one of three minutes.
  assert page.count('class="away"') == 1
  assert 'It has 15 frames a second.' in page
  assert '0:10.20' in page and '300–306–312' in page
  assert 'The faint line is the score' in page
  assert 'those of the picture, not of the person' in html_page.Page(page).text
  without = spotting.page([recording(threshold=0.0)])
  assert 'The faint line' not in without and 'axis faint' not in without
  assert '<td>blink</td>' in page


def test_scores_of_a_network_are_probabilities_wherever_they_stand():
  black = np.zeros((40, 30, 3), np.uint8)
  rows = [row(10.0) | {'score': 0.874}, row(130.0, 'macro') | {'score': 0.5}]
  one = recording(
    candidates=rows,
    pictures=[(black, black), None],
    is_by_network=True,
    threshold=0.0,
  )
  page = spotting.page([one])
  text = html_page.Page(page).text
  assert text.count('87 %') == 3  # Table, picture and tip of the timeline.
  assert text.count('50 %') == 2
  assert 'Scores are probabilities' in text
  assert 'Scores are in units' not in text
  assert 'set on rendered people' not in text
  usual = html_page.Page(spotting.page([recording()])).text
  assert 'Scores are in units of noise' in usual


def test_a_timeline_takes_rows_without_a_score():
  drawn = str(
    spotting.timeline(recording(candidates=[row(10.0) | {'score': None}]))
  )
  assert '0:10.00 to 0:10.40: chin' in drawn and 'score' not in drawn


def test_candidates_have_pictures_but_those_without():
  black = np.zeros((40, 30, 3), np.uint8)
  page = spotting.page([recording(pictures=[(black, black), None])])
  assert page.count('<li class="card oracle">') == 1
  assert page.count('<li class="card honest">') == 0
  assert '1 candidate with the lowest' in page
  assert 'class="cards"' not in spotting.page([recording()])


def test_many_regions_are_counted():
  names = 'chin, glabella, left brow, right brow, left cheek'
  assert 'chin, glabella, left brow and 2 more<' in spotting.page(
    [recording(candidates=[row(10.0, regions=names)])]
  )


def test_text_of_a_recording_cannot_become_markup():
  page = spotting.page([recording(name='<script>x</script>')])
  assert '<script>' not in page and '<b>chin</b>' not in page


def test_each_minute_has_its_row_and_marks_stay_inside():
  drawing = str(spotting.timeline(recording()))
  assert 'height="436"' in drawing
  assert [t for t in ('0:00', '1:00', '2:00') if f'>{t}<' in drawing] == [
    '0:00',
    '1:00',
    '2:00',
  ]
  for x, width in re.findall(
    r'<rect[^>]* x="([\d.]+)"[^>]*width="([\d.]+)"', drawing
  ):
    assert 64 <= float(x) and float(x) + float(width) <= 862


def test_curve_has_no_point_where_there_is_no_face():
  drawing = str(spotting.timeline(recording(strength=np.full(4500, np.nan))))
  assert 'curve' not in drawing


def heights(strength):
  drawing = str(
    spotting.timeline(
      recording(seconds=4.0, times=np.arange(4.0), strength=np.array(strength))
    )
  )
  path = re.search(r'class="curve[^"]*" d="([^"]*)"', drawing)[1]
  return [float(y) for y in re.findall(r' ([\d.]+)', path)], drawing


def test_the_largest_movement_is_at_the_top_and_none_is_cut():
  found, drawing = heights([0.0, 58.0, 102.0, 1.0])
  assert found[2] < found[1] < found[3] < found[0]
  # The scale is a square root, and says its largest number and the threshold.
  assert (found[0] - found[1]) / (found[0] - found[2]) == pytest.approx(
    np.sqrt(58 / 102), abs=0.01
  )
  assert '>102</text>' in drawing and '>9</text>' in drawing
  assert '>40</text>' in heights([0.0, 1.0, 1.0, 1.0])[1]


def test_labels_do_not_touch():
  texts = re.findall(
    r'<text class="small" x="([\d.]+)" y="([\d.]+)"(?: text-anchor="(\w+)")?>'
    '([^<]*)<',
    str(spotting.timeline(recording())),
  )
  assert len(texts) > 10
  boxes = []
  for x, y, anchor, words in texts:
    wide, x, y = 7 * len(words), float(x), float(y)
    left = x - wide * {'': 0, 'middle': 0.5, 'end': 1}[anchor]
    boxes.append((left, left + wide, y - 12.5, y + 1))
  for i, one in enumerate(boxes):
    for two in boxes[:i]:
      apart = one[1] <= two[0] or two[1] <= one[0]
      assert apart or one[3] <= two[2] or two[3] <= one[2], (one, two)


def test_recording_without_candidates_says_so():
  assert 'Nothing stands out' in spotting.page([recording(candidates=[])])


def test_several_recordings_have_a_heading_each():
  page = spotting.page([recording(), recording(name='walk')])
  assert page.count('<h2>') == 2


@pytest.mark.parametrize(
  'seconds, decimals, shown',
  [
    (0, 0, '0:00'),
    (125, 0, '2:05'),
    (59.999, 2, '1:00.00'),
    (3.4, 2, '0:03.40'),
  ],
)
def test_times_are_minutes_and_seconds(seconds, decimals, shown):
  assert spotting.clock(seconds, decimals) == shown


def test_a_column_of_nothing_is_left_out():
  with_flags = html_page.Page(spotting.page([recording()])).text
  rows = [row(10.0) | {'flags': ''}, row(130.0, 'macro') | {'flags': ''}]
  page = spotting.page([recording(candidates=rows)])
  assert 'beside it' in with_flags
  assert 'beside it' not in html_page.Page(page).text
  table = page[page.index('<tbody>') : page.index('</tbody>')]
  assert table.count('<td>') == 2 * page.count('<th scope="col">') == 12
