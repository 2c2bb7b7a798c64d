"""What a compiled program moves between a device and its memory.

It is read from the text of the program. Each instruction that stands outside of
a fusion is a kernel, which reads its operands and writes its results; of an
array that it cuts, or changes in place, only the part. A TPU has a fast memory
on the chip, too. The layout of an array names it if the array lies there, and
then nothing is moved.

The body of a loop counts once, unless it is told how often it turns. Caches are
not known of.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import math
import re
import types
from typing import NamedTuple

# A shape, such as bf16[8,128]{1,0:T(8,128)(2,1)S(1)}.
_ARRAY = re.compile(r'\b([a-z]+\d*)\w*\[([\d,]*)\](?:\{([^}]*)\})?')
_COMPUTATION = re.compile(r'(ENTRY )?%([\w.\-]+) \(.*\{$')
_INSTRUCTION = re.compile(r'\s+(ROOT )?%([\w.\-]+) = (.*?) ([\w\-]+)\((.*)')
_NAME = re.compile(r'%([\w.\-]+)')
_CALLED = re.compile(
  r'\b(?:body|condition|to_apply|calls|true_computation|false_computation'
  r'|branch_computations)=(\{[^}]*\}|%[\w.\-]+)'
)
# The computations of which these consist hold kernels of their own.
_CALLERS = ('async-start', 'call', 'conditional', 'while')
# They move nothing: they name a memory, or another instruction has moved it.
_STILL = (
  *_CALLERS, 'async-done', 'async-update', 'bitcast', 'constant', 'copy-done',
  'get-tuple-element', 'parameter', 'partition-id', 'replica-id',
  'slice-done', 'tuple',
)  # fmt: skip
_STILL_TARGETS = ('AllocateBuffer', 'ConcatBitcast')
# Libraries whose calls return the memory that they worked in after the result.
_LIBRARIES = ('__cublas', '__cudnn')
NO_TURNS = types.MappingProxyType({})
# They read a part of their first operand, as large as their result.
_CUTS = ('dynamic-slice', 'gather', 'slice')


@dataclasses.dataclass(frozen=True)
class Move:
  """What an instruction moves.

  Attributes:
    bytes: what it reads from the memory of the device, and writes there, as
      often as the loops turn in which it stands.
    times: how often they turn.
    name: its name in the program.
    shape: that of its result.
    source: the operation of JAX that it stems from; '' if none is named.
  """

  bytes: float
  times: float
  name: str
  shape: str
  source: str


class _Instruction(NamedTuple):
  """A line of a computation; `called` are the computations that it names."""

  name: str
  shape: str
  kind: str
  arguments: str
  called: list[str]
  target: str
  source: str

  @property
  def operands(self) -> list[str]:
    return _NAME.findall(self.arguments)

  @property
  def sizes(self) -> list[float]:
    """The bytes of each array of its result."""
    return [size for size, _ in _arrays(self.shape)]


class _Computation:
  """Instructions by name, in order, and the one that gives the result."""

  def __init__(self):
    self.instructions: dict[str, _Instruction] = {}
    self.root = ''

  def users(self, name: str) -> Iterator[tuple[_Instruction, int]]:
    """Yields the instructions that read a result, and as which operand."""
    for user in self.instructions.values():
      for position, operand in enumerate(user.operands):
        if operand == name:
          yield user, position

  def parameter(self, position: int) -> _Instruction:
    return next(
      each
      for each in self.instructions.values()
      if each.kind == 'parameter' and int(each.arguments) == position
    )

  def results(self) -> list[_Instruction]:
    """Returns the instruction behind each array of the result."""
    root = self.instructions[self.root]
    names = root.operands if root.kind == 'tuple' else [self.root]
    found = [self.instructions[name] for name in names]
    return [self._behind(each) for each in found]

  def _behind(self, instruction: _Instruction) -> _Instruction:
    while instruction.kind == 'bitcast':
      instruction = self.instructions[instruction.operands[0]]
    return instruction


def read(program: str, turns: Mapping[str, float] = NO_TURNS) -> list[Move]:
  """Returns what each instruction moves, the most first.

  Args:
    program: the text of a compiled program, `compiled.as_text()`.
    turns: how often loops turn, by the end of the names of their operations in
      JAX, such as 'parts/while'.

  Raises:
    ValueError: it has no entry.
  """
  computations, entry = _parse(program)
  if not entry:
    raise ValueError(
      'The text has no line that begins with ENTRY, so it is not that of a'
      f' compiled program: {program[:80]!r}.'
    )
  moves = _walk(computations, entry, turns, 1.0)
  return sorted(moves, key=lambda move: -move.bytes)


def total(program: str, turns: Mapping[str, float] = NO_TURNS) -> float:
  """Returns the bytes that a program moves; see `read`."""
  return math.fsum(move.bytes for move in read(program, turns))


def _parse(program: str) -> tuple[dict[str, _Computation], str]:
  """Returns the computations by name, and the name of the first one."""
  computations, entry, now = {}, '', _Computation()
  for line in program.splitlines():
    if found := _COMPUTATION.match(line):
      now = computations[found[2]] = _Computation()
      entry = found[2] if found[1] else entry
    elif found := _INSTRUCTION.match(line):
      is_root, name, shape, kind, rest = found.groups()
      now.instructions[name] = _Instruction(
        name,
        shape,
        kind,
        _arguments(rest),
        _NAME.findall(' '.join(_CALLED.findall(rest))),
        *(
          match[1] if (match := re.search(f'{key}="([^"]*)"', rest)) else ''
          for key in ('custom_call_target', 'op_name')
        ),
      )
      now.root = name if is_root else now.root
  return computations, entry


def _arguments(rest: str) -> str:
  """Returns what stands before the bracket that closes the arguments."""
  depth = 1
  for end, letter in enumerate(rest):
    depth += (letter == '(') - (letter == ')')
    if not depth:
      return rest[:end]
  return rest


def _walk(computations, name: str, turns, times: float) -> Iterator[Move]:
  """Yields the moves of a computation, and of those that it calls.

  Args:
    computations: all of them, by name.
    name: that of the computation.
    turns: as for `read`.
    times: how often it runs.
  """
  instructions = computations[name].instructions
  for each in instructions.values():
    if each.kind in _CALLERS:
      inside = times * math.prod(
        count for end, count in turns.items() if each.source.endswith(end)
      )
      for called in each.called:
        yield from _walk(computations, called, turns, inside)
    if each.kind in _STILL or each.target in _STILL_TARGETS:
      continue
    operands = [instructions[operand].shape for operand in each.operands]
    moved = _moved(computations, each, operands)
    yield Move(times * moved, times, each.name, each.shape, each.source)


def _moved(computations, instruction, operands: list[str]) -> float:
  """Returns the bytes that a kernel moves, given the shapes of its operands."""
  written = _arrays(instruction.shape)
  if instruction.kind.endswith('-start'):
    # It moves an array, or a part of one, from one place to another. Both stand
    # in its shape.
    sizes, large = zip(*written[:2], strict=True)
    return min(sizes) * sum(large)
  if instruction.target.startswith(_LIBRARIES):
    written = written[:1]
  moved = math.fsum(
    min(size, part)
    for (size, is_large), part in zip(
      written, _written(computations, instruction, operands), strict=False
    )
    if is_large
  )
  for position, shape in enumerate(operands):
    large = math.fsum(size for size, is_large in _arrays(shape) if is_large)
    moved += min(large, _part(computations, instruction, position, large))
  return moved


def _written(computations, instruction, operands: list[str]) -> list[float]:
  """Returns the bytes that are written of each array of a result."""
  if instruction.kind == 'dynamic-update-slice':
    return [math.fsum(size for size, _ in _arrays(operands[1]))]
  if instruction.kind != 'fusion':
    return instruction.sizes
  fused = computations[instruction.called[0]]
  written = []
  for each in fused.results():
    shapes = [fused.instructions[name].shape for name in each.operands]
    written += _written(computations, each, shapes)
  return written


def _part(computations, user, position: int, whole: float) -> float:
  """Returns how many bytes of an operand its user reads."""
  if user.kind in _CUTS and not position:
    return math.fsum(user.sizes)
  # It is changed in place: a compiler that cannot do so copies it before.
  if user.kind == 'dynamic-update-slice' and not position:
    return 0.0
  if user.kind != 'fusion':
    return whole
  fused = computations[user.called[0]]
  return _read(computations, fused, fused.parameter(position), whole)


def _read(computations, fused, value, whole: float) -> float:
  """Returns how many bytes of a value the users within a fusion read."""
  read = 0.0
  for user, position in fused.users(value.name):
    if user.kind == 'bitcast':
      read += _read(computations, fused, user, whole)
    elif user.kind == 'dynamic-update-slice' and user not in fused.results():
      read += whole
    else:
      read += _part(computations, user, position, whole)
  return min(read, whole)


def _arrays(shape: str) -> list[tuple[float, bool]]:
  """Returns the bytes of each array, and whether the large memory has it."""
  return [
    (
      _item_size(kind) * math.prod(int(n) for n in sides.split(',') if n),
      'S(' not in (layout or ''),
    )
    for kind, sides, layout in _ARRAY.findall(shape)
  ]


def _item_size(kind: str) -> float:
  """Returns the bytes of a number of a type, such as bf16 or pred."""
  bits = re.search(r'\d+', kind)
  # Tokens and the like have no number in their name, and no bytes.
  return int(bits[0]) / 8 if bits else float(kind == 'pred')
