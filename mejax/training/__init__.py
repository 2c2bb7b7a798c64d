"""Many small trainings as one program.

`trial.py` is one training as pure functions. `setting.py` holds the numbers in
which trainings of one program may differ, `schedule.py` and `optimizer.py` say
how it steps. `batches.py` draws its steps, `sample.py` is what a step sees,
`augment.py` and `augment_frames.py` change it, `average.py` smooths weights.
`folds.py` says who is held out, `placement.py` lays trials out on devices as
`cost.py` says they fit, `loop.py` runs, logs and saves.
"""
