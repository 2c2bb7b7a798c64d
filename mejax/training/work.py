"""Operations and memory traffic of a training step, from compiled programs.

A compiler counts the body of a loop once, however often it turns. So a step is
counted in the program of an epoch, whose body it is.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import itertools
import math

import jax

from mejax.training import cost as cost_lib
from mejax.training import placement as placement_lib
from mejax.training import steps as steps_lib
from mejax.training import traffic
from mejax.training import trial as trial_lib

# Back ends whose compiler counts the operations of all that it compiled. That
# of a GPU does not know what its libraries do, and says nothing without a GPU.
COUNTING = ('cpu', 'tpu')
# What is traced for a CPU takes large maps in groups of examples, in loops.
_TRACED = ('cuda',)


@dataclasses.dataclass(frozen=True)
class Work:
  """What a device does.

  Attributes:
    flops: operations.
    bytes: traffic between the device and its memory; see `traffic.py`.
    accessed: traffic as XLA counts it, which includes that of the memory on the
      chip of a TPU.

  Each is None if it is not known.
  """

  flops: float | None = None
  bytes: float | None = None
  accessed: float | None = None

  def __add__(self, other: Work) -> Work:
    return self._with(other, lambda one, two: one + two)

  def __sub__(self, other: Work) -> Work:
    return self._with(other, lambda one, two: max(one - two, 0.0))

  def _with(self, other, function) -> Work:
    pairs = zip(
      dataclasses.astuple(self), dataclasses.astuple(other), strict=True
    )
    return Work(*(None if None in pair else function(*pair) for pair in pairs))

  def __mul__(self, times: int | float) -> Work:
    return Work(*(x and x * times for x in dataclasses.astuple(self)))

  def seconds(self, flops: float, bandwidth: float) -> float | None:
    """Returns the time on a device that does only the slower of the two.

    Args:
      flops: operations a second.
      bandwidth: bytes a second.
    """
    if self.flops is None or self.bytes is None:
      return None
    return max(self.flops / flops, self.bytes / bandwidth)


def read(
  compiled: jax.stages.Compiled, turns: Mapping[str, float] = traffic.NO_TURNS
) -> Work:
  """Returns the work of a compiled program.

  Args:
    compiled: the program.
    turns: how often loops turn; see `traffic.read`. Operations, and the traffic
      as XLA counts it, are of one turn.
  """
  told, text = compiled.cost_analysis() or {}, compiled.as_text()
  # A loop of one turn is none in the program. Without the name of another, how
  # much is moved is not known.
  named = all(n <= 1 or f'{end}"' in text for end, n in turns.items())
  return Work(
    told.get('flops'),
    traffic.total(text, turns) if named else None,
    told.get('bytes accessed'),
  )


def lower_epoch(
  trainer: trial_lib.Trainer,
  one: tuple[trial_lib.TrialState, trial_lib.Trial, trial_lib.Data],
  placement: placement_lib.Placement,
  devices: Sequence[jax.Device],
  platforms: tuple[str, ...] | None = None,
) -> jax.stages.Lowered:
  """Traces an epoch of the trials that a device advances together.

  Args:
    trainer: the functions of one trial.
    one: the state, the trial, and the data of one trial, or their shapes.
    placement: how many advance together.
    devices: the first is compiled for.
    platforms: for which to trace, if it is not theirs; then to be counted only.
  """
  many = placement.mode == 'vmap'

  # The cache of compiled programs knows the name of the function, but not those
  # of the loops: older versions of mejax had loops without a name in `run`.
  def run_named_loops(states, trials, data, number):
    zero = jax.numpy.zeros(trials.train.shape[:-1])
    run_epoch = steps_lib.make_epoch(trainer, trials, data, many=many)
    return run_epoch(number, (states, zero, zero))

  device = jax.sharding.SingleDeviceSharding(devices[0])
  state, trial, data = one
  if many:
    state, trial = (
      placement_lib.stack_shapes(x, placement.width, device)
      for x in (state, trial)
    )
  arguments = placement_lib.shapes_on((state, trial, data), device)
  function = jax.jit(run_named_loops, donate_argnums=0)
  traced = function.trace(*arguments, 0)
  return traced.lower(lowering_platforms=platforms)


def of_step(
  trainer: trial_lib.Trainer,
  one: tuple[trial_lib.TrialState, trial_lib.Trial, trial_lib.Data],
  placement: placement_lib.Placement,
  devices: Sequence[jax.Device],
  *,
  epoch: jax.stages.Compiled,
) -> Work:
  """Returns the work of a step, a mean over the steps of an epoch.

  Args:
    trainer, one, placement, devices: as for `lower_epoch`.
    epoch: the program of an epoch.
  """
  sizes, share = trainer.batch_sizes, _share(trainer)
  # What an epoch moves outside of its steps counts as a share of each.
  moved = (read(epoch, loop_turns(trainer)) * (1 / len(sizes))).bytes
  if not trainer.takes_parts(max(sizes)):
    return dataclasses.replace(read(epoch) * share, bytes=moved)
  if devices[0].platform not in COUNTING:
    return Work(bytes=moved)

  def tell(trainer):
    return read(lower_epoch(trainer, one, placement, devices).compile())

  # What XLA counts of programs without parts says nothing of one with them.
  return Work(_in_parts(trainer, tell).flops, moved)


def loop_turns(trainer: trial_lib.Trainer) -> dict[str, float]:
  """Returns how often the loops of an epoch turn; see `traffic.read`."""
  sizes = trainer.batch_sizes
  parts = math.fsum(math.ceil(n / (trainer.microbatch or n)) for n in sizes)
  return {
    f'{steps_lib.STEPS}/while': len(sizes) * _share(trainer),
    f'{steps_lib.PARTS}/while': parts / len(sizes),
  }


def _share(trainer: trial_lib.Trainer) -> float:
  """Returns the share of a step in what is counted of an epoch.

  An epoch has a loop over steps for each size of batch, and there are two sizes
  only where each has one step.
  """
  return 1 / len(list(itertools.groupby(trainer.batch_sizes)))


def _in_parts(
  trainer: trial_lib.Trainer, tell: Callable[[trial_lib.Trainer], Work]
) -> Work:
  """Returns the work of a step whose examples are taken in parts.

  The parts are a loop in the step, of which one turn is counted. So steps of
  one and of two parts are counted without it. Their difference is a part, and
  the rest of a step, such as the optimiser's, does not grow.

  Args:
    trainer: the functions of one trial.
    tell: counts the work of an epoch of one step.
  """
  small, large = (
    tell(
      dataclasses.replace(
        trainer, microbatch=0, batch_sizes=(parts * trainer.microbatch,)
      )
    )
    for parts in (1, 2)
  )
  batch = sum(trainer.batch_sizes) / len(trainer.batch_sizes)
  return small + (large - small) * (batch / trainer.microbatch - 1)


def trace(
  trainer: trial_lib.Trainer,
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  *,
  eval_every: int,
) -> tuple[Work, Work]:
  """Counts the operations of a step and of an evaluation of one trial.

  They are those of the program as it is traced for a GPU, before the compiler
  changes it. None if JAX has no CPU beside its accelerator, which counts them.

  Args:
    trainer: the functions of one trial.
    trials: all trials, stacked on the leading axis.
    data: all examples.
    eval_every: epochs between evaluations.
  """
  try:
    devices = jax.local_devices(backend='cpu')[:1]
  except RuntimeError:
    return Work(), Work()
  placement = placement_lib.Placement('map', 1, 1)
  first = jax.tree.map(lambda x: x[0], trials)
  one = jax.eval_shape(trainer.init, first, data), first, data

  def count_epoch(trainer):
    return _count(lower_epoch(trainer, one, placement, devices, _TRACED))

  program = placement_lib.place(
    trainer, placement, devices=devices, eval_every=eval_every, max_windows=1
  )
  epoch = count_epoch(trainer)
  evaluation = _count(program.lower(trials, data, _TRACED)) - epoch
  if trainer.takes_parts(max(trainer.batch_sizes)):
    return _in_parts(trainer, count_epoch), evaluation
  return epoch * _share(trainer), evaluation


def _count(lowered: jax.stages.Lowered) -> Work:
  return Work(flops=(lowered.cost_analysis() or {}).get('flops'))


def least_bytes(
  trainer: trial_lib.Trainer, state: trial_lib.TrialState, data: trial_lib.Data
) -> float:
  """Returns the least traffic of a step of one trial.

  Its state is read and written once, its inputs are read once, and all else
  stays on the chip.
  """
  batch = sum(trainer.batch_sizes) / len(trainer.batch_sizes)
  example = cost_lib.size_of((data.inputs, data.extra)) / len(data.labels)
  return 2 * cost_lib.size_of(state) + batch * example
