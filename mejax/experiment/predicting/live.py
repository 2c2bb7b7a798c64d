"""Looks at a camera: what is spotted is recognised while it runs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import os
import pathlib
import tempfile

import pandas as pd

from mejax import files
from mejax.corpora import which_face as which_face_lib
from mejax.experiment.packs.packed import Model
from mejax.experiment.predicting import annotating
from mejax.experiment.predicting import events as events_lib
from mejax.experiment.predicting import making as making_lib
from mejax.experiment.predicting import rows as rows_lib
from mejax.experiment.predicting import shipped
from mejax.experiment.predicting import streams
from mejax.experiment.predicting import watching
from mejax.experiment.predicting import writing
from mejax.experiment.predicting.results import Work
from mejax.experiment.predicting.watching import Picture
from mejax.experiment.predicting.watching import Show
from mejax.experiment.spotting.several_faces import Chooser
from mejax.experiment.spotting.trained import Trained
from mejax.motion import detection
from mejax.motion.spotting.following import Detector
from mejax.pages import predicting as page_lib
from mejax.training import devices


def watch(
  camera: int | str | os.PathLike[str],
  *,
  model: str | os.PathLike[str] | Model | None = None,
  out: str | os.PathLike[str] | None = None,
  abstain: float | int = 0.0,
  fps: float | int | None = None,
  seconds: float | int | None = None,
  which_face: str = which_face_lib.LARGEST,
  pictures: bool = True,
  annotate: bool = False,
  show: Show | None = None,
  tell: Callable[[str], None] | None = None,
  detector: Detector | None = None,
  spotter: Trained | None = None,
  trust_code: bool = False,
) -> pd.DataFrame:
  """Says what motions before a camera are most like, while it runs.

  Past frames alone decide, so a movement is known two to three seconds after
  it has ended. It ends with the stream, after `seconds`, on Ctrl-C, or as
  `show` says.

  Args:
    camera: number of a camera; or a video or folder of frames, which is looked
      at as if a camera showed it.
    model, abstain, which_face, detector, spotter, trust_code: as in
      `recordings.predict`.
    out: folder for `predictions.csv`, `index.html` and `pictures/`, which holds
      no results yet.
    fps: frames a second; those that the camera gives if not given.
    seconds: how long to look; to the end if not given.
    pictures: whether the page shows faces.
    annotate: whether what is shown is written as a video, too; it takes `out`.
    show: takes each picture that is drawn and its time in seconds, and returns
      whether to go on.
    tell: takes a line on each movement.

  Returns:
    A table as that of `recordings.predict`.

  Raises:
    FileNotFoundError, OSError, ValueError: as in `recordings.predict` and
      `streams.open_stream`; also if `out` holds results.
  """
  out = None if out is None else pathlib.Path(out)
  _check(out, annotate, abstain, seconds)
  devices.keep_compiled_programs()
  if not isinstance(model, Model):
    model = shipped.load(model, trust_code=trust_code)
  which = which_face_lib.parse(which_face)
  making = making_lib.making_of(model, which_face=which)
  chosen = Chooser(detector or detection.detect, which)
  is_drawn = annotate or show is not None
  work = Work(
    making,
    events_lib.Ask(),
    chosen,
    is_drawn or (pictures and out is not None),
    None,
    spotter,
  )
  stream = streams.open_stream(camera, fps=fps)
  with contextlib.ExitStack() as stack:
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    one = watching.Watch(stream, work, pathlib.Path(folder), abstain, tell)
    stack.callback(one.close)
    takers = [show] if show else []
    if annotate:
      path = out / 'annotated' / f'{stream.name[:100]}.mp4'
      takers.append(stack.enter_context(_filmed(path, stream.fps)))
    one.run(takers, seconds)
  result = one.result(pictures)
  result['remarks'] = [*result['remarks'], *chosen.remarks()]
  rows = [{**row, 'path': str(camera)} for row in result['rows']]
  table = rows_lib.table(rows, model, abstain=abstain)
  table.attrs['cautions'] = writing.cautions(model)
  if out:
    writing.write_pictures(out, result, model, room=page_lib.MOST)
    writing.write(out, table, [result], model, abstain)
  return table


def _check(out, annotate, abstain, seconds) -> None:
  if not 0 <= abstain <= 1:
    raise ValueError(f'abstain is {abstain}; expected a probability, 0 to 1')
  if seconds is not None and not seconds > 0:
    raise ValueError(f'seconds is {seconds}; expected a number above 0')
  if out is None:
    if annotate:
      raise ValueError('an annotated video takes a folder: give --out')
    return
  files.check_writable(out, flag='--out')
  if there := [name for name in writing.RESULTS if (out / name).exists()]:
    raise ValueError(
      f'{out} holds {" and ".join(there)}, and a camera shows something else'
      ' each time. Choose another --out.'
    )


@contextlib.contextmanager
def _filmed(path: pathlib.Path, fps: float) -> Iterator:
  """Yields a function that takes pictures into a video, and goes on."""
  # Above 40 frames a second, some are looked at together.
  with annotating.film(path, fps if fps <= 40 else 30.0) as add:

    def taken(picture: Picture, at: float) -> bool:
      del at
      add(picture)
      return True

    yield taken
