"""Rounds that fit into memory."""

from __future__ import annotations

import math
import shutil

import jax
import jax.numpy as jnp
import pytest

from mejax.training import cost
from mejax.training import placement
from tests.training import setup_trials as given


@pytest.fixture(scope='module')
def arrays():
  return given.make_arrays()


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

  def choose(memory):
    monkeypatch.setattr(
      cost, 'available_bytes', lambda _: memory / cost.MEMORY_SHARE
    )
    return cost.choose(trainer, trials, data, mode='vmap', **options)

  assert needs(1) < needs(3) < needs(5) < needs(9)
  assert choose(needs(9)).width == 9
  found = choose((needs(4) + needs(5)) / 2)
  assert found.width == found.round_size == 3  # 4 of 9 fit: 3 rounds of 3.
  assert choose(needs(1)).width == 1
  with pytest.raises(ValueError, match='One trial does not fit'):
    choose(needs(1) / 2)


def test_a_compiler_that_fails_is_told_and_has_fewer_trials(
  arrays, monkeypatch, capsys
):
  inputs, labels, groups = arrays
  compile_program = cost.loop.compile_program
  works = {1, 2, 3}

  class Broken:
    def lower(self, *args):
      raise jax.errors.JaxRuntimeError(f'{errors[0]}: sizes\nand more')

  def fail_for_many(trainer, place, **options):
    works_for = place.round_size in works
    return compile_program(trainer, place, **options) if works_for else Broken()

  def choose():
    return cost.choose(
      given.make_trainer(groups),
      given.make_trials(groups),
      given.make_data(inputs, labels),
      mode='vmap',
      devices=jax.devices()[:1],
      eval_every=given.EVAL_EVERY,
    )

  monkeypatch.setattr(cost.loop, 'compile_program', fail_for_many)
  errors = ['INTERNAL']
  assert choose().width == 3
  told = 'The compiler failed for 9 trials: INTERNAL: sizes. Fewer are tried.'
  assert told in capsys.readouterr().out
  errors = ['RESOURCE_EXHAUSTED']
  assert choose().width == 3
  assert not capsys.readouterr().out
  works.clear()
  errors = ['INTERNAL']
  with pytest.raises(jax.errors.JaxRuntimeError, match='INTERNAL'):
    choose()


def test_a_compiler_that_finds_no_room_has_fewer_trials_to_compile():
  tried = []

  def needs(each):
    tried.append(each)
    return math.inf if each > 8 else 10.0 * each

  assert cost.fit(68, state=1, memory=50.0, needs=needs) == 5
  # States alone would fill it with 34. Then halves, and what 9 would take.
  assert tried == [34, 17, 9, 5]


@pytest.mark.parametrize('mode', placement.MODES)
def test_checkpoints_of_a_round_fit_on_the_disk(
  arrays, monkeypatch, capsys, tmp_path, mode
):
  inputs, labels, groups = arrays
  trainer, trials = given.make_trainer(groups), given.make_trials(groups)
  data = given.make_data(inputs, labels)
  first = jax.tree.map(lambda x: x[0], trials)
  each = cost.state_bytes(trainer, first, data)
  asked = []

  def choose(room):
    def usage(path):
      asked.append(path)
      return shutil._ntuple_diskusage(0, 0, room)

    monkeypatch.setattr(cost.shutil, 'disk_usage', usage)
    folder = tmp_path / 'not/yet'
    return cost.choose(
      trainer,
      trials,
      data,
      mode=mode,
      devices=jax.devices()[:1],
      eval_every=given.EVAL_EVERY,
      workdir=folder,
    )

  assert choose(100 * each).round_size == len(trials.train) == 9
  assert not capsys.readouterr().out
  found = choose(3 * 4 * each)  # Three checkpoints of 3 trials, and some room.
  assert found.round_size == 3
  assert found.width == (3 if mode == 'vmap' else 1)
  assert 'not/yet/checkpoints has 0.0 GiB free' in capsys.readouterr().out
  # A full disk is told where it is written to.
  assert choose(0).round_size == 1
  assert set(asked) == {tmp_path}


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
  inputs, labels, groups = arrays
  with pytest.raises(ValueError, match='pmap.*expected auto, vmap or map'):
    cost.choose(
      given.make_trainer(groups),
      given.make_trials(groups),
      given.make_data(inputs, labels),
      mode='pmap',
      devices=jax.devices()[:1],
      eval_every=given.EVAL_EVERY,
    )
