"""Charts of reliability and coverage show the numbers that they are given."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mejax.evaluation import calibration as calibration_lib
from mejax.pages import calibration


@pytest.fixture
def numbers():
  generator = np.random.default_rng(0)
  share = generator.dirichlet([1, 1, 1], (2, 90))
  truth = np.where(generator.random(90) < 0.6, share[0].argmax(-1), 0)
  people = np.repeat(list('abcdefghi'), 10)
  return calibration_lib.describe(truth, share, people)


def _marks(chart):
  """The centre of each mark, as shares of the axes."""
  found = re.findall(r'<circle[^>]* cx="([\d.]+)" cy="([\d.]+)"', chart)
  x, y = np.array(found, float).T
  return (x - 44) / 362, (280 - y) / 268


def test_each_bin_and_each_coverage_is_at_its_place(numbers):
  shown = calibration.describe(numbers)
  for chart, part, name in (
    ('reliability', numbers['bins'], 'confidence'),
    ('coverage', numbers['coverage'], 'share'),
  ):
    x, y = _marks(shown[chart])
    np.testing.assert_allclose(x, [each[name] for each in part], atol=1e-4)
    np.testing.assert_allclose(
      y, [each['accuracy'] for each in part], atol=1e-4
    )


def test_the_words_say_in_which_direction_the_models_err(numbers):
  bins = [{'share': 1.0, 'confidence': 0.9, 'accuracy': 0.6}]
  assert calibration.mean_difference(bins) == pytest.approx(0.3)
  assert calibration.describe(numbers)['half']['share'] >= 0.5
