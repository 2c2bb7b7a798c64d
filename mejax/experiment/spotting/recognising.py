"""Recognises what was spotted: spot, then recognise.

The recogniser of a person was trained on the true expressions of all others,
and gets the flow from the spotted onset to the spotted apex. Beside it stands
what it says of the true ones, which no spotter can be better than. Candidates
are never trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import os
import pathlib
from typing import NamedTuple

from jaxtyping import Float
from jaxtyping import UInt8
import ml_collections
import numpy as np

from mejax import bars
from mejax.datasets import frames_to_flow
from mejax.datasets import views
from mejax.datasets.recipe import Recipe
from mejax.evaluation import metrics
from mejax.evaluation.spotting import strs
from mejax.evaluation.spotting.events import MICRO
from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video
from mejax.experiment import planning
from mejax.experiment import resolve
from mejax.experiment import running
from mejax.experiment import schema
from mejax.experiment import task as task_lib
from mejax.experiment.planning import Plan
from mejax.experiment.task import Task
from mejax.motion import detection
from mejax.motion import faces
from mejax.motion.spotting.following import Detector

# Frames of a video by number.
Reader = Callable[[Video, Sequence[int]], Sequence[UInt8[np.ndarray, 'h w 3']]]
_RECIPE = Recipe(size=64, remove_head_motion=True)


class Recognised(NamedTuple):
  """What was recognised.

  Attributes:
    videos: candidates of micro-expressions have a class, or '' without a face.
    classes: those of the true events.
    uf1: of the true onsets and apexes, over the same people and folds.
    text: the scores.
  """

  videos: tuple[Video, ...]
  classes: tuple[str, ...]
  uf1: float
  text: str


class _Row(NamedTuple):
  """An onset and an apex in a video; `at` is the place among its events."""

  video: int
  event: Event
  at: int
  is_true: bool


def recognise(
  videos: Sequence[Video],
  read: Reader,
  *,
  config: ml_collections.ConfigDict,
  workdir: str | os.PathLike[str],
  detector: Detector | None = None,
  progress: bool = True,
) -> Recognised:
  """Gives the candidates of micro-expressions a class.

  Args:
    videos: with labelled truths and with candidates. Of a candidate or truth
      without an apex, the middle frame is taken.
    read: reads frames of a video.
    config: of a model that reads one flow image, as `cnn`; its folds leave
      people out.
    workdir: folder of the training; the same call resumes it.
    detector: image to faces; YuNet by default.
    progress: whether to show a bar.

  Raises:
    ValueError: there are fewer than two classes or people, or the config does
      not fit.
  """
  rows = _rows(videos)
  classes = tuple(sorted({row.event.label for row in rows if row.is_true}))
  if len(classes) < 2:
    raise ValueError(
      f'the true micro-expressions have the classes {list(classes)}; expected '
      'two or more'
    )
  bar = bars.Bar(rows, desc='flow', unit='event', disable=not progress)
  flows = [_flow(videos[r.video], r.event, read, detector) for r in bar]
  kept = [i for i, flow in enumerate(flows) if flow is not None]
  rows = [rows[i] for i in kept]
  plan = _plan(
    config, videos, rows, np.stack([flows[i] for i in kept]), classes
  )
  with running.claimed(plan, pathlib.Path(workdir)) as run:
    outcome = running.run_trials(plan, pathlib.Path(workdir), run)
  said = _said(plan, outcome.logits[:, -1], len(rows))
  return _scored(videos, rows, [classes[k] for k in said], classes)


def _rows(videos: Sequence[Video]) -> list[_Row]:
  return [
    _Row(i, event, at, is_true)
    for i, video in enumerate(videos)
    for is_true, some in ((True, video.truths), (False, video.candidates))
    for at, event in enumerate(some)
    if event.type == MICRO and (event.label or not is_true)
  ]


def _flow(
  video: Video, event: Event, read: Reader, detector: Detector | None
) -> Float[np.ndarray, 'a s s 3'] | None:
  """Returns the flow from onset to apex; None without a face."""
  apex = event.apex
  if apex is None or apex <= event.onset:
    apex = max((event.onset + event.offset) // 2, event.onset + 1)
  images = list(read(video, [event.onset, apex]))
  found = (detector or detection.detect)(images[0])
  if not found:
    return None
  face = max(found, key=lambda one: one.box[2] * one.box[3])
  size = _RECIPE.size
  patches, matrix = faces.cut(
    images, faces.alignment(face.points, size=size), size=size
  )
  counted = np.ones((1, size, size), bool)
  aligned = frames_to_flow.align_frames(
    patches[None], matrix[None], counted, _RECIPE
  )
  made = frames_to_flow.measure_motion(aligned['frames'], counted, _RECIPE)
  return made['flow'][0]


def _plan(
  config: ml_collections.ConfigDict,
  videos: Sequence[Video],
  rows: Sequence[_Row],
  flow: Float[np.ndarray, 'n a s s 3'],
  classes: tuple[str, ...],
) -> Plan:
  """Returns the plan of a training that never sees a candidate."""
  config = schema.fill(config)
  options = dict(config.view)
  view = views.declared(views.VIEWS[options.pop('name')])
  subjects = np.array([videos[row.video].subject for row in rows])
  clips = task_lib.make_clips(
    {
      'flow': flow,
      'corpus': np.full(len(rows), 'spotted'),
      'subject': subjects,
      'clip': np.array(
        [
          f'{videos[r.video].name} {r.event.onset} '
          + ('true' if r.is_true else 'spotted')
          for r in rows
        ]
      ),
    },
    _RECIPE.describe(),
    view=view,
    options=options,
  )
  # A candidate's class is not read: it has no weight in training.
  labels = [classes.index(r.event.label) if r.is_true else 0 for r in rows]
  task = Task(
    **vars(clips),
    labels=np.array(labels, np.int32),
    class_names=classes,
    protocol=(
      'Spotted, then recognised: trained on true micro-expressions, one'
      ' subject left out at a time.'
    ),
    groups=subjects,
  )
  plan = planning.plan(config, task=task)
  is_true = np.array([row.is_true for row in rows], np.float32)
  folds = plan.folds._replace(train=plan.folds.train * is_true)
  trials, numbers = resolve.make_trials(config, folds)
  trainer = resolve.make_trainer(config, task, folds)
  return dataclasses.replace(
    plan, folds=folds, trials=trials, numbers=numbers, trainer=trainer
  )


def _said(
  plan: Plan, logits: Float[np.ndarray, 't h k'], number: int
) -> list[int]:
  """Returns the class of each row, by all seeds that have not seen whose."""
  total = np.zeros((number, logits.shape[-1]))
  index = np.asarray(plan.trials.held_out)
  chosen = (plan.numbers['inner'] < 0) & (plan.numbers['setting'] == 0)
  for trial in np.flatnonzero(chosen):
    own = index[trial] >= 0
    scores = np.exp(logits[trial] - logits[trial].max(-1, keepdims=True))
    total[index[trial][own]] += (scores / scores.sum(-1, keepdims=True))[own]
  return total.argmax(-1).tolist()


def _scored(
  videos: Sequence[Video],
  rows: Sequence[_Row],
  said: Sequence[str],
  classes: tuple[str, ...],
) -> Recognised:
  named = {
    (r.video, r.at): word
    for r, word in zip(rows, said, strict=True)
    if not r.is_true
  }
  labelled = tuple(
    dataclasses.replace(
      video,
      candidates=tuple(
        dataclasses.replace(event, label=named.get((i, at), ''))
        for at, event in enumerate(video.candidates)
      ),
    )
    for i, video in enumerate(videos)
  )
  pairs = [
    (classes.index(r.event.label), classes.index(word))
    for r, word in zip(rows, said, strict=True)
    if r.is_true
  ]
  truth, ours = np.array(pairs).T
  uf1 = float(
    metrics.uf1_of(metrics.confusion(truth, ours, num_classes=len(classes)))
  )
  found = strs.score(labelled, classes=classes)
  tally = found.spotting
  text = (
    f'STRS {found.strs:.3f} [{found.low:.3f}, {found.high:.3f}]: F1 of '
    f'spotting {tally.f1:.3f} ({tally.hits} of {tally.truths} events, '
    f'{tally.candidates} candidates), of analysis '
    f'{found.analysis:.3f} over {", ".join(classes)}; it rests on '
    f'{found.analysed} events.\nAt the true onsets and apexes of all '
    f'{len(pairs)} events, UF1 is {uf1:.3f}.'
  )
  return Recognised(labelled, classes, uf1, text)
