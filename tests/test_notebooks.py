"""The notebooks run from top to bottom, and are stored small and clean.

`colab/store.py` runs them whole and stores them; here they run in a small form.
"""

from __future__ import annotations

import importlib.util
import re

import nbformat
import pytest

from tests import child
from tests.corpora import htnet_tree

pytestmark = pytest.mark.unoptimised

HERE = child.ROOT / 'colab'
NAMES = sorted(path.stem for path in HERE.glob('*.ipynb'))
# The pictures that the last cells show.
FIGURES = {
  'functional': 1,
  'htnet_release': 2,
  'new_attention': 2,
  'own_clip': 2,
  'quickstart': 3,
  'search': 2,
}
BYTES = 400_000  # What a repository and a page of it bear.


@pytest.fixture(scope='module')
def store():
  spec = importlib.util.spec_from_file_location('store', HERE / 'store.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@pytest.fixture(params=NAMES)
def name(request) -> str:
  return request.param


def pictures(cell) -> list[str]:
  return [
    data
    for each in cell.outputs
    for kind, data in each.get('data', {}).items()
    if kind in ('image/svg+xml', 'image/jpeg')
  ]


def test_these_are_the_notebooks():
  assert sorted(FIGURES) == NAMES


def test_a_notebook_is_short_and_its_first_cell_is_that_of_all(name, store):
  notebook = store.read(name)
  nbformat.validate(notebook)
  assert len(notebook.cells) < 15
  assert notebook.cells[0].cell_type == 'markdown'
  first, *rest = store.code(notebook)
  assert first.source == store.first_cell('search' if name == 'search' else '')
  assert all('pip install' not in cell.source for cell in rest)


def test_a_notebook_is_stored_with_small_outputs_and_no_traces_of_its_author(
  name, store
):
  path = HERE / f'{name}.ipynb'
  assert path.stat().st_size < BYTES
  notebook = store.read(name)
  for i, cell in enumerate(store.code(notebook)):
    assert cell.execution_count is None
    assert cell.metadata == ({} if i else {'cellView': 'form'})
    for output in cell.outputs:
      assert output.output_type != 'error' and output.get('name') != 'stderr'
  assert set(notebook.metadata) == {'kernelspec', 'language_info'}
  assert notebook.metadata.language_info == {'name': 'python'}
  # Folders of the machine on which it ran.
  assert not re.search(r'/(tmp|root|home|work|Users)\b', path.read_text())


def test_a_stored_notebook_shows_its_figures(name, store):
  shown = [x for cell in store.code(store.read(name)) for x in pictures(cell)]
  assert len(shown) >= FIGURES[name]


def test_a_badge_opens_the_notebook_once_there_is_an_address(
  name, store, monkeypatch
):
  without = store.brought_up_to_date(name)
  monkeypatch.setattr(store, 'ADDRESS', 'owner/mejax')
  notebook = store.brought_up_to_date(name)
  place = 'colab.research.google.com/github/owner/mejax/blob/main/colab'
  badge, _, rest = notebook.cells[0].source.partition('\n\n')
  assert badge.endswith(f'](https://{place}/{name}.ipynb)')
  assert rest == without.cells[0].source
  cell = store.code(notebook)[0].source
  assert "SOURCE = 'git+https://github.com/owner/mejax'" in cell


@pytest.mark.slow
def test_notebook_runs_from_top_to_bottom(name, store, tmp_path):
  htnet_tree.write_tree(tmp_path / 'clone')
  notebook = store.brought_up_to_date(name)
  store.run(notebook, tmp_path, MEJAX_SMALL='1', MEJAX_HTNET='clone')
  cells = store.code(notebook)
  shown = [picture for cell in cells for picture in pictures(cell)]
  assert len(shown) >= FIGURES[name]
  page = {'functional': '', 'own_clip': 'predicted_*/index.html'}
  page = page.get(name, 'report/index.html')
  assert not page or list(tmp_path.rglob(page))
  said = cells[0].outputs[0].data['text/html']
  assert 'mejax runs on: ' in said
  store.strip(notebook)
  nbformat.validate(notebook)
