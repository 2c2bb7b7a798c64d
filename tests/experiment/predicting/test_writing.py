"""What the terminal says of a table of predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mejax.experiment.predicting import writing


def table_of(probabilities, abstained):
  count = len(probabilities)
  table = pd.DataFrame(
    {
      'file': ['talk'] * count,
      'onset': range(count),
      'offset': range(9, count + 9),
      'most_like': ['surprise'] * count,
      'probability': probabilities,
      'abstained': pd.array(abstained, 'boolean'),
      'warnings': [''] * count,
    }
  )
  table.attrs['cautions'] = []
  return table


def test_answers_below_half_are_counted_with_what_can_be_asked_for():
  said = writing.summary(
    table_of([0.48, 0.9, np.nan, 0.3], [False, False, None, True])
  )
  assert '1 of these answers has a probability below 50 %' in said
  assert '--abstain 0.5' in said
  assert '--abstain' not in writing.summary(table_of([0.9, 0.3], [False, True]))
