"""Finds the motion of the head in a flow and subtracts it.

A head that turns, nods a little or comes closer moves the whole face; an
expression moves parts of it. A robust fit tells the two apart.
"""

from __future__ import annotations

import functools

import jax
from jax import lax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Shaped
import numpy as np

from mejax.motion import warp

# Pixels. Residuals below this have equal weight, which is then finite.
SMALLEST_RESIDUAL = 1e-3


def remove_rigid(
  flow: Float[Array | np.ndarray, '*b h w 2'],
  *,
  mask: Shaped[Array | np.ndarray, '*b h w'] | None = None,
  iterations: int = 20,
) -> tuple[Float[Array, '*b h w 2'], Float[Array, '*b 2 3']]:
  """Fits a similarity motion to a flow and subtracts it.

  The fit minimises the sum of the lengths (not squares) of the remaining flow
  over the mask, so that an expression in a minor part of the mask hardly
  matters.

  Args:
    flow: (u, v) in pixels.
    mask: boolean or a weight for each pixel; by default every pixel counts.
    iterations: rounds of reweighted least squares.

  Returns:
    The remaining flow, and the motion: the matrix [A b] that carries a place x
    in the first frame to A x + b in the second, with A a rotation times a
    scale. `warp.by_matrix` of the second frame with this matrix undoes the
    motion. Where the mask is empty the matrix is the identity.
  """
  weight = jnp.ones(flow.shape[:-1]) if mask is None else jnp.asarray(mask)
  motion = _fit(
    jnp.asarray(flow), weight.astype(flow.dtype), iterations=iterations
  )
  places = warp.grid(*flow.shape[-3:-1])
  return flow - (warp.apply_matrix(motion, places) - places), motion


@functools.partial(jax.jit, static_argnames='iterations')
def _fit(
  flow: Float[Array, '*b h w 2'],
  mask: Float[Array, '*b h w'],
  *,
  iterations: int,
) -> Float[Array, '*b 2 3']:
  """Fits by least lengths: reweighted least squares (Weiszfeld's method)."""
  height, width = flow.shape[-3:-1]
  middle = jnp.array([width - 1, height - 1], flow.dtype) / 2
  # Coordinates of about 1 keep the sums well conditioned.
  size = max(height, width) / 2
  place = (warp.grid(height, width) - middle) / size

  def refit(_, motion):
    left = flow - _motion_at(motion, place)
    length = jnp.sqrt((left**2).sum(-1))
    return _least_squares(
      flow, place, mask / jnp.maximum(length, SMALLEST_RESIDUAL)
    )

  start = _least_squares(flow, place, mask)
  a, c, tx, ty = lax.fori_loop(0, iterations, refit, start)
  # Back from coordinates of about 1 to pixels.
  linear = jnp.stack([jnp.stack([a, -c], -1), jnp.stack([c, a], -1)], -2) / size
  offset = jnp.stack([tx, ty], -1) - (linear * middle).sum(-1)
  return jnp.concatenate([linear + jnp.eye(2), offset[..., None]], -1)


def _motion_at(motion, place):
  """Returns the flow of a motion (a, c, tx, ty) at each place."""
  a, c, tx, ty = (x[..., None, None] for x in motion)
  x, y = place[..., 0], place[..., 1]
  return jnp.stack([a * x - c * y + tx, c * x + a * y + ty], -1)


def _least_squares(flow, place, weight):
  """Fits (a, c, tx, ty) of the flow (a x - c y + tx, c x + a y + ty)."""
  axes = (-2, -1)
  # Where the mask is empty, 0 is divided by this and not by 0.
  total = jnp.maximum(weight.sum(axes), 1e-12)

  def mean(values):
    return (weight * values).sum(axes) / total

  (x, y), (u, v) = jnp.moveaxis(place, -1, 0), jnp.moveaxis(flow, -1, 0)
  mx, my, mu, mv = mean(x), mean(y), mean(u), mean(v)
  # Relative to the centre of the mask: the four numbers then separate into
  # closed forms, and no large sums cancel.
  x, y = x - mx[..., None, None], y - my[..., None, None]
  u, v = u - mu[..., None, None], v - mv[..., None, None]
  spread = jnp.maximum(mean(x * x + y * y), 1e-9)
  a = mean(x * u + y * v) / spread
  c = mean(x * v - y * u) / spread
  return a, c, mu - a * mx + c * my, mv - c * mx - a * my
