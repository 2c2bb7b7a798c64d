"""Many small trainings as one program.

One training is a set of pure functions: `trial.py`, with its numbers in
`setting.py`, its learning-rate schedules in `schedule.py`, its batches in
`batches.py`, its augmentations in `sample.py` and `augment.py`. Many of them:
`folds.py` says who is held out, `cost.py` how many trials fit, `placement.py`
compiles them as one program, `loop.py` runs it, with `log.py` and
`checkpoint.py`.
"""
