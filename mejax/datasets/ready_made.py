"""Ready-made flow images, taken as they are: the HTNet release."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import hashlib
import pathlib
from typing import Any

import numpy as np
import tqdm

from mejax.corpora import htnet_release
from mejax.corpora.clip import Clip
from mejax.datasets import sources
from mejax.motion import faces

NAME = 'htnet_release'


def read(
  source: str | pathlib.Path, options: Mapping[str, Any]
) -> Iterator[Clip]:
  """The clips of a clone, their face points found in its apex images.

  Raises:
    FileNotFoundError: something of the clone is not there.
    ValueError: an unknown option, or a sheet with faults.
  """
  sources.check_options(NAME, options)

  def locate(image):
    return faces.locate([image], detector=faces.detect_dense).points

  return htnet_release.read(source, **options, locate=locate)


def look(
  clips: Iterable[Clip], *, progress: bool
) -> tuple[list[Clip], list[str]]:
  """Tries every image.

  Returns:
    The clips, with a problem where the image is missing or damaged, and for
    each that can be used a digest of all there is of it.
  """
  looked_at, digests = [], []
  for clip in tqdm.tqdm(clips, desc='look', unit='clip', disable=not progress):
    try:
      flow = b'' if clip.problem else arrays(clip)['flow'].tobytes()
    except (OSError, ValueError) as error:
      clip = dataclasses.replace(clip, problem=str(error))
    if not clip.problem:
      about = (clip.identity, clip.landmarks, clip.crop_points)
      digests.append(hashlib.sha256(repr(about).encode() + flow).hexdigest())
    looked_at.append(clip)
  return looked_at, digests


def arrays(clip: Clip) -> dict[str, np.ndarray]:
  """The arrays of an example.

  Raises:
    OSError: the file cannot be read.
    ValueError: it is no such image.
  """
  flow = htnet_release.read_flow(clip.flow_file)
  return {
    'flow': flow[None].astype(np.float32),
    'landmarks': np.asarray(clip.landmarks, np.float32),
    'crop_points': np.asarray(clip.crop_points, np.int32),
  }


def metadata(
  source: str | pathlib.Path, options: Mapping[str, Any]
) -> dict[str, Any]:
  """JSON values that say how the examples were made."""
  if options.get('landmarks'):
    landmark_source = f'file {pathlib.Path(options["landmarks"]).name}'
  elif htnet_release.has_apex_images(source):
    landmark_source = 'detector, on the apex images of the release'
  else:
    landmark_source = 'release defaults'
  return {
    'units': 'minmax255',
    'strain': 'as released',
    'flow': {'method': 'as released'},
    'levels': [1.0],
    'size': htnet_release.SIZE,
    'landmark_source': landmark_source,
  }
