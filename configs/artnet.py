"""ARTNet, which reads the motion of a clip at several amplifications.

The model is a reconstruction from the abstract (Sensors 2026, 26(1), 247); the
authors' code is not released: see `mejax/models/artnet.py`. Settings were
chosen on other rendered people (seed 1). Any dataset with several levels works.
  mejax render faces --subjects 48 --clips 12 --seed 2
  mejax prepare synthetic --source faces --data_dir DIR --levels 1,2,4
    --size 64 --faces given --remove_head_motion
  mejax train --config artnet:small --config.num_folds=4 --data_dir DIR
    --workdir RUN
Variants:
  artnet:small   a narrow model, 62,307 parameters, which was measured
  artnet:adaptive  small; reads the levels at a factor predicted of each clip
  artnet:alpha1  small, trained on motion without amplification only
  artnet:smoke   takes seconds; shows that all runs, learns nothing
Time: :small trains two seeds in 6 minutes on two busy CPU cores.
Expected result: :small, 2 seeds, 576 clips of 48 people: UF1 .912 +- .003 (95 %
over people .890 to .934), .056 above the RBF-SVM (.031 to .084); from a single
level .912 (alpha 1), .911 (2) or .905 (4): amplification adds nothing to flow.
:alpha1 .904 +- .001. :adaptive is as good as flow times 8: README. base: none.
"""

from mejax.configs import default

VARIANTS = ('small', 'adaptive', 'alpha1', 'smoke')


def get_config(arg: str = ''):
  config = default.get_config()
  config.dataset = config.protocol = 'synthetic'
  # Amplification levels to read, e.g. (1.0, 4.0); all if empty.
  config.view.update(name='level_stack', mode='landmarks', levels=())
  # All levels are divided by one deviation, which keeps their differences.
  config.view.normalise = 'centre_std'
  config.model.update(name='artnet', preset='base', dim=128, patch_size=8)
  # The attention among levels must take a mask: some levels may be absent.
  config.model.update(attention_fn='softmax', level_attention_fn='softmax')
  config.model.update(dropout=0.2, level_dropout=0.25)
  # There are few clips, so they are augmented, and weights are averaged.
  config.setting.update(learning_rate=2e-3, weight_decay=0.05, ema=0.98)
  config.setting.update(label_smoothing=0.1, warmup_fraction=0.1, shift=1.0)
  config.setting.update(mirror=0.5, test_mirror=0.5, mixup=0.3)
  config.setting.scale_jitter = 0.5
  config.update(batch_size=16, num_epochs=100, eval_every=5, num_seeds=2)
  if arg in ('small', 'adaptive', 'alpha1'):
    config.model.update(preset='small', dim=32)
  if arg == 'alpha1':
    config.view.levels = (1.0,)
  if arg == 'adaptive':
    config.model.update(adaptive='clip', level_dropout=0.0)
    # Keeps how much a face moves, which a deviation of each clip takes away.
    config.view.normalise = 'fixed'
  if arg == 'smoke':
    config.model.update(preset='tiny', dim=16)
    config.update(num_epochs=2, eval_every=1, num_seeds=1)
  return config
