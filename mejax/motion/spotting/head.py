"""What the head does as a whole, fitted to points and removed."""

from __future__ import annotations

from jaxtyping import Float
import numpy as np

# Distances between the eyes; smaller residuals have equal weight.
_SMALL = 2e-3
_ROUNDS = 12


def remove_head(
  moved: Float[np.ndarray, 't n 2'],
  places: Float[np.ndarray, 'n 2'],
  weights: Float[np.ndarray, ' n'],
) -> tuple[Float[np.ndarray, 't n 2'], Float[np.ndarray, 't n 2']]:
  """Fits the motion of a round head to each frame by least lengths.

  It is a similarity and a turn. In a turn, what is nearer to the camera moves
  further, and a face is near in its middle: to the second order its depth falls
  with the square of the distance from there. A point that moves by itself is an
  outlier, which least lengths (and not their squares) leave alone.

  Args:
    moved: displacement of each point from the reference.
    places: where the points lie in the reference, in any unit.
    weights: how much each point says about the head.

  Returns:
    What is left of the displacements, and the motion of the head at each point.
  """
  fields = _fields(places)
  flat = fields.reshape(-1, fields.shape[-1])
  products = np.einsum('ncj,nck->njk', fields, fields).reshape(len(places), -1)
  own = np.broadcast_to(weights, moved.shape[:2])
  # So small a ridge only matters where there is nothing to fit.
  ridge = 1e-9 * np.eye(fields.shape[-1])
  for _ in range(_ROUNDS):
    normal = (own @ products).reshape(-1, *ridge.shape) + ridge
    right = (moved * own[..., None]).reshape(len(moved), -1) @ flat
    found = np.linalg.solve(normal, right[..., None])[..., 0]
    whole = (found @ flat.T).reshape(moved.shape)
    rest = moved - whole
    own = weights / np.maximum(np.linalg.norm(rest, axis=-1), _SMALL)
  return rest, whole


def _fields(places: Float[np.ndarray, 'n 2']) -> Float[np.ndarray, 'n 2 6']:
  """Returns shift, scale, roll, and turns right and down at each point."""
  at = places - places.mean(0)
  # Coordinates of about 1 keep the sums well conditioned.
  x, y = (at / np.sqrt((at**2).mean())).T
  one, none, depth = np.ones_like(x), np.zeros_like(x), x**2 + y**2
  pairs = (
    (one, none), (none, one), (x, y), (-y, x), (depth, none), (none, depth),
  )  # fmt: skip
  return np.stack([np.stack(pair, -1) for pair in pairs], -1)
