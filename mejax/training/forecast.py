"""What the compiler says of a training: memory, operations, traffic, time.

XLA compiles for devices that are not at hand as well as for those that are, so
a run can be weighed before its hardware is rented. Nothing is executed here.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import math
import re
import time

import jax

from mejax.training import cost as cost_lib
from mejax.training import placement as placement_lib
from mejax.training import trial as trial_lib
from mejax.training import work as work_lib

_COLLECTIVES = re.compile(
  r'\b(all-gather|all-reduce|all-to-all|collective-broadcast'
  r'|collective-permute|ragged-all-to-all|reduce-scatter)(?:-start)?\('
)


@dataclasses.dataclass(frozen=True)
class Forecast:
  """A training, as far as it is compiled.

  Attributes:
    placement: the layout of the trials that it is compiled for.
    rounds: rounds of trials.
    turns: groups of `placement.width` trials that a device trains one after
      another, in all rounds.
    state_bytes: parameters and moments of a trial.
    least_bytes: least traffic of a step of the trials that a device advances
      together; see `work.least_bytes`.
    steps: training steps of a trial.
    evaluations: evaluations of a trial.
    refused: rounds that did not fit: how many trials a device would hold, and
      the bytes that they would take; infinity if the compiler found no room.

  Once the call that trains a round is compiled; None before:
    device_bytes: all that a device holds at once.
    temporary_bytes: the part of it that exists only within a call.
    collectives: operations by which devices wait for each other.

  Once a step is, too:
    step: the work of a step of the trials that a device advances together, a
      mean over the steps of an epoch.
    evaluation: that of an evaluation of these trials.
    traced: whether operations are those of one trial, as traced for a GPU,
      times the trials.
    compile_seconds: time to compile, on the machine that compiles.
  """

  placement: placement_lib.Placement
  rounds: int
  turns: int
  state_bytes: int
  least_bytes: float
  steps: int
  evaluations: int
  refused: tuple[tuple[int, int | float], ...] = ()
  device_bytes: int | None = None
  temporary_bytes: int | None = None
  collectives: tuple[str, ...] | None = None
  step: work_lib.Work | None = None
  evaluation: work_lib.Work | None = None
  traced: bool = False
  compile_seconds: float | None = None

  def seconds(self, flops: float, bandwidth: float) -> float | None:
    """Returns the least time of the whole run by a roofline.

    Args:
      flops: operations a second of a device.
      bandwidth: bytes a second of its memory.

    Returns:
      None if operations or traffic are not known.
    """
    if self.step is None or self.evaluation is None:
      return None
    step = self.step.seconds(flops, bandwidth)
    evaluation = self.evaluation.seconds(flops, bandwidth)
    if step is None or evaluation is None:
      return None
    return self.turns * (self.steps * step + self.evaluations * evaluation)


def _begin(
  trainer: trial_lib.Trainer,
  trials: trial_lib.Trial,
  data: trial_lib.Data,
  placement: placement_lib.Placement,
  *,
  devices: Sequence[jax.Device],
  eval_every: int,
) -> Forecast:
  """Returns what is known before anything is compiled; see `measure`."""
  first = jax.tree.map(lambda x: x[0], trials)
  state = jax.eval_shape(trainer.init, first, data)
  rounds = math.ceil(len(trials.train) / placement.round_size)
  together = len(devices) * placement.width
  return Forecast(
    placement=placement,
    rounds=rounds,
    turns=rounds * math.ceil(placement.round_size / together),
    state_bytes=cost_lib.size_of(state),
    least_bytes=placement.width * work_lib.least_bytes(trainer, state, data),
    steps=trainer.num_epochs * len(trainer.batch_sizes),
    evaluations=trainer.num_epochs // eval_every,
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
  keep: Callable[[Forecast], None] = lambda found: None,
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
    keep: is given what is known, whenever that is more.
  """
  start = time.perf_counter()
  options = {'devices': devices, 'eval_every': eval_every}
  found = _begin(trainer, trials, data, placement, **options)
  keep(found)
  whose = f'of {placement.width} trial(s) at once on a device'
  say(f'tracing the call that trains a round {whose}')
  # With room for one evaluation only: reading and writing the room of others
  # would count as work of this one. (So a run holds a little more.)
  program = placement_lib.place(trainer, placement, max_windows=1, **options)
  lowered = program.lower(trials, data)
  say(f'compiling the call that trains a round {whose}')
  whole = lowered.compile()
  held = cost_lib.held_bytes(whole)
  found = dataclasses.replace(
    found,
    device_bytes=held,
    temporary_bytes=whole.memory_analysis().temp_size_in_bytes,
    collectives=find_collectives(whole.as_text()),
  )
  if held > memory:
    return found
  keep(found)
  say(
    f'compiling an epoch {whose} (the round is compiled, and takes'
    f' {held / 2**20:.0f} MiB of a device)'
  )
  first = jax.tree.map(lambda x: x[0], trials)
  one = jax.eval_shape(trainer.init, first, data), first, data
  epoch = work_lib.lower_epoch(trainer, one, placement, devices).compile()
  if trainer.takes_parts(max(trainer.batch_sizes)):
    say(f'compiling the parts of a batch {whose}')
  step = work_lib.of_step(trainer, one, placement, devices, epoch=epoch)
  evaluation = work_lib.read(whole) - work_lib.read(epoch)
  traced = devices[0].platform not in work_lib.COUNTING
  if traced:
    counted = work_lib.trace(trainer, trials, data, eval_every=eval_every)
    step, evaluation = (
      work_lib.Work((each * placement.width).flops, moved.bytes)
      for each, moved in zip(counted, (step, evaluation), strict=True)
    )
  return dataclasses.replace(
    found,
    step=step,
    evaluation=evaluation,
    traced=traced,
    compile_seconds=time.perf_counter() - start,
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
  keep: Callable[[Forecast], None] = lambda found: None,
) -> Forecast:
  """Measures the training in the fewest rounds that fit into a memory.

  Args:
    trainer, trials, data, devices, eval_every, say, keep: as for `measure`.
    mode: one of `placement.MODES`.
    memory: bytes that each device has for trials.

  Raises:
    ValueError: one trial does not fit.
  """
  num_trials = len(trials.train)
  first = jax.tree.map(lambda x: x[0], trials)
  refused, fitting = [], None

  def add_refused(found):
    return dataclasses.replace(found, refused=tuple(refused))

  def needs(each):
    nonlocal fitting
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
        keep=lambda found: keep(add_refused(found)),
      )
      needed = found.device_bytes
    except jax.errors.JaxRuntimeError as error:
      if cost_lib.FULL not in str(error):
        raise
      needed = math.inf
    if needed > memory:
      refused.append((each, needed))
    else:
      fitting = add_refused(found)
    return needed

  most = math.ceil(num_trials / len(devices))
  cost_lib.fit(
    most,
    cost_lib.fewest_rounds(mode, most),
    cost_lib.state_bytes(trainer, first, data),
    memory,
    needs,
  )
  return fitting


def find_collectives(program: str) -> tuple[str, ...]:
  """Returns the operations of a compiled program by which devices wait."""
  return tuple(_COLLECTIVES.findall(program))
