"""The verbs that show the scores of finished runs, and of their results."""

from __future__ import annotations

import argparse
import pathlib

from mejax.cli.verb import add_folder
from mejax.cli.verb import add_trust
from mejax.cli.verb import add_verb
from mejax.cli.verb import pair


def add_report(verbs) -> None:
  verb = add_verb(
    verbs,
    'report',
    _report,
    text='Render one or more runs as one HTML page, side by side or together.',
    example='  mejax report runs/small runs/ststnet\n'
    '  mejax report --together runs/small runs/ststnet lda\n'
    '  mejax report runs/small --data_dir data\n'
    '  mejax report runs/small --export results/small\n'
    '  mejax report runs/more --export results/small --add_seeds\n\n'
    '--together averages what the runs say of each clip that they held out,\n'
    'with equal weights, and compares the result with the best single run. Of\n'
    'several seeds, the mean counts. Clips, labels and folds of all runs must\n'
    'be the same. A name such as lda adds that baseline.\n\n'
    'The page lists the clips that every model misses. With --data_dir it\n'
    'also says if more people would help and if unknown people are the limit:\n'
    'a baseline is fitted on fewer people and in folds over clips. To compare\n'
    'a model in the same way, train it with --config.folds_over=clips, too.\n\n'
    '--export writes a folder of results: config, versions, and for each clip\n'
    'and seed the probability of each class, but no labels. Who has the data\n'
    'gets its table by `mejax score`. With --add_seeds, the run may be of\n'
    'further seeds (train it with --config.seed=5) of the same config and\n'
    'data: the folder then holds all seeds. What `mejax evaluate` wrote of\n'
    'the models of a run (RUN/evaluate) is exported in the same way.',
  )
  verb.add_argument(
    'sources',
    nargs='+',
    metavar='RUN',
    help='finished runs',
  )
  verb.add_argument(
    '--together',
    action='store_true',
    help='score the mean of their held-out probabilities as well; names of'
    ' baselines may be among the runs',
  )
  verb.add_argument(
    '--data_dir',
    type=pathlib.Path,
    metavar='DIR',
    help='folder of all datasets: measure the ceiling on the data of the first'
    ' run, which takes a minute',
  )
  verb.add_argument(
    '--export',
    type=pathlib.Path,
    metavar='DIR',
    help='write the results of the run into this folder, and no page',
  )
  verb.add_argument(
    '--add_seeds',
    action='store_true',
    help='add the seeds of the run to the results that --export names',
  )
  verb.add_argument(
    '--out',
    type=pathlib.Path,
    metavar='DIR',
    help='folder of the page (default: report/ in the run; for several runs,'
    ' beside the first)',
  )
  add_trust(verb, 'RUN')


def _report(args: argparse.Namespace) -> None:
  from mejax import experiment

  if args.export is None:
    if args.add_seeds:
      raise ValueError('--add_seeds needs --export and the folder to add to.')
    page = experiment.report(
      args.sources,
      out=args.out,
      together=args.together,
      data_dir=args.data_dir,
      trust_code=args.trust_code,
    )
    print(page)
    return
  if len(args.sources) > 1 or args.together or args.out or args.data_dir:
    raise ValueError('--export takes one run, and only --add_seeds with it.')
  folder = experiment.export(
    args.sources[0], args.export, add_seeds=args.add_seeds
  )
  print(folder)


def add_score(verbs) -> None:
  verb = add_verb(
    verbs,
    'score',
    _score,
    text='Print the table of published results, or of any predictions.',
    example='  mejax score results/ststnet --data_dir data\n'
    '  mejax score --together results/cnn results/htnet_face lda\n'
    '  mejax score predictions.csv\n'
    '  mejax score theirs.csv --option truth=emotion --option prediction=net\n'
    '  mejax score theirs.csv --table theirs.tex\n\n'
    'A folder of results holds no labels. These come from the dataset;\n'
    'command.txt in the folder says how to prepare it. Nothing is trained but\n'
    'the baselines.\n\n'
    'A CSV file or workbook has a row for each clip, with a column of truths\n'
    'and one of predictions, numbers or names. Columns of corpus, subject,\n'
    'clip and seed are read if they are there: subjects give the intervals,\n'
    'corpora a row for each database. If a column has another name than\n'
    'usual, tell it: --option truth=COLUMN. The names of the classes, in the\n'
    'order of their numbers: --option classes=negative,positive,surprise. Of\n'
    'predictions.csv in a run, the run tells them.',
  )
  verb.add_argument(
    'sources',
    nargs='+',
    metavar='RESULTS',
    help='folders that `mejax report RUN --export RESULTS` wrote, or tables of'
    ' truths and predictions',
  )
  add_folder(verb, '--data_dir', 'folder of all datasets', 'data')
  verb.add_argument(
    '--together',
    action='store_true',
    help='score the mean of the probabilities of folders of results, and of'
    ' baselines on their folds: lda, rbf_svm, logistic',
  )
  verb.add_argument(
    '--option',
    action='append',
    type=pair,
    default=[],
    metavar='KEY=VALUE',
    help='of a table: the name of a column (truth, prediction, corpus, subject,'
    ' clip, seed), classes=NAME,NAME,..., encoding=NAME',
  )
  verb.add_argument(
    '--table',
    type=pathlib.Path,
    metavar='FILE',
    help='write the scores into a file .md, .tex (booktabs) or .csv',
  )
  add_trust(verb, 'RESULTS')


def _score(args: argparse.Namespace) -> None:
  from mejax.experiment import scoring_sources

  scoring_sources.score_sources(
    args.sources,
    together=args.together,
    options=dict(args.option),
    table=args.table,
    data_dir=args.data_dir,
    trust_code=args.trust_code,
  )
