"""Stages a clip in a worker process: decode, find the face, cut it out.

The result has the same shape whatever the size of the frames, so that clips of
all databases go through one compiled program. This module imports no JAX, which
would cost every worker process seconds and memory.
"""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import hashlib
import pathlib

import cv2
from jaxtyping import Bool
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax import files
from mejax import limits
from mejax.corpora import decode
from mejax.corpora.clip import Clip
from mejax.corpora.which_face import LARGEST
from mejax.corpora.which_face import WhichFace
from mejax.datasets import face_search
from mejax.motion import alignment
from mejax.motion import faces
from mejax.motion import scenes

# Largest number of frames among which an apex is spotted: five seconds at 100
# frames per second, many times the longest micro-expression.
LONGEST = 512
# Whole frames in memory at once. A patch is much smaller than its frame, so
# that even the longest clip fits once it is cut.
AT_ONCE = 64
TRUTHS = ('true_flow', 'expression_flow')
_AGAIN = 'Delete the folder of the corpus and render it again.'


@dataclasses.dataclass(frozen=True)
class Plan:
  """The part of a recipe that a worker needs, without importing `recipe`.

  Attributes:
    size, neighbours, faces, which_face: as in `Recipe`.
    whole: whether all frames are staged, because the apex must be spotted.
  """

  size: int
  neighbours: int
  faces: str
  whole: bool
  which_face: WhichFace = LARGEST


@dataclasses.dataclass(frozen=True)
class Staged:
  """A clip's frames, cut to one shape, and where the face lies in them.

  Attributes:
    patches: the parts of the frames around the face.
    matrix: from places in the aligned face to places in a patch.
    landmarks: five points in the aligned face.
    eyes: pixels between the eyes in a frame.
    covered: which pixels of the aligned face come from inside the frame.
    numbers: frame number of each patch.
    beside: the patch of the frame after the onset, which shows how much frames
      differ in which hardly anything moves; None if that is the apex.
    seen: numbers of the frames in which the face was found; None if the recipe
      does not ask whether it is there.
    remarks, notes: oddities of the face and usual choices, as in `Clip`.
    pixels: digest of each decoded frame that is not of one colour.
    truth: true motion of a rendered clip in the aligned face, by name.
  """

  patches: UInt8[np.ndarray, 't p p 3']
  matrix: Float[np.ndarray, '2 3']
  landmarks: Float[np.ndarray, '5 2']
  eyes: float
  covered: Bool[np.ndarray, 's s']
  numbers: tuple[int, ...]
  beside: UInt8[np.ndarray, 'p p 3'] | None
  seen: tuple[int, ...] | None
  remarks: tuple[str, ...]
  notes: tuple[str, ...]
  pixels: tuple[str, ...]
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


def digest(clip: Clip, plan: Plan) -> str:
  """Returns a digest of everything in a clip that decides its example.

  It covers the labels and every byte of the files that are read, but not the
  frames in which a face is searched that none of these shows, nor the one that
  decides only a remark. The plan enters
  only by its choice of files. The caller adds the recipe to the key of
  the clip, so that a change of either makes the clip again.

  Raises:
    OSError: a file cannot be read.
    ValueError: a frame is missing.
  """
  found = hashlib.sha256()
  about = (clip.identity, clip.onset, clip.apex, clip.offset, clip.fps)
  about += (clip.landmarks, clip.frame_numbers, clip.apex_source)
  if clip.which_face:  # Without it the digest is that of older datasets.
    about += (clip.which_face,)
  if clip.turn:
    about += (clip.turn,)
  found.update(repr(about).encode())
  read = {*face_search.numbers(clip), *shown_numbers(clip, plan)}
  for piece in decode.raw(clip, sorted(read)):
    found.update(piece)
  if clip.truth is not None:
    found.update(limits.read_bytes(clip.truth))
  return found.hexdigest()


def stage(clip: Clip, plan: Plan) -> Staged:
  """Decodes a clip and cuts out the face.

  Raises:
    OSError: a file cannot be read.
    ValueError: a frame is damaged, frames differ in size, no face is found, the
      onset or a known apex shows none, or the scene changes.
  """
  shown = shown_numbers(clip, plan)
  depth = decode.find_depth(clip)
  pixels = {}

  def read(numbers: Sequence[int]) -> dict[int, np.ndarray]:
    images = decode.decode(clip, numbers, depth=depth)
    images = dict(zip(numbers, images, strict=True))
    pixels.update({n: _digest_pixels(image) for n, image in images.items()})
    return images

  looked_at = face_search.numbers(clip)
  images = read(looked_at)
  which = clip.which_face or plan.which_face
  face = face_search.find(clip, images, read, plan.faces, which)
  points = face.points
  used = (clip.onset,) if plan.whole else (clip.onset, clip.apex)
  face_search.check_used(clip, images, face, used)
  if plan.faces == 'none':
    # The whole frame is the aligned face, only in another size.
    height, width = images[clip.onset].shape[:2]
    shrink = np.array([width, height]) / plan.size
    # Positions count from the centre of the first pixel, hence the half.
    matrix = np.column_stack([np.diag(shrink), (shrink - 1) / 2])
  else:
    matrix = faces.alignment(points, size=plan.size)
  frame = images[clip.onset].shape[:2]
  told = (depth and depth.note, decode.mirroring(clip), decode.stretching(clip))
  notes = filter(None, told)
  patches, inside = {}, matrix
  # Frames that repeat at the ends of a clip are decoded once.
  beside = _beside(clip, plan)
  if not plan.whole:
    # It decides a remark only, so that a damaged one costs no clip.
    wanted = dict.fromkeys([*shown, *beside])
    try:
      images |= read([n for n in wanted if n not in images])
    except ValueError:
      beside = []
    beside = [n for n in beside if images[n].shape[:2] == frame]
  unique = list(dict.fromkeys([*shown, *beside]))
  for start in range(0, len(unique), AT_ONCE):
    part = unique[start : start + AT_ONCE]
    unread = [n for n in part if n not in images]
    images |= read(unread)
    _check_sizes({n: images[n] for n in (looked_at[0], *part)})
    cut, inside = _cut([images[n] for n in part], matrix, plan)
    patches.update(zip(part, cut, strict=True))
    # The frames in which the face was searched stay: a later part may use them.
    for n in unread:
      del images[n]
  if plan.whole:
    _check_scene(clip, {n: patches[n] for n in sorted(unique)})
  return Staged(
    patches=np.stack([patches[n] for n in shown]),
    matrix=np.asarray(inside, np.float32),
    landmarks=_undo(matrix, points).astype(np.float32),
    eyes=float(np.linalg.norm(points[1] - points[0])),
    covered=alignment.covered(matrix, size=plan.size, frame=frame),
    numbers=tuple(shown),
    beside=patches[beside[0]] if beside else None,
    seen=None if face.seen is None else tuple(face.seen),
    remarks=face.remarks,
    notes=(*face.notes, *notes),
    pixels=tuple(sorted(set(pixels.values()) - {''})),
    truth=_truth(clip, np.asarray(matrix, np.float64), plan.size),
  )


def _digest_pixels(image: np.ndarray) -> str:
  """Returns a digest of a picture; '' if it is of one colour."""
  if (image == image[:1, :1]).all():
    return ''
  content = np.ascontiguousarray(image).tobytes()
  return hashlib.blake2b(content, digest_size=16).hexdigest()


def _beside(clip: Clip, plan: Plan) -> list[int]:
  """Returns the number of the frame after the onset, unless it is the apex."""
  after = [n for n in clip.frame_numbers if n > clip.onset][:1]
  return after if plan.whole or clip.apex not in after else []


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


def _check_scene(clip: Clip, patches: dict[int, np.ndarray]) -> None:
  """Refuses a clip whose scene changes."""
  images = list(patches.values())
  cut = scenes.find_cut(images)
  if cut is not None:
    if turn := scenes.find_turn(images[cut - 1], images[cut]):
      raise ValueError(
        f'the picture is turned by {turn} degrees at frame '
        f'{list(patches)[cut]}, between onset {clip.onset} and offset '
        f'{clip.offset}: turn its frames back, or label onset and offset on '
        'one side of it'
      )
    raise ValueError(
      f'the scene changes at frame {list(patches)[cut]}, between onset '
      f'{clip.onset} and offset {clip.offset}: label onset and offset in one '
      'scene'
    )


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
  with files.reading(pathlib.Path(clip.truth.name), hint=_AGAIN):
    arrays = files.arrays(clip.truth, TRUTHS)
    fields = {name: arrays[name].astype(np.float32) for name in TRUTHS}
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
