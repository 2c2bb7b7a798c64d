"""Stages a clip in a worker process: decode, find the face, cut it out.

The result has the same shape whatever the size of the frames, so that clips of
all databases go through one compiled program. This module imports no JAX, which
would cost every worker process seconds and memory.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import hashlib

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax import limits
from mejax.corpora import decode
from mejax.corpora.clip import Clip
from mejax.motion import faces

# Number of frames from onset to apex in which the face is searched.
FACE_FRAMES = 3
# Largest number of frames among which an apex is spotted: five seconds at 100
# frames per second, many times the longest micro-expression.
LONGEST = 512
# Whole frames in memory at once. A patch is much smaller than its frame, so
# that even the longest clip fits once it is cut.
AT_ONCE = 64
TRUTHS = ('true_flow', 'expression_flow')


@dataclasses.dataclass(frozen=True)
class Plan:
  """The part of a recipe that a worker needs, without importing `recipe`.

  Attributes:
    size, neighbours, faces: as in `Recipe`.
    whole: whether all frames are staged, because the apex must be spotted.
  """

  size: int
  neighbours: int
  faces: str
  whole: bool


@dataclasses.dataclass(frozen=True)
class Staged:
  """A clip's frames, cut to one shape, and where the face lies in them.

  Attributes:
    patches: the parts of the frames around the face.
    matrix: from places in the aligned face to places in a patch.
    landmarks: five points in the aligned face.
    numbers: frame number of each patch.
    remarks: oddities of the face.
    truth: true motion of a rendered clip in the aligned face, by name.
  """

  patches: UInt8[np.ndarray, 't p p 3']
  matrix: Float[np.ndarray, '2 3']
  landmarks: Float[np.ndarray, '5 2']
  numbers: tuple[int, ...]
  remarks: tuple[str, ...]
  truth: dict[str, np.ndarray]


def kept_numbers(clip: Clip, apex: int, *, neighbours: int) -> list[int]:
  """Returns the numbers of the frames that an example keeps.

  They are the onset and `neighbours` frames after it, then `neighbours` frames
  on each side of the apex with the apex between them. Beyond the first and the
  last frame of the clip, that frame repeats.
  """
  numbers = clip.frame_numbers
  onset, top = numbers.index(clip.onset), numbers.index(apex)
  wanted = [
    *range(onset, onset + neighbours + 1),
    *range(top - neighbours, top + neighbours + 1),
  ]
  return [numbers[min(max(i, 0), len(numbers) - 1)] for i in wanted]


def shown_numbers(clip: Clip, plan: Plan) -> list[int]:
  """Returns the numbers of the frames to stage: all of them, or those kept.

  Raises:
    ValueError: there are more frames than a micro-expression can have.
  """
  if not plan.whole:
    return kept_numbers(clip, clip.apex, neighbours=plan.neighbours)
  shown = [n for n in clip.frame_numbers if clip.onset <= n <= clip.offset]
  if len(shown) > LONGEST:
    raise ValueError(
      f'its apex is to be spotted among {len(shown)} frames; expected at most '
      f'{LONGEST} from onset to offset: label onset and offset, or take the '
      'middle frame with --apex midpoint'
    )
  return shown


def face_numbers(clip: Clip) -> list[int]:
  """Returns the numbers of the frames in which the face is searched."""
  first, last = (clip.frame_numbers.index(n) for n in (clip.onset, clip.apex))
  between = np.linspace(first, last, FACE_FRAMES).round().astype(int)
  return [clip.frame_numbers[i] for i in dict.fromkeys(between.tolist())]


def digest(clip: Clip, plan: Plan) -> str:
  """Returns a digest of everything in a clip that decides its example.

  It covers the labels and every byte of the files that are read. The plan
  enters only by its choice of files. The caller adds the recipe to the key of
  the clip, so that a change of either makes the clip again.

  Raises:
    OSError: a file cannot be read.
    ValueError: a frame is missing.
  """
  found = hashlib.sha256()
  about = (clip.identity, clip.onset, clip.apex, clip.offset, clip.fps)
  about += (clip.landmarks, clip.frame_numbers, clip.apex_source)
  found.update(repr(about).encode())
  read = {*face_numbers(clip), *shown_numbers(clip, plan)}
  for piece in decode.raw(clip, sorted(read)):
    found.update(piece)
  if clip.truth is not None:
    found.update(clip.truth.read_bytes())
  return found.hexdigest()


def stage(clip: Clip, plan: Plan) -> Staged:
  """Decodes a clip and cuts out the face.

  Raises:
    OSError: a file cannot be read.
    ValueError: a frame is damaged, frames differ in size, or no face is found.
  """
  shown = shown_numbers(clip, plan)
  looked_at = face_numbers(clip)
  images = dict(zip(looked_at, decode.decode(clip, looked_at), strict=True))
  points, remarks = face_points(clip, list(images.values()), plan)
  if plan.faces == 'none':
    # The whole frame is the aligned face, only in another size.
    height, width = images[clip.onset].shape[:2]
    shrink = np.array([width, height]) / plan.size
    # Positions count from the centre of the first pixel, hence the half.
    matrix = np.column_stack([np.diag(shrink), (shrink - 1) / 2])
  else:
    matrix = faces.alignment(points, size=plan.size)
  patches, inside = {}, matrix
  # Frames that repeat at the ends of a clip are decoded once.
  unique = list(dict.fromkeys(shown))
  for start in range(0, len(unique), AT_ONCE):
    part = unique[start : start + AT_ONCE]
    unread = [n for n in part if n not in images]
    images.update(zip(unread, decode.decode(clip, unread), strict=True))
    _check_sizes({n: images[n] for n in (looked_at[0], *part)})
    cut, inside = _cut([images[n] for n in part], matrix, plan)
    patches.update(zip(part, cut, strict=True))
    # The frames in which the face was searched stay: a later part may use them.
    for n in unread:
      del images[n]
  return Staged(
    patches=np.stack([patches[n] for n in shown]),
    matrix=np.asarray(inside, np.float32),
    landmarks=_undo(matrix, points).astype(np.float32),
    numbers=tuple(shown),
    remarks=remarks,
    truth=_truth(clip, np.asarray(matrix, np.float64), plan.size),
  )


def _check_sizes(images: dict[int, np.ndarray]) -> None:
  (first, (height, width, _)), *others = (
    (number, image.shape) for number, image in images.items()
  )
  for number, (h, w, _) in others:
    if (h, w) != (height, width):
      raise ValueError(
        f'frame {number} has {w}x{h} pixels, frame {first} has '
        f'{width}x{height}; expected one size in a clip'
      )


def face_points(
  clip: Clip, images: Sequence[np.ndarray], plan: Plan
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Returns the five points of a clip's face, and remarks on them.

  Raises:
    ValueError: no face is found, or the corpus gives no points.
  """
  if plan.faces == 'given':
    if not clip.landmarks:
      raise ValueError(
        f'{clip.corpus} gives no face points; let them be found: --faces mesh'
      )
    return np.asarray(clip.landmarks, np.float32), ()
  detector = faces.detect if plan.faces == 'yunet' else faces.detect_dense
  try:
    located = faces.locate(images, detector=detector)
  except faces.NoFace:
    if plan.faces != 'none':
      raise
    height, width = images[0].shape[:2]
    points = faces.CANONICAL * np.array([width, height]) - 0.5
    return points, ('no face found: its points are those of an average face',)
  return located.points, located.remarks


def _cut(
  images: Sequence[np.ndarray], matrix: np.ndarray, plan: Plan
) -> tuple[UInt8[np.ndarray, 't p p 3'], Float[np.ndarray, '2 3']]:
  """Returns patches of one size, and the matrix from aligned face to patch."""
  if plan.faces != 'none':
    return faces.cut(images, matrix, size=plan.size)
  # Resized to the final size here, so a patch is already the aligned face.
  shrinks = min(images[0].shape[:2]) >= plan.size
  how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
  sides = (plan.size, plan.size)
  resized = [cv2.resize(image, sides, interpolation=how) for image in images]
  return np.stack(resized), np.eye(2, 3)


def _undo(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
  """Returns the places in the aligned face of points of the frame."""
  return np.linalg.solve(matrix[:, :2], (points - matrix[:, 2]).T).T


def _truth(clip: Clip, matrix: np.ndarray, size: int) -> dict[str, np.ndarray]:
  """Returns the true motion from onset to apex in the aligned face.

  The fields are sampled at the places of the aligned face, and their vectors
  are turned and scaled into its coordinates.
  """
  if clip.truth is None:
    return {}
  with limits.arrays(clip.truth) as file:
    fields = {name: file[name].astype(np.float32) for name in TRUTHS}
  y, x = np.mgrid[:size, :size]
  places = np.stack([x, y], -1) @ matrix[:, :2].T + matrix[:, 2]
  places = places.astype(np.float32)
  back = np.linalg.inv(matrix[:, :2]).T.astype(np.float32)
  return {
    name: cv2.remap(
      field,
      places[..., 0],
      places[..., 1],
      cv2.INTER_LINEAR,
      borderMode=cv2.BORDER_REPLICATE,
    )
    @ back
    for name, field in fields.items()
  }
