"""Training of MagNet: its examples, and resuming after an interruption."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.motion import flow
from mejax.motion import magnet
from mejax.motion import magnet_training

pytestmark = pytest.mark.unoptimised

SMALL = magnet.MagNet(
  width=4, difference=3, num_blocks=1, num_branch_blocks=1, num_decoder_blocks=1
)


def test_the_truth_moves_alpha_times_as_far_as_the_apex():
  make = jax.jit(
    magnet_training.make_examples, static_argnames=('number', 'size')
  )
  made = jax.tree.map(np.asarray, make(jax.random.key(1), number=32, size=64))
  assert made['alpha'].min() >= 1 and made['alpha'].max() > 5
  near, far = (
    np.asarray(flow.tvl1(made['onset'], made[name]))[:, 8:-8, 8:-8]
    for name in ('apex', 'truth')
  )
  # Only where the flow of the apex is long enough for a comparison.
  length = np.linalg.norm(near, axis=-1).max((1, 2))
  slope = (near * far).sum((1, 2, 3)) / (near**2).sum((1, 2, 3))
  clear = length > 0.3
  assert clear.sum() > 5
  ratio = slope[clear] / made['alpha'][clear]
  assert abs(np.median(ratio) - 1) < 0.1


def test_training_lowers_the_error_and_goes_on_after_a_stop(
  tmp_path, monkeypatch
):
  options = {'module': SMALL, 'steps': 6, 'batch': 2, 'size': 16}
  whole = magnet_training.train(tmp_path / 'a.npz', save_every=4, **options)
  jax.tree.map(
    np.testing.assert_array_equal,
    magnet.load_params(tmp_path / 'a.npz'),
    whole,
  )
  steps = []
  plain = magnet_training.train_step

  def killed(state, *arguments, **named):
    steps.append(int(state['step']))
    if len(steps) == 6:
      raise KeyboardInterrupt
    return plain(state, *arguments, **named)

  monkeypatch.setattr(magnet_training, 'train_step', killed)
  with pytest.raises(KeyboardInterrupt):
    magnet_training.train(tmp_path / 'b.npz', save_every=4, **options)
  again = magnet_training.train(tmp_path / 'b.npz', save_every=4, **options)
  assert steps == [0, 1, 2, 3, 4, 5, 4, 5]
  jax.tree.map(np.testing.assert_array_equal, again, whole)
  finished = magnet_training.train(tmp_path / 'b.npz', save_every=4, **options)
  assert len(steps) == 8
  jax.tree.map(np.testing.assert_array_equal, finished, whole)
  options['module'] = SMALL.clone(width=8)
  with pytest.raises(ValueError, match="'width': 4.*'width': 8.*another --out"):
    magnet_training.train(tmp_path / 'b.npz', **options)


def test_steps_on_the_same_frames_bring_the_apex_nearer_to_the_truth():
  schedule = (3e-3, 120, 4)
  module = SMALL.clone(width=8)
  state = magnet_training.initial_state(
    jax.random.key(0), module=module, schedule=schedule
  )
  errors = []
  for _ in range(schedule[1]):
    # The number of the step decides the frames.
    state, error = magnet_training.train_step(
      state | {'step': jnp.int32(0)},
      jax.random.key(1),
      module=module,
      schedule=schedule,
      size=24,
    )
    errors.append(float(error))
  assert np.mean(errors[-10:]) < 0.97
