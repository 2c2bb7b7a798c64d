"""Writes copies of videos that show what was said of them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import pathlib
from typing import Any

import cv2
from jaxtyping import UInt8
import numpy as np
import pandas as pd

from mejax import bars
from mejax.corpora import decode
from mejax.corpora.recordings import Recording
from mejax.experiment.spotting import recordings as spotting
from mejax.experiment.spotting import turning
from mejax.motion.spotting.following import Detector

# Frames a second of a copy of frames that have no rate.
_RATE = 25.0
# Height of what is below the picture: a share of its height, and the least.
_SHARE, _LEAST = 0.11, 44
_INK, _SOFT, _MARK = (240, 238, 234), (120, 124, 130), (240, 154, 94)


def annotate(
  recordings: Sequence[Recording],
  table: pd.DataFrame,
  folder: pathlib.Path,
  *,
  fps: float | int | None,
  detector: Detector,
  progress: bool,
) -> list[pathlib.Path]:
  """Writes a video for each recording in which something was looked at.

  Below the picture stand a timeline of the movements and, while one lasts, the
  class that it is most like. There is no sound.

  Args:
    recordings: the recordings.
    table: from `predict`.
    folder: where the videos are written, as MP4.
    fps: frames a second; None for those of the file.
    detector: image to faces, by which a turned picture is turned back.
    progress: whether to show a bar.
  """
  paths = []
  bar = {'desc': 'annotate', 'unit': 'recording', 'disable': not progress}
  for recording in bars.Bar(recordings, **bar):
    own = table[(table['file'] == recording.name) & table['onset'].notna()]
    if not own.empty:
      path = folder / f'{recording.name[:100]}.mp4'
      rate = fps or recording.content.fps or _RATE
      _write(recording, own.to_dict('records'), path, float(rate), detector)
      paths.append(path)
  return paths


def _write(
  recording: Recording,
  rows: Sequence[Mapping[str, Any]],
  path: pathlib.Path,
  fps: float,
  detector: Detector,
) -> None:
  clip = turning.turned_back(spotting.clip_of(recording, fps), detector)
  numbers = clip.frame_numbers
  with film(path, fps) as add:
    try:
      for number, image in decode.stream(clip):
        add(_drawn(image, number, rows, (numbers[0], numbers[-1])))
    except (ValueError, cv2.error) as error:
      print(f'{recording.name}: the annotated video ends early: {error}')


@contextlib.contextmanager
def film(
  path: pathlib.Path, fps: float
) -> Iterator[Callable[[UInt8[np.ndarray, 'h w 3']], None]]:
  """Writes a video, which has its name when it is whole.

  Args:
    path: an MP4 file.
    fps: frames a second.

  Yields:
    A function that takes the next picture; all have one size, of even sides.
  """
  partial = path.with_name(f'.{path.name}')
  writer = None

  def add(picture: UInt8[np.ndarray, 'h w 3']) -> None:
    nonlocal writer
    if writer is None:
      path.parent.mkdir(parents=True, exist_ok=True)
      code = cv2.VideoWriter_fourcc(*'mp4v')
      writer = cv2.VideoWriter(str(partial), code, fps, picture.shape[1::-1])
      if not writer.isOpened():
        raise OSError(f'OpenCV cannot write {path}')
    writer.write(picture[..., ::-1])

  try:
    yield add
  finally:
    if writer is not None:
      writer.release()
  if writer is not None:
    partial.replace(path)


def _drawn(
  image: UInt8[np.ndarray, 'h w 3'],
  number: int,
  rows: Sequence[Mapping[str, Any]],
  span: tuple[int, int],
) -> UInt8[np.ndarray, 'a b 3']:
  """Puts a timeline and words below a frame."""
  height, width = image.shape[:2]
  foot = max(round(_SHARE * height), _LEAST)
  # Most encoders want even sides.
  sheet = np.full(
    (height + foot + (height + foot) % 2, width + width % 2, 3), 24
  )
  sheet = sheet.astype(np.uint8)
  sheet[:height, :width] = image

  def at(frame: int) -> int:
    return round((frame - span[0]) / max(span[1] - span[0], 1) * (width - 1))

  top = height + round(0.72 * foot)
  cv2.line(sheet, (0, top), (width - 1, top), _SOFT, 1)
  for row in rows:
    begin, end = at(row['onset']), max(at(row['offset']), at(row['onset']) + 2)
    cv2.rectangle(sheet, (begin, top - 4), (end, top + 4), _MARK, -1)
  cv2.line(sheet, (at(number), top - 8), (at(number), top + 8), _INK, 1)
  now = [row for row in rows if row['onset'] <= number <= row['offset']]
  if now:
    said = words(now[0])
    (wide, _), _ = cv2.getTextSize(said, cv2.FONT_HERSHEY_SIMPLEX, 1, 1)
    cv2.putText(
      sheet,
      said,
      (8, height + round(0.42 * foot)),
      cv2.FONT_HERSHEY_SIMPLEX,
      min(foot / 90, (width - 16) / wide),
      _INK,
      1,
      cv2.LINE_AA,
    )
  return sheet


def words(row: Mapping[str, Any]) -> str:
  """Returns what is said of a movement, in ASCII."""
  if not np.isfinite(row['probability']):
    return 'not recognised'
  share = f'{100 * row["probability"]:.0f} %'
  if not row['most_like']:
    return f'undecided ({share} at most)'
  return f'most like {row["most_like"]} ({share})'
