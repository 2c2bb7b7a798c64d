"""From truths to the curves of a network, and from curves to candidates."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mejax.motion.spotting import curves as curves_lib
from tests import made_signals

LOW = {'micro': 0.3, 'macro': 0.3}


@pytest.mark.parametrize('every', [1, 7])
def test_curves_of_truths_give_the_truths_back(every):
  spans = [(60, 71), (150, 199), (288, 299)]
  tracks = made_signals.tracks(0, spans, length=300, every=every)
  truths = [
    (kind, a * every, b * every)
    for kind, (a, b) in zip(('micro', 'macro', 'micro'), spans, strict=True)
  ]
  curves, counted = curves_lib.targets(tracks, truths)
  assert counted.all() and curves.max() == 1
  # Half a frame beyond the first frame and the last one, it is half.
  assert curves[59, 0] < 0.5 < curves[60, 0]
  found = curves_lib.spot(tracks, curves, thresholds=LOW)
  assert [(c.type, c.onset, c.offset) for c in found] == truths
  for one, (a, b) in zip(found[:2], spans, strict=False):
    assert abs(one.apex - (a + b) / 2 * every) <= 2 * every
  assert 'left brow' in found[0].regions and 0.02 < found[0].size < 0.04


def test_micro_expression_on_a_macro_expression_is_kept():
  tracks = made_signals.tracks(0, [(100, 180)], length=300)
  curves, _ = curves_lib.targets(
    tracks, [('macro', 100, 180), ('micro', 130, 142)]
  )
  found = curves_lib.spot(tracks, curves, thresholds=LOW)
  assert [c.type for c in found] == ['macro', 'micro']


def test_two_tops_of_one_expression_are_one_candidate():
  tracks = made_signals.tracks(0, length=300)
  curves = np.zeros((300, 2))
  curves[100:130, 1] = 0.9
  curves[110:113, 1] = 0.3
  found = curves_lib.spot(tracks, curves, thresholds=LOW)
  spans = [(c.onset, c.offset) for c in found]
  assert all(
    a > d or c > b for (a, b), (c, d) in zip(spans, spans[1:], strict=False)
  )


def test_thresholds_are_of_each_type_and_the_score_is_the_height():
  tracks = made_signals.tracks(0, length=300)
  curves = np.zeros((300, 2))
  curves[50:60] = 0.4
  only = curves_lib.spot(
    tracks, curves, thresholds={'micro': 0.41, 'macro': 0.39}
  )
  assert [(c.type, c.score) for c in only] == [('macro', 0.4)]


def test_nothing_is_spotted_where_there_is_no_face():
  tracks = made_signals.tracks(0, length=300)
  shot = tracks.shot.copy()
  shot[100:150], shot[150:] = -1, 1
  tracks = dataclasses.replace(tracks, shot=shot)
  assert curves_lib.counted(tracks).sum() == 250
  curves = np.zeros((300, 2))
  curves[90:160, 1] = 0.8
  found = curves_lib.spot(tracks, curves, thresholds=LOW)
  assert [(c.onset, c.offset) for c in found] == [(90, 99), (150, 159)]
