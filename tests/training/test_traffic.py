"""The traffic of a program is what its layouts say that it moves."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from mejax.training import traffic

WHOLE = 8 * 128 * 4

MEMORIES = """HloModule small

%fused_computation.1 (a: f32[8,128], b: bf16[8,128]) -> f32[8,128] {
  %a = f32[8,128]{1,0:T(8,128)} parameter(0)
  %b = bf16[8,128]{1,0:T(8,128)} parameter(1)
  %wide = f32[8,128]{1,0:T(8,128)} convert(%b)
  ROOT %c = f32[8,128]{1,0:T(8,128)} add(%a, %wide)
}

ENTRY %main (x: f32[8,128]) -> f32[8,128] {
  %x = f32[8,128]{1,0:T(8,128)} parameter(0)
  %near = bf16[8,128]{1,0:T(8,128)(2,1)S(1)} convert(%x), metadata={}
  %start = (f32[8,128]{1,0:S(1)}, f32[8,128]{1,0}, u32[]{:S(2)}) copy-start(%x)
  %done = f32[8,128]{1,0:S(1)} copy-done(%start)
  %part = ((f32[8,128]{1,0}), f32[2,128]{1,0:S(1)}, s32[]) slice-start(%x)
  %within = (f32[8,128]{1,0}, f32[8,128]{1,0}, u32[]{:S(2)}) copy-start(%x)
  %room = f32[8,128]{1,0} custom-call(), custom_call_target="AllocateBuffer"
  %still = f32[8,128]{1,0:S(1)} fusion(%done, %near), kind=kLoop, calls=%fused_computation.1
  ROOT %out = f32[8,128]{1,0} fusion(%still, %x), kind=kLoop, calls=%fused_computation.1, metadata={op_name="f"}
}
"""  # noqa: E501

# As compilers for TPUs and GPUs write it: a buffer of 64 rows is changed in
# place in a loop, and one row of it is read.
PARTS = """HloModule parts

%cut (p0: f32[64,128], p1: s32[]) -> (f32[1,128], f32[128]) {
  %p0 = f32[64,128]{1,0} parameter(0)
  %p1 = s32[] parameter(1)
  %flat = f32[64,1,128]{2,1,0} bitcast(%p0)
  %zero = s32[] constant(0)
  %row = f32[1,1,128]{2,1,0} dynamic-slice(%flat, %p1, %zero, %zero)
  %one = f32[1,128]{1,0} bitcast(%row)
  %line = f32[128]{0} bitcast(%row)
  ROOT %both = (f32[1,128]{1,0}, f32[128]{0}) tuple(%one, %line)
}

%put (q0: f32[64,128], q1: f32[1,128], q2: s32[]) -> f32[64,128] {
  %q0 = f32[64,128]{1,0} parameter(0)
  %q1 = f32[1,128]{1,0} parameter(1)
  %q2 = s32[] parameter(2)
  %naught = s32[] constant(0)
  ROOT %new = f32[64,128]{1,0} dynamic-update-slice(%q0, %q1, %q2, %naught)
}

%body (all: (s32[], f32[64,128])) -> (s32[], f32[64,128]) {
  %all = (s32[], f32[64,128]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%all), index=0
  %buffer = f32[64,128]{1,0} get-tuple-element(%all), index=1
  %read = (f32[1,128]{1,0}, f32[128]{0}) fusion(%buffer, %i), kind=kLoop, calls=%cut
  %taken = f32[1,128]{1,0} get-tuple-element(%read), index=0
  %product = (f32[1,128]{1,0}, s8[4194304]{0}) custom-call(%taken), custom_call_target="__cublas$gemm"
  %value = f32[1,128]{1,0} get-tuple-element(%product), index=0
  %write = f32[64,128]{1,0} fusion(%buffer, %value, %i), kind=kLoop, calls=%put
  ROOT %next = (s32[], f32[64,128]{1,0}) tuple(%i, %write)
}

%more (some: (s32[], f32[64,128])) -> pred[] {
  %some = (s32[], f32[64,128]{1,0}) parameter(0)
  ROOT %yes = pred[] constant(true)
}

ENTRY %main (x: (s32[], f32[64,128])) -> (s32[], f32[64,128]) {
  %x = (s32[], f32[64,128]{1,0}) parameter(0)
  ROOT %loop = (s32[], f32[64,128]{1,0}) while(%x), condition=%more, body=%body, metadata={op_name="jit(f)/parts/while"}
}
"""  # noqa: E501


def test_what_lies_in_the_fast_memory_is_no_traffic():
  moves = traffic.read(MEMORIES)
  assert {move.name: move.bytes for move in moves} == {
    'near': WHOLE,  # It is read from the large memory, written to the other.
    'start': WHOLE,
    'part': WHOLE / 4,
    'within': 2 * WHOLE,  # Both places lie in the large memory.
    'still': 0,
    'out': 2 * WHOLE,
  }
  assert [move.source for move in moves if move.name == 'out'] == ['f']
  sizes = [move.bytes for move in moves]
  assert sizes == sorted(sizes, reverse=True)
  assert traffic.total(MEMORIES) == sum(sizes)


def test_of_an_array_that_is_cut_or_changed_in_place_the_part_counts():
  row, number = 4 * 128, 4
  assert {move.name: move.bytes for move in traffic.read(PARTS)} == {
    'read': row + number + 2 * row,
    'product': 2 * row,  # Not the memory in which the library works.
    'write': row + number + row,
  }


def test_a_loop_counts_as_often_as_it_is_said_to_turn():
  once = traffic.total(PARTS)
  assert traffic.total(PARTS, {'parts/while': 7.0}) == 7 * once
  assert traffic.total(PARTS, {'others/while': 7.0}) == once


@pytest.mark.parametrize(
  ('dtype', 'size'), [('float32', 4), ('bfloat16', 2), ('int8', 1), ('bool', 1)]
)
def test_a_sum_of_two_arrays_reads_both_and_writes_one(dtype, size):
  x = jax.ShapeDtypeStruct((256, 1024), dtype)
  program = jax.jit(jnp.maximum).lower(x, x).compile().as_text()
  assert traffic.total(program) == 3 * 256 * 1024 * size


def test_the_body_of_a_loop_counts_once():
  def run(x, count):
    return jax.lax.fori_loop(0, count, lambda i, x: jnp.sin(x) * i, x)

  x = jax.ShapeDtypeStruct((256, 1024), 'float32')
  whole = 256 * 1024 * 4
  found = traffic.total(jax.jit(run).lower(x, 0).compile().as_text())
  # The body reads and writes; the argument may be copied before.
  assert 2 * whole <= found < 4.1 * whole


def test_a_text_that_is_no_compiled_program_is_refused():
  lowered = jax.jit(jnp.sin).lower(1.0).as_text()
  with pytest.raises(ValueError, match='no line that begins with ENTRY'):
    traffic.read(lowered)
