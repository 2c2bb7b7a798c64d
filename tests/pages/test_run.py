"""The HTML page: complete, self-contained, and plain about the oracle."""

from __future__ import annotations

import html.parser
import json
import pathlib
import re
from xml.etree import ElementTree

import hypothesis
import jinja2
import numpy as np
import pytest

from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.experiment import finished
from mejax.pages import charts
from mejax.pages import frame
from mejax.pages import run as run_page
from tests.pages import html_page

VOID = {'meta', 'br'}


class _Reader(html.parser.HTMLParser):
  """Checks nesting; gathers words and addresses."""

  def __init__(self):
    super().__init__()
    self.open, self.words, self.addresses = [], [], []

  def handle_starttag(self, tag, attrs):
    self.addresses += [v for k, v in attrs if k in ('src', 'href')]
    if tag not in VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.words.append(data)


@pytest.fixture
def workdir(make_record, tmp_path):
  """Writes a workdir of a made-up run and returns it with its numbers."""

  def write(name, change=None, **options):
    folder = tmp_path / name
    folder.mkdir()
    record = make_record(**options)
    if change:
      change(record)
    baselines = {
      'majority': np.zeros(len(record['labels']), np.int32),
      'rbf_svm': np.roll(record['labels'], 1),
    }
    numbers = summary.metrics_json(
      record, baselines, protocol_sentence='Made-up clips, <one> & all.'
    )
    np.savez(folder / 'record.npz', **record)
    np.savez(folder / 'baselines.npz', **baselines)
    (folder / 'metrics.json').write_text(json.dumps(numbers))
    config = {'model': {'name': 'htnet'}, 'num_epochs': 60}
    (folder / 'config.json').write_text(json.dumps(config))
    return folder, numbers

  return write


def _read(folders, tmp_path):
  path = finished.write_report(list(folders), tmp_path / 'report')
  assert path == tmp_path / 'report/index.html'
  text = path.read_text(encoding='utf-8')
  reader = _Reader()
  reader.feed(text)
  assert reader.open == []
  return text, ' '.join(reader.words), reader


def test_the_page_asks_for_nothing_from_outside(workdir, tmp_path):
  folder, _ = workdir('run')
  text, _, reader = _read([folder], tmp_path)
  assert reader.addresses == []
  assert not re.search(r'https?:|@import|<script|<link|<img', text)
  assert re.findall(r'url\(([^)]*)\)', text) == ['#hatch']
  assert [p.name for p in (tmp_path / 'report').iterdir()] == ['index.html']


def test_a_name_that_a_template_misses_is_an_error():
  with pytest.raises(jinja2.UndefinedError, match="'runs' is undefined"):
    frame.render('run.html', title='', protocols=[], comparison=None)


def test_the_page_holds_the_numbers_and_the_words(workdir, tmp_path):
  folder, numbers = workdir('my_run', num_seeds=2, num_inner=2)
  text, words, _ = _read([folder], tmp_path)
  for entries in [
    *numbers['selection'].values(),
    *numbers['baselines'].values(),
  ]:
    for entry in entries.values():
      assert f'{entry["uf1"]:.3f}' in words
  assert 'Made-up clips, <one> & all.' in words
  assert selection.WARNING in words and 'For research only' in words
  assert '2 seeds: too few' in words and 'model.name' in words
  assert all(name in words for name in ('casme2', 'samm', 'smic'))
  gap = (
    numbers['selection']['oracle']['full']['uf1']
    - numbers['selection']['last']['full']['uf1']
  )
  assert f'{gap:+.3f}' in words


def test_every_picture_is_sound_svg_with_a_label(workdir, tmp_path):
  folder, _ = workdir('run')
  text, _, _ = _read([folder], tmp_path)
  pictures = re.findall(r'<svg viewBox.*?</svg>', text, re.DOTALL)
  assert len(pictures) == 10
  for picture in pictures:
    tree = ElementTree.fromstring(picture)
    assert tree.get('role') == 'img' and tree.get('aria-label')
    assert 'nan' not in picture


@pytest.mark.parametrize(
  'options',
  [
    {'num_seeds': 1, 'corpora': (('samm', 5, 3.0),)},
    {'num_seeds': 2, 'num_evaluations': 1},
    {'num_seeds': 1, 'num_settings': 2},
  ],
  ids=['one corpus and seed', 'one evaluation', 'two settings'],
)
def test_small_and_odd_runs_have_a_page(workdir, tmp_path, options):
  folder, _ = workdir('run', **options)
  _, words, _ = _read([folder], tmp_path)
  assert ('All settings' in words) == ('num_settings' in options)
  assert ('By database' in words) == ('corpora' not in options)


def test_a_diverged_training_does_not_break_the_page(workdir, tmp_path):
  def diverge(record):
    record['logits'][3, 5:] = np.nan
    record['train_loss'][3, 5:] = np.nan

  folder, _ = workdir('run', diverge)
  text, words, _ = _read([folder], tmp_path)
  assert '1 training diverged' in words
  assert not re.search(r'["\s,]nan["\s,]', text)


def test_runs_on_the_same_clips_are_compared_in_pairs(workdir, tmp_path):
  first, _ = workdir('one', num_seeds=2)

  def improve(record):
    # The same clips in another order, each taken for what it is.
    order = np.random.default_rng(0).permutation(len(record['labels']))
    record['index'] = np.where(
      record['index'] >= 0, np.argsort(order)[record['index']], -1
    ).astype(np.int32)
    for name in ('labels', 'groups', 'corpus', 'subject', 'clip'):
      record[name] = record[name][order]
    record['logits'] = np.eye(3, dtype=np.float32)[
      record['labels'][record['index']]
    ][:, None].repeat(len(record['epochs']), 1)

  second, numbers = workdir('two', improve, num_seeds=2)
  assert numbers['selection']['last']['full']['uf1'] == 1
  other, _ = workdir('other', num_seeds=2, draw=1)
  _, words, _ = _read([first, second, other], tmp_path)
  assert re.search(r'two minus one\s+\+0\.\d+ \[\+0', words)
  assert re.search(r'other minus one\s+not comparable', words)


def test_an_unfinished_workdir_is_a_clear_error(workdir, tmp_path):
  folder, _ = workdir('run')
  (folder / 'metrics.json').unlink()
  with pytest.raises(FileNotFoundError, match=r'no metrics\.json.*mejax train'):
    finished.write_report([folder], tmp_path / 'report')


def test_spare_outputs_have_their_own_columns():
  matrix = np.array([[3, 1, 0, 2], [0, 4, 1, 0]])
  picture = charts.confusion_matrix(matrix, ['a', 'b'], normalised=False)
  assert 'spare 2' in picture and 'spare 3' in picture


def test_numbers_of_another_version_are_refused(workdir, tmp_path):
  folder, numbers = workdir('run')
  old = json.dumps(numbers | {'schema_version': 1})
  (folder / 'metrics.json').write_text(old)
  with pytest.raises(ValueError, match='schema 1; this one reads 2 and 3'):
    finished.write_report([folder], tmp_path / 'report')


@pytest.mark.parametrize(
  'change',
  [
    lambda numbers: numbers['selection']['last'].update(
      casme9=numbers['selection']['last']['full'] | {'uf1': 0.987}
    ),
    lambda numbers: numbers['selection']['last']['full'].update(best=0.987),
    lambda numbers: numbers['baselines'].update(
      invented=numbers['baselines']['majority']
    ),
    lambda numbers: numbers['baselines'].update(invented={}),
    lambda numbers: numbers.update(settings='text'),
    lambda numbers: numbers.update(settings=[{'setting': 0, 'values': {}}]),
    lambda numbers: numbers.update(protocol=5),
    lambda numbers: numbers['selection'].update(last=5),
    lambda numbers: numbers.update(unknown='text'),
    lambda numbers: numbers.update(baselines=[1]),
  ],
)
def test_numbers_that_the_record_does_not_give_are_refused(
  workdir, tmp_path, change
):
  folder, numbers = workdir('run', num_seeds=1, corpora=(('samm', 4, 3.0),))
  change(numbers)
  (folder / 'metrics.json').write_text(json.dumps(numbers))
  with pytest.raises(ValueError, match='metrics.json is damaged'):
    finished.read_run(folder, name='run')


def test_baselines_without_their_predictions_are_refused(workdir):
  folder, _ = workdir('run', num_seeds=1, corpora=(('samm', 4, 3.0),))
  (folder / 'baselines.npz').unlink()
  with pytest.raises(FileNotFoundError, match='baselines.npz is missing'):
    finished.read_run(folder, name='run')


def test_numbers_of_schema_2_are_read(workdir, tmp_path):
  """Written by mejax 0.1 from the record that is made here."""
  folder, numbers = workdir('run', num_seeds=2, corpora=(('samm', 5, 3.0),))
  old = pathlib.Path(__file__).with_name('metrics_schema_2.json').read_text()
  assert '"schema_version": 2' in old and '"floors"' in old
  (folder / 'metrics.json').write_text(old)
  (folder / 'levels.json').write_text(
    '{"alphas": [1.0, 4.0], "scores": [], "subjects": []}'
  )
  read = finished.read_run(folder, name='old')
  assert read.levels['levels'] == [1.0, 4.0]
  (folder / 'levels.json').unlink()
  # What the numbers say has not changed since.
  assert read.numbers == json.loads(json.dumps(numbers))
  _, words, _ = _read([folder], tmp_path)
  assert 'RBF-SVM' in words


def test_every_setting_of_a_grid_has_a_row_with_what_differs(
  workdir, tmp_path, make_record
):
  folder, _ = workdir('run', num_settings=2, num_seeds=2)
  values = [
    {'learning_rate': rate, 'weight_decay': 0.1} for rate in (1e-3, 3e-4)
  ]
  numbers = summary.metrics_json(
    make_record(num_settings=2, num_seeds=2),
    {},
    protocol_sentence='Made-up clips.',
    settings=values,
  )
  (folder / 'metrics.json').write_text(json.dumps(numbers))
  _, words, _ = _read([folder], tmp_path)
  assert (
    'not chosen: picking the best of these rows would be test selection'
    in words
  )
  table = ' '.join(words.split()).partition('All settings')[2]
  assert 'setting learning rate UF1 95 % UAR' in table
  for number, (value, one) in enumerate(
    zip(values, numbers['settings'], strict=True)
  ):
    entry = one['selection']['last']['full']
    row = f'{number} {value["learning_rate"]:g} {entry["uf1"]:.3f}'
    assert row in table


def _with_markup(numbers, words):
  """The numbers of a run that names everything so."""
  numbers['protocol'] += words
  numbers['class_names'] = [name + words for name in numbers['class_names']]
  for key in ('baselines', 'rules'):
    numbers[key] = {
      (name if name in selection.RULES else name + words): value
      for name, value in numbers[key].items()
    }
  for one in numbers['settings']:
    one['values'] = {name + words: v for name, v in one['values'].items()}
  for entries in [
    *numbers['selection'].values(),
    *numbers['baselines'].values(),
  ]:
    for name in list(entries):
      if name != 'full':
        entries[name + words] = entries.pop(name)
  return numbers


@hypothesis.given(html_page.MARKUP)
@hypothesis.example(html_page.SCRIPT)
@hypothesis.settings(
  max_examples=15,
  suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_no_tag_of_the_data_survives(make_record, words):
  def page(words):
    record = make_record(
      num_seeds=1, num_settings=2, corpora=(('samm', 3, 3.0), ('b', 3, 3.0))
    )
    numbers = summary.metrics_json(
      record,
      {'majority': np.zeros(len(record['labels']), np.int32)},
      protocol_sentence='Made-up.',
      rules=['last'],
      settings=[{'b1': 0.9}, {'b1': 0.8}],
    )
    for key in ('corpus', 'subject', 'clip'):
      record[key] = np.char.add(record[key], words)
    maps = {
      'classes': np.array([f'a{words}']),
      'clips': np.array([2]),
      'titles': np.array([f'b{words}']),
      'kinds': np.array(['attention']),
      'map0': np.ones((1, 1, 2, 2), np.float32),
    }
    score = {'uf1': 0.5, 'uf1_ci': [0, 1], 'uar': 0.5, 'difference': [0, 0, 0]}
    levels = {
      'levels': [1.0, 2.0],
      'scores': [score | {'levels': [1.0, 2.0]}, score | {'levels': [1.0]}],
      'subjects': [
        {
          'subject': f's{words}',
          'clips': 2,
          'amplification': 1.5,
          'weights': [0.5, 0.5],
        }
      ],
    }
    numbers = _with_markup(numbers, words)
    return run_page.render(
      [
        run_page.Run(
          name=f'{name}{words}',
          numbers=numbers,
          record=record,
          config={f'key{words}': [f'value{words}', {f'k{words}': words}]},
          levels=levels,
          attention=maps,
        )
        for name in ('one', 'other')
      ]
    )

  assert html_page.count_tags(page(words)) == html_page.count_tags(page(''))
