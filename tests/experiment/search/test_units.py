"""Units of work: done once, by anyone, cut anyhow."""

from __future__ import annotations

import json

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

from mejax import experiment
from mejax.experiment.search import state
from mejax.experiment.search import units
from tests import own_parts
from tests.training import setup_trials

pytestmark = pytest.mark.unoptimised


@pytest.fixture(scope='module')
def source():
  inputs, labels, subjects = setup_trials.make_arrays(num_subjects=4, n=40)
  task = experiment.Task(
    inputs=inputs,
    labels=labels,
    corpus=np.full(40, 'own'),
    subject=subjects,
    clip=np.arange(40).astype(str),
    class_names=('a', 'b', 'c'),
    protocol='Ours.',
    groups=subjects,
  )
  return {'task': task, 'model': own_parts.Linear()}


@pytest.fixture(scope='module')
def unit(source):
  config = experiment.load_config(
    'synthetic:smoke',
    ['inner_folds=2', 'setting.mirror=0', 'selection=last', 'mode=map'],
  )
  plan = experiment.plan(config, **source)
  setting = dict(vars(plan.settings[0]))
  return {
    'program': {
      'config': json.loads(config.to_json()),
      'ends': [setting],
      'inner': True,
    },
    'settings': [setting, setting | {'learning_rate': 0.1}],
    'trials': {
      'fold': [0, 0, 1, 3, 2],
      'inner': [0, 1, 1, 0, 0],
      'seed': [0, 0, 1, 0, 0],
      'setting': [0, 0, 1, 1, 0],
    },
    'keep_models': False,
    'may_diverge': False,
    'owner': 'me',
  }


@hypothesis.given(
  st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=40),
  st.integers(1, 12),
)
@hypothesis.settings(max_examples=30)
def test_a_cut_keeps_every_training_once_in_parts_of_nearly_equal_size(
  tmp_path_factory, rows, most
):
  fold, seed, setting = (list(column) for column in zip(*rows, strict=True))
  trials = {'fold': fold, 'inner': fold, 'seed': seed, 'setting': setting}
  whole = {'settings': [{'x': i} for i in range(5)], 'trials': trials}
  folder = tmp_path_factory.getbasetemp()
  parts = units.split(whole, folder, most=most, label='a')
  found = [
    (f, s, part['settings'][i]['x'])
    for part in parts
    for f, s, i in zip(
      *(part['trials'][key] for key in ('fold', 'seed', 'setting')),
      strict=True,
    )
  ]
  assert found == rows
  sizes = [len(part['trials']['fold']) for part in parts]
  assert max(sizes) <= most and max(sizes) - min(sizes) <= 1
  # A name tells the content.
  names = [part['result'] for part in parts]
  assert len(set(names)) == len({json.dumps(part['trials']) for part in parts})
  assert all(json.loads(json.dumps(part)) == part for part in parts)


def test_however_trainings_are_cut_their_bits_are_the_same(
  source, unit, tmp_path
):
  found = {}
  for most in (99, 2):
    rows = {}
    for part in units.split(unit, tmp_path, most=most, label=f'u{most}'):
      units.do(part, **source)
      arrays = units.read(part)
      for i, fold in enumerate(arrays['fold'].tolist()):
        place = fold, *(int(arrays[key][i]) for key in ('inner', 'seed'))
        rows[place] = arrays['logits'][i].tobytes(), arrays['train_loss'][i]
    found[most] = rows
  assert len(found[99]) == 5
  assert found[99] == found[2]
  # Nothing but results is left.
  assert all(path.suffix == '.npz' for path in tmp_path.iterdir())


def test_a_unit_that_is_done_is_not_done_again_unless_it_is_damaged(
  source, unit, tmp_path, capsys
):
  (part,) = units.split(unit, tmp_path, most=99, label='u')
  path = tmp_path / part['result']
  with pytest.raises(FileNotFoundError, match='makes it again'):
    units.read(part)
  units.do(part, **source)
  first, written = units.read(part), path.stat()
  left = path.with_suffix('') / 'checkpoints'  # A kill came before it was gone.
  left.mkdir(parents=True)
  units.do(part, **source)
  assert path.stat().st_mtime_ns == written.st_mtime_ns
  assert not left.exists() and not capsys.readouterr().out
  path.write_text('x')
  with pytest.raises(ValueError, match='is damaged .*makes it again'):
    units.read(part)
  units.do(part, **source)
  assert f'{path.name} is damaged' in capsys.readouterr().out
  again = units.read(part)
  for name in first.keys() - {'seconds'}:
    np.testing.assert_array_equal(first[name], again[name])


def test_results_of_another_search_are_refused(source, unit, tmp_path):
  (part,) = units.split(unit, tmp_path, most=99, label='u')
  units.do(part, **source)
  with pytest.raises(ValueError, match='belongs to another config or other'):
    units.read(part | {'owner': 'you'})


@hypothesis.given(st.integers(1, 300))
@hypothesis.settings(max_examples=30)
def test_a_training_is_saved_at_four_places_at_most_and_at_its_end(epochs):
  window = state._window(epochs)
  assert epochs % window == 0 and epochs // window <= 4
