"""The notebooks run from top to bottom, and are stored clean."""

from __future__ import annotations

import pathlib
import sys
from types import SimpleNamespace

from IPython.core import inputtransformer2
import nbclient
import nbformat
import pytest

from tests import child

NOTEBOOKS = sorted((child.ROOT / 'colab').glob('*.ipynb'))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request) -> nbformat.NotebookNode:
  return nbformat.read(request.param, as_version=4)


def code(notebook) -> list[nbformat.NotebookNode]:
  return [cell for cell in notebook.cells if cell.cell_type == 'code']


def test_there_is_one_on_attention():
  assert 'new_attention' in [path.stem for path in NOTEBOOKS]


def test_notebook_is_stored_without_outputs_and_traces_of_its_author(notebook):
  nbformat.validate(notebook)
  for cell in code(notebook):
    assert cell.outputs == [] and cell.execution_count is None
  assert all(cell.metadata == {} for cell in notebook.cells)
  assert set(notebook.metadata) == {'kernelspec', 'language_info'}
  assert notebook.metadata.language_info == {'name': 'python'}


def test_first_cell_installs_mejax_on_colab_and_nowhere_else(
  notebook, monkeypatch
):
  first, *rest = (cell.source for cell in code(notebook))
  assert 'pip install' not in ''.join(rest)
  plain = inputtransformer2.TransformerManager().transform_cell(first)
  asked = []

  def run(source):
    magic = SimpleNamespace(run_line_magic=lambda *words: asked.append(words))
    exec(source, {'get_ipython': lambda: magic})

  run(plain)
  assert asked == []
  monkeypatch.setitem(sys.modules, 'google.colab', None)
  # Nobody can know where a copy of this notebook came from.
  with pytest.raises(ValueError, match='SOURCE is empty'):
    run(plain)
  run(plain.replace("SOURCE = ''", "SOURCE = 'git+https://HOST/mejax'"))
  assert asked == [('pip', 'install --quiet {SOURCE}')]


@pytest.mark.slow
def test_notebook_runs_from_top_to_bottom(notebook, tmp_path, monkeypatch):
  monkeypatch.setenv('PYTHONPATH', str(child.ROOT))
  monkeypatch.setenv('MEJAX_SMALL', '1')
  client = nbclient.NotebookClient(
    notebook,
    timeout=900,
    kernel_name='python3',
    resources={'metadata': {'path': str(tmp_path)}},
  )
  client.execute()
  *_, last = (cell for cell in code(notebook) if cell.outputs)
  pictures = [
    output.data['image/svg+xml']
    for output in last.outputs
    if 'image/svg+xml' in output.get('data', {})
  ]
  assert len(pictures) == 2
  assert list(pathlib.Path(tmp_path).rglob('report/index.html'))
