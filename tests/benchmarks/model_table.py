"""Parameters and GFLOP of every preset of every model, as a table.

  python -m tests.benchmarks.model_table

The GFLOP are what XLA counts in the forward pass of one sample compiled for
this machine: two for each multiply-add, and 5 to 15 % for all that is not a
matrix product.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from mejax import models

LEVELS = (1.0, 2.0, 4.0, 8.0)


def input_shape(model) -> tuple[int, ...]:
  """One input: flow of the model's size, of four levels, or two frames."""
  if hasattr(model, 'levels'):
    return (len(LEVELS), 128, 128, 3)
  side = getattr(model, 'image_size', 28)
  pair = (2,) if hasattr(model, 'spare_outputs') else ()
  return (*pair, side, side, 3)


def row(name: str, preset: str) -> str:
  options = {'levels': LEVELS} if name == 'artnet' else {}
  model = models.make(name, preset, **options)
  shape = input_shape(model)
  blank = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
  variables = jax.eval_shape(
    functools.partial(model.init, train=False), jax.random.key(0), blank
  )
  apply = jax.jit(lambda v, x: model.apply(v, x, train=False)[0])
  cost = apply.lower(variables, blank).compile().cost_analysis()
  count = sum(x.size for x in jax.tree.leaves(variables['params']))
  sides = ' x '.join(map(str, shape))
  return (
    f'| {name} | {preset} | {sides} | {count:,} | {cost["flops"] / 1e9:.4f} |'
  )


def main() -> None:
  print('| model | preset | input | parameters | GFLOP forward |')
  print('|---|---|---|---|---|')
  for name, known in models.MODELS.items():
    for preset in known.presets:
      print(row(name, preset), flush=True)


if __name__ == '__main__':
  main()
