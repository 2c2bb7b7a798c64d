"""Searches for settings with nested folds: `mejax sweep`.

sweep.py      carries out a search
state.py      what a search is: options, programs, what was tried
spaces.py     which settings a search may try
proposing.py  the settings of a round, as a pure function
rounds.py     the rounds of a search, each outer fold for itself
units.py      trainings that one process does, as plain JSON
preparing.py  what units share: programs and clips
chosen.py     what a search chose, trained, and its numbers
journal.py    the record of a search, as Optuna's journal
forecast.py   how large a search is, and how long it takes
"""
