"""How the clips of a corpus become examples."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import dataclasses
import functools
import importlib
import inspect
import pathlib
from typing import Any

import cv2
from jaxtyping import Float
from jaxtyping import UInt8
import numpy as np

from mejax.corpora import CORPORA
from mejax.corpora.clip import Clip
from mejax.datasets import builder
from mejax.motion import flow as motion_flow

SYNTHETIC_SIZE = 64
STRAIN = 'shreve'


@dataclasses.dataclass(frozen=True)
class Recipe:
  """How the clips of a corpus become examples.

  Attributes:
    read: source folder to clips.
    pixels: what is read from a clip's files; raises ValueError or OSError.
    example: clip and its pixels to an example.
    metadata: units, strain, flow, levels, size, landmark_source.
  """

  read: Callable[[pathlib.Path], Iterator[Clip]]
  pixels: Callable[[Clip], dict[str, np.ndarray]]
  example: Callable[[Clip, dict[str, np.ndarray]], builder.Example]
  metadata: dict[str, Any]


def make_recipe(
  corpus: str, *, landmarks: str | pathlib.Path | None, size: int | None
) -> Recipe:
  """The recipe of a corpus; arguments and errors as in `prepare`."""
  if corpus not in ('htnet_release', 'synthetic'):
    what = 'not prepared yet' if corpus in CORPORA else 'unknown'
    raise ValueError(
      f'corpus {corpus!r} is {what}; known: htnet_release, synthetic'
    )
  reader = importlib.import_module(CORPORA[corpus])
  if corpus == 'htnet_release':
    if size is not None:
      raise ValueError(
        f'htnet_release is ready-made flow of {reader.SIZE} pixels: it takes no'
        ' size'
      )
    return _ready_made(reader, landmarks)
  if landmarks is not None:
    raise ValueError(
      f'{corpus} has face points of its own; leave landmarks away'
    )
  return _rendered(reader, SYNTHETIC_SIZE if size is None else size)


def _ready_made(reader, landmarks: str | pathlib.Path | None) -> Recipe:
  """Flow images of the release as they are."""

  def example(clip, pixels):
    return {
      'flow': pixels['flow'][None].astype(np.float32),
      'landmarks': np.asarray(clip.landmarks, np.float32),
      'crop_points': np.asarray(clip.crop_points, np.int32),
      **_identity(clip),
    }

  return Recipe(
    read=functools.partial(reader.read, landmarks=landmarks),
    pixels=lambda clip: {'flow': reader.read_flow(clip.flow_file)},
    example=example,
    metadata={
      'units': 'minmax255',
      'strain': 'as released',
      'flow': {'method': 'as released'},
      'levels': [1.0],
      'size': reader.SIZE,
      'landmark_source': (
        'release defaults'
        if landmarks is None
        else f'file {pathlib.Path(landmarks).name}'
      ),
    },
  )


def _rendered(reader, size: int) -> Recipe:
  """Flow from onset to apex, by Farneback, at a given size."""
  if size < 16 or size % 4:
    raise ValueError(f'size is {size}; expected a multiple of 4, at least 16')

  def example(clip, pixels):
    onset = _resize(pixels['onset'].astype(np.float32), size)
    apex = _resize(pixels['apex'].astype(np.float32), size)
    motion = motion_flow.farneback(onset / 255, apex / 255)
    strain = motion_flow.strain(motion, definition=STRAIN)
    height, width = pixels['onset'].shape[:2]
    scale = np.array([size / width, size / height], np.float32)
    return {
      'flow': np.concatenate([motion, strain[..., None]], -1)[None],
      # Positions count from the centre of the first pixel.
      'landmarks': (np.float32(clip.landmarks) + 0.5) * scale - 0.5,
      'onset': np.rint(onset).astype(np.uint8),
      'apex': np.rint(apex).astype(np.uint8),
      'true_flow': _resize(pixels['true_flow'], size) * scale,
      **_identity(clip),
    }

  return Recipe(
    read=reader.read,
    pixels=_rendered_pixels,
    example=example,
    metadata={
      'units': 'pixel',
      'strain': STRAIN,
      'flow': {
        'method': 'farneback',
        **_options_of(motion_flow.farneback),
      },
      'levels': [1.0],
      'size': size,
      'landmark_source': 'rendered',
    },
  )


def _rendered_pixels(clip: Clip) -> dict[str, np.ndarray]:
  with np.load(clip.truth) as truth:
    true_flow = truth['true_flow']
  return {
    'onset': _read_frame(clip, clip.onset),
    'apex': _read_frame(clip, clip.apex),
    'true_flow': true_flow.astype(np.float32),
  }


def _read_frame(clip: Clip, number: int) -> UInt8[np.ndarray, 'h w 3']:
  if number not in clip.frame_numbers:
    raise ValueError(f'frame {number} is missing')
  file = clip.frames[clip.frame_numbers.index(number)]
  image = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
  if image is None:
    raise ValueError(f'frame "{file.name}" is missing or damaged')
  return image


def _resize(
  image: Float[np.ndarray, 'h w c'], size: int
) -> Float[np.ndarray, 'n n c']:
  return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


def _identity(clip: Clip) -> dict[str, str]:
  return {
    'emotion': clip.emotion,
    'corpus': clip.corpus,
    'subject': clip.subject,
    'clip': clip.name,
    'apex_source': clip.apex_source,
  }


def _options_of(function: Callable) -> dict[str, Any]:
  """Keyword-only options of a function, with their defaults."""
  parameters = inspect.signature(function).parameters.values()
  return {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}
