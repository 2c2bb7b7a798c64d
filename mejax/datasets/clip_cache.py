"""Makes the arrays of every clip once, and keeps them in a file per clip.

Worker processes decode, and the accelerator computes. The name of a clip's file
is a hash of everything that decides its content, so an existing file is never
made again, and a preparation that was killed resumes where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import itertools
import pathlib

import jax
import numpy as np
import tqdm

from mejax import bars
from mejax import files as files_lib
from mejax.corpora import footage
from mejax.corpora.clip import Clip
from mejax.datasets import clip_counts
from mejax.datasets import face_search
from mejax.datasets import frames_to_flow
from mejax.datasets import staging
from mejax.datasets import workers as workers_lib
from mejax.datasets.recipe import Recipe
from mejax.motion import apex as motion_apex
from mejax.motion import faces
from mejax.motion import scenes
from mejax.motion import stillness

# Clips computed together. On a CPU, more would only fill memory.
BATCH = {'cpu': 8}
ACCELERATOR_BATCH = 64
# Frames that are aligned together to spot the apex of a clip.
PIECE = 32

# Difference, as in `scenes`, up to which two frames show the same.
_ALIKE = 0.02

# Begins the remark on a clip in which nothing does.
NOTHING_MOVES = 'nothing moves'

# Arrays in a clip's file that belong to the metadata, not to the example.
ABOUT = ('apex_source', 'remarks', 'notes', 'pixels', 'eyes')

_AGAIN = 'It may be deleted: the `mejax prepare` command makes it again.'

Arrays = dict[str, np.ndarray]


def plan_of(clip: Clip, recipe: Recipe) -> staging.Plan:
  """Returns a worker's plan for a clip."""
  # The apex is spotted, which needs all frames, if the recipe says so. With
  # `annotated` it is spotted only if the reader had to take the middle frame.
  return staging.Plan(
    size=recipe.size,
    neighbours=recipe.neighbours,
    faces=recipe.faces,
    which_face=recipe.which_face,
    whole=recipe.apex == 'spotted'
    or (recipe.apex == 'annotated' and clip.apex_source == 'midpoint'),
  )


def digest_clips(
  clips: Sequence[Clip], recipe: Recipe, *, progress: bool
) -> list[str]:
  """Returns a digest of the labels and files of each clip.

  For an unreadable clip the digest is the reason instead. `make_clips` will
  fail on the clip for the same reason.
  """

  def digest(clip: Clip) -> str:
    try:
      return staging.digest(clip, plan_of(clip, recipe))
    except (OSError, ValueError) as error:
      return f'unreadable: {error}'

  with futures.ThreadPoolExecutor(workers_lib.cores()) as pool:
    return list(
      bars.Bar(
        pool.map(digest, clips),
        desc='hash',
        total=len(clips),
        unit='clip',
        disable=not progress,
      )
    )


def make_clips(
  clips: Sequence[Clip],
  keys: Mapping[str, str],
  recipe: Recipe,
  folder: pathlib.Path,
  *,
  workers: int | None,
  progress: bool,
) -> list[Clip]:
  """Makes the arrays of all clips that `folder` lacks.

  Args:
    clips: all clips; those with a problem are skipped.
    keys: maps a clip's identity to the name of its file, which is a hash of all
      that decides its arrays.
    recipe: how the arrays are made.
    folder: where the arrays are kept.
    workers: number of processes that decode; 0 decodes in this process; None
      stands for one per core.
    progress: whether to show a bar.

  Returns:
    The clips, with the apex and the remarks that were found on the way. A clip
    whose arrays could not be made has a problem.

  Raises:
    OSError: `folder` cannot be written to.
  """
  with files_lib.hinting(folder):
    folder.mkdir(parents=True, exist_ok=True)
  usable = clip_counts.usable(clips)
  files = [folder / f'{keys[clip.identity]}.npz' for clip in usable]
  todo = [i for i, file in enumerate(files) if not _is_whole(file)]
  workers = workers_lib.cores() if workers is None else workers
  bar = bars.Bar(
    desc='make',
    total=len(usable),
    initial=len(usable) - len(todo),
    unit='clip',
    disable=not progress,
  )
  with bar, workers_lib.Decoders(workers) as decoders:
    jobs = ((usable[i], plan_of(usable[i], recipe)) for i in todo)
    staged = zip(todo, decoders.stage(jobs), strict=True)
    problems = _make_batches(staged, usable, files, recipe, bar)
  pixels = {}
  for i, clip in enumerate(usable):
    if i in problems:
      usable[i] = dataclasses.replace(clip, problem=problems[i])
    else:
      usable[i], pixels[i] = _finished(clip, files[i])
  finished = iter(footage.remark_same_frames(usable, pixels))
  return [clip if clip.problem else next(finished) for clip in clips]


def _make_batches(
  staged: Iterable[tuple[int, staging.Staged | str]],
  clips: Sequence[Clip],
  files: Sequence[pathlib.Path],
  recipe: Recipe,
  bar: tqdm.tqdm,
) -> dict[int, str]:
  """Writes the file of every staged clip; returns the problems of the others.

  Args:
    staged: for each clip its position, and its frames or why there are none.
    clips: all usable clips.
    files: the file of each clip.
    recipe: how the arrays are made.
    bar: counts a clip once it is finished, not once it is decoded.
  """
  size = BATCH.get(jax.default_backend(), ACCELERATOR_BATCH)
  problems, is_compiled = {}, False
  # Batches are cut by position among all usable clips, not among those that
  # are yet to be made: see `_compute`.
  for number, group in itertools.groupby(staged, lambda item: item[0] // size):
    places, count = {}, 0
    for i, result in group:
      count += 1
      if isinstance(result, str):
        problems[i] = result
      else:
        if not is_compiled and plan_of(clips[i], recipe).whole:
          bar.set_postfix_str('compiling')  # The program that spots the apex.
        kept = _Kept.of_staged(clips[i], result, recipe)
        if isinstance(kept, str):
          problems[i] = kept
        else:
          places[i - number * size] = kept
    if places and not is_compiled:
      bar.set_postfix_str('compiling')
    for at, arrays in _compute(places, recipe, size).items():
      _write(files[number * size + at], arrays)
      is_compiled = True
    if is_compiled:
      bar.set_postfix_str('', refresh=False)
    bar.update(count)
  return problems


def examine_clips(
  clips: Sequence[Clip],
  recipe: Recipe,
  *,
  workers: int | None,
  progress: bool,
) -> list[Clip]:
  """Says of every clip what `make_clips` would say, but measures no motion.

  Arguments and result are those of `make_clips`. Clips without frames are
  returned as they are.
  """
  places = [
    i
    for i, clip in enumerate(clips)
    if not clip.problem and (clip.frames or clip.video)
  ]
  workers = workers_lib.cores() if workers is None else workers
  bar = bars.Bar(
    desc='check', total=len(places), unit='clip', disable=not progress
  )
  clips, pixels = list(clips), {}
  with bar, workers_lib.Decoders(workers) as decoders:
    jobs = ((clips[i], plan_of(clips[i], recipe)) for i in places)
    for i, result in zip(places, decoders.stage(jobs), strict=True):
      if not isinstance(result, str):
        pixels[i] = result.pixels
        result = _Kept.of_staged(clips[i], result, recipe)
      clips[i] = (
        dataclasses.replace(clips[i], problem=result)
        if isinstance(result, str)
        else dataclasses.replace(
          clips[i],
          apex=result.apex,
          apex_source=result.apex_source,
          remarks=(*clips[i].remarks, *result.remarks),
          notes=(*clips[i].notes, *result.notes),
        )
      )
      bar.update()
  return footage.remark_same_frames(clips, pixels)


def load_clip(folder: pathlib.Path, key: str, recipe: Recipe) -> Arrays:
  """Loads the arrays of a clip's example from its file."""
  made = files_lib.read_npz(folder / f'{key}.npz', hint=_AGAIN)
  arrays = {name: array for name, array in made.items() if name not in ABOUT}
  frames = arrays.pop('frames')
  arrays['onset'], arrays['apex'] = frames[0], frames[recipe.apex_slot]
  if recipe.neighbours:
    after = recipe.neighbours + 1
    arrays['onset_frames'] = frames[:after]
    arrays['apex_frames'] = frames[after:]
  return arrays


def load_eyes(folder: pathlib.Path, key: str) -> float:
  """Loads the distance between the eyes, in pixels of a clip's frames."""
  path = folder / f'{key}.npz'
  return float(files_lib.read_npz(path, hint=_AGAIN, only=('eyes',))['eyes'])


def _finished(clip: Clip, file: pathlib.Path) -> tuple[Clip, tuple[str, ...]]:
  """Returns the clip with what its file says, and digests of its frames."""
  about = files_lib.read_npz(file, hint=_AGAIN, only=('apex_number', *ABOUT))
  clip = dataclasses.replace(
    clip,
    apex=int(about['apex_number']),
    apex_source=str(about['apex_source']),
    remarks=(*clip.remarks, *about['remarks'].tolist()),
    notes=(*clip.notes, *about['notes'].tolist()),
  )
  return clip, tuple(about['pixels'].tolist())


@dataclasses.dataclass(frozen=True)
class _Kept:
  """A staged clip with only the patches that its example needs."""

  clip: Clip
  staged: staging.Staged
  apex: int
  apex_source: str
  remarks: tuple[str, ...]
  notes: tuple[str, ...]

  @classmethod
  def of_staged(
    cls, clip: Clip, staged: staging.Staged, recipe: Recipe
  ) -> _Kept | str:
    """Picks the patches; spots the apex first if all frames were staged.

    Returns:
      What is kept, or why the clip cannot be used.
    """
    apex, source, remarks, notes = clip.apex, clip.apex_source, (), ()
    if plan_of(clip, recipe).whole:
      spotted, remarks = _spot(clip, staged, recipe.size)
      if spotted is None:
        source = 'midpoint'
      else:
        apex, source = spotted, 'spotted'
        if clip.apex_source == 'midpoint':
          # The reader's own note says already that it took the middle frame.
          notes = (f'apex {apex} was spotted and replaces that frame',)
      if not _shows_face(staged, apex):
        return face_search.faceless(clip, apex, staged.seen)
    if not remarks and _is_still(clip, staged, apex, recipe.size):
      remarks = (
        f'{NOTHING_MOVES} from onset {clip.onset} to apex {apex}: they differ '
        'no more than two frames do in which nothing moves',
      )
    if plan_of(clip, recipe).whole:
      shown = dataclasses.replace(clip, frame_numbers=staged.numbers)
      numbers = staging.kept_numbers(shown, apex, neighbours=recipe.neighbours)
      at = [staged.numbers.index(n) for n in numbers]
      staged = dataclasses.replace(
        staged, patches=staged.patches[at], numbers=tuple(numbers)
      )
    return cls(
      clip,
      staged,
      apex,
      source,
      (*staged.remarks, *remarks),
      (*staged.notes, *notes),
    )


def _is_still(clip: Clip, staged: staging.Staged, apex: int, size: int) -> bool:
  onset, top = (
    staged.patches[staged.numbers.index(number)]
    for number in (clip.onset, apex)
  )
  # Two frames after each other may be all there is of a movement.
  after = [n for n in clip.frame_numbers if n > clip.onset]
  beside = None if apex in after[:1] else staged.beside
  return stillness.is_still(onset, top, beside, staged.matrix, size=size)


def _shows_face(staged: staging.Staged, number: int) -> bool:
  """Returns whether a frame shows the face, as far as that is asked."""
  if staged.seen is None or number in staged.seen:
    return True
  patch, *others = (
    staged.patches[staged.numbers.index(n)]
    for n in (number, *staged.seen)
    if n in staged.numbers
  )
  # A frame like one that shows the face does so too: that costs no detection.
  if any(scenes.difference(patch, other) < _ALIKE for other in others):
    return True
  points = staged.landmarks @ staged.matrix[:, :2].T + staged.matrix[:, 2]
  return faces.is_face_at(patch, points)


def _compute(
  places: dict[int, _Kept], recipe: Recipe, batch: int
) -> dict[int, Arrays]:
  """Computes the arrays of some clips, each at its place in a batch.

  The batch always has the same size, and a clip keeps its place in it even if
  its neighbours exist already. So one program is compiled, and the bits of a
  clip do not depend on where an earlier run was killed.
  """
  if not places:
    return {}
  shape = next(iter(places.values())).staged.patches.shape
  patches = np.zeros((batch, *shape), np.uint8)
  matrices = np.tile(np.eye(2, 3, dtype=np.float32), (batch, 1, 1))
  # Empty places need the points of some face, or they would give NaN.
  points = np.float32(faces.CANONICAL * recipe.size - 0.5)
  landmarks = np.tile(points, (batch, 1, 1))
  covered = np.ones((batch, recipe.size, recipe.size), bool)
  for at, kept in places.items():
    patches[at] = kept.staged.patches
    matrices[at] = kept.staged.matrix
    landmarks[at] = kept.staged.landmarks
    covered[at] = kept.staged.covered
  face = frames_to_flow.weights(landmarks, covered, recipe)
  made = frames_to_flow.align_frames(patches, matrices, face, recipe)
  made |= frames_to_flow.measure_motion(made['frames'], face, recipe)
  said = {
    at: frames_to_flow.remarks(
      made['flow'][at],
      covered[at],
      recipe,
      scale=_scale(kept.staged),
      is_rendered=bool(kept.staged.truth),
    )
    for at, kept in places.items()
  }
  return {
    at: {
      'landmarks': landmarks[at],
      'onset_number': np.int32(kept.clip.onset),
      'apex_number': np.int32(kept.apex),
      'offset_number': np.int32(kept.clip.offset),
      'apex_source': np.str_(kept.apex_source),
      'remarks': np.array([*kept.remarks, *said[at][0]], np.str_),
      'notes': np.array([*kept.notes, *said[at][1]], np.str_),
      'pixels': np.array(kept.staged.pixels, np.str_),
      'eyes': np.float32(kept.staged.eyes),
      **kept.staged.truth,
      **{name: values[at] for name, values in made.items()},
    }
    for at, kept in places.items()
  }


def _scale(staged: staging.Staged) -> float:
  """Returns how many pixels of a frame are one of the aligned face."""
  left, right = staged.landmarks[:2]
  return staged.eyes / float(np.linalg.norm(right - left))


def _spot(
  clip: Clip, staged: staging.Staged, size: int
) -> tuple[int | None, tuple[str, ...]]:
  """Returns the frame number of the apex, or None and the reason."""
  if len(staged.numbers) < 2:
    return None, ('one frame has no apex',)
  pieces = []
  for start in range(0, len(staged.patches), PIECE):
    piece = staged.patches[start : start + PIECE]
    # Padded, so that clips of all lengths share one program.
    padded = np.zeros((PIECE, *piece.shape[1:]), np.uint8)
    padded[: len(piece)] = piece
    matrices = np.repeat(staged.matrix[None], PIECE, axis=0)
    aligned = frames_to_flow.align(padded, matrices, size=size)
    pieces.append(np.asarray(aligned)[: len(piece)])
  spotted = motion_apex.spot(
    np.concatenate(pieces), fps=clip.fps, points=staged.landmarks
  )
  if not spotted.is_found:
    return None, (f'{NOTHING_MOVES}, so there is no apex: middle frame',)
  return staged.numbers[spotted.index], ()


def _write(path: pathlib.Path, arrays: Arrays) -> None:
  with files_lib.hinting(path.parent), files_lib.writing(path, 'wb') as file:
    np.savez(file, **arrays)


def _is_whole(path: pathlib.Path) -> bool:
  # A power failure may cut a file off, a disk flip a bit, an older mejax may
  # have written less. Then it is made again.
  try:
    return {*ABOUT} <= files_lib.read_npz(path, hint=_AGAIN).keys()
  except (OSError, ValueError):
    return False
