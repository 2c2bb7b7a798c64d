"""Two sources of a dataset, which `prepare` asks in the same way."""

from __future__ import annotations

import inspect

import pytest

from mejax.datasets import sources
from mejax.datasets.recipe import Recipe

HOW = {'allow_missing': False, 'workers': None, 'progress': False}


def test_flow_that_is_ready_made_is_told_from_frames():
  assert isinstance(
    sources.choose_source(['htnet_release'], 'HTNet', None, None, **HOW),
    sources.ReadyMadeFlow,
  )
  frames = sources.choose_source(
    ['casme2', 'samm'], ['one', 'two'], None, None, **HOW
  )
  assert isinstance(frames, sources.Frames)
  assert frames.recipe == Recipe()


def test_both_kinds_answer_the_same_questions():
  def questions(kind):
    methods = inspect.getmembers(kind, inspect.isfunction)
    return {name for name, _ in methods if not name.startswith('_')}

  assert questions(sources.Frames) == questions(sources.ReadyMadeFlow)


@pytest.mark.parametrize(
  ('corpora', 'places', 'recipe'),
  [
    (['htnet_release', 'casme2'], ['one', 'two'], None),
    (['htnet_release'], ['one', 'two'], None),
    (['htnet_release'], ['one'], Recipe(size=64)),
  ],
)
def test_ready_made_flow_goes_with_nothing_else(corpora, places, recipe):
  with pytest.raises(ValueError, match='ready-made flow.*prepare it alone'):
    sources.choose_source(corpora, places, None, recipe, **HOW)


def test_fewer_processes_than_none_are_refused():
  with pytest.raises(ValueError, match='workers is -1; expected 0 or more'):
    sources.choose_source(
      ['casme2'], 'one', None, None, **{**HOW, 'workers': -1}
    )
