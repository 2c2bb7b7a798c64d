"""The contact sheet of a clip shows what the example holds."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest

from mejax.pages import clip
from tests.pages import conftest
from tests.pages import html_page
from tests.pages.conftest import METADATA
from tests.pages.conftest import SIDE


def read(example, warnings=(), notes=(), **metadata) -> html_page.Page:
  page = clip.render(
    example,
    METADATA | metadata,
    dataset='made',
    warnings=warnings,
    notes=notes,
  )
  return html_page.Page(page)


def test_amplified_motion_has_a_deeper_colour_on_the_one_scale():
  page = read(conftest.example(motion=1.5))
  assert page.legends == [('3', '0.2')]
  first, second = page.pictures('motion from the onset')
  # Red of half and of full depth.
  np.testing.assert_array_equal(np.unique(second[..., 1:]), [0])
  assert (first[..., 0] > second[..., 0]).all()
  depth = 1 - first[..., 1] / first[..., 0]
  np.testing.assert_allclose(depth, 0.5, atol=0.01)
  assert '3.00 px , 2.0 times as far as without' in page.text
  light, dark = (p.mean() for p in page.pictures('strain'))
  assert light > dark


def test_frames_are_shown_as_they_are():
  example = conftest.example()
  page = read(example)
  for name in ('onset', 'apex'):
    (shown,) = page.pictures(f'{name}, aligned')
    np.testing.assert_array_equal(shown, example[name])
  for i, factor in enumerate((1, 2)):
    (shown,) = page.pictures(f'apex, amplified {factor} times')
    np.testing.assert_array_equal(shown, example['amplified'][i])
  assert '9 apex (annotated)' in page.text


def test_the_error_against_true_motion_is_in_pixels_at_each_level():
  truth = np.zeros((SIDE, SIDE, 2), np.float32)
  truth[..., 0], truth[..., 1] = 1, 0.5
  page = read(conftest.example(true_flow=truth))
  assert len(page.pictures('motion from the onset')) == 4
  assert 'the flow is 0.50 px off' in page.text
  assert 'the flow is 1.00 px off' in page.text


def test_without_head_motion_the_truth_is_that_of_the_expression():
  truth = {
    'true_flow': np.full((SIDE, SIDE, 2), 9, np.float32),
    'expression_flow': np.tile(np.float32([1, 0]), (SIDE, SIDE, 1)),
  }
  page = read(conftest.example(**truth), remove_head_motion=True)
  assert 'True expression × level' in page.text
  assert page.text.count('the flow is 0.00 px off') == 2


def test_masked_pixels_are_no_error():
  example = conftest.example(
    true_flow=np.tile(np.float32([1, 0]), (SIDE, SIDE, 1))
  )
  example['flow'][:, :20] = 0
  page = read(example, mask_eyelids=True)
  assert page.text.count('the flow is 0.00 px off') == 2


def test_without_amplification_no_method_of_it_is_named():
  example = conftest.example()
  for key in ('flow', 'amplified'):
    example[key] = example[key][:1]
  page = read(example, levels=[1.0], magnify={'method': 'none'})
  assert 'none' not in page.text
  assert 'amplification' not in page.text
  assert 'phase amplification' in read(conftest.example()).text


def test_stored_neighbours_are_shown_in_their_order():
  frames = np.random.default_rng(0).integers(
    0, 255, (8, SIDE, SIDE, 3), np.uint8
  )
  page = read(conftest.example(onset_frames=frames[:3], apex_frames=frames[3:]))
  names = ['onset', 'onset +1', 'onset +2']
  names += ['apex −2', 'apex −1', 'apex', 'apex +1', 'apex +2']
  for name, frame in zip(names, frames, strict=True):
    (shown,) = page.pictures(name)
    np.testing.assert_array_equal(shown, frame)


def test_ready_made_flow_shows_each_channel_and_no_pixels():
  example = conftest.ready_made()
  page = read(example, units='minmax255', levels=[1.0])
  flow = example['flow'][0].astype(np.uint8)
  for i, name in enumerate(('u, to the right', 'v, down', 'strain')):
    (shown,) = page.pictures(name)
    np.testing.assert_array_equal(shown[..., 0], flow[..., i])
  assert ' px' not in page.text
  assert page.legends == []


@pytest.mark.parametrize(
  ('corpus', 'words'),
  [
    ('casme2', 'licensed databases (casme2): do not pass it on'),
    ('video', 'only if they agree'),
    ('synthetic', 'no real person is shown'),
  ],
)
def test_the_page_says_whom_it_may_be_shown_to(corpus, words):
  assert words in read(conftest.example(corpus=corpus)).text


def test_words_of_a_database_are_no_html():
  page = read(
    conftest.example(emotion='<b>&', clip='"><i>'),
    warnings=['a < b & c'],
    notes=['d < e'],
  )
  assert '<b>&' in page.text
  assert '"><i>' in page.text
  assert 'a < b & c' in page.text
  assert 'd < e' in page.text


@hypothesis.given(html_page.MARKUP)
@hypothesis.example(html_page.SCRIPT)
@hypothesis.settings(max_examples=10)
def test_no_tag_of_the_data_survives(words):
  def tags(words):
    example = conftest.example() | {
      key: f'a{words}'
      for key in ('corpus', 'subject', 'clip', 'emotion', 'apex_source')
    }
    metadata = METADATA | {
      'strain': words,
      'flow': {'method': words},
      'landmark_source': f'detect: {words}',
      'magnify': {'method': f'phase{words}'},
    }
    page = clip.render(
      example,
      metadata,
      dataset=f'a{words}',
      warnings=[f'a{words}'],
      notes=[f'b{words}'],
    )
    return html_page.count_tags(page)

  assert tags(words) == tags('')
