"""Computes maps of where a model looks: the attention that each place gets.

A map gives the attention to a place as a multiple of its fair share, so 1 means
as much as the average place. It does not prove that a prediction depends on a
place, because values and later layers matter too. Maps are computed from `out`,
which a model returns beside its logits. This is done in JAX, so that the large
weights do not leave the compiled program.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Num
import numpy as np

from mejax import forms

REGIONS = 4
# The most places along a side of a map; a small picture does not show more.
_FINEST = 32


# Arrays of stored maps, see `forms.check_arrays`: k classes, p maps, r
# regions, (row, column) y, g places or s pixels along a side.
_ARRAYS = {
  'classes': ('U', 'k'), 'clips': ('iu', 'k'), 'seeds': ('iu', ''),
  'titles': ('U', 'p'), 'kinds': ('U', 'p'),
  'face?': ('u', 'hw'), 'motion?': ('f', 'kss'), 'corners?': ('iu', 'ry'),
}  # fmt: skip


class AttentionMap(NamedTuple):
  """One of the maps that a model has for each clip.

  Attributes:
    title: title above the map.
    kind: what the map shows: `read`, `attention`, `gate` or `onset`.
    make: computes the map, [b, r, g, g]: a square for each region (upper left,
      upper right, lower left, lower right), or one for the whole picture.
  """

  title: str
  kind: str
  make: Callable[[], Array]


def list_maps(
  out: Any, form: str, levels: Sequence[float | int] = ()
) -> list[AttentionMap]:
  """Lists the maps that can be computed from the `out` of a model.

  There is no map for an attention function that returns no weights, nor for
  attention with only one place.

  Args:
    out: `out` of a batch; its shapes are enough as long as no map is computed.
    form: the form of `out` that the model declares, a name of `FORMS`; empty
      for a model that shows nothing.
    levels: amplification factor of each level, for a model of levels.

  Raises:
    ValueError: the form is unknown, or `out` is not of that form.
  """
  if not form:
    return []
  if form not in FORMS:
    raise ValueError(
      f'The model declares that it shows {form!r}; known forms are'
      f' {", ".join(FORMS)}.'
    )
  keys, make = FORMS[form]
  found = out if isinstance(out, Mapping) else {}
  missing = [repr(key) for key in keys if key not in found]
  if missing:
    raise ValueError(
      f'The model declares that it shows {form!r}, but its `out` has no'
      f' {", ".join(missing)}.'
    )
  return make(out, levels)


def check(maps: Mapping[str, np.ndarray]) -> None:
  """Raises a ValueError if arrays are not stored maps.

  Args:
    maps: as `experiment.introspection.write_attention` returns them.
  """
  sizes = forms.check_arrays(maps, _ARRAYS)
  if not maps['clips'].any() or not len(maps['titles']):
    raise ValueError('it holds no map of any class')
  names = [f'map{i}' for i in range(len(maps['titles']))]
  for name in names:
    own = forms.check_arrays(maps, {name: ('f', 'krgg')})
    if own['k'] != sizes['k'] or own['r'] not in (1, REGIONS):
      raise ValueError(
        f'{name} has {own["k"]} classes and {own["r"]} regions; expected'
        f' {sizes["k"]} and 1 or {REGIONS}'
      )
  if 'corners' in maps and not (
    'motion' in maps and maps['corners'].shape == (REGIONS, 2)
  ):
    raise ValueError('corners do not fit the other arrays')
  for name in (*names, 'face', 'motion'):
    if name in maps and not (maps[name].size and np.isfinite(maps[name]).all()):
      raise ValueError(f'{name} is empty or holds values that are not finite')


def attention_per_key(
  weights: Num[Array | np.ndarray, '*b h n m'],
) -> Float[Array, '*b h m']:
  """Returns the attention that each key gets, averaged over queries.

  A fair share is 1. The absolute values of the weights are divided by their
  sum, because talking heads may have negative weights.
  """
  rows = _rows(weights)
  return rows.mean(-2) * rows.shape[-1]


def trace_to_places(out: dict[str, Any]) -> Float[Array, '*b a r g g']:
  """Returns how much ARTNet reads of each level, region and place.

  The weight of a place in its region is multiplied by the weight of that region
  and level in the pool. The weights of places are traced back through the
  encoder: at each block, half of a weight goes to the places that the token
  attends to, and half stays at its own place. This is attention rollout (Abnar
  and Zuidema, arXiv 2005.00928).
  """
  share = jnp.asarray(out['region_weights'])  # [*b, a, r]
  places = jnp.asarray(out['place_weights'])  # [*b, a, r, n]
  for weights in reversed(out['encoder_attention']):
    if weights is not None:
      looked = _rows(weights).mean(-3)  # [*b, a, r, n, n]
      places = (places + jnp.einsum('...n,...nm->...m', places, looked)) / 2
  *_, a, r, n = places.shape
  heat = share[..., None] * places * (a * r * n)
  return heat.reshape(*share.shape, *_grid(n))


def split_into_quarters(
  tokens: Num[Array | np.ndarray, '*b blocks n'],
) -> Float[Array, '*b 4 g g'] | None:
  """Sorts tokens, given block by block, into the quarters of their picture.

  Blocks and the tokens in a block are in row-major order.

  Returns:
    The quarters, or None if a quarter holds less than one token.
  """
  *batch, blocks, count = tokens.shape
  (blocks, _), (count, _) = _grid(blocks), _grid(count)
  side = blocks * count
  if side < 2:
    return None
  grid = jnp.asarray(tokens).reshape(*batch, blocks, blocks, count, count)
  grid = jnp.swapaxes(grid, -3, -2).reshape(*batch, side, side)
  # With an odd side, the middle row and column belong to two quarters, and each
  # gets half of them.
  if side % 2:
    grid, side = grid.repeat(2, -1).repeat(2, -2), 2 * side
  side //= 2
  parts = grid.reshape(*batch, 2, side, 2, side)
  return jnp.swapaxes(parts, -3, -2).reshape(*batch, REGIONS, side, side)


def _of_levels(out, levels) -> list[AttentionMap]:
  names = [
    'as it is' if alpha == 1 else f'amplified {alpha:g} times'
    for alpha in levels
  ]
  return [
    AttentionMap(
      name, 'read', lambda level=level: trace_to_places(out)[:, level]
    )
    for level, name in enumerate(names)
  ]


def _of_hierarchies(out, levels) -> list[AttentionMap]:
  """Lists a map for each hierarchy of HTNet, averaged over heads and layers."""
  del levels
  found = []
  for layers in out['attention']:
    formed = _formed(layers, 5)
    if not formed:
      continue
    _, regions, _, _, tokens = formed[0].shape
    if tokens == 1 or not (_is_square(regions) and _is_square(tokens)):
      continue

    def make(formed=formed):
      return split_into_quarters(_mean_received(formed))

    names = {1: 'over all regions', 4: 'within each region'}
    name = names.get(regions, f'within {regions} parts')
    found.append(AttentionMap(name, 'attention', make))
  return found


def _of_gates_and_onset(out, levels) -> list[AttentionMap]:
  """Lists the maps of MMNet's gates, and of its attention to the onset."""
  del levels
  return [*_of_gates(out['gates']), *_of_onset(out['attention'])]


def _of_gates(gates) -> list[AttentionMap]:
  """Lists a map for each gate of MMNet: the size of what it hands on."""

  def make(gate):
    size = jnp.abs(gate).mean(-1)
    size = size / jnp.maximum(size.mean((-2, -1), keepdims=True), 1e-12)
    return _shrink(size)[:, None]

  return [
    AttentionMap(f'gate {number}', 'gate', lambda gate=gate: make(gate))
    for number, one in enumerate(gates, 1)
    for gate in _formed((one,), 4)
    if gate.shape[1] == gate.shape[2]
  ]


def _of_onset(attention) -> list[AttentionMap]:
  """Lists the map of MMNet's transformer, averaged over heads and layers."""
  formed = _formed(attention, 4)
  tokens = formed[0].shape[-1] if formed else 1
  if tokens == 1 or not _is_square(tokens):
    return []

  def make():
    looked = _mean_received(formed)
    return looked.reshape(len(looked), 1, *_grid(tokens))

  return [AttentionMap('onset', 'onset', make)]


def _formed(weights, axes: int) -> list[Any]:
  """Returns the weights that are not None, if all have one shape of `axes`."""
  found = [x for x in weights if x is not None]
  shapes = {x.shape for x in found}
  alike = len(shapes) == 1 and len(*shapes) == axes
  return found if alike else []


def _mean_received(formed) -> Float[Array, '*b m']:
  looked = [attention_per_key(weights).mean(-2) for weights in formed]
  return sum(looked) / len(looked)


def _rows(weights) -> Float[Array, '*b n m']:
  """Scales absolute weights to a sum of one over the keys."""
  size = jnp.abs(jnp.asarray(weights))
  return size / jnp.maximum(size.sum(-1, keepdims=True), 1e-12)


def _shrink(maps: Float[Array, 'b g g']) -> Float[Array, 'b s s']:
  """Averages squares of places, so that sides are at most `_FINEST` long."""
  side = maps.shape[-1]
  by = next(
    n for n in range(1, side + 1) if not side % n and side // n <= _FINEST
  )
  side //= by
  return maps.reshape(-1, side, by, side, by).mean((2, 4))


def _grid(count: int) -> tuple[int, int]:
  side = round(count**0.5)
  return side, side


def _is_square(count: int) -> bool:
  return round(count**0.5) ** 2 == count


# The forms of `out` that a model may declare: the entries that `out` must have,
# and the function that lists their maps. The modules of ARTNet, HTNet and
# MMNet, in this order, give the shapes of the entries.
FORMS: dict[str, tuple[tuple[str, ...], Callable[..., list[AttentionMap]]]] = {
  'levels': (
    ('level_weights', 'region_weights', 'place_weights', 'encoder_attention'),
    _of_levels,
  ),
  'hierarchies': (('attention',), _of_hierarchies),
  'gates': (('gates', 'attention'), _of_gates_and_onset),
}
