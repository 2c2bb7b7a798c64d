"""The documentation does what it says: programs, commands, links, pictures."""

from __future__ import annotations

import contextlib
import html.parser
import importlib.util
import io
import os
import pathlib
import pkgutil
import re
import subprocess
import sys

import pytest
import yaml

from tests import child
from tests import doc_blocks

pytestmark = pytest.mark.unoptimised

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / 'docs'
PAGE = DOCS / 'models.md'
# docs/databases.md is a link to data/README.md.
PAGES = [
  *sorted(path for path in DOCS.rglob('*.md') if not path.is_symlink()),
  ROOT / 'data/README.md',
  ROOT / 'CONTRIBUTING.md',
  ROOT / 'README.md',  # tests/test_readme.py runs its blocks.
]
RUN = [
  page
  for page in PAGES
  if page not in (PAGE, ROOT / 'README.md')
  and any(not block.reason for block in doc_blocks.read(page))
]


def name(page: pathlib.Path) -> str:
  return str(page.relative_to(ROOT))


def test_the_readme_leads_to_the_page():
  assert '(docs/models.md)' in (ROOT / 'README.md').read_text()


@pytest.mark.slow
def test_the_program_of_the_page_prints_what_its_comments_say(
  tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  text, names = PAGE.read_text(), {'__name__': 'page'}
  for block in doc_blocks.read(PAGE):
    # Errors name the line of the page.
    lines = '\n' * (block.line - 1)
    program = compile(lines + block.text, PAGE, 'exec')
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
      exec(program, names)
    expected = re.findall(r'^print\(.*\)  # (.*)$', block.text, re.M)
    assert len(expected) == block.text.count('print(')
    # A run prints its own lines before that.
    last = printed.getvalue().splitlines()[-len(expected) :]
    assert not expected or last == expected
  assert text.count('```python') == len(doc_blocks.read(PAGE))


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_every_block_of_code_is_run_or_says_why_not(page):
  assert doc_blocks.unmarked(page) == []


def test_every_page_is_in_the_table_of_contents():
  # The file names only what YAML knows.
  contents = yaml.safe_load((ROOT / 'mkdocs.yml').read_text())['nav']

  def leaves(entry):
    if isinstance(entry, str):
      return [entry]
    entries = entry.values() if isinstance(entry, dict) else entry
    return [leaf for each in entries for leaf in leaves(each)]

  there = [str(path.relative_to(DOCS)) for path in DOCS.rglob('*.md')]
  assert sorted(leaves(contents)) == sorted(there)


@pytest.mark.parametrize(
  'page', sorted((DOCS / 'reference').glob('*.md')), ids=name
)
def test_every_name_of_the_reference_is_there(page):
  names = re.findall(r'^::: (\S+)$', page.read_text(), re.M)
  assert names
  for each in names:
    assert pkgutil.resolve_name(each) is not None


def test_the_pictures_of_models_are_those_that_the_script_draws(tmp_path):
  path = DOCS / 'tools/draw_models.py'
  spec = importlib.util.spec_from_file_location('draw_models', path)
  script = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(script)
  script.main(str(tmp_path))
  assert sorted(script.PICTURES) == ['artnet.svg', 'htnet.svg', 'mmnet.svg']
  for each in script.PICTURES:
    kept = (DOCS / 'explanation' / each).read_text()
    assert (tmp_path / each).read_text() == kept


class _Loaded(html.parser.HTMLParser):
  """Gathers what a page loads, and not what it only links to."""

  def __init__(self):
    super().__init__()
    self.addresses = []

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    if tag in ('script', 'img', 'iframe', 'source'):
      self.addresses.append(attrs.get('src', ''))
    if tag == 'link' and attrs.get('rel') != 'canonical':
      self.addresses.append(attrs.get('href', ''))


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(
  tmp_path,
):
  # A broken link, also to a heading, is a warning.
  result = subprocess.run(
    [sys.executable, '-m', 'mkdocs', 'build', '--strict', '-d', tmp_path],
    cwd=ROOT,
    env=os.environ | {'NO_MKDOCS_2_WARNING': '1'},
    capture_output=True,
    text=True,
  )
  assert result.returncode == 0, result.stderr
  assert 'WARNING' not in result.stderr
  for page in tmp_path.rglob('*.html'):
    reader = _Loaded()
    reader.feed(page.read_text())
    assert [x for x in reader.addresses if re.match('(https?:)?//', x)] == []
  for style in tmp_path.rglob('*.css'):
    assert (
      re.findall(r'(?:url\(|@import )["\']?https?:', style.read_text()) == []
    )
  # Docstrings became pages.
  reference = (tmp_path / 'reference/experiment.html').read_text()
  assert 'Trains and evaluates a model, leaving out one subject' in reference
  # The table of presets has its columns.
  models = (tmp_path / 'reference/models.html').read_text()
  assert re.search(r'regions_small {4,}28 ', models)


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
  """The folder of the demo, which pages read."""
  folder = tmp_path_factory.mktemp('docs')
  subprocess.run(
    [sys.executable, '-m', 'mejax', 'demo', '--small'],
    cwd=folder,
    env=child.environment(),
    check=True,
    stdout=subprocess.DEVNULL,
  )
  return folder / 'runs/demo'


@pytest.mark.slow
@pytest.mark.parametrize('page', RUN, ids=name)
def test_the_blocks_of_a_page_run_one_after_another(page, demo, tmp_path):
  # Each page has a folder of its own, so that none needs what another made.
  doc_blocks.make_workplace(tmp_path)
  (tmp_path / 'runs').mkdir()
  (tmp_path / 'runs/demo').symlink_to(demo)
  # The datasets of that page are those of the demo.
  is_data = page.parent == ROOT / 'data'
  doc_blocks.run(page, demo if is_data else tmp_path)
