"""The record of a search: one writer, readable by Optuna, torn or not."""

from __future__ import annotations

import json

import optuna
import pytest

from mejax.experiment.search import journal

FLOAT = optuna.distributions.FloatDistribution(0.0, 1.0)


def trial(value, **changes):
  options = {
    'value': value,
    'params': {'x': value},
    'distributions': {'x': FLOAT},
    'user_attrs': {'index': 0},
  }
  return optuna.create_trial(**options | changes)


def write(folder, count=3, owner='me'):
  folder.mkdir(exist_ok=True)
  book = journal.Journal(folder, owner)
  for fold in ('casme2/a', 'samm/b'):
    book.tell(fold, [trial(i / 8) for i in range(count)])
  return folder / journal.NAME


def load(path):
  backend = optuna.storages.journal.JournalFileBackend(str(path))
  storage = optuna.storages.JournalStorage(backend)
  return {
    study.study_name: study.get_trials()
    for study in map(
      lambda name: optuna.load_study(study_name=name, storage=storage),
      optuna.get_all_study_names(storage),
    )
  }


def test_optuna_loads_each_fold_as_a_study_of_finished_trials(tmp_path):
  found = load(write(tmp_path))
  assert list(found) == ['casme2/a', 'samm/b']
  for trials in found.values():
    assert [each.value for each in trials] == [0.0, 0.125, 0.25]
    assert all(each.state.is_finished() for each in trials)
    assert all(each.params == {'x': each.value} for each in trials)


def test_a_trial_is_one_line_and_is_told_once(tmp_path):
  path = write(tmp_path, count=2)
  before = path.read_text().splitlines()
  after = write(tmp_path, count=5).read_text().splitlines()
  assert after[: len(before)] == before
  assert len(after) == len(before) + 2 * 3
  assert all(json.loads(line)['op_code'] == 4 for line in after[-6:])
  assert write(tmp_path, count=5).read_text().splitlines() == after


def test_what_halving_left_is_pruned_with_the_score_of_each_rung(tmp_path):
  left = trial(
    0.25,
    state=optuna.trial.TrialState.PRUNED,
    intermediate_values={4: 0.25},
  )
  journal.Journal(tmp_path, 'me').tell('a', [left])
  (found,) = load(tmp_path / journal.NAME)['a']
  assert found.state == optuna.trial.TrialState.PRUNED
  assert found.intermediate_values == {4: 0.25}


@pytest.mark.parametrize('cut', [1, 40])
def test_a_torn_last_line_is_cut_off_kept_and_told(tmp_path, cut, capsys):
  path = write(tmp_path)
  whole = path.read_bytes()
  path.write_bytes(whole[:-cut])
  again = write(tmp_path)
  told = capsys.readouterr().out
  assert 'ended in a torn line of' in told and 'journal.log.torn' in told
  assert (tmp_path / 'journal.log.torn').read_bytes() == whole[:-cut]
  assert len(again.read_bytes().splitlines()) == len(whole.splitlines())
  assert [len(trials) for trials in load(again).values()] == [3, 3]
  assert not list(tmp_path.glob('*.lock'))


def test_a_kill_after_any_line_is_made_good(tmp_path):
  lines = write(tmp_path / 'whole').read_bytes().splitlines(keepends=True)
  for count in range(len(lines)):
    folder = tmp_path / str(count)
    folder.mkdir()
    (folder / journal.NAME).write_bytes(b''.join(lines[:count]))
    found = write(folder).read_bytes().splitlines(keepends=True)
    assert len(found) == len(lines)
    assert found[:count] == lines[:count]


def test_damage_in_the_middle_is_named_by_its_line(tmp_path):
  path = write(tmp_path)
  lines = path.read_bytes().splitlines(keepends=True)
  lines[3] = lines[3][:20] + b'\n'
  path.write_bytes(b''.join(lines))
  with pytest.raises(
    ValueError, match='damaged in line 4. Delete it: the same'
  ):
    journal.Journal(tmp_path, 'me')


def test_the_journal_of_another_search_is_refused(tmp_path):
  write(tmp_path)
  with pytest.raises(ValueError, match='journal.log belongs to another config'):
    journal.Journal(tmp_path, 'you')


def test_other_trials_than_those_of_the_search_are_refused(tmp_path):
  write(tmp_path)
  book = journal.Journal(tmp_path, 'me')
  with pytest.raises(ValueError, match='another trial 1 of fold samm/b'):
    book.tell('samm/b', [trial(0.0), trial(0.9), trial(0.25)])
