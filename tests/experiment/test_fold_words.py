"""The sentence above a table says what its folds are, and only that."""

from __future__ import annotations

import numpy as np
import pytest

from mejax.datasets import protocols
from mejax.evaluation import selection
from mejax.experiment import fold_words
from mejax.training import folds as folds_lib

GROUPS = np.array(['a', 'a', 'b', 'c', 'c', 'd'])
LABELS = np.array([0, 1, 0, 1, 0, 1])
SHIPPED = protocols.PROTOCOLS.values()


@pytest.mark.parametrize('protocol', SHIPPED, ids=lambda each: each.name)
def test_no_protocol_contradicts_its_folds(protocol):
  sentence = protocol.sentence
  who = 'databases' if protocol.left_out == 'corpus' else 'subjects'
  assert fold_words.say(sentence, GROUPS, GROUPS) == sentence
  assert 'left out at a time' in sentence
  parts = folds_lib.left_out_together(GROUPS, 2)
  said = fold_words.say(sentence, GROUPS, parts)
  assert said.endswith(f', {who} left out in 2 parts.')
  clips = folds_lib.over_clips(LABELS, 3)
  mixed = fold_words.say(sentence, GROUPS, clips)
  assert mixed.endswith(f', folds over clips: {selection.BOTH_SIDES}.')
  for words in (said, mixed, fold_words.without(sentence)):
    assert 'at a time' not in words


def test_a_protocol_of_ones_own_gets_a_sentence_more():
  parts = folds_lib.left_out_together(GROUPS, 2)
  assert fold_words.say('Mine.', GROUPS, parts) == (
    'Mine. Here they are left out in 2 parts, not one at a time.'
  )
  clips = folds_lib.over_clips(LABELS, 3)
  assert fold_words.say('Mine.', GROUPS, clips) == (
    f'Mine. Here are folds over clips: {selection.BOTH_SIDES}.'
  )
  assert fold_words.say('Mine.', GROUPS, GROUPS) == 'Mine.'
