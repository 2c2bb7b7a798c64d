"""The page of what motions are most like."""

from __future__ import annotations

import numpy as np

from mejax.pages import notice
from mejax.pages import pictures
from mejax.pages import predicting
from tests.pages import html_page

CLASSES = ('negative', 'positive', 'surprise')
ABOUT = {'name': 'mine', 'generated': False, 'members': 3, 'units': {}}
TILE = pictures.png(np.zeros((4, 4, 3), np.uint8))


def row(onset=12, shares=(0.2, 0.1, 0.7), **values):
  return {
    'file': 'talk', 'type': 'micro', 'onset': onset, 'apex': onset + 6,
    'offset': onset + 12, 'onset_s': onset / 30, 'apex_s': (onset + 6) / 30,
    'offset_s': (onset + 12) / 30, 'motion_noise': 14.0, 'motion_px': 0.8,
    'face_px': 52.0, 'regions': 'chin', 'warnings': '',
    **{f'p_{k}': v for k, v in zip(CLASSES, shares, strict=True)},
    **values,
  }  # fmt: skip


def result(rows=None, name='talk', cards=1, **values):
  rows = [row()] if rows is None else rows
  tiles = [{'caption': 'onset', 'source': TILE, 'over': ''}]
  times = np.arange(90) / 30
  return {
    'name': name,
    'fps': 30.0,
    'frames': 90,
    'rows': rows,
    'cards': [
      {'row': each, 'apex': 3, 'tiles': tiles} for each in rows[:cards]
    ],
    'curves': {
      'seconds': 3.0, 'times': times.tolist(), 'strength': [None] * 90,
      'blinks': [], 'absent': [], 'threshold': 9.0,
    },
    **values,
  }  # fmt: skip


def page(*results, abstain=0.0, **about):
  return predicting.page(
    results, classes=CLASSES, abstain=abstain, about=ABOUT | about
  )


def words(text):
  return html_page.Page(text).text


def test_page_names_the_class_and_says_whom_it_is_not_for():
  text = page(result())
  said = words(text)
  assert 'most like surprise' in said and '70 %' in said
  assert notice.RESPONSIBLE_USE in said
  assert 'never what a person feels' in said
  assert 'mean of 3 trainings' in said and 'generated' not in said
  # The timeline is explained as that of `mejax spot` is.
  assert 'The faint line is the score' in said and 'a square root' in said
  assert 'those of the picture, not of the person' in said
  assert text.count('class="bar oracle"') == 1


def test_of_a_model_of_generated_people_the_head_of_the_page_says_so():
  said = words(page(result(), generated=True))
  assert said.count(notice.GENERATED) == 1
  assert said.index(notice.GENERATED) < said.index('most like surprise')


def test_below_the_probability_that_is_asked_for_there_is_no_answer():
  said = words(page(result(), abstain=0.8))
  assert 'undecided' in said and 'most like surprise' not in said
  assert 'Below 80 % it gives no answer' in said


def test_a_recording_without_a_movement_says_why():
  broken = {'file': 'wall', 'warnings': 'no face <b>'}
  text = page(result(), result([broken], 'wall', 0, frames=0, curves={}))
  assert text.count('No face &lt;b&gt;') == 2  # Its section and the table.
  assert 'No face <b>' in words(text)


def test_an_answer_below_half_says_so_and_what_can_be_asked_for():
  rows = [row(shares=(0.17, 0.35, 0.48)), row(40)]
  text = page(result(rows, cards=2))
  said = words(text)
  assert 'most like surprise, at only 48 %' in said
  assert '1 movement has no class with half of the probability' in said
  assert '--abstain .5' in said
  for said in (words(page(result())), words(page(result(rows), abstain=0.5))):
    assert 'at only' not in said and '--abstain' not in said


def test_what_holds_for_a_recording_stands_there_and_not_beside_each():
  common, own = 'The picture is turned', 'The lids move'
  rows = [
    row(onset, warnings=f'{own}; {common}', own_warnings=own)
    for onset in (10, 30)
  ]
  said = words(page(result(rows, cards=2, remarks=[common])))
  assert said.count(common) == 1
  assert said.count(own) == 4  # Two movements, each in the table as well.


def test_the_curve_is_explained_once_and_colours_have_a_key():
  text = page(result(), result(name='other'))
  said = words(text)
  assert said.count('The faint line is the score') == 1
  assert said.count('red to the right, cyan to the left') == 1
  assert f'{100 * predicting.FULL_FALL:.0f} points' in said
  assert 'red to the right' not in words(page(result(cards=0)))


def test_a_larger_fall_has_more_colour_and_none_has_none():
  grey = np.full((2, 3, 1), 200.0)
  pale, full = (
    predicting.veiled(grey, np.full((2, 3), value)).astype(int)
    for value in (0.1, 1.0)
  )
  none = predicting.veiled(grey, np.zeros((2, 3)))
  assert (none == 200).all()
  assert abs(full - 200).sum() > 2 * abs(pale - 200).sum() > 0


def test_names_and_warnings_cannot_become_markup():
  nasty = html_page.SCRIPT
  text = page(result([row(warnings=nasty)], nasty))
  assert '<script>' not in text
  assert nasty in ' '.join(html_page.Page(text).words)


def test_a_page_has_so_many_pictures_and_counts_the_others(monkeypatch):
  monkeypatch.setattr(predicting, 'MOST', 2)
  rows = [row(onset) for onset in (10, 30, 50)]
  text = page(result(rows, cards=3))
  assert text.count('<article') == 2
  assert 'Pictures of 1 further movement' in words(text)


def test_action_units_are_told_by_a_model_that_knows_them():
  shares = {'au_12': 0.9, 'au_4': 0.2, 'au_9': 0.2}
  thresholds = {'12': 0.5, '4': 0.3, '9': 0.1}
  said = words(page(result([row(**shares)]), units=thresholds))
  assert '12 (90 %), 9 (20 %)' in said and '4 (20 %)' not in said


def test_a_remark_is_a_sentence_in_which_flags_are_code():
  remark = 'nothing stands out; of <one> movement, ask for --whole'
  text = page(result(rows=[], cards=0, remarks=[remark]))
  told = 'of &lt;one&gt; movement, ask for <code class="flag">--whole</code>.'
  assert f'Nothing stands out; {told}' in text
