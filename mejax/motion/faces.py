"""Finds the face of a clip: detection, five points, alignment.

Points are (x, y) in pixels, whole numbers at pixel centres, in the order left
eye, right eye, nose, left and right mouth corner; left is left in the image.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import math

from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.motion import upright
from mejax.motion.alignment import CANONICAL as CANONICAL
from mejax.motion.alignment import alignment as alignment
from mejax.motion.alignment import cut as cut
from mejax.motion.alignment import patch_side as patch_side
from mejax.motion.detection import SCALES
from mejax.motion.detection import DetectedFace as DetectedFace
from mejax.motion.detection import detect as detect
from mejax.motion.detection import detect_dense as detect_dense
from mejax.motion.detection import holds
from mejax.motion.detection import is_face_at as is_face_at

# Pixels between the eyes. In a smaller face a micro-expression moves by less
# than a flow can find.
TINY = 20.0
# In sizes of the face (see `_apart`): up to the first step between frames a
# face is the same person's; a movement above the second deserves a remark.
_SAME_PERSON, _STEADY = 1.0, 0.25
# Share of a face's box that has to lie in the frame.
_VISIBLE = 0.6


class NoFace(ValueError):
  """No frame of a clip shows a face."""


@dataclasses.dataclass(frozen=True)
class Located:
  """The face of a clip.

  Attributes:
    points: the five points.
    remarks: circumstances that make the points less reliable.
    notes: which face was taken, if the caller chose.
    seen: the points in each frame that shows the face, by the frame's position.
    turn: degrees anticlockwise that would put the face upright: 0, 90, 180 or
      270; smaller tilts do not count.
  """

  points: Float[np.ndarray, '5 2']
  remarks: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()
  seen: Mapping[int, Float[np.ndarray, '5 2']] = dataclasses.field(
    default_factory=dict
  )
  turn: int = 0


Detector = Callable[[UInt8[np.ndarray, 'h w 3']], list[DetectedFace]]
# `largest`, `left`, `right`, or a place (x, y) in pixels.
Which = str | tuple[float | int, float | int]


def locate(
  images: Sequence[UInt8[np.ndarray, 'h w 3']],
  *,
  detector: Detector = detect,
  which: Which = 'largest',
) -> Located:
  """Finds the five points of the one person of a clip, for a single alignment.

  The points are the median over the frames that show the face. Among several
  people the largest and most central one is taken, unless `which` chooses
  another; it is the same in all frames. A face that `detect` or `detect_dense`
  doubts or does not find is searched in frames turned by 90, 180 and 270
  degrees too; see `upright`.

  The error of the alignment was measured on two photographs that shift by less
  than a pixel, with noise of 4 grey levels, in pixels of 128 (root mean square
  over the square). With `detect` it is 1.1 to 1.4 from one frame and 0.6 to 0.9
  from five; with `detect_dense` 0.3 to 0.4 from one and 0.2 from five.

  Args:
    images: RGB frames of the clip, all of one size; about five are enough.
    detector: image to faces; `detect`, `detect_dense`, or a function like them.
    which: `largest`; `left` or `right`, the outermost face; or (x, y), a place
      in the face. If it is not `largest`, faces of all sizes are searched.

  Returns:
    The points, and remarks on several faces, frames without the face, a face
    that leaves the frame, a head that moves, and a tiny face. Remarks count
    the frames from 1, in the order given.

  Raises:
    NoFace: no frame shows a face, or none at the place.
    ValueError: there is no frame, or the frames differ in size.
  """
  sizes = sorted({image.shape[:2] for image in images})
  if len(sizes) != 1:
    raise ValueError(
      f'frames have the sizes {sizes} (rows, columns); expected one size'
    )
  height, width = sizes[0]
  if detector in (detect, detect_dense):
    found, turn = upright.search(images, searching(detector, which))
  else:
    found, turn = [detector(image) for image in images], 0
  if not any(found):
    raise NoFace(
      f'no face in any of {len(images)} frames of {width}x{height} pixels'
      f'{_tried(detector)}'
    )
  people = _follow(found)
  person = _choose(people, which, width, height)
  points = np.stack([face.points for face in person.values()])
  middle = np.median(points, axis=0).astype(np.float32)
  return Located(
    middle,
    tuple(_remarks(found, person, which, middle, (width, height))),
    _notes(found, person, which),
    {frame: face.points for frame, face in person.items()},
    turn,
  )


def searching(detector: Detector, which: Which) -> Detector:
  """Returns the detector as it searches for the face that is meant.

  Ours search at all sizes unless it is the largest.
  """
  if which == 'largest' or detector not in (detect, detect_dense):
    return detector
  return functools.partial(detector, thorough=True)


def _tried(detector: Detector) -> str:
  """Returns how faces were searched, and what a user can look at."""
  if detector not in (detect, detect_dense):
    return '; the given detector found none'
  return (
    f', searched in {len(SCALES)} sizes, upright and turned: are both eyes and '
    'the mouth in the frame, uncovered and lit?'
  )


def _follow(
  found: Sequence[Sequence[DetectedFace]],
) -> list[dict[int, DetectedFace]]:
  """Returns the people: the face of each in every frame that shows it."""
  people: list[dict[int, DetectedFace]] = []
  for frame, faces in enumerate(found):
    for face in faces:
      for person in people:
        last = person[max(person)]
        near = _SAME_PERSON * _apart(last.points)
        step = face.points.mean(0) - last.points.mean(0)
        if frame not in person and math.hypot(*step) < near:
          person[frame] = face
          break
      else:
        people.append({frame: face})
  return people


def _choose(
  people: Sequence[dict[int, DetectedFace]],
  which: Which,
  width: int,
  height: int,
) -> dict[int, DetectedFace]:
  """Returns one of several people.

  Raises:
    NoFace: none is at the place that is asked for.
  """
  # A sum or mean over frames decides, not one frame: somebody who passes close
  # to the camera for a moment does not take the place of the person filmed.
  if which == 'largest':
    return max(
      people,
      key=lambda person: sum(
        _plausibility(face, width, height) for face in person.values()
      ),
    )
  there = meant(people, which)
  if not there:
    faces = '; '.join(_place(next(iter(p.values()))) for p in people[:4])
    raise NoFace(
      f'no face at ({which[0]:g}, {which[1]:g}) of {width}x{height} pixels, as '
      f'which_face asks; faces: {faces}'
    )
  return there[0]


def meant(
  people: Sequence[dict[int, DetectedFace]], which: Which
) -> list[dict[int, DetectedFace]]:
  """Returns those who may be meant by left, right or a place, best first.

  Args:
    people: the face of each in every frame that shows it.
    which: as in `locate`, but not `largest`.
  """

  def middle(person):
    return np.mean([face.points.mean(0) for face in person.values()], axis=0)

  if isinstance(which, str):
    sign = 1 if which == 'left' else -1
    return sorted(people, key=lambda person: sign * middle(person)[0])
  place = np.asarray(which, np.float32)
  there = [
    person
    for person in people
    if any(holds(face.box, place) for face in person.values())
  ]
  return sorted(there, key=lambda one: math.hypot(*(middle(one) - place)))


def _plausibility(face: DetectedFace, width: int, height: int) -> float:
  """Scores a face: a recording shows its subject large and in the middle."""
  left, top, across, down = face.box
  x = (left + across / 2) / width - 0.5
  y = (top + down / 2) / height - 0.5
  return math.sqrt(max(across * down, 0)) * (1 - min(math.hypot(x, y), 0.9))


def _apart(points: Float[np.ndarray, '5 2']) -> float:
  """Returns the size of a face in pixels, which also holds in profile."""
  eyes, mouth = points[:2].mean(0), points[3:].mean(0)
  return max(math.hypot(*(points[1] - points[0])), math.hypot(*(eyes - mouth)))


def _remarks(
  found: Sequence[Sequence[DetectedFace]],
  person: dict[int, DetectedFace],
  which: Which,
  points: Float[np.ndarray, '5 2'],
  size: tuple[int, int],
) -> list[str]:
  remarks = []
  most = max(map(len, found))
  if most > 1 and which == 'largest':
    remarks.append(_of_several(found, person))
  if most == 1 and which in ('left', 'right'):
    remarks.append(
      f'one face in its frames, {_place(next(iter(person.values())))}, where '
      f'which_face asks for the one on the {which}'
    )
  missing = [n for n in range(len(found)) if n not in person]
  if missing:
    remarks.append(f'no such face in {_frames(missing, len(found))}')
  outside = [n for n, face in person.items() if not _inside(face, *size)]
  if outside:
    remarks.append(
      f'the face leaves the frame in {_frames(outside, len(found))}'
    )
  places = np.stack([face.points.mean(0) for face in person.values()])
  moved = np.linalg.norm(places - points.mean(0), axis=1).max()
  if moved > _STEADY * _apart(points):
    remarks.append(
      f'the head moves by {moved:.1f} pixels, which one alignment of the clip '
      'cannot remove'
    )
  eyes = math.hypot(*(points[1] - points[0]))
  if eyes < TINY:
    remarks.append(
      f'the face is tiny: its eyes are {eyes:.1f} pixels apart, small motion '
      'is lost'
    )
  return remarks


def _of_several(
  found: Sequence[Sequence[DetectedFace]], person: dict[int, DetectedFace]
) -> str:
  """Says which of several faces was taken, and how to take another."""
  number, taken, others = _in_fullest(found, person)
  other = max(others, key=lambda face: face.box[2] * face.box[3])
  x, y = np.rint(other.points.mean(0)).astype(int)
  return (
    f'{number} faces in a frame; the largest and most central one was taken, '
    f'{_place(taken)}. Another is {_place(other)}: to take it, prepare with '
    f'--which_face {x},{y}, or write "{x} {y}" in a column which_face of your '
    'label sheet'
  )


def _notes(
  found: Sequence[Sequence[DetectedFace]],
  person: dict[int, DetectedFace],
  which: Which,
) -> tuple[str, ...]:
  """Says which face was taken because the caller chose it."""
  if which == 'largest':
    return ()
  number, taken, _ = _in_fullest(found, person)
  words = f'{number} faces' if number > 1 else 'one face'
  return (f'{words} in a frame; which_face chooses {_place(taken)}',)


def _in_fullest(
  found: Sequence[Sequence[DetectedFace]], person: dict[int, DetectedFace]
) -> tuple[int, DetectedFace, list[DetectedFace]]:
  """Returns the most faces in a frame, the person's, and the others there."""
  frame = max(range(len(found)), key=lambda n: len(found[n]))
  taken = person.get(frame) or next(iter(person.values()))
  others = [face for face in found[frame] if face is not taken]
  return len(found[frame]), taken, others


def _place(face: DetectedFace) -> str:
  x, y = face.points.mean(0)
  _, _, across, down = face.box
  return f'{across:.0f}x{down:.0f} pixels around ({x:.0f}, {y:.0f})'


def _inside(face: DetectedFace, width: int, height: int) -> bool:
  """Returns whether the frame holds all points and most of the box."""
  left, top, across, down = face.box
  seen_across = min(left + across, width) - max(left, 0)
  seen_down = min(top + down, height) - max(top, 0)
  seen = max(seen_across, 0) * max(seen_down, 0) >= _VISIBLE * across * down
  limit = np.array([width, height]) - 0.5
  return seen and bool(((face.points > -0.5) & (face.points < limit)).all())


def _frames(numbers: Sequence[int], total: int) -> str:
  shown = ', '.join(str(n + 1) for n in numbers[:8])
  more = ' ...' if len(numbers) > 8 else ''
  return f'{len(numbers)} of {total} frames ({shown}{more})'
