"""Decides which stretches of a recording are looked at.

They are spotted; or the whole recording is one, or the caller names onset, apex
and offset. A recording that cannot be used says why, and costs no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

import cv2

from mejax.corpora import cells
from mejax.corpora import frame_rate
from mejax.corpora.clip import Clip
from mejax.corpora.recordings import Recording
from mejax.corpora.which_face import LARGEST
from mejax.corpora.which_face import WhichFace
from mejax.datasets import staging
from mejax.experiment.spotting import recordings as spotting
from mejax.experiment.spotting import remarks as remarks_lib
from mejax.experiment.spotting import turning
from mejax.experiment.spotting.trained import Trained
from mejax.motion.spotting.candidates import Candidate
from mejax.motion.spotting.following import Detector

WHOLE, GIVEN = 'whole', 'given'
NOTHING = 'nothing stands out of the noise'
# What else the words of `Candidate.flags` mean.
_BESIDE = {
  'blink': 'the lids move, too',
  'head': 'the head moves, too',
  'speech': 'the mouth speaks, too',
  'light': 'the light changes, too',
  'cut': 'the recording, or what shows the face, begins or ends beside it',
}
# From so many movements on, what most have beside them is told once.
_SEVERAL = 3
_MACRO = (
  'it lasts longer than a micro-expression, of which the model has seen nothing'
  ' else'
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
  """A stretch of a recording.

  Attributes:
    type: `micro` or `macro`, which were spotted, `whole` or `given`.
    onset, offset: frame numbers.
    apex: frame number; None if the preparation spots it.
    score: height in units of the recording's noise; None if it was not spotted,
      or by a network.
    regions: that moved, joined by `, `.
    remarks: sentences at which a person should look.
  """

  type: str
  onset: int
  apex: int | None
  offset: int
  score: float | None = None
  regions: str = ''
  remarks: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ask:
  """What a user asks for.

  Attributes:
    whole: whether each recording is one movement.
    given: onset, apex and offset of a single recording, as far as known.
    fps: frames a second; None for those of the file.
    sheet_fps: what a table says of them, which counts before `fps`.
    problem: why nothing is looked at; '' if something is.
    is_lenient: whether frames are named in a table, so that those that are not
      in the recording are a problem of it, and no error of the call.
  """

  whole: bool = False
  given: tuple[int | None, int | None, int | None] | None = None
  fps: float | int | None = None
  sheet_fps: str = ''
  problem: str = ''
  is_lenient: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
  """A recording, and what is looked at in it.

  Attributes:
    name: of the recording.
    clip: its frames; None if it cannot be used.
    fps: frames a second; None if they are not known.
    first: number of the frame from which seconds count.
    events: in the order of their onsets.
    problem: why it cannot be used; '' if it can.
    remarks: sentences on the recording.
    curves: what a timeline shows, see `spotting.curves`; empty if nothing was
      spotted.
  """

  name: str
  clip: Clip | None = None
  fps: float | None = None
  first: int = 0
  events: tuple[Event, ...] = ()
  problem: str = ''
  remarks: tuple[str, ...] = ()
  curves: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def find(
  recording: Recording,
  ask: Ask,
  *,
  detector: Detector,
  progress: bool,
  spotter: Trained | None = None,
  which_face: WhichFace = LARGEST,
) -> Found:
  """Finds the stretches of a recording.

  Args:
    recording: the recording.
    ask: what is asked for.
    detector: image to faces, for spotting.
    progress: whether to show a bar of frames.
    spotter: a network that spots, in place of the spotter without training.
    which_face: which of several faces is followed.

  Raises:
    ValueError: frames that the caller names are not in the recording.
  """
  if ask.problem:
    return Found(name=recording.name, problem=ask.problem)
  try:
    content = recording.content
  except (OSError, ValueError, cv2.error) as error:
    return Found(name=recording.name, problem=str(error))
  fps, fault, doubts = _rate(ask, content.fps)
  problem = content.problem or fault
  if not problem and len(content.files) < 2:
    problem = 'it has one frame; nothing moves in it'
  if problem:
    return Found(name=recording.name, problem=problem)
  numbers = tuple(content.files)
  found = Found(
    name=recording.name,
    clip=spotting.clip_of(recording, fps),
    fps=fps,
    first=numbers[0],
    remarks=(*content.remarks, *doubts),
  )
  if ask.given:
    try:
      given = _given(ask, numbers)
    except ValueError as error:
      if not ask.is_lenient:
        raise
      return Found(name=recording.name, problem=str(error))
    return dataclasses.replace(_upright(found, detector), events=(given,))
  if ask.whole:
    return _whole(_upright(found, detector), ask)
  if fps is None:
    return dataclasses.replace(
      found, problem='it has no frame rate: give the frames a second (--fps)'
    )
  seconds = len(numbers) / fps
  if seconds < remarks_lib.LEAST_SECONDS:
    return _whole(
      _upright(found, detector),
      ask,
      f'it lasts {seconds:.2f} s, too short to spot a movement in, so it was'
      ' taken as one movement from the first frame to the last',
    )
  return _spotted(found, recording, detector, progress, spotter, which_face)


def of_candidate(one: Candidate, *, is_by_network: bool) -> Event:
  """Returns what is looked at where something was spotted.

  Args:
    one: what was spotted.
    is_by_network: whether its score is a probability.
  """
  return Event(
    type=one.type,
    onset=one.onset,
    apex=one.apex,
    offset=one.offset,
    score=None if is_by_network else one.score,
    regions=', '.join(one.regions),
    remarks=(
      *(_BESIDE[flag] for flag in one.flags),
      *((_MACRO,) if one.type == 'macro' else ()),
    ),
  )


def _upright(found: Found, detector: Detector) -> Found:
  """Turns the picture back, if the face lies on its side."""
  clip = turning.turned_back(found.clip, detector)
  remarks = (*found.remarks, *remarks_lib.on_turn(clip.turn))
  return dataclasses.replace(found, clip=clip, remarks=remarks)


def _rate(
  ask: Ask, own: float | None
) -> tuple[float | None, str, tuple[str, ...]]:
  """Returns the frames per second, a fault or '', and remarks."""
  rate = float(ask.fps) if ask.fps else own
  if cells.says_nothing(ask.sheet_fps):
    return rate, '', ()
  fps, fault, doubts = frame_rate.choose(
    ask.sheet_fps, rate, source='by --fps' if ask.fps else 'in its file'
  )
  return fps, fault, tuple(f'it {doubt}' for doubt in doubts)


def _whole(found: Found, ask: Ask, *remarks: str) -> Found:
  numbers = found.clip.frame_numbers
  if len(numbers) > staging.LONGEST:
    hint = 'name --onset, --apex and --offset'
    if ask.is_lenient:
      hint = 'name onset, apex and offset in the table'
    elif ask.whole:
      hint = f'leave out --whole, or {hint}'
    return dataclasses.replace(
      found,
      problem=f'it has {len(numbers)} frames, more than the'
      f' {staging.LONGEST} of one movement: {hint}',
    )
  event = Event(
    type=WHOLE,
    onset=numbers[0],
    apex=None,
    offset=numbers[-1],
    remarks=remarks,
  )
  return dataclasses.replace(found, events=(event,))


def _given(ask: Ask, numbers: tuple[int, ...]) -> Event:
  onset, apex, offset = ask.given
  onset = numbers[0] if onset is None else onset
  offset = numbers[-1] if offset is None else offset
  for name, number in (('onset', onset), ('apex', apex), ('offset', offset)):
    if number is not None and number not in numbers:
      raise ValueError(
        f'{name} {number} is no frame of the recording, which has'
        f' {len(numbers)} frames from {numbers[0]} to {numbers[-1]}'
      )
  if not onset <= (onset if apex is None else apex) <= offset or (
    onset in (apex, offset)
  ):
    raise ValueError(
      f'onset {onset}, apex {apex} and offset {offset} are not in this order'
    )
  length = sum(onset <= n <= offset for n in numbers)
  if apex is None and length > staging.LONGEST:
    raise ValueError(
      f'there are {length} frames from onset to offset; an apex is spotted'
      f' among at most {staging.LONGEST}: name it'
      f' {"in the table" if ask.is_lenient else "by --apex"}'
    )
  return Event(type=GIVEN, onset=onset, apex=apex, offset=offset)


def _told_once(
  events: tuple[Event, ...], flags: Sequence[Sequence[str]]
) -> tuple[tuple[Event, ...], tuple[str, ...]]:
  """Tells of the recording what happens beside most of its movements.

  What stands beside each is read beside none.

  Args:
    events: movements, with remarks.
    flags: of each.

  Returns:
    The events without these remarks, and remarks on the recording.
  """
  count = len(events)
  often = {
    words: number
    for flag, words in _BESIDE.items()
    if (number := sum(flag in own for own in flags)) > count / 2
  }
  if count < _SEVERAL:
    return events, ()
  events = tuple(
    dataclasses.replace(
      one, remarks=tuple(words for words in one.remarks if words not in often)
    )
    for one in events
  )
  return events, tuple(
    f'Beside {number} of its {count} movements {words}'
    for words, number in often.items()
  )


def _spotted(
  found: Found,
  recording: Recording,
  detector: Detector,
  progress: bool,
  spotter: Trained | None,
  which_face: WhichFace,
) -> Found:
  try:
    spotted = spotting.examine_one(
      recording,
      fps=found.fps,
      detector=detector,
      progress=progress,
      spotter=spotter,
      which_face=which_face,
    )
  # A damaged frame may make OpenCV fail in any of its functions.
  except (OSError, cv2.error) as error:
    return dataclasses.replace(found, problem=str(error))
  if spotted.problem:
    return dataclasses.replace(found, problem=spotted.problem)
  events = tuple(
    of_candidate(one, is_by_network=spotter is not None)
    for one in spotted.candidates
  )
  remarks = spotted.remarks
  events, common = _told_once(events, [one.flags for one in spotted.candidates])
  remarks += common
  if not events and (spotted.tracks.shot >= 0).any():
    remarks += (
      f'{NOTHING}; if the recording is one movement, ask for --whole',
    )
  return dataclasses.replace(
    found,
    clip=spotted.clip,
    events=events,
    remarks=remarks,
    curves=spotting.curves(spotted),
  )
