"""Measures the errors of preparation on rendered clips of known truth."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
import dataclasses
import io
import pathlib
import tempfile

import numpy as np

from mejax.corpora import decode
from mejax.corpora import synthetic
from mejax.corpora.clip import Clip
from mejax.datasets import face_search
from mejax.datasets import load
from mejax.datasets import prepare
from mejax.datasets.recipe import Recipe

# The corpus that is rendered if none is given.
RENDERED = {'num_subjects': 6, 'clips_per_subject': 6}
# Motion below this, in pixels, is too small to tell how much it was amplified.
MOVING = 0.2


@dataclasses.dataclass(frozen=True)
class Level:
  """Errors of one amplification level.

  Attributes:
    alpha: the requested amplification factor.
    realised: the factor by which the measured flow exceeds the true flow, by
      least squares over the pixels that move.
    error: mean distance of the flow from alpha times the true flow, in pixels
      of the aligned face.
  """

  alpha: float
  realised: float
  error: float


@dataclasses.dataclass(frozen=True)
class Errors:
  """Errors of the pipeline from frames to flow; means over the clips.

  Attributes:
    clips: number of clips.
    fps: frames per second.
    points: distance of the face points from the true ones, in distances between
      the eyes.
    steady: the same without the part that is constant over all clips. That part
      is a matter of definition, e.g. of where exactly a mouth corner lies.
    apex: distance of the spotted apex from the true one, in frames, median.
    middle: the same for the middle frame.
    motion: length of the true flow in pixels of the aligned face, head drift
      included unless the recipe removes it; the error of a flow of zero.
    levels: errors of the flow at each level.
  """

  clips: int
  fps: float
  points: float
  steady: float
  apex: float
  middle: float
  motion: float
  levels: tuple[Level, ...]

  def __str__(self) -> str:
    frame = 1000 / self.fps
    lines = [
      f'{self.clips} clips of known truth, from frames to flow',
      f'  face points    {self.points:.1%} of the distance between the eyes;'
      f' {self.steady:.1%} without a constant offset',
      f'  apex           spotted {self.apex:.0f} frames'
      f' ({self.apex * frame:.0f} ms) from the true one, median; for the'
      f' middle frame {self.middle:.0f}',
      f'  true motion    {self.motion:.3f} px, mean over the aligned face',
    ]
    lines += [
      f'  flow, alpha {level.alpha:<4g}error {level.error:.3f} px'
      f' ({level.error / level.alpha / self.motion:.0%} of the motion);'
      f' amplified {level.realised:.2f} times'
      for level in self.levels
    ]
    return '\n'.join(lines)


def measure_errors(
  recipe: Recipe | None = None,
  *,
  source: str | pathlib.Path | None = None,
  progress: bool = True,
) -> Errors:
  """Prepares clips of known truth and returns the errors.

  Args:
    recipe: how frames become examples.
    source: a corpus in the layout of `synthetic`; if not given, a small one is
      rendered.
    progress: whether to show bars.
  """
  recipe = recipe or Recipe()
  with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    if source is None:
      source = synthetic.write(folder / 'corpus', **RENDERED, progress=progress)
    made = {}
    spotting = dataclasses.replace(recipe, levels=(1.0,), apex='spotted')
    for name, how in (('chain', recipe), ('spotted', spotting)):
      # `prepare` prints a table, which has no use here.
      with contextlib.redirect_stdout(io.StringIO()):
        prepare.prepare(
          'synthetic',
          source=source,
          data_dir=folder,
          name=name,
          recipe=how,
          progress=progress,
        )
      made[name] = load.load_examples(name, folder)
    clips = {clip.identity: clip for clip in synthetic.read(source)}
    kept = [clips[identity] for identity in _identities(made['chain'])]
    offsets = np.stack([_point_errors(clip, recipe) for clip in kept])
  spotted = [clips[identity] for identity in _identities(made['spotted'])]
  apex = np.array([clip.apex for clip in spotted])
  middle = np.array([(clip.onset + clip.offset) // 2 for clip in spotted])
  seen = 'expression' if recipe.remove_head_motion else 'true'
  flow, truth = made['chain']['flow'][..., :2], made['chain'][f'{seen}_flow']
  return Errors(
    clips=len(kept),
    fps=kept[0].fps,
    points=float(np.linalg.norm(offsets, axis=-1).mean()),
    steady=float(np.linalg.norm(offsets - offsets.mean(0), axis=-1).mean()),
    apex=float(np.median(np.abs(made['spotted']['apex_number'] - apex))),
    middle=float(np.median(np.abs(middle - apex))),
    motion=float(np.linalg.norm(truth, axis=-1).mean()),
    levels=tuple(
      _level(alpha, flow[:, a], truth) for a, alpha in enumerate(recipe.levels)
    ),
  )


def _identities(examples: dict[str, np.ndarray]) -> list[str]:
  columns = (examples[key].tolist() for key in ('corpus', 'subject', 'clip'))
  return ['/'.join(row) for row in zip(*columns, strict=True)]


def _point_errors(clip: Clip, recipe: Recipe) -> np.ndarray:
  """Returns offsets from the true points, in distances between the eyes."""
  truth = np.array(clip.landmarks)

  def read(numbers: Sequence[int]) -> face_search.Images:
    return dict(zip(numbers, decode.decode(clip, numbers), strict=True))

  images = read(face_search.numbers(clip))
  points = face_search.find(clip, images, read, recipe.faces).points
  return (points - truth) / np.linalg.norm(truth[1] - truth[0])


def _level(alpha: float, flow: np.ndarray, true_flow: np.ndarray) -> Level:
  moving = np.linalg.norm(true_flow, axis=-1) > MOVING
  found, truth = flow[moving], true_flow[moving]
  return Level(
    alpha=alpha,
    realised=float((found * truth).sum() / (truth * truth).sum()),
    error=float(np.linalg.norm(flow - alpha * true_flow, axis=-1).mean()),
  )
