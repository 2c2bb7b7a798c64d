"""Rendered faces are read as generated pictures are made; nobody else is."""

from __future__ import annotations

import numpy as np
import pytest

from mejax import files
from mejax.corpora.faces import individuals
from mejax.corpora.faces import muscles
from mejax.datasets import as_generated
from mejax.datasets import builder
from mejax.datasets import generated
from mejax.datasets import rendered
from mejax.motion import alignment

SIDE = 128
UNITS = {'negative': [4, 7], 'positive': [6, 12], 'surprise': [1, 2, 26]}
OPTIONS = {'size': 28, 'crop': 'released', 'units': 'minmax255'}
USUAL = {'crop': 'released', 'size': 28, 'levels': (1.0,)}


def write(data_dir, *, people=4, name='faces', **changes):
  """Writes a dataset of patterns as one of rendered faces; returns its flow."""
  made = np.random.default_rng(people)
  rows = []
  for person in range(people):
    for clip, emotion in enumerate(UNITS):
      coarse = made.normal(size=(8, 8, 3))
      flow = np.kron(coarse, np.ones((SIDE // 8, SIDE // 8, 1)))
      rows.append(
        {
          'flow': flow[None].astype(np.float32),
          'landmarks': (alignment.CANONICAL * SIDE - 0.5).astype(np.float32),
          'emotion': emotion,
          'corpus': 'synthetic',
          'subject': f's{person:02d}',
          'clip': f'c{clip}',
          'apex_source': 'rendered',
        }
      )
  names = [
    '/'.join(row[k] for k in ('corpus', 'subject', 'clip')) for row in rows
  ]
  metadata = {
    'schema_version': builder.SCHEMA_VERSION,
    'corpora': ['synthetic'],
    **as_generated.recipe_of(**USUAL).describe(),
    'clips': names,
    'units_shown': {
      name: UNITS[row['emotion']] for name, row in zip(names, rows, strict=True)
    },
  }
  config = builder.Config(
    name=name,
    number=len(rows),
    examples=lambda start, stop: iter(rows[start:stop]),
    features=rows[0],
    metadata=metadata | changes,
  )
  folder = data_dir / builder.NAME / name / builder.VERSION
  with files.replacing(folder) as partial:
    builder.write(config, partial)
  return np.stack([row['flow'] for row in rows])


def test_they_have_the_form_of_generated_pictures_and_go_with_them(tmp_path):
  write(tmp_path)
  found, made = rendered.examples('faces', tmp_path, seed=0, **OPTIONS)
  drawn, _ = generated.examples(people=2, pictures=3)
  assert found.keys() == drawn.keys()
  for key, array in drawn.items():
    assert found[key].shape[1:] == array.shape[1:], key
    assert found[key].dtype.kind == array.dtype.kind, key
  assert (found['flow'].max((2, 3)) == 255).all()
  for row, emotion in zip(found['action_units'], found['emotion'], strict=True):
    shown = np.array(muscles.NAMES)[row > 0].tolist()
    assert shown == list(map(str, UNITS[emotion]))
  assert made['corpora'] == ['synthetic'] and made['remove_head_motion']


def test_a_person_is_cut_out_at_a_place_of_its_own(tmp_path):
  flow = write(tmp_path)
  options = OPTIONS | {'units': 'pixel'}
  found, _ = rendered.examples('faces', tmp_path, seed=0, **options)
  apart = np.ptp(found['landmarks'][:, :2, 0], axis=1)
  by_person = apart.reshape(4, 3)
  np.testing.assert_allclose(np.ptp(by_person, axis=1), 0, atol=1e-4)
  assert np.ptp(by_person[:, 0]) > 0.3
  ends = [28 * individuals.CROPS['released'][i][2] for i in (0, 1)]
  assert min(ends) - 4 < apart.min() < apart.max() < max(ends) + 4
  again, _ = rendered.examples('faces', tmp_path, seed=0, **options)
  np.testing.assert_array_equal(again['flow'], found['flow'])
  other, _ = rendered.examples('faces', tmp_path, seed=1, **options)
  assert (other['flow'] != found['flow']).any()
  # Without variety all are cut out as videos are before a model reads them.
  usual, _ = rendered.examples(
    'faces', tmp_path, seed=0, variety=0.0, **options
  )
  expected = as_generated.convert(flow, **options)
  np.testing.assert_allclose(usual['flow'], expected, atol=1e-3)


def test_several_pictures_are_cut_out_of_each_clip(tmp_path):
  write(tmp_path, people=2)
  found, _ = rendered.examples('faces', tmp_path, seed=0, cuts=3, **OPTIONS)
  assert len(found['flow']) == 2 * 3 * 3
  names = [
    '/'.join(row) for row in zip(found['subject'], found['clip'], strict=True)
  ]
  assert len(set(names)) == 18 and names[:3] == [
    f's00/c0_{i}' for i in range(3)
  ]
  points = found['landmarks'].reshape(2, 3, 3, -1)
  # The cuts of all clips of a person are alike, and differ from each other.
  np.testing.assert_allclose(np.ptp(points, axis=1), 0, atol=1e-4)
  assert np.ptp(points[:, 0], axis=1).max(-1).min() > 0.1
  for key in ('emotion', 'action_units'):
    rows = found[key].reshape(6, 3, -1)
    assert (rows == rows[:, :1]).all()
  with pytest.raises(ValueError, match='0 cuts of each clip'):
    rendered.examples('faces', tmp_path, seed=0, cuts=0, **OPTIONS)


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'corpora': ['casme2']}, 'has casme2; expected only synthetic'),
    ({'corpora': ['synthetic', 'smic']}, 'has synthetic, smic; expected only'),
    ({'size': 64}, '--size 64.*need `mejax prepare synthetic.*remove_head'),
    ({'remove_head_motion': False}, 'options of their defaults; these'),
    ({'flow': {'method': 'farneback'}}, '--flow farneback'),
    ({'landmark_source': 'none: cut already'}, '--faces none'),
    ({'units_shown': {}}, 'lists no action units'),
    ({'units_shown': {'synthetic/s00/c0': [4]}}, '11 of 12.*Render'),
  ],
)
def test_other_data_are_refused_and_the_command_is_told(
  changes, message, tmp_path
):
  write(tmp_path, **changes)
  with pytest.raises(ValueError, match=message):
    rendered.examples('faces', tmp_path, seed=0, **OPTIONS)


def test_aligned_faces_keep_the_flow_that_was_measured(tmp_path):
  how = {'size': SIDE, 'crop': 'aligned'}
  recipe = as_generated.recipe_of(**how, levels=(1.0,)).describe()
  flow = write(tmp_path, **recipe)
  found, made = rendered.examples(
    'faces', tmp_path, seed=0, units='pixel', variety=0.0, **how
  )
  np.testing.assert_allclose(found['flow'][..., :2], flow[..., :2], atol=1e-4)
  assert not made['remove_head_motion']


def test_faces_may_be_placed_by_their_true_points(tmp_path):
  write(tmp_path, landmark_source="given: the corpus's own points")
  found, _ = rendered.examples('faces', tmp_path, seed=0, **OPTIONS)
  assert len(found['flow']) == 12
