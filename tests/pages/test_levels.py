"""What the page of a run tells of amplification levels."""

from __future__ import annotations

import numpy as np

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
  assert shown.count('<title>') == 8
