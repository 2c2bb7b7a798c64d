"""Looks at one recording after the other, and keeps what is finished."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import hashlib
import json
import os
import pathlib
import tempfile
from typing import Any

import numpy as np

import mejax
from mejax import files
from mejax.corpora.clip import Clip
from mejax.corpora.recordings import Recording
from mejax.experiment.packs import packed_files
from mejax.experiment.predicting import events as events_lib
from mejax.experiment.predicting import frames as frames_lib
from mejax.experiment.predicting import looking
from mejax.experiment.predicting import rows as rows_lib
from mejax.experiment.predicting import showing
from mejax.experiment.predicting.events import Ask
from mejax.experiment.predicting.events import Found
from mejax.experiment.predicting.making import Making
from mejax.experiment.spotting.trained import Trained
from mejax.motion.spotting.following import Detector

# Recordings whose stretches are prepared together, and their bytes: of long
# ones each is kept as soon as it is finished.
_TOGETHER, _BYTES = 16, 20_000_000
_AGAIN = 'Delete it, and it is made again.'
_RESULT = ('name', 'fps', 'frames', 'rows', 'cards', 'curves', 'remarks')

Result = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Work:
  """What is done with each recording.

  Attributes:
    making: of the model's inputs.
    ask: what is asked for.
    detector: for spotting.
    pictures: whether pictures are made.
    kept: folder of finished results; None to keep none.
    spotter: a network that spots, in place of the spotter without training.
    asked: what is asked of single recordings in place of `ask`, by path.
  """

  making: Making
  ask: Ask
  detector: Detector
  pictures: bool
  kept: pathlib.Path | None
  spotter: Trained | None = None
  asked: Mapping[pathlib.Path, Ask] = dataclasses.field(default_factory=dict)

  def ask_of(self, recording: Recording) -> Ask:
    """Returns what is asked of a recording."""
    return self.asked.get(recording.path, self.ask)

  def path(self, recording: Recording) -> pathlib.Path:
    """Returns the file of a result; its name covers all that decides it."""
    told = (
      packed_files.digest(self.making.model.about),
      mejax.__version__,
      self.making.recipe.describe(),
      dataclasses.astuple(self.ask_of(recording)),
      self.spotter and self.spotter.digest,
      self.pictures,
      recording.name,
      [
        (name, at.st_size, at.st_mtime_ns)
        for name, at in _stats(recording.path).items()
      ],
    )
    digest = hashlib.sha256(repr(told).encode()).hexdigest()
    return self.kept / f'{digest[:32]}.json'


def results_of(
  found: Sequence[Recording], work: Work, progress: bool
) -> Iterator[Result]:
  """Yields what is said of each recording, in order."""
  for part in _parts(found):
    known = {}
    if work.kept:
      known = {one.path: _read(work.path(one)) for one in part}
    todo = [one for one in part if not known.get(one.path)]
    made = _make(todo, work, progress) if todo else []
    for recording, result in zip(todo, made, strict=True):
      known[recording.path] = result
      if work.kept:
        work.kept.mkdir(parents=True, exist_ok=True)
        with files.writing(work.path(recording)) as file:
          json.dump(result, file)
    yield from (known[recording.path] for recording in part)


def _parts(found: Sequence[Recording]) -> Iterator[list[Recording]]:
  """Yields recordings that are looked at together."""
  part, size = [], 0
  for recording in found:
    part.append(recording)
    size += sum(at.st_size for at in _stats(recording.path).values())
    if len(part) == _TOGETHER or size > _BYTES:
      yield part
      part, size = [], 0
  if part:
    yield part


def _stats(path: pathlib.Path) -> dict[str, os.stat_result]:
  """Returns what is known of the files of a recording."""
  parts = sorted(path.iterdir()) if path.is_dir() else [path]
  return {each.name: each.stat() for each in parts if each.exists()}


def _read(path: pathlib.Path) -> Result | None:
  # Whatever is wrong with a kept result, it is made again.
  try:
    result = files.read_json(path, hint=_AGAIN) if path.exists() else {}
  except (OSError, ValueError):
    return None
  return result if result.keys() == set(_RESULT) else None


def _make(
  recordings: Sequence[Recording], work: Work, progress: bool
) -> list[Result]:
  """Looks at recordings together, so that batches are full."""
  with tempfile.TemporaryDirectory(prefix='mejax-predict-') as folder:
    place = pathlib.Path(folder)
    stretches = [
      events_lib.find(
        one,
        work.ask_of(one),
        detector=work.detector,
        progress=progress,
        spotter=work.spotter,
        which_face=work.making.recipe.which_face,
      )
      for one in recordings
    ]
    recipe = work.making.recipe
    clips = [
      frames_lib.clips_of(found, recipe, place / str(i)) if found.events else []
      for i, found in enumerate(stretches)
    ]
    return say(stretches, clips, work, place / 'made')


def say(
  stretches: Sequence[Found],
  clips: Sequence[Sequence[Clip]],
  work: Work,
  folder: pathlib.Path,
) -> list[Result]:
  """Says what the model says of stretches of recordings.

  Args:
    stretches: the recordings.
    clips: of the stretches of each, see `frames.clips_of`.
    work: what is done with them.
    folder: for a file of each clip.
  """
  recipe, model = work.making.recipe, work.making.model
  every = [clip for own in clips for clip in own]
  made = frames_lib.make(every, recipe, folder) if every else []
  sound = [one.example for one in made if one.moves]
  said = iter(())
  if sound:
    arrays = {
      name: np.stack([example[name] for example in sound]) for name in sound[0]
    }
    inputs = work.making.clips(arrays)
    work.making.check(inputs)
    shares = model.predict(inputs.inputs)
    units = (
      model.predict_units(inputs.inputs)
      if model.units
      else np.zeros((len(shares), 0), np.float32)
    )
    said = iter(zip(shares, units, strict=True))
  made = iter(made)
  return [_result(found, made, said, work) for found in stretches]


def _result(found: Found, made, said, work: Work) -> Result:
  """Returns JSON values of what is said of a recording."""
  rows, cards = [], []
  for event in found.events:
    one = next(made)
    shares, units = next(said) if one.moves else (None, None)
    row = rows_lib.of_event(
      found,
      event,
      one,
      making=work.making,
      probabilities=shares,
      units=units,
    )
    rows.append(row)
    if work.pictures and one.moves:
      fall = looking.where(work.making, one.example, shares)
      tiles = showing.tiles(work.making, one, fall)
      cards.append(showing.card(one, row, tiles))
  if not rows:
    rows.append(rows_lib.of_problem(found))
  return plain(
    {
      'name': found.name,
      'fps': found.fps,
      'frames': len(found.clip.frame_numbers) if found.clip else 0,
      'rows': rows,
      'cards': cards,
      'curves': found.curves,
      # Where nothing is looked at, the row has them.
      'remarks': rows_lib.remarks_on(found, work.making)
      if found.events
      else [],
    }
  )


def plain(value: Any) -> Any:
  """Returns JSON values; what is not finite becomes None."""
  if isinstance(value, np.ndarray):
    return plain(value.tolist())
  if isinstance(value, Mapping):
    return {name: plain(each) for name, each in value.items()}
  if isinstance(value, list | tuple):
    return [plain(each) for each in value]
  if isinstance(value, float):
    return round(value, 6) if np.isfinite(value) else None
  return value
