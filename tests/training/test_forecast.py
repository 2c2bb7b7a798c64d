"""What the compiler says, against what is known of small programs."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
import pytest

from mejax.training import chips
from mejax.training import cost
from mejax.training import forecast
from mejax.training import placement
from tests import own_parts
from tests.training import setup_trials as given


@pytest.fixture(scope='module')
def parts():
  inputs, labels, groups = given.make_arrays()
  trainer = given.make_trainer(
    groups, model=own_parts.Linear(), takes_mask=False, num_epochs=4
  )
  return trainer, given.make_trials(groups), given.make_data(inputs, labels)


def measure(parts, mode, width, size, devices=1):
  return forecast.measure(
    *parts,
    placement.Placement(mode, width, size),
    devices=jax.devices()[:devices],
    eval_every=2,
  )


@pytest.fixture(scope='module')
def together(parts):
  return measure(parts, 'vmap', 3, 6)


def test_turns_and_steps_are_counted_by_hand(parts, together):
  trainer, trials, _ = parts
  assert len(trials.train) == 9
  # Two rounds of six and three trials, each trained three at a time.
  assert (together.rounds, together.turns) == (2, 4)
  assert together.steps == 4 * len(trainer.batch_sizes)
  assert together.evaluations == 2
  # 48 weights and a bias for each class, two moments, and two counters.
  assert together.state_bytes == 4 * (3 * 3 * (48 + 1) + 2)


def test_a_step_has_the_operations_of_its_products(parts, together):
  trainer, _, _ = parts
  batch = sum(trainer.batch_sizes) / len(trainer.batch_sizes)
  # Forward, and the gradient by the kernel; the images need none.
  products = 3 * 2 * (2 * batch * 48 * 3)
  assert products < together.step.flops < 4 * products
  # Parameters and moments are read and written, inputs are read.
  least = 3 * (2 * together.state_bytes + batch * 48 * 4)
  assert together.least_bytes == least
  assert together.step.bytes > 0.8 * least


def test_a_step_of_three_trials_is_three_steps_of_one(parts, together):
  alone = measure(parts, 'map', 1, 6)
  assert alone.turns == 2 * 6
  assert together.step.flops == pytest.approx(3 * alone.step.flops, rel=0.2)


def test_loops_are_counted_as_often_as_they_turn(parts):
  trainer, trials, data = parts
  longer = dataclasses.replace(trainer, num_epochs=8)
  short, long = (
    measure((each, trials, data), 'map', 1, 9) for each in (trainer, longer)
  )
  chip = chips.CHIPS['v5e']
  ratio = long.seconds(chip, 'default') / short.seconds(chip, 'default')
  assert ratio == pytest.approx(2)


def test_the_least_time_is_that_of_the_slower_of_operations_and_traffic(
  together,
):
  chip = chips.Chip('toy', flops=10.0, bandwidth=5.0, memory=1.0, source='')
  found = dataclasses.replace(
    together,
    step=forecast.Work(flops=100.0, bytes=10.0),
    evaluation=forecast.Work(flops=10.0, bytes=100.0),
    turns=3,
    steps=7,
    evaluations=2,
  )
  assert found.seconds(chip, 'default') == 3 * (7 * 10 + 2 * 20)
  # Six passes for a product of float32.
  assert found.seconds(chip, 'highest') == 3 * (7 * 60 + 2 * 20)
  silent = dataclasses.replace(found, step=forecast.Work(None, 10.0))
  assert silent.seconds(chip, 'default') is None


def test_trials_on_two_devices_do_not_wait_for_each_other(parts):
  if len(jax.devices()) < 2:
    pytest.skip('one device')
  assert measure(parts, 'vmap', 3, 6, devices=2).collectives == ()


def test_devices_that_wait_are_told():
  if len(jax.devices()) < 2:
    pytest.skip('one device')
  mesh = placement.make_mesh(jax.devices()[:2])
  spread = PartitionSpec('trial')
  add = jax.shard_map(
    lambda x: jax.lax.psum(x, 'trial'),
    mesh=mesh,
    in_specs=spread,
    out_specs=PartitionSpec(),
  )
  program = jax.jit(add).lower(jnp.ones(2)).compile().as_text()
  assert forecast.find_collectives(program) == ('all-reduce',)


def test_rounds_grow_until_the_trials_fit(parts):
  trainer, trials, data = parts

  said = []

  def fit(memory):
    said.clear()
    return forecast.fit(
      *parts,
      mode='vmap',
      devices=jax.devices()[:1],
      memory=float(memory),
      eval_every=2,
      say=said.append,
    )

  whole = fit(2**30)
  assert whole.rounds == 1 and whole.placement.width == 9
  assert f'takes {whole.device_bytes / 2**20:.0f} MiB' in said[-1]
  least = fit(0.6 * whole.device_bytes)
  # An epoch is compiled only of the round that fits.
  assert sum('an epoch' in each for each in said) == 1
  assert sum('tracing' in each for each in said) > 1
  assert least.rounds > 1 and least.device_bytes <= 0.6 * whole.device_bytes
  first = jax.tree.map(lambda x: x[0], trials)
  with pytest.raises(ValueError, match='One trial does not fit'):
    fit(cost.state_bytes(trainer, first, data))


def test_every_chip_is_found_by_the_name_that_jax_gives_it():
  for chip in chips.CHIPS.values():
    assert chips.of_kind(chip.kind) is chip
    assert chip.flops / chip.bandwidth > 100  # FLOP a byte.
  assert chips.of_kind('cpu') is None


def test_lines_for_a_chip_name_both_times_and_the_source(
  parts, together, monkeypatch
):
  found = dataclasses.replace(
    together,
    step=forecast.Work(197e12, 819e9 * 5),
    evaluation=forecast.Work(0.0, 0.0),
    turns=3,
    steps=2,
    collectives=('all-reduce',),
  )
  # As if this processor were one.
  monkeypatch.setattr(chips, 'of_kind', lambda kind: chips.CHIPS['v5e'])
  devices = jax.devices()[:1]

  def describe(precision):
    lines = forecast.describe(
      found, parts[0], 9, devices=devices, precision=precision
    )
    return '\n'.join(lines)

  text = describe('default')
  assert 'at least 6.0 s for all by its operations, 30.0 s if all' in text
  assert 'cloud.google.com/tpu/docs/v5e' in text
  assert 'collectives between devices: 1 (all-reduce)' in text
  disk = 3 * found.state_bytes * found.placement.round_size / 2**20
  assert f'checkpoints of a round take up to {disk:.0f} MiB' in text
  assert '6 passes a product' in describe('highest')
