"""Views against the released pipeline, the mirror and plain arithmetic."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from mejax.corpora import htnet_release
from mejax.datasets import views
from tests import closeness


def _random(n=4, size=28, seed=0):
  generator = np.random.default_rng(seed)
  flow = generator.normal(size=(n, 2, size, size, 3)).astype(np.float32)
  grid = generator.integers(0, size * 1024, (n, 5, 2))
  return {
    'flow': flow,
    'landmarks': (grid / 1024).astype(np.float32),
    'crop_points': generator.integers(7, 22, (n, 5, 2)).astype(np.int32),
  }


def _mirror(examples):
  """The examples of the mirrored faces; u points the other way."""
  flow = examples['flow'][..., ::-1, :] * np.float32([-1, 1, 1])
  landmarks = examples['landmarks'][:, [1, 0, 2, 4, 3]].copy()
  landmarks[..., 0] = flow.shape[-2] - 1 - landmarks[..., 0]
  return {'flow': flow, 'landmarks': landmarks}


def test_the_released_mosaic_is_that_of_the_original_for_all_442(
  released, shared
):
  golden = np.load(shared / 'golden/htnet/assembled_inputs.npz')
  names = [
    f'{s}_{c} .png'
    for s, c in zip(released['subject'], released['clip'], strict=True)
  ]
  assert [str(name) for name in golden['names']] == names
  made = views.region_mosaic(released, mode='released')
  assert made.dtype == np.float32
  np.testing.assert_array_equal(made, golden['inputs'])


def test_the_fall_back_crops_are_as_far_off_as_is_said(released, shared, root):
  cut = {key: released[key] for key in ('flow', 'landmarks')}
  fall_back = np.tile(
    htnet_release.DEFAULT_CROP_POINTS, (len(cut['flow']), 1, 1)
  )
  corners = [0, 1, 3, 4]  # There is no crop at the nose.
  steps = np.float64(released['crop_points'] - fall_back)[:, corners]
  differ = steps.any((1, 2))
  apart = np.hypot(*np.moveaxis(steps[differ], -1, 0))
  exact, ours = (
    views.region_mosaic(cut | {'crop_points': points}, mode='released')
    for points in (released['crop_points'], fall_back)
  )
  golden = np.load(shared / 'golden/htnet/assembled_inputs.npz')['inputs']
  np.testing.assert_array_equal(exact, golden)

  def alike(pairs):
    each = np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])
    each = each.reshape(len(exact), -1).mean(1)
    both = (each.mean(), each[differ].mean())
    return [f'{value:.2f}'.lstrip('0') for value in both]

  count, distance = int(differ.sum()), f'{apart.mean():.1f}'
  both = alike(zip(exact, ours, strict=True))
  assert (count, distance, both) == (276, '2.6', ['.92', '.88'])
  channels = (np.moveaxis(x, -1, 1).reshape(-1, 28, 28) for x in (exact, ours))
  single = alike(zip(*channels, strict=True))
  ends = apart.mean(0)
  page = (root / 'docs/released_crops.md').read_text()
  row = f'{count} of 442 clips | {distance} on average ({ends.min():.1f} to '
  assert f'{row}{ends.max():.1f}, by crop) | {both[0]}; {both[1]}' in page
  assert f'276 clips; channel by channel {single[0]}; {single[1]}' in page
  for text in (
    (root / 'README.md').read_text(),
    (root / 'configs/htnet_released.py').read_text(),
  ):
    words = ' '.join(text.split())
    assert f'{count} of 442 clips' in words
    assert f'{distance} of 28 pixels' in words
    assert f'correlate by {both[1]}' in words
    assert 'docs/released_crops.md' in words


def test_the_released_mosaic_follows_the_exchanged_coordinates(small):
  examples, images, points = small
  made = views.region_mosaic(examples, mode='released')
  for mosaic, identity in zip(made, images, strict=True):
    strain_v_u = images[identity][..., ::-1]
    left_eye, right_eye, _, left_mouth, right_mouth = [
      strain_v_u[x - 7 : x + 7, y - 7 : y + 7] for x, y in points[identity][1]
    ]
    expected = np.vstack(
      [
        np.hstack([left_eye, right_eye]),
        np.hstack([left_mouth, right_mouth]),
      ]
    )
    np.testing.assert_array_equal(mosaic, expected)


def test_the_landmark_mosaic_is_cut_around_the_rounded_points(small):
  examples, images, points = small
  made = views.region_mosaic(examples, channels='u_v_strain')
  for mosaic, identity in zip(made, images, strict=True):
    # The file counts from the edge, where the middle of a crop is a whole.
    centres = np.clip(np.rint(points[identity][0]), 7, 21).astype(int)
    crops = [images[identity][y - 7 : y + 7, x - 7 : x + 7] for x, y in centres]
    expected = np.vstack([np.hstack(crops[:2]), np.hstack(crops[3:])])
    np.testing.assert_array_equal(mosaic, expected)


@settings(deadline=None, max_examples=30)
@given(
  st.integers(0, 2**32 - 1),
  st.sampled_from([28, 64]),
  st.sampled_from(['none', 'fixed', 'centre', 'centre_std']),
)
def test_the_mosaic_of_a_mirrored_face_is_the_mirrored_mosaic(
  seed, size, normalise
):
  examples = _random(n=2, size=size, seed=seed)
  options = {'channels': 'u_v_strain', 'normalise': normalise}
  made = views.region_mosaic(examples, **options)
  mirrored = views.region_mosaic(_mirror(examples), **options)
  expected = made[:, :, ::-1] * np.float32([-1, 1, 1])
  # Only the mean adds up the pixels, in another order.
  exact = normalise in ('none', 'fixed')
  np.testing.assert_allclose(mirrored, expected, atol=0 if exact else 1e-5)


@pytest.mark.parametrize('normalise', views.NORMALISE)
def test_a_row_depends_on_its_example_alone(normalise):
  examples = _random()
  changed = {key: value.copy() for key, value in examples.items()}
  for value in changed.values():
    value[1:] = 9
  changed['flow'][2] = np.nan
  for view, options in (
    (views.full_flow, {}),
    (views.region_mosaic, {'mode': 'landmarks'}),
    (views.region_mosaic, {'mode': 'released'}),
    (views.level_stack, {'stored_levels': (1, 4)}),
  ):
    made = view(examples, normalise=normalise, **options)
    alone = view(
      {key: value[:1] for key, value in examples.items()},
      normalise=normalise,
      **options,
    )
    among = view(changed, normalise=normalise, **options)
    np.testing.assert_array_equal(made[0], alone[0])
    np.testing.assert_array_equal(made[0], among[0])


@pytest.mark.parametrize('normalise', views.NORMALISE)
@pytest.mark.parametrize('mode', views.MOSAICS)
def test_an_image_is_normalised_before_it_is_cut(mode, normalise):
  examples = _random()
  whole = views.full_flow(examples, normalise=normalise)
  normalised = dict(examples, flow=whole[:, None, :, :, ::-1])
  np.testing.assert_array_equal(
    views.region_mosaic(examples, mode=mode, normalise=normalise),
    views.region_mosaic(normalised, mode=mode),
  )


def test_a_view_leaves_its_examples_as_they_were():
  examples = _random()
  before = {key: value.copy() for key, value in examples.items()}
  for normalise in views.NORMALISE:
    views.full_flow(examples, normalise=normalise)[:] = 0
    views.region_mosaic(examples, normalise=normalise)[:] = 0
  for key, value in before.items():
    np.testing.assert_array_equal(examples[key], value)


def test_full_flow_chooses_level_and_channels():
  examples = _random()
  np.testing.assert_array_equal(
    views.full_flow(examples, level=1, channels='u_v_strain'),
    examples['flow'][:, 1],
  )
  np.testing.assert_array_equal(
    views.full_flow(examples), examples['flow'][:, 0, :, :, ::-1]
  )


def test_centre_std_has_mean_0_in_each_channel_and_deviation_1_in_the_image():
  examples = _random()
  examples['flow'] *= np.float32([1, 10, 100])
  made = views.full_flow(examples, normalise='centre_std').astype(np.float64)
  np.testing.assert_allclose(made.mean((1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(made.std((1, 2, 3)), 1, rtol=1e-5)
  # One number for all channels keeps their proportions.
  spread = made.std((1, 2))
  np.testing.assert_allclose(spread[:, 0] / spread[:, 2], 100, rtol=0.1)


def test_centre_std_each_has_mean_0_and_deviation_1_in_each_channel():
  examples = _random()
  examples['flow'] *= np.float32([1, 10, 100])
  made = views.full_flow(examples, normalise='centre_std_each')
  made = made.astype(np.float64)
  np.testing.assert_allclose(made.mean((1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(made.std((1, 2)), 1, rtol=1e-5)


def test_minmax_spans_0_to_1_in_each_channel():
  made = views.full_flow(_random(), normalise='minmax')
  np.testing.assert_array_equal(made.min((1, 2)), 0)
  np.testing.assert_array_equal(made.max((1, 2)), 1)


def test_fixed_keeps_the_size_of_motion_apart():
  examples = _random()
  larger = dict(examples, flow=3 * examples['flow'])
  np.testing.assert_allclose(
    views.full_flow(larger, normalise='fixed'),
    3 * views.full_flow(examples, normalise='fixed'),
    rtol=1e-6,
  )
  np.testing.assert_array_equal(
    views.full_flow(examples, normalise='fixed') * views.FIXED_PIXELS,
    views.full_flow(examples),
  )


def test_std_keeps_zero_and_divides_by_what_centre_std_does():
  examples = _random()
  examples['flow'][0] += 3
  plain = views.full_flow(examples)
  made = views.full_flow(examples, normalise='std')
  centred = views.full_flow(examples, normalise='centre_std')
  for row in range(len(made)):
    spread = (plain[row] - plain[row].mean((0, 1))).std()
    closeness.assert_close(made[row] * spread, plain[row], 1e-6)
  closeness.assert_close(made - made.mean((1, 2), keepdims=True), centred, 5e-6)
  examples['flow'][:] = 0.5
  still = views.full_flow(examples, normalise='std')
  np.testing.assert_array_equal(still, 0.5)


def amplified(n=3, size=32):
  """Examples whose levels are exact multiples of the first."""
  examples = _random(n=n, size=size)
  scale = np.float32([1, 2, 8])[:, None, None, None]
  return dict(examples, flow=examples['flow'][:, :1] * scale)


@pytest.mark.parametrize('mode', ['full', 'landmarks'])
@pytest.mark.parametrize('normalise', ['none', 'fixed'])
def test_a_level_of_the_stack_is_the_view_of_that_level(mode, normalise):
  examples = _random(size=32)
  options = {'normalise': normalise, 'channels': 'u_v_strain'}
  stack = views.level_stack(
    examples, stored_levels=(1, 4), mode=mode, **options
  )
  assert stack.shape == (4, 2, 32, 32, 3) and stack.dtype == np.float32
  for level in range(2):
    alone = (
      views.full_flow(examples, level=level, **options)
      if mode == 'full'
      else views.region_mosaic(examples, level=level, mode=mode, **options)
    )
    np.testing.assert_array_equal(stack[:, level], alone)


def test_levels_are_chosen_by_their_amplification_in_the_order_asked_for():
  examples, stored = amplified(), [1.0, 2.0, 8.0]
  whole = views.level_stack(examples, stored_levels=stored)
  made = views.level_stack(examples, stored_levels=stored, levels=(8, 1))
  np.testing.assert_array_equal(made, whole[:, [2, 0]])


@pytest.mark.parametrize('normalise', ['none', 'fixed', 'std', 'centre_std'])
def test_normalising_a_stack_keeps_the_amplification(normalise):
  made = views.level_stack(
    amplified(), stored_levels=(1, 2, 8), mode='full', normalise=normalise
  )
  closeness.assert_close(made[:, 1], 2 * made[:, 0], 1e-6)
  closeness.assert_close(made[:, 2], 8 * made[:, 0], 1e-6)


def test_the_range_and_deviation_of_a_stack_are_those_of_all_its_levels():
  options = {'stored_levels': (1, 2, 8), 'mode': 'full'}
  made = views.level_stack(amplified(), normalise='minmax', **options)
  np.testing.assert_array_equal(made.min((1, 2, 3)), 0)
  np.testing.assert_array_equal(made.max((1, 2, 3)), 1)
  assert made[:, 0].max() < 0.7
  made = views.level_stack(amplified(), normalise='centre_std', **options)
  np.testing.assert_allclose(made.std((1, 2, 3, 4)), 1, rtol=1e-5)
  np.testing.assert_allclose(made.mean((2, 3)), 0, atol=1e-5)


def test_the_stack_is_fixed_unless_asked_otherwise():
  options = {'stored_levels': (1, 2, 8), 'mode': 'full'}
  np.testing.assert_array_equal(
    views.level_stack(amplified(), **options),
    views.level_stack(amplified(), normalise='fixed', **options),
  )


@pytest.mark.parametrize(
  'normalise', ['minmax', 'centre', 'centre_std', 'centre_std_each']
)
@pytest.mark.parametrize('value', [0.0, 0.1, 1e-30, 1e30])
@pytest.mark.filterwarnings('error')
def test_a_constant_channel_becomes_zeros(normalise, value):
  examples = _random()
  examples['flow'][..., 1] = value
  made = views.full_flow(examples, channels='u_v_strain', normalise=normalise)
  np.testing.assert_array_equal(made[..., 1], 0)
  assert np.isfinite(made).all()
  examples['flow'][...] = value
  made = views.full_flow(examples, normalise=normalise)
  np.testing.assert_array_equal(made, 0)


@pytest.mark.parametrize(
  ('view', 'options', 'message'),
  [
    ('full_flow', {'level': 2}, 'level is 2, but there are 2 levels'),
    ('full_flow', {'level': -1}, 'level is -1'),
    ('full_flow', {'channels': 'uv'}, "unknown channels 'uv'; known: strain_v"),
    ('full_flow', {'normalise': 'x'}, "unknown normalise 'x'; known: none, f"),
    ('region_mosaic', {'mode': 'x'}, "unknown mode 'x'; known: landmarks, rel"),
    ('level_stack', {'stored_levels': (1,)}, '1 factors for the 2 levels'),
    (
      'level_stack',
      {'stored_levels': (1, 2), 'levels': (4,)},
      'no level is amplified 4 times; there are 1, 2',
    ),
    ('level_stack', {'stored_levels': (1, 2), 'mode': 'x'}, "unknown mode 'x'"),
  ],
)
def test_an_unknown_option_lists_the_known_ones(view, options, message):
  with pytest.raises(ValueError, match=message):
    views.VIEWS[view](_random(), **options)


@pytest.mark.parametrize('size', [(28, 32), (30, 30)])
def test_a_mosaic_of_an_image_that_has_no_quarters_is_refused(size):
  examples = dict(_random(), flow=np.zeros((4, 1, *size, 3), np.float32))
  with pytest.raises(ValueError, match=f'flow is {size[0]} x {size[1]}'):
    views.region_mosaic(examples)


def test_released_needs_crop_points():
  examples = _random()
  del examples['crop_points']
  with pytest.raises(ValueError, match="'released' needs crop_points"):
    views.region_mosaic(examples, mode='released')


def test_every_view_of_the_table_is_declared():
  kinds = {name: view.kind for name, view in views.VIEWS.items()}
  assert kinds == {
    'full_flow': 'image',
    'region_mosaic': 'mosaic',
    'level_stack': 'mosaic',
    'frame_pair': 'frames',
  }
  told = [n for n, view in views.VIEWS.items() if view.takes_stored_levels]
  assert told == ['level_stack']


def test_a_plain_function_is_a_view_of_unknown_kind():
  def mine(examples, *, scale=1.0):
    return scale * examples['flow']

  view = views.declared(mine)
  assert view == views.View(mine) and view.kind == ''
  examples = _random()
  np.testing.assert_array_equal(
    view(examples, scale=2.0), 2.0 * examples['flow']
  )
  own = views.View(mine, 'image')
  assert views.declared(own) is own
  assert views.declared(views.full_flow) is views.VIEWS['full_flow']
