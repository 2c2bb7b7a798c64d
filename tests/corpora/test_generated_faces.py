"""Generated flow: the face that was asked for moves as it should."""

from __future__ import annotations

import dataclasses
import functools

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import restoration

from mejax.corpora.faces import expressions
from mejax.corpora.faces import fields
from mejax.corpora.faces import flow_errors
from mejax.corpora.faces import individuals
from mejax.corpora.faces import muscles
from mejax.corpora.faces import random
from tests import closeness

pytestmark = pytest.mark.unoptimised

OPTIONS = individuals.Options(size=56, variety=0.0)


@pytest.fixture(scope='module')
def someone():
  """The mean face."""
  return individuals.person(jax.random.key(0), OPTIONS)


def contracted(*names, sides=(1.0, 1.0)):
  shown = np.isin(muscles.NAMES, names).astype(np.float32)
  return jnp.asarray(shown[:, None] * np.float32(sides))


def place(someone, x, y):
  """Row and column of a place on the face, given in pupil distances."""
  middle_x, middle_y, distance, height = np.asarray(someone.crop)
  x, y = middle_x + x * distance, middle_y + y * distance * height
  return int(56 * y), int(56 * x)


@functools.partial(jax.jit, static_argnames='pulling')
def _draw(seed, *, pulling):
  options = individuals.Options(size=12, pulling=pulling)
  one, two = jax.random.split(jax.random.key(seed))
  who = individuals.person(one, options)
  activation = jax.random.uniform(two, (len(muscles.NAMES), 2))
  return who, activation, fields.pull(who, activation, options)


def _sum_of_pulls(who, activation, move):
  """Sums what `move` says of each pull, pixel by pixel in float64."""
  total, table = np.zeros((12, 12, 2)), muscles.pulls()
  who = jax.tree.map(np.float64, who)
  for row in range(12):
    for column in range(12):
      at = np.array([column + 0.5, row + 0.5]) / 12
      at = (at - who.crop[:2]) / who.crop[2] / [1, who.crop[3]]
      for p, (unit, side) in enumerate(
        zip(table.unit, table.side, strict=True)
      ):
        strength = float(activation[unit, (side + 1) // 2])
        total[row, column] += strength * move(who, p, at)
  return total


def _around_a_point(who, p, at):
  total = 0
  for wider, share in ((1.0, 1 - who.wide), (2.2, who.wide)):
    away = (at - who.place[p]) / who.reach[p] / wider
    move = who.move[p] + who.bend[p] @ away
    total += share * np.exp(-0.5 * away @ away) * move
  return total


def _towards_the_bone(who, p, at):
  far = np.hypot(*who.move[p])
  way = who.move[p] / far
  along = np.hypot(*(who.reach[p] * way))
  beside = np.hypot(*(who.reach[p] * [-way[1], way[0]]))
  length = who.length[p] * along
  to_bone = who.place[p] + length * way - at
  left = np.hypot(*to_bone)
  past = (left - length) / along / (who.belly[p] if left < length else 1)
  sine = (to_bone[0] * way[1] - to_bone[1] * way[0]) / left
  away = past**2 + (length * sine / beside) ** 2
  weight = sum(
    share * np.exp(-away / 2 / wider**2)
    for wider, share in ((1.0, 1 - who.wide), (5**0.5, who.wide))
  )
  # The end at the bone stands still, and all behind it.
  held = np.clip(to_bone @ way / (0.2 * length), 0, 1)
  return far * weight * held * to_bone / left


@hypothesis.settings(max_examples=3, deadline=None)
@hypothesis.given(st.integers(0, 2**31 - 1))
def test_pulls_are_sums_of_gaussians(seed):
  who, activation, ours = _draw(seed, pulling='points')
  true = _sum_of_pulls(who, activation, _around_a_point)
  closeness.assert_close(ours, true, 1e-5)


@hypothesis.settings(max_examples=3, deadline=None)
@hypothesis.given(st.integers(0, 2**31 - 1))
def test_along_lines_skin_moves_towards_the_bone(seed):
  who, activation, ours = _draw(seed, pulling='lines')
  true = _sum_of_pulls(who, activation, _towards_the_bone)
  closeness.assert_close(ours, true, 1e-4)


# Places (outward, down) and signs of the movement there: outward and down.
KNOWN = {
  '12': (0.42, 1.04, 1, -1),  # corners of the mouth go out and up
  '15': (0.43, 1.10, 0, 1),
  '4': (0.24, -0.33, -1, 1),  # brows go together and down
  '1': (0.24, -0.36, 0, -1),
  '2': (0.72, -0.38, 0, -1),
  '5': (0.50, -0.09, 0, -1),
  '6': (0.58, 0.42, 0, -1),
  '9': (0.17, 0.45, 0, -1),
  '10': (0.22, 0.94, 0, -1),
  '20': (0.44, 1.10, 1, 0),
  '26': (0.10, 1.40, 0, 1),
  '45': (0.50, -0.06, 0, 1),
}


@pytest.mark.parametrize('pulling', individuals.PULLING)
@pytest.mark.parametrize('name', KNOWN)
def test_a_pure_action_unit_moves_its_place_as_facs_says(
  name, pulling, someone
):
  outward, down, *signs = KNOWN[name]
  options = dataclasses.replace(OPTIONS, pulling=pulling)
  flow = fields.pull(someone, contracted(name), options)
  for side in (-1, 1):
    u, v = flow[place(someone, side * outward, down)]
    for moved, sign in ((side * u, signs[0]), (v, signs[1])):
      assert sign == 0 or moved * sign > 0.2


@pytest.mark.parametrize('pulling', individuals.PULLING)
def test_a_face_without_variety_moves_as_its_mirror_image(pulling, someone):
  middle = someone.replace(crop=someone.crop.at[0].set(0.5))
  options = dataclasses.replace(OPTIONS, pulling=pulling)
  flow = fields.pull(middle, contracted('1', '12', '17'), options)
  mirrored = flow[:, ::-1] * np.array([-1, 1])
  closeness.assert_close(flow, mirrored, 1e-5)


def test_one_side_alone_moves_that_side(someone):
  flow = fields.pull(someone, contracted('12', sides=(0.0, 1.0)), OPTIONS)
  left, right = (
    np.abs(flow[place(someone, side * 0.42, 1.04)]).max() for side in (-1, 1)
  )
  assert right > 5 * left


def test_what_lies_on_no_face_stands_still(someone):
  options = individuals.Options(size=56, variety=0.0, crop='aligned')
  inside = fields.inside(
    individuals.person(jax.random.key(0), options), options
  )
  assert inside[20, 28] > 0.99
  assert inside[-1, 0] < 0.05


def test_combinations_name_known_units_and_every_class_has_its_own():
  table = expressions.table()
  assert table.units.sum(1).min() >= 1
  np.testing.assert_allclose(table.weights.sum(1), 1, rtol=1e-5)
  assert ((table.weights > 0).sum(0) == 1).all()
  for _, _, _, combinations in expressions.EMOTIONS:
    for combination in combinations:
      assert set(combination.split('+')) <= set(muscles.NAMES)
  share = dict(
    zip(expressions.CLASSES, table.weights @ table.units, strict=True)
  )
  units = muscles.NAMES.index
  assert share['positive'][units('12')] > 0.8
  assert share['surprise'][units('2')] > 0.8
  assert share['negative'][units('4')] > 0.4
  # A blink is no part of an expression.
  assert table.units[:, units('45')].max() == 0


def test_the_units_of_an_expression_are_those_of_its_class():
  people = jax.vmap(lambda key: individuals.person(key, OPTIONS))(
    jax.random.split(jax.random.key(1), 300)
  )
  keys = jax.random.split(jax.random.key(2), 300)
  positive = np.full(300, expressions.CLASSES.index('positive'))
  activation, shown = jax.jit(jax.vmap(fields.act))(keys, people, positive)
  rate = dict(zip(muscles.NAMES, shown.mean(0), strict=True))
  assert rate['12'] > 0.85 and rate['6'] > 0.3
  assert max(rate['1'], rate['2'], rate['4'], rate['9']) < 0.2
  # What is shown is at least a share of the strongest.
  largest = activation.max(-1)
  strong = largest >= fields.SHOWN * largest.max(1, keepdims=True)
  np.testing.assert_array_equal(shown > 0, strong)


def test_less_total_variation_as_scikit_image_finds_it():
  image = np.random.default_rng(0).normal(size=(12, 15))
  ours = flow_errors.flatten(jnp.array(image)[..., None], 0.3, rounds=400)
  true = restoration.denoise_tv_chambolle(
    image, weight=0.3, eps=1e-9, max_num_iter=4000
  )
  np.testing.assert_allclose(ours[..., 0], true, atol=5e-3)


def test_levels_amplify_and_a_unit_has_its_length_in_pixels():
  moving = np.zeros((16, 16, 2), np.float32)
  moving[:, :8] = [1.0, -0.5]
  bare = np.zeros((16, 16), np.float32)
  flow = jax.jit(
    functools.partial(flow_errors.add, amount=0.0), static_argnums=4
  )(jax.random.key(0), moving, bare, 0.5, (1.0, 4.0))
  closeness.assert_close(flow[1], 4 * flow[0], 1e-5)
  length = np.abs(flow[0]).max()
  assert 0.3 < length < 0.51


def test_noise_is_where_skin_has_texture():
  textured = jnp.zeros((28, 28)).at[:, :14].set(1.0)
  still = jnp.zeros((28, 28, 2))
  flow = jax.jit(
    jax.vmap(
      lambda key: flow_errors.add(
        key, still, textured, jnp.array(1.0), (1.0,), amount=1.0
      )
    )
  )(jax.random.split(jax.random.key(0), 32))
  left, right = (np.abs(flow[:, 0, :, i : i + 14]).mean() for i in (0, 14))
  assert left > 2 * right > 0


def test_a_crop_lies_between_its_two_ends():
  options = individuals.Options(crop='released')
  crops = jax.jit(jax.vmap(lambda key: individuals.person(key, options).crop))(
    jax.random.split(jax.random.key(0), 200)
  )
  crop = individuals.CROPS['released']
  middle = (np.array(crop.first) + crop.second) / 2
  np.testing.assert_allclose(crops.mean(0), middle, atol=0.015)
  # A face that is nearer to the upper border is larger in the release.
  assert np.corrcoef(crops[:, 1], crops[:, 2])[0, 1] < -0.5


def test_a_blur_keeps_what_is_constant_and_interpolates():
  image = jnp.full((6, 6, 2), 3.0)
  np.testing.assert_allclose(
    flow_errors.spread(image, 20, 0.1), np.full((20, 20, 2), 3), rtol=1e-5
  )


def test_numbers_are_given_out_once():
  numbers = random.Numbers(jnp.arange(5.0))
  assert numbers(2).tolist() == [0, 1] and numbers() == 2
  with pytest.raises(ValueError, match='6 numbers; 5 were drawn'):
    numbers(3)
