"""Ready-made flow images, taken as they are: the HTNet release."""

from __future__ import annotations

from collections.abc import Callable
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
from mejax.datasets import outcome
from mejax.datasets import sources
from mejax.motion import faces

NAME = 'htnet_release'


@dataclasses.dataclass(frozen=True)
class ReadyMade:
  """A clone of the release; its methods are those of `material.Frames`.

  Attributes:
    source: the clone.
    options: of its reader.
    allow_missing: take it without the clips that cannot be used.
    progress: whether bars are shown.
  """

  source: str | pathlib.Path
  options: Mapping[str, Any]
  allow_missing: bool
  progress: bool

  def read(self) -> Iterator[Clip]:
    """The clips, their face points found in the apex images of the clone."""
    sources.check_options(NAME, self.options)

    def locate(image):
      return faces.locate([image], detector=faces.detect_dense).points

    return htnet_release.read(self.source, **self.options, locate=locate)

  def look(self, clips: list[Clip]) -> tuple[list[Clip], list[str]]:
    """Tries every image.

    Raises:
      ValueError: some are missing or damaged, and that is not allowed.
    """
    looked_at, digests = [], []
    bar = {'desc': 'look', 'unit': 'clip', 'disable': not self.progress}
    for clip in tqdm.tqdm(clips, **bar):
      try:
        flow = b'' if clip.problem else arrays(clip)['flow'].tobytes()
      except (OSError, ValueError) as error:
        clip = dataclasses.replace(clip, problem=str(error))
      if not clip.problem:
        about = (clip.identity, clip.landmarks, clip.crop_points)
        digests.append(hashlib.sha256(repr(about).encode() + flow).hexdigest())
      looked_at.append(clip)
    outcome.check(looked_at, allow_missing=self.allow_missing)
    return looked_at, digests

  def metadata(self) -> dict[str, Any]:
    """JSON values that say how the examples were made."""
    if self.options.get('landmarks'):
      landmark_source = f'file {pathlib.Path(self.options["landmarks"]).name}'
    elif htnet_release.has_apex_images(self.source):
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

  def make(
    self, clips: list[Clip], *_
  ) -> tuple[list[Clip], Callable[[Clip], dict[str, np.ndarray]]]:
    """Nothing is left to make."""
    return clips, arrays


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
