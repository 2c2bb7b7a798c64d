"""The overview of a dataset shows names as they are."""

from __future__ import annotations

import hypothesis

from mejax.pages import dataset
from tests.pages import conftest
from tests.pages import html_page


@hypothesis.given(html_page.MARKUP)
@hypothesis.example(html_page.SCRIPT)
@hypothesis.settings(max_examples=10)
def test_no_tag_of_the_data_survives(words):
  def tags(words):
    names = {
      key: f'a{words}'
      for key in ('corpus', 'subject', 'clip', 'emotion', 'apex_source')
    }
    tiles = [
      dataset.Tile.of_example(
        conftest.example(motion=motion) | names | {'clip': f'{motion}{words}'},
        'pixel',
      )
      for motion in (1, 2)
    ]
    overview = dataset.Overview(
      name=f'a{words}',
      metadata=conftest.METADATA
      | {
        f'key{words}': words,
        'warnings': {tiles[0].identity: [f'a{words}']},
        'notes': {tiles[0].identity: [f'b{words}']},
        'skipped': [{'identity': words, 'emotion': words, 'reason': words}],
      },
      tiles=tiles,
      page_of={tile.identity: 0 for tile in tiles},
      files=['index.html'],
      command=f'a{words}',
    )
    return html_page.count_tags(dataset.render(overview, 0))

  assert tags(words) == tags('')
