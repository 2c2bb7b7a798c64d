"""A small HTNet on the rendered faces that mejax makes.
Command:  mejax train --config synthetic --data_dir DIR --workdir RUN
The faces are of `mejax render`, prepared with --size 64.
Variants:  synthetic:demo  what `mejax demo` trains: one seed, 20 epochs
           synthetic:smoke  takes seconds; shows that all runs, learns nothing
Time: 50 seconds on two CPU cores. The demo, faces and compilation included:
about 110 seconds of one core.
Expected result: UF1 .805 +- .027 at the last epoch, 2 seeds, 12 subjects, 108
clips; baselines .851 (LDA), .812 (RBF-SVM) and .806 (logistic regression).
The demo, 8 of these subjects, 72 clips: UF1 .734 (95 % .589 to .860); baselines
.764 (RBF-SVM), .762 (LDA) and .692 (logistic regression).
"""

from mejax.configs import default

VARIANTS = ('demo', 'smoke')


def get_config(arg: str = ''):
  config = default.get_config()
  config.dataset = config.protocol = 'synthetic'
  config.view.update(name='region_mosaic', mode='landmarks')
  config.view.normalise = 'centre_std'
  config.model.update(name='htnet', preset='regions_small', dropout=0.2)
  # Flow of 64 pixels: each facial region is one block of 8 x 8 tokens.
  config.model.update(image_size=64, patch_size=4, dim=16)
  config.setting.update(learning_rate=2e-3, weight_decay=0.05)
  config.setting.update(label_smoothing=0.1, warmup_fraction=0.1, mirror=0.5)
  config.update(batch_size=16, num_epochs=40, num_seeds=2)
  if arg == 'demo':
    config.update(num_epochs=20, num_seeds=1)
  if arg == 'smoke':
    config.model.dim = 8
    config.update(num_epochs=2, num_seeds=1)
  return config
