"""A temperature that was put in is found again, and changes no prediction."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies
import numpy as np
import pytest
from scipy import special
from sklearn import metrics as sklearn_metrics

from mejax.evaluation import temperature


def drawn(size=4000, seed=0):
  """Logits of three classes, and labels that are drawn with their shares."""
  source = np.random.default_rng(seed)
  logits = 2 * source.normal(size=(size, 3))
  shares = special.softmax(logits, -1)
  labels = (source.random((size, 1)) > shares.cumsum(-1)).sum(-1)
  return logits, labels


@pytest.mark.parametrize('known', [0.2, 1.0, 5.0])
def test_a_known_temperature_is_found(known):
  logits, labels = drawn()
  found = temperature.sharpness(logits * known, labels)
  assert found * known == pytest.approx(1, abs=0.06)


@hypothesis.settings(max_examples=10)
@hypothesis.given(
  seed=strategies.integers(0, 2**31), scale=strategies.floats(0.01, 50)
)
def test_no_scale_in_the_bounds_makes_the_labels_more_likely(seed, scale):
  logits, labels = drawn(size=30, seed=seed)
  logits = logits * scale
  found = temperature.sharpness(logits, labels)

  def loss(scale):
    shares = special.softmax(scale * logits, -1)
    return sklearn_metrics.log_loss(labels, shares, labels=range(3))

  best = min(map(loss, np.exp(np.linspace(-4.9, 4.9, 33))))
  assert temperature.loss(found * logits, labels) <= best + 1e-4
  assert ((found * logits).argmax(-1) == logits.argmax(-1)).all()


def test_several_models_are_the_mean_of_their_probabilities():
  logits = np.stack([drawn(seed=seed)[0] for seed in range(3)])
  expected = special.softmax(logits, -1).mean(0)
  np.testing.assert_allclose(np.exp(temperature.pooled(logits)), expected)
  assert np.isfinite(temperature.pooled(1e4 * logits)).all()
