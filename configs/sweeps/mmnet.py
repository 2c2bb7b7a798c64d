"""MMNet on two frames: its recipe, and how far they are turned and shifted."""


def get_space(trial):
  trial.suggest_float('setting.learning_rate', 5e-4, 8e-3, log=True)
  trial.suggest_float('setting.weight_decay', 5e-2, 1.0, log=True)
  trial.suggest_float('setting.label_smoothing', 0.0, 0.3)
  trial.suggest_float('setting.mixup', 0.0, 0.6)
  trial.suggest_float('setting.rotation', 0.0, 8.0)
  trial.suggest_float('setting.shift', 0.0, 8.0)
