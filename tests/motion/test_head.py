"""Head motion found in flows whose truth is known."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from mejax.motion import head
from mejax.motion import warp

HEIGHT, WIDTH = 40, 56


def _similarity(angle, scale, tx, ty):
  """Returns the matrix of a turn and zoom about the middle, then a shift."""
  a, c = scale * np.cos(angle), scale * np.sin(angle)
  linear = np.array([[a, -c], [c, a]])
  middle = np.array([WIDTH - 1, HEIGHT - 1]) / 2
  offset = middle - linear @ middle + (tx, ty)
  return np.concatenate([linear, offset[:, None]], 1).astype(np.float32)


def _flow_of(matrix):
  places = warp.grid(HEIGHT, WIDTH)
  return np.array(warp.apply_matrix(matrix, places) - places)


MOTIONS = [
  _similarity(0.0, 1.0, 1.5, -0.7),
  _similarity(0.02, 1.0, 0.0, 0.0),
  _similarity(0.0, 1.03, 0.0, 0.0),
  _similarity(-0.03, 0.98, -0.4, 2.0),
]


@pytest.mark.parametrize(
  'matrix', MOTIONS, ids=['shift', 'turn', 'zoom', 'all']
)
def test_a_similarity_is_found_and_nothing_is_left(matrix):
  left, motion = head.remove_rigid(_flow_of(matrix))
  np.testing.assert_allclose(left, 0, atol=2e-4)
  np.testing.assert_allclose(motion[:, :2], matrix[:, :2], atol=1e-5)
  np.testing.assert_allclose(motion[:, 2], matrix[:, 2], atol=5e-4)


def test_an_expression_in_a_quarter_of_the_face_is_kept_whole():
  expression = np.zeros((HEIGHT, WIDTH, 2), np.float32)
  expression[20:, 28:] = (1.2, -0.8)
  flow = _flow_of(MOTIONS[3]) + expression
  left, motion = head.remove_rigid(flow)
  np.testing.assert_allclose(left, expression, atol=0.02)
  np.testing.assert_allclose(motion[:, :2], MOTIONS[3][:, :2], atol=1e-3)


def test_only_the_mask_counts():
  flow = _flow_of(MOTIONS[0])
  flow[:, :40] += (3.0, 1.0)
  mask = np.zeros((HEIGHT, WIDTH), bool)
  mask[:, 40:] = True
  left, _ = head.remove_rigid(flow, mask=mask)
  np.testing.assert_allclose(left[:, 40:], 0, atol=1e-3)
  expected = np.broadcast_to([3.0, 1.0], (HEIGHT, 40, 2))
  np.testing.assert_allclose(left[:, :40], expected, atol=1e-2)


def test_an_empty_mask_leaves_the_flow():
  flow = _flow_of(MOTIONS[0])
  left, motion = head.remove_rigid(flow, mask=np.zeros((HEIGHT, WIDTH), bool))
  # Exact on any machine: every sum has weights of 0 only.
  np.testing.assert_array_equal(left, flow)
  np.testing.assert_array_equal(motion, np.eye(2, 3))


def test_the_motion_undoes_itself_in_the_second_frame():
  y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
  first = np.sin(x / 6) * np.cos(y / 5)
  # A point at x in the first frame is at A x + b in the second.
  inverse = np.linalg.inv(np.vstack([MOTIONS[3], [0, 0, 1]]))[:2]
  bx, by = np.moveaxis(
    np.asarray(
      warp.apply_matrix(inverse.astype(np.float32), warp.grid(HEIGHT, WIDTH))
    ),
    -1,
    0,
  )
  second = np.sin(bx / 6) * np.cos(by / 5)
  _, motion = head.remove_rigid(_flow_of(MOTIONS[3]))
  undone = warp.by_matrix(
    second[..., None], motion, size=(HEIGHT, WIDTH), method='bicubic'
  )
  np.testing.assert_allclose(
    undone[5:-5, 5:-5, 0], first[5:-5, 5:-5], atol=2e-3
  )


def test_a_batch_is_each_flow_under_jit_and_vmap():
  noise = np.random.default_rng(0).normal(size=(4, HEIGHT, WIDTH, 2))
  flows = np.stack([_flow_of(m) for m in MOTIONS]) + noise.astype(np.float32)
  alone = np.stack([head.remove_rigid(flow)[0] for flow in flows])
  for function in (
    head.remove_rigid,
    jax.jit(head.remove_rigid),
    jax.vmap(head.remove_rigid),
  ):
    np.testing.assert_allclose(function(flows)[0], alone, atol=1e-4)
