"""The recipe of `cnn`, around that of the config."""


def get_space(trial):
  trial.suggest_float('setting.learning_rate', 5e-4, 8e-3, log=True)
  trial.suggest_float('setting.weight_decay', 5e-3, 0.5, log=True)
  trial.suggest_float('setting.label_smoothing', 0.0, 0.3)
  trial.suggest_float('setting.mixup', 0.0, 0.8)
  trial.suggest_float('setting.shift', 0.0, 4.0)
