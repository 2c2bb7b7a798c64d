"""Trains MagNet on textures that move by a known factor.

  python -m mejax.motion.magnet_training --out magnet.npz [--steps N]

The same command resumes a training that was stopped, with the same result: the
data of a step depend only on its number. The parameters go to magnet.npz, and
the state for resuming to magnet.npz.state beside it.

A texture is a sum of waves and has a value at any place, so frames are exact
however little they move. An example has an onset, an apex and the truth, whose
motion is alpha times that of the apex. Onset and apex get noise that grows with
the light; the truth gets none. The loss is the mean absolute error of the
decoder's frame plus that of the frame that `magnify.learned` makes with it.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import pathlib

import flax.serialization
import jax
import jax.numpy as jnp
from jaxtyping import Array
from jaxtyping import Float
from jaxtyping import Key
from jaxtyping import PyTree
import optax

from mejax import bars
from mejax import files
from mejax import limits
from mejax.motion import magnet
from mejax.motion import warp

NUM_WAVES = 48
NUM_BUMPS = 3
LONGEST = 8.0  # The longest motion in the truth, in pixels.
HIGHEST = 10.0  # The largest alpha.
# Largest standard deviation of the noise in white; variance grows with light.
NOISE = 0.02


def make_examples(
  key: Key[Array, ''], *, number: int, size: int
) -> dict[str, Float[Array, '...']]:
  """Makes `number` examples with frames of `size` pixels a side.

  Returns:
    onset, apex and truth, each f32[b, h, w, 3] in [0, 1], and alpha f32[b].
    alpha is log-uniform from 1 to 10, and the longest motion of the truth is
    log-uniform from 0.2 to 8 pixels.
  """
  keys = jax.random.split(key, number)
  return jax.vmap(functools.partial(_make_example, size=size))(keys)


def _make_example(key, *, size):
  """Makes one example."""
  for_texture, for_motion, for_noise = jax.random.split(key, 3)
  texture = _make_texture(for_texture)
  field, alpha, distance = _make_motion(for_motion, size)
  frames = [texture(_origin(field, d, size)) for d in (0, distance / alpha)]
  strength, *noise = jax.random.split(for_noise, 3)
  strength = NOISE * jax.random.uniform(strength)
  onset, apex = (
    frame + strength * jnp.sqrt(frame) * jax.random.normal(key, frame.shape)
    for key, frame in zip(noise, frames, strict=True)
  )
  truth = texture(_origin(field, distance, size))
  return {'onset': onset, 'apex': apex, 'truth': truth, 'alpha': alpha}


def _make_texture(key):
  """Returns a picture as a function of places: waves, some with hard edges."""
  keys = jax.random.split(key, 5)
  octave = jax.random.uniform(keys[0], (NUM_WAVES,), minval=1.6, maxval=6)
  angle, turn = jax.random.uniform(keys[1], (2, NUM_WAVES), maxval=2 * jnp.pi)
  wavelength = 2**octave
  colour = 1 + 0.4 * jax.random.normal(keys[2], (NUM_WAVES, 3))
  height = jax.random.normal(keys[3], (NUM_WAVES, 1)) * colour
  height *= wavelength[:, None] ** 0.5
  height /= jnp.sqrt((height**2).sum(0) / 2)
  mean, contrast, hardness = jax.random.uniform(keys[4], (3,))
  mean, contrast = 0.3 + 0.4 * mean, 0.1 + 0.3 * contrast

  def texture(places):
    along = places[..., :1] * jnp.cos(angle) + places[..., 1:] * jnp.sin(angle)
    value = jnp.cos(2 * jnp.pi * along / wavelength + turn) @ height
    value = jnp.tanh(value * 4**hardness)
    return jnp.clip(mean + contrast * value, 0, 1)

  return texture


def _make_motion(key, size):
  """Returns a field of longest motion 1, alpha, and the motion of the truth."""
  keys = jax.random.split(key, 5)
  centre = size * jax.random.uniform(keys[0], (NUM_BUMPS, 2))
  width = size * jax.random.uniform(
    keys[1], (NUM_BUMPS,), minval=0.15, maxval=0.5
  )
  height = jax.random.normal(keys[2], (NUM_BUMPS, 2))

  def bumps(places):
    far = ((places[..., None, :] - centre) ** 2).sum(-1)
    return jnp.exp(-far / (2 * width**2)) @ height

  longest = jnp.sqrt((bumps(warp.grid(size, size)) ** 2).sum(-1)).max()
  alpha, distance = jax.random.uniform(keys[3], (2,))
  alpha = HIGHEST**alpha
  distance = 0.2 * (LONGEST / 0.2) ** distance
  return lambda places: bumps(places) / longest, alpha, distance


def _origin(field, distance, size):
  """Returns the place from which the content of each pixel has come."""
  places = warp.grid(size, size)
  origin = places
  for _ in range(6):
    origin = places - distance * field(origin)
  return origin


@functools.partial(jax.jit, static_argnames=('module', 'schedule', 'size'))
def train_step(
  state: PyTree,
  key: Key[Array, ''],
  *,
  module: magnet.MagNet,
  schedule: tuple[float, int, int],
  size: int,
) -> tuple[PyTree, Float[Array, '']]:
  """Takes one step.

  Args:
    state: from `initial_state` or the step before.
    key: the same for all steps; the number of the step is folded in.
    module: the network.
    schedule: highest learning rate, number of steps, batch size.
    size: side of the frames in pixels.

  Returns:
    The next state, and the error divided by that of the unchanged apex.
  """
  number = schedule[2]
  key = jax.random.fold_in(key, state['step'])
  examples = make_examples(key, number=number, size=size)
  onset, apex, truth = (2 * examples[k] - 1 for k in ('onset', 'apex', 'truth'))
  gain = (examples['alpha'] - 1)[:, None, None, None]

  def loss(params):
    variables = {'params': params}
    moved, rebuilt = module.apply(variables, onset, apex, gain, method='both')
    error = jnp.abs(apex + moved - rebuilt - truth).mean()
    return error + jnp.abs(moved - truth).mean(), error

  found = jax.value_and_grad(loss, has_aux=True)(state['params'])
  (_, error), gradient = found
  updates, optimiser = _optimiser(schedule).update(gradient, state['optimiser'])
  state = {
    'params': optax.apply_updates(state['params'], updates),
    'optimiser': optimiser,
    'step': state['step'] + 1,
  }
  return state, error / jnp.abs(apex - truth).mean()


def _optimiser(schedule):
  """Returns Adam with a warm-up, a cosine decay and clipped gradients."""
  rate, steps, _ = schedule
  rates = optax.warmup_cosine_decay_schedule(
    0.0, rate, min(100, steps // 10), steps
  )
  return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rates))


def initial_state(
  key: Key[Array, ''],
  *,
  module: magnet.MagNet,
  schedule: tuple[float, int, int],
) -> PyTree:
  """Returns the state before the first step; `schedule` as in `train_step`."""
  frames = jnp.zeros((1, 32, 32, 3))
  init = jax.jit(module.init)
  params = init(key, frames, frames, jnp.float32(1))['params']
  # With a small last layer, training begins near the unchanged apex.
  params['decoder']['frame']['kernel'] *= 0.1
  return {
    'params': params,
    'optimiser': _optimiser(schedule).init(params),
    'step': jnp.int32(0),
  }


def train(
  out: str | os.PathLike,
  *,
  module: magnet.MagNet,
  steps: int,
  batch: int = 8,
  size: int = 64,
  learning_rate: float = 1e-3,
  save_every: int = 100,
  seed: int = 0,
) -> PyTree:
  """Trains a network, or resumes its training, and returns the parameters.

  Args:
    out: file for the parameters; the state goes beside it.
    module: the network.
    steps: number of steps.
    batch: examples per step.
    size: side of the frames in pixels.
    learning_rate: the highest of the schedule.
    save_every: steps between two saves.
    seed: decides the first parameters and all examples.

  Raises:
    ValueError: the saved state belongs to another network or schedule.
  """
  out = pathlib.Path(out)
  file = out.with_name(out.name + '.state')
  schedule = (learning_rate, steps, batch)
  begin, key = jax.random.split(jax.random.key(seed))
  state = initial_state(begin, module=module, schedule=schedule)
  settings = {
    **{name: getattr(module, name) for name in network_fields()},
    **{'steps': steps, 'batch': batch, 'size': size, 'seed': seed},
    'learning_rate': learning_rate,
  }
  if file.exists():
    state = _restore(file, settings, state)
  done = int(state['step'])
  with bars.Bar(total=steps, initial=done, unit='step') as bar:
    for step in range(done + 1, steps + 1):
      state, error = train_step(
        state, key, module=module, schedule=schedule, size=size
      )
      bar.update()
      if step % save_every == 0 or step == steps:
        bar.set_postfix_str(f'error {float(error):.2f} x that of the apex')
        magnet.save_params(out, state['params'])
        _save(file, settings, state)
  return state['params']


def network_fields() -> list[str]:
  """Returns the names of the network's fields that the command line sets."""
  fields = dataclasses.fields(magnet.MagNet)
  return [field.name for field in fields if field.type == 'int']


def _save(path: pathlib.Path, settings: dict, state: PyTree) -> None:
  tree = {'settings': settings, 'state': state}
  with files.writing(path, 'wb') as file:
    file.write(flax.serialization.to_bytes(tree))


def _restore(file: pathlib.Path, settings: dict, state: PyTree) -> PyTree:
  saved = flax.serialization.msgpack_restore(limits.read_bytes(file))
  if saved['settings'] != settings:
    raise ValueError(
      f'{file} was made with other settings: {saved["settings"]}, not '
      f'{settings}; repeat the former, or give another --out'
    )
  state = flax.serialization.from_state_dict(state, saved['state'])
  return jax.tree.map(jnp.asarray, state)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--out', required=True, help='the file to write')
  parser.add_argument('--steps', type=int, default=20000)
  parser.add_argument('--batch', type=int, default=8)
  parser.add_argument('--size', type=int, default=64, help='side of the frames')
  parser.add_argument('--learning_rate', type=float, default=1e-3)
  parser.add_argument('--save_every', type=int, default=100)
  parser.add_argument('--seed', type=int, default=0)
  for name in network_fields():
    parser.add_argument(
      f'--{name}', type=int, default=getattr(magnet.MagNet, name)
    )
  options = vars(parser.parse_args())
  fields = {name: options.pop(name) for name in network_fields()}
  module = magnet.MagNet(**fields)
  train(options.pop('out'), module=module, **options)


if __name__ == '__main__':
  main()
