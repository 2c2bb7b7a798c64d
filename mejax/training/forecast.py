"""What the compiler says of a training: memory, operations, traffic, time.

XLA compiles for devices that are not at hand as well as for those that are, so
a run can be weighed before its hardware is rented. Nothing is executed here.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import itertools
import math
import re
import time
from typing import Any

import jax

from mejax.training import checkpoint
from mejax.training import chips
from mejax.training import cost as cost_lib
from mejax.training import placement as placement_lib
from mejax.training import trial as trial_lib

_COLLECTIVES = re.compile(
  r'\b(all-gather|all-reduce|all-to-all|collective-broadcast'
  r'|collective-permute|ragged-all-to-all|reduce-scatter)(?:-start)?\('
)


@dataclasses.dataclass(frozen=True)
class Work:
  """Operations and bytes between a device and its memory; None if unknown."""

  flops: float | None
  bytes: float | None

  def __add__(self, other: Work) -> Work:
    return self._with(other, lambda one, two: one + two)

  def __sub__(self, other: Work) -> Work:
    return self._with(other, lambda one, two: max(one - two, 0.0))

  def _with(self, other, function) -> Work:
    pairs = zip(
      dataclasses.astuple(self), dataclasses.astuple(other), strict=True
    )
    return Work(*(None if None in pair else function(*pair) for pair in pairs))

  def __mul__(self, times: float) -> Work:
    return Work(*(x and x * times for x in dataclasses.astuple(self)))

  def seconds(self, flops: float, bandwidth: float) -> float | None:
    """Returns the time on a device that does only the slower of the two."""
    if self.flops is None or self.bytes is None:
      return None
    return max(self.flops / flops, self.bytes / bandwidth)


@dataclasses.dataclass(frozen=True)
class Forecast:
  """A compiled training.

  Attributes:
    placement: the layout of the trials that it is compiled for.
    rounds: rounds of trials.
    turns: groups of `placement.width` trials that a device trains one after
      another, in all rounds.
    state_bytes: parameters and moments of a trial.
    device_bytes: all that a device holds at once.
    temporary_bytes: the part of it that exists only within a call.
    step: a training step of the trials that a device advances together, a
      mean over the steps of an epoch.
    evaluation: an evaluation of these trials.
    least_bytes: traffic of a step if states were read and written once, inputs
      read once, and all else stayed on the chip.
    steps: training steps of a trial.
    evaluations: evaluations of a trial.
    collectives: operations by which devices wait for each other.
    compile_seconds: time to compile, on the machine that compiles.
  """

  placement: placement_lib.Placement
  rounds: int
  turns: int
  state_bytes: int
  device_bytes: int
  temporary_bytes: int
  step: Work
  evaluation: Work
  least_bytes: float
  steps: int
  evaluations: int
  collectives: tuple[str, ...]
  compile_seconds: float

  def seconds(self, chip: chips.Chip, precision: str) -> float | None:
    """Returns the least time of the whole run on a chip, by its roofline.

    Args:
      chip: its peak and bandwidth.
      precision: that of matrix products; a finer one takes several passes.
    """
    passes = chips.PASSES.get(precision)
    if passes is None:
      return None
    both = (
      (self.step, self.steps),
      (self.evaluation, self.evaluations),
    )
    times = [
      work.seconds(chip.flops / passes, chip.bandwidth) for work, _ in both
    ]
    if None in times:
      return None
    return self.turns * sum(
      time * count for time, (_, count) in zip(times, both, strict=True)
    )


def measure(
  trainer: trial_lib.Trainer,
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  placement: placement_lib.Placement,
  *,
  devices: Sequence[jax.Device],
  eval_every: int,
  memory: float = math.inf,
  say: Callable[[str], None] = lambda stage: None,
) -> Forecast:
  """Compiles the training of a round, and reads what the compiler says of it.

  Args:
    trainer: the functions of one trial.
    trials: all trials, stacked on the leading axis.
    data: all examples.
    placement: how trials are laid out on the devices.
    devices: the devices; they need not be at hand.
    eval_every: epochs between evaluations.
    memory: bytes of a device; of a round that needs more, no more is compiled.
    say: is told what begins, in words.
  """
  start = time.perf_counter()
  first = jax.tree.map(lambda x: x[0], trials)
  state = jax.eval_shape(trainer.init, first, data)
  one = state, first, data
  whose = f'of {placement.width} trial(s) at once on a device'
  say(f'tracing the call that trains a round {whose}')
  # With room for one evaluation only: reading and writing the room of others
  # would count as work of this one. (So a run holds a little more.)
  program = placement_lib.place(
    trainer,
    placement,
    devices=devices,
    eval_every=eval_every,
    max_windows=1,
  )
  lowered = program.lower(trials, data)
  say(f'compiling the call that trains a round {whose}')
  whole = lowered.compile()
  held = cost_lib.held_bytes(whole)
  all_work = epoch_work = _work(whole)
  # Otherwise an epoch would tell no more, or of a round that does not fit.
  fits = held <= memory
  if fits and all_work.flops is not None:
    say(
      f'compiling an epoch {whose} (the round is compiled, and takes'
      f' {held / 2**20:.0f} MiB of a device)'
    )
    epoch_work = _work(compile_epoch(trainer, one, placement, devices))
  # The compiler counts the body of a loop once, however often it turns. An
  # epoch has a loop over steps for each size of batch, and there are two sizes
  # only where each has one step.
  step_work = epoch_work * (
    1 / len(list(itertools.groupby(trainer.batch_sizes)))
  )
  in_parts = trainer.takes_parts(max(trainer.batch_sizes))
  if fits and epoch_work.flops and in_parts:
    say(f'compiling the parts of a batch {whose}')
    step_work = _work_in_parts(trainer, one, placement, devices)
  seconds = time.perf_counter() - start
  num_steps = len(trainer.batch_sizes)
  state_bytes = cost_lib.size_of(state)
  rounds = math.ceil(len(trials.train) / placement.round_size)
  together = len(devices) * placement.width
  return Forecast(
    placement=placement,
    rounds=rounds,
    turns=rounds * math.ceil(placement.round_size / together),
    state_bytes=state_bytes,
    device_bytes=held,
    temporary_bytes=whole.memory_analysis().temp_size_in_bytes,
    step=step_work,
    evaluation=all_work - epoch_work,
    least_bytes=placement.width * least_bytes(trainer, state, data),
    steps=trainer.num_epochs * num_steps,
    evaluations=trainer.num_epochs // eval_every,
    collectives=find_collectives(whole.as_text()),
    compile_seconds=seconds,
  )


def fit(
  trainer: trial_lib.Trainer,
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  *,
  mode: str,
  devices: Sequence[jax.Device],
  memory: float,
  eval_every: int,
  say: Callable[[str], None] = lambda stage: None,
) -> Forecast:
  """Measures the training in the fewest rounds that fit into a memory.

  Args:
    trainer, trials, data, devices, eval_every, say: as for `measure`.
    mode: one of `placement.MODES`.
    memory: bytes that each device has for trials.

  Raises:
    ValueError: one trial does not fit.
  """
  num_trials = len(trials.train)
  first = jax.tree.map(lambda x: x[0], trials)
  found = None

  def needs(each):
    nonlocal found
    try:
      found = measure(
        trainer,
        trials,
        data,
        placement_lib.lay_out(mode, each, num_trials, devices),
        devices=devices,
        eval_every=eval_every,
        memory=memory,
        say=say,
      )
    except jax.errors.JaxRuntimeError as error:
      if cost_lib.FULL not in str(error):
        raise
      return math.inf
    return found.device_bytes

  most = math.ceil(num_trials / len(devices))
  cost_lib.fit(
    most,
    cost_lib.fewest_rounds(mode, most),
    cost_lib.state_bytes(trainer, first, data),
    memory,
    needs,
  )
  return found


def least_bytes(
  trainer: trial_lib.Trainer, state: trial_lib.TrialState, data: trial_lib.Data
) -> float:
  """Returns the least traffic of a step of one trial, see `Forecast`."""
  batch = sum(trainer.batch_sizes) / len(trainer.batch_sizes)
  example = cost_lib.size_of((data.inputs, data.extra)) / len(data.labels)
  return 2 * cost_lib.size_of(state) + batch * example


def find_collectives(program: str) -> tuple[str, ...]:
  """Returns the operations of a compiled program by which devices wait."""
  return tuple(_COLLECTIVES.findall(program))


def compile_epoch(trainer, one, placement, devices):
  """Compiles an epoch of the trials that a device advances together.

  Args:
    trainer: the functions of one trial.
    one: the state, the trial, and the data of one trial, or their shapes.
    placement: how many advance together.
    devices: the first is compiled for.
  """
  many = placement.mode == 'vmap'

  def run(states, trials, data, number):
    zero = jax.numpy.zeros(trials.train.shape[:-1])
    run_epoch = placement_lib.make_epoch(trainer, trials, data, many=many)
    return run_epoch(number, (states, zero, zero))

  device = jax.sharding.SingleDeviceSharding(devices[0])
  state, trial, data = one
  if many:
    state, trial = (
      placement_lib.stack_shapes(x, placement.width, device)
      for x in (state, trial)
    )
  arguments = placement_lib.shapes_on((state, trial, data), device)
  return jax.jit(run, donate_argnums=0).lower(*arguments, 0).compile()


def _work_in_parts(trainer, one, placement, devices) -> Work:
  """Returns the work of a step whose examples are taken in parts.

  The parts are a loop in the step, of which the compiler counts one turn. So
  steps of one and of two parts are compiled without it. Their difference is a
  part, and the rest of a step, such as the optimiser's, does not grow.
  """
  small, large = (
    _work(
      compile_epoch(
        dataclasses.replace(
          trainer, microbatch=0, batch_sizes=(count * trainer.microbatch,)
        ),
        one,
        placement,
        devices,
      )
    )
    for count in (1, 2)
  )
  batch = sum(trainer.batch_sizes) / len(trainer.batch_sizes)
  return small + (large - small) * (batch / trainer.microbatch - 1)


def _work(compiled: Any) -> Work:
  """Reads operations and traffic, which some back ends do not tell."""
  found = compiled.cost_analysis() or {}
  return Work(found.get('flops'), found.get('bytes accessed'))


def describe(
  found: Forecast,
  trainer: trial_lib.Trainer,
  num_trials: int,
  *,
  devices: Sequence[jax.Device],
  precision: str,
) -> list[str]:
  """Returns lines that tell a user what the compiler said.

  Args:
    found: the forecast.
    trainer: the functions of one trial.
    num_trials: number of all trials.
    devices: the devices that it was compiled for.
    precision: that of matrix products.
  """
  names = sorted(set(found.collectives))
  waits = f'{len(found.collectives)} ({", ".join(names)})' if names else 'none'
  return [
    f'{num_trials} trials of {trainer.num_epochs} epochs, {found.steps} steps'
    f' of up to {max(trainer.batch_sizes)} examples each',
    found.placement.describe(num_trials, devices),
    *_memory(found),
    *_step(found),
    *_time(found, chips.of_kind(devices[0].device_kind), precision),
    f'collectives between devices: {waits}',
    f'compiled in {found.compile_seconds:.0f} s',
  ]


def _memory(found) -> list[str]:
  state, all_, temporary = (
    size / 2**20
    for size in (found.state_bytes, found.device_bytes, found.temporary_bytes)
  )
  disk = state * found.placement.round_size * checkpoint.MOST_AT_ONCE
  return [
    f'state: {state:.2f} MiB a trial; checkpoints of a round take up to'
    f' {disk:.0f} MiB of the disk',
    f'memory: {all_:.0f} MiB on each device, of it temporary'
    f' {temporary:.0f} MiB, {temporary / found.placement.width:.1f} MiB for'
    ' each trial that is trained at a time',
  ]


def _step(found) -> list[str]:
  width, step = found.placement.width, found.step
  if step.flops is None or step.bytes is None:
    return ['operations and traffic of a step: this back end does not tell']
  whose = 'one trial' if width == 1 else f'{width} trials together'
  return [
    f'a step of {whose}: {step.flops / 1e9:.3g} GFLOP, {step.bytes / 1e9:.3g}'
    f' GB of memory traffic, {step.bytes / found.least_bytes:.1f} times what'
    ' parameters, moments and inputs alone would need'
  ]


def _time(found, chip, precision) -> list[str]:
  """Returns the line on the least time, if the chip is known."""
  if chip is None or (whole := found.seconds(chip, precision)) is None:
    return []
  passes = chips.PASSES[precision]
  # XLA counts as traffic what a TPU keeps on the chip, too: for small models
  # most of it. So only the time of the operations is a bound.
  least = found.seconds(
    dataclasses.replace(chip, bandwidth=math.inf), precision
  )
  return [
    f'at least {_words(least)} for all by its operations, {_words(whole)} if'
    f' all traffic goes to its memory: {chip.kind} does'
    f' {chip.flops / 1e12:.0f} TFLOP/s in bfloat16'
    + f', {passes} passes a product' * (passes > 1)
    + f', and {chip.bandwidth / 1e9:.0f} GB/s ({chip.source})'
  ]


def _words(seconds: float) -> str:
  if seconds < 90:
    return f'{seconds:.1f} s'
  minutes = seconds / 60
  return f'{minutes:.1f} minutes' if minutes < 90 else f'{minutes / 60:.1f} h'
