"""Chips, by the names that JAX gives them."""

from __future__ import annotations

import pytest

from mejax.training import chips


@pytest.mark.parametrize('name', chips.CHIPS)
def test_every_chip_is_found_by_the_name_that_jax_gives_it(name):
  chip = chips.CHIPS[name]
  assert chips.of_kind(chip.kind) is chip
  # Matrices are multiplied faster than their numbers come, on all of them.
  assert chip.rates['highest'].flops / chip.bandwidth > 5  # FLOP a byte.


def test_a_processor_that_is_no_chip_of_the_table_is_not_known():
  assert chips.of_kind('cpu') is None


def test_a_tpu_takes_passes_and_a_gpu_another_unit_for_a_finer_product():
  v5e, a100, t4 = (chips.CHIPS[name].rates for name in ('v5e', 'a100', 't4'))
  assert v5e['default'].flops == 6 * v5e['highest'].flops
  assert '6 passes a product' in v5e['highest'].how
  assert a100['default'].flops == a100['high'].flops == 8 * 19.5e12
  assert 'float32' in a100['highest'].how
  # It cannot multiply TensorFloat-32.
  assert t4['default'] == t4['highest']


def test_a_card_that_only_real_machines_have_is_known():
  assert chips.of_kind('Tesla V100-SXM2-32GB').bandwidth == 900e9
