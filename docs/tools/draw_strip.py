"""Draws the way of a clip: frames, aligned, amplified, flow, regions, class.

  python docs/tools/draw_strip.py docs/strip.png

The person is rendered. The class is what LDA says that was fitted on the other
rendered people. It needs matplotlib, which the extra `test` brings.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile

import cv2
import matplotlib

matplotlib.use('agg')

from matplotlib import patches
from matplotlib import pyplot as plt
import numpy as np
from sklearn import discriminant_analysis

from mejax.corpora import synthetic
from mejax.datasets import load
from mejax.datasets import prepare
from mejax.datasets import views
from mejax.datasets.recipe import Recipe
from mejax.pages import pictures

PEOPLE, CLIPS, SIZE, ALPHA = 10, 9, 128, 4.0
SUBJECT = 3  # The person who is shown, and on whom nothing is fitted.
EMOTION = 'surprise'


def make_examples(folder: pathlib.Path):
  """Renders people, prepares them; returns clips as read and as prepared."""
  root = synthetic.write(
    folder / 'faces', num_subjects=PEOPLE, clips_per_subject=CLIPS, seed=5,
    difficulty=0.3, progress=False,
  )  # fmt: skip
  prepare.prepare(
    'synthetic', source=root, data_dir=folder / 'data', progress=False,
    recipe=Recipe(size=SIZE, levels=(1.0, ALPHA), remove_head_motion=True),
  )  # fmt: skip
  clips = {(x.subject, x.name): x for x in synthetic.CORPUS.read(root)}
  return clips, load.load_examples('synthetic', folder / 'data')


def tell_class(examples, chosen: int) -> tuple[np.ndarray, np.ndarray]:
  """Returns the classes, and their probabilities from everybody else."""
  flow = views.full_flow(examples)
  small = flow[:, ::8, ::8].reshape(len(flow), -1)
  others = examples['subject'] != examples['subject'][chosen]
  model = discriminant_analysis.LinearDiscriminantAnalysis(
    solver='lsqr', shrinkage='auto'
  )
  model.fit(small[others], examples['emotion'][others])
  return model.classes_, model.predict_proba(small[[chosen]])[0]


def draw(path: str) -> None:
  """Draws the strip."""
  with tempfile.TemporaryDirectory() as folder:
    clips, examples = make_examples(pathlib.Path(folder))
    people = np.unique(examples['subject'])
    chosen = np.flatnonzero(
      (examples['subject'] == people[SUBJECT])
      & (examples['emotion'] == EMOTION)
    )[0]
    key = tuple(str(examples[name][chosen]) for name in ('subject', 'clip'))
    frames = read_frames(clips[key])
  figure, axes = plt.subplots(
    1, 6, figsize=(12.6, 2.5), width_ratios=[1.25, 1, 1, 1, 1, 1], dpi=100
  )
  show_frames(axes[0], frames)
  onset, points = examples['onset'][chosen], examples['landmarks'][chosen]
  axes[1].imshow(onset)
  axes[1].scatter(*points.T, s=26, facecolors='none', edgecolors='#2f9be0')
  axes[2].imshow(examples['amplified'][chosen, 1])
  flow = examples['flow'][chosen, 0, ..., :2]
  scale = float(np.percentile(np.hypot(*np.moveaxis(flow, -1, 0)), 99.5))
  axes[3].imshow(pictures.flow_colour(flow, scale=scale))
  one = {key: value[[chosen]] for key, value in examples.items()}
  # Its channels are strain, v and u.
  mosaic = views.region_mosaic(one, normalise='none')[0][..., [2, 1]]
  mosaic = np.ascontiguousarray(mosaic)
  axes[4].imshow(pictures.flow_colour(mosaic, scale=scale))
  for line in (axes[4].axhline, axes[4].axvline):
    line(len(mosaic) / 2 - 0.5, color='#1d2126', lw=1)
  show_classes(axes[5], *tell_class(examples, chosen))
  titles = (
    'frames', 'aligned', f'amplified {ALPHA:g} times', 'flow',
    'eyes and mouth', 'class',
  )  # fmt: skip
  for i, (ax, title) in enumerate(zip(axes, titles, strict=True)):
    ax.set_title(title, fontsize=13, color='#1d2126')
    if i < 5:
      ax.set_axis_off()
  figure.tight_layout(w_pad=1.6)
  figure.savefig(path, facecolor='white')


def read_frames(clip) -> list[np.ndarray]:
  """Returns onset, middle and apex of a clip."""
  places = [
    clip.frame_numbers.index(number)
    for number in (clip.onset, (clip.onset + clip.apex) // 2, clip.apex)
  ]
  return [cv2.imread(str(clip.frames[i]))[..., ::-1] for i in places]


def show_frames(ax, frames) -> None:
  """Shows frames behind each other, the first in front."""
  for i, frame in reversed(list(enumerate(frames))):
    left, low = 16 * i, 16 * i
    box = (left, left + SIZE, low, low + SIZE)
    ax.imshow(frame, extent=box, zorder=-i)
    ax.add_patch(
      patches.Rectangle(
        (left, low), SIZE, SIZE, fill=False, ec='white', lw=1.5, zorder=-i
      )
    )
  side = SIZE + 16 * (len(frames) - 1)
  ax.set(xlim=(0, side), ylim=(0, side))


def show_classes(ax, names, shares) -> None:
  """Shows the probability of each class as a bar."""
  colours = ['#2f6db0' if s == shares.max() else '#c9ced4' for s in shares]
  ax.barh(np.arange(len(names)), shares, color=colours, height=0.5)
  for i, (name, share) in enumerate(zip(names, shares, strict=True)):
    ax.text(0, i - 0.36, f'{name}  {share:.2f}', fontsize=11, va='bottom')
  ax.set(xlim=(0, 1), xticks=[], yticks=[])
  ax.set_ylim(len(names) - 0.5, -0.8)
  ax.set_frame_on(False)


if __name__ == '__main__':
  draw(sys.argv[1])
