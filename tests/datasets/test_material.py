"""Two kinds of material that `prepare` asks in the same way."""

from __future__ import annotations

import inspect

import pytest

from mejax.datasets import material
from mejax.datasets.ready_made import ReadyMade
from mejax.datasets.recipe import Recipe

HOW = {'allow_missing': False, 'workers': None, 'progress': False}


def test_flow_that_is_ready_made_is_told_from_frames():
  assert isinstance(
    material.of(['htnet_release'], 'HTNet', None, None, **HOW), ReadyMade
  )
  frames = material.of(['casme2', 'samm'], ['one', 'two'], None, None, **HOW)
  assert isinstance(frames, material.Frames)
  assert frames.recipe == Recipe()


def test_both_kinds_answer_the_same_questions():
  def questions(kind):
    methods = inspect.getmembers(kind, inspect.isfunction)
    return {name for name, _ in methods if not name.startswith('_')}

  assert questions(material.Frames) == questions(ReadyMade)


@pytest.mark.parametrize(
  ('corpora', 'sources', 'recipe'),
  [
    (['htnet_release', 'casme2'], ['one', 'two'], None),
    (['htnet_release'], ['one', 'two'], None),
    (['htnet_release'], ['one'], Recipe(size=64)),
  ],
)
def test_ready_made_flow_goes_with_nothing_else(corpora, sources, recipe):
  with pytest.raises(ValueError, match='ready-made flow.*prepare it alone'):
    material.of(corpora, sources, None, recipe, **HOW)


def test_fewer_processes_than_none_are_refused():
  with pytest.raises(ValueError, match='workers is -1; expected 0 or more'):
    material.of(['casme2'], 'one', None, None, **{**HOW, 'workers': -1})
