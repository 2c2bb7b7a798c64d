"""Draws the expressions of a long recording, and moves the face by them."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
import numpy as np

from mejax.corpora.faces import movement
from mejax.corpora.faces.script import Event
from mejax.corpora.faces.script import Script
from mejax.corpora.faces.script import Stage

# How often each action unit is drawn. The numbers are round and ours: lowered
# brows and dimpled corners of the mouth lead published descriptions of
# spontaneous micro-expressions (as that of CASME II, PLoS ONE 9(1), 2014).
_UNITS = {
  '4': 5, '14': 3, '1': 2, '2': 2, '12': 2, '10': 1, '15': 1, '17': 1,
}  # fmt: skip


class _Wanted(NamedTuple):
  """An expression that has no time yet; lengths are in seconds."""

  type: str
  length: float
  rise: float
  amplitude: float
  on_top: bool


def _draw(generator: np.random.Generator, script: Script, kind: str) -> _Wanted:
  """Draws the length, the rise and the amplitude of an expression."""
  if kind == 'macro':
    length = float(np.clip(np.exp(generator.normal(0.2, 0.5)), 0.6, 4.0))
    rise = float(generator.uniform(0.3, 0.45)) * length
    span, on_top = script.macro_amplitude, 0.0
  else:
    length = float(generator.uniform(0.3, 0.5))
    rise = min(float(generator.uniform(0.13, 0.22)), 0.6 * length)
    span, on_top = script.amplitude, script.on_top
  is_on_top = bool(generator.uniform() < on_top)
  amplitude = float(generator.uniform(*span))
  return _Wanted(kind, length, rise, amplitude, is_on_top)


def draw_expressions(
  generator: np.random.Generator, script: Script, stage: Stage
) -> tuple[list[Event], list[movement.Movement]]:
  """Draws the expressions, which lie apart but for those on top of another."""
  kinds = ['macro'] * script.macro + ['micro'] * script.micro
  wanted = [_draw(generator, script, kind) for kind in kinds]
  alone = [one for one in wanted if not (one.on_top and script.macro)]
  order = generator.permutation(len(alone))
  # Slots of equal length keep the expressions apart.
  slot = (stage.seconds - 2.0) / max(len(alone), 1)
  placed, hosts = [], []
  for place, i in enumerate(order):
    one = alone[i]
    free = max(slot - one.length - 1.0, 0.0)
    start = 1.5 + place * slot + float(generator.uniform(0, 1)) * free
    placed.append((one, start))
    hosts += [(start, one.length)] if one.type == 'macro' else []
  for one in wanted:
    if one.on_top and hosts:
      start, length = hosts[int(generator.integers(len(hosts)))]
      placed.append((one, start + float(generator.uniform(0.3, 0.6)) * length))
  labels = [''] * len(placed)
  if script.classes:
    names = list(script.classes)
    first = int(generator.integers(len(names)))
    labels = [names[(first + i) % len(names)] for i in range(len(placed))]
  events = [
    _event(one, start, _units(generator, script, label), label, stage)
    for (one, start), label in zip(placed, labels, strict=True)
  ]
  moves = [_act(generator, event, stage) for event in events]
  return sorted(events, key=lambda event: event.onset), moves


def _units(
  generator: np.random.Generator, script: Script, label: str
) -> tuple[str, ...]:
  """Draws one or two action units; a class has all of its own."""
  if label:
    return script.classes[label]
  names = script.units or tuple(_UNITS)
  shares = np.array([_UNITS[name] for name in names], float)
  number = min(int(generator.integers(1, 3)), len(names))
  units = generator.choice(
    names, number, replace=False, p=shares / shares.sum()
  )
  return tuple(sorted(map(str, units), key=int))


def _event(
  one: _Wanted,
  start: float,
  units: tuple[str, ...],
  label: str,
  stage: Stage,
) -> Event:
  onset, last = round(start * stage.fps), stage.num_frames - 1
  rise = max(round(one.rise * stage.fps), 1)
  length = max(round(one.length * stage.fps), 3)
  return Event(
    type=one.type,
    onset=min(onset, last),
    apex=min(onset + rise, last),
    offset=min(onset + length - 1, last),
    amplitude=one.amplitude,
    units=units,
    label=label,
  )


def _act(
  generator: np.random.Generator, event: Event, stage: Stage
) -> movement.Movement:
  one_sided = generator.uniform() < 0.25
  sides = (1.0, 0.25) if generator.uniform() < 0.5 else (0.25, 1.0)
  strengths = sides if one_sided else (1.0, 0.9)
  field = stage.field(dict.fromkeys(event.units, strengths), event.amplitude)
  envelope = np.zeros(stage.num_frames, np.float32)
  own = slice(event.onset, event.offset + 1)
  envelope[own] = _rise_and_fall(
    event.offset - event.onset + 1, event.apex - event.onset
  )
  return movement.Movement(field, envelope)


def _rise_and_fall(num_frames: int, apex: int) -> Float[np.ndarray, ' t']:
  """Returns the strength of an expression, above 0 from onset to offset."""
  # The frames before the onset and behind the offset are at rest.
  time = np.arange(1, num_frames + 1)
  rise = np.sin(np.pi / 2 * np.minimum(time / (apex + 1), 1)) ** 2
  fall = np.clip((time - apex - 1) / max(num_frames - apex, 1), 0, 1)
  return (rise * np.cos(np.pi / 2 * fall) ** 2).astype(np.float32)
