"""The clip: one annotated micro-expression, as every reader yields it."""

from __future__ import annotations

import dataclasses
import pathlib

from mejax.corpora.action_units import ActionUnit
from mejax.corpora.which_face import WhichFace

# Stands for a subject or emotion that is not known.
UNKNOWN = 'unknown'
# Where the apex of a clip comes from.
APEX_SOURCES = ('annotated', 'repaired', 'midpoint', 'spotted', 'rendered')


@dataclasses.dataclass(frozen=True)
class Clip:
  """One annotated micro-expression on disk.

  Frame numbers are those of the corpus (the last integer in the file name).
  A clip that cannot be used is yielded too, with the reason in `problem`, so
  that nothing is dropped silently.

  Attributes:
    corpus: database the clip belongs to, e.g. `casme2`.
    subject: subject as the corpus writes it; unique only within `corpus`.
    name: clip name, unique within (`corpus`, `subject`).
    emotion: the corpus's own word for the expression; several are joined by
      `+`.
    frames: image files in time order, onset to offset; empty for a video,
      for ready-made flow, and where only labels were read.
    frame_numbers: the number of each file of `frames`, or of each frame of
      `video`.
    video: video file that holds the frames instead of `frames`; its first
      frame has number 0.
    positions: for a video that has lost frames, the position of each of
      `frame_numbers` among the frames that are left; otherwise empty.
    turn: degrees anticlockwise, 0, 90, 180 or 270, by which `decode` turns
      frames, since the camera was held so.
    onset: number of the first frame of the movement.
    apex: number of the frame of largest movement.
    offset: number of the last frame of the movement.
    fps: frames per second of the recording.
    facs: action units as written in the sheet, e.g. `4+L12`.
    action_units: the action units of `facs`, each once, sorted.
    apex_source: one of `APEX_SOURCES`, or '' if it is not known.
    flow_file: ready-made flow image, for corpora that ship no frames.
    landmarks: (x, y) in pixels, as `decode` returns frames, of left eye, right
      eye, nose, left and right mouth corner ("left" is left in the image).
    which_face: which of several faces is that of the subject, as
      `which_face.parse` returns it; '' if the clip does not say.
    crop_points: the same five points as the released HTNet pipeline cut them.
    truth: npz file with the true motion of a rendered clip.
    problem: why the clip cannot be used; '' if it can.
    by_choice: whether it could be used, and an option of the reader says so.
    remarks: warnings: sentences on repairs and oddities of a usable clip, at
      which a person should look.
    notes: sentences on choices that are usual.
  """

  corpus: str
  subject: str
  name: str
  emotion: str
  frames: tuple[pathlib.Path, ...] = ()
  frame_numbers: tuple[int, ...] = ()
  video: pathlib.Path | None = None
  positions: tuple[int, ...] = ()
  turn: int = 0
  onset: int | None = None
  apex: int | None = None
  offset: int | None = None
  fps: float | None = None
  facs: str = ''
  action_units: tuple[ActionUnit, ...] = ()
  apex_source: str = ''
  flow_file: pathlib.Path | None = None
  landmarks: tuple[tuple[float, float], ...] = ()
  which_face: WhichFace = ''
  crop_points: tuple[tuple[int, int], ...] = ()
  truth: pathlib.Path | None = None
  problem: str = ''
  by_choice: bool = False
  remarks: tuple[str, ...] = ()
  notes: tuple[str, ...] = ()

  @property
  def identity(self) -> str:
    """`corpus/subject/name`, which identifies a clip in messages and data."""
    return f'{self.corpus}/{self.subject}/{self.name}'
