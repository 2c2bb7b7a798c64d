"""Accelerators that programs are compiled for, here or elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
from typing import NamedTuple

from mejax.training import gpus


class Rate(NamedTuple):
  """How fast matrices of float32 are multiplied.

  Attributes:
    flops: most operations a second.
    how: the maker's number, and what JAX does with it, in words.
  """

  flops: float
  how: str


@dataclasses.dataclass(frozen=True)
class Chip:
  """What the maker says of a chip.

  Attributes:
    kind: what JAX calls it.
    rates: by the precision of matrix products, `jax.lax.Precision`, in lower
      case.
    bandwidth: bytes a second from and to its memory.
    memory: size of its memory in bytes.
    source: where the numbers stand.
  """

  kind: str
  rates: Mapping[str, Rate]
  bandwidth: float
  memory: float
  source: str


def _tpu(flops: float, **numbers) -> Chip:
  """Describes a TPU, which multiplies matrices of bfloat16.

  A product of float32 takes several passes over bfloat16 parts; see
  `jax.lax.Precision`.
  """
  how = f'{flops / 1e12:.0f} TFLOP/s in bfloat16'
  rates = {'default': Rate(flops, how)} | {
    name: Rate(flops / passes, f'{how}, {passes} passes a product')
    for name, passes in (('high', 3), ('highest', 6))
  }
  return Chip(rates=rates, **numbers)


def _gpu(single: float, tensor: float, **numbers) -> Chip:
  """Describes a GPU, where JAX takes TensorFloat-32 unless told otherwise."""
  finest = Rate(single, f'{single / 1e12:.3g} TFLOP/s in float32')
  usual = finest
  if tensor:
    usual = Rate(tensor, f'{tensor / 1e12:.3g} TFLOP/s in TensorFloat-32')
  rates = {'default': usual, 'high': usual, 'highest': finest}
  return Chip(rates=rates, **numbers)


# By the name that a topology begins with, as in v5e:4x4.
TPUS = {
  'v5e': _tpu(
    197e12,
    kind='TPU v5 lite',
    bandwidth=819e9,
    memory=16e9,
    source='cloud.google.com/tpu/docs/v5e',
  ),
  'v5p': _tpu(
    459e12,
    kind='TPU v5',
    bandwidth=2765e9,
    memory=95e9,
    source='cloud.google.com/tpu/docs/v5p',
  ),
  'v6e': _tpu(
    918e12,
    kind='TPU v6 lite',
    bandwidth=1600e9,
    memory=32e9,
    source='cloud.google.com/tpu/docs/v6e',
  ),
}
# All that programs are compiled for where there is none, by name.
CHIPS = TPUS | {
  name: _gpu(
    gpu.single,
    gpu.tensor,
    kind=gpu.name,
    bandwidth=gpu.bandwidth,
    memory=gpu.memory,
    source=gpu.source,
  )
  for name, gpu in gpus.GPUS.items()
}
# The compiler of JAX for CUDA 13 has given them up, that for CUDA 12 has not.
_AT_HAND = tuple(
  _gpu(
    15.7e12,
    0.0,
    kind=f'Tesla V100-SXM2-{size}GB',
    bandwidth=900e9,
    memory=size * 1e9,
    source='nvidia.com/en-us/data-center/v100',
  )
  for size in (16, 32)
)


def of_kind(kind: str) -> Chip | None:
  """Returns the chip that JAX calls so; None if it is not known."""
  known = (*CHIPS.values(), *_AT_HAND)
  return next((chip for chip in known if chip.kind == kind), None)
