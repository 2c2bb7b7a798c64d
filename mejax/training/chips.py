"""Accelerators that programs are compiled for, here or elsewhere."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Chip:
  """What the maker says of a chip.

  Attributes:
    kind: what JAX calls it.
    flops: most operations a second, multiplying matrices of bfloat16.
    bandwidth: bytes a second from and to its memory.
    memory: size of its memory in bytes.
    source: where the numbers stand.
  """

  kind: str
  flops: float
  bandwidth: float
  memory: float
  source: str


# By the name that a topology begins with, as in v5e:4x4.
CHIPS = {
  'v5e': Chip(
    kind='TPU v5 lite',
    flops=197e12,
    bandwidth=819e9,
    memory=16e9,
    source='cloud.google.com/tpu/docs/v5e',
  ),
  'v5p': Chip(
    kind='TPU v5',
    flops=459e12,
    bandwidth=2765e9,
    memory=95e9,
    source='cloud.google.com/tpu/docs/v5p',
  ),
  'v6e': Chip(
    kind='TPU v6 lite',
    flops=918e12,
    bandwidth=1600e9,
    memory=32e9,
    source='cloud.google.com/tpu/docs/v6e',
  ),
}
# Passes over bfloat16 parts that a product of float32 takes on a TPU, by
# `matmul_precision`; see `jax.lax.Precision`.
PASSES = {'default': 1, 'high': 3, 'highest': 6}


def of_kind(kind: str) -> Chip | None:
  """Returns the chip that JAX calls so; None if it is not known."""
  return next((chip for chip in CHIPS.values() if chip.kind == kind), None)
