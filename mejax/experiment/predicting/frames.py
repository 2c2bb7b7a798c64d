"""Makes clips of the stretches of a recording, and examples of these.

Seeking misses the frame in many videos, so the frames of all stretches of a
video are taken on one way through it, and kept without loss for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import pathlib

import cv2
from jaxtyping import UInt8
import numpy as np

from mejax.corpora import decode
from mejax.corpora.clip import Clip
from mejax.datasets import clip_cache
from mejax.datasets import face_search
from mejax.datasets import staging
from mejax.datasets.recipe import Recipe
from mejax.experiment.predicting.events import Event
from mejax.experiment.predicting.events import Found
from mejax.motion.spotting.tracks import Frames

# Of little loss of time, and none of values.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclasses.dataclass(frozen=True)
class Made:
  """What was made of a stretch.

  Attributes:
    clip: with apex and remarks, or with a problem.
    example: arrays by name; None if there is a problem.
    eyes: pixels between the eyes in the frames; nan if there is a problem.
  """

  clip: Clip
  example: dict[str, np.ndarray] | None
  eyes: float

  @property
  def moves(self) -> bool:
    """Whether there is a motion of which a model may say anything."""
    still = clip_cache.NOTHING_MOVES
    return self.example is not None and not any(
      remark.startswith(still) for remark in self.clip.remarks
    )


def clips_of(
  found: Found,
  recipe: Recipe,
  folder: pathlib.Path,
  *,
  stream: Frames | None = None,
) -> list[Clip]:
  """Returns a clip for each event of a recording.

  Args:
    found: the recording.
    recipe: how its frames will be prepared.
    folder: frames of a video, or of a stream, are written here.
    stream: number and RGB of each frame, if they are in no file.
  """
  clips, needed = [_clip(found, event) for event in found.events], []
  if stream is None and found.clip.video is None:
    return clips
  stream = decode.stream(found.clip) if stream is None else stream
  for i, clip in enumerate(clips):
    try:
      needed.append(_needed(clip, recipe))
    except ValueError as error:  # There are too many to spot an apex in.
      clips[i] = dataclasses.replace(clip, problem=str(error))
      needed.append(set())
  files, problem = _written(iter(stream), set().union(*needed), folder)
  for i, own in enumerate(needed):
    if own - files.keys():
      words = problem or 'frames of it are missing'
      clips[i] = dataclasses.replace(clips[i], problem=words)
    elif own:
      frames = _frames(clips[i], own, files)
      clips[i] = dataclasses.replace(
        clips[i], video=None, frames=frames, turn=0
      )
  return clips


def _written(
  frames: Iterator[tuple[int, UInt8[np.ndarray, 'h w 3']]],
  wanted: set[int],
  folder: pathlib.Path,
) -> tuple[dict[int, pathlib.Path], str]:
  """Writes some of the frames; returns their files, and what went wrong."""
  files, problem = {}, ''
  folder.mkdir(parents=True, exist_ok=True)
  try:
    while len(files) < len(wanted):
      number, image = next(frames, (None, None))
      if number is None:
        break
      if number in wanted:
        files[number] = folder / f'{number}.png'
        cv2.imwrite(str(files[number]), image[..., ::-1], _PNG)
  except (OSError, ValueError, cv2.error) as error:
    problem = str(error)
  return files, problem


def make(
  clips: Sequence[Clip], recipe: Recipe, folder: pathlib.Path
) -> list[Made]:
  """Prepares clips as `mejax prepare` does.

  Args:
    clips: the clips; no two have one identity.
    recipe: how they are prepared.
    folder: for a file of each clip.
  """
  keys = {clip.identity: f'{i}' for i, clip in enumerate(clips)}
  made = clip_cache.make_clips(
    clips, keys, recipe, folder, workers=0, progress=False
  )
  result = []
  for clip in made:
    if clip.problem:
      result.append(Made(clip, None, float('nan')))
      continue
    key = keys[clip.identity]
    example = clip_cache.load_clip(folder, key, recipe)
    result.append(Made(clip, example, clip_cache.load_eyes(folder, key)))
  return result


def _clip(found: Found, event: Event) -> Clip:
  every = np.array(found.clip.frame_numbers)

  def nearest(number: int) -> int:
    return int(every[np.abs(every - number).argmin()])

  onset, offset = nearest(event.onset), nearest(event.offset)
  inside = np.flatnonzero((every >= onset) & (every <= offset))
  numbers = tuple(every[inside].tolist())
  if event.apex is None:
    apex, source = numbers[len(numbers) // 2], 'midpoint'
  else:
    apex, source = nearest(event.apex), 'annotated'
  frames = found.clip.frames
  return dataclasses.replace(
    found.clip,
    subject=found.name,
    name=f'{event.type} {onset} to {offset}',
    frames=tuple(frames[i] for i in inside) if frames else (),
    frame_numbers=numbers,
    positions=(),
    onset=onset,
    apex=apex,
    offset=offset,
    apex_source=source,
  )


def _needed(clip: Clip, recipe: Recipe) -> set[int]:
  """Returns the numbers of the frames that a preparation reads."""
  plan = clip_cache.plan_of(clip, recipe)
  after = [n for n in clip.frame_numbers if n > clip.onset][:1]
  return {
    *face_search.numbers(clip),
    *staging.shown_numbers(clip, plan),
    *after,
  }


def _frames(clip: Clip, own, files) -> tuple[pathlib.Path, ...]:
  """Returns a file for each frame; if nobody reads it, a neighbour's."""
  known = np.array(sorted(own))
  return tuple(
    files[int(known[np.abs(known - number).argmin()])]
    for number in clip.frame_numbers
  )
