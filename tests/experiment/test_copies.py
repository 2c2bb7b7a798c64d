"""Inputs that are those of two people are named."""

from __future__ import annotations

import numpy as np
import pytest

from mejax import experiment
from mejax.experiment import copies
from tests import own_parts


def _task(inputs, groups):
  return experiment.Task(
    inputs=inputs,
    labels=np.arange(len(groups)) % 2,
    corpus=np.full(len(groups), 'own'),
    subject=np.array(list(groups)),
    clip=np.array([str(i) for i in range(len(groups))]),
    class_names=('a', 'b', 'c'),
    protocol='Made-up.',
    groups=np.array(list(groups)),
  )


@pytest.fixture
def inputs():
  draw = np.random.default_rng(0).normal(size=(6, 5, 5, 3))
  return draw.astype(np.float32)


def test_an_example_of_two_people_is_named_with_both(inputs):
  assert copies.say(_task(inputs, 'aabbcc')) == ''
  inputs[4] = inputs[1]
  said = copies.say(_task(inputs, 'aabbcc'))
  assert 'are the same: a/1 and c/4. If' in said
  # Of one person, it is hers twice.
  assert copies.say(_task(inputs, 'aabbac')) == ''


def test_many_are_counted(inputs):
  said = copies.say(_task(np.concatenate([inputs, inputs]), 'abcdefghijkl'))
  assert 'a/0 and g/6, b/1 and h/7, c/2 and i/8 and 3 more. If' in said


@pytest.mark.parametrize('values', [1, 2, 15])
def test_inputs_of_a_few_values_prove_nothing(inputs, values):
  few = np.resize(np.arange(values, dtype=np.float32), (6, 5, 5, 3))
  few[:] = few[0]
  assert copies.say(_task(few, 'aabbcc')) == ''


def test_the_sentence_stands_above_the_table(inputs):
  inputs[4] = inputs[1]
  config = experiment.load_config(
    'synthetic', ['num_epochs=1', 'num_seeds=1', 'setting.mirror=0']
  )
  plan = experiment.plan(
    config, task=_task(inputs, 'aabbcc'), model=own_parts.Linear()
  )
  assert 'a/1 and c/4' in plan.sentence
