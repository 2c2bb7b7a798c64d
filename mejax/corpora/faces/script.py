"""Says what happens in a long recording, and when and where it may."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

from jaxtyping import Float
import numpy as np

from mejax.corpora.faces import movement


@dataclasses.dataclass(frozen=True, kw_only=True)
class Script:
  """What may happen in a recording; every number can be 0.

  Attributes:
    micro, macro: number of expressions of each type.
    amplitude: of micro-expressions, drawn between the two.
    macro_amplitude: likewise.
    units: action units to draw from; the usual ones if empty.
    classes: action units of each class of expressions, which take turns in
      place of `units`; an event then has a label.
    on_top: share of the micro-expressions that lie on a macro-expression.
    blinks: a minute.
    gaze: movements of the eyes a minute.
    speech: share of the time.
    drift: pixels a second.
    turns: of the head, a minute.
    nods: of the head, a minute; each goes down and up two or three times.
    light: change of brightness, as a share: half of it slowly, half at once.
    noise: of the camera, in grey levels.
    lost: number of frames that the camera lost, none of them beside another.
    cut: whether the camera moves at once in the middle.
    away: seconds without a face, once.
  """

  micro: int = 0
  macro: int = 0
  amplitude: tuple[float, float] = (0.8, 2.0)
  macro_amplitude: tuple[float, float] = (3.0, 8.0)
  units: tuple[str, ...] = ()
  classes: Mapping[str, tuple[str, ...]] = dataclasses.field(
    default_factory=dict
  )
  on_top: float | int = 0.0
  blinks: float | int = 0.0
  gaze: float | int = 0.0
  speech: float | int = 0.0
  drift: float | int = 0.0
  turns: float | int = 0.0
  nods: float | int = 0.0
  light: float | int = 0.0
  noise: float | int = 1.5
  lost: int = 0
  cut: bool = False
  away: float | int = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
  """An expression with its true frames, counted from 0."""

  type: str
  onset: int
  apex: int
  offset: int
  amplitude: float
  units: tuple[str, ...]
  label: str = ''


@dataclasses.dataclass(frozen=True)
class Stage:
  """Where and when movements take place."""

  points: Mapping[str, Float[np.ndarray, '2 2']]
  size: int
  fps: float | int
  num_frames: int

  @property
  def seconds(self) -> float:
    return self.num_frames / self.fps

  def field(
    self, activations: Mapping[str, tuple[float, float]], amplitude: float
  ) -> Float[np.ndarray, 'h w 2']:
    """Returns a field whose largest displacement is the amplitude."""
    field = movement.field(activations, self.points, size=self.size)
    largest = np.linalg.norm(field, axis=-1).max()
    return field * np.float32(amplitude * self.size / 256 / largest)

  def bump(self, start: float, length: float) -> Float[np.ndarray, ' t']:
    """Returns the strength of a twitch at a time, both in seconds."""
    return movement.bump(
      self.num_frames, start=start * self.fps, length=length * self.fps
    )

  def moments(
    self,
    generator: np.random.Generator,
    a_minute: float | int,
    margin: float,
  ) -> list[float]:
    """Draws times in seconds, on average so many a minute."""
    number = round(a_minute * self.seconds / 60)
    end = max(self.seconds - 2 * margin, margin)
    times = generator.uniform(margin, end, number)
    return sorted(times.tolist())
