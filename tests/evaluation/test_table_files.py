"""Tables for papers: every number, every warning, and no sign that breaks."""

from __future__ import annotations

import csv
import html
import re

import hypothesis
from hypothesis import strategies as st
import markdown
import numpy as np
import pytest

from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.evaluation import table_files
from tests import records

NASTY = 'a|b_c*<d> & 5 % \\x {y} #1 $z$ [k](l) `m` ^~ "q"'
WORDS = st.text(st.characters(codec='utf-8', exclude_categories=('C', 'Z')))


@pytest.fixture(scope='module')
def rows():
  record = records.make()
  majority = {'majority': np.zeros(len(record['labels']), np.int32)}
  numbers = summary.metrics_json(record, majority, protocol_sentence='All.')
  return list(table_files.rows_of(NASTY, numbers))


def test_there_is_a_row_for_each_rule_baseline_and_database(rows):
  models = list(dict.fromkeys(row.model for row in rows))
  assert models[:2] == ['last', 'seeds together']
  assert 'oracle' in models and models[-1] != 'majority'
  assert len(rows) == 4 * len(models)


def test_csv_has_every_digit_and_every_warning(rows, tmp_path):
  table_files.write(tmp_path / 'table.csv', rows, ['All.'])
  with (tmp_path / 'table.csv').open(newline='') as file:
    found = list(csv.DictReader(file))
  for row, line in zip(rows, found, strict=True):
    assert (line['run'], line['model'], line['part']) == row[:3]
    assert float(line['uf1']) == row.entry['uf1']
    low, high = row.entry['uar_ci']
    assert (float(line['uar_low']), float(line['uar_high'])) == (low, high)
    assert line['warning'] == row.entry.get('warning', '')
    for key in ('last_minus', 'minus_best_baseline'):
      minus = [line[f'{key}{end}'] for end in ('', '_low', '_high')]
      assert minus == [str(x) for x in row.entry.get(key, [''] * 3)]
  compared = {line['model'] for line in found if line['minus_best_baseline']}
  assert compared == {'seeds together'}
  assert any(line['warning'] == selection.WARNING for line in found)


def test_too_few_people_are_warned_of(rows, tmp_path):
  table_files.write(tmp_path / 'table.md', rows, [])
  text = (tmp_path / 'table.md').read_text()
  assert text.count('casme2: Only 9 people') == 1 and 'samm: Only' not in text


def _cells(text):
  """The cells of the only table, as a Markdown library reads them."""
  page = markdown.markdown(text, extensions=['tables'])
  return [
    [
      html.unescape(re.sub('<[^>]*>', '', cell))
      for cell in re.findall(r'<t[hd][^>]*>(.*?)</t[hd]>', line)
    ]
    for line in re.findall(r'<tr>(.*?)</tr>', page, re.S)
  ]


def test_markdown_shows_each_number_and_marks_what_is_no_estimate(
  rows, tmp_path
):
  table_files.write(tmp_path / 'table.md', rows, [NASTY])
  text = (tmp_path / 'table.md').read_text()
  head, *lines = _cells(text)
  assert head[:4] == ['model', 'clips of', 'n', 'UF1']
  for row, line in zip(rows, lines, strict=True):
    assert line[3].split(' ')[0] == f'{row.entry["uf1"]:.3f}'
    assert line[0].endswith(' *') == ('warning' in row.entry)
    # Only baselines are compared with the models.
    assert (line[-1] != '') == (row.model == 'majority class')
  assert head[-1] == 'last minus it' and lines[-1][-1][0] in '+-'
  assert NASTY in html.unescape(markdown.markdown(text))
  assert selection.WARNING in text


@hypothesis.given(st.lists(WORDS.filter(bool), min_size=2, max_size=2))
@hypothesis.settings(max_examples=40)
def test_a_name_in_markdown_is_shown_as_it_is(names):
  cells = ' | '.join(map(table_files.markdown, names))
  text = f'| a | b |\n| --- | --- |\n| {cells} |\n'
  assert _cells(text)[1] == names


def _unlatex(text):
  """What LaTeX would show of an escaped text; fails at an active sign."""
  shown, i = '', 0
  words = {
    'textbackslash': '\\', 'textasciicircum': '^', 'textasciitilde': '~',
    'textless': '<', 'textgreater': '>', 'textquotedbl': '"',
  }  # fmt: skip
  while i < len(text):
    if word := re.compile(r'\\([a-z]+)\{\}').match(text, i):
      shown, i = shown + words[word[1]], word.end()
    elif text[i] == '\\':
      assert text[i + 1] in '{}$&#%_'
      shown, i = shown + text[i + 1], i + 2
    else:
      assert text[i] not in '\\{}$&#%_^~'
      shown, i = shown + text[i], i + 1
  return shown


@hypothesis.given(WORDS.filter(lambda text: not set(text) & set('±–')))
@hypothesis.example(NASTY)
@hypothesis.settings(max_examples=40)
def test_a_name_in_latex_is_shown_as_it_is(name):
  assert _unlatex(table_files.latex(name)) == ' '.join(name.split(' '))


def test_latex_is_one_table_of_booktabs(rows, tmp_path):
  table_files.write(tmp_path / 'table.tex', rows, [NASTY])
  text = (tmp_path / 'table.tex').read_text()
  columns = re.search(r'\\begin\{tabular\}\{([lr]+)\}', text)[1]
  body = text.split('\\midrule\n')[1].split('\\bottomrule')[0].splitlines()
  assert len(body) == len(rows)
  for line in body:
    assert line.endswith(r' \\')
    assert len(re.findall(r'(?<!\\)&', line)) == len(columns) - 1
  assert table_files.latex(NASTY) in text and selection.WARNING in text
  assert re.search(r'\\label\{tab:[A-Za-z0-9-]+\}\n', text)
  assert 'at their last epoch' in text


def test_several_runs_have_a_column_of_their_names(rows, tmp_path):
  both = [*rows, *[row._replace(run='two') for row in rows]]
  table_files.write(tmp_path / 'table.md', both, [])
  head, first, *_, last = _cells((tmp_path / 'table.md').read_text())
  assert (head[0], first[0], last[0]) == ('run', NASTY, 'two')


def test_another_ending_is_refused_before_anything_is_written(rows, tmp_path):
  with pytest.raises(ValueError, match=r'expected one of \.md, \.tex, \.csv'):
    table_files.write(tmp_path / 'table.doc', rows, [])
  assert list(tmp_path.iterdir()) == []
