"""Keeps what is known of a stream that goes on, and what is recognised."""

from __future__ import annotations

import collections
from collections.abc import Callable
from collections.abc import Iterator
from concurrent import futures
import contextlib
import dataclasses
import pathlib

from jaxtyping import UInt8
import numpy as np

from mejax import signals
from mejax.corpora.clip import UNKNOWN
from mejax.corpora.clip import Clip
from mejax.experiment.predicting import events as events_lib
from mejax.experiment.predicting import frames as frames_lib
from mejax.experiment.predicting import live_view
from mejax.experiment.predicting import results as results_lib
from mejax.experiment.predicting import rows as rows_lib
from mejax.experiment.predicting.events import Event
from mejax.experiment.predicting.events import Found
from mejax.experiment.predicting.live_view import View
from mejax.experiment.predicting.results import Result
from mejax.experiment.predicting.results import Work
from mejax.experiment.predicting.streams import Stream
from mejax.experiment.spotting import recordings as spotting
from mejax.experiment.spotting import remarks
from mejax.motion import glance
from mejax.motion.spotting import candidates as candidates_lib
from mejax.motion.spotting import live
from mejax.motion.spotting.tracks import Frames
from mejax.motion.spotting.tracks import Tracks
from mejax.pages import pictures as pictures_lib

# Seconds of frames that are kept for what is yet to be spotted in them, and
# their bytes at most: a long movement takes 5, and is known 3 seconds later.
_KEPT, _BYTES = 9.0, 1_000_000_000
_TOO_LARGE = (
  'its frames are so large that its first ones were not kept: choose a smaller'
  ' picture of the camera'
)
# Tiles of an event that are shown, and what stands below them.
_TILES = {0: 'onset', 1: 'apex', 3: 'flow'}

Picture = UInt8[np.ndarray, 'h w 3']
Show = Callable[[Picture, float], bool]


class Kept:
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
      while len(self._frames) > 1 and (
        number - self._frames[0][0] > self._reach or self._bytes > _BYTES
      ):
        self._bytes -= self._frames.popleft()[1].nbytes
      yield number, image

  def numbers(self) -> tuple[int, ...]:
    return tuple(number for number, _ in self._frames)

  def frames(self) -> list[tuple[int, Picture]]:
    return list(self._frames)


class Watch:
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
    self._kept = Kept(stream.fps)
    self._glance = glance.Glance(min(stream.fps, 40.0), work.detector)
    # One at a time, beside the camera, which nothing may hold up.
    self._thread = futures.ThreadPoolExecutor(1)
    self._asked: list[tuple[Event, futures.Future]] = []
    self._results: list[Result] = []
    self._shown: live_view.Last | None = None
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
    found = sorted(self._results, key=lambda one: one['rows'][0]['onset'])
    one = {
      'name': stream.name,
      'fps': stream.fps,
      'frames': self._last + 1,
      'rows': [row for each in found for row in each['rows']],
      'cards': [card for each in found for card in each['cards']],
      'curves': {},
      'remarks': found[0]['remarks'] if found else [],
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
      remarks_on = self._found(()).remarks
      problem = Found(name=stream.name, problem=words, remarks=remarks_on)
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
    if event.onset < found.clip.frame_numbers[0]:
      clips = [dataclasses.replace(clips[0], problem=_TOO_LARGE)]
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
      self._shown = self._last_of(result)
      if self._tell:
        (row,) = result['rows']
        at = row['onset'] / self._stream.fps
        self._tell(f'{at:.1f} s, {row["type"]}: {self._shown.answer}')

  def _last_of(self, result: Result) -> live_view.Last:
    (row,) = result['rows']
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
    last = live_view.Last(row=waiting[-1]) if waiting else self._shown
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
