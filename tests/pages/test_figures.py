"""Pictures for a notebook are whole files, and show what the pages show."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from mejax import experiment
from mejax.pages import charts
from mejax.pages import figures
from tests.pages import conftest

NAMES = {
  'scores', 'gap', 'classes', 'confusion', 'people', 'reliability', 'coverage',
  'loss', 'uf1',
}  # fmt: skip
SVG = '{http://www.w3.org/2000/svg}'


def read(figure: figures.Figure) -> ElementTree.Element:
  """A picture, read as the file that it is."""
  tree = ElementTree.fromstring(figure._repr_svg_())
  assert tree.tag == f'{SVG}svg'
  return tree


@pytest.fixture
def drawn(workdir):
  folder, _ = workdir('run')
  return experiment.run_figures(folder)


def test_every_picture_of_the_page_is_a_file_of_its_own(drawn):
  assert set(drawn) == NAMES
  for figure in drawn.values():
    assert read(figure).get('role') == 'img'


def test_what_a_picture_refers_to_is_inside_it(drawn):
  for figure in drawn.values():
    text = figure.svg
    colours = set(re.findall(r'var\((--[\w-]+)\)', text))
    assert colours and colours <= set(re.findall(r'(--[\w-]+):', text))
    inside = {each.get('id') for each in read(figure).iter()}
    for kind, name in re.findall(
      r'class="(hatched)?[^"]*"|url\(#(\w+)\)', text
    ):
      if kind:
        assert 'hatch' in inside
      assert name in ('', 'hatch')


def test_the_score_in_the_picture_is_that_of_the_run(workdir):
  folder, numbers = workdir('run')
  drawn = experiment.run_figures(folder)
  last = numbers['selection']['last']['full']
  words = [each.text for each in read(drawn['scores']).iter(f'{SVG}text')]
  assert f'{last["uf1"]:.3f}' in words
  assert {'majority', 'RBF-SVM'} & set(words)


def test_a_run_that_is_not_finished_is_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match='metrics.json'):
    experiment.run_figures(tmp_path)


def test_text_of_a_drawing_stays_text():
  drawing = charts.dot_plot(
    [charts.Dot('</style><b>', 0.5, 0.4, 0.6, 'honest')], label='a "<b>'
  )
  tree = read(figures.alone(drawing))
  assert [each.text for each in tree.iter(f'{SVG}text')][0] == '</style><b>'
  assert tree.get('aria-label') == 'a "<b>'


def strips(figure: figures.Figure) -> list[np.ndarray]:
  found = re.findall(r'base64,([^"]+)"', figure.svg)
  assert len(found) == len(list(read(figure).iter(f'{SVG}image')))
  return [
    cv2.imdecode(np.frombuffer(base64.b64decode(x), np.uint8), cv2.IMREAD_COLOR)
    for x in found
  ]


def test_one_clip_of_each_emotion_is_shown_with_face_flow_and_strain(write):
  examples = [
    conftest.example(clip=f'c{i}', emotion=emotion)
    for i, emotion in enumerate(['surprise', 'negative', 'surprise'])
  ]
  figure = experiment.clip_figure('made', write(examples))
  words = [each.text for each in read(figure).iter(f'{SVG}text')]
  assert words == ['negative', 's01/c1', 'surprise', 's01/c0']
  for strip in strips(figure):
    height, width, _ = strip.shape
    assert width == 3 * height


def test_named_clips_are_shown_in_their_order(write):
  examples = [conftest.example(clip=f'c{i}') for i in range(3)]
  figure = experiment.clip_figure('made', write(examples), clips=['c2', 'c0'])
  words = [each.text for each in read(figure).iter(f'{SVG}text')]
  assert words[1::2] == ['s01/c2', 's01/c0']
  with pytest.raises(ValueError, match='no clip is like'):
    experiment.clip_figure('made', write(examples), clips=['c7'])


def test_ready_made_flow_without_frames_is_shown_channel_by_channel(write):
  data_dir = write([conftest.ready_made()], units='minmax255', levels=[1.0])
  (strip,) = strips(experiment.clip_figure('made', data_dir))
  assert strip.shape[1] == 3 * strip.shape[0]
