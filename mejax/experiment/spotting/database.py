"""Scores what is spotted in a database of long videos.

All videos count, those without an event too. Nothing is chosen on the database:
the thresholds are those of `motion.spotting`, and the rule that tells micro-
from macro-expressions is that of its annotators.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import importlib
import pathlib

import numpy as np

from mejax import bars
from mejax import files
from mejax.corpora import LONG_VIDEOS
from mejax.corpora import cells
from mejax.corpora import decode
from mejax.corpora import people
from mejax.corpora.long_videos import LongDatabase
from mejax.corpora.long_videos import LongVideo
from mejax.datasets import emotions
from mejax.evaluation.spotting import tables
from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video
from mejax.experiment import configuration
from mejax.experiment.spotting import candidate_files
from mejax.experiment.spotting import comparing
from mejax.experiment.spotting import kept_tracks
from mejax.experiment.spotting import signal_sets
from mejax.motion import detection
from mejax.motion.spotting import candidates as candidates_lib
from mejax.motion.spotting import tracks as tracks_lib
from mejax.motion.spotting.following import Detector
from mejax.motion.spotting.tracks import Tracks

_COLUMNS = (
  'subject', 'video', 'type', 'onset', 'apex', 'offset', 'score', 'emotion',
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Scored:
  """What was spotted in a database, and how it compares to the truth.

  Attributes:
    videos: with truths and candidates, as `evaluation.spotting` takes them.
    text: the scores, and which videos and events are left out, and why.
  """

  videos: tuple[Video, ...]
  text: str


def score(
  name: str,
  source: str | pathlib.Path,
  *,
  saved: str | pathlib.Path | None = None,
  out: str | pathlib.Path | None = None,
  images: str = '',
  recogniser: str = '',
  detector: Detector | None = None,
  progress: bool = True,
) -> Scored:
  """Scores `mejax spot`, or saved candidates, on a database.

  Args:
    name: one of `corpora.LONG_VIDEOS`.
    source: where the database lies.
    saved: a CSV of candidates, as `candidate_files` reads it. Spots if not
      given.
    out: folder for `candidates.csv`, `scores.txt` and the signals of each
      video, see `signal_sets`; with them an interrupted call goes on where it
      was, and a network can be trained on them.
    images: kind of frames, as in `LongDatabase.read`.
    recogniser: a config, as `cnn`: its model is trained on the true events of
      all other people, and gives candidates a class, see `recognising`; `out`
      must be given.
    detector: as in `motion.spotting.tracks.track`; YuNet by default.
    progress: whether to show a bar.

  Raises:
    FileNotFoundError: the database or the file is not there.
    ValueError: no video can be used, a candidate is of no video, or `out` has
      the signals of something else.
  """
  if name not in LONG_VIDEOS:
    raise ValueError(
      f'{name!r} is no database of long videos; there are '
      f'{", ".join(LONG_VIDEOS)}'
    )
  database = importlib.import_module(LONG_VIDEOS[name]).DATABASE
  given = None if saved is None else candidate_files.read(saved)
  folder = None if out is None else pathlib.Path(out)
  if folder is not None:
    signal_sets.check_out(folder, name)
  reading = database.read(source, images=images)
  every = list(reading)
  good = [video for video in every if not video.problem]
  if not good:
    raise ValueError(
      f'no video of {source} can be used; `mejax check {name}` tells why'
    )
  keys = [(video.subject, video.name) for video in good]
  problems = {}
  if given is None:
    found = {}
    watched = bars.Bar(good, desc='spot', unit='video', disable=not progress)
    for key, video in zip(keys, watched, strict=True):
      try:
        tracks = _tracks_of(
          video, reading.tree.kind, folder, detector or detection.detect
        )
      except ValueError as error:
        problems[key] = str(error)
        continue
      found[key] = _spotted(tracks, database)
  else:
    found = candidate_files.assign(given, keys)
  videos = tuple(
    video_of(video, found[key])
    for key, video in zip(keys, good, strict=True)
    if key in found
  )
  more = ''
  if recogniser:
    if folder is None:
      raise ValueError('a recogniser is trained in a folder: give `out`')
    videos, more = _recognised(
      videos, good, recogniser, folder / 'recogniser', detector, progress
    )
  left_out = [(v.identity, v.problem) for v in every if v.problem]
  left_out += [('/'.join(key), words) for key, words in problems.items()]
  text = '\n\n'.join(filter(None, [_text(name, videos, left_out, good), more]))
  if folder is not None:
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, videos, text)
    if given is None:  # Then the signals of all of them are there.
      signal_sets.write(folder, videos, corpus=name)
  return Scored(videos, text)


def video_of(video: LongVideo, candidates: Sequence[Event]) -> Video:
  """Joins the truths of a long video, as far as they can be used, and ours."""
  numbers = list(video.frames)
  return Video(
    subject=video.subject,
    name=video.name,
    # The frames that are lost belong to its length.
    num_frames=numbers[-1] - numbers[0] + 1,
    fps=video.fps,
    truths=tuple(
      Event(
        onset=event.onset,
        apex=event.apex,
        offset=event.offset,
        type=event.type,
        label=event.emotion,
      )
      for event in video.events
      if not event.problem
    ),
    candidates=tuple(candidates),
  )


def _recognised(
  videos: Sequence[Video],
  good: Sequence[LongVideo],
  config: str,
  workdir: pathlib.Path,
  detector: Detector | None,
  progress: bool,
) -> tuple[tuple[Video, ...], str]:
  """Returns the videos with classes of their candidates, and the scores."""
  # It imports JAX, which spotting without training does without.
  from mejax.experiment.spotting import recognising

  clips = {(one.subject, one.name): one.clip() for one in good}

  def read(video: Video, numbers: Sequence[int]):
    clip = clips[video.subject, video.name]
    known = np.array(clip.frame_numbers)
    near = [int(known[abs(known - number).argmin()]) for number in numbers]
    return decode.decode(clip, near)

  found = recognising.recognise(
    [_classed(video, good[0].corpus) for video in videos],
    read,
    config=configuration.load_config(config),
    workdir=workdir,
    detector=detector,
    progress=progress,
  )
  return found.videos, found.text


def _classed(video: Video, corpus: str) -> Video:
  """Returns a video whose events have one of three classes, or none."""
  home = people.SAME_PEOPLE.get(corpus)

  def class_of(word: str) -> str:
    if home is not None:
      return emotions.cross_corpus(home, word) or ''
    return emotions.three(corpus, emotions.plain(word)) or ''

  return dataclasses.replace(
    video,
    truths=tuple(
      dataclasses.replace(event, label=class_of(event.label))
      for event in video.truths
    ),
  )


def _tracks_of(
  video: LongVideo, kind: str, folder: pathlib.Path | None, detector: Detector
) -> Tracks:
  """Follows a video, unless its signals are kept in the folder."""

  def track():
    return tracks_lib.track(
      decode.stream(video.clip()), fps=video.fps, detector=detector
    )

  if folder is None:
    return track()
  numbers = list(video.frames)
  return kept_tracks.kept(
    folder / 'signals' / video.subject / f'{video.name}.npz',
    track,
    source=f'{video.identity} {kind} {len(numbers)} {numbers[0]} {numbers[-1]}',
  )


def _spotted(tracks: Tracks, database: LongDatabase) -> list[Event]:
  found = candidates_lib.spot(
    tracks, part=database.rule.part, seconds=database.rule.seconds
  )
  return list(comparing.events_of(found))


def _text(
  name: str,
  videos: Sequence[Video],
  left_out: Sequence[tuple[str, str]],
  good: Sequence[LongVideo],
) -> str:
  if not videos:
    told = '; '.join(f'{who}: {words}' for who, words in left_out)
    raise ValueError(f'no video can be spotted in: {told}')
  lines = [name, '', tables.report(videos)]
  events = [
    (f'{video.identity} {event.name}', event.problem)
    for video in good
    for event in video.events
    if event.problem
  ]
  for noun, some in (('videos', left_out), ('events', events)):
    if some:
      lines += ['', f'{len(some)} {noun} are left out:']
      lines += [f'  {who}: {words}' for who, words in some]
  return cells.printable('\n'.join(lines))


def _write(folder: pathlib.Path, videos: Sequence[Video], text: str) -> None:
  with files.writing(folder / 'scores.txt') as file:
    file.write(text + '\n')
  with files.writing(folder / 'candidates.csv') as file:
    writer = files.CsvWriter(file)
    writer.writerow(_COLUMNS)
    for video in videos:
      for one in video.candidates:
        writer.writerow(
          [
            video.subject,
            video.name,
            one.type,
            one.onset,
            '' if one.apex is None else one.apex,
            one.offset,
            one.score,
            one.label,
          ]
        )
