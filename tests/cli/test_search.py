"""What `mejax sweep --help` says of spaces is what a space may do."""

from __future__ import annotations

import pathlib

import pytest

from mejax import experiment
from mejax.cli import search
from mejax.experiment import configuration

spaces = pytest.importorskip('mejax.experiment.search.spaces')

ROOT = pathlib.Path(__file__).parent.parent.parent


def test_help_and_page_list_every_key_that_a_space_may_choose():
  config = experiment.load_config('cnn')

  def accepts(key, value):
    try:
      spaces.load(lambda trial: trial.suggest_categorical(key, [value]), config)
    except ValueError as error:
      assert 'cannot be searched' in str(error)
      return False
    return True

  top = {key: each for key, each in configuration.leaves(config)}
  accepted = [
    key for key, each in top.items() if '.' not in key and accepts(key, each)
  ]
  assert 'microbatch' in accepted and 'num_folds' not in accepted
  page = (ROOT / 'docs/how_to/search.md').read_text()
  text = search._teach_spaces()
  static = text.partition('model.FIELD, ')[2].partition('. ')[0]
  assert set(static.replace(',', ' ').split()) == {'view.OPTION', *accepted}
  for key in accepted:
    assert f'`{key}`' in page


def test_help_says_where_there_is_no_un_nested_best():
  assert 'unless --sampler tpe or --halving is given' in ' '.join(
    search._teach_spaces().split()
  )
