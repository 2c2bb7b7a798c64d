"""JSON values from anywhere are what is expected, or refused by name."""

from __future__ import annotations

import json

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

from mejax import forms

FORM = {
  'name': str,
  'size?': int,
  'levels': [forms.NUMBER],
  'notes': {str: [str]},
  'clips': [{'identity': str, 'by_choice?': bool}],
}
GOOD = {
  'name': 'a', 'size': 1, 'levels': [1, 2.5], 'notes': {'b': ['c']},
  'clips': [{'identity': 'd', 'by_choice': True}, {'identity': 'e'}],
  'more': None,
}  # fmt: skip


def test_what_has_the_form_passes():
  forms.check(GOOD, FORM)
  forms.check({k: v for k, v in GOOD.items() if k != 'size'}, FORM)


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    ({'name': 5}, '^name is 5; expected a text$'),
    ({'size': True}, '^size is True; expected an integer$'),
    ({'levels': 3}, '^levels is 3; expected a list$'),
    (
      {'levels': [1, '2']},
      r"^levels\[1\] is '2'; expected an int",
    ),
    ({'notes': []}, r'^notes is \[\]; expected an object$'),
    ({'notes': {'b': 'c'}}, "^notes.b is 'c'; expected a list$"),
    ({'clips': [{}]}, r'^clips\[0\].identity is missing$'),
    (
      {'clips': [{'identity': 'x' * 999}, 1]},
      r'^clips\[1\] is 1; expe',
    ),
    ({'name': ['x' * 999]}, r"^name is \['x{58}\.\.\.; expected a text$"),
  ],
)
def test_what_differs_is_named(change, said):
  with pytest.raises(ValueError, match=said):
    forms.check(GOOD | change, FORM)


JSON = strategies.recursive(
  strategies.none()
  | strategies.booleans()
  | strategies.integers()
  | strategies.floats(allow_nan=False)
  | strategies.text(max_size=3),
  lambda each: (
    strategies.lists(each, max_size=3)
    | strategies.dictionaries(
      strategies.sampled_from([*GOOD, 'identity', 'b']), each, max_size=4
    )
  ),
  max_leaves=8,
)


@hypothesis.given(JSON)
@hypothesis.settings(max_examples=100)
def test_nothing_but_a_value_error_comes_of_any_json(content):
  content = json.loads(json.dumps(content))
  try:
    forms.check(content, FORM)
  except ValueError:
    return
  assert isinstance(content['name'], str)
  assert all(isinstance(clip['identity'], str) for clip in content['clips'])


ARRAYS = {'a': np.zeros((2, 3)), 'b': np.zeros(3, int), 'odd': np.array('x')}


def test_arrays_of_a_form_pass_with_their_sizes():
  form = {'a': ('f', 'xy'), 'b': ('iu', 'y'), 'c?': ('U', 'x')}
  assert forms.check_arrays(ARRAYS, form) == {'x': 2, 'y': 3}


@pytest.mark.parametrize(
  ('form', 'said'),
  [
    ({'c': ('f', 'x')}, '^c is missing$'),
    ({'a': ('iu', 'xy')}, r'^a is float64\[2, 3\], which does not fit'),
    ({'a': ('f', 'x')}, '^a is float64'),
    ({'a': ('f', 'xx')}, '^a is float64'),
    ({'a': ('f', 'xy'), 'b': ('i', 'x')}, '^b is int64.3., which does not'),
  ],
)
def test_arrays_of_another_form_are_named(form, said):
  with pytest.raises(ValueError, match=said):
    forms.check_arrays(ARRAYS, form)
