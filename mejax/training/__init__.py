"""Many small trainings as one program.

One training is a set of pure functions: `trial.py`. `setting.py` holds the
numbers in which trainings of one program may differ, `schedule.py` and
`optimizer.py` say how it steps, `batches.py` draws its steps, `sample.py` is what
a step sees, `augment.py` and `augment_frames.py` change it, `average.py` smooths
weights. Many trainings: `folds.py` says who is held out, `cost.py` how many
trials fit, `placement.py` compiles them as one program, `loop.py` runs it, with
`log.py` and `checkpoint.py`.
"""
