"""Many small trainings as one program.

One training is a set of pure functions, in `trial.py`. `setting.py` defines the
numbers that may differ between trainings of one program. `schedule.py` and
`optimizer.py` compute a step, `batches.py` draws its examples, `sample.py`
reads them, `augment.py` and `augment_frames.py` change them, and `average.py`
averages weights over steps. `curves.py` has those of a model that says
something of each frame of a window.

For many trainings, `folds.py` decides who is held out, `devices.py` sets up the
processors, `cost.py` finds out how many trials fit into memory, `steps.py` has
the steps and epochs of one trial or of several, `placement.py` compiles them
for all devices as one program, and `loop.py` runs it, with `log.py` and
`checkpoint.py`.

`forecast.py` weighs a training from its compiled program, on devices that need
not be at hand: `work.py` counts a step, `traffic.py` reads what the program
moves, `chips.py` and `gpus.py` know the devices, and `forecast_text.py` says it
in words.
"""
