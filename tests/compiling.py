"""Compiles programs in a tenth of the time, where nobody waits for results.

They run slower then, and may round otherwise in the last digit.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import jax
from jax._src import compiler

_OPTIONS = {
  'xla_backend_optimization_level': 0,
  'xla_llvm_disable_expensive_passes': True,
  # These take most of the time.
  'xla_cpu_use_fusion_emitters': False,
}
_FLAGS = os.environ.get('XLA_FLAGS', '')
_plain = compiler.get_compile_options


@functools.cache
def options() -> dict[str, Any]:
  """For `jax.jit(compiler_options=...)`: what the XLA of this JAX knows.

  XLA reads its flags once. That is here, before they are changed for children.
  """
  known = {}
  for name, value in _OPTIONS.items():
    try:
      jax.jit(abs, compiler_options={name: value})(1.0)
    except jax.errors.JaxRuntimeError:
      continue
    known[name] = value
  return known


def _quick(*args: Any, env_options_overrides: Any = None, **others: Any) -> Any:
  overrides = options() | (env_options_overrides or {})
  return _plain(*args, env_options_overrides=overrides, **others)


def quickly(wanted: bool) -> None:
  """Whether this process, and those it starts, compile so from now on.

  Public JAX has no such switch but for single functions.
  """
  flags = [
    f'--{name}={str(value).lower()}' for name, value in options().items()
  ]
  if not wanted and compiler.get_compile_options is _quick:
    # JAX would hand these programs to who compares bits.
    jax.clear_caches()
  compiler.get_compile_options = _quick if wanted else _plain
  os.environ['XLA_FLAGS'] = ' '.join([_FLAGS, *(flags if wanted else ())])
