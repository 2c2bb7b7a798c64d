"""Fits the one number that makes a classifier as sure as it is right."""

from __future__ import annotations

from jaxtyping import Float
from jaxtyping import Integer
import numpy as np
from scipy import special


def sharpness(
  logits: Float[np.ndarray, 'n k'], labels: Integer[np.ndarray, ' n']
) -> float:
  """Returns the scale of logits under which the labels are most likely.

  It is 1 over the temperature of Guo et al. 2017, "On Calibration of Modern
  Neural Networks", section 4.2: one number for all classes, so that the
  predictions stay. The examples must be ones that the classifier was not
  trained on.
  """
  from scipy import optimize

  found = optimize.minimize_scalar(
    lambda logarithm: loss(logits * np.exp(logarithm), labels),
    bounds=(-5, 5),
    method='bounded',
  )
  return float(np.exp(found.x))


def loss(
  logits: Float[np.ndarray, 'n k'], labels: Integer[np.ndarray, ' n']
) -> float:
  """Returns the mean negative log likelihood of the labels in nats."""
  shares = special.log_softmax(logits, axis=-1)
  return float(-shares[np.arange(len(labels)), labels].mean())


def pooled(logits: Float[np.ndarray, 's n k']) -> Float[np.ndarray, 'n k']:
  """Returns the logarithm of the mean probabilities of several models."""
  shares = special.log_softmax(logits.astype(np.float64), axis=-1)
  return special.logsumexp(shares, axis=0) - np.log(len(logits))
