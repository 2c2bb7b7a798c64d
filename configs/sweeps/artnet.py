"""ARTNet: its recipe, and how often amplification levels are left out."""


def get_space(trial):
  trial.suggest_float('setting.learning_rate', 5e-4, 8e-3, log=True)
  trial.suggest_float('setting.weight_decay', 5e-3, 0.5, log=True)
  trial.suggest_float('setting.label_smoothing', 0.0, 0.3)
  trial.suggest_float('setting.mixup', 0.0, 0.6)
  trial.suggest_float('setting.scale_jitter', 0.0, 1.0)
  trial.suggest_categorical('model.level_dropout', (0.0, 0.25))
