"""Operations of small programs, against their products counted by hand."""

from __future__ import annotations

import dataclasses

from flax import linen as nn
import jax
import pytest

from mejax.models import convolution
from mejax.training import work
from tests import own_parts
from tests.training import setup_trials as given


class OneConvolution(nn.Module):
  @nn.compact
  def __call__(self, inputs, *, train=False):
    return convolution.Conv3x3(3)(inputs).mean((1, 2)), {}


@pytest.fixture(scope='module')
def parts():
  return given.make_parts(own_parts.Linear())


def test_what_is_not_known_stays_so():
  known, silent = work.Work(4.0, 6.0, 8.0), work.Work(1.0, None, 10.0)
  assert known + silent == work.Work(5.0, None, 18.0)
  assert known - silent == work.Work(3.0, None, 0.0)
  assert silent * 2 == work.Work(2.0, None, 20.0)


def test_the_slower_of_operations_and_traffic_takes_the_time():
  assert work.Work(100.0, 10.0).seconds(10.0, 5.0) == 10
  assert work.Work(10.0, 100.0).seconds(10.0, 5.0) == 20
  assert work.Work(10.0, None).seconds(10.0, 5.0) is None


def test_a_traced_step_and_evaluation_have_the_operations_of_their_products(
  parts,
):
  trainer, trials, _ = parts
  step, evaluation = work.trace(*parts, eval_every=2)
  batch = sum(trainer.batch_sizes) / len(trainer.batch_sizes)
  # Forward, and the gradient by the kernel; the images need none.
  products = 2 * (2 * batch * 48 * 3)
  assert products < step.flops < 4 * products
  assert evaluation.flops > 2 * trials.held_out.shape[-1] * 48 * 3
  # Nothing is compiled that could say more.
  assert step.bytes is step.accessed is None


def test_a_traced_step_in_parts_has_the_operations_of_the_whole(parts):
  trainer, trials, data = parts
  sizes = {'batch_sizes': (24,)}
  whole, cut = (
    work.trace(
      dataclasses.replace(trainer, microbatch=microbatch, **sizes),
      trials,
      data,
      eval_every=2,
    )[0]
    for microbatch in (0, 4)
  )
  assert cut.flops == pytest.approx(whole.flops, rel=0.05)


def test_large_maps_are_counted_whole_though_a_cpu_takes_them_in_groups(
  monkeypatch,
):
  parts, flops = given.make_parts(OneConvolution()), []
  for room in (2**26, 1):
    monkeypatch.setattr(convolution, 'PATCH_BYTES', room)
    flops.append(work.trace(*parts, eval_every=2)[0].flops)
  assert flops[0] == flops[1] > 2 * 16 * 16 * (9 * 3 * 3)


def test_without_a_cpu_operations_are_not_known(parts, monkeypatch):
  def refuse(**options):
    raise RuntimeError(f'Unknown backend {options}')

  monkeypatch.setattr(jax, 'local_devices', refuse)
  assert work.trace(*parts, eval_every=2) == (work.Work(), work.Work())
