"""Chooses the frame rate of a recording, and doubts what cannot be."""

from __future__ import annotations

import dataclasses
import math
import re

from mejax.corpora import cells
from mejax.corpora.clip import Clip

# Frames per second that a recording of a face may have: more than _SLOWEST.
_SLOWEST, _FASTEST = 1.0, 10_000.0
# Below this, a micro-expression is over within a few frames.
_COARSE = 10.0
# Share by which the frame rates of sheet and video may differ without a word.
_ALIKE = 0.02
# Seconds from onset to offset, twice those of the longest micro-expression.
_LONGEST = 1.0


def choose(
  text: str, own: float | None, *, source: str = 'in its file'
) -> tuple[float | None, str, tuple[str, ...]]:
  """Returns the frames per second, a fault or '', and remarks.

  Args:
    text: what the sheet says.
    own: what the recording says.
    source: where `own` stands, as a remark says it.
  """
  fps, what = own, f'fps of the recording is {own}'
  if not cells.says_nothing(text):
    plain = cells.visible(text)
    number = re.fullmatch(r'[0-9]{0,6}[.,]?[0-9]{1,12}', plain)
    fps = float(plain.replace(',', '.')) if number else 0.0
    what = f'fps is {cells.described(text)}'
    # In some countries, 1.000 and 1,000 are a thousand.
    group = re.fullmatch(r'([0-9]{1,3})[.,]([0-9]{3})', plain)
    if group and int(group[1] + group[2]) <= _FASTEST:
      return None, f'{what}; expected no sign between thousands', ()
  if fps is None:
    return None, '', ()
  if not _SLOWEST < fps <= _FASTEST:
    return None, (
      f'{what}; expected frames per second, more than {_SLOWEST:g} and at most '
      f'{_FASTEST:g}, in the sheet if the recording has another'
    ), ()  # fmt: skip
  doubts = []
  if own and abs(fps / own - 1) > _ALIKE:
    doubts.append(
      f'has {fps:g} frames per second in the sheet, {own:g} {source}: '
      f'{fps:g} is taken'
    )
  if fps < _COARSE:
    doubts.append(
      f'has {fps:g} frames per second: a micro-expression lasts less than half '
      f'a second, and shows in {math.ceil(fps / 2)} of its frames at most'
    )
  return fps, '', tuple(doubts)


def with_length(clip: Clip, *, is_labelled: bool) -> Clip:
  """Returns the clip; it tells if it is too long for a micro-expression."""
  if clip.problem or not clip.fps:
    return clip
  seconds = (clip.offset - clip.onset) / clip.fps
  if seconds <= _LONGEST:
    return clip
  words = (
    f'lasts {seconds:.1f} s from onset to offset, at {clip.fps:g} frames per '
    'second; a micro-expression lasts less than half a second'
  )
  if is_labelled:
    return dataclasses.replace(clip, remarks=(*clip.remarks, words))
  return dataclasses.replace(clip, notes=(*clip.notes, words))
