"""Many trainings as one program must be the trainings one by one."""

from __future__ import annotations

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from mejax.training import placement
from tests import child
from tests.training import setup_trials as given

MODES = ('map', 'vmap')


@pytest.fixture(scope='module')
def arrays():
  return given.make_arrays()


@pytest.fixture(scope='module')
def together(arrays):
  inputs, labels, groups = arrays
  trainer, trials = given.make_trainer(groups), given.make_trials(groups)
  return {
    mode: given.train(trainer, trials, inputs, labels, mode=mode)
    for mode in MODES
  }


def _same_bits(first, second):
  jax.tree.map(np.testing.assert_array_equal, first, second)


def test_trials_learn(together):
  _, _, losses = together['map']
  assert (losses[:, -1] < 0.8 * losses[:, 0]).all()


def test_map_alone_equals_among_all_bit_for_bit(arrays, together):
  inputs, labels, groups = arrays
  trainer, trials = given.make_trainer(groups), given.make_trials(groups)
  for i in (0, 4):
    alone = given.train(trainer, _one(trials, i), inputs, labels, mode='map')
    _same_bits(
      alone, jax.tree.map(lambda x, i=i: x[i : i + 1], together['map'])
    )


def test_vmap_alone_equals_among_all_to_rounding(arrays, together):
  inputs, labels, groups = arrays
  trainer, trials = given.make_trainer(groups), given.make_trials(groups)
  _, all_logits, all_losses = together['vmap']
  _, logits, losses = given.train(
    trainer, _one(trials, 4), inputs, labels, mode='vmap'
  )
  np.testing.assert_allclose(losses[0], all_losses[4], atol=1e-4)
  assert (logits[0].argmax(-1) == all_logits[4].argmax(-1)).all()


def test_vmap_and_map_agree_to_rounding(together):
  (_, logits, losses), (_, other, other_losses) = (
    together[mode] for mode in MODES
  )
  np.testing.assert_allclose(losses, other_losses, atol=1e-4)
  assert (logits.argmax(-1) == other.argmax(-1)).all()


def test_groups_of_vmap_agree_with_one_vmap(arrays, together):
  inputs, labels, groups = arrays
  _, logits, losses = given.train(
    given.make_trainer(groups),
    given.make_trials(groups),
    inputs,
    labels,
    mode='vmap',
    width=3,
  )
  np.testing.assert_allclose(losses, together['vmap'][2], atol=1e-4)
  assert (logits.argmax(-1) == together['vmap'][1].argmax(-1)).all()


def test_first_states_are_those_of_each_trial_alone_bit_for_bit(arrays):
  inputs, labels, groups = arrays
  trainer, trials = given.make_trainer(groups), given.make_trials(groups)
  data = given.make_data(inputs, labels)
  states = placement.make_init(trainer)(trials, data)
  alone = jax.jit(trainer.init)
  for i in (0, 8):
    _same_bits(
      jax.tree.map(lambda x, i=i: x[i], states),
      alone(jax.tree.map(lambda x, i=i: x[i], trials), data),
    )
  # The test can fail: no two trials begin with the same weights.
  kernels = states.params['Dense_0']['kernel'].reshape(len(trials.train), -1)
  assert len(np.unique(kernels, axis=0)) == len(kernels)


@pytest.mark.parametrize('mode', MODES)
def test_chunked_equals_whole_bit_for_bit(arrays, together, mode):
  inputs, labels, groups = arrays
  chunked = given.train(
    given.make_trainer(groups),
    given.make_trials(groups),
    inputs,
    labels,
    mode=mode,
    counts=(1, 2),
  )
  _same_bits(chunked, together[mode])


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('poison', ('noise', 'nan'))
def test_held_out_subject_cannot_touch_its_folds_parameters(
  arrays, together, mode, poison
):
  inputs, labels, groups = arrays
  victim = 3
  held_out = groups == np.unique(groups)[victim]
  changed, other_labels = inputs.copy(), labels.copy()
  source = np.random.default_rng(1)
  noise = 1e3 * source.normal(size=changed[held_out].shape)
  changed[held_out] = noise if poison == 'noise' else np.nan
  other_labels[held_out] = (labels[held_out] + 1) % 3
  states, _, _ = given.train(
    given.make_trainer(groups),
    given.make_trials(groups),
    changed,
    other_labels,
    mode=mode,
  )
  before = together[mode][0]
  _same_bits(
    jax.tree.map(lambda x: x[victim], (states.params, states.collections)),
    jax.tree.map(lambda x: x[victim], (before.params, before.collections)),
  )
  # The test can fail: every other fold trains on that subject.
  kernel = states.params['Dense_0']['kernel']
  moved = (kernel != before.params['Dense_0']['kernel']).any((1, 2))
  assert moved.sum() == len(kernel) - 1


def test_second_call_does_not_compile_again(arrays):
  inputs, labels, groups = arrays
  trainer, trials = given.make_trainer(groups), given.make_trials(groups)
  program = placement.place(
    trainer,
    placement.Placement('vmap', len(trials.train), len(trials.train)),
    devices=jax.devices()[:1],
    # As in `given.train`, whose program is in JAX's cache of files already.
    eval_every=given.EVAL_EVERY,
    max_windows=3,
  )
  data = program.put_data(given.make_data(inputs, labels))
  spread = program.put_trials(trials)
  states = program.init(trials, data)
  compiled = []

  def listen(event, seconds, **details):
    del seconds
    if event == '/jax/core/compile/backend_compile_duration':
      compiled.append(details['fun_name'])

  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    for window, count in ((0, 1), (1, 2)):
      states, _, _ = program.run_chunk(states, spread, data, window, count)
  finally:
    jax.monitoring.unregister_event_duration_listener(listen)
  assert compiled == ['jit(run_local)']


def test_vmap_over_folds_compiles_to_no_communication(arrays):
  inputs, labels, groups = arrays
  trainer, trials = given.make_trainer(groups), given.make_trials(groups)
  program = placement.place(
    trainer,
    placement.Placement('vmap', len(trials.train), len(trials.train)),
    devices=jax.devices()[:1],
    # As above.
    eval_every=given.EVAL_EVERY,
    max_windows=3,
  )
  data = program.put_data(given.make_data(inputs, labels))
  spread = program.put_trials(trials)
  states = program.init(trials, data)
  lowered = program.run_chunk.lower(states, spread, data, 0, 3)
  text = lowered.compile().as_text()
  for collective in ('all-gather', 'all-reduce', 'collective-permute'):
    assert collective not in text


@pytest.mark.parametrize(('mode', 'width'), [('map', 1), ('vmap', 5)])
def test_the_program_of_shapes_is_that_of_a_round(mode, width):
  """So that it is compiled once, where compiled programs are kept."""
  inputs, labels, groups = given.make_arrays()
  trainer, trials = given.make_trainer(groups), given.make_trials(groups)
  program = placement.place(
    trainer,
    placement.Placement(mode, width, 5),
    devices=jax.devices()[:1],
    eval_every=2,
    max_windows=3,
  )
  data = given.make_data(inputs, labels)
  shapes = program.lower(trials, data)
  some = jax.tree.map(lambda x: x[:5], trials)
  arrays = program.run_chunk.lower(
    program.init(some, data),
    program.put_trials(some),
    program.put_data(data),
    1,
    2,
  )
  assert shapes.as_text() == arrays.as_text()
  assert shapes.in_avals == arrays.in_avals


_EIGHT_DEVICES = """
import json
import jax
jax.config.update('jax_num_cpu_devices', 8)
from mejax.training import cost
from mejax.training import placement
from tests.training import setup_trials as given
inputs, labels, groups = given.make_arrays()
trainer, trials = given.make_trainer(groups), given.make_trials(groups)
devices = jax.devices()
result = {}
for mode in ('map', 'vmap'):
  plan = cost.choose(
    trainer, trials, given.make_data(inputs, labels), mode=mode,
    devices=devices, eval_every=2)
  program = placement.place(
    trainer, plan, devices=devices, eval_every=2, max_windows=3)
  data = program.put_data(given.make_data(inputs, labels))
  spread = program.put_trials(trials)
  states = program.init(trials, data)
  assert len(states.step.sharding.device_set) == len(devices) == 8
  lowered = program.run_chunk.lower(states, spread, data, 0, 3)
  shapes = program.lower(trials, data)
  assert shapes.as_text() == lowered.as_text()
  run = lowered.compile()
  text = run.as_text()
  assert 'all-gather' not in text and 'all-reduce' not in text
  _, logits, losses = run(states, spread, data, 0, 3)
  result[mode] = [logits[:9].tolist(), losses[:9].tolist()]
print(json.dumps(result))
"""


def test_eight_devices_equal_one(together):
  done = subprocess.run(
    [sys.executable, '-c', _EIGHT_DEVICES],
    capture_output=True,
    text=True,
    # Results agree to rounding, so this may be compiled quickly.
    env=child.environment() | {'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'},
  )
  assert done.returncode == 0, done.stderr
  eight = json.loads(done.stdout.splitlines()[-1])
  for mode in MODES:
    _, logits, losses = together[mode]
    other, other_losses = (np.array(x) for x in eight[mode])
    np.testing.assert_allclose(losses, other_losses, atol=1e-4)
    assert (logits.argmax(-1) == other.argmax(-1)).all()


def _one(trials, i):
  return jax.tree.map(lambda x: x[i : i + 1], trials)
