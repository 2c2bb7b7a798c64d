"""From a config to a run, and back from a finished run to its models.

  configuration.py  `--config NAME:variant --config.key=value` -> locked config
  own_files.py      imports config files and spaces
  schema.py         what a config or an old run leaves out, filled in
  planning.py       a config -> the plan: the objects that its names stand for
  resolve.py        names of a config -> objects, one kind at a time
  task.py           clips as a model reads them, with their labels and groups
  copies.py         finds inputs that are those of two people
  fold_words.py     says how the folds at hand divide the people
  model_checks.py   checks that model and data fit each other
  running.py        trains a plan and evaluates it
  forecasting.py    what a run needs on hardware that is not at hand
  search/           searches for settings with nested folds
  engine/           who trains: this process, or workers of a cluster
  pretraining.py    trains on generated faces
  own_arrays.py     leave-one-subject-out on a user's own arrays
  baseline_cache.py the simple classifiers of data and folds, computed once
  demonstration.py  `mejax demo`: from rendered faces to a report
  packs/            saved models: made, read, started from, and whom they saw
  conversion.py     PyTorch checkpoints of an original -> a folder of models
  applying.py       saved models -> logits of the people each one held out
  evaluating.py     a table of saved models, on the people each one held out
  evaluated.py      what makes an evaluation again
  introspection.py  how much models read of each level, and where they look
  inspecting.py     pages of a prepared dataset
  predicting/       says what motions in recordings are most like
  figures.py        pictures of runs and clips for a notebook
  spotting/         spots expressions in long recordings, and is scored on them
  finished.py       reads finished runs
  reporting.py      writes the page of finished runs
  comparing.py      how far a run is above another, paired over people
  ensembles.py      scores finished runs together
  ceilings.py       what holds scores back: people, folds, single clips
  results.py        folders of held-out probabilities without labels
  exporting.py      writes such folders
  adding_seeds.py   adds the seeds of a run to such a folder
  scoring.py        scores such folders on the data at hand
  commands.py       the commands that make a run again
  calls.py          keeps a folder of results for one call
  cost.py           what a training took: time, memory, operations
  prediction_columns.py   finds the columns of a table of predictions
  predictions_file.py     a table of truths and predictions that anybody made
  scoring_predictions.py  scores such a table
  scoring_sources.py      scores folders of results and such tables
  record.py         the held-out logits of a run, with labels and subjects
  workdir.py        the files of a run
  versions.py       libraries, and the commit of mejax, that made the numbers
  identity.py       describes a user's own objects, so that runs can compare

The names below are the interface. Each is imported when it is first used,
because reading a config must not take the seconds that importing JAX takes.
"""

import importlib

_HOMES = {
  'Engine': 'mejax.experiment.engine.options',
  'Clips': 'mejax.experiment.task',
  'Plan': 'mejax.experiment.planning',
  'Task': 'mejax.experiment.task',
  'compare': 'mejax.experiment.comparing',
  'clip_figure': 'mejax.experiment.figures',
  'demo': 'mejax.experiment.demonstration',
  'evaluate': 'mejax.experiment.evaluating',
  'forecast': 'mejax.experiment.forecasting',
  'inspect': 'mejax.experiment.inspecting',
  'leave_one_subject_out': 'mejax.experiment.own_arrays',
  'load_config': 'mejax.experiment.configuration',
  'load_model': 'mejax.experiment.packs.packed',
  'pack': 'mejax.experiment.packs.packing',
  'predict': 'mejax.experiment.predicting.recordings',
  'pretrain': 'mejax.experiment.pretraining',
  'plan': 'mejax.experiment.planning',
  'report': 'mejax.experiment.reporting',
  'run_figures': 'mejax.experiment.figures',
  'spot': 'mejax.experiment.spotting.recordings',
  'sweep': 'mejax.experiment.search.sweep',
  'export': 'mejax.experiment.exporting',
  'score': 'mejax.experiment.scoring',
  'score_predictions': 'mejax.experiment.scoring_predictions',
  'score_together': 'mejax.experiment.scoring',
  'together': 'mejax.experiment.ensembles',
  'train': 'mejax.experiment.running',
  'train_plan': 'mejax.experiment.running',
  'keep_compiled_programs': 'mejax.training.devices',
}


def __getattr__(name: str):
  if name not in _HOMES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  module = importlib.import_module(_HOMES[name])
  return getattr(module, name)


def __dir__() -> list[str]:
  return sorted([*globals(), *_HOMES])
