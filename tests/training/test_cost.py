"""Rounds that fit into memory."""

from __future__ import annotations

import math
import types

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import pytest

from mejax.training import cost
from mejax.training import placement
from tests.training import setup_trials as given


@pytest.fixture(scope='module')
def arrays():
  return given.make_arrays()


def choose(arrays, **options):
  inputs, labels, groups = arrays
  options = {
    'mode': 'vmap',
    'devices': jax.devices()[:1],
    'eval_every': given.EVAL_EVERY,
  } | options
  return cost.choose(
    given.make_trainer(groups),
    given.make_trials(groups),
    given.make_data(inputs, labels),
    **options,
  )


def test_rounds_are_equal_and_fit_the_memory(arrays, monkeypatch):
  inputs, labels, groups = arrays
  trainer, trials = given.make_trainer(groups), given.make_trials(groups)
  data = given.make_data(inputs, labels)
  options = {'devices': jax.devices()[:1], 'eval_every': given.EVAL_EVERY}

  def needs(width):
    return cost.measure_bytes(
      trainer,
      trials,
      data,
      placement.Placement('vmap', width, width),
      **options,
    )

  def choose_in(memory):
    monkeypatch.setattr(
      cost, 'available_bytes', lambda _: (memory + 1) / cost.SHARE
    )
    return choose(arrays)

  assert needs(1) < needs(3) < needs(5) < needs(9)
  assert choose_in(needs(9)).width == 9
  found = choose_in((needs(4) + needs(5)) / 2)
  assert found.width == found.round_size == 3  # 4 of 9 fit: 3 rounds of 3.
  assert choose_in(needs(1)).width == 1
  with pytest.raises(ValueError, match='One trial does not fit'):
    choose_in(needs(1) / 2)


def test_a_compiler_that_fails_is_told_and_has_fewer_trials(
  arrays, monkeypatch, capsys
):
  compile_program = cost.loop.compile_program
  works = {1, 2, 3}

  class Broken:
    def lower(self, *args):
      raise jax.errors.JaxRuntimeError(f'{errors[0]}: sizes\nand more')

  def fail_for_many(trainer, place, **options):
    works_for = place.round_size in works
    return compile_program(trainer, place, **options) if works_for else Broken()

  monkeypatch.setattr(cost.loop, 'compile_program', fail_for_many)
  errors = ['INTERNAL']
  assert choose(arrays).width == 3
  told = 'The compiler failed for 9 trials: INTERNAL: sizes. Fewer are tried.'
  assert told in capsys.readouterr().out
  errors = ['RESOURCE_EXHAUSTED']
  assert choose(arrays).width == 3
  assert not capsys.readouterr().out
  works.clear()
  errors = ['INTERNAL']
  with pytest.raises(jax.errors.JaxRuntimeError, match='INTERNAL'):
    choose(arrays)


def test_a_compiler_that_finds_no_room_has_fewer_trials_to_compile():
  tried = []

  def needs(each):
    tried.append(each)
    return math.inf if each > 8 else 10.0 * each

  assert cost.fit(68, 1, state=1, memory=50.0, needs=needs) == 5
  # States alone would fill it with 50. Then halves, and what 8 would take.
  assert tried == [34, 17, 8, 5]


@hypothesis.given(
  most=st.integers(1, 400),
  rounds=st.integers(1, 5),
  shared=st.floats(0, 1000),
  each=st.floats(1, 10),
  memory=st.floats(-5, 2000),
)
def test_rounds_are_the_fewest_and_no_size_is_compiled_twice(
  most, rounds, shared, each, memory
):
  tried = []

  def needs(count):
    tried.append(count)
    return shared + each * count

  rounds = min(rounds, most)
  try:
    found = cost.fit(most, rounds, state=1, memory=memory, needs=needs)
  except ValueError:
    assert memory <= 1 or shared + each > memory
    found = None
  assert len(tried) == len(set(tried)) <= most
  if found is None:
    return
  assert tried[-1] == found and needs(found) <= memory
  number = math.ceil(most / found)
  assert number >= rounds
  if not shared:  # What does not grow is not known from one size.
    fewer = math.ceil(most / (number - 1)) if number > rounds else None
    assert fewer is None or needs(fewer) > memory * (1 - 1e-9)


@pytest.mark.parametrize(
  ('mode', 'num_devices'), [('vmap', 1), ('map', 1), ('map', 2)]
)
def test_checkpoints_of_a_round_fit_on_the_disk(
  arrays, monkeypatch, capsys, tmp_path, mode, num_devices
):
  # Nothing is compiled for `map`, so one may stand for two.
  devices = jax.devices()[:1] * num_devices
  inputs, labels, groups = arrays
  trainer, trials = given.make_trainer(groups), given.make_trials(groups)
  data = given.make_data(inputs, labels)
  first = jax.tree.map(lambda x: x[0], trials)
  state = jax.eval_shape(trainer.init, first, data)
  each = cost.size_of(state)
  models = 9 * cost.size_of(trainer.variables(state))
  asked = []

  def choose_on(room, **options):
    def usage(path):
      asked.append(path)
      return types.SimpleNamespace(free=(room + 1) / cost.SHARE)

    monkeypatch.setattr(cost.shutil, 'disk_usage', usage)
    disk = cost.Disk(tmp_path / 'not/yet', **options)
    return choose(arrays, mode=mode, devices=devices, disk=disk).round_size

  assert choose_on(3 * 9 * each) == len(trials.train) == 9
  assert not capsys.readouterr().out
  # Three checkpoints of four trials: nine are three rounds of one device.
  few = 3 if num_devices == 1 else 4
  assert choose_on(3 * 4 * each) == few
  told = 'not/yet/checkpoints has 0.0 GiB free: room for 3 checkpoints of 4'
  assert told in capsys.readouterr().out
  assert choose_on(3 * 4 * each + models, keep_models=True) == few
  assert choose_on(2 * 3 * 4 * each, processes=2) == few
  # A full disk is told where it is written to.
  assert choose_on(0) == num_devices
  assert set(asked) == {tmp_path}


def test_a_disk_that_does_not_answer_does_not_count(
  arrays, monkeypatch, tmp_path
):
  def usage(path):
    raise PermissionError(path)

  monkeypatch.setattr(cost.shutil, 'disk_usage', usage)
  assert choose(arrays, mode='map', disk=cost.Disk(tmp_path)).round_size == 9


@pytest.mark.parametrize(
  ('shape', 'mode'),
  [
    ((5, 28, 28, 3), 'vmap'),
    ((5, 4, 28, 28, 3), 'vmap'),
    ((5, 224, 224, 3), 'map'),
    ((5, 2, 64, 64, 3), 'map'),
    ((5, 9000), 'vmap'),
  ],
)
def test_large_pictures_run_one_trial_at_a_time(monkeypatch, shape, mode):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
  assert cost.default_mode(jnp.zeros(shape)) == mode


def test_map_costs_less_memory_a_trial_than_vmap(arrays):
  inputs, labels, groups = arrays
  trainer, trials = given.make_trainer(groups), given.make_trials(groups)
  data = given.make_data(inputs, labels)

  def needs(mode, count):
    return cost.measure_bytes(
      trainer,
      trials,
      data,
      placement.lay_out(mode, count, 9, jax.devices()[:1]),
      devices=jax.devices()[:1],
      eval_every=given.EVAL_EVERY,
    )

  map_, vmap = (needs(mode, 3) - needs(mode, 2) for mode in ('map', 'vmap'))
  assert 0 < map_ <= vmap


def test_unknown_mode_is_refused(arrays):
  with pytest.raises(ValueError, match='pmap.*expected auto, vmap or map'):
    choose(arrays, mode='pmap')
