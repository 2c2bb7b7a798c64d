"""Videos become inputs exactly as the data of a model did, or not at all."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest

import mejax
from mejax.corpora import synthetic
from mejax.datasets import generated
from mejax.datasets import load
from mejax.datasets import prepare
from mejax.datasets import protocols
from mejax.datasets.recipe import Recipe
from mejax.experiment import identity
from mejax.experiment import resolve
from mejax.experiment import task as task_lib
from mejax.experiment.packs import packing
from mejax.experiment.packs import recipes
from mejax.experiment.predicting import making as making_lib
from mejax.experiment.predicting import shipped
from tests import closeness


def with_recipe(recipe, *, is_generated=False):
  """Returns the model that ships, as if its data had been made so."""
  model = shipped.load()
  about = copy.deepcopy(dict(model.about))
  about['recipe'] = recipe
  about['data']['generated'] = is_generated
  return dataclasses.replace(model, about=about)


def test_a_recipe_is_read_from_what_a_model_tells_of_it():
  asked = Recipe(
    levels=(1.0, 2.0), magnify='phase', flow='farneback', size=64,
    faces='yunet', strain='magnitude', mask_eyelids=True, neighbours=2,
    apex='midpoint',
  )  # fmt: skip
  making = making_lib.making_of(
    with_recipe(asked.describe()), which_face='left'
  )
  assert making.recipe == dataclasses.replace(asked, which_face='left')
  assert not making.remarks and not making.generated


@pytest.mark.parametrize(
  'change, words',
  [
    ({'flow': {'method': 'tvl1', 'blur': 9.0}}, 'blur'),
    ({'flow': {'method': 'as released'}, 'units': 'minmax255'}, 'ready-made'),
    ({'magnify': {'method': 'learned', 'weights_sha256': 'a'}}, 'MagNet'),
    ({'strain': 'other'}, 'strain'),
  ],
)
def test_what_cannot_be_made_in_the_same_way_is_refused(change, words):
  model = with_recipe(Recipe(levels=(2.0,)).describe() | change)
  with pytest.raises(ValueError, match=words):
    making_lib.making_of(model)


def with_view(model, view):
  config = model.config.copy_and_resolve_references()
  with config.unlocked(), config.ignore_type():
    config.view = view
  return dataclasses.replace(model, config=config)


def test_a_model_of_arrays_is_refused_with_the_call_that_takes_arrays():
  # As `own_arrays.leave_one_subject_out` writes it.
  model = with_view(with_recipe({}), {'name': ''})
  with pytest.raises(ValueError, match=r'arrays.*load_model.*predict\(arrays'):
    making_lib.making_of(model)


def test_a_view_given_as_a_function_is_refused_with_the_way_to_name_it():
  def view(examples):
    return examples['flow'][:, 0]

  model = with_view(with_recipe(Recipe().describe()), identity.describe(view))
  with pytest.raises(ValueError, match=r'view\.name=package\.module:name'):
    making_lib.making_of(model)


def test_a_model_of_generated_flow_that_names_a_recipe_of_videos_has_it():
  asked = Recipe(size=28)
  making = making_lib.making_of(
    with_recipe(asked.describe(), is_generated=True)
  )
  assert making.recipe == asked and not making.generated


def generated_only(version=generated.VERSION):
  """Returns the model that ships, as if packed without a recipe of videos."""
  told = {
    'units': 'minmax255', 'strain': 'shreve', 'flow': {'method': 'generated'},
    'levels': [1.0], 'size': 28, 'landmark_source': 'generated',
    'magnify': {'method': 'none'}, 'generator': version,
  }  # fmt: skip
  model = with_recipe(told, is_generated=True)
  config = model.config.copy_and_resolve_references()
  config.generated.version = version
  config.generated.update(size=28, crop='released', units='minmax255')
  return dataclasses.replace(model, config=config)


def test_a_model_of_generated_flow_alone_reads_videos_that_are_cut_like_it():
  making = making_lib.making_of(generated_only())
  assert making.recipe.remove_head_motion and making.recipe.size == 128
  rng = np.random.default_rng(0)
  side = making.recipe.size
  clips = making.clips(
    {
      'flow': rng.normal(size=(2, 1, side, side, 3)).astype(np.float32),
      'landmarks': np.zeros((2, 5, 2), np.float32),
    }
  )
  assert clips.inputs.shape == (2, 28, 28, 3)
  # The view normalises each channel.
  np.testing.assert_allclose(clips.inputs.std((1, 2)), 1, atol=1e-4)


def test_another_version_of_the_generator_is_refused():
  with pytest.raises(ValueError, match='version 1 of the generator'):
    making_lib.making_of(generated_only(version=1))


@pytest.mark.slow
def test_predictions_are_those_of_the_prepared_dataset(tmp_path):
  faces = synthetic.write(
    tmp_path / 'faces', num_subjects=2, clips_per_subject=2, progress=False
  )
  rows = pd.read_csv(faces / 'labels.csv', dtype=str)
  sheet = tmp_path / 'my.csv'
  named = rows['subject'] + '/' + rows['clip']
  rows.assign(clip=named).drop(columns=['action_units', 'amplitude']).to_csv(
    sheet, index=False
  )
  prepare.prepare(
    'video',
    source=faces,
    data_dir=tmp_path / 'data',
    recipe=Recipe(size=64),
    options={'labels': str(sheet)},
    workers=0,
    progress=False,
  )
  model = with_recipe(
    recipes.told(load.read_metadata('video', tmp_path / 'data'))
  )
  reading = resolve.find_reading(
    model.config, protocol=protocols.PROTOCOLS['own']
  )
  task = task_lib.load_task('video', tmp_path / 'data', **reading)
  expected = model.predict(task.inputs)
  assert task.clip.tolist() == (rows['subject'] + '_' + rows['clip']).tolist()
  found = []
  for row in rows.itertuples():
    table = mejax.predict(
      faces / row.subject / row.clip,
      model=model,
      onset=int(row.onset),
      apex=int(row.apex),
      offset=int(row.offset),
      progress=False,
    )
    found.append(table[[f'p_{name}' for name in model.classes]].to_numpy()[0])
  closeness.assert_close(np.array(found, np.float32), expected, 1e-5)


def test_a_finished_run_is_packed_on_the_way(tmp_path, monkeypatch):
  (tmp_path / 'record.npz').touch()
  asked = []

  def pack(run, out, *, trust_code):
    asked.append((run, trust_code))
    return shipped.load()

  monkeypatch.setattr(packing, 'pack', pack)
  # Messages name the run, and not a folder that is gone.
  assert shipped.load(tmp_path, trust_code=True).folder == tmp_path
  assert asked == [(tmp_path, True)]
