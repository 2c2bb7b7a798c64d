"""One function builds every model, and tells what it does not know."""

from __future__ import annotations

import pytest

from mejax import models
from mejax.models import attention
from tests import own_parts


def test_a_preset_gives_the_fields_and_single_ones_are_replaced():
  model = models.make('htnet', 'regions_small', dim=16, num_classes=5)
  preset = models.MODELS['htnet'].presets['regions_small']
  assert (model.patch_size, model.depths) == (2, preset['depths'])
  assert (model.dim, model.num_classes) == (16, 5)


@pytest.mark.parametrize('name', models.MODELS)
def test_the_default_preset_is_one_of_the_table(name):
  known = models.MODELS[name]
  assert known.default in known.presets
  assert models.make(name) == models.make(name, known.default)
  assert isinstance(models.make(name), known.module)


@pytest.mark.parametrize(
  'name, preset',
  [
    (name, preset)
    for name, known in models.MODELS.items()
    for preset in known.presets
  ],
)
def test_the_defaults_of_a_model_make_it_again(name, preset):
  found = models.defaults(name, preset)
  assert models.make(name, preset, **found) == models.make(name, preset)
  if 'attention_fn' in found:
    assert found['attention_fn'] == 'softmax'


def test_of_a_model_of_ones_own_no_defaults_are_known():
  assert models.defaults('tests.own_parts:Scaled') == {}


def test_lists_become_tuples_so_that_a_model_can_be_hashed():
  model = models.make('htnet', 'tiny', depths=[1, 1])
  assert hash(model) == hash(models.make('htnet', 'tiny'))


def test_a_model_of_ones_own_is_named_by_its_module():
  model = models.make('tests.own_parts:Scaled', num_classes=4, widths=[3, 2])
  assert model == own_parts.Scaled(num_classes=4, widths=(3, 2))


def test_functions_are_given_by_their_names_too():
  names = {
    'softmax': attention.softmax,
    'tests.own_parts:double_softmax': own_parts.double_softmax,
  }
  for name, function in names.items():
    model = models.make('htnet', 'tiny', attention_fn=name)
    assert model == models.make('htnet', 'tiny', attention_fn=function)


@pytest.mark.parametrize(
  ('name', 'fields', 'words'),
  [
    ('htnett', {}, "Unknown model 'htnett'.*mean 'htnet'.*package.module:name"),
    ('tests.own_parts:No', {}, "'tests.own_parts:No' cannot be imported"),
    ('no.such:Model', {}, "'no.such:Model' cannot be imported"),
    ('htnet', {'preset': 'tny'}, "HTNet has no preset 'tny'.*mean 'tiny'"),
    ('htnet', {'dimm': 3}, "HTNet has no field 'dimm'.*mean 'dim'.*patch_size"),
    ('htnet:tiny', {}, r"is no model. A preset.*make\('htnet', 'tiny'\)"),
    ('htnet', {'attention_fn': 'sofmax'}, "attention_fn.*mean 'softmax'"),
    ('htnet', {'attention_fn': 'no.such:f'}, "'no.such:f' cannot be imported"),
    ('htnet', {'parent': None}, "HTNet has no field 'parent'"),
  ],
)
def test_what_is_unknown_is_an_error_with_the_closest_name(name, fields, words):
  with pytest.raises(ValueError, match=words):
    models.make(name, **fields)
