"""The HTML page: complete, self-contained, and plain about the oracle."""

from __future__ import annotations

import dataclasses
import functools
import html.parser
import json
import pathlib
import re
from xml.etree import ElementTree

import hypothesis
import jinja2
import numpy as np
import pytest

from mejax.evaluation import baselines
from mejax.evaluation import selection
from mejax.evaluation import summary
from mejax.evaluation import together as together_lib
from mejax.experiment import finished
from mejax.experiment import reporting
from mejax.pages import ceiling as ceiling_page
from mejax.pages import charts
from mejax.pages import frame
from mejax.pages import pictures
from mejax.pages import run as run_page
from tests import records
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


def _read(folders, tmp_path):
  path = reporting.report(list(folders), tmp_path / 'report')
  assert path == tmp_path / 'report/index.html'
  text = path.read_text(encoding='utf-8')
  reader = _Reader()
  reader.feed(text)
  assert reader.open == []
  return text, ' '.join(reader.words), reader


def test_the_page_asks_for_nothing_from_outside(workdir, tmp_path):
  folder, _ = workdir('run')
  text, _, reader = _read([folder], tmp_path)
  # Files that were written beside the page.
  assert reader.addresses == list(reporting.TABLES)
  assert not re.search(r'https?:|@import|<script|<link|<img', text)
  assert re.findall(r'url\(([^)]*)\)', text) == ['#hatch']
  files = {path.name for path in (tmp_path / 'report').iterdir()}
  assert files == {'index.html', *reporting.TABLES}


def test_the_tables_beside_the_page_hold_all_runs(workdir, tmp_path):
  folders = [workdir(name)[0] for name in ('one', 'two')]
  _read(folders, tmp_path)
  text = (tmp_path / 'report/table.md').read_text()
  assert '| one | last |' in text and '| two | last |' in text
  assert 'Made-up clips, &#60;one&#62; &#38; all.' in text


def test_the_page_says_how_to_train_the_run_again(workdir, tmp_path):
  folder, _ = workdir('run')
  text, _, _ = _read([folder], tmp_path)
  assert 'The same again' not in text  # It is not known.
  (folder / 'config.json').write_text(json.dumps({'dataset': ''}))
  _, words, _ = _read([folder], tmp_path)
  assert 'trained on arrays in Python, so no command' in ' '.join(words.split())
  config = {'dataset': 'htnet_release', 'model': {'name': 'htnet'}}
  (folder / 'config.json').write_text(json.dumps(config))
  text, words, _ = _read([folder], tmp_path)
  assert 'mejax prepare htnet_release --source YOUR_HTNET_RELEASE' in words
  assert f'mejax train --config {folder}/config.json' in words


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
  assert 'casme2: Only 9 people' in words
  assert all(name in words for name in ('casme2', 'samm', 'smic'))
  gap = (
    numbers['selection']['oracle']['full']['uf1']
    - numbers['selection']['last']['full']['uf1']
  )
  assert f'{gap:+.3f}' in words


@pytest.mark.parametrize(
  ('config', 'title'),
  [
    (
      {'dataset': 'synthetic', 'model': {'name': 'htnet'}},
      'htnet on synthetic (run)',
    ),
    ({'dataset': 'mine', 'model': {'name': 'run'}}, 'run on mine'),
    ({'dataset': 'synthetic', 'model': 'my.Net()'}, 'run'),
    ({'dataset': '', 'model': {'name': 'htnet'}}, 'run'),
  ],
)
def test_the_title_tells_model_and_dataset(workdir, tmp_path, config, title):
  folder, _ = workdir('run')
  (folder / 'config.json').write_text(json.dumps(config))
  text, *_ = _read([folder], tmp_path)
  assert f'<title>{title}</title>' in text and f'<h1>{title}</h1>' in text


def test_every_picture_is_sound_svg_with_a_label(workdir, tmp_path):
  folder, _ = workdir('run')
  text, _, _ = _read([folder], tmp_path)
  pictures = re.findall(r'<svg viewBox.*?</svg>', text, re.DOTALL)
  # Six of them are drawn for wide and for narrow screens.
  assert len(pictures) == 12 + 6 and '&lt;svg' not in text
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


def test_a_run_is_named_by_the_way_from_the_folder_that_all_are_in(
  workdir, tmp_path
):
  (tmp_path / 'demo').mkdir()
  folders = [workdir(name)[0] for name in ('demo/run', 'wider')]
  runs = finished.read_runs(folders)
  assert [run.name for run in runs] == ['demo/run', 'wider']
  assert finished.read_runs(folders[:1])[0].name == 'run'
  twice = [run.name for run in finished.read_runs([folders[0]] * 2)]
  assert twice == [str(folders[0])] * 2


def test_runs_on_the_same_clips_are_compared_in_pairs(
  workdir, tmp_path, capsys
):
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
  # The difference on the page is that in the terminal and in the table.
  value = re.search(r'two minus one (\S+ \[.*?\])', ' '.join(words.split()))[1]
  said = f'UF1 of two minus one: {value}, paired over people.'
  printed = capsys.readouterr().out.splitlines()
  assert said in printed
  assert 'An interval that contains 0 shows no clear difference.' in printed
  assert any(line.startswith('UF1 of other minus one: not') for line in printed)
  assert said in (tmp_path / 'report/table.md').read_text().replace('\\', '')
  best = numbers['best_baseline']
  difference = f'{numbers["baselines"][best]["full"]["last_minus"][0]:+.3f}'
  row = f'two minus its best baseline, {baselines.NAMES[best]} {difference}'
  assert row in ' '.join(words.split())
  together = numbers['together']['last']['full']['minus_best_baseline'][0]
  row = f'two, seeds together, minus {baselines.NAMES[best]} {together:+.3f}'
  assert row in ' '.join(words.split())
  assert re.search(r'two minus one\s+\+0\.\d+ \[\+0', words)
  assert re.search(r'other minus one\s+not comparable', words)


def test_values_of_the_config_that_differ_are_listed(workdir, tmp_path, capsys):
  first, second = (workdir(name)[0] for name in ('one', 'two'))
  config = json.loads((second / 'config.json').read_text())
  config |= {'num_epochs': 20, 'num_seeds': 1}
  (second / 'config.json').write_text(json.dumps(config))
  _, words, _ = _read([first, second], tmp_path)
  table = ' '.join(words.split()).partition('What differs between the runs')[2]
  found = re.search(r'value one two (.*?) The ceiling', table).group(1)
  assert found == 'num_epochs 60 20 num_seeds not set 1'
  said = 'Values of the config that differ: num_epochs, num_seeds.'
  assert said in capsys.readouterr().out.splitlines()
  (second / 'config.json').write_text((first / 'config.json').read_text())
  _, words, _ = _read([first, second], tmp_path)
  assert 'Values of the config' not in capsys.readouterr().out
  assert 'All values of the config are the same' in ' '.join(words.split())


@pytest.mark.parametrize(
  ('values', 'is_told'),
  [
    ({'seed': 5}, True),
    ({'seed': 5, 'num_seeds': 1}, True),
    ({'seed': 5, 'num_epochs': 20}, False),
    ({'num_seeds': 1}, False),  # Seeds of both are the same.
  ],
)
def test_runs_of_other_seeds_alone_are_told_how_to_become_one(
  workdir, tmp_path, capsys, values, is_told
):
  first, second = (workdir(name)[0] for name in ('one', 'two'))
  config = json.loads((second / 'config.json').read_text()) | values
  (second / 'config.json').write_text(json.dumps(config))
  _read([first, second], tmp_path)
  said = 'with --add_seeds for each further RUN'
  assert (said in capsys.readouterr().out) == is_told


def test_a_value_that_only_one_run_sets_stands_beside_its_default(
  workdir, tmp_path
):
  plain = {'name': 'htnet', 'preset': 'tiny'}
  # The width is that of the preset, so it does not differ.
  own = plain | {'attention_fn': 'own:cosine', 'dim': 8}
  folders = []
  for name, model in (('one', plain), ('two', own)):
    folders.append(workdir(name)[0])
    config = {'model': model, 'num_epochs': 60}
    (folders[-1] / 'config.json').write_text(json.dumps(config))
  _, words, _ = _read(folders, tmp_path)
  table = ' '.join(words.split()).partition('What differs between the runs')[2]
  found = re.search(r'value one two (.*?) The ceiling', table).group(1)
  assert found == 'model.attention_fn "softmax" "own:cosine"'


def test_a_comparison_replaces_no_other(workdir, tmp_path):
  one, two, three = (workdir(name)[0] for name in ('one', 'two', 'three'))
  first = reporting.report([one, two])
  page = first.read_bytes()
  assert first == tmp_path / 'report/index.html'
  second = reporting.report([one, three])
  assert second == tmp_path / 'report-2/index.html'
  assert reporting.report([one, two]) == first and first.read_bytes() == page
  with pytest.raises(ValueError, match='report of other runs.*another --out'):
    reporting.report([two, three], first.parent)
  assert str(tmp_path) not in (first.parent / 'runs.json').read_text()


def test_an_unfinished_workdir_is_a_clear_error(workdir, tmp_path):
  folder, _ = workdir('run')
  (folder / 'metrics.json').unlink()
  with pytest.raises(FileNotFoundError, match=r'no metrics\.json.*mejax train'):
    reporting.report([folder], tmp_path / 'report')


def test_spare_outputs_have_their_own_columns():
  matrix = np.array([[3, 1, 0, 2], [0, 4, 1, 0]])
  picture = charts.confusion_matrix(matrix, ['a', 'b'], normalised=False)
  assert 'spare 2' in picture and 'spare 3' in picture


def test_numbers_of_another_version_are_refused(workdir, tmp_path):
  folder, numbers = workdir('run')
  old = json.dumps(numbers | {'schema_version': 1})
  (folder / 'metrics.json').write_text(old)
  with pytest.raises(ValueError, match='schema 1; this one reads 2 and 3'):
    reporting.report([folder], tmp_path / 'report')


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


def test_attention_maps_of_another_form_are_refused(workdir):
  folder, _ = workdir('run', num_seeds=1, corpora=(('samm', 4, 3.0),))
  np.savez(folder / 'attention.npz', maps=np.zeros((2, 2)))
  with pytest.raises(ValueError, match='attention.npz is damaged .classes is'):
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
    together = one['together']['last']['full']['uf1']
    accuracy = f'{entry["accuracy"]:.3f} ± {entry["accuracy_std"]:.3f}'
    assert f'{accuracy} {together:.3f}' in table


def _says(record, prediction):
  """Logits of a model that predicts just that at every evaluation."""
  index = np.maximum(record['index'], 0)
  classes = np.arange(record['logits'].shape[-1])
  logits = (prediction[index][..., None] == classes).astype(np.float32)
  return np.repeat(9 * logits[:, None], len(record['epochs']), 1)


def _with_markup(numbers, words):
  """The numbers of a run that names everything so."""
  numbers['protocol'] += words
  numbers['class_names'] = [name + words for name in numbers['class_names']]
  for key in ('baselines', 'rules'):
    numbers[key] = {
      (name if name in selection.RULES else name + words): value
      for name, value in numbers[key].items()
    }
  numbers['best_baseline'] += words
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


@functools.cache
def _count_tags(words):
  """How often each tag is in the page of runs that name everything so."""
  record = records.make(
    num_seeds=1, num_settings=2, corpora=(('samm', 3, 3.0), ('b', 3, 3.0))
  )
  numbers = summary.metrics_json(
    record,
    {'majority': np.zeros(len(record['labels']), np.int32)},
    protocol_sentence='Made-up.',
    rules=['last'],
    settings=[{'b1': 0.9}, {'b1': 0.8}],
  )
  for key in ('corpus', 'subject', 'clip', 'class_names'):
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
  wrong = ((record['labels'] + 1) % 3).astype(np.int32)
  runs = [
    run_page.Run(
      name=f'{name}{words}',
      numbers=numbers,
      record=record,
      config={f'key{words}': [f'value{words}', {f'k{words}': words}]},
      levels=levels,
      attention=maps,
      baselines={f'lda{words}': wrong},
    )
    for name in ('one', 'other')
  ]
  right = record | {'logits': _says(record, wrong)}
  unsure = right | {'logits': right['logits'] / 2}
  members = [
    together_lib.member_of(f'one{words}', right),
    together_lib.member_of(f'two{words}', unsure),
  ]
  runs = [dataclasses.replace(run, record=right) for run in runs]
  entry = summary.numbers_of(right, wrong[None], wrong >= 0)
  clip = ceiling_page.agree(runs)['clips'][0]
  page = run_page.render(
    runs,
    together=together_lib.metrics_json(
      right, members, protocol=words, baselines={f'lda{words}': wrong}
    ),
    measured={
      'baseline': f'lda{words}',
      'folds': 3,
      'people': entry,
      'clips': entry | {'warning': f'not{words}'},
      'curve': [{'share': 1.0, 'people': 2.0, 'draws': 1, 'entry': entry}],
    },
    shown={
      ceiling_page.identity_of(clip): pictures.Image.of_pixels(
        np.zeros((4, 4, 3), np.uint8), f'motion{words}'
      )
    },
  )
  return html_page.count_tags(page)


@hypothesis.given(html_page.MARKUP)
@hypothesis.example(html_page.SCRIPT)
@hypothesis.settings(max_examples=15)
def test_no_tag_of_the_data_survives(words):
  assert _count_tags(words) == _count_tags('')


def test_clips_that_every_model_misses_are_listed_with_a_way_to_see_them(
  workdir, tmp_path
):
  def fail(record):
    wrong = np.where(np.arange(len(record['labels'])) == 7, 1, 0)
    answer = (record['labels'] + wrong) % 3
    record['logits'] = _says(record, answer)
    missed.append(
      '/'.join(record[key][7] for key in ('corpus', 'subject', 'clip'))
    )
    labels.append(record['class_names'][record['labels'][7]])
    others.append(record['class_names'][answer[7]])

  missed, labels, others = [], [], []
  folder, _ = workdir('run', fail, num_seeds=2)
  record = dict(np.load(folder / 'record.npz'))
  answers = selection.predictions(selection.select(record, 'last').logits)[0]
  baselines = {'majority': np.zeros_like(answers), 'rbf_svm': answers}
  np.savez(folder / 'baselines.npz', **baselines)
  config = {'model': {'name': 'htnet'}, 'dataset': 'mine'}
  (folder / 'config.json').write_text(json.dumps(config))
  numbers = summary.metrics_json(
    record, baselines, protocol_sentence='Made-up.'
  )
  (folder / 'metrics.json').write_text(json.dumps(numbers))
  text, words, _ = _read([folder], tmp_path)
  words = ' '.join(words.split())
  assert 'every one of them misses 1; to 1 of these, all give the' in words
  assert f'{missed[0]} {labels[0]} {others[0]}' in words
  assert f'mejax inspect mine --data_dir YOUR_DATA --clip {missed[0]}' in words
  # Licensed pictures stay where the data are.
  assert '<img' not in text


def test_what_was_measured_of_the_ceiling_is_shown_with_its_warning(
  make_record,
):
  record = make_record(num_seeds=1)
  numbers = summary.metrics_json(record, {}, protocol_sentence='Made-up.')
  entry = numbers['selection']['last']['full']
  run = run_page.Run('a', numbers, record, {}, {}, {})
  page = html_page.Page(
    run_page.render(
      [run],
      measured={
        'baseline': 'rbf_svm',
        'folds': 25,
        'people': entry,
        'clips': entry
        | {'uf1': entry['uf1'] + 0.125, 'warning': selection.BOTH_SIDES},
        'curve': [
          {'share': share, 'people': 24 * share, 'draws': 3, 'entry': entry}
          for share in (0.25, 1.0)
        ],
      },
    )
  )
  assert 'RBF-SVM in 25 folds over people' in page.text
  assert f'+0.125. The lower row: {selection.BOTH_SIDES}' in page.text
  assert '25 %, 6 people' in page.text and '100 %, 24 people' in page.text


def test_a_run_with_people_on_both_sides_is_not_called_honest(
  workdir, tmp_path
):
  def mix(record):
    held_by = selection.held_out_by(record)
    one, two = np.flatnonzero(held_by == 0)[0], np.flatnonzero(held_by == 1)[0]
    index = record['index'].copy()
    record['index'][index == one] = two
    record['index'][index == two] = one

  plain, _ = workdir('plain')
  mixed, _ = workdir('mixed', mix)
  assert 'UF1, honest' in _read([plain], tmp_path)[1]
  words = ' '.join(_read([mixed], tmp_path)[1].split())
  assert f'UF1, {selection.BOTH_SIDES}' in words
  assert 'UF1, honest' not in words
