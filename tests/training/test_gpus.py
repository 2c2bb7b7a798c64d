"""GPUs as XLA is told of them, against what XLA makes of it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from mejax.experiment import forecasting
from mejax.training import gpus
from tests import child


@pytest.mark.parametrize('name', gpus.GPUS)
def test_sizes_of_a_card_are_told_in_bytes(name):
  gpu = gpus.GPUS[name]
  told = dict(re.findall(r'^ *(\w+): (\S+)$', gpu.target(), re.M))
  assert float(told['device_memory_size']) == gpu.memory >= 16e9
  assert float(told['memory_bandwidth']) == gpu.bandwidth
  # CUDA keeps one KiB of each block for itself from Ampere on.
  reserved = 2**10 if gpu.capability >= (8, 0) else 0
  block, core = (
    int(told[f'shared_memory_per_{x}']) for x in ('block_optin', 'core')
  )
  assert core - block == reserved
  # As many threads as warps of 32, and no less than one block.
  assert int(told['threads_per_core_limit']) % 32 == 0
  assert int(told['threads_per_core_limit']) >= 1024


# The plugin looks for a GPU unless JAX is told not to, when it starts.
COMPILE = """
import jax
import jax.numpy as jnp
from jax.experimental import topologies
from mejax.training import gpus

for name, gpu in gpus.GPUS.items():
  found = topologies.get_topology_desc(
    platform='cuda', target_config=gpu.target(), topology='1x1x2'
  )
  one = jax.sharding.SingleDeviceSharding(found.devices[0])
  x = jax.ShapeDtypeStruct((256, 256), jnp.float32, sharding=one)
  memory = jax.jit(lambda x: jnp.tanh(x @ x)).lower(x).compile()
  memory = memory.memory_analysis()
  kinds = {each.device_kind for each in found.devices}
  print(name, *kinds, len(found.devices), memory.output_size_in_bytes, sep=';')
"""


@pytest.mark.slow
@pytest.mark.skipif(
  not forecasting.has_cuda(), reason='needs the CUDA plugin of JAX'
)
def test_xla_compiles_for_every_gpu_without_one():
  told = subprocess.run(
    [sys.executable, '-c', COMPILE],
    env=child.environment() | {'JAX_PLATFORMS': 'cpu'},
    check=True,
    stdout=subprocess.PIPE,
    text=True,
  ).stdout
  assert told.splitlines() == [
    f'{name};{gpu.name};2;{256 * 256 * 4}' for name, gpu in gpus.GPUS.items()
  ]
