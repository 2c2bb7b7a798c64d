"""What a training took is told in units that one can read."""

from __future__ import annotations

import pytest

from mejax.pages import cost

TOOK = {
  'seconds': [100.0, 44.0], 'device': 'cpu', 'devices': 2, 'cores': 2,
  'peak_bytes': 3 * 2**29, 'trials': 68, 'parameters': 24099, 'flops': 2.8e6,
}  # fmt: skip


def test_each_fact_has_its_unit():
  assert cost.describe(TOOK) == [
    ('2 min', 'on 2 CPU cores in 2 parts'),
    ('2.1 s', 'each of 68 trainings'),
    ('1.5 GiB', 'of memory at most'),
    ('24,099', 'parameters'),
    ('2.8 M', 'FLOPs a prediction'),
  ]


def test_an_accelerator_has_its_name():
  took = TOOK | {'device': 'NVIDIA H200', 'devices': 1, 'seconds': [7000.0]}
  assert cost.describe(took)[0] == ('1.9 h', 'on 1 x NVIDIA H200')


def test_nothing_is_told_of_what_is_not_known():
  assert cost.describe({}) == []
  unknown = TOOK | {'flops': 0.0, 'peak_bytes': 0}
  assert [word for _, word in cost.describe(unknown)][2:] == ['parameters']


@pytest.mark.parametrize(
  ('seconds', 'words'),
  [(0.034, '0.034 s'), (9.7, '9.7 s'), (42.4, '42 s'), (600, '10 min')],
)
def test_times(seconds, words):
  assert cost.time(seconds) == words
