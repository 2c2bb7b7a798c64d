"""What the page of a run tells of amplification levels."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mejax.evaluation import levels as levels_lib
from mejax.pages import frame
from mejax.pages import levels

ALPHAS = (1.0, 4.0)


def test_the_section_tells_every_choice_of_levels_and_every_subject():
  source = np.random.default_rng(0)
  labels = source.integers(0, 3, 40)
  groups = np.repeat([f's/{i}' for i in range(8)], 5)
  right = np.stack([labels, labels])
  wrong = np.where(source.random((2, 40)) < 0.5, (right + 1) % 3, right)
  weights = source.dirichlet([1, 1], (2, 40))
  numbers = {
    'levels': ALPHAS,
    'scores': levels_lib.scores(
      {ALPHAS: right, (1.0,): wrong, (4.0,): right},
      labels,
      groups,
      num_classes=3,
    ),
    'subjects': levels_lib.per_subject(weights, groups, ALPHAS),
  }
  shown = frame.render('levels.html', levels=levels.describe(numbers))
  assert 'as it is, alone' in shown
  assert '4 times, alone' in shown
  assert f'{numbers["scores"][1]["uf1"]:.3f}' in shown
  assert all(f's/{i}' in shown for i in range(8))
  # A bar for each subject, on wide and on narrow screens.
  assert shown.count('<title>') == 2 * 8
  assert 'each clip was read' not in shown


@pytest.mark.parametrize('motion', [(0.1, 1.0, 10.0), (0.0, 0.0, 0.0)])
def test_the_picture_shows_each_factor_over_the_motion_of_its_clip(motion):
  factors = np.array([[[4.0], [2.0], [1.0]]])
  clips = levels_lib.per_clip(factors, np.array(motion), ['a<', 'b', 'c'])
  numbers = {'levels': [1, 2, 4], 'clips': clips, 'unit': 'px'}
  picture = str(levels.factors(numbers))
  dots = re.findall(r'<circle[^>]* cx="([\d.]+)" cy="([\d.]+)"', picture)
  assert len(dots) == 3
  x, y = np.array(dots, float).T
  lines = re.findall(r'<line class="grid"[^>]* y1="([\d.]+)"', picture)
  # The lines are those of 1, 2 and 4: even steps, the highest factor on top.
  np.testing.assert_allclose(y, np.array(lines, float)[::-1], atol=0.02)
  np.testing.assert_allclose(np.diff(y), np.diff(y)[0], atol=0.05)
  assert y[0] < y[1] < y[2]
  if motion[0]:
    np.testing.assert_allclose(np.diff(x), np.diff(x)[0], atol=0.05)
    assert x[0] < x[1] < x[2]
  assert 'a&lt;: read at 4.00 times' in picture
