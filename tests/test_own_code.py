"""Code of the user's own is imported if he names it, and not else."""

from __future__ import annotations

import subprocess
import sys

import hypothesis
from hypothesis import strategies
import pytest

from mejax import own_code
from mejax.corpora import corpus
from mejax.experiment import configuration
from mejax.models import make
from tests import child

# Values of a file in which a name may hide.
SHELLS = strategies.recursive(
  strategies.just('strange:code'),
  lambda inner: (
    strategies.dictionaries(strategies.text(), inner, min_size=1, max_size=2)
    | strategies.lists(inner | strategies.integers(), min_size=1, max_size=3)
  ),
)
PARTS = strategies.text('abc.:_-/= ,1é', max_size=12)


@hypothesis.given(SHELLS)
def test_a_name_is_found_however_deep_it_lies(content):
  found = own_code.names_in(content)
  if 'strange:code' in str(content):
    assert found == ['strange:code']
    with pytest.raises(ValueError, match='names code.*strange:code.*--trust'):
      own_code.refuse_strange(content, where='config.json')
    own_code.refuse_strange(content, where='', given=['strange:code'])
    own_code.refuse_strange(content, where='', trust_code=True)
  else:
    assert found == []


@hypothesis.given(PARTS)
def test_nothing_is_imported_that_the_gate_does_not_see(spec):
  if not own_code.names_in({'a': spec}):
    with pytest.raises(ValueError, match='is not like package.module:name'):
      own_code.load(spec, 'thing')


@pytest.mark.parametrize(
  'spec', ['mejax.models:HTNet', 'mejax.models.convolution:conv']
)
def test_parts_of_mejax_need_no_trust(spec):
  own_code.refuse_strange({'model': spec}, where='config.json')


@pytest.mark.parametrize(
  'spec',
  [
    'mejax:x', 'mejaxx.models:x', 'mejax.__main__:main', 'mejax.cli:main',
    'mejax.models:__builtins__', 'mejax.files:replacing', 'os:system',
    'builtins:eval', 'posix:system', '.evil:x', 'evil:',
  ],
)  # fmt: skip
def test_all_other_names_do(spec):
  if own_code.is_name(spec):
    with pytest.raises(ValueError, match='names code'):
      own_code.refuse_strange([spec], where='config.json')
  else:
    with pytest.raises(ValueError, match='is not like'):
      own_code.load(spec, 'thing')


def test_a_value_of_the_command_line_gives_the_names_in_it():
  assert own_code.names_in(['--config.view.name=my.views:wide', 'a=1,b:c']) == [
    'my.views:wide',
    'b:c',
  ]


@pytest.mark.parametrize(
  'load',
  [
    lambda spec: make(spec, num_classes=2),
    lambda spec: configuration.named(spec, {}, 'view'),
    corpus.find_corpus,
  ],
)
def test_every_kind_of_part_goes_through_one_door(load, monkeypatch):
  asked = []

  def door(spec, what):
    asked.append((spec, what))
    raise ValueError('closed')

  monkeypatch.setattr(own_code, 'load', door)
  with pytest.raises(ValueError, match='closed'):
    load('tests.own_parts:view')
  assert [spec for spec, _ in asked] == ['tests.own_parts:view']


@pytest.mark.parametrize(
  ('arguments', 'runs'),
  [
    (['report', 'run'], False),
    (['train', '--config', 'synthetic', '--workdir', 'w'], False),
    (['check', 'beside:CORPUS', '.'], True),
    (['train', '--config', 'mine.py', '--workdir', 'w'], True),
  ],
)
def test_the_folder_of_the_call_is_searched_only_for_code_that_is_named(
  tmp_path, arguments, runs
):
  # JAX imports every module in packages of this name; torch is optional.
  for name in ('jax_plugins/evil', 'torch', 'beside', 'helper'):
    file = tmp_path / f'{name}.py'
    file.parent.mkdir(exist_ok=True)
    file.write_text(f'print("RAN {name}")\nCORPUS = 1\n')
  (tmp_path / 'mine.py').write_text('import helper\nget_config = 1\n')
  done = subprocess.run(
    [sys.executable, '-c', 'import sys; from mejax import cli;'
     ' sys.path[:] = [p for p in sys.path if p];'
     ' sys.exit(cli.main(sys.argv[1:]))', *arguments],
    cwd=tmp_path, env=child.environment(), capture_output=True, text=True,
  )  # fmt: skip
  assert done.returncode != 0
  assert ('RAN' in done.stdout) == runs, done.stdout + done.stderr
