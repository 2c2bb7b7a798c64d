"""Says what motions in recordings are most like."""

from __future__ import annotations

import os
import pathlib

import pandas as pd

from mejax import bars
from mejax.corpora import recordings as recordings_lib
from mejax.corpora import which_face as which_face_lib
from mejax.experiment import calls
from mejax.experiment.packs import packed_files
from mejax.experiment.packs.packed import Model
from mejax.experiment.predicting import annotating
from mejax.experiment.predicting import labels as labels_lib
from mejax.experiment.predicting import making as making_lib
from mejax.experiment.predicting import results as results_lib
from mejax.experiment.predicting import rows as rows_lib
from mejax.experiment.predicting import shipped
from mejax.experiment.predicting import writing
from mejax.experiment.predicting.events import Ask
from mejax.experiment.spotting.trained import Trained
from mejax.motion import detection
from mejax.motion.spotting.following import Detector
from mejax.pages import predicting as page_lib
from mejax.training import devices

# Folder of finished results, from which an interrupted call goes on.
_KEPT = 'kept'


def predict(
  recordings: recordings_lib.Paths,
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
  spotter: Trained | None = None,
  labels: str | os.PathLike[str] | None = None,
  leave_out_seen: bool = False,
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
      call goes on where an earlier one was interrupted, and one with other
      options is refused.
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
    spotter: a network that spots, from `spotting.trained.read`, in place of the
      spotter without training.
    labels: a table that says who is in each recording and what it shows, see
      `labels`; each recording is then one movement, of the frames in the table
      if it has any, and people whom the model has seen are refused.
    leave_out_seen: whether recordings of such people are left out instead.
    trust_code: whether code that the model names may be run.
    progress: whether to show a bar.

  Returns:
    A row for each movement, or for a recording without any. What is not known
    is empty:
      file: name of the recording, as short as it can be.
      path: of its file or folder, as it was given, with what lies below it.
      corpus, subject, truth: of the table of labels, if there is one.
      type: `micro` or `macro`, which were spotted, `whole` or `given`.
      onset, apex, offset: frames as the file numbers them; the first of a video
        is 0. With `_s`: seconds from the first frame of the recording, if the
        frames a second are known.
      most_like: the class that the motion is most like; '' if abstained.
      probability: of that class; p_CLASS: of each class. They are calibrated.
      entropy: in nats; 0 is sure, log(classes) is undecided.
      abstained: whether the probability is below `abstain`.
      motion_px: size of the motion in pixels of the recording.
      motion_noise: the same in units of its noise; only where it was spotted
        without a network.
      face_px: pixels between the eyes.
      regions: that moved; only where it was spotted.
      warnings: sentences at which to look, joined by `; `.
      units: the action units that reach their thresholds, as `4+7`, if the
        model tells any.
      au_NAME: how likely an action unit is shown, if the model tells them; not
        calibrated.
    `attrs['cautions']` holds sentences to know before one believes the model.

  Raises:
    FileNotFoundError: a path or the model does not exist.
    ValueError: a path is no recording, the model cannot be used on videos, or
      has seen people of the labels, these are not understood, frames are not in
      the recording, options exclude each other, or `out` holds the results of
      another call.
  """
  ask = _ask(whole, (onset, apex, offset), fps, abstain)
  _check_labels(labels, leave_out_seen, ask)
  devices.keep_compiled_programs()
  if not isinstance(model, Model):
    model = shipped.load(model, trust_code=trust_code)
  which = which_face_lib.parse(which_face)
  making = making_lib.making_of(model, which_face=which)
  found = recordings_lib.find(recordings_lib.listed(recordings))
  if ask.given and len(found) != 1:
    raise ValueError(
      f'onset, apex and offset belong to one recording; there are {len(found)}'
    )
  labelled = labels_lib.Labelled(found, {}, ())
  if labels is not None:
    labelled = labels_lib.read(
      labels, found, model=model, fps=fps, leave_out_seen=leave_out_seen
    )
    found = labelled.found
  out = None if out is None else pathlib.Path(out)
  work = results_lib.Work(
    making,
    ask,
    detector or detection.detect,
    pictures and out is not None,
    out and out / _KEPT,
    spotter,
    {path: label.ask for path, label in labelled.labels.items()},
  )
  asked = {
    'verb': 'predict',
    'recordings': calls.paths_of(recordings),
    'model': os.path.realpath(model.folder),
    'model_sha256': packed_files.digest(model.about),
    'whole': whole,
    'frames': [n if n is None else int(n) for n in (onset, apex, offset)],
    'abstain': float(abstain),
    'fps': fps and float(fps),
    'which_face': which_face,
    'pictures': pictures,
  }
  if spotter is not None:
    asked['spotter'] = spotter.digest
  if labels is not None:
    asked['labels'] = packed_files.sha256(pathlib.Path(labels))
    asked['leave_out_seen'] = leave_out_seen
  if out:
    calls.check(out, asked, writing.RESULTS)
  results, room = [], page_lib.MOST
  with bars.Bar(
    desc='predict', total=len(found), unit='recording', disable=not progress
  ) as bar:
    for result in results_lib.results_of(
      found, work, progress and len(found) == 1
    ):
      if out:
        writing.write_pictures(out, result, model, room=room)
        room -= len(result['cards'])
      results.append(result)
      bar.update()
  rows = [
    {**row, 'path': str(one.given), **labelled.columns(one)}
    for one, result in zip(found, results, strict=True)
    for row in result['rows']
  ]
  table = rows_lib.table(
    rows,
    model,
    abstain=abstain,
    more=() if labels is None else labels_lib.COLUMNS,
  )
  table.attrs['cautions'] = [*labelled.notes, *writing.cautions(model)]
  if out:
    writing.write(out, table, results, model, abstain)
    calls.note(out, asked)
    if annotate:
      annotating.annotate(
        found,
        table,
        out / 'annotated',
        fps=fps,
        detector=work.detector,
        progress=progress,
      )
  return table


def _check_labels(labels, leave_out_seen: bool, ask: Ask) -> None:
  """Refuses options that do not fit a table of labels."""
  if leave_out_seen and labels is None:
    raise ValueError('--leave_out_seen belongs to --labels')
  if labels is not None and (ask.whole or ask.given):
    raise ValueError(
      '--labels says which frames are looked at; leave out --whole, --onset,'
      ' --apex and --offset'
    )


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
