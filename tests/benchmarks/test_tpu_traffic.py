"""The traffic of a program is what its layouts say that it moves."""

from __future__ import annotations

from tests.benchmarks import tpu_traffic

PROGRAM = """HloModule small

%fused_computation.1 (a: f32[8,128]) -> f32[8,128] {
  %a = f32[8,128]{1,0:T(8,128)} parameter(0)
  ROOT %b = f32[8,128]{1,0:T(8,128)} add(%a, %a)
}

ENTRY %main (x: f32[8,128]) -> f32[8,128] {
  %x = f32[8,128]{1,0:T(8,128)} parameter(0)
  %near = bf16[8,128]{1,0:T(8,128)(2,1)S(1)} convert(%x), metadata={}
  %start = (f32[8,128]{1,0:S(1)}, f32[8,128]{1,0}, u32[]{:S(2)}) copy-start(%x)
  %done = f32[8,128]{1,0:S(1)} copy-done(%start)
  %part = ((f32[8,128]{1,0}), f32[2,128]{1,0:S(1)}, s32[]) slice-start(%x)
  %still = f32[8,128]{1,0:S(1)} fusion(%done, %near), kind=kLoop
  ROOT %out = f32[8,128]{1,0} fusion(%still, %x), metadata={op_name="f"}
}
"""


def test_what_lies_in_the_fast_memory_is_no_traffic():
  moves = tpu_traffic.read_moves(PROGRAM)
  found = {move.name: move.bytes for move in moves}
  whole = 8 * 128 * 4
  assert found == {
    'near': whole,  # It is read from the large memory, written to the other.
    'start': whole,
    'part': whole // 4,
    'still': 0,
    'out': 2 * whole,
  }
  assert moves[0].name == 'out' and moves[0].source == 'f'
