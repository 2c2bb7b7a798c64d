"""Own objects are known again by name and source, in every process."""

from __future__ import annotations

import functools
import json
import subprocess
import sys

from mejax import models
from mejax.datasets import protocols
from mejax.experiment import identity
from mejax.models import attention
from tests import child

_ELSEWHERE = """
import functools, json
from mejax.experiment import identity
from mejax import models
from mejax.models import attention
window = functools.partial(attention.windowed, radius=2)
model = models.make('htnet', 'tiny', attention_fn=window)
print(json.dumps(identity.describe(model)))
"""


def test_a_model_with_options_is_the_same_in_another_process():
  window = functools.partial(attention.windowed, radius=2)
  here = identity.describe(models.make('htnet', 'tiny', attention_fn=window))
  done = subprocess.run(
    [sys.executable, '-c', _ELSEWHERE],
    capture_output=True,
    text=True,
    env=child.environment(),
    check=True,
  )
  assert json.loads(done.stdout) == json.loads(json.dumps(here))


def test_another_option_field_or_function_body_is_another_thing():
  def make(source):
    scope = {'__name__': 'notebook'}
    exec(source, scope)  # As a notebook cell would be: there is no file.
    return scope['own']

  things = [
    functools.partial(attention.windowed, radius=1),
    functools.partial(attention.windowed, radius=2),
    models.make('htnet', 'tiny'),
    models.make('htnet', 'tiny', dim=16),
    make('def own(q, k, v): return v, None'),
    make('def own(q, k, v): return v + q, None'),
    protocols.PROTOCOLS['megc2019'],
    protocols.PROTOCOLS['synthetic'],
  ]
  texts = [json.dumps(identity.describe(thing)) for thing in things]
  assert len(set(texts)) == len(texts)
  assert not any(' at 0x' in text for text in texts)
