"""Looks at a camera: what is spotted is recognised while it runs."""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import contextlib
import os
import pathlib
import tempfile

from jaxtyping import UInt8
import numpy as np
import pandas as pd

from mejax import files
from mejax import signals
from mejax.corpora import which_face as which_face_lib
from mejax.corpora.clip import UNKNOWN
from mejax.corpora.clip import Clip
from mejax.experiment.packs.packed import Model
from mejax.experiment.predicting import annotating
from mejax.experiment.predicting import events as events_lib
from mejax.experiment.predicting import frames as frames_lib
from mejax.experiment.predicting import live_view
from mejax.experiment.predicting import making as making_lib
from mejax.experiment.predicting import results as results_lib
from mejax.experiment.predicting import rows as rows_lib
from mejax.experiment.predicting import shipped
from mejax.experiment.predicting import streams
from mejax.experiment.predicting import writing
from mejax.experiment.predicting.events import Event
from mejax.experiment.predicting.events import Found
from mejax.experiment.predicting.live_view import View
from mejax.experiment.predicting.results import Result
from mejax.experiment.predicting.results import Work
from mejax.experiment.predicting.streams import Stream
from mejax.experiment.spotting import recordings as spotting
from mejax.experiment.spotting import remarks
from mejax.experiment.spotting.trained import Trained
from mejax.motion import detection
from mejax.motion import glance
from mejax.motion.spotting import candidates as candidates_lib
from mejax.motion.spotting import live
from mejax.motion.spotting.following import Detector
from mejax.motion.spotting.tracks import Frames
from mejax.motion.spotting.tracks import Tracks
from mejax.pages import pictures as pictures_lib
from mejax.training import devices

# Seconds of frames that are kept for what is yet to be spotted in them, and
# their bytes at most: a long movement takes 5, and is known 3 seconds later.
_KEPT, _BYTES = 9.0, 600_000_000
# Tiles of an event that are shown, and what stands below them.
_TILES = {0: 'onset', 1: 'apex', 3: 'flow'}

Picture = UInt8[np.ndarray, 'h w 3']
Show = Callable[[Picture, float], bool]


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
  making = making_lib.making_of(
    model, which_face=which_face_lib.parse(which_face)
  )
  is_drawn = annotate or show is not None
  work = Work(
    making,
    events_lib.Ask(),
    detector or detection.detect,
    is_drawn or (pictures and out is not None),
    None,
    spotter,
  )
  stream = streams.open_stream(camera, fps=fps)
  with contextlib.ExitStack() as stack:
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    one = _Watch(stream, work, pathlib.Path(folder), abstain, tell)
    stack.callback(one.close)
    takers = [show] if show else []
    if annotate:
      path = out / 'annotated' / f'{stream.name[:100]}.mp4'
      takers.append(stack.enter_context(_filmed(path, stream.fps)))
    one.run(takers, seconds)
  result = one.result(pictures)
  table = rows_lib.table(result['rows'], model, abstain=abstain)
  table.attrs['cautions'] = writing.cautions(model)
  if out:
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


class _Kept:
  """The frames of the last seconds."""

  def __init__(self, fps: float):
    self._reach = _KEPT * fps
    self._frames = collections.deque()
    self._bytes = 0

  def through(self, frames: Frames) -> Iterator[tuple[int, Picture]]:
    """Yields the frames, and keeps them."""
    for number, image in frames:
      self._frames.append((number, image))
      self._bytes += image.nbytes
      first = self._frames[0]
      while number - first[0] > self._reach or self._bytes > _BYTES:
        self._bytes -= self._frames.popleft()[1].nbytes
        first = self._frames[0]
      yield number, image

  def numbers(self) -> tuple[int, ...]:
    return tuple(number for number, _ in self._frames)

  def frames(self) -> list[tuple[int, Picture]]:
    return list(self._frames)


class _Watch:
  """What is known of a stream, and what is still recognised."""

  def __init__(
    self,
    stream: Stream,
    work: Work,
    folder: pathlib.Path,
    abstain: float | int,
    tell: Callable[[str], None] | None,
  ):
    self._stream, self._work, self._folder = stream, work, folder
    self._abstain, self._tell = float(abstain), tell
    self._kept = _Kept(stream.fps)
    self._glance = glance.Glance(min(stream.fps, 40.0), work.detector)
    # One at a time, beside the camera, which nothing may hold up.
    self._thread = futures.ThreadPoolExecutor(1)
    self._asked: list[tuple[Event, futures.Future]] = []
    self._results: list[Result] = []
    self._overview = candidates_lib.Overview(np.zeros(0), np.zeros(0, bool))
    self._times, self._is_absent = np.zeros(0), np.zeros(0, bool)
    self._find = candidates_lib.spot
    self._threshold = candidates_lib.THRESHOLDS['micro']
    if work.spotter is not None:
      # The curve has units of noise, and no probabilities.
      self._find, self._threshold = work.spotter.spot, 0.0
    self._last = 0
    self._is_over = False

  def run(
    self,
    takers: list[Show],
    seconds: float | int | None,
  ) -> None:
    """Looks at the stream until it ends, or somebody ends it."""
    work = self._work
    # Ctrl-C is the usual way to end it, and no fault.
    with contextlib.suppress(KeyboardInterrupt, signals.Terminated):
      with signals.held() as has_come:
        frames = self._kept.through(self._until(seconds, has_come))
        for moment in live.watch(
          frames,
          fps=self._stream.fps,
          detector=work.detector,
          find=self._find,
        ):
          if moment.tracks:
            self._note(moment.tracks)
          for known in moment.known:
            self._ask(
              events_lib.of_candidate(
                known.candidate, is_by_network=work.spotter is not None
              )
            )
          self._collect()
          if takers and not self._is_over:
            drawn = live_view.draw(self._view(moment))
            # All take it, whatever one of them says.
            at = moment.number / self._stream.fps
            self._is_over = not all([take(drawn, at) for take in takers])
    for _, asked in self._asked:
      futures.wait([asked])
    self._collect()

  def close(self) -> None:
    self._thread.shutdown(cancel_futures=True)
    close = getattr(self._stream.frames, 'close', None)
    if close:
      close()

  def result(self, pictures: bool) -> Result:
    """Returns JSON values of all that was seen, as `results` makes them."""
    stream = self._stream
    one = {
      'name': stream.name,
      'fps': stream.fps,
      'frames': self._last + 1,
      'rows': [row for each in self._results for row in each['rows']],
      'cards': [card for each in self._results for card in each['cards']],
      'curves': {},
    }
    if not pictures:
      one['cards'] = []
    if len(self._times):
      one['curves'] = {
        **spotting.curves_of(
          self._overview,
          self._times,
          is_absent=self._is_absent,
          fps=stream.fps,
        ),
        'threshold': self._threshold,
      }
    if not one['rows']:
      words = events_lib.NOTHING
      if self._is_absent.all():
        words = 'no face was seen'
      found = self._found(())
      problem = Found(name=stream.name, problem=words, remarks=found.remarks)
      one['rows'] = [rows_lib.of_problem(problem)]
    return results_lib.plain(one)

  def _until(
    self, seconds: float | int | None, has_come: Callable[[], bool]
  ) -> Iterator[tuple[int, Picture]]:
    for number, image in self._stream.frames:
      if self._is_over or has_come():
        return
      if seconds is not None and number >= seconds * self._stream.fps:
        return
      self._last = number
      yield number, image

  def _note(self, tracks: Tracks) -> None:
    """Takes the curves of the last seconds in place of those from before."""
    new = candidates_lib.overview(tracks)
    times = tracks.numbers / self._stream.fps
    old = self._times < times[0]

    def joined(before, now):
      return np.concatenate([before[old], now])

    self._overview = candidates_lib.Overview(*map(joined, self._overview, new))
    self._is_absent = joined(self._is_absent, tracks.shot < 0)
    self._times = joined(self._times, times)

  def _found(self, events: tuple[Event, ...]) -> Found:
    """Returns the frames that are kept, as those of a recording."""
    stream = self._stream
    clip = Clip(
      corpus='video',
      subject=UNKNOWN,
      name=stream.name,
      emotion=UNKNOWN,
      frames=(),
      frame_numbers=self._kept.numbers(),
      fps=stream.fps,
    )
    return Found(
      name=stream.name,
      clip=clip,
      fps=stream.fps,
      events=events,
      remarks=(*stream.remarks, *remarks.on_rate(stream.fps)),
    )

  def _ask(self, event: Event) -> None:
    """Takes the frames of an event, and has it recognised."""
    place = self._folder / f'{event.type}-{event.onset}'
    found = self._found((event,))
    clips = frames_lib.clips_of(
      found, self._work.making.recipe, place, stream=self._kept.frames()
    )
    asked = self._thread.submit(
      results_lib.say, [found], [clips], self._work, place / 'made'
    )
    self._asked.append((event, asked))
    if not self._stream.is_live:
      futures.wait([asked])

  def _collect(self) -> None:
    """Takes what was recognised meanwhile."""
    while self._asked and self._asked[0][1].done():
      _, asked = self._asked.pop(0)
      (result,) = asked.result()
      self._results.append(result)
      if self._tell:
        for row in result['rows']:
          said = self._shown(result, row)
          at = row['onset'] / self._stream.fps
          self._tell(f'{at:.1f} s, {row["type"]}: {said.answer}')

  def _shown(self, result: Result, row) -> live_view.Last:
    tiles = [
      (words, pictures_lib.decoded(card['tiles'][i]['source']))
      for card in result['cards']
      for i, words in _TILES.items()
    ]
    return live_view.last_of(
      row,
      self._work.making.model.classes,
      abstain=self._abstain,
      tiles=tiles,
    )

  def _view(self, moment: live.Moment) -> View:
    """Returns what is shown at a frame."""
    rows = [row for one in self._results for row in one['rows']]
    waiting = [
      {
        name: getattr(event, name)
        for name in ('type', 'onset', 'offset', 'regions')
      }
      for event, _ in self._asked
    ]
    last = None
    if waiting:
      last = live_view.Last(row=waiting[-1])
    elif rows:
      last = self._shown(self._results[-1], rows[-1])
    return View(
      name=self._stream.name,
      fps=self._stream.fps,
      number=moment.number,
      image=moment.image,
      seen=self._glance.see(moment.image),
      times=self._times,
      strength=self._overview.strength,
      threshold=self._threshold,
      events=[*rows, *waiting],
      last=last,
    )
