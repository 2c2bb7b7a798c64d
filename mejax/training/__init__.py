"""Many small trainings as one program.

One training is a set of pure functions: `trial.py`. `setting.py` holds the
numbers in which trainings of one program may differ; `schedule.py` and
`optimizer.py` say how a training steps, `batches.py` which examples a step
sees, `sample.py` in what form; `augment.py` and `augment_frames.py` change
them, and `average.py` smooths weights. Many trainings: `folds.py` says who is
held out, `devices.py` what there is to compute on, `cost.py` how many trials
fit, `placement.py` compiles them as one program, `loop.py` runs it, with
`log.py` and `checkpoint.py`.
"""
