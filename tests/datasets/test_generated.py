"""Examples of generated flow: whole, repeatable, in the form of a dataset."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mejax.datasets import generated
from mejax.motion import flow as flow_lib
from mejax.training import folds
from tests import closeness

pytestmark = pytest.mark.unoptimised


@pytest.fixture(scope='module')
def made():
  return generated.examples(people=5, pictures=3)


def test_examples_have_the_form_of_a_prepared_dataset(made):
  examples, metadata = made
  assert examples['flow'].shape == (15, 1, 28, 28, 3)
  assert examples['flow'].dtype == np.float32
  assert examples['landmarks'].shape == (15, 5, 2)
  assert len(np.unique(examples['subject'])) == 5
  assert (
    np.unique(examples['emotion'], return_counts=True)[1].tolist() == [5] * 3
  )
  assert metadata['units'] == 'minmax255' and metadata['size'] == 28
  assert metadata['generator'] == generated.VERSION
  names = metadata['action_units']
  assert examples['action_units'].shape == (15, len(names))
  assert examples['action_units'].sum(1).min() >= 1


def test_channels_are_stretched_to_whole_numbers_from_0_to_255(made):
  flow = made[0]['flow']
  np.testing.assert_array_equal(flow.min((2, 3)), 0)
  np.testing.assert_array_equal(flow.max((2, 3)), 255)
  np.testing.assert_array_equal(flow, np.rint(flow))


def test_the_same_picture_comes_again_bit_for_bit_whoever_else_is_drawn(made):
  fewer = generated.examples(people=2, pictures=3)[0]
  for name, array in fewer.items():
    np.testing.assert_array_equal(array, made[0][name][:6])


def test_another_seed_gives_other_pictures(made):
  other = generated.examples(people=2, pictures=3, seed=1)[0]
  assert (other['flow'] != made[0]['flow'][:6]).any((1, 2, 3, 4)).all()


def test_pixels_are_stretched_and_have_the_size_of_a_micro_expression(made):
  flow = generated.examples(people=2, pictures=3, units='pixel')[0]['flow']
  length = np.linalg.norm(flow[..., :2], axis=-1).max((1, 2, 3))
  assert (length > 0.02).all() and (length < 3).all()
  wide = flow.astype(np.float64)
  low, high = (f(wide, (2, 3), keepdims=True) for f in (np.min, np.max))
  true = np.rint(255 * (wide - low) / (high - low))
  # Halves may round either way.
  assert np.abs(true - made[0]['flow'][:6]).max() <= 1
  assert (true == made[0]['flow'][:6]).mean() > 0.999


def test_strain_is_that_of_the_package_and_squares_are_averaged():
  flow = np.random.default_rng(0).normal(size=(1, 8, 6, 2))
  flow = flow.astype(np.float32)
  ours = jax.jit(generated.with_strain)(flow)
  closeness.assert_close(ours[..., :2], flow, 1e-6)
  closeness.assert_close(ours[..., 2], flow_lib.strain(flow), 1e-5)
  mean = generated.shrink(jnp.asarray(flow), 2)
  closeness.assert_close(mean[0, 1, 2], flow[0, 2:4, 4:6].mean((0, 1)), 1e-6)


def test_the_way_of_pulling_changes_the_motion_and_not_what_is_shown(made):
  lines = generated.examples(people=2, pictures=3, pulling='lines')[0]
  for name in ('action_units', 'emotion', 'subject'):
    np.testing.assert_array_equal(lines[name], made[0][name][:6])
  # Another program, which may round otherwise.
  shown = made[0]['landmarks'][:6]
  closeness.assert_close(lines['landmarks'], shown, 1e-6)
  assert (lines['flow'] != made[0]['flow'][:6]).any((1, 2, 3, 4)).all()
  assert np.isfinite(lines['flow']).all()


def test_people_held_out_are_in_no_training(made):
  people = made[0]['subject']
  left_out = folds.left_out_together(people, 5)
  one = folds.leave_one_group_out(left_out)
  seen, held = people[one.train[0] > 0], people[one.test[0]]
  assert set(seen) and set(held) and not set(seen) & set(held)


@pytest.mark.parametrize(
  ('wrong', 'message'),
  [
    ({'units': 'mm'}, "units are 'mm'; expected pixel or minmax255"),
    ({'people': 0}, '3 pictures of 0 people'),
    ({'crop': 'face'}, "crop 'face'; expected released, aligned"),
    ({'pulling': 'springs'}, "is 'springs'; expected points or lines"),
    ({'levels': ()}, 'levels are empty'),
    ({'size': 3}, 'size is 3'),
    ({'disturbance': -1.0}, 'disturbance is -1'),
  ],
)
def test_options_that_make_no_picture_are_refused(wrong, message):
  with pytest.raises(ValueError, match=message):
    generated.examples(**{'people': 2, 'pictures': 3, **wrong})
