"""Runs notebooks, and stores them with small outputs.

  python colab/store.py [NAME ...]

Each is run from top to bottom in an empty folder. Its first cell of code is
that of `first_cell.py`; with an `ADDRESS`, a badge opens the notebook on Colab.
"""

from __future__ import annotations

import os
import pathlib
import re
import sys
import tempfile

import nbclient
import nbformat

ADDRESS = ''  # OWNER/NAME on GitHub, once there is one.
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
# What a page shows of an output; HTML is kept for the device alone.
KEPT = ('image/svg+xml', 'image/jpeg', 'text/markdown', 'text/plain')
_BADGE = re.compile(r'^\[!\[Open in Colab\].*\n\n', re.M)
_EXTRAS = re.compile(r"^EXTRAS = '(.*)'", re.M)


def read(name: str) -> nbformat.NotebookNode:
  """Reads a notebook by its name."""
  return nbformat.read(HERE / f'{name}.ipynb', as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
  """Returns the cells of code."""
  return [cell for cell in notebook.cells if cell.cell_type == 'code']


def first_cell(extras: str) -> str:
  """Returns the source of the first cell of code.

  Args:
    extras: the extra of mejax that the notebook needs, '' for none.
  """
  text = (HERE / 'first_cell.py').read_text().rstrip('\n')
  source = f'git+https://github.com/{ADDRESS}' if ADDRESS else ''
  text = text.replace("SOURCE = ''", f"SOURCE = '{source}'", 1)
  return text.replace("EXTRAS = ''", f"EXTRAS = '{extras}'", 1)


def brought_up_to_date(name: str) -> nbformat.NotebookNode:
  """Returns a notebook with the present first cell and badge."""
  notebook = read(name)
  cell = code(notebook)[0]
  found = _EXTRAS.search(cell.source)
  cell.source = first_cell(found[1] if found else '')
  # Colab shows its title and the field of SOURCE, and hides the rest.
  cell.metadata = {'cellView': 'form'}
  head = notebook.cells[0]
  badge = ''
  if ADDRESS:
    where = f'colab.research.google.com/github/{ADDRESS}/blob/main/colab'
    picture = 'https://colab.research.google.com/assets/colab-badge.svg'
    badge = f'[![Open in Colab]({picture})](https://{where}/{name}.ipynb)\n\n'
  head.source = badge + _BADGE.sub('', head.source)
  return notebook


def run(
  notebook: nbformat.NotebookNode, folder: pathlib.Path, **environment: str
) -> None:
  """Runs a notebook in a folder with the mejax of this checkout."""
  client = nbclient.NotebookClient(
    notebook,
    timeout=900,
    kernel_name='python3',
    resources={'metadata': {'path': str(folder)}},
  )
  path = f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'
  client.execute(env=os.environ | {'PYTHONPATH': path} | environment)


def strip(notebook: nbformat.NotebookNode) -> None:
  """Keeps of the outputs what is worth storing."""
  for number, cell in enumerate(code(notebook)):
    cell.execution_count = None
    kept = (*KEPT, 'text/html') if number == 0 else KEPT
    cell.outputs = [
      output
      for output in cell.outputs
      if output.get('name') != 'stderr' and _shorten(output, kept)
    ]
  for cell in notebook.cells:
    cell.metadata.pop('execution', None)
  notebook.metadata = {
    'kernelspec': notebook.metadata['kernelspec'],
    'language_info': {'name': 'python'},
  }


def _shorten(output, kept) -> bool:
  """Leaves the kinds that are kept; returns whether any is."""
  if output.output_type in ('stream', 'error'):
    return True
  output.data = {kind: x for kind, x in output.data.items() if kind in kept}
  if len(output.data) > 1:
    # The words of a picture are those of the object that drew it.
    output.data.pop('text/plain', None)
  output.metadata = {}
  if 'execution_count' in output:
    output.execution_count = None
  return bool(output.data)


def main(names: list[str]) -> None:
  """Runs and stores the notebooks of these names, or all."""
  for name in names or sorted(path.stem for path in HERE.glob('*.ipynb')):
    notebook = brought_up_to_date(name)
    with tempfile.TemporaryDirectory() as folder:
      run(notebook, pathlib.Path(folder))
    strip(notebook)
    nbformat.write(notebook, HERE / f'{name}.ipynb')


if __name__ == '__main__':
  main(sys.argv[1:])
