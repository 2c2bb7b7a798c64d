"""Spots where something small happened in recordings, and writes it down."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import os
import pathlib
from typing import TYPE_CHECKING
from typing import Any

from jaxtyping import Bool
from jaxtyping import Float
import numpy as np
import pandas as pd

from mejax import bars
from mejax import files
from mejax.corpora import decode
from mejax.corpora import recordings as recordings_lib
from mejax.corpora import which_face as which_face_lib
from mejax.corpora.clip import UNKNOWN
from mejax.corpora.clip import Clip
from mejax.corpora.recordings import Recording
from mejax.experiment import calls
from mejax.experiment.spotting import pictures
from mejax.experiment.spotting import remarks
from mejax.experiment.spotting import turning
from mejax.experiment.spotting.several_faces import Chooser
from mejax.motion import detection
from mejax.motion import oddities
from mejax.motion.spotting import candidates as candidates_lib
from mejax.motion.spotting import tracks as tracks_lib
from mejax.motion.spotting.candidates import Candidate
from mejax.motion.spotting.following import Detector
from mejax.pages import spotting as spotting_page

if TYPE_CHECKING:
  # It imports JAX, which spotting without training does without.
  from mejax.experiment.spotting.trained import Trained

# The columns of the table.
COLUMNS = (
  'recording', 'type', 'onset', 'apex', 'offset', 'onset_s', 'apex_s',
  'offset_s', 'score', 'size', 'regions', 'flags', 'path',
)  # fmt: skip
RESULTS = ('candidates.csv', 'index.html')
Paths = recordings_lib.Paths


@dataclasses.dataclass(frozen=True)
class Spotted:
  """What was spotted in a recording.

  Attributes:
    name: of the recording.
    fps: frames a second.
    tracks: signals of the face; None if the recording cannot be used.
    candidates: in the order of onsets.
    clip: its frames; None if the recording cannot be used.
    problem: why it cannot be used; '' if it can.
    remarks: sentences to know before one looks.
    path: of the recording, as the caller wrote it.
    is_by_network: whether scores are probabilities that a network tells.
  """

  name: str
  fps: float
  tracks: tracks_lib.Tracks | None
  candidates: tuple[Candidate, ...] = ()
  clip: Clip | None = None
  problem: str = ''
  remarks: tuple[str, ...] = ()
  path: str = ''
  is_by_network: bool = False


def spot(
  recordings: Paths,
  *,
  fps: float | int | None = None,
  part: str = 'total',
  seconds: float | int = 0.5,
  thresholds: Mapping[str, float] | None = None,
  gates: Collection[str] = candidates_lib.GATES,
  detector: Detector | None = None,
  progress: bool = True,
  spotter: Trained | None = None,
) -> pd.DataFrame:
  """Spots micro- and macro-expressions in long recordings.

  Args:
    recordings: videos, folders of frames, or folders of these.
    fps: frames a second; needed for folders of frames only.
    part, seconds: what a micro-expression is, as in
      `motion.spotting.candidates.spot`.
    thresholds, gates: likewise.
    detector: as in `motion.spotting.tracks.track`; YuNet by default, with
      which a picture that is turned by a multiple of 90 degrees is turned back.
    progress: whether to show a bar.
    spotter: a network, from `trained.read`, in place of the spotter without
      training; its thresholds and scores are probabilities.

  Returns:
    A row for each candidate with `COLUMNS`: frames as the file numbers them
    (the first of a video is 0), seconds from the first frame, the score in
    units of noise, the size as a share of the distance between the eyes, the
    names of regions and flags, joined by `, `, and the path of the recording as
    it was given, with what lies below it. `attrs['remarks']` holds (recording,
    sentence).

  Raises:
    FileNotFoundError: a path does not exist.
    ValueError: a path is no recording, none of them can be used, or the frames
      a second are not known.
  """
  return table(
    examine(
      recordings,
      fps=fps,
      part=part,
      seconds=seconds,
      thresholds=thresholds,
      gates=gates,
      detector=detector,
      progress=progress,
      spotter=spotter,
    )
  )


def write(
  recordings: Paths,
  out: str | os.PathLike[str],
  *,
  pictures: bool = True,
  **options,
) -> tuple[pd.DataFrame, list[pathlib.Path]]:
  """Spots, and writes `candidates.csv` and `index.html` into a folder.

  Args:
    recordings: as in `spot`.
    out: the folder, which is made. The results of a call with other options
      are not replaced.
    pictures: whether the page shows the face at onset and apex of candidates.
    **options: those of `spot`.

  Returns:
    The table, and the two paths.

  Raises:
    ValueError: also if `out` holds the results of another call.
  """
  out = pathlib.Path(out)
  asked = _asked(recordings, pictures, options)
  calls.check(out, asked, RESULTS)
  found = examine(recordings, **options)
  out.mkdir(parents=True, exist_ok=True)
  rows = table(found)
  paths = [out / name for name in RESULTS]
  with files.writing(paths[0]) as file:
    rows.to_csv(file, index=False, lineterminator='\n', float_format='%.4f')
  detector = options.get('detector') or detection.detect
  limits = candidates_lib.THRESHOLDS | asked['thresholds']
  # The curve has units of noise, and no probabilities.
  limit = 0.0 if options.get('spotter') else limits['micro']
  shown = [
    _shown(one, rows, detector if pictures else None, limit)
    for one in found
    if not one.problem
  ]
  with files.writing(paths[1]) as file:
    file.write(spotting_page.page(shown))
  calls.note(out, asked)
  return rows, paths


def _asked(
  recordings: Paths, pictures: bool, options: Mapping[str, Any]
) -> dict[str, Any]:
  """Returns the options of a call as JSON values."""
  fps, spotter = options.get('fps'), options.get('spotter')
  return {
    'verb': 'spot',
    'recordings': calls.paths_of(recordings),
    'fps': fps and float(fps),
    'part': options.get('part', 'total'),
    'seconds': float(options.get('seconds', 0.5)),
    'thresholds': {
      kind: float(least)
      for kind, least in (options.get('thresholds') or {}).items()
    },
    'gates': sorted(options.get('gates', candidates_lib.GATES)),
    'spotter': spotter and spotter.digest,
    'pictures': pictures,
  }


def examine(
  recordings: Paths,
  *,
  fps: float | int | None = None,
  detector: Detector | None = None,
  progress: bool = True,
  spotter: Trained | None = None,
  **options,
) -> list[Spotted]:
  """Spots in each recording; see `spot`.

  Raises:
    ValueError: also if no recording can be used.
  """
  if fps is not None and not 0 < fps < 10_000:
    raise ValueError(f'fps is {fps}; expected frames a second, above 0')
  found = recordings_lib.find(recordings_lib.listed(recordings))
  spotted = [
    examine_one(
      one,
      fps=fps,
      detector=detector or detection.detect,
      progress=progress,
      spotter=spotter,
      **options,
    )
    for one in found
  ]
  if all(one.problem for one in spotted):
    told = '; '.join(f'{one.name}: {one.problem}' for one in spotted)
    raise ValueError(f'no recording can be used: {told}')
  return spotted


def examine_one(
  recording: Recording,
  *,
  fps: float | int | None,
  detector: Detector,
  progress: bool,
  spotter: Trained | None = None,
  which_face: which_face_lib.WhichFace = which_face_lib.LARGEST,
  **options,
) -> Spotted:
  """Spots in one recording; if it cannot be used, the result says why."""
  content = recording.content
  rate = float(fps) if fps else content.fps
  problem = content.problem
  if not problem and rate is None:
    problem = 'it has no frame rate: give the frames a second (--fps)'
  if not problem and len(content.files) < 2:
    problem = 'has one frame; nothing moves in it'
  if problem:
    return Spotted(recording.name, rate or 0.0, None, problem=problem)
  clip = turning.turned_back(clip_of(recording, rate), detector)
  watch, chosen = oddities.Watch(), Chooser(detector, which_face)
  watched = bars.Bar(
    _seen(decode.stream(clip), watch),
    desc=recording.name,
    unit='frame',
    total=len(content.files),
    disable=not progress,
  )
  try:
    # An iterator, so that nobody takes the bar for a list to look into.
    tracks = tracks_lib.track(iter(watched), fps=rate, detector=chosen)
  except ValueError as error:
    return Spotted(recording.name, rate, None, problem=str(error))
  if spotter is None:
    found = candidates_lib.spot(tracks, **options)
  else:
    found = spotter.spot(tracks, thresholds=options.get('thresholds'))
  return Spotted(
    recording.name,
    rate,
    tracks,
    tuple(found),
    clip,
    remarks=(
      *content.remarks,
      *remarks.on_turn(clip.turn),
      *remarks.on_frames(watch, rate),
      *remarks.on_signals(tracks, rate),
      *remarks.on_cuts(tracks),
      *chosen.remarks(),
    ),
    path=str(recording.given),
    is_by_network=spotter is not None,
  )


def clip_of(recording: Recording, fps: float | None) -> Clip:
  """Returns the frames of a recording as `decode.stream` takes them."""
  numbers = tuple(recording.content.files)
  is_video = recording.is_video
  positions = tuple(range(len(numbers)))
  return Clip(
    corpus='video',
    subject=UNKNOWN,
    name=recording.name,
    emotion=UNKNOWN,
    frames=() if is_video else tuple(recording.content.files.values()),
    frame_numbers=numbers,
    video=recording.path if is_video else None,
    positions=positions if is_video and positions != numbers else (),
    fps=fps,
  )


def _seen(frames: tracks_lib.Frames, watch: oddities.Watch):
  """Yields numbered frames, which are watched as they go by."""
  for number, image in frames:
    watch.see(image)
    yield number, image


def table(found: Sequence[Spotted]) -> pd.DataFrame:
  """Returns the candidates as a table; see `spot`."""
  rows = []
  for spotted in found:
    for one in spotted.candidates:
      times = {
        f'{name}_s': _seconds(spotted, getattr(one, name))
        for name in ('onset', 'apex', 'offset')
      }
      rows.append(
        dataclasses.asdict(one)
        | times
        | {
          'recording': spotted.name,
          'path': spotted.path,
          'regions': ', '.join(one.regions),
          'flags': ', '.join(one.flags),
        }
      )
  result = pd.DataFrame(rows, columns=list(COLUMNS))
  result.attrs['remarks'] = [
    (spotted.name, words)
    for spotted in found
    for words in (*spotted.remarks, *filter(None, [spotted.problem]))
  ]
  return result


def _seconds(spotted: Spotted, number):
  """Returns the time of a frame, or of some, since the first one."""
  return (number - spotted.clip.frame_numbers[0]) / spotted.fps


def _shown(
  spotted: Spotted,
  rows: pd.DataFrame,
  detector: Detector | None,
  threshold: float,
) -> spotting_page.Recording:
  pairs = ()
  if detector is not None:
    pairs = pictures.pictures(spotted.clip, spotted.candidates, detector)
  own = rows[rows['recording'] == spotted.name]
  return spotting_page.Recording(
    name=spotted.name,
    fps=spotted.fps,
    candidates=own.to_dict('records'),
    remarks=spotted.remarks,
    pictures=pairs,
    is_by_network=spotted.is_by_network,
    **(curves(spotted) | {'threshold': threshold}),
  )


def curves(spotted: Spotted) -> dict[str, Any]:
  """Returns what a timeline shows, as `pages.spotting.Recording` takes it."""
  tracks = spotted.tracks
  return {
    **curves_of(
      candidates_lib.overview(tracks),
      _seconds(spotted, tracks.numbers),
      is_absent=tracks.shot < 0,
      fps=spotted.fps,
    ),
    # The curve has units of noise, and no probabilities.
    'threshold': 0.0
    if spotted.is_by_network
    else candidates_lib.THRESHOLDS['micro'],
  }


def curves_of(
  overview: candidates_lib.Overview,
  times: Float[np.ndarray, ' t'],
  *,
  is_absent: Bool[np.ndarray, ' t'],
  fps: float,
) -> dict[str, Any]:
  """Returns the curves of a timeline, without its threshold.

  Args:
    overview: of the signals.
    times: of their frames, in seconds.
    is_absent: where there is no face.
    fps: frames a second of the recording.
  """
  return {
    'seconds': float(times[-1] + 1 / fps),
    'times': times,
    'strength': overview.strength,
    'blinks': _spans(overview.lids, times),
    'absent': _spans(is_absent, times),
  }


def _spans(
  flags: np.ndarray, times: Float[np.ndarray, ' t']
) -> list[tuple[float, float]]:
  """Returns start and end in seconds of each run of True."""
  edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
  starts, stops = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0) - 1
  return [
    (float(times[a]), float(times[b]))
    for a, b in zip(starts, stops, strict=True)
  ]
