"""Folders of recordings as signals, with what happens in each.

    SET/videos.json                 the corpus; length and expressions of each
                                    recording
    SET/signals/SUBJECT/NAME.npz    its signals, see kept_tracks.py

`mejax film` writes one of rendered people, `mejax score_spotting` one of a
database; a network for spotting is trained on either.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import json
import pathlib
from typing import NamedTuple

from mejax import files
from mejax import forms
from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video
from mejax.experiment.spotting import kept_tracks
from mejax.motion.spotting.tracks import Tracks

_NAME = 'videos.json'
_EVENT = {
  'onset': int,
  'offset': int,
  'type': str,
  'apex': (int, type(None)),
  'score': forms.NUMBER,
  'label': str,
}
_VIDEO = {
  'subject': str,
  'name': str,
  'num_frames': int,
  'fps': forms.NUMBER,
  'truths': [_EVENT],
}
_FORM = {'corpus': str, 'videos': [_VIDEO]}
_AGAIN = 'Delete it; `mejax film` or `mejax score_spotting` makes it again.'


class Recorded(NamedTuple):
  """A recording with its truths, its signals, and whence it comes.

  Attributes:
    video: the recording, without candidates.
    tracks: its signals.
    corpus: the database; `filming.CORPUS` for rendered people.
  """

  video: Video
  tracks: Tracks
  corpus: str


def path_of(folder: pathlib.Path, video: Video) -> pathlib.Path:
  """Returns where the signals of a recording lie."""
  return folder / 'signals' / video.subject / f'{video.name}.npz'


def check_out(folder: pathlib.Path, corpus: str) -> None:
  """Refuses a folder that has the signals of another corpus.

  Raises:
    ValueError: it has; or its list of recordings is damaged.
  """
  if not (folder / _NAME).exists():
    return
  # Lists of an older mejax name no corpus, and are written again.
  found = files.read_json(folder / _NAME, hint=_AGAIN).get('corpus', corpus)
  if found != corpus:
    raise ValueError(
      f'{folder} has signals of {found}, and none of {corpus} can be put among'
      ' them. Choose another folder.'
    )


def write(
  folder: pathlib.Path, videos: Sequence[Video], *, corpus: str
) -> None:
  """Writes the list of recordings, whose signals are there already.

  Who was seen, and under which licence, is told by the corpus, whatever the
  folder is called.
  """
  rows = [dataclasses.asdict(video) for video in videos]
  for row in rows:
    del row['candidates']
  with files.writing(folder / _NAME) as file:
    file.write(json.dumps({'corpus': corpus, 'videos': rows}, indent=1) + '\n')


def read(folder: pathlib.Path) -> list[Recorded]:
  """Reads all recordings.

  Raises:
    FileNotFoundError: the folder is none, or signals are missing.
    ValueError: a file is damaged.
  """
  path = folder / _NAME
  if not path.exists():
    raise FileNotFoundError(
      f'{path} is missing: make the signals by `mejax film {folder}`, or of a '
      f'database by `mejax score_spotting NAME DIR --out {folder}`'
    )
  content = files.read_json(path, hint=_AGAIN)
  with files.reading(path, hint=_AGAIN):
    forms.check(content, _FORM)
    videos = [
      Video(**row | {'truths': tuple(Event(**e) for e in row['truths'])})
      for row in content['videos']
    ]
  return [
    Recorded(video, kept_tracks.read(path_of(folder, video)), content['corpus'])
    for video in videos
  ]
