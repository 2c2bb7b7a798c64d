"""Forecasts in words, against numbers put in by hand."""

from __future__ import annotations

import dataclasses
import math
from unittest import mock

import jax
import pytest

from mejax.training import chips
from mejax.training import forecast
from mejax.training import forecast_text
from mejax.training import placement
from mejax.training import trial
from mejax.training import work

TRAINER = mock.Mock(spec=trial.Trainer, num_epochs=4, batch_sizes=(32, 10))
BEGUN = forecast.Forecast(
  placement.Placement('vmap', 3, 6),
  rounds=2,
  turns=3,
  state_bytes=2**20,
  least_bytes=2e9,
  steps=2,
  evaluations=1,
  refused=((9, 5 * 2**20), (7, math.inf)),
)
ROUND = dataclasses.replace(
  BEGUN,
  device_bytes=40 * 2**20,
  temporary_bytes=30 * 2**20,
  collectives=('all-reduce',),
)
WHOLE = dataclasses.replace(
  ROUND,
  # On a v5e, a second of operations and five of traffic.
  step=work.Work(197e12, 819e9 * 5, 819e9 * 7),
  evaluation=work.Work(0.0, 0.0, 0.0),
  compile_seconds=8.0,
)


def describe(found, kind='TPU v5 lite', platform='tpu', precision='default'):
  device = mock.Mock(spec=jax.Device, device_kind=kind, platform=platform)
  lines = forecast_text.describe(
    found, TRAINER, 9, devices=[device], precision=precision
  )
  return '\n'.join(lines)


def test_what_is_known_before_the_compiler_has_ended():
  text = describe(BEGUN)
  assert '9 trials of 4 epochs, 2 steps of up to 32 examples' in text
  assert '9 (5 MiB), 7 (more than it has)' in text
  assert 'checkpoints of a round take up to 18 MiB' in text
  assert 'a step of 3 trials together: at least 2 GB of traffic' in text
  for unknown in ('memory:', 'least time', 'collectives', 'compiled'):
    assert unknown not in text


def test_what_is_known_once_the_round_is_compiled():
  text = describe(ROUND)
  assert 'memory: 40 MiB on each device, of it temporary 30 MiB, 10.0' in text
  assert 'collectives between devices: 1 (all-reduce)' in text
  assert 'at least 2 GB of traffic' in text


def test_a_whole_forecast_tells_the_roofline_and_its_source():
  text = describe(WHOLE)
  assert '1.97e+05 GFLOP, and 4.1e+03 GB of traffic' in text
  assert '(5.73e+03 GB with that on the chip, as XLA counts)' in text
  assert '2047.5 times the 2 GB' in text
  assert (
    'least time of all: 30 s, by the slower of operations (6 s) and'
    ' traffic (30 s) of each step'
  ) in text
  assert 'cloud.google.com/tpu/docs/v5e' in text
  assert 'compiled in 8 s' in text
  # Six passes for a product of float32.
  assert 'operations (36 s)' in describe(WHOLE, precision='float32')


def test_a_gpu_is_told_what_was_counted_and_how():
  flops = chips.CHIPS['a100'].rates['default'].flops
  found = dataclasses.replace(WHOLE, step=work.Work(flops, 2039e9), traced=True)
  text = describe(found, 'NVIDIA A100-SXM4-80GB', 'gpu')
  assert 'one trial as it is traced for a GPU' in text and 'times 3' in text
  assert 'as XLA counts' not in text
  assert 'least time of all: 6 s' in text and 'TensorFloat-32' in text
  silent = dataclasses.replace(found, step=work.Work(None, 2039e9))
  text = describe(silent, 'NVIDIA A100-SXM4-80GB', 'gpu')
  assert 'operations not known' in text and 'JAX_PLATFORMS' in text
  assert 'least time' not in text


@pytest.mark.parametrize(
  ('kind', 'precision', 'words'),
  [
    ('NVIDIA Unheard', 'default', "peak of 'NVIDIA Unheard' is not known"),
    ('NVIDIA H200', 'BF16_BF16_F32', "at precision 'BF16_BF16_F32'"),
  ],
)
def test_a_time_that_cannot_be_told_is_named(kind, precision, words):
  assert words in describe(WHOLE, kind, 'gpu', precision)


def test_a_cpu_has_no_least_time():
  assert 'least time' not in describe(WHOLE, 'cpu', 'cpu')
