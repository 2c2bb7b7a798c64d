"""Baselines: the known numbers, and that nothing held out is fitted."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest
from scipy import special
from sklearn import decomposition
from sklearn import discriminant_analysis
from sklearn import linear_model
from sklearn import metrics as sklearn_metrics
from sklearn import model_selection
from sklearn import pipeline
from sklearn import preprocessing
from sklearn import svm

from mejax.evaluation import baselines
from mejax.evaluation import metrics
from tests import closeness

# Grouping, and the UF1 of LDA and RBF-SVM on it.
GROUPED = [('A', 0.746, 0.745), ('B', 0.742, 0.716)]


@pytest.fixture(scope='module')
def blobs():
  """Inputs of 3 separable classes of 12 subjects."""
  generator = np.random.default_rng(0)
  labels = generator.integers(0, 3, 96)
  centres = generator.normal(size=(3, 5, 4))
  inputs = centres[labels] + generator.normal(size=(96, 5, 4))
  return inputs, labels, np.repeat([f's{i:02d}' for i in range(12)], 8)


@pytest.fixture(scope='module')
def flow():
  """Flow of 10 people, (u, v, strain), whose classes move up or sideways."""
  generator = np.random.default_rng(0)
  labels = generator.integers(0, 3, 70)
  patterns = generator.normal(size=(3, 8, 8, 3))
  images = 0.15 * patterns[labels] + generator.normal(size=(70, 8, 8, 3))
  images = 3 * images + generator.normal(size=(70, 1, 1, 3))
  return images.astype(np.float32), labels, np.repeat(list('abcdefghij'), 7)


@pytest.fixture(scope='module')
def images_442(shared):
  """The 442 images (u, v, strain), their labels, people and grouped folds."""
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
  )[..., ::-1]
  labels = np.array([int(row['label']) for row in rows])
  people = np.array([f'{row["dataset"]}/{row["sub"]}' for row in rows])
  with open(shared / 'specs/groupings.csv', newline='') as file:
    parts = {
      f'{row["corpus"]}/{row["subject"]}': row for row in csv.DictReader(file)
    }
  return inputs, labels, people, parts


def uf1(labels, predicted):
  return metrics.uf1(labels, predicted, num_classes=3)


def test_the_442_images_give_the_known_numbers(images_442):
  inputs, labels, people, _ = images_442
  found = baselines.baselines(
    inputs, labels, groups=people, u_channel=0, progress=False
  )
  assert uf1(labels, found['majority']) == pytest.approx(0.241, abs=0.001)
  assert uf1(labels, found['lda']) == pytest.approx(0.738, abs=0.005)
  assert uf1(labels, found['rbf_svm']) == pytest.approx(0.734, abs=0.008)
  assert uf1(labels, found['logistic']) == pytest.approx(0.712, abs=0.008)
  assert metrics.uar(labels, found['lda'], num_classes=3) == pytest.approx(
    0.739, abs=0.008
  )


@pytest.mark.parametrize('grouping, lda, rbf_svm', GROUPED)
def test_grouped_folds_of_the_442_images_give_the_known_numbers(
  images_442, grouping, lda, rbf_svm
):
  inputs, labels, people, parts = images_442
  groups = np.array([parts[person][grouping] for person in people])
  found = baselines.baselines(
    inputs, labels, groups=groups, u_channel=0, progress=False
  )
  assert uf1(labels, found['lda']) == pytest.approx(lda, abs=0.01)
  assert uf1(labels, found['rbf_svm']) == pytest.approx(rbf_svm, abs=0.01)


def plain(name):
  """The classifiers as they are usually written."""
  return {
    'lda': pipeline.make_pipeline(
      decomposition.PCA(64, svd_solver='full'),
      discriminant_analysis.LinearDiscriminantAnalysis(
        solver='lsqr', shrinkage=0.3
      ),
    ),
    'logistic': pipeline.make_pipeline(
      decomposition.PCA(64, whiten=True, svd_solver='full'),
      linear_model.LogisticRegression(class_weight='balanced', max_iter=1000),
    ),
    'rbf_svm': svm.SVC(C=10.0),
  }[name]


def plain_scores(model, inputs):
  scores = getattr(model, 'predict_proba', None) or model.decision_function
  return scores(inputs)


@pytest.mark.parametrize('name', ['lda', 'logistic', 'rbf_svm'])
def test_flow_is_classified_as_by_plain_scikit_learn(flow, name):
  inputs, labels, groups = flow
  each = (1, 2)
  images = inputs.astype(np.float64)
  images = images - images.mean(each, keepdims=True)
  images /= images.std(each, keepdims=True)
  mirrored = images[:, :, ::-1] * [-1, 1, 1]
  images, mirrored = (x.reshape(len(x), -1) for x in (images, mirrored))
  expected = np.zeros((70, 3))
  for group in np.unique(groups):
    test = groups == group
    model = plain(name).fit(
      np.concatenate([images[~test], mirrored[~test]]),
      np.tile(labels[~test], 2),
    )
    expected[test] = (
      plain_scores(model, images[test]) + plain_scores(model, mirrored[test])
    ) / 2
  found = baselines.baselines(
    inputs, labels, groups=groups, u_channel=0, progress=False
  )
  agree = (expected.argmax(1) == labels).mean()
  assert 0.4 < agree < 0.95  # Clips lie near the borders of the classes.
  np.testing.assert_array_equal(found[name], expected.argmax(1))
  if name != 'rbf_svm':
    shares = baselines.probabilities_of(found)[name]
    closeness.assert_close(shares, expected, 1e-4, scale=1)


@pytest.mark.parametrize('name', ['lda', 'logistic', 'rbf_svm'])
def test_other_arrays_are_standardised_and_not_mirrored(blobs, name):
  inputs, labels, groups = blobs
  # Noise, so that clips lie near the borders of the classes.
  inputs = inputs + 3 * np.random.default_rng(1).normal(size=inputs.shape)
  inputs = inputs * np.arange(1, 21).reshape(5, 4)
  model = pipeline.make_pipeline(preprocessing.StandardScaler(), plain(name))
  if name != 'rbf_svm':
    model.set_params(pipeline__pca__n_components=20)
  expected = model_selection.cross_val_predict(
    model,
    inputs.reshape(len(inputs), -1),
    labels,
    groups=groups,
    cv=model_selection.LeaveOneGroupOut(),
  )
  found = baselines.baselines(inputs, labels, groups=groups, progress=False)
  assert 0.4 < (expected == labels).mean() < 0.95
  np.testing.assert_array_equal(found[name], expected)


def test_a_mirrored_face_is_classified_as_itself(flow):
  inputs, labels, groups = flow
  turned = inputs.copy()
  held_out = groups == 'c'
  turned[held_out] = turned[held_out, :, ::-1] * np.float32([-1, 1, 1])
  before, after = (
    baselines.baselines(x, labels, groups=groups, u_channel=0, progress=False)
    for x in (inputs, turned)
  )
  for name, shares in baselines.probabilities_of(before).items():
    closeness.assert_close(after[f'{name}_probabilities'], shares, 1e-6)


@pytest.mark.parametrize('u_channel', [0, None])
def test_a_held_out_persons_pixels_change_nothing_of_the_fit(flow, u_channel):
  inputs, labels, groups = flow
  held_out = np.flatnonzero(groups == 'e')
  changed = inputs.copy()
  noise = np.random.default_rng(5).normal(size=changed[held_out].shape)
  changed[held_out] = 1e3 * noise
  # One clip stays: it shows what was fitted.
  changed[held_out[0]] = inputs[held_out[0]]
  fold = [(np.flatnonzero(groups != 'e'), held_out)]
  before, after = (
    baselines.baselines(
      x, labels, folds=fold, u_channel=u_channel, progress=False
    )
    for x in (inputs, changed)
  )
  for name, array in before.items():
    if array.ndim:
      np.testing.assert_array_equal(
        array[held_out[0]], after[name][held_out[0]], err_msg=name
      )
  assert (before['lda'] != after['lda']).any()


def test_probabilities_are_those_of_the_predictions(flow):
  inputs, labels, groups = flow
  found = baselines.baselines(
    inputs, labels, groups=groups, num_classes=4, progress=False
  )
  shares = baselines.probabilities_of(found)
  assert set(shares) == {'lda', 'logistic', 'rbf_svm'}
  for name, array in shares.items():
    assert array.shape == (70, 4) and (array[:, 3] == 0).all()
    np.testing.assert_allclose(array.sum(1), 1)
    np.testing.assert_array_equal(array.argmax(1), found[name])


def test_the_svm_is_as_sure_as_it_is_right(blobs):
  inputs, labels, groups = blobs
  inputs = inputs + 2 * np.random.default_rng(1).normal(size=inputs.shape)
  found = baselines.baselines(
    inputs, labels, groups=groups, names=['rbf_svm'], progress=False
  )
  shares = baselines.probabilities_of(found)['rbf_svm']
  loss = sklearn_metrics.log_loss(labels, shares)
  # One scale for all classes: in each fold the logits are decision values.
  test = groups == 's03'
  rows = preprocessing.StandardScaler().fit(inputs[~test].reshape(-1, 20))
  train, held_out = (
    rows.transform(inputs[i].reshape(-1, 20)) for i in (~test, test)
  )
  values = (
    plain('rbf_svm').fit(train, labels[~test]).decision_function(held_out)
  )
  centred = [
    x - x.mean(1, keepdims=True) for x in (np.log(shares[test]), values)
  ]
  scale = (centred[0] * centred[1]).sum() / (centred[1] ** 2).sum()
  closeness.assert_close(centred[0], scale * centred[1], 1e-6)
  # Neither a surer nor a less sure SVM says it better.
  for factor in (0.3, 3):
    other = special.softmax(np.log(shares) * factor, axis=1)
    assert loss < sklearn_metrics.log_loss(labels, other)


def test_separable_classes_are_learnt_and_majority_is_not(blobs):
  inputs, labels, groups = blobs
  found = baselines.baselines(inputs, labels, groups=groups, progress=False)
  score = {
    name: metrics.accuracy(labels, predicted, num_classes=3)
    for name, predicted in baselines.predictions_of(found).items()
  }
  assert list(score) == list(baselines.BASELINES)
  assert min(score['rbf_svm'], score['lda'], score['logistic']) > 0.9
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


def test_given_folds_are_used_as_they_are(blobs):
  inputs, labels, _ = blobs
  folds = [(np.arange(48), np.arange(48, 60))]
  found = baselines.baselines(inputs, labels, folds=folds, progress=False)
  for predicted in baselines.predictions_of(found).values():
    assert (predicted[48:60] >= 0).all()
    assert (predicted[:48] == -1).all() and (predicted[60:] == -1).all()


def test_a_training_fold_of_one_class_predicts_it():
  inputs = np.random.default_rng(0).normal(size=(6, 3))
  labels = np.array([0, 0, 0, 0, 1, 1])
  groups = np.array(list('aabbcc'))
  found = baselines.baselines(inputs, labels, groups=groups, progress=False)
  for predicted in baselines.predictions_of(found).values():
    assert predicted[4:].tolist() == [0, 0]


def test_a_class_with_one_training_example_is_fitted_without_a_word(
  blobs, recwarn
):
  inputs, labels, groups = blobs
  labels = labels.copy()
  labels[-1] = labels.max() + 1
  found = baselines.baselines(inputs, labels, groups=groups, progress=False)
  assert baselines.REMARKS not in found
  assert not recwarn.list


def test_what_cannot_be_fitted_is_a_clear_error(blobs):
  inputs, labels, groups = blobs
  with pytest.raises(ValueError, match='either groups or folds'):
    baselines.baselines(inputs, labels)
  broken = inputs.copy()
  broken[7, 0, 0] = np.nan
  with pytest.raises(ValueError, match=r'examples \[7\] are not finite'):
    baselines.baselines(broken, labels, groups=groups)
