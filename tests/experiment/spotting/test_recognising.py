"""Spot, then recognise: the class of what was spotted."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from mejax.evaluation.spotting.events import Event
from mejax.evaluation.spotting.events import Video
from mejax.experiment import configuration
from mejax.experiment.spotting import recognising
from mejax.motion.detection import DetectedFace

POINTS = np.float32([[38, 40], [58, 40], [48, 52], [40, 62], [56, 62]])
FACE = DetectedFace(box=(28.0, 25.0, 40.0, 45.0), points=POINTS, score=1.0)
CHANGES = [
  'num_folds=2', 'num_epochs=4', 'num_seeds=1', 'eval_every=4',
  'selection=last', 'setting.shift=0',
]  # fmt: skip


def picture(seed: int, label: str, share: float) -> np.ndarray:
  """A face-sized texture whose upper or lower half is moved up."""
  generator = np.random.default_rng(seed)
  texture = cv2.GaussianBlur(
    generator.uniform(0, 255, (96, 96, 3)).astype(np.float32), (0, 0), 2
  )
  y, x = np.mgrid[:96, :96].astype(np.float32)
  middle = 36 if label == 'surprise' else 60
  moved = 2 * share * np.exp(-(((y - middle) / 10) ** 2))
  warped = cv2.remap(
    texture, x, y + np.float32(moved), cv2.INTER_CUBIC, borderMode=1
  )
  span = warped.max() - warped.min()
  return ((warped - warped.min()) / span * 255).astype(np.uint8)


def read(video: Video, numbers):
  person = int(video.subject)
  label = 'surprise' if video.name == 's' else 'negative'
  return [
    picture(person, label, max(0.0, 1 - abs(n - 10) / 5)) for n in numbers
  ]


def videos():
  found = []
  for person in range(4):
    for name, label in (('s', 'surprise'), ('n', 'negative')):
      truth = Event(onset=5, apex=10, offset=16, type='micro', label=label)
      # One candidate is right, and one is where nothing is.
      ours = (
        Event(onset=5, apex=10, offset=15, type='micro', score=2.0),
        Event(onset=40, offset=50, type='micro', score=1.0),
        Event(onset=5, apex=10, offset=60, type='macro', score=1.0),
      )
      found.append(
        Video(
          subject=str(person),
          name=name,
          num_frames=100,
          fps=30,
          truths=(truth,),
          candidates=ours,
        )  # fmt: skip
      )
  return found


def recognise(some, workdir):
  return recognising.recognise(
    some,
    read,
    config=configuration.load_config('linear', CHANGES),
    workdir=workdir,
    detector=lambda image: [FACE],
    progress=False,
  )


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  return tmp_path_factory.mktemp('run') / 'run'


@pytest.fixture(scope='module')
def found(workdir):
  return recognise(videos(), workdir)


def losses(workdir):
  with np.load(workdir / 'checkpoints/round_0.npz') as stored:
    return stored['losses']


def test_candidates_get_classes_and_strs_rests_on_the_hits(found):
  assert found.classes == ('negative', 'surprise')
  labels = [[c.label for c in v.candidates] for v in found.videos]
  # Those of other types have none.
  assert all(x in found.classes and y in found.classes for x, y, _ in labels)
  assert {z for _, _, z in labels} == {''}
  assert [x for x, _, _ in labels] == ['surprise', 'negative'] * 4
  assert found.uf1 == 1
  assert 'F1 of spotting 0.667 (8 of 8 events, 16 candidates)' in found.text
  assert 'STRS 0.667' in found.text and 'rests on 8 events' in found.text


def test_candidates_are_never_trained_on(found, workdir, tmp_path):
  def moved(video):
    own = tuple(
      dataclasses.replace(c, onset=c.onset + 2, apex=None)
      for c in video.candidates
    )
    return dataclasses.replace(video, candidates=own)

  other = recognise([moved(v) for v in videos()], tmp_path / 'run')
  assert other.uf1 == found.uf1
  np.testing.assert_array_equal(losses(tmp_path / 'run'), losses(workdir))


def test_one_class_cannot_be_told_apart(tmp_path):
  some = [v for v in videos() if v.name == 's']
  with pytest.raises(ValueError, match='expected two or more'):
    recognise(some, tmp_path / 'run')
