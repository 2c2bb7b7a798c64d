"""Films rendered people, and measures the signals of each recording.

Each person has two recordings: one in which nothing is expressed, and one with
micro- and macro-expressions. In both they blink, look around, speak, and move
the head, in a light that changes.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import functools
import json
import os
import pathlib

from jaxtyping import UInt8
import numpy as np

from mejax import bars
from mejax import files
from mejax import forms
from mejax.corpora.faces import long_takes
from mejax.corpora.faces.long_takes import LongTake
from mejax.corpora.faces.script import Script
from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video
from mejax.experiment.spotting import kept_tracks
from mejax.experiment.spotting import signal_sets
from mejax.motion import detection
from mejax.motion.spotting import tracks as tracks_lib
from mejax.motion.spotting.following import Detector

_LIFE = dict(blinks=17, gaze=20, speech=0.15, drift=2.0, turns=2, light=0.05)
# Action units of micro-expressions, for a recogniser to tell apart.
CLASSES = {
  'negative': ('4', '15'),
  'positive': ('12',),
  'surprise': ('1', '2'),
}
# Expressions of each type a minute.
_A_MINUTE = 4
# The corpus of these people, whatever the folder is called.
CORPUS = 'rendered_long'
# Version of all that is drawn, and the file that says how it was.
_VERSION = 1
_NAME = 'film.json'


def film(
  folder: str | os.PathLike[str],
  *,
  people: int = 20,
  seconds: float | int = 60,
  fps: float | int = 30,
  size: int = 160,
  seed: int = 0,
  detector: Detector | None = None,
  progress: bool = True,
) -> list[Video]:
  """Writes the signals of rendered recordings, see `signal_sets`.

  A call that was interrupted goes on where it was.

  Args:
    folder: it is made if it is not there.
    people: number of people, with two recordings each.
    seconds: length of a recording.
    fps: frames a second.
    size: side of the frames in pixels.
    seed: number of the first person; each number is another one.
    detector: as in `motion.spotting.tracks.track`; YuNet by default.
    progress: whether to show a bar.

  Raises:
    ValueError: a number is out of bounds, or the folder has the signals of a
      database.
  """
  _check(people=people, seconds=seconds, fps=fps, size=size, seed=seed)
  folder = pathlib.Path(folder)
  signal_sets.check_out(folder, CORPUS)
  videos = []
  takes = [(who, name) for who in range(people) for name in ('calm', 'acted')]
  for who, name in bars.Bar(
    takes, desc='film', unit='recording', disable=not progress
  ):
    take = play(name, seed + who, seconds=seconds, fps=fps, size=size)
    video = Video(
      subject=f'p{seed + who:05d}',
      name=name,
      num_frames=take.num_frames,
      fps=float(fps),
      truths=truths_of(take),
    )
    kept_tracks.kept(
      signal_sets.path_of(folder, video),
      lambda take=take: tracks_lib.track(
        take.numbered(np.random.default_rng(0)),
        fps=fps,
        detector=detector or detection.detect,
      ),
      source=f'{_VERSION} {name} {seed + who} {seconds} {fps} {size}',
    )
    videos.append(video)
  signal_sets.write(folder, videos, corpus=CORPUS)
  with files.writing(folder / _NAME) as file:
    file.write(json.dumps({'size': size, 'version': _VERSION}) + '\n')
  return videos


def reader(
  folder: str | os.PathLike[str],
) -> Callable[[Video, Sequence[int]], list[UInt8[np.ndarray, 'h w 3']]]:
  """Returns a function that renders frames of a recording once more.

  Their noise is another one than that which the signals were measured in.

  Raises:
    FileNotFoundError: `film` did not write the folder.
    ValueError: its file is damaged.
  """
  path = pathlib.Path(folder) / _NAME
  about = files.read_json(path, hint='`mejax film` writes it again')
  with files.reading(path, hint='`mejax film` writes it again'):
    forms.check(about, {'size': int, 'version': int})

  @functools.lru_cache(maxsize=1)
  def take_of(video: Video) -> LongTake:
    return play(
      video.name,
      int(video.subject.removeprefix('p')),
      seconds=video.num_frames / video.fps,
      fps=video.fps,
      size=about['size'],
    )

  def read(video: Video, numbers: Sequence[int]):
    take, generator = take_of(video), np.random.default_rng(1)
    return [take.frame(number, generator) for number in numbers]

  return read


def truths_of(take: LongTake) -> tuple[Event, ...]:
  """Returns the expressions of a rendered recording."""
  return tuple(
    Event(
      onset=one.onset,
      apex=one.apex,
      offset=one.offset,
      type=one.type,
      label=one.label,
    )
    for one in take.events
  )


def play(
  name: str, seed: int, *, seconds: float | int, fps: float | int, size: int
) -> LongTake:
  """Returns the recording `calm` or `acted` of a person before rendering."""
  number = max(round(_A_MINUTE * seconds / 60), 1)
  script = Script(**_LIFE)
  if name == 'acted':
    script = Script(**_LIFE, micro=number, macro=number, classes=CLASSES)
  return long_takes.play(
    script,
    seed=seed,
    seconds=seconds,
    fps=fps,
    size=size,
    take=int(name == 'acted'),
  )


def _check(**given: float | int) -> None:
  bounds = {
    'people': (1, 10_000),
    'seconds': (5, 600),
    'fps': (10, 240),
    'size': (64, 1024),
    'seed': (0, 2**31 - 1),
  }
  for name, (low, high) in bounds.items():
    if not low <= given[name] <= high:
      raise ValueError(
        f'{name} is {given[name]}; expected a number from {low} to {high}'
      )
