"""A trained spotter is a folder as of any saved model, and checked as such."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import safetensors.numpy

from mejax import cli
from mejax.experiment.packs import modules
from mejax.experiment.packs import packed_files
from mejax.experiment.packs import packing as model_packing
from mejax.experiment.packs import seen as seen_lib
from mejax.experiment.predicting import shipped
from mejax.experiment.spotting import filming
from mejax.experiment.spotting import packing
from mejax.experiment.spotting import trained as trained_lib
from mejax.motion.spotting import inputs as inputs_lib
from tests import closeness
from tests import elsewhere
from tests import made_signals

FILES = {'MODEL.md', 'model.jax', 'model.json', 'weights.safetensors'}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A finished run with two networks of everybody."""
  folder = tmp_path_factory.mktemp('run')
  one = trained_lib.read()
  params = modules.flat(one.params)
  two = {k: np.concatenate([x, x * np.float32(0.9)]) for k, x in params.items()}
  told = {**one.told, 'members': [{'seed': 0}, {'seed': 1}], 'licences': []}
  packing.write(
    folder / trained_lib.NAME,
    one._replace(params=modules.unflat(two), told=told),
  )
  (folder / 'config.json').write_text('{"model": {"name": "spotter"}}')
  return folder


def test_a_packed_spotter_is_that_of_the_run_with_the_same_bits(run, tmp_path):
  notes = tmp_path / 'notes.md'
  notes.write_text('## Groups\n\nBy age.')
  out = tmp_path / 'mine'
  assert cli.main(
    ['pack', str(run), '--out', str(out), '--licence', 'CC0', '--notes',
     str(notes)]
  ) == 0  # fmt: skip
  assert {path.name for path in out.iterdir()} == FILES
  ours, theirs = trained_lib.read(out), trained_lib.read(run)
  assert ours.digest == theirs.digest and len(ours.told['members']) == 2
  weights = safetensors.numpy.load_file(out / packed_files.WEIGHTS)
  for name, array in modules.flat(theirs.params).items():
    assert weights[f'params/{name}'].tobytes() == array.tobytes()
  text = (out / 'MODEL.md').read_text()
  assert '* CC0\n' in text and '## Groups\n\nBy age.' in text
  assert 'prohibits' in text and 'the mean of 2 trainings' in text


def test_the_card_of_a_saved_spotter_can_be_written_anew(run, tmp_path):
  folder = shutil.copytree(trained_lib.FOLDER, tmp_path / 'mine')
  notes = tmp_path / 'notes.md'
  notes.write_text('## Measured again')
  call = ['pack', str(folder), '--out', str(folder), '--notes', str(notes)]
  assert cli.main(call) == 0
  text = (folder / 'MODEL.md').read_text()
  assert '## Measured again' in text and '| skin: dark' not in text
  ours, theirs = trained_lib.read(folder), trained_lib.read()
  assert ours.digest == theirs.digest
  assert ours.told['licences'] == theirs.told['licences']


def test_notes_are_kept_when_a_card_is_written_anew(tmp_path):
  folder = shutil.copytree(trained_lib.FOLDER, tmp_path / 'mine')
  for licences in ([], ['CC0']):
    packing.pack(folder, folder, licences=licences)
  text = (folder / 'MODEL.md').read_text()
  old = (trained_lib.FOLDER / 'MODEL.md').read_text()
  start, end = old.index('## On other rendered people'), old.index('## Use it')
  assert text.count(old[start:end]) == 1 and '* CC0\n' in text
  (folder / 'MODEL.md').write_text('# mine\n\nWritten by hand.\n')
  with pytest.raises(ValueError, match='Give them by --notes'):
    packing.pack(folder, folder)
  assert 'by hand' in (folder / 'MODEL.md').read_text()


@pytest.mark.parametrize('fault', ['recogniser', 'damaged'])
def test_a_spotter_replaces_nothing_but_a_spotter(run, tmp_path, fault):
  folder = shutil.copytree(shipped.FOLDER, tmp_path / 'mine')
  message = 'holds a saved model of mejax, which a saved spotter'
  if fault == 'damaged':
    (folder / 'model.json').write_text('{')
    message = 'is damaged .* Delete .* to write another'
  before = {path.name: path.read_bytes() for path in folder.iterdir()}
  with pytest.raises(ValueError, match=message):
    packing.pack(run, folder)
  after = {path.name: path.read_bytes() for path in folder.iterdir()}
  assert after == before
  spotter = shutil.copytree(trained_lib.FOLDER, tmp_path / 'spotter')
  with pytest.raises(ValueError, match='holds a saved spotter of mejax'):
    model_packing.pack(run, spotter)


@pytest.mark.parametrize(
  'damage, message',
  [
    ('weights', 'its digest is not that in model.json'),
    ('thresholds', 'its content is not that of its digest'),
    ('channels', 'this mejax makes'),
    ('gone', 'is missing'),
  ],
)
def test_a_spotter_that_was_changed_is_refused(tmp_path, damage, message):
  folder = shutil.copytree(trained_lib.FOLDER, tmp_path / 'changed')
  path, weights = folder / 'model.json', folder / packed_files.WEIGHTS
  about = json.loads(path.read_text())
  if damage == 'weights':
    weights.write_bytes(weights.read_bytes()[:-1] + b'\x01')
  elif damage == 'thresholds':
    about['thresholds']['micro'] = 0.01
  elif damage == 'channels':
    about['inputs']['channels'] = 7
    del about['digest']
    about['digest'] = packed_files.digest(about)
  else:
    weights.unlink()
  path.write_text(json.dumps(about))
  with pytest.raises((ValueError, FileNotFoundError), match=message):
    trained_lib.read(folder)


def test_recogniser_and_spotter_are_not_taken_for_each_other(tmp_path):
  with pytest.raises(
    ValueError, match='a saved model of mejax; expected a saved spotter'
  ):
    trained_lib.read(shipped.FOLDER)
  with pytest.raises(
    ValueError, match='a saved spotter of mejax; expected a saved model'
  ):
    shipped.load(trained_lib.FOLDER)
  with pytest.raises(FileNotFoundError, match='--config.folds=all'):
    trained_lib.read(tmp_path)


def test_a_run_without_a_spotter_of_everybody_says_how_to_get_one(
  tmp_path, capsys
):
  (tmp_path / 'config.json').write_text('{"model": {"name": "spotter"}}')
  call = ['pack', str(tmp_path), '--out', str(tmp_path / 'out')]
  assert cli.main(call) == 2
  assert '--config.folds=all' in capsys.readouterr().err
  assert cli.main([*call, '--members', 'folds']) == 2
  assert '--members and --recipe_of belong' in capsys.readouterr().err


def test_a_card_that_an_older_mejax_left_in_a_run_hides_no_spotter(
  run, tmp_path
):
  old = tmp_path / 'old'
  old.mkdir()
  for name in ('config.json', 'record.npz', 'spotter.npz', 'MODEL.md'):
    (old / name).write_text('{"model": {"name": "spotter"}}')
  with pytest.raises(FileNotFoundError, match='train it anew, in a new workd'):
    trained_lib.read(old)
  shutil.copytree(run / trained_lib.NAME, old / trained_lib.NAME)
  assert trained_lib.read(old).digest == trained_lib.read(run).digest


def test_the_network_that_ships_is_complete_and_has_seen_no_real_person():
  spotter = trained_lib.read()
  assert {path.name for path in trained_lib.FOLDER.iterdir()} == FILES
  # The weights that were published first.
  assert spotter.digest.startswith('2dd87919bb4504ae')
  data = spotter.told['data']
  assert data['rendered'] and data['people'] == 16
  names = np.array([f'p{100 + i:05d}' for i in range(16)])
  people = seen_lib.people_of(np.full(16, filming.CORPUS), names)
  assert set(spotter.told['seen']['people']) == set(people.tolist())
  assert spotter.told['licences'] == ['Apache-2.0']
  text = (trained_lib.FOLDER / 'MODEL.md').read_text()
  assert 'It has 5,378 weights' in text and 'no real person' in text
  for group in ('skin: dark', 'face: wide', 'folds: deep'):
    assert f'| {group} | ' in text
  assert 'never been tried on them' in text and '442 real clips' in text
  size = sum(path.stat().st_size for path in trained_lib.FOLDER.iterdir())
  assert size < 100_000


def test_the_program_in_the_card_needs_only_jax_and_flatbuffers(tmp_path):
  spotter = trained_lib.read()
  tracks = made_signals.tracks(77, [(100, 111)], length=spotter.length)
  windows = np.zeros((2, spotter.length, inputs_lib.CHANNELS), np.float32)
  windows[1] = inputs_lib.inputs(tracks)
  np.save(tmp_path / 'windows.npy', windows)
  place = tmp_path / 'place'
  place.mkdir()
  shape = ', '.join(map(str, windows.shape))
  numbers = elsewhere.run_card(
    trained_lib.FOLDER,
    place,
    inputs=f"np.zeros(({shape}), 'float32')",
    others=f'np.load({str(tmp_path / "windows.npy")!r})'
    '\nnp.set_printoptions(threshold=10**6)'
    '\nreal = call\n'
    'call = lambda *given: np.asarray(real(*given)[:, 90:120])',
  )
  logits = trained_lib.predict(spotter.model, spotter.params, windows)
  expected = trained_lib.probability(np.asarray(logits)[:, 90:120])
  closeness.assert_close(numbers.reshape(expected.shape), expected, 1e-5)
