"""Finds the face of a clip in the frames that its example needs.

The frames from onset to apex come first, then the whole clip. In the end onset
and apex themselves must show the face: a clip has frames before a person comes,
and titles after.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import math

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.corpora.clip import Clip
from mejax.corpora.which_face import LARGEST
from mejax.corpora.which_face import WhichFace
from mejax.corpora.which_face import written
from mejax.motion import faces
from mejax.motion import scenes

# Number of frames from onset to apex in which the face is searched, and of
# those in the whole clip if none of the first shows it.
_FEW, _MANY = 3, 32
# Frames in memory at once.
_AT_ONCE = 8
# Side of aligned faces that are compared, pixels seen around them, and
# difference (see `scenes`) from which the scene is another: two photographs
# differ by 0.24, a head that moves by 0.01.
_SIDE, _MARGIN, _OTHER = 16, 6, 0.15

Images = Mapping[int, UInt8[np.ndarray, 'h w 3']]
Read = Callable[[Sequence[int]], Images]
Locate = Callable[[Sequence[UInt8[np.ndarray, 'h w 3']]], faces.Located]


@dataclasses.dataclass(frozen=True)
class Face:
  """The face of a clip.

  Attributes:
    points: the five points in the frames.
    seen: the points in each frame that was found to show the face, by frame
      number; None if the points are given, or need not be those of a face.
    remarks, notes: oddities and usual choices, as in `Clip`.
  """

  points: Float[np.ndarray, '5 2']
  seen: dict[int, Float[np.ndarray, '5 2']] | None
  remarks: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()


def numbers(clip: Clip) -> list[int]:
  """Returns the numbers of the frames in which the face is searched first."""
  first, last = (clip.frame_numbers.index(n) for n in (clip.onset, clip.apex))
  return _spread(clip.frame_numbers[first : last + 1], _FEW)


def find(
  clip: Clip,
  images: Images,
  read: Read,
  how: str,
  which: WhichFace = LARGEST,
) -> Face:
  """Finds the face of a clip.

  Args:
    clip: the clip.
    images: the frames of `numbers(clip)`.
    read: returns further frames.
    how: where points come from, a name of `recipe.FACES`.
    which: which of several faces is taken, as `faces.locate` takes it.

  Raises:
    ValueError: no face is found, the corpus gives no points, or there is
      nothing to choose from.
  """
  if how in ('given', 'none') and which != LARGEST:
    raise ValueError(
      f'which_face chooses {written(which)}, but --faces {how} looks for no '
      'face'
    )
  if how == 'given':
    if not clip.landmarks:
      raise ValueError(
        f'{clip.corpus} gives no face points; let them be found: --faces mesh'
      )
    return Face(np.asarray(clip.landmarks, np.float32), None)
  detector = faces.detect if how == 'yunet' else faces.detect_dense
  locate = functools.partial(faces.locate, detector=detector, which=which)
  at = list(images)
  try:
    located = locate(list(images.values()))
  except faces.NoFace as error:
    if how == 'none':
      height, width = images[clip.onset].shape[:2]
      points = faces.CANONICAL * np.array([width, height]) - 0.5
      return Face(
        points,
        None,
        ('no face found: its points are those of an average face',),
      )
    others = _spread([n for n in clip.frame_numbers if n not in images], _MANY)
    located, at = _search_everywhere(others, read, locate)
    if located is None:
      also = f' {len(others)} further frames of the clip show none either.'
      raise faces.NoFace(f'{error}{also if others else ""}') from None
  seen = {at[i]: points for i, points in located.seen.items()}
  words = located.notes
  if located.turn:
    words += (
      f'the face stands upright once the frames are turned by {located.turn} '
      'degrees anticlockwise',
    )
  if how == 'none':
    return Face(located.points, None, (*located.remarks, *words))
  return Face(located.points, seen, located.remarks, words)


def _search_everywhere(
  others: Sequence[int], read: Read, locate: Locate
) -> tuple[faces.Located | None, list[int]]:
  """Searches further frames, piece by piece, until some show a face.

  Returns:
    The face, or None, and the numbers of the frames of the piece that shows it.
  """
  for start in range(0, len(others), _AT_ONCE):
    piece = read(others[start : start + _AT_ONCE])
    try:
      located = locate(list(piece.values()))
    except faces.NoFace:
      continue
    return located, list(piece)
  return None, []


def check_used(
  clip: Clip, images: Images, face: Face, used: Sequence[int]
) -> None:
  """Refuses a clip whose onset or apex does not show the face.

  Args:
    clip: the clip.
    images: frames by number, those of `used` among them.
    face: what `find` returned.
    used: numbers of the frames that have to show it.

  Raises:
    ValueError: one of these frames shows no face, or another person.
  """
  if face.seen is None:
    return
  for number in used:
    if number not in face.seen and not faces.is_face_at(
      images[number], face.points
    ):
      raise ValueError(faceless(clip, number, face.seen))
  if len(used) < 2 or not face.seen.keys() >= set(used):
    return
  aligned = [_with_surroundings(images[n], face.seen[n]) for n in used]
  if scenes.difference(*aligned) > _OTHER:
    onset, apex = used
    turn = scenes.find_turn(images[onset], images[apex])
    how = f'picture is turned by {turn} degrees' if turn else 'scene changes'
    raise ValueError(
      f'onset {onset} and apex {apex} do not show the same face: the {how} '
      'between them'
    )


def _with_surroundings(
  image: UInt8[np.ndarray, 'h w 3'], points: Float[np.ndarray, '5 2']
) -> UInt8[np.ndarray, 's s 3']:
  """Returns the aligned face and what lies around it."""
  matrix = faces.alignment(points, size=_SIDE).astype(np.float64)
  matrix[:, 2] -= _MARGIN * matrix[:, :2].sum(1)
  height, width = image.shape[:2]
  # Pixels of the frame for each of the result. A whole frame is reduced faster
  # than `faces.cut` repeats its edges far around it.
  reduce = max(math.hypot(*matrix[:, 0]), 1.0)
  sides = (max(round(width / reduce), 1), max(round(height / reduce), 1))
  small = cv2.resize(image, sides, interpolation=cv2.INTER_AREA)
  zoom = np.array(sides) / (width, height)
  inner = matrix * zoom[:, None]
  inner[:, 2] += (zoom - 1) / 2
  return cv2.warpAffine(
    small,
    inner,
    (_SIDE + 2 * _MARGIN,) * 2,
    flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    borderMode=cv2.BORDER_REPLICATE,
  )


def faceless(clip: Clip, number: int, seen: Collection[int]) -> str:
  """Returns why a clip cannot be used of which a frame shows no face."""
  which = 'onset' if number == clip.onset else 'apex'
  some = ', '.join(map(str, sorted(seen)[:5])) + ', ...' * (len(seen) > 5)
  frames = 'frame' if len(seen) == 1 else 'frames'
  return (
    f'the {which}, frame {number}, does not show the face that is seen in '
    f'{frames} {some}: label onset, apex and offset where it is seen'
  )


def _spread(numbers: Sequence[int], count: int) -> list[int]:
  """Returns at most that many of some numbers, evenly, with both ends."""
  if not numbers:
    return []
  at = np.linspace(0, len(numbers) - 1, count).round().astype(int)
  return [numbers[i] for i in dict.fromkeys(at.tolist())]
