"""The sum by a softmax against the softmax and the sum, in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.models import scores
from tests import closeness
from tests.models import platforms

pytestmark = pytest.mark.unoptimised


def softmax(logits, counts):
  shares = np.exp(logits - logits.max(-1, keepdims=True)) * counts
  return shares / shares.sum(-1, keepdims=True)


@pytest.mark.parametrize('platform', ['cpu', 'cuda'])
@pytest.mark.parametrize('masked', [False, True])
def test_sum_by_a_softmax_and_its_gradients_are_those_of_weights(
  masked, platform, monkeypatch
):
  platforms.pretend(monkeypatch, platform)
  source = np.random.default_rng(0)
  logits, value = (
    source.normal(size=(2, 3, 7, 5)),
    source.normal(size=(2, 5, 3, 4)),
  )
  counts = (
    source.random((2, 1, 1, 5)) < 0.6 if masked else np.ones((1, 5), bool)
  )
  counts[..., 0] = True
  seeds = source.normal(size=(2, 7, 3, 4)), source.normal(size=logits.shape)
  weights = softmax(logits, counts)
  output = np.einsum('bhnm,bmhe->bnhe', weights, value)
  by_weight = np.einsum('bnhe,bmhe->bhnm', seeds[0], value) + seeds[1]
  mean = (weights * by_weight).sum(-1, keepdims=True)

  def call(logits, value):
    return scores.softly_weigh(logits, counts if masked else None, value)

  ours, backward = jax.vjp(call, jnp.float32(logits), jnp.float32(value))
  slopes = backward(tuple(map(jnp.float32, seeds)))
  closeness.assert_close(ours[0], output, 1e-6)
  closeness.assert_close(ours[1], weights, 1e-6)
  closeness.assert_close(slopes[0], weights * (by_weight - mean), 1e-6)
  true = np.einsum('bhnm,bnhe->bmhe', weights, seeds[0])
  closeness.assert_close(slopes[1], true, 1e-6)


@pytest.mark.parametrize('platform', ['cpu', 'cuda'])
def test_a_query_for_which_no_key_counts_gets_zeros(platform, monkeypatch):
  platforms.pretend(monkeypatch, platform)
  counts = np.zeros((1, 4), bool)
  output, weights = scores.softly_weigh(
    jnp.ones((1, 2, 3, 4)), counts, jnp.ones((1, 4, 2, 5))
  )
  assert not output.any() and not weights.any()


def test_training_sums_numbers_of_all_keys_once_and_not_backward(monkeypatch):
  """Such sums were the dearest of a step on a CPU; products do not count."""
  platforms.pretend(monkeypatch, 'cpu')

  def loss(logits, value):
    return jnp.sin(scores.softly_weigh(logits, None, value)[0]).sum()

  shapes = [jnp.ones((2, 3, 11, 11)), jnp.ones((2, 11, 3, 5))]
  program = jax.make_jaxpr(jax.grad(loss, (0, 1)))(*shapes)
  sums = [
    eqn
    for eqn in program.eqns
    if eqn.primitive.name == 'reduce_sum' and eqn.invars[0].aval.shape[-1] == 11
  ]
  # The shares of the forward pass.
  assert len(sums) == 1


def test_a_program_for_a_gpu_divides_weights_and_any_other_sums():
  """On a GPU a softmax is one kernel; see docs/measurements.md."""
  shapes = [jnp.ones((2, 3, 11, 11)), jnp.ones((2, 11, 3, 5))]
  call = jax.jit(
    lambda *arrays: scores.softly_weigh(arrays[0], None, arrays[1])[0]
  )
  traced = call.trace(*shapes)

  def divided(platform):
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    lines = [line for line in program.splitlines() if '.divide' in line]
    return [line.rpartition('tensor')[2] for line in lines]

  assert divided('cuda') == ['<2x3x11x11xf32>']
  assert divided('cpu') == divided('tpu') == ['<66x5xf32>']
