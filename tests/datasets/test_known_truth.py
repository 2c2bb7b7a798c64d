"""The chain against the truth, and the truth against a chain that is wrong."""

from __future__ import annotations

import pytest

from mejax import cli
from mejax.corpora import synthetic
from mejax.datasets import known_truth
from mejax.datasets import recipe as recipe_lib
from mejax.datasets.recipe import Recipe


@pytest.fixture(scope='module')
def corpus(tmp_path_factory):
  return synthetic.write(
    tmp_path_factory.mktemp('synthetic') / 'faces',
    num_subjects=2,
    clips_per_subject=3,
    difficulty=0.2,
    progress=False,
  )


@pytest.fixture(scope='module')
def errors(corpus):
  recipe = Recipe(size=64, flow='farneback', levels=(1.0, 2.0))
  return known_truth.measure_errors(recipe, source=corpus, progress=False)


def test_the_chain_is_near_the_truth(errors):
  first, second = errors.levels
  assert errors.clips == 6 and errors.fps == 100
  assert errors.steady < 0.1 and errors.points < 0.25
  assert first.error < 0.6 * errors.motion
  assert 0.8 < first.realised < 1.2
  assert 1.4 < second.realised < 2.4


def test_face_points_are_judged_as_the_recipe_finds_them(corpus, errors):
  given = Recipe(size=32, flow='farneback', faces='given')
  assert errors.points > 0
  assert (
    known_truth.measure_errors(given, source=corpus, progress=False).points == 0
  )


def test_a_flow_that_sees_nothing_has_the_error_of_zero(
  corpus, monkeypatch, errors
):
  blind = lambda first, second: 0 * first[..., :2]  # noqa: E731
  monkeypatch.setitem(recipe_lib.FLOWS, 'farneback', blind)
  recipe = Recipe(size=64, flow='farneback')
  (level,) = known_truth.measure_errors(
    recipe, source=corpus, progress=False
  ).levels
  assert level.realised == 0
  assert level.error == pytest.approx(errors.motion, rel=1e-5)


def test_without_the_head_the_truth_is_the_expression(corpus, errors):
  recipe = Recipe(size=64, flow='farneback', remove_head_motion=True)
  alone = known_truth.measure_errors(recipe, source=corpus, progress=False)
  assert alone.motion < 0.5 * errors.motion
  (level,) = alone.levels
  assert level.error < 0.5 * errors.motion


def test_the_command_line_prints_every_error(corpus, capsys):
  argv = ['check', '--pipeline', 'synthetic', str(corpus), '--size', '32']
  assert cli.main([*argv, '--flow', 'farneback']) == 0
  printed = capsys.readouterr().out
  for word in ('face points', 'apex', 'true motion', 'flow, alpha 1'):
    assert word in printed


def test_a_check_without_a_database_says_what_to_name(capsys):
  assert cli.main(['check', 'casme2']) == 2
  assert 'mejax check casme2 DIR' in capsys.readouterr().err
