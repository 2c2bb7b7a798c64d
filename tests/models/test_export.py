"""Every model is exported once, for any batch, and called without mejax."""

from __future__ import annotations

import importlib.metadata
import pathlib
import re
import subprocess
import sys

import jax
from jax import export
import jaxtyping
import numpy as np
import pytest

from mejax import models
from tests import closeness
from tests.models import smallest

pytestmark = pytest.mark.unoptimised

BATCHES = (1, 3)
PLATFORMS = ('cpu', 'cuda', 'tpu')

CALL = f"""
BATCHES = {BATCHES}
import pathlib, sys
from jax import export
import numpy as np
for file in sorted(pathlib.Path('models').iterdir()):
  call = export.deserialize(bytearray(file.read_bytes())).call
  x = np.load(file.name + '.npy')
  np.savez(file.name, **dict((str(b), call(x[:b])) for b in BATCHES))
print(*set(name.partition('.')[0] for name in sys.modules))
"""


def batch_of(shape):
  """The shape of a batch whose size is not known yet."""
  (size,) = export.symbolic_shape('b')
  return jax.ShapeDtypeStruct((size, *shape), np.float32)


def predict(name):
  """A function of a batch that returns logits."""
  model = smallest.make(name)
  variables = smallest.variables(model, smallest.inputs(name))
  return jax.jit(lambda x: model.apply(variables, x, train=False)[0])


@pytest.fixture(autouse=True)
def unchecked():
  """No checks of shapes: jaxtyping cannot compare sizes that are symbols."""
  jaxtyping.config.update('jaxtyping_disable', True)
  yield
  jaxtyping.config.update('jaxtyping_disable', False)


@pytest.fixture(scope='module')
def bare(tmp_path_factory) -> pathlib.Path:
  """The Python of an environment of JAX and FlatBuffers alone.

  It borrows their folders, so that nothing is downloaded.
  """
  folder = tmp_path_factory.mktemp('bare')
  command = [sys.executable, '-m', 'venv', '--without-pip', folder]
  subprocess.run(command, check=True)
  site = next(folder.glob('lib/python*/site-packages'))
  wanted, found = ['jax', 'flatbuffers'], set()
  while wanted:
    distribution = importlib.metadata.distribution(wanted.pop())
    if distribution.name in found:
      continue
    found.add(distribution.name)
    wanted += [
      re.match(r'[\w-]+', line).group()
      for line in distribution.requires or ()
      if 'extra ==' not in line
    ]
    for top in {file.parts[0] for file in distribution.files}:
      source = pathlib.Path(distribution.locate_file(top))
      if top not in ('..', '__pycache__') and not (site / top).exists():
        (site / top).symlink_to(source)
  return folder / 'bin/python'


@pytest.mark.slow
def test_every_model_is_called_without_mejax_at_any_batch(bare, tmp_path):
  (tmp_path / 'models').mkdir()
  for name in smallest.MODELS:
    exported = export.export(predict(name), platforms=PLATFORMS)(
      batch_of(smallest.MODELS[name].shape)
    )
    assert exported.platforms == PLATFORMS
    (tmp_path / 'models' / name).write_bytes(exported.serialize())
    np.save(tmp_path / f'{name}.npy', smallest.inputs(name, max(BATCHES)))
  loaded = subprocess.run(
    [bare, '-I', '-c', CALL],
    cwd=tmp_path,
    check=True,
    stdout=subprocess.PIPE,
    text=True,
  ).stdout.split()
  assert {'jax', 'flatbuffers'} <= set(loaded)
  assert not {'mejax', 'flax', 'jaxtyping'} & set(loaded)
  for name in smallest.MODELS:
    # In evaluation the logits of an example do not depend on the others.
    expected = predict(name)(smallest.inputs(name, max(BATCHES)))
    assert np.isfinite(expected).all()
    with np.load(tmp_path / f'{name}.npz') as logits:
      for size in BATCHES:
        found = logits[str(size)]
        assert found.shape == (size, expected.shape[1])
        closeness.assert_close(found, expected[:size], 1e-5, err_msg=name)


@pytest.mark.parametrize('name', smallest.MODELS)
def test_a_training_step_is_exported_for_any_batch(name):
  model = smallest.make(name)
  variables = smallest.variables(model, smallest.inputs(name))

  @jax.jit
  @jax.grad
  def gradient(params, x, key):
    (logits, _), _ = model.apply(
      {**variables, 'params': params},
      x,
      train=True,
      rngs={'dropout': key},
      mutable=['batch_stats'],
    )
    return (logits**2).sum()

  exported = export.export(gradient, platforms=PLATFORMS)(
    variables['params'],
    batch_of(smallest.MODELS[name].shape),
    jax.random.key(0),
  )
  assert export.deserialize(exported.serialize()).platforms == PLATFORMS


@pytest.mark.parametrize(
  ('name', 'preset', 'shape'),
  [
    ('htnet', 'released', (28, 28, 3)),
    ('mmnet', 'released-5', (2, 224, 224, 3)),
  ],
)
def test_a_model_of_published_size_is_exported_with_its_weights_apart(
  name, preset, shape
):
  model = models.make(name, preset)
  variables = jax.eval_shape(
    model.init,
    jax.random.key(0),
    jax.ShapeDtypeStruct((1, *shape), np.float32),
  )
  predict = jax.jit(lambda variables, x: model.apply(variables, x, train=False))
  exported = export.export(predict, platforms=PLATFORMS)(
    variables, batch_of(shape)
  )
  logits, *_ = exported.out_avals
  assert str(logits.shape[0]) == 'b'
  assert logits.shape[1] == model.num_classes
