"""How frames become examples: every choice that affects the numbers."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import functools
import hashlib
import inspect
import math
import pathlib
from typing import Any

from mejax import limits
from mejax.corpora import which_face
from mejax.motion import flow as motion_flow
from mejax.motion import light
from mejax.motion import magnet
from mejax.motion import magnify as motion_magnify

# Where the five points of a face come from.
FACES = {
  'mesh': 'found by YuNet, points by FaceMesh; aligned once a clip',
  'yunet': 'found by YuNet, its points; aligned once a clip',
  'given': "the corpus's own points; aligned once a clip",
  'none': 'frames are cut and aligned already, and only resized',
}
# Those of them that choose among the faces of a frame.
SEARCHED = ('mesh', 'yunet')
APEXES = {
  'annotated': "the sheet's apex; where it has none, the apex is spotted",
  'spotted': 'spotted in every clip, whatever the sheet says',
  'midpoint': "the sheet's apex; where it has none, the middle frame",
}
FLOWS: dict[str, Callable] = {
  'tvl1': motion_flow.tvl1,
  # As published, and as in datasets of mejax 0.2: light is taken for motion.
  'tvl1_plain': functools.partial(motion_flow.tvl1, light=False),
  'farneback': motion_flow.farneback,
  'dis': motion_flow.dis,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
  """How the frames of a clip become an example.

  Attributes:
    levels: amplification factors; 1 leaves the motion as it is.
    magnify: how motion is amplified, a name of `motion.magnify.MAGNIFY`.
    weights: file of weights for `learned`, from `motion.magnet_training` or
      from PyTorch (`.pth`, `.tar`).
    flow: how motion is measured, a name of `FLOWS`.
    strain: definition of strain, a name of `motion.flow.STRAIN_DEFINITIONS`.
    size: side of the aligned face in pixels.
    neighbours: number of frames that are kept after the onset, and on each side
      of the apex, so that training can draw other pairs.
    faces: where the face points come from, a name of `FACES`.
    which_face: which of several faces is taken: `largest`, `left`, `right`, or
      a place (x, y) in it, in pixels of the frames; a clip may say it itself.
    apex: where the apex comes from, a name of `APEXES`.
    remove_head_motion: whether the motion of the whole face is removed, from
      the frames before they are amplified and from the flow.
    mask_eyelids: whether flow and strain are 0 around the eyes.

  Raises:
    ValueError: a name is unknown, a number is out of range, or weights are
      missing or have no use.
  """

  levels: tuple[float, ...] = (1.0,)
  magnify: str = 'flow'
  weights: pathlib.Path | None = None
  flow: str = 'tvl1'
  strain: str = 'shreve'
  size: int = 128
  neighbours: int = 0
  faces: str = 'mesh'
  which_face: which_face.WhichFace = which_face.LARGEST
  apex: str = 'annotated'
  remove_head_motion: bool = False
  mask_eyelids: bool = False

  def __post_init__(self):
    for field, table in (
      ('magnify', motion_magnify.MAGNIFY),
      ('flow', FLOWS),
      ('strain', motion_flow.STRAIN_DEFINITIONS),
      ('faces', FACES),
      ('apex', APEXES),
    ):
      if getattr(self, field) not in table:
        raise ValueError(
          f'unknown {field} {getattr(self, field)!r}; known: {", ".join(table)}'
        )
    if isinstance(self.which_face, str):
      # A frozen dataclass sets its own fields in no other way.
      which = which_face.parse(self.which_face)
      object.__setattr__(self, 'which_face', which)
    if self.which_face != which_face.LARGEST and self.faces not in SEARCHED:
      raise ValueError(
        f'which_face chooses among faces that are found, and faces='
        f'{self.faces!r} finds none; take one of {", ".join(SEARCHED)}'
      )
    if (self.magnify == 'learned') != (self.weights is not None):
      raise ValueError(
        f'magnify is {self.magnify!r} and weights are {self.weights}; '
        '--magnify learned needs --weights FILE, and no other method takes it'
      )
    if self.size < 16 or self.size % 4:
      raise ValueError(
        f'size is {self.size}; expected a multiple of 4, at least 16'
      )
    if self.neighbours < 0:
      raise ValueError(f'neighbours is {self.neighbours}; expected 0 or more')
    if not self.levels or not all(
      math.isfinite(level) and level > 0 for level in self.levels
    ):
      raise ValueError(
        f'levels are {list(self.levels)}; expected factors above 0, as 1,2,4'
      )
    if len(set(self.levels)) < len(self.levels):
      raise ValueError(f'levels are {list(self.levels)}; one occurs twice')

  @property
  def apex_slot(self) -> int:
    """The position of the apex among the frames that are kept of a clip."""
    return 2 * self.neighbours + 1

  @functools.cached_property
  def amplify(self) -> Callable:
    """A function (onset, apex, alpha=) that returns the amplified apex.

    Raises:
      OSError, ValueError: the weights cannot be read.
    """
    method = motion_magnify.MAGNIFY[self.magnify]
    if self.weights is None:
      return method
    is_ours = self.weights.suffix == '.npz'
    read = magnet.load_params if is_ours else magnet.from_torch
    return functools.partial(method, params=read(self.weights))

  def describe(self) -> dict[str, Any]:
    """Returns JSON values that say how the examples were made."""
    return {
      'units': 'pixel',
      'strain': self.strain,
      'flow': {'method': self.flow, **_options_of(FLOWS[self.flow])},
      'levels': list(self.levels),
      'magnify': {
        'method': self.magnify,
        **_options_of(motion_magnify.MAGNIFY[self.magnify]),
        **self._weights_sha256(),
      }
      if set(self.levels) != {1.0}
      else {'method': 'none'},
      'size': self.size,
      'neighbours': self.neighbours,
      'landmark_source': self._landmark_source(),
      'apex': f'{self.apex}: {APEXES[self.apex]}',
      'remove_head_motion': self.remove_head_motion,
      'mask_eyelids': self.mask_eyelids,
    }

  def _landmark_source(self) -> str:
    source = f'{self.faces}: {FACES[self.faces]}'
    if self.which_face == which_face.LARGEST:
      return source
    return f'{source}; of several faces {which_face.written(self.which_face)}'

  def _weights_sha256(self) -> dict[str, str]:
    if self.weights is None:
      return {}
    digest = hashlib.sha256(limits.read_bytes(self.weights))
    return {'weights_sha256': digest.hexdigest()}


def _options_of(function: Callable) -> dict[str, Any]:
  """Returns a function's keyword-only options that have a default."""
  parameters = inspect.signature(function).parameters.values()
  options = {
    p.name: p.default
    for p in parameters
    if p.kind == p.KEYWORD_ONLY
    and isinstance(p.default, (int, float, str, bool, type(None)))
  }
  # The fit of light is no option, but another one makes other numbers.
  return options | ({'light_fit': light.FIT} if options.get('light') else {})
