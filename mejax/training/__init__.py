"""Many small trainings as one program.

`trial.py` is one training as pure functions, `folds.py` says who is held out,
`placement.py` lays trials out on devices, `loop.py` runs, logs and saves.
"""
