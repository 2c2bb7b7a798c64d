"""Rounds that fit into memory."""

from __future__ import annotations

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
  bytes_each = cost.measure_bytes(trainer, trials, data, mode='vmap')
  monkeypatch.setattr(cost, 'available_bytes', lambda _: 5 * bytes_each)
  plan = cost.choose(
    trainer, trials, data, mode='vmap', devices=jax.devices()[:1]
  )
  assert plan.width == plan.round_size == 3  # 9 trials, 4 fit: 3 rounds of 3.
  monkeypatch.setattr(cost, 'available_bytes', lambda _: bytes_each // 2)
  with pytest.raises(ValueError, match='One trial needs'):
    cost.choose(trainer, trials, data, mode='vmap', devices=jax.devices()[:1])


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
  bytes_each = {
    mode: cost.measure_bytes(trainer, trials, data, mode=mode)
    for mode in placement.MODES
  }
  assert bytes_each['map'] <= bytes_each['vmap']


def test_unknown_mode_is_refused(arrays):
  inputs, labels, groups = arrays
  with pytest.raises(ValueError, match='pmap.*expected auto, vmap or map'):
    cost.choose(
      given.make_trainer(groups),
      given.make_trials(groups),
      given.make_data(inputs, labels),
      mode='pmap',
      devices=jax.devices()[:1],
    )
