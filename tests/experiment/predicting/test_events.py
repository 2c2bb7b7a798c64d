"""What is told of the movements of a recording, and what of the recording."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest

from mejax.corpora.recordings import Content
from mejax.corpora.recordings import Recording
from mejax.experiment.predicting import events
from mejax.experiment.spotting import recordings as spotting
from mejax.motion.spotting.candidates import Candidate
from mejax.motion.spotting.tracks import Tracks

# Signals of three seconds in which a face is seen.
TRACKS = Tracks(
  numbers=np.arange(7.0, 107),
  fps=30.0,
  motion=np.zeros((100, 16, 2)),
  lids=np.zeros((100, 2)),
  head=np.zeros(100),
  light=np.ones(100),
  shot=np.zeros(100, int),
  eyes=50.0,
)


def candidate(onset, flags):
  return Candidate(
    type='micro', onset=onset, apex=onset + 3, offset=onset + 6, score=20.0,
    size=0.02, regions=('chin',), flags=flags,
  )  # fmt: skip


def find(monkeypatch, flags):
  """Finds events, after a spotter that found movements with these flags."""
  path = pathlib.Path('talk')
  one = Recording(path=path, name='talk', is_video=False, given=path)
  files = {number: path / f'{number}.png' for number in range(7, 107)}
  one.__dict__['content'] = Content(files, fps=30.0)
  found = [candidate(10 * i + 10, own) for i, own in enumerate(flags)]
  spotted = spotting.Spotted(
    'talk', 30.0, TRACKS, tuple(found), spotting.clip_of(one, 30.0)
  )  # fmt: skip
  monkeypatch.setattr(spotting, 'examine_one', lambda *_, **__: spotted)
  monkeypatch.setattr(spotting, 'curves', lambda _: {})
  return events.find(one, events.Ask(), detector=lambda _: [], progress=False)


def test_what_is_beside_most_movements_is_told_once(monkeypatch):
  flags = [('head', 'blink'), ('head',), ('head',), ()]
  found = find(monkeypatch, flags)
  assert found.remarks == ('Beside 3 of its 4 movements the head moves, too',)
  told = [one.remarks for one in found.events]
  assert told == [('the lids move, too',), (), (), ()]


@pytest.mark.parametrize(
  'flags', [[('head',)] * 2, [('head',), (), ('head',), ()]]
)
def test_what_is_beside_some_is_told_beside_them(monkeypatch, flags):
  found = find(monkeypatch, flags)
  assert found.remarks == ()
  assert [len(one.remarks) for one in found.events] == [
    len(own) for own in flags
  ]
