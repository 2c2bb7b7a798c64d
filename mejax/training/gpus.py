"""GPUs that XLA can compile for where there is none.

XLA asks a GPU for its sizes. Without one it reads them from a message in text
form, `GpuTargetConfigProto`, which is made here from the maker's documents:
the data sheet of the card (cores, caches, memory) and, for what all cards of a
compute capability share, the tables of the CUDA programming guide.
"""

from __future__ import annotations

import dataclasses
import textwrap


@dataclasses.dataclass(frozen=True)
class Gpu:
  """What XLA wants to know of a GPU.

  Attributes:
    name: what JAX calls it.
    capability: its compute capability.
    cores: multiprocessors.
    lanes: units of float32 in each of them.
    threads: most threads of a multiprocessor.
    shared: KiB of shared memory of a multiprocessor.
    block: KiB of it that one block may have.
    cache: MiB of the second-level cache.
    clock: GHz.
    bandwidth: bytes a second from and to its memory.
    memory: size of its memory in bytes.
    single: most operations a second in float32, without its matrix units.
    tensor: most operations a second, multiplying matrices of TensorFloat-32
      that are not sparse; 0 if it cannot.
    source: where the numbers stand.
  """

  name: str
  capability: tuple[int, int]
  cores: int
  lanes: int
  threads: int
  shared: int
  block: int
  cache: int
  clock: float
  bandwidth: float
  memory: float
  single: float
  tensor: float
  source: str

  def target(self) -> str:
    """Returns the message that XLA reads."""
    major, minor = self.capability
    return textwrap.dedent(f"""\
      gpu_device_info {{
        threads_per_block_limit: 1024
        threads_per_warp: 32
        threads_per_core_limit: {self.threads}
        shared_memory_per_block: {48 * 2**10}
        shared_memory_per_block_optin: {self.block * 2**10}
        shared_memory_per_core: {self.shared * 2**10}
        registers_per_block_limit: {2**16}
        registers_per_core_limit: {2**16}
        block_dim_limit_x: {2**31 - 1}
        block_dim_limit_y: {2**16 - 1}
        block_dim_limit_z: {2**16 - 1}
        core_count: {self.cores}
        fpus_per_core: {self.lanes}
        clock_rate_ghz: {self.clock}
        l2_cache_size: {self.cache * 2**20}
        memory_bandwidth: {self.bandwidth:.0f}
        device_memory_size: {self.memory:.0f}
        cuda_compute_capability {{ major: {major} minor: {minor} }}
      }}
      platform_name: "CUDA"
      dnn_version_info {{ major: 9 minor: 10 }}
      runtime_version {{ major: 12 minor: 9 }}
      device_description_str: "{self.name}"
      """)


_HOPPER = {
  'capability': (9, 0), 'cores': 132, 'lanes': 128, 'threads': 2048,
  'shared': 228, 'block': 227, 'cache': 50, 'clock': 1.98, 'single': 67e12,
  'tensor': 494.7e12,
}  # fmt: skip
_AMPERE = {
  'capability': (8, 0), 'cores': 108, 'lanes': 64, 'threads': 2048,
  'shared': 164, 'block': 163, 'cache': 40, 'clock': 1.41, 'single': 19.5e12,
  'tensor': 156e12, 'source': 'nvidia.com/en-us/data-center/a100',
}  # fmt: skip
GPUS = {
  't4': Gpu(
    'Tesla T4', (7, 5), cores=40, lanes=64, threads=1024, shared=64, block=64,
    cache=4, clock=1.59, bandwidth=320e9, memory=16e9, single=8.1e12,
    tensor=0.0, source='nvidia.com/en-us/data-center/tesla-t4',
  ),
  'l4': Gpu(
    'NVIDIA L4', (8, 9), cores=58, lanes=128, threads=1536, shared=100,
    block=99, cache=48, clock=2.04, bandwidth=300e9, memory=24e9,
    single=30.3e12, tensor=60e12, source='nvidia.com/en-us/data-center/l4',
  ),
  'a100_40': Gpu(
    'NVIDIA A100-SXM4-40GB', bandwidth=1555e9, memory=40e9, **_AMPERE
  ),
  'a100': Gpu(
    'NVIDIA A100-SXM4-80GB', bandwidth=2039e9, memory=80e9, **_AMPERE
  ),
  'h100': Gpu(
    'NVIDIA H100 80GB HBM3', bandwidth=3350e9, memory=80e9,
    source='nvidia.com/en-us/data-center/h100', **_HOPPER,
  ),
  'h200': Gpu(
    'NVIDIA H200', bandwidth=4800e9, memory=141e9,
    source='nvidia.com/en-us/data-center/h200', **_HOPPER,
  ),
}  # fmt: skip
