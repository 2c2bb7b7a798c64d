"""Says what motions in recordings are most like, and writes it down."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import hashlib
import json
import os
import pathlib
import tempfile
from typing import Any

import numpy as np
import pandas as pd
import tqdm

import mejax
from mejax import files
from mejax.corpora import recordings as recordings_lib
from mejax.corpora import which_face as which_face_lib
from mejax.corpora.recordings import Recording
from mejax.experiment.packs import packed_files
from mejax.experiment.packs.packed import Model
from mejax.experiment.predicting import annotating
from mejax.experiment.predicting import events as events_lib
from mejax.experiment.predicting import frames as frames_lib
from mejax.experiment.predicting import looking
from mejax.experiment.predicting import making as making_lib
from mejax.experiment.predicting import rows as rows_lib
from mejax.experiment.predicting import shipped
from mejax.experiment.predicting import showing
from mejax.experiment.predicting.events import Ask
from mejax.experiment.predicting.events import Found
from mejax.experiment.predicting.making import Making
from mejax.motion import detection
from mejax.motion.spotting.following import Detector
from mejax.pages import predicting as page_lib
from mejax.training import devices

# Recordings whose stretches are prepared together.
_TOGETHER = 16
_AGAIN = 'Delete it, and it is made again.'
_KEPT = 'kept'
_RESULT = ('name', 'fps', 'frames', 'rows', 'cards', 'curves')

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Result = dict[str, Any]


def predict(
  recordings: Paths,
  *,
  model: str | os.PathLike[str] | Model | None = None,
  out: str | os.PathLike[str] | None = None,
  whole: bool = False,
  onset: int | None = None,
  apex: int | None = None,
  offset: int | None = None,
  abstain: float | int = 0.0,
  fps: float | int | None = None,
  which_face: str = which_face_lib.LARGEST,
  pictures: bool = True,
  annotate: bool = False,
  detector: Detector | None = None,
  trust_code: bool = False,
  progress: bool = True,
) -> pd.DataFrame:
  """Says what the motions in recordings are most like.

  It never says what a person feels. Movements are spotted, unless `whole` or
  frames are given; a recording of less than a second is one movement. A
  recording that cannot be used has a row with the reason, and the others go on.

  Args:
    recordings: videos, folders of frames, or folders of these.
    model: a folder of `mejax pack`, the workdir of a finished run, or what
      `experiment.load_model` returned; the one that ships if not given.
    out: folder for `predictions.csv`, `index.html` and `pictures/`; the same
      call goes on where an earlier one was interrupted.
    whole: whether each recording is one movement.
    onset, apex, offset: frames of the movement in a single recording; the apex
      is spotted if only the others are given.
    abstain: smallest probability that is an answer.
    fps: frames a second; without it, nothing can be spotted in a folder of
      frames.
    which_face: `largest`, `left`, `right`, or a place as `412,230`.
    pictures: whether pictures are made; it takes `out`.
    annotate: whether a copy of each video says what was found; it takes `out`.
    detector: image to faces, for spotting; YuNet by default.
    trust_code: whether code that the model names may be run.
    progress: whether to show a bar.

  Returns:
    A row for each movement, or for a recording without any. What is not known
    is empty:
      file: name of the recording.
      type: `micro` or `macro`, which were spotted, `whole` or `given`.
      onset, apex, offset: frames as the file numbers them; the first of a video
        is 0. With `_s`: seconds, if the frames a second are known.
      most_like: the class that the motion is most like; '' if abstained.
      probability: of that class; p_CLASS: of each class. They are calibrated.
      entropy: in nats; 0 is sure, log(classes) is undecided.
      abstained: whether the probability is below `abstain`.
      motion_px: size of the motion in pixels of the recording.
      motion_noise: the same in units of its noise; only where it was spotted.
      face_px: pixels between the eyes.
      regions: that moved; only where it was spotted.
      warnings: sentences at which to look, joined by `; `.
      au_NAME: how likely an action unit is shown, if the model tells them; not
        calibrated.

  Raises:
    FileNotFoundError: a path or the model does not exist.
    ValueError: a path is no recording, the model cannot be used on videos,
      frames are not in the recording, or options exclude each other.
  """
  ask = _ask(whole, (onset, apex, offset), fps, abstain)
  devices.keep_compiled_programs()
  if not isinstance(model, Model):
    model = shipped.load(model, trust_code=trust_code)
  which = which_face_lib.parse(which_face)
  making = making_lib.making_of(model, which_face=which)
  single = isinstance(recordings, str | os.PathLike)
  paths = [recordings] if single else list(recordings)
  found = recordings_lib.find([pathlib.Path(path) for path in paths])
  if ask.given and len(found) != 1:
    raise ValueError(
      f'onset, apex and offset belong to one recording; there are {len(found)}'
    )
  out = None if out is None else pathlib.Path(out)
  work = _Work(
    making,
    ask,
    detector or detection.detect,
    pictures and out is not None,
    out and out / _KEPT,
  )
  if out:
    files.check_writable(out, flag='--out')
  results = []
  with tqdm.tqdm(
    desc='predict', total=len(found), unit='recording', disable=not progress
  ) as bar:
    for result in _results(found, work, progress and len(found) == 1):
      results.append(result)
      bar.update()
  rows = [row for result in results for row in result['rows']]
  table = rows_lib.table(rows, model, abstain=abstain)
  if out:
    _write(out, table, results, model, abstain)
    if annotate:
      annotating.annotate(
        found, table, out / 'annotated', fps=fps, progress=progress
      )
  return table


def summary(table: pd.DataFrame) -> str:
  """Returns lines that say what a table says."""
  lines = []
  for row in table.to_dict('records'):
    words = 'nothing was recognised'
    if row['probability'] == row['probability']:
      words = f'the motion from frame {row["onset"]} to {row["offset"]} is '
      share = f'({100 * row["probability"]:.0f} %)'
      words += f'most like {row["most_like"]} {share}'
      if row['abstained']:
        words = words.partition(' is ')[0] + f' is undecided {share}'
    noted = f'; note: {row["warnings"]}' if row['warnings'] else ''
    lines.append(f'{row["file"]}: {words}{noted}')
  return '\n'.join(lines)


def _ask(whole, given, fps, abstain) -> Ask:
  """Checks what a user asks for."""
  if fps is not None and not 0 < fps < 10_000:
    raise ValueError(f'fps is {fps}; expected frames a second, above 0')
  if not 0 <= abstain <= 1:
    raise ValueError(f'abstain is {abstain}; expected a probability, 0 to 1')
  is_given = any(number is not None for number in given)
  if whole and is_given:
    raise ValueError('--whole and --onset, --apex, --offset exclude each other')
  return Ask(whole=whole, given=given if is_given else None, fps=fps)


@dataclasses.dataclass(frozen=True)
class _Work:
  """What is done with each recording.

  Attributes:
    making: of the model's inputs.
    ask: what is asked for.
    detector: for spotting.
    pictures: whether pictures are made.
    kept: folder of finished results; None to keep none.
  """

  making: Making
  ask: Ask
  detector: Detector
  pictures: bool
  kept: pathlib.Path | None

  def key(self, recording: Recording) -> str:
    """Returns a digest of all that decides a result."""
    path = recording.path
    parts = sorted(path.iterdir()) if path.is_dir() else [path]
    stats = [(str(each), each.stat()) for each in parts if each.exists()]
    told = (
      packed_files.digest(self.making.model.about),
      mejax.__version__,
      self.making.recipe.describe(),
      dataclasses.astuple(self.ask),
      self.pictures,
      recording.name,
      [(name, at.st_size, at.st_mtime_ns) for name, at in stats],
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()[:32]


def _results(
  found: Sequence[Recording], work: _Work, progress: bool
) -> Iterator[Result]:
  """Yields what is said of each recording, in order."""
  for start in range(0, len(found), _TOGETHER):
    part = found[start : start + _TOGETHER]
    known = {}
    for recording in part:
      if work.kept:
        known[recording.path] = _read(work.kept / f'{work.key(recording)}.json')
    todo = [one for one in part if not known.get(one.path)]
    for recording, result in zip(
      todo, _make(todo, work, progress), strict=True
    ):
      known[recording.path] = result
      if work.kept:
        work.kept.mkdir(parents=True, exist_ok=True)
        path = work.kept / f'{work.key(recording)}.json'
        with files.writing(path) as file:
          json.dump(result, file)
    yield from (known[recording.path] for recording in part)


def _read(path: pathlib.Path) -> Result | None:
  # Whatever is wrong with a kept result, it is made again.
  try:
    result = files.read_json(path, hint=_AGAIN) if path.exists() else {}
  except (OSError, ValueError):
    return None
  return result if result.keys() == set(_RESULT) else None


def _make(
  recordings: Sequence[Recording], work: _Work, progress: bool
) -> list[Result]:
  """Looks at recordings together, so that batches are full."""
  with tempfile.TemporaryDirectory(prefix='mejax-predict-') as folder:
    place = pathlib.Path(folder)
    stretches = [
      events_lib.find(one, work.ask, detector=work.detector, progress=progress)
      for one in recordings
    ]
    recipe, model = work.making.recipe, work.making.model
    clips = [
      frames_lib.clips_of(found, recipe, place / str(i)) if found.events else []
      for i, found in enumerate(stretches)
    ]
    every = [clip for own in clips for clip in own]
    made = frames_lib.make(every, recipe, place / 'made') if every else []
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


def _result(found: Found, made, said, work: _Work) -> Result:
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
  curves = {
    name: value.tolist() if isinstance(value, np.ndarray) else value
    for name, value in found.curves.items()
  }
  return _plain(
    {
      'name': found.name,
      'fps': found.fps,
      'frames': len(found.clip.frame_numbers) if found.clip else 0,
      'rows': rows,
      'cards': cards,
      'curves': curves,
    }
  )


def _plain(value: Any) -> Any:
  """Returns JSON values; what is not finite becomes None."""
  if isinstance(value, dict):
    return {name: _plain(each) for name, each in value.items()}
  if isinstance(value, list | tuple):
    return [_plain(each) for each in value]
  if isinstance(value, float):
    return round(value, 6) if np.isfinite(value) else None
  return value


def _write(
  out: pathlib.Path,
  table: pd.DataFrame,
  results: Sequence[Result],
  model: Model,
  abstain: float | int,
) -> None:
  """Writes the table, the pictures and the page."""
  out.mkdir(parents=True, exist_ok=True)
  with files.writing(out / 'predictions.csv') as file:
    writer = files.CsvWriter(file)
    writer.writerow(table.columns)
    for row in table.itertuples(index=False):
      writer.writerow([_cell(value) for value in row])
  folder = out / 'pictures'
  for result in results:
    for card in result['cards']:
      folder.mkdir(exist_ok=True)
      path = folder / f'{result["name"][:100]}_{card["row"]["onset"]}.jpg'
      shares = [(name, card['row'][f'p_{name}']) for name in model.classes]
      with files.writing(path, 'wb') as file:
        file.write(showing.strip(card, shares))
  with files.writing(out / 'index.html') as file:
    file.write(
      page_lib.page(
        results,
        classes=model.classes,
        abstain=float(abstain),
        about=_about(model),
      )
    )


def _cell(value: Any) -> Any:
  if pd.isna(value):
    return ''
  return f'{value:.4f}' if isinstance(value, float) else value


def _about(model: Model) -> dict[str, Any]:
  """Returns what a page tells of a model."""
  about = model.about
  return {
    'name': model.folder.name,
    'generated': bool(about['data'].get('generated')),
    'members': len(about['members']),
    'units': model.units,
  }
