"""A run that is killed, and killed again, ends with the same bits."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from mejax.training import log
from mejax.training import loop
from mejax.training import optimizer
from mejax.training import placement
from tests import child
from tests import closeness
from tests.training import setup_trials as given


def _start(workdir, mode):
  return subprocess.Popen(
    [sys.executable, '-m', 'tests.training.killed_run', str(workdir), mode],
    env=child.environment(),
    stderr=subprocess.PIPE,
    text=True,
  )


def _written(workdir):
  """Changes with every line of the log."""
  path = workdir / 'log.jsonl'
  return path.stat().st_mtime_ns if path.exists() else None


def _finish(process):
  _, errors = process.communicate(timeout=900)
  assert process.returncode == 0, errors


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['map', 'vmap'])
def test_killed_run_resumes_to_the_same_bits(tmp_path, mode):
  whole, broken = tmp_path / 'whole', tmp_path / 'broken'
  whole.mkdir()
  broken.mkdir()
  _finish(_start(whole, mode))
  seconds = random.Random()  # Another moment every time the suite runs.
  for _ in range(2):
    process, before = _start(broken, mode), _written(broken)
    while _written(broken) == before and process.poll() is None:
      time.sleep(0.02)
    time.sleep(seconds.uniform(0, 1.0))
    process.send_signal(signal.SIGKILL)
    process.communicate()
  _finish(_start(broken, mode))
  with np.load(whole / 'outcome.npz') as first:
    with np.load(broken / 'outcome.npz') as second:
      for name in first:
        np.testing.assert_array_equal(first[name], second[name], name)
  assert _log(whole) == _log(broken)


def _log(workdir):
  return [
    json.loads(line)
    for line in (workdir / 'log.jsonl').read_text().split('\n')
    if line
  ]


def _run(workdir, *, inputs=None, name='adamw', **options):
  arrays = given.make_arrays()
  inputs = arrays[0] if inputs is None else inputs
  size = len(np.unique(arrays[2]))
  options = {
    'eval_every': 2,
    'progress': False,
    'placement': placement.Placement('map', 1, size),
  } | options
  return loop.run(
    given.make_trainer(arrays[2], optimizer=optimizer.OPTIMIZERS[name]),
    given.make_trials(arrays[2]),
    given.make_data(inputs, arrays[1]),
    workdir=workdir,
    devices=jax.devices()[:1],
    **options,
  )


def test_outcome_has_every_evaluation_and_the_log_says_the_same(tmp_path):
  outcome = _run(tmp_path)
  assert outcome.epochs.tolist() == [2, 4, 6]
  losses = [entry['train_loss'] for entry in _log(tmp_path)]
  np.testing.assert_allclose(losses, outcome.train_loss.mean(0), rtol=1e-6)


def test_the_bar_says_when_it_compiles_and_then_the_loss(
  tmp_path, capsys, monkeypatch
):
  monkeypatch.setattr(sys.stderr, 'isatty', lambda: True)
  _run(tmp_path, progress=True)
  shown = capsys.readouterr().err
  before, _, after = shown.partition('compiling')
  assert 'train_loss' not in before
  assert 'train_loss' in after and 'compiling' not in after.split('\r')[-1]


def test_the_bar_says_which_round_it_is(tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(sys.stderr, 'isatty', lambda: True)
  _run(tmp_path, progress=True, placement=placement.Placement('map', 1, 5))
  shown = capsys.readouterr().err
  assert 'trials, round 1 of 2:' in shown and 'round 2 of 2:' in shown


def test_the_time_that_remains_is_not_that_of_compiling(tmp_path, monkeypatch):
  told, call = [], loop._Rounds._call

  def slow(rounds, *args, **options):
    told.append(rounds.bar.format_dict)
    found = call(rounds, *args, **options)
    time.sleep(0.0 if rounds.bar.n else 3.0)  # As if it compiled for longer.
    return found

  monkeypatch.setattr(loop._Rounds, '_call', slow)
  _run(tmp_path, progress=True)
  before, after, *_ = told
  assert (before['n'], after['n'], after['initial']) == (0, 2, 2)
  assert after['rate'] is None and after['elapsed'] < 1


@pytest.mark.parametrize('name', ['adamw', 'adamw_bf16'])
def test_an_interrupted_run_goes_on_where_it_was(
  name, tmp_path, monkeypatch, caplog
):
  """And not from its start, which would give the same bits."""
  whole = _run(tmp_path / 'whole', name=name)
  original, begun = log.Log, []

  class Interrupted(original):
    def __init__(self, *args, window, **options):
      begun.append(window)
      super().__init__(*args, window=window, **options)

    def write(self, window, scalars):
      super().write(window, scalars)
      if len(begun) == 1 and window == 0:
        signal.raise_signal(signal.SIGINT)

  monkeypatch.setattr(log, 'Log', Interrupted)
  with pytest.raises(KeyboardInterrupt):
    _run(tmp_path / 'broken', name=name)
  caplog.clear()
  resumed = _run(tmp_path / 'broken', name=name)
  assert begun == [0, 1]
  for one, other in zip(whole, resumed, strict=True):
    np.testing.assert_array_equal(one, other)
  warnings = [each for each in caplog.records if each.levelname == 'WARNING']
  assert not warnings


@pytest.mark.parametrize(
  ('interval', 'seconds', 'saved'),
  [
    (0.0, 5.0, [1, 2, 3, 4, 5] * 2),
    (1.0, 0.01, [1, 2, 3, 4, 5] * 2),
    # Saving takes .2 s, so four seconds follow without, in the next round too.
    (1.0, 0.2, [1, 5, 4]),
    (100.0, 0.01, []),
  ],
)
def test_saving_takes_a_twentieth_of_the_time(
  tmp_path, monkeypatch, interval, seconds, saved
):
  now, told = [0.0], []

  class Clock:
    @staticmethod
    def monotonic():
      return now[0]

  call = loop._Rounds._call

  def take_a_second(*args, **options):
    found = call(*args, **options)
    now[0] += 1.1
    return found

  def save(rounds, saved, window, states, result):
    told.append(window)
    now[0] += seconds

  monkeypatch.setattr(loop, 'time', Clock)
  monkeypatch.setattr(loop._Rounds, '_call', take_a_second)
  monkeypatch.setattr(loop._Rounds, '_save', save)
  _run(
    tmp_path,
    placement=placement.Placement('map', 1, 5),
    eval_every=1,
    checkpoint_every_s=interval,
    call_seconds=1.0,
  )
  assert told == saved


def test_rounds_equal_one_round(tmp_path):
  (tmp_path / 'one').mkdir()
  (tmp_path / 'three').mkdir()
  arrays = given.make_arrays()
  outcomes = [
    loop.run(
      given.make_trainer(arrays[2]),
      given.make_trials(arrays[2]),
      given.make_data(*arrays[:2]),
      workdir=tmp_path / name,
      placement=placement.Placement('map', 1, size),
      devices=jax.devices()[:1],
      eval_every=2,
      progress=False,
    )
    for name, size in (('one', 9), ('three', 4))
  ]
  for first, second in zip(*outcomes, strict=True):
    np.testing.assert_array_equal(first, second)


def test_a_trial_that_diverges_does_not_stop_the_others(tmp_path, capsys):
  inputs, _, groups = given.make_arrays()
  inputs[groups == 's3'] = np.nan  # Only the fold that holds s3 out is spared.
  outcome = _run(tmp_path, inputs=inputs)
  assert np.isfinite(outcome.train_loss).all(1).tolist() == [
    name == 's3' for name in np.unique(groups)
  ]
  shown = capsys.readouterr().out
  assert 'By epoch 2 the training loss of 8 of 9 trials' in shown


def test_a_run_in_which_all_diverge_stops(tmp_path):
  inputs = np.full_like(given.make_arrays()[0], np.nan)
  with pytest.raises(ValueError, match='every trial is not finite by epoch 2'):
    _run(tmp_path, inputs=inputs)


def test_a_finished_round_is_read_and_neither_trained_nor_logged_again(
  tmp_path, monkeypatch
):
  first = _run(tmp_path)
  log = _log(tmp_path)
  monkeypatch.setattr(loop._Rounds, 'train', None)
  for one, other in zip(first, _run(tmp_path), strict=True):
    np.testing.assert_array_equal(one, other)
  assert _log(tmp_path) == log


def test_parameters_of_finished_trials_are_kept_where_asked_for(tmp_path):
  for name, keep in (('kept', True), ('dropped', False)):
    (tmp_path / name).mkdir()
    _run(tmp_path / name, keep_models=keep)
    folder = tmp_path / name / 'checkpoints'
    found = sorted(path.name for path in folder.iterdir())
    assert found == ['round_0.npz', 'round_0_model'][: 1 + keep]


def test_the_parameters_that_are_kept_are_those_that_predict(tmp_path):
  inputs, labels, groups = given.make_arrays()
  inputs = given.make_stacks(inputs)
  trials = given.make_trials(groups, setting=given.EVERYTHING)
  trainer = given.make_full_trainer(groups)
  outcome = loop.run(
    trainer,
    trials,
    given.make_data(inputs, labels),
    workdir=tmp_path,
    placement=placement.Placement('map', 1, 9),
    devices=jax.devices()[:1],
    eval_every=2,
    progress=False,
  )
  with ocp.StandardCheckpointer() as checkpointer:
    model = checkpointer.restore(tmp_path / 'checkpoints/round_0_model')
  for i in (0, 5):
    params, collections = (
      jax.tree.map(lambda x, i=i: x[i], model[name])
      for name in ('params', 'collections')
    )
    index = np.maximum(trials.held_out[i], 0)
    seen = jnp.asarray(inputs[index])
    both = [
      trainer.model.apply({'params': params, **collections}, x, train=False)[0]
      for x in (seen, trainer.flip(seen))
    ]
    closeness.assert_close(outcome.logits[i, -1], (both[0] + both[1]) / 2, 5e-6)


def test_last_epoch_must_be_evaluated(tmp_path):
  with pytest.raises(ValueError, match='eval_every=4 must divide'):
    _run(tmp_path, eval_every=4)
