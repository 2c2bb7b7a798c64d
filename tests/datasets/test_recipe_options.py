"""The options that a dataset tells make the same dataset again."""

from __future__ import annotations

import argparse
import dataclasses

import pytest

from mejax.cli import recipe_options as cli_options
from mejax.datasets import recipe_options
from mejax.datasets.recipe import Recipe

RECIPES = {
  'usual': Recipe(),
  'artnet': Recipe(
    levels=(1.0, 2.0, 4.5), size=64, faces='given', remove_head_motion=True
  ),
  'mmnet': Recipe(size=96, neighbours=2, mask_eyelids=True, apex='midpoint'),
  'older': Recipe(
    flow='tvl1_plain', levels=(2.0,), magnify='phase', strain='magnitude'
  ),
  'place': Recipe(which_face='412,230.5', flow='farneback'),
}


def test_every_field_of_a_recipe_is_tried_with_another_value():
  usual = RECIPES['usual']
  changed = {
    field.name
    for recipe in RECIPES.values()
    for field in dataclasses.fields(Recipe)
    if getattr(recipe, field.name) != getattr(usual, field.name)
  }
  # A file of weights is not known by its digest.
  assert changed == {f.name for f in dataclasses.fields(Recipe)} - {'weights'}


@pytest.mark.parametrize('name', RECIPES)
def test_the_options_are_parsed_to_the_recipe_that_was_described(name):
  options = recipe_options.options_of(RECIPES[name].describe())
  parser = argparse.ArgumentParser()
  cli_options.add_recipe(parser)
  read = cli_options.recipe_of(parser.parse_args(options)) or Recipe()
  assert read == RECIPES[name]
  assert (options == []) == (name == 'usual')


def test_the_release_has_its_own_option_for_face_points():
  released = {'units': 'minmax255', 'size': 28, 'flow': {'method': 'released'}}
  for source, options in (
    ('file points 28.csv', ['--landmarks', 'points 28.csv']),
    ('release defaults', []),
  ):
    metadata = released | {'landmark_source': source}
    assert recipe_options.options_of(metadata) == options
