"""The errors that a flow method leaves in generated flow.

A method that smooths loses small motion, spreads large motion, and follows
noise and light where skin has no texture. Flow that was denoised by its total
variation, as TV-L1 does, is flat with steep borders.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import PRNGKeyArray
import numpy as np

from mejax.corpora.faces import random

# Widths of noise as shares of the side, and the grids that it is drawn on.
_NOISE = ((0.012, 56), (0.03, 28), (0.08, 14), (0.2, 6))
# Skin without texture has this share of the noise that texture has.
_BARE = 0.25


def add(
  key: PRNGKeyArray,
  moving: Float[Array, 'h w 2'],
  texture: Float[Array, 'h w'],
  pixels: Float[Array, ''],
  levels: Sequence[float],
  *,
  amount: float,
) -> Float[Array, 'a h w 2']:
  """Adds smooth noise, and smooths as a flow method does.

  Args:
    key: draws the noise and its kind; levels share the noise of the camera.
    moving: true motion, in units of the largest of the expression.
    texture: where the skin has texture.
    pixels: this unit in pixels, before amplification.
    levels: amplification factors.
    amount: size of the errors; 1 is as usual.

  Returns:
    Flow in pixels at each level.
  """
  first, second, third, fourth = jax.random.split(key, 4)
  uniform = random.Numbers(jax.random.uniform(first, (8,)))
  size = amount * uniform.log(0.03, 0.5)
  width = uniform.log(0.004, 0.045)
  weight = uniform.sometimes(0.6, 0.01, 0.3)
  side = moving.shape[0]
  seen = (_BARE + texture)[..., None]
  camera = seen * smooth_noise(second, side)
  # Motion is found more fully at one place than beside it.
  uneven = spread(jax.random.normal(fourth, (56, 56, 2)), side, 0.014)
  uneven *= amount * uniform.log(0.1, 0.8) / uneven.std()
  moving *= 1 + seen * uneven
  steady = spread(moving + size * camera, side, width)
  # A part of the noise is that of the method, and is not amplified.
  own = jax.vmap(lambda key: seen * smooth_noise(key, side))(
    jax.random.split(third, len(levels))
  )
  alphas = jnp.array(levels)[:, None, None, None]
  flows = steady + 0.3 * size * own / alphas
  flows = jax.vmap(lambda flow: flatten(flow, weight))(flows)
  return alphas * pixels * flows


def smooth_noise(key: PRNGKeyArray, size: int) -> Float[Array, 'h w 2']:
  """Draws smooth noise of three widths, of unequal strength and std 1 or so."""
  first, second = jax.random.split(key)
  numbers = sum(2 * nodes**2 for _, nodes in _NOISE) + 64
  normal = random.Numbers(jax.random.normal(first, (numbers,)))
  shares = jax.random.exponential(second, (len(_NOISE),))
  total = 0.0
  for share, (width, nodes) in zip(shares, _NOISE, strict=True):
    noise = spread(normal(nodes, nodes, 2), size, width)
    total += jnp.sqrt(share / shares.sum()) * noise / (noise.std() + 1e-6)
  where = spread(normal(8, 8, 1), size, 0.12)
  return total * jnp.exp(0.7 * where / (where.std() + 1e-6))


def spread(
  image: Float[Array, 'n m c'], size: int, width: float | Float[Array, '']
) -> Float[Array, 'h w c']:
  """Blurs by a Gaussian, and interpolates to another size.

  Args:
    image: square.
    size: side of the result.
    width: deviation of the Gaussian as a share of the side.
  """
  nodes = image.shape[0]
  to, of = (np.arange(count) + 0.5 for count in (size, nodes))
  away = (to[:, None] / size - of / nodes) / jnp.maximum(width, 1e-3)
  kernel = jnp.exp(-0.5 * away**2)
  kernel /= kernel.sum(1, keepdims=True)
  return jnp.einsum('ij,jkc,lk->ilc', kernel, image, kernel)


def flatten(
  image: Float[Array, 'h w c'],
  weight: float | Float[Array, ''],
  *,
  rounds: int = 12,
) -> Float[Array, 'h w c']:
  """Lowers the total variation of each channel by the given weight.

  A. Chambolle, "An algorithm for total variation minimization and applications"
  (2004), some rounds of it.
  """
  image = jnp.moveaxis(image, -1, 0)
  scale = jnp.maximum(weight, 1e-6)

  def step(dual, _):
    slope = _gradient(_divergence(dual) - image / scale)
    length = jnp.sqrt((slope**2).sum(0, keepdims=True))
    return (dual + 0.25 * slope) / (1 + 0.25 * length), None

  dual, _ = jax.lax.scan(step, jnp.zeros((2, *image.shape)), None, rounds)
  return jnp.moveaxis(image - scale * _divergence(dual), 0, -1)


def _gradient(image):
  down = jnp.diff(image, axis=-2, append=image[..., -1:, :])
  across = jnp.diff(image, axis=-1, append=image[..., -1:])
  return jnp.stack([down, across])


def _divergence(dual):
  """Returns minus the transpose of `_gradient`."""
  down, across = dual[0][..., :-1, :], dual[1][..., :-1]
  pad = [(0, 0)] * (dual.ndim - 3)
  down = jnp.diff(jnp.pad(down, [*pad, (1, 1), (0, 0)]), axis=-2)
  across = jnp.diff(jnp.pad(across, [*pad, (0, 0), (1, 1)]), axis=-1)
  return down + across
