"""Random changes of a training batch, inside the compiled step.

Each is a pure function of a key, a batch and numbers that may be traced, so
that their strength can be swept.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import PRNGKeyArray


def mirror(
  key: PRNGKeyArray,
  flow: Float[Array, 'b h w c'],
  *,
  probability: float | Float[Array, ''],
  u_channel: int,
) -> Float[Array, 'b h w c']:
  """Mirrors faces left-right: columns reversed, horizontal flow negated.

  The flow must be centred (0 = no motion). A four-region mosaic that stands as
  on a face mirrors the same way, because its regions change places with it.

  Args:
    key: one key for the batch; each example draws for itself.
    flow: flow images with centred channels.
    probability: chance that an example is mirrored.
    u_channel: which channel holds the horizontal flow.
  """
  sign = jnp.ones(flow.shape[-1]).at[u_channel].set(-1.0)
  flip = jax.random.bernoulli(key, probability, (flow.shape[0], 1, 1, 1))
  return jnp.where(flip, flow[:, :, ::-1] * sign, flow)
