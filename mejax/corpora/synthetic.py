"""Renders and reads the synthetic corpus: faces whose motion is known.

On disk there are `<root>/<subject>/<clip>/img<number>.png` (8-bit RGB) with
`truth.npz` beside them, and at the root `labels.csv` (a row for each clip) and
`corpus.json` (the parameters). `truth.npz` holds
  true_flow        f32[h, w, 2]  onset to apex in pixels, right and down, at the
                                 onset's pixels, head drift included
  expression_flow  f32[h, w, 2]  the same without head drift
  landmarks        f32[5, 2]     (x, y) at the onset, in the order of `Clip`
  intensity        f32[t]        strength of the expression in each frame
  expressiveness   f32[]         factor of the person's expressions; there only
                                 if it was asked for
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import itertools
import json
import os
import pathlib

import cv2
import numpy as np
import pandas as pd

from mejax import bars
from mejax import files as files_lib
from mejax import limits
from mejax.corpora import action_units
from mejax.corpora import cells
from mejax.corpora import frame_numbers
from mejax.corpora import frames as frames_lib
from mejax.corpora import spreadsheets
from mejax.corpora.clip import Clip
from mejax.corpora.corpus import Corpus
from mejax.corpora.faces import acting
from mejax.corpora.faces import camera
from mejax.corpora.faces import movement

FPS = 100.0
_AGAIN = 'Delete the folder of the corpus and render it again.'
_COLUMNS = (
  'subject', 'clip', 'emotion', 'onset', 'apex', 'offset', 'fps',
  'action_units', 'amplitude',
)  # fmt: skip


# Each takes a tenth of a second.
_MOST_CLIPS = 1_000_000
# Beyond this a movement could fold, and would have no inverse.
_MOST_EXPRESSIVE = 2.0


@dataclasses.dataclass(frozen=True)
class _Parameters:
  """The parameters that decide every byte; `version` is the renderer's."""

  num_subjects: int
  clips_per_subject: int
  size: int
  difficulty: float
  seed: int
  expressiveness: tuple[float, ...] | None = None
  ages: bool = False
  version: int = 1

  def __post_init__(self):
    least = {'num_subjects': 1, 'clips_per_subject': 1, 'size': 32, 'seed': 0}
    for name, low in least.items():
      if getattr(self, name) < low:
        raise ValueError(
          f'{name} is {getattr(self, name)}; expected {low} or more.'
        )
    count = self.num_subjects * self.clips_per_subject
    if count > _MOST_CLIPS:
      raise ValueError(f'{count:,} clips; expected at most {_MOST_CLIPS:,}.')
    # No frame is larger than what `prepare` reads.
    limits.check_pixels(self.size, self.size, 'size')
    if not 0 <= self.difficulty <= 1:
      raise ValueError(f'difficulty is {self.difficulty}; expected 0 to 1.')
    ends = (1, 1) if self.expressiveness is None else self.expressiveness
    if len(ends) != 2 or not 0 < ends[0] <= ends[1] <= _MOST_EXPRESSIVE:
      raise ValueError(
        f'expressiveness is {ends}; expected the lowest and the highest factor,'
        f' above 0 and at most {_MOST_EXPRESSIVE:g}.'
      )

  def describe(self) -> dict[str, object]:
    """Returns the content of `corpus.json`."""
    found = dataclasses.asdict(self)
    # Corpora without it, and older ones, do not have the key.
    both, ages = found.pop('expressiveness'), found.pop('ages')
    if both is not None:
      found['expressiveness'] = list(both)
    return {**found, 'ages': True} if ages else found

  @property
  def hard(self) -> float:
    """The difficulty on the inner scale of `faces`, 0 to 0.94.

    At 1 on the inner scale the classes could not be told apart. The exponent
    makes a small difficulty noticeable.
    """
    return 0.94 * self.difficulty**0.42

  def generator(self, *stream: int) -> np.random.Generator:
    """Returns independent random numbers for a person, a clip or a camera."""
    return np.random.default_rng([self.seed, *stream])

  def cast(self, subject: int) -> acting.Person:
    """Makes up a person."""
    age = float(self.generator(4, subject).uniform()) if self.ages else None
    person = acting.cast(
      self.generator(0, subject), size=self.size, hard=self.hard, age=age
    )
    if self.expressiveness is None:
      return person
    # Random numbers of its own, so that nothing else of a person changes.
    low, high = np.log(self.expressiveness)
    factor = np.exp(self.generator(3, subject).uniform(low, high))
    return dataclasses.replace(person, expressiveness=float(factor))


def write(
  root: str | os.PathLike[str],
  *,
  num_subjects: int = 12,
  clips_per_subject: int = 9,
  size: int = 128,
  difficulty: int | float = 0.5,
  seed: int = 0,
  expressiveness: Sequence[float | int] | None = None,
  ages: bool = False,
  progress: bool = True,
) -> pathlib.Path:
  """Renders the corpus below `root` and returns that folder.

  The same parameters give the same bytes. The same call resumes one that was
  interrupted and keeps the finished clips.

  Args:
    root: folder to write to; new, empty, or begun with the same parameters.
    num_subjects: number of made-up people.
    clips_per_subject: clips of each person; the emotions alternate.
    size: width and height of the frames in pixels.
    difficulty: 0 to 1. A higher difficulty weakens the expression and
      strengthens camera noise, head drift, unrelated movements of the face and
      muscles of other emotions.
    seed: decides people, expressions and noise.
    expressiveness: the lowest and the highest factor, at most 2, by which the
      expressions of a person are larger than without it. The logarithm of the
      factor is uniform. Nothing else changes: neither distractors nor noise
      nor light. None leaves it out.
    ages: whether people differ in age, from smooth faces to lined ones with
      slack lids and grey hair, see `faces.drawing.make_face`. Nothing else
      changes; without it people differ in the folds beside the mouth alone.
    progress: whether to show a progress bar.

  Raises:
    ValueError: a parameter is out of range, or `root` holds something else.
  """
  parameters = _Parameters(
    num_subjects,
    clips_per_subject,
    size,
    float(difficulty),
    seed,
    expressiveness=None
    if expressiveness is None
    else tuple(map(float, expressiveness)),
    ages=bool(ages),
  )
  root = pathlib.Path(root)
  _claim(root, parameters)
  rows = []
  total = num_subjects * clips_per_subject
  with bars.Bar(
    total=total, desc='synthetic', unit='clip', disable=not progress
  ) as bar:
    for subject in range(num_subjects):
      person = parameters.cast(subject)
      for clip in range(clips_per_subject):
        rows.append(_write_clip(root, person, subject, clip, parameters))
        bar.update()
  table = pd.DataFrame(rows, columns=list(_COLUMNS))
  with files_lib.writing(root / 'labels.csv') as file:
    table.to_csv(file, index=False, lineterminator='\n')
  return root


def read(root: str | os.PathLike[str]) -> Iterator[Clip]:
  """Yields the clips below `root` in the order of `labels.csv`.

  A clip with a missing file or damaged truth is yielded with `problem` set.

  Raises:
    FileNotFoundError: `root` or its `labels.csv` does not exist.
    ValueError: `labels.csv` lacks a column or holds a value out of range.
  """
  root = pathlib.Path(root)
  sheet = root / 'labels.csv'
  if not root.is_dir():
    raise FileNotFoundError(f'No folder {root}; expected a synthetic corpus.')
  if not sheet.is_file():
    if (root / 'corpus.json').is_file():
      state = 'the corpus was not finished: write it again to carry on'
    elif any(root.iterdir()):
      state = 'the folder holds something else'
    else:
      state = 'the folder is empty'
    raise FileNotFoundError(f'No labels.csv in {root}: {state}.')
  return (_read_clip(root, sheet, row) for row in _read_rows(sheet))


def looks(root: str | os.PathLike[str]) -> dict[str, Mapping[str, float]]:
  """Returns what each person of a rendered corpus looks like.

  People are made up again by the parameters of the corpus; nothing but
  `corpus.json` is read. For the names see `faces.drawing.NeutralFace.looks`.

  Raises:
    FileNotFoundError: there is no `corpus.json`.
    ValueError: it is damaged, or of another version of the renderer.
  """
  content = files_lib.read_json(pathlib.Path(root) / 'corpus.json', hint=_AGAIN)
  try:
    parameters = _Parameters(**content)
  except TypeError as error:
    raise ValueError(f'{root}/corpus.json: {error}. {_AGAIN}') from error
  if parameters.version != _Parameters.version:
    raise ValueError(
      f'{root} is of version {parameters.version} of the renderer; this is'
      f' {_Parameters.version}. {_AGAIN}'
    )
  return {
    f's{subject + 1:02d}': parameters.cast(subject).face.looks
    for subject in range(parameters.num_subjects)
  }


def _read_rows(sheet: pathlib.Path) -> list[dict[str, str]]:
  """Reads the rows of the sheet, each with its columns by name."""
  try:
    ((_, (header, *rows)),) = spreadsheets.read_pages(sheet)
  except (OSError, ValueError) as error:
    raise ValueError(f'{sheet} cannot be read: {error}') from error
  header = [str(cell) for cell in header]
  missing = [name for name in _COLUMNS if name not in header]
  if missing:
    raise ValueError(
      f'{sheet} lacks the columns {missing}; expected {list(_COLUMNS)}, found '
      f'{header}. Is this the folder of another corpus?'
    )
  places = {name: header.index(name) for name in _COLUMNS}
  # Plain texts, since nobody shows the place of a cell.
  return [
    {name: str(row[i]) for name, i in places.items()}
    for row in rows
    if any(row)
  ]


def _claim(root: pathlib.Path, parameters: _Parameters) -> None:
  """Marks `root` as this corpus; raises if it holds something else."""
  marker = root / 'corpus.json'
  asked = parameters.describe()
  if marker.is_file():
    files_lib.refuse_links(root)  # A link could replace another folder.
    found = files_lib.read_json(marker, hint=_AGAIN)
    known = [field.name for field in dataclasses.fields(parameters)]
    files_lib.refuse_other(
      root,
      {name: found[name] for name in known if name in found},
      asked,
      what='a synthetic corpus with other parameters',
      hint='Write to another folder or delete this one.',
    )
    return
  root.mkdir(parents=True, exist_ok=True)
  unfinished = marker.name + files_lib.SUFFIX  # Left by a call that was killed.
  if any(path.name != unfinished for path in root.iterdir()):
    raise ValueError(
      f'{root} is not empty and is not a synthetic corpus; expected a new or '
      'empty folder.'
    )
  with files_lib.writing(marker) as file:
    file.write(json.dumps(asked, indent=2) + '\n')


def _write_clip(
  root: pathlib.Path,
  person: acting.Person,
  subject: int,
  clip: int,
  parameters: _Parameters,
) -> dict[str, object]:
  """Renders a clip unless it exists already; returns its row of the sheet."""
  emotion = sorted(movement.EMOTIONS)[(subject + clip) % 3]
  generator = parameters.generator(1, subject, clip)
  first = int(generator.integers(1, 3000))
  take = acting.perform(
    generator, person, emotion, size=parameters.size, hard=parameters.hard
  )
  last = first + len(take.intensity) - 1
  files = [f'img{n}.png' for n in range(first, last + 1)]
  folder = root / f's{subject + 1:02d}' / f'clip{clip + 1:02d}'
  # A clip is rendered in a folder of another name and then renamed, so a folder
  # of this name was finished. A user may have deleted files from it since.
  whole = folder.is_dir() and {path.name for path in folder.iterdir()} >= {
    'truth.npz',
    *files,
  }
  if not whole:
    noise = parameters.generator(2, subject, clip)
    with files_lib.replacing(folder) as partial:
      _render(partial, files, person, take, noise)
  return {
    'subject': folder.parent.name,
    'clip': folder.name,
    'emotion': emotion,
    'onset': first,
    'apex': first + take.apex,
    'offset': last,
    'fps': FPS,
    'action_units': acting.facs(take.activations),
    'amplitude': f'{take.amplitude:.3f}',
  }


def _render(
  folder: pathlib.Path,
  files: Sequence[str],
  person: acting.Person,
  take: acting.Take,
  generator: np.random.Generator,
) -> None:
  """Writes the frames of a clip and its truth; `generator` draws the noise."""
  movements = take.expression + take.drift
  for t, name in enumerate(files):
    moved = movement.displacement(movements, t)
    frame = camera.render(person.face, take.pose, movement.backward(moved))
    frame = take.lighting.expose(frame, t, generator)
    # OpenCV crashes if it shall write to a path that is no UTF-8.
    _, data = cv2.imencode('.png', frame[..., ::-1])
    (folder / name).write_bytes(data)
  true_flow = movement.displacement(movements, take.apex)
  eyes, nose, mouth = (
    take.pose.place(person.face.points[name]) * len(true_flow) - 0.5
    for name in ('eye', 'nose', 'mouth_corner')
  )
  told = {}
  if person.expressiveness is not None:
    told['expressiveness'] = np.float32(person.expressiveness)
  np.savez(
    folder / 'truth.npz',
    true_flow=true_flow,
    expression_flow=movement.displacement(take.expression, take.apex),
    landmarks=np.stack([*eyes, nose[0], *mouth]).astype(np.float32),
    intensity=take.intensity,
    **told,
  )


def _read_clip(
  root: pathlib.Path, sheet: pathlib.Path, row: Mapping[str, str]
) -> Clip:
  """Returns the clip of a row of the sheet."""
  name = f'{row["subject"]}/{row["clip"]}'
  if not all(cells.is_file_name(row[k]) for k in ('subject', 'clip')):
    raise ValueError(
      f'{sheet}: subject {row["subject"]!r}, clip {row["clip"]!r}; expected the'
      ' names of folders, which lie in one another.'
    )
  if row['emotion'] not in movement.EMOTIONS:
    raise ValueError(
      f'{sheet}: emotion {row["emotion"]!r} of {name}; expected one of '
      f'{sorted(movement.EMOTIONS)}.'
    )
  values, unread = frame_numbers.read_numbers(row)
  if None in values.values():
    faults = [f'{field} is {text!r}' for field, text in unread.items()]
    raise ValueError(
      f'{sheet}: {name}: {", ".join(faults) or "a number is missing"}; '
      'expected the number of a frame.'
    )
  onset, apex, offset = values.values()
  try:
    fps = float(row['fps'])
  except ValueError as error:
    raise ValueError(f'{sheet}: {name}: {error}.') from error
  if not onset < apex < offset:
    raise ValueError(
      f'{sheet}: {name}: onset {onset}, apex {apex}, offset {offset}; expected '
      'them in this order.'
    )
  folder = root / row['subject'] / row['clip']
  numbers, missing = _numbers(folder, onset, offset)
  frames = tuple(folder / f'img{n}.png' for n in numbers)
  truth = folder / 'truth.npz'
  landmarks, problem = _read_landmarks(truth)
  problem = problem or missing
  return Clip(
    corpus='synthetic',
    subject=row['subject'],
    name=row['clip'],
    emotion=row['emotion'],
    frames=frames,
    frame_numbers=numbers,
    onset=onset,
    apex=apex,
    offset=offset,
    fps=fps,
    facs=row['action_units'],
    action_units=action_units.parse(row['action_units']),
    apex_source='rendered',
    landmarks=landmarks,
    truth=truth,
    problem=problem,
  )


def _read_landmarks(truth: pathlib.Path):
  """Returns the five points and '', or () and the reason."""
  try:
    with files_lib.reading(pathlib.Path(truth.name), hint=_AGAIN):
      points = files_lib.arrays(truth, ['landmarks'])['landmarks'].tolist()
  except (OSError, ValueError) as error:
    return (), str(error)
  return tuple((x, y) for x, y in points), ''


def _numbers(
  folder: pathlib.Path, onset: int, offset: int
) -> tuple[tuple[int, ...], str]:
  """Returns the numbers of a clip's frames, and names those that are missing.

  The sheet may claim more frames than fit into memory, so the folder is listed.
  """
  names = set()
  if folder.is_dir():
    names = {path.name for path in folder.iterdir() if path.is_file()}
  wanted = range(onset, offset + 1)
  there = {
    n
    for n in map(frames_lib.frame_number, map(pathlib.Path, names))
    if f'img{n}.png' in names
  }
  numbers = tuple(sorted(n for n in there if n in wanted))
  lost = len(wanted) - len(numbers)
  if not lost:
    return numbers, ''
  some = itertools.islice((n for n in wanted if n not in there), 5)
  return numbers, f'{lost} of {len(wanted)} frames missing: ' + ', '.join(
    f'img{n}.png' for n in some
  )


CORPUS = Corpus(name='synthetic', read=read)
