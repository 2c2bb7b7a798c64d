"""HTNet: its recipe, and how wide it is.

The widths are those of the presets `regions_small` and `regions`.
"""


def get_space(trial):
  trial.suggest_float('setting.learning_rate', 3e-4, 5e-3, log=True)
  trial.suggest_float('setting.weight_decay', 5e-3, 0.5, log=True)
  trial.suggest_float('setting.label_smoothing', 0.0, 0.3)
  trial.suggest_float('setting.mixup', 0.0, 0.8)
  trial.suggest_float('setting.shift', 0.0, 2.0)
  trial.suggest_categorical('model.dropout', (0.0, 0.2))
  trial.suggest_categorical('model.dim', (32, 64))
