"""Every clip's arrays, made once: processes decode, the accelerator computes.

Each clip ends in a file of its own, named after all that decides its content.
What is there is not made again, so that a preparation that was killed goes on
where it was. Clips are worked on in batches of one size and keep their place in
them, so that the bits do not depend on where it was killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import itertools
import pathlib
import zipfile

import jax
import numpy as np
import tqdm

from mejax import files as files_lib
from mejax.corpora.clip import Clip
from mejax.datasets import chain
from mejax.datasets import decoding
from mejax.datasets import staging
from mejax.datasets import target
from mejax.datasets.recipe import Recipe
from mejax.motion import apex as motion_apex
from mejax.motion import faces

# Clips computed together. On a CPU more would only fill memory.
BATCH = {'cpu': 8}
ACCELERATOR_BATCH = 64
# Frames of a clip aligned together while its apex is looked for.
PIECE = 32

# Of the arrays of a clip, those that are about it and no part of an example.
ABOUT = ('apex_source', 'remarks')

Arrays = dict[str, np.ndarray]


def plan_of(clip: Clip, recipe: Recipe) -> staging.Plan:
  """What a worker is to do for a clip."""
  return staging.Plan(
    size=recipe.size,
    neighbours=recipe.neighbours,
    faces=recipe.faces,
    whole=recipe.apex == 'spotted'
    or (recipe.apex == 'annotated' and clip.apex_source == 'midpoint'),
  )


def digests(
  clips: Sequence[Clip], recipe: Recipe, *, progress: bool
) -> list[str]:
  """Of each clip what names its content: labels and the bytes of its files.

  A clip whose files cannot be read has the reason in its place of one; it will
  fail for the same reason when it is made.
  """

  def digest(clip: Clip) -> str:
    try:
      return staging.digest(clip, plan_of(clip, recipe))
    except (OSError, ValueError) as error:
      return f'unreadable: {error}'

  with futures.ThreadPoolExecutor(decoding.cores()) as pool:
    return list(
      tqdm.tqdm(
        pool.map(digest, clips),
        desc='look',
        total=len(clips),
        unit='clip',
        disable=not progress,
      )
    )


def make(
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
    clips: all clips; those with a problem are passed by.
    keys: from a clip's identity to a word that names all that decides its
      arrays.
    recipe: how they are made.
    folder: where they are kept.
    workers: processes that decode; 0 decodes in this one; one a core if None.
    progress: show a bar.

  Returns:
    The clips, with a problem where one could not be made, and with the apex and
    the remarks that came of it.

  Raises:
    OSError: `folder` cannot be written to.
  """
  with target.told(folder):
    folder.mkdir(parents=True, exist_ok=True)
  usable = [clip for clip in clips if not clip.problem]
  files = [folder / f'{keys[clip.identity]}.npz' for clip in usable]
  todo = [i for i, file in enumerate(files) if not _is_whole(file)]
  problems = {}
  batch = BATCH.get(jax.default_backend(), ACCELERATOR_BATCH)
  bar = tqdm.tqdm(
    desc='make',
    total=len(usable),
    initial=len(usable) - len(todo),
    unit='clip',
    disable=not progress,
  )
  workers = decoding.cores() if workers is None else workers
  with bar, decoding.Decoders(workers) as decoders:
    jobs = ((usable[i], plan_of(usable[i], recipe)) for i in todo)
    results = zip(todo, decoders.stage(jobs), strict=True)
    for number, group in itertools.groupby(results, lambda r: r[0] // batch):
      places = {}
      for i, result in group:
        if isinstance(result, str):
          problems[usable[i].identity] = result
        else:
          places[i - number * batch] = _Kept.of(usable[i], result, recipe)
        bar.update()
      for at, arrays in _compute(places, recipe, batch).items():
        _write(files[number * batch + at], arrays)
  done = {
    clip.identity: file
    for clip, file in zip(usable, files, strict=True)
    if clip.identity not in problems
  }
  return [
    _finished(clip, done[clip.identity])
    if clip.identity in done
    else dataclasses.replace(
      clip, problem=clip.problem or problems[clip.identity]
    )
    for clip in clips
  ]


def load(folder: pathlib.Path, key: str, recipe: Recipe) -> Arrays:
  """The arrays of an example that was made."""
  with np.load(folder / f'{key}.npz', allow_pickle=False) as file:
    arrays = {n: file[n] for n in file.files if n not in ABOUT}
  frames = arrays.pop('frames')
  arrays['onset'], arrays['apex'] = frames[0], frames[recipe.apex_slot]
  if recipe.neighbours:
    after = recipe.neighbours + 1
    arrays['onset_frames'] = frames[:after]
    arrays['apex_frames'] = frames[after:]
  return arrays


def _finished(clip: Clip, file: pathlib.Path) -> Clip:
  """The clip with what was found out while it was made."""
  with np.load(file, allow_pickle=False) as arrays:
    return dataclasses.replace(
      clip,
      apex=int(arrays['apex_number']),
      apex_source=str(arrays['apex_source']),
      remarks=(*clip.remarks, *arrays['remarks'].tolist()),
    )


@dataclasses.dataclass(frozen=True)
class _Kept:
  """A staged clip, of whose patches only those of the example are left."""

  clip: Clip
  staged: staging.Staged
  apex: int
  apex_source: str
  remarks: tuple[str, ...]

  @classmethod
  def of(cls, clip: Clip, staged: staging.Staged, recipe: Recipe) -> _Kept:
    """Spots the apex first, where all frames were staged for that."""
    apex, source, remarks = clip.apex, clip.apex_source, ()
    if plan_of(clip, recipe).whole:
      spotted, remarks = _spot(clip, staged, recipe.size)
      if spotted is None:
        source = 'midpoint'
      else:
        apex, source = spotted, 'spotted'
        if clip.apex_source == 'midpoint':
          # The reader has said that it took the middle frame.
          remarks = (f'apex {apex} was spotted in the place of that frame',)
      shown = dataclasses.replace(clip, frame_numbers=staged.numbers)
      numbers = staging.kept_numbers(shown, apex, neighbours=recipe.neighbours)
      at = [staged.numbers.index(n) for n in numbers]
      staged = dataclasses.replace(
        staged, patches=staged.patches[at], numbers=tuple(numbers)
      )
    return cls(clip, staged, apex, source, (*staged.remarks, *remarks))


def _compute(
  places: dict[int, _Kept], recipe: Recipe, batch: int
) -> dict[int, Arrays]:
  """Arrays of some clips, each at its place in a batch."""
  if not places:
    return {}
  shape = next(iter(places.values())).staged.patches.shape
  patches = np.zeros((batch, *shape), np.uint8)
  matrices = np.tile(np.eye(2, 3, dtype=np.float32), (batch, 1, 1))
  # Places that stay empty have the points of some face.
  points = np.float32(faces.CANONICAL * recipe.size - 0.5)
  landmarks = np.tile(points, (batch, 1, 1))
  for at, kept in places.items():
    patches[at] = kept.staged.patches
    matrices[at] = kept.staged.matrix
    landmarks[at] = kept.staged.landmarks
  made = chain.frames(patches, matrices, landmarks, recipe)
  made |= chain.compute(made['frames'], landmarks, recipe)
  return {
    at: {
      'landmarks': landmarks[at],
      'onset_number': np.int32(kept.clip.onset),
      'apex_number': np.int32(kept.apex),
      'offset_number': np.int32(kept.clip.offset),
      'apex_source': np.str_(kept.apex_source),
      'remarks': np.array(kept.remarks, np.str_),
      **kept.staged.truth,
      **{name: values[at] for name, values in made.items()},
    }
    for at, kept in places.items()
  }


def _spot(
  clip: Clip, staged: staging.Staged, size: int
) -> tuple[int | None, tuple[str, ...]]:
  """Number of the frame of largest movement, or None and why there is none."""
  if len(staged.numbers) < 2:
    return None, ('one frame has no apex',)
  pieces = []
  for start in range(0, len(staged.patches), PIECE):
    piece = staged.patches[start : start + PIECE]
    # Padded, so that clips of all lengths share one program.
    padded = np.zeros((PIECE, *piece.shape[1:]), np.uint8)
    padded[: len(piece)] = piece
    matrices = np.repeat(staged.matrix[None], PIECE, axis=0)
    aligned = chain.align(padded, matrices, size=size)
    pieces.append(np.asarray(aligned)[: len(piece)])
  spotted = motion_apex.spot(
    np.concatenate(pieces), fps=clip.fps, points=staged.landmarks
  )
  if not spotted.is_found:
    return None, ('nothing moves, so there is no apex: middle frame',)
  return staged.numbers[spotted.index], ()


def _write(path: pathlib.Path, arrays: Arrays) -> None:
  """Keeps what was made of a clip."""
  with target.told(path.parent), files_lib.writing(path, 'wb') as file:
    np.savez(file, **arrays)


def _is_whole(path: pathlib.Path) -> bool:
  """Whether a clip is made; power that fails may leave a file cut off."""
  # The list of what is in it stands at the end of the file.
  return path.is_file() and zipfile.is_zipfile(path)
