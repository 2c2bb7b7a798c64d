"""Pages of a dataset: complete, self-contained, and clear about bad input."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mejax import cli
from mejax.datasets import load
from mejax.experiment import inspecting
from tests.pages import conftest
from tests.pages import html_page

SKIPPED = [
  {
    'identity': 'synthetic/s09/c01',
    'reason': 'no face <found>',
    'emotion': 'surprise',
  }
]
WARNINGS = {'synthetic/s02/c01': ['2 faces in a frame']}
NOTES = {'synthetic/s02/c01': ['apex 9 was spotted']}
FPS = {'synthetic/s01/c01': 25.0, 'synthetic/s02/c02': 200.0}


def examples(count: int = 5):
  return [
    conftest.example(
      motion=0.5 + i,
      subject=f's{i // 2 + 1:02}',
      clip=f'c{i % 2 + 1:02}',
      emotion=('positive', 'negative')[i % 2],
    )
    for i in range(count)
  ]


@pytest.fixture
def data(write):
  return write(
    examples(), skipped=SKIPPED, warnings=WARNINGS, notes=NOTES, fps=FPS
  )


def inspect(data, *clips, **options) -> list[html_page.Page]:
  paths = inspecting.inspect(
    'made', data, clips=clips, progress=False, **options
  )
  return [html_page.Page(path.read_text()) for path in paths]


def test_the_overview_has_every_clip_once(data):
  (page,) = inspect(data)
  names = load.Examples('made', data).identities()
  assert len(names) == 5
  anchors = [anchor for anchor in page.anchors if '/' in anchor]
  assert sorted(anchors) == sorted(names)
  assert set(page.links) <= {f'#{anchor}' for anchor in page.anchors}


def test_the_overview_says_what_was_skipped_and_what_is_odd_and_how(data):
  (page,) = inspect(data)
  assert 'synthetic/s09/c01 surprise no face <found>' in page.text
  assert 'apex 9 was spotted' in page.text
  assert '1 skipped' in page.text
  assert 'fitted and taken out (blur of both frames, px 0.7)' in page.text
  assert 'as it is (×1), amplified ×2; Eulerian, by phase' in page.text
  assert f'aligned face {conftest.SIDE} × {conftest.SIDE} px' in page.text
  assert '25 to 200 frames per second' in page.text


def test_the_overview_begins_with_most_and_least_motion(data):
  (page,) = inspect(data)
  most, _, least = page.text.partition('Least motion')
  most = most.partition('Most motion')[2]
  assert re.findall(r's\d\d / c\d\d ([\d.]+) px', most) == ['4.50', '3.50']
  least = least.partition('How it was made')[0]
  found = re.findall(r's\d\d / c\d\d ([\d.]+) px', least)
  assert found == ['0.50', '1.50']


def test_all_thumbnails_of_motion_have_one_scale(data):
  (page,) = inspect(data)
  assert len(page.legends) == 1
  strips = [
    page.pictures(name)[-1] for name in load.Examples('made', data).identities()
  ]
  # Face, flow and strain; to the right is red, deeper the farther it is.
  side = strips[0].shape[0]
  depths = [
    1 - (s[:, side + 8 : 2 * side - 8, 1:].mean() / 255) for s in strips
  ]
  assert depths == sorted(depths)
  assert depths[0] < 0.2 and depths[-1] > 0.95


def test_pages_need_nothing_from_outside(data):
  for path in [
    *inspecting.inspect('made', data, progress=False),
    *inspecting.inspect('made', data, clips=['s01/c01'], progress=False),
  ]:
    text = path.read_text()
    page = html_page.Page(text)
    assert all(src.startswith('data:image/') for _, src in page.images)
    assert 'http' not in re.sub(r'base64,[\w+/=]+', '', text)
    assert '<script' not in text and '@import' not in text
    assert path.is_relative_to(data / 'inspect/made')


def test_many_clips_go_on_pages_that_lead_to_each_other(write, monkeypatch):
  monkeypatch.setattr(inspecting, 'PER_PAGE', 2)
  data = write(examples(5))
  paths = inspecting.inspect('made', data, progress=False)
  assert [p.name for p in paths] == ['index.html', 'page2.html', 'page3.html']
  read = {path.name: html_page.Page(path.read_text()) for path in paths}
  for name, page in read.items():
    assert 0 < sum('/' in anchor for anchor in page.anchors) <= 2
    for link in page.links:
      file, _, anchor = link.partition('#')
      assert not anchor or anchor in read[file or name].anchors
  anchors = [a for page in read.values() for a in page.anchors if '/' in a]
  assert len(anchors) == len(set(anchors)) == 5


def test_a_page_of_the_overview_stays_below_10_mb_whatever_is_in_it(write):
  def size(count):
    data = write(examples(count))
    (path,) = inspecting.inspect('made', data, progress=False)
    return path.stat().st_size

  # Noise is the largest picture there is.
  few, more = size(5), size(15)
  assert (more - few) / 10 * inspecting.PER_PAGE < 10e6


def test_numbers_in_names_are_sorted_by_their_value(write):
  data = write([conftest.example(subject=f'sub{i}') for i in (10, 9, 1)])
  (page,) = inspect(data)
  anchors = [anchor for anchor in page.anchors if '/' in anchor]
  assert [re.search(r'\d+', a).group() for a in anchors] == ['1', '9', '10']


def test_a_clip_is_read_without_the_others(data, monkeypatch):
  read = []
  whole = load.Examples.__getitem__

  def counted(self, index):
    read.append(index)
    return whole(self, index)

  monkeypatch.setattr(load.Examples, '__getitem__', counted)
  (page,) = inspect(data, 'synthetic/s02/c02')
  assert read == [3]
  assert 's02 / c02' in page.text
  assert '200 frames per second' in page.text
  # Between 1 and 2 levels of 3.5 px.
  assert '7.00 px' in page.text


def test_warnings_and_notes_stand_on_the_page_of_their_clip(data):
  one, other = inspect(data, 's02/c01', 's02/c02')
  assert one.text.index('Warnings') < one.text.index('2 faces in a frame')
  assert one.text.index('Notes') < one.text.index('apex 9 was spotted')
  for words in ('2 faces in a frame', 'apex 9 was spotted', 'Warnings'):
    assert words not in other.text


def test_only_warnings_are_red_in_the_overview(data):
  page = inspecting.inspect('made', data, progress=False)[0].read_text()
  assert '<p class="warning">2 faces in a frame</p>' in page
  assert '<p>apex 9 was spotted</p>' in page
  assert '.warning { color: var(--oracle)' in page


def test_remarks_of_an_older_dataset_are_its_warnings(write):
  old = write(examples(), skipped=SKIPPED, remarks=WARNINGS)
  assert load.read_metadata('made', old)['warnings'] == WARNINGS
  (page,) = inspect(old, 's02/c01')
  assert '2 faces in a frame' in page.text


@pytest.mark.parametrize('part', ['s03', 'S03/C', '/synthetic/s03/c01/'])
def test_a_part_that_one_clip_has_is_enough(data, part):
  (page,) = inspect(data, part)
  assert 's03 / c01' in page.text


def test_a_whole_name_goes_before_a_part_of_another():
  names = ['a/s1/x', 'a/s11/x', 'a/s1/xy']
  assert inspecting.find('s11', names, {}) == 1
  assert inspecting.find('s1/x', names, {}) == 0
  assert inspecting.find('xy', names, {}) == 2


def test_several_and_unknown_and_skipped_clips_are_told_apart(data):
  with pytest.raises(ValueError, match='3 clips are like') as error:
    inspect(data, 'c01')
  assert 'synthetic/s01/c01' in str(error.value)
  assert 'synthetic/s01/c02' not in str(error.value)
  with pytest.raises(ValueError, match="no clip is like 's01/c07'") as error:
    inspect(data, 's01/c07')
  assert 'synthetic/s01/c01' in str(error.value)
  with pytest.raises(ValueError, match='it was skipped: no face <found>'):
    inspect(data, 's09/c01')
  assert not (data / 'inspect').exists()
  with pytest.raises(ValueError, match="'s01/c07'") as error:
    inspect(data, 's01/c07', 's02/c02')
  (path,) = (data / 'inspect/made').iterdir()
  assert str(path) in str(error.value)
  assert 's02 / c02' in html_page.Page(path.read_text()).text


def test_one_bad_clip_does_not_blank_the_others(write):
  motions = (0.5, 1.0, 1.0, 60.0)
  rows = [
    conftest.example(subject=f's{i}', motion=motion)
    for i, motion in enumerate(motions)
  ]
  (page,) = inspect(write(rows))
  ((flow, _),) = page.legends
  assert float(flow) == 1.0
  # Its point lies at the end of the axis, which says so.
  assert re.search(r'\b1 px or more', page.text)


@pytest.mark.parametrize('definition', ['shreve', 'magnitude'])
def test_motion_that_may_be_noise_is_pale(write, definition):
  row = conftest.example(motion=0.02)
  row['flow'][..., 2] = 0.001
  data = write([row], strain=definition)
  least = 0.002 * conftest.SIDE
  for page in (*inspect(data), *inspect(data, 'c01')):
    ((flow, strain),) = page.legends
    assert float(flow) == pytest.approx(least, rel=0.2)
    assert ('the length of the motion, in px' in page.text) == (
      definition == 'magnitude'
    )
    assert float(strain) == pytest.approx(
      0.01 if definition == 'shreve' else least, rel=0.2
    )
  # On the page the motion is a sixth of the full colour.
  (page,) = inspect(data)
  (strip,) = page.pictures('synthetic/s01/c01')
  side = strip.shape[0]
  assert strip[8:-8, side + 8 : 2 * side - 8, 1:].mean() > 200


def test_ready_made_flow_has_an_overview_without_faces_and_pixels(write):
  ready_made = {'units': 'minmax255', 'levels': [1.0], 'size': 28}
  data = write([conftest.ready_made()], **ready_made)
  (page,) = inspect(data)
  assert 'How far faces move' not in page.text
  assert 'how far the face moved is lost' in page.text
  assert 'licensed databases (casme2): do not pass' in page.text
  (strip,) = page.pictures('casme2/s01/c01')
  assert strip.shape[1] == 3 * strip.shape[0]


def test_one_clip_that_does_not_move_can_be_looked_at(write):
  example = conftest.example()
  example['flow'] = np.zeros_like(example['flow'])
  data = write([example])
  assert len(inspect(data)) == len(inspect(data, 'c01')) == 1


def test_the_command_prints_the_paths_of_the_pages(data, capsys, tmp_path):
  out = tmp_path / 'there'
  command = ['inspect', 'made', '--data_dir', str(data), '--out', str(out)]
  assert cli.main(command) == 0
  assert capsys.readouterr().out == f'{out / "index.html"}\n'
  assert cli.main([*command, '--clip', 's01/c01', 's03']) == 0
  first, second = capsys.readouterr().out.splitlines()
  assert first.endswith('synthetic.s01.c01.html')
  assert second.endswith('synthetic.s03.c01.html')


def test_pages_are_not_written_through_a_link(data, tmp_path, capsys):
  (tmp_path / 'mine').mkdir()
  (tmp_path / 'mine/index.html').write_text('precious')
  (data / 'inspect').mkdir()
  (data / 'inspect/made').symlink_to(tmp_path / 'mine')
  assert cli.main(['inspect', 'made', '--data_dir', str(data)]) == 2
  assert 'is a link to' in capsys.readouterr().err
  assert (tmp_path / 'mine/index.html').read_text() == 'precious'
  (data / 'inspect/made').unlink()


def test_bad_input_is_one_message(data, capsys):
  assert cli.main(['inspect', 'mad', '--data_dir', str(data)]) == 2
  assert 'not prepared' in capsys.readouterr().err
  command = ['inspect', 'made', '--data_dir', str(data), '--clip', 'nobody']
  assert cli.main(command) == 2
  assert 'no clip is like' in capsys.readouterr().err


def test_names_of_any_length_and_sign_have_pages_of_their_own(write):
  names = ['a' * 200, '表' * 100, 'a' * 199 + 'b', 'x.y', 'x y', 'x_y']
  rows = [conftest.example(subject=f'n{n}', clip=n) for n in names]
  data = write(rows)
  identities = load.Examples('made', data).identities()
  paths = inspecting.inspect('made', data, clips=identities, progress=False)
  assert len({path.name for path in paths}) == len(names)
  for path, name in zip(paths, names, strict=True):
    assert name in html_page.Page(path.read_text()).text
