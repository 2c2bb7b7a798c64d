"""Baselines: the known numbers, and that nothing held out is fitted."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest
from sklearn import model_selection
from sklearn import pipeline
from sklearn import preprocessing
from sklearn import svm

from mejax.evaluation import baselines
from mejax.evaluation import metrics


@pytest.fixture(scope='module')
def blobs():
  """Inputs of 3 separable classes of 12 subjects."""
  generator = np.random.default_rng(0)
  labels = generator.integers(0, 3, 96)
  centres = generator.normal(size=(3, 5, 4))
  inputs = centres[labels] + generator.normal(size=(96, 5, 4))
  return inputs, labels, np.repeat([f's{i:02d}' for i in range(12)], 8)


def test_the_442_images_give_the_known_numbers(shared):
  folder = shared / 'htnet442'
  table = folder / 'combined_3_class2_for_optical_flow.csv'
  with open(table, newline='') as file:
    rows = list(csv.DictReader(file))
  images = folder / 'datasets/STSNet_whole_norm_u_v_os'
  inputs = np.stack(
    [
      cv2.imread(str(images / f'{row["sub"]}_{row["filename_o"]} .png'))
      for row in rows
    ]
  )
  labels = np.array([int(row['label']) for row in rows])
  groups = np.array([f'{row["dataset"]}/{row["sub"]}' for row in rows])
  found = baselines.baselines(inputs, labels, groups=groups, progress=False)
  expected = {
    'majority': (0.241, 0.333),
    'pca_logistic': (0.692, 0.712),
    'rbf_svm': (0.712, 0.698),
  }
  for name, (uf1, uar) in expected.items():
    assert metrics.uf1(labels, found[name], num_classes=3) == pytest.approx(
      uf1, abs=0.008
    )
    assert metrics.uar(labels, found[name], num_classes=3) == pytest.approx(
      uar, abs=0.008
    )


def test_the_svm_is_that_of_scikit_learn(blobs):
  inputs, labels, groups = blobs
  # Noise, so that clips lie near the borders of the classes.
  inputs = inputs + 3 * np.random.default_rng(1).normal(size=inputs.shape)
  model = pipeline.make_pipeline(
    preprocessing.StandardScaler(), svm.SVC(C=10.0)
  )
  expected = model_selection.cross_val_predict(
    model,
    inputs.reshape(len(inputs), -1).astype(np.float32),
    labels,
    groups=groups,
    cv=model_selection.LeaveOneGroupOut(),
  )
  found = baselines.baselines(inputs, labels, groups=groups, progress=False)
  assert 0.4 < (expected == labels).mean() < 0.95
  np.testing.assert_array_equal(found['rbf_svm'], expected)


def test_separable_classes_are_learnt_and_majority_is_not(blobs):
  inputs, labels, groups = blobs
  found = baselines.baselines(inputs, labels, groups=groups, progress=False)
  score = {
    name: metrics.accuracy(labels, predicted, num_classes=3)
    for name, predicted in found.items()
  }
  assert list(score) == list(baselines.BASELINES)
  assert score['rbf_svm'] > 0.9 and score['pca_logistic'] > 0.9
  assert score['majority'] < 0.5


def test_a_subjects_own_labels_do_not_reach_its_predictions(blobs):
  inputs, labels, groups = blobs
  held_out = groups == 's04'
  changed = np.where(held_out, (labels + 1) % 3, labels)
  before = baselines.baselines(inputs, labels, groups=groups, progress=False)
  after = baselines.baselines(inputs, changed, groups=groups, progress=False)
  for name in baselines.BASELINES:
    np.testing.assert_array_equal(before[name][held_out], after[name][held_out])
  others = np.concatenate([before[n] != after[n] for n in baselines.BASELINES])
  assert others.any()


def test_scaling_is_fitted_without_the_held_out_subject(blobs):
  inputs, labels, groups = blobs
  held_out = np.flatnonzero(groups == 's04')
  alone = inputs.copy()
  alone[held_out[1:]] *= 1e3
  before = baselines.baselines(inputs, labels, groups=groups, progress=False)
  after = baselines.baselines(alone, labels, groups=groups, progress=False)
  for name in baselines.BASELINES:
    assert before[name][held_out[0]] == after[name][held_out[0]]


def test_given_folds_are_used_as_they_are(blobs):
  inputs, labels, _ = blobs
  folds = [(np.arange(48), np.arange(48, 60))]
  found = baselines.baselines(inputs, labels, folds=folds, progress=False)
  for predicted in found.values():
    assert (predicted[48:60] >= 0).all()
    assert (predicted[:48] == -1).all() and (predicted[60:] == -1).all()


def test_a_training_fold_of_one_class_predicts_it():
  inputs = np.random.default_rng(0).normal(size=(6, 3))
  labels = np.array([0, 0, 0, 0, 1, 1])
  groups = np.array(list('aabbcc'))
  found = baselines.baselines(inputs, labels, groups=groups, progress=False)
  for predicted in found.values():
    assert predicted[4:].tolist() == [0, 0]


def test_what_cannot_be_fitted_is_a_clear_error(blobs):
  inputs, labels, groups = blobs
  with pytest.raises(ValueError, match='either groups or folds'):
    baselines.baselines(inputs, labels)
  broken = inputs.copy()
  broken[7, 0, 0] = np.nan
  with pytest.raises(ValueError, match=r'examples \[7\] are not finite'):
    baselines.baselines(broken, labels, groups=groups)
