"""The memory that a call needs is measured, also where it is let go again."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tests.benchmarks import scaling


@pytest.mark.skipif(sys.platform != 'linux', reason='needs /proc')
def test_growth_is_that_of_the_largest_moment_of_a_call():
  def call(megabytes):
    np.ones(megabytes * 2**17).sum()  # Let go at once.

  call(300)  # An earlier peak, which must not count.
  for megabytes in (40, 160):
    grew = scaling.measure_growth(lambda m=megabytes: call(m)) / 2**20
    # Each core may hold back some pages from what Linux counts.
    assert grew == pytest.approx(megabytes, rel=0.05, abs=16)
