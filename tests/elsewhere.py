"""A place where nothing is installed but jax and flatbuffers."""

from __future__ import annotations

import importlib
import os
import pathlib
import re
import subprocess
import sys

import numpy as np

# jax, what it depends on, and flatbuffers.
_NEEDED = (
  'jax', 'jaxlib', 'numpy', 'ml_dtypes', 'opt_einsum', 'scipy', 'flatbuffers'
)  # fmt: skip
_STRANGE = ('mejax', 'flax', 'safetensors', 'ml_collections')


def run_card(
  folder: pathlib.Path, place: pathlib.Path, *, inputs: str, others: str
) -> np.ndarray:
  """Runs the program of a card there; returns the numbers that it prints.

  Args:
    folder: of a saved model.
    place: an empty folder.
    inputs: code of the inputs in the card.
    others: what is put in their place.
  """
  for name in _NEEDED:
    home = pathlib.Path(importlib.import_module(name).__file__).parent
    for path in (home, *home.parent.glob(f'{name}.libs')):
      (place / path.name).symlink_to(path)
  text = (folder / 'MODEL.md').read_text()
  (program,) = re.findall(r'```python\n(import json.*?)```', text, re.S)
  assert inputs in program
  program = program.replace(inputs, others)
  program += '\nprint(sorted({n.partition(".")[0] for n in sys.modules}))'
  found = subprocess.run(
    [sys.executable, '-S', '-c', f'import sys\n{program}'],
    cwd=folder,
    env=os.environ | {'PYTHONPATH': str(place)},
    capture_output=True,
    text=True,
  )
  assert found.returncode == 0, found.stderr
  *rows, modules = found.stdout.splitlines()
  for name in _STRANGE:
    assert f"'{name}'" not in modules
  return np.array(re.findall(r'\d\.\d+(?:e-\d+)?', ' '.join(rows)), float)
