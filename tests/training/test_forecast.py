"""What the compiler says, against what is known of small programs."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
import pytest

from mejax.training import cost
from mejax.training import forecast
from mejax.training import placement
from mejax.training import work
from tests import own_parts
from tests.training import setup_trials as given


@pytest.fixture(scope='module')
def parts():
  return given.make_parts(own_parts.Linear())


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
  ratio = long.seconds(2e14, 8e11) / short.seconds(2e14, 8e11)
  assert ratio == pytest.approx(2)


def test_the_least_time_is_that_of_the_slower_of_operations_and_traffic(
  together,
):
  found = dataclasses.replace(
    together,
    step=work.Work(flops=100.0, bytes=10.0),
    evaluation=work.Work(flops=10.0, bytes=100.0),
    turns=3,
    steps=7,
    evaluations=2,
  )
  assert found.seconds(10.0, 5.0) == 3 * (7 * 10 + 2 * 20)
  silent = dataclasses.replace(found, step=work.Work(None, 10.0))
  assert silent.seconds(10.0, 5.0) is None


def test_where_the_compiler_does_not_count_operations_are_traced(
  parts, together, monkeypatch
):
  # As if this processor were a GPU.
  monkeypatch.setattr(work, 'COUNTING', ())
  found = measure(parts, 'vmap', 3, 6)
  assert found.traced and not together.traced
  assert found.step.flops == pytest.approx(together.step.flops, rel=0.2)
  assert found.evaluation.flops == pytest.approx(
    together.evaluation.flops, rel=0.2
  )
  # The traffic is that of the compiled program.
  assert found.step.bytes == together.step.bytes
  assert found.step.accessed is None


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

  said, kept = [], []

  def fit(memory):
    said.clear()
    kept.clear()
    return forecast.fit(
      *parts,
      mode='vmap',
      devices=jax.devices()[:1],
      memory=float(memory),
      eval_every=2,
      say=said.append,
      keep=kept.append,
    )

  whole = fit(2**30)
  assert whole.rounds == 1 and whole.placement.width == 9
  assert f'takes {whole.device_bytes / 2**20:.0f} MiB' in said[-1]
  assert whole.refused == ()
  # What is known before and after the round is compiled.
  assert [each.device_bytes for each in kept] == [None, whole.device_bytes]
  assert [each.step for each in kept] == [None, None]
  assert kept[0].least_bytes == kept[1].least_bytes == whole.least_bytes
  least = fit(0.6 * whole.device_bytes)
  assert least.refused[0] == (9, whole.device_bytes)
  assert kept[-1].refused == least.refused
  # An epoch is compiled only of the round that fits.
  assert sum('an epoch' in each for each in said) == 1
  assert sum('tracing' in each for each in said) > 1
  assert least.rounds > 1 and least.device_bytes <= 0.6 * whole.device_bytes
  first = jax.tree.map(lambda x: x[0], trials)
  with pytest.raises(ValueError, match='One trial does not fit'):
    fit(cost.state_bytes(trainer, first, data))
