"""Many small trainings as one program.

`trial.py` is one training as pure functions: `batches.py` draws its steps,
`sample.py` and `augment.py` change what a step sees, `average.py` smooths its
weights. `folds.py` says who is held out, `placement.py` lays trials out on
devices as `cost.py` says they fit, `loop.py` runs, logs and saves.
"""
