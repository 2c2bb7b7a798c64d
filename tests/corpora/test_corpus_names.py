"""One corpus has one name, and two corpora have two."""

from __future__ import annotations

import pytest

from mejax.corpora import corpus_names
from mejax.datasets import generated
from mejax.experiment.spotting import filming


@pytest.mark.parametrize(
  'spelling, name',
  [
    ('CASME II', 'casme2'),
    ('casme-2', 'casme2'),
    ('CASME Ⅱ', 'casme2'),
    ('CASME I', 'casme'),
    ('CAS(ME)^2', 'casme2_long'),
    ('CAS(ME)²', 'casme2_long'),
    ('CASME^2', 'casme2_long'),
    ('cas(me)2_long', 'casme2_long'),
    ('CAS(ME)3', 'casme3'),
    ('CAS(ME)³ Part A', 'casme3'),
    ('CASME3_C', 'casme3_c'),
    ('CASME3_long', 'casme3_long'),
    ('SAMM Long Videos', 'samm_long'),
    ('SMIC-HS', 'smic'),
    ('SMIC_VIS', 'smic_vis'),
    ('SMIC-VIS-E', 'smic_vis'),
    ('4DME', 'fourdme'),
    ('МMEW', 'mmew'),
  ],
)
def test_spellings_in_use_mean_a_corpus(spelling, name):
  assert corpus_names.common(spelling) == name


def test_names_of_mejax_stay_as_they_are():
  for name in (*corpus_names.NAMES, generated.CORPUS, filming.CORPUS):
    assert corpus_names.common(name) == name


def test_a_corpus_of_ones_own_is_known_again():
  assert corpus_names.common('My-Lab') == corpus_names.common('mylab')
  assert corpus_names.common('mylab 2') != corpus_names.common('mylab')
  assert corpus_names.common('-') == '-'
