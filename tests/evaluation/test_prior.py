"""Shares of classes that are estimated from unlabelled predictions."""

from __future__ import annotations

import numpy as np
import pytest

from mejax.evaluation import metrics
from mejax.evaluation import prior
from mejax.evaluation import selection

EVEN = np.full(3, 1 / 3)
TRUE = np.array([0.7, 0.2, 0.1])


def draw(shares, n=20_000, seed=0):
  """Labels by these shares; logits of the Bayes rule for even shares."""
  generator = np.random.default_rng(seed)
  labels = generator.choice(3, n, p=shares)
  x = generator.normal(size=(n, 3)) + 1.5 * np.eye(3)[labels]
  return labels, 1.5 * x


def test_the_shares_of_classes_are_found():
  _, logits = draw(TRUE)
  found = prior.estimate(selection.probabilities(logits), EVEN)
  np.testing.assert_allclose(found, TRUE, atol=0.015)


def test_nothing_changes_where_the_shares_are_those_of_the_training():
  _, logits = draw(EVEN)
  found = prior.estimate(selection.probabilities(logits), EVEN)
  np.testing.assert_allclose(found, EVEN, atol=0.015)


def test_every_place_is_corrected_by_its_own_shares():
  parts = [draw(TRUE), draw(TRUE[::-1])]
  labels, logits = (np.concatenate(x) for x in zip(*parts, strict=True))
  places = np.repeat(['a', 'b'], 20_000)
  options = {'trained': EVEN, 'rule': 'em'}
  ours = prior.adapt(logits[None], places, **options)[0]
  # Bayes' rule with the true shares, which the estimate does not know.
  shares = np.where(places[:, None] == 'a', TRUE, TRUE[::-1])
  best = logits + np.log(shares)
  assert (ours.argmax(1) == best.argmax(1)).mean() > 0.995
  before, after = (
    metrics.accuracy(labels, x.argmax(1), num_classes=3) for x in (logits, ours)
  )
  assert after > before + 0.05


def test_a_class_that_is_not_there_has_finite_logits():
  logits = np.tile([9.0, 0.0, -40.0], (1, 50, 1))
  ours = prior.adapt(logits, np.full(50, 'a'), trained=EVEN, rule='em')
  assert np.isfinite(ours).all() and (ours.argmax(-1) == 0).all()


def test_the_rule_trained_changes_no_bit_and_others_are_refused():
  logits = np.random.default_rng(0).normal(size=(2, 5, 3))
  options = {'trained': EVEN}
  same = prior.adapt(logits, np.full(5, 'a'), **options, rule='trained')
  np.testing.assert_array_equal(same, logits)
  with pytest.raises(
    ValueError, match="'even'; expected one of trained, em, published"
  ):
    prior.adapt(logits, np.full(5, 'a'), **options, rule='even')


def test_published_shares_move_log_probabilities_half_way():
  logits = np.random.default_rng(0).normal(size=(2, 5, 3))
  names = ('surprise', 'negative', 'positive')
  ours = prior.adapt(
    logits, np.full(5, 'a'), trained=EVEN, rule='published', class_names=names
  )
  counts = np.array([276, 566, 91])
  odds = selection.probabilities(ours) / selection.probabilities(logits)
  odds /= odds[..., :1]
  true = np.sqrt(counts / counts[0])
  np.testing.assert_allclose(odds, np.broadcast_to(true, odds.shape), rtol=1e-9)


def test_published_shares_are_refused_for_classes_without_them():
  with pytest.raises(ValueError, match='no shares are published of a, b'):
    prior.adapt(
      np.zeros((1, 2, 2)),
      np.full(2, 'x'),
      trained=np.full(2, 0.5),
      rule='published',
      class_names=('a', 'b'),
    )
