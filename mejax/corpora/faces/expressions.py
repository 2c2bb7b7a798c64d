"""Which action units make up an expression, for generated flow.

The combinations are those of the literature, none was counted in the sheets of
a database:
  P. Ekman, W. V. Friesen, "EMFACS-7: Emotional Facial Action Coding System"
    (1983): prototypes and their parts.
  A. Davison, W. Merghani, M. H. Yap, "Objective classes for micro-facial
    expression recognition" (J. Imaging 4(10), 2018): the combinations of each
    of their classes, many of them single units, as micro-expressions have.
  S. Du, Y. Tao, A. M. Martinez, "Compound facial expressions of emotion" (PNAS
    111(15), 2014): which units people add.
  D. Matsumoto, H. C. Hwang, "Evidence for training the ability to read
    microexpressions of emotion" (Motivation and Emotion 35, 2011): contempt is
    shown on one side.
  W.-J. Yan et al., "CASME II" (PLoS ONE 9(1), 2014): the criteria by which its
    clips are labelled, repression among them.
The weights say how common a combination is among those of its emotion. They are
round numbers, ours: a part of a prototype is as common as the prototype.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
import numpy as np

from mejax.corpora.faces import muscles

CLASSES = ('negative', 'positive', 'surprise')

# (class, emotion, weight of the emotion, combinations with their weights).
EMOTIONS = (
  (
    'negative', 'anger', 3.0,
    {'4': 3, '4+7': 2, '4+5': 0.5, '4+5+7': 0.5, '23': 1, '24': 0.5,
     '4+23': 0.5, '4+24': 0.5, '4+7+23': 0.5, '17+24': 0.5, '7': 0.7},
  ),
  (
    'negative', 'disgust', 3.0,
    {'9': 1, '10': 1.5, '4+9': 1, '4+7': 2, '9+17': 0.3, '4+7+9': 0.7,
     '7+10': 0.5, '4+10': 0.7, '10+17': 0.3, '4+7+10': 0.5, '4': 1},
  ),
  (
    'negative', 'sadness', 1.2,
    {'1+4': 1.5, '15': 1.5, '1+4+15': 0.7, '15+17': 1, '17': 0.7,
     '1+15': 0.3, '4+15': 0.5},
  ),
  (
    'negative', 'fear', 0.6,
    {'1+2+4': 1, '1+2+4+5': 0.7, '1+4+5': 0.5, '20': 1, '4+5': 0.5,
     '20+25': 0.5},
  ),
  ('negative', 'contempt', 0.8, {'14': 3, '10': 0.5, '12+14': 0.3}),
  (
    'negative', 'repression', 1.5,
    {'15': 1, '17': 1, '14': 1, '15+17': 0.7, '14+17': 0.3, '24': 0.3},
  ),
  (
    'positive', 'happiness', 1.0,
    {'12': 3, '6+12': 3, '12+25': 0.7, '6+12+25': 0.7, '7+12': 0.5,
     '6+7+12': 0.5, '6': 0.3, '12+14': 0.5, '12+17': 0.2, '12+24': 0.2},
  ),
  (
    'surprise', 'surprise', 1.0,
    {'1+2': 4, '1+2+5': 1, '1+2+25': 1, '1+2+26': 0.5, '1+2+5+26': 0.7,
     '1+2+25+26': 0.5, '2': 0.6, '1': 0.3, '5': 0.3, '25+26': 0.3},
  ),
)  # fmt: skip

# Emotions that are mostly shown on one side.
ONE_SIDED = ('contempt',)


class Table(NamedTuple):
  """All combinations as arrays.

  Attributes:
    units: whether a combination has each unit of `muscles.NAMES`.
    weights: how common it is in each class; 0 if it is of another class.
    one_sided: whether it is mostly shown on one side.
  """

  units: Float[np.ndarray, 'm u']
  weights: Float[np.ndarray, 'k m']
  one_sided: Float[np.ndarray, ' m']


def table() -> Table:
  """Returns the combinations of `EMOTIONS` as arrays."""
  units, weights, one_sided = [], [], []
  for name, emotion, share, combinations in EMOTIONS:
    whole = sum(combinations.values())
    for combination, weight in combinations.items():
      has = combination.split('+')
      units.append([unit in has for unit in muscles.NAMES])
      weights.append([share * weight / whole * (name == k) for k in CLASSES])
      one_sided.append(emotion in ONE_SIDED)
  weights = np.array(weights, np.float32).T
  return Table(
    np.array(units, np.float32),
    weights / weights.sum(1, keepdims=True),
    np.array(one_sided, np.float32),
  )
