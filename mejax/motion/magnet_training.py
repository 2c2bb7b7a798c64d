"""Training of MagNet on textures that move by a known factor.

  python -m mejax.motion.magnet_training --out magnet.npz [--steps N]

The same command goes on where it stopped, with the same result: a step's data
depend on nothing but its number. Beside the parameters in magnet.npz lies
magnet.npz.state with what resuming needs.

A texture is a sum of waves, given at any place, so that frames are exact
however little they move: the onset, the apex and the truth, whose motion is
alpha times that of the apex. Frames get Poisson noise, the truth none. The loss
is the mean absolute difference to the truth, of what the decoder makes and of
what `magnify.learned` makes of that.
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
import tqdm

from mejax import files
from mejax.motion import magnet
from mejax.motion import warp

NUM_WAVES = 48
NUM_BUMPS = 3
LONGEST = 8.0  # Pixels that anything moves in the truth.
HIGHEST = 10.0  # The largest alpha.
NOISE = 0.02  # Standard deviation in white; the square grows with the light.


def make_examples(
  key: Key[Array, ''], *, number: int, size: int
) -> dict[str, Float[Array, '...']]:
  """Frames onset, apex and truth, [b, h, w, 3] in [0, 1], and alpha [b].

  alpha is 1 to 10, log-uniform; the truth moves by 0.2 to 8 pixels.
  """
  keys = jax.random.split(key, number)
  return jax.vmap(functools.partial(_make_example, size=size))(keys)


def _make_example(key, *, size):
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
  """A picture as a function of places (x, y): waves, some with hard edges."""
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
  """A field whose longest motion is 1, alpha, and the motion of the truth."""
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
  """Where what is seen at each pixel was before it moved."""
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
  """The next state, and the error as a part of that of the apex as it is.

  `schedule` is the highest learning rate, the number of steps and the batch.
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
  rate, steps, _ = schedule
  rates = optax.warmup_cosine_decay_schedule(
    0.0, rate, min(100, steps // 10), steps
  )
  return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rates))


def start(
  key: Key[Array, ''],
  *,
  module: magnet.MagNet,
  schedule: tuple[float, int, int],
) -> PyTree:
  """The state before the first step."""
  frames = jnp.zeros((1, 32, 32, 3))
  init = jax.jit(module.init)
  params = init(key, frames, frames, jnp.float32(1))['params']
  # Small at first, so that training begins near the apex as it is.
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
  """Trains, or goes on with what lies in `out`, and returns the parameters.

  Raises:
    ValueError: what lies there belongs to another network or schedule.
  """
  out = pathlib.Path(out)
  file = out.with_name(out.name + '.state')
  schedule = (learning_rate, steps, batch)
  begin, key = jax.random.split(jax.random.key(seed))
  state = start(begin, module=module, schedule=schedule)
  settings = {
    **{name: getattr(module, name) for name in network_fields()},
    **{'steps': steps, 'batch': batch, 'size': size, 'seed': seed},
    'learning_rate': learning_rate,
  }
  if file.exists():
    state = _restore(file, settings, state)
  done = int(state['step'])
  with tqdm.tqdm(total=steps, initial=done, unit='step') as bar:
    for step in range(done + 1, steps + 1):
      state, error = train_step(
        state, key, module=module, schedule=schedule, size=size
      )
      bar.update()
      if step % save_every == 0 or step == steps:
        bar.set_postfix_str(f'error {float(error):.2f} of that of the apex')
        magnet.save_params(out, state['params'])
        _save(file, settings, state)
  return state['params']


def network_fields() -> list[str]:
  """What may be chosen about the network."""
  fields = dataclasses.fields(magnet.MagNet)
  return [field.name for field in fields if field.type == 'int']


def _save(path: pathlib.Path, settings: dict, state: PyTree) -> None:
  tree = {'settings': settings, 'state': state}
  with files.writing(path, 'wb') as file:
    file.write(flax.serialization.to_bytes(tree))


def _restore(file: pathlib.Path, settings: dict, state: PyTree) -> PyTree:
  saved = flax.serialization.msgpack_restore(file.read_bytes())
  if saved['settings'] != settings:
    raise ValueError(
      f'{file} was made with other settings: {saved["settings"]}, not '
      f'{settings}; give these, or another --out'
    )
  state = flax.serialization.from_state_dict(state, saved['state'])
  return jax.tree.map(jnp.asarray, state)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
  parser.add_argument('--out', required=True, help='the file to write')
  parser.add_argument('--steps', type=int, default=20000)
  parser.add_argument('--batch', type=int, default=8)
  parser.add_argument('--size', type=int, default=64, help='of the frames')
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
