"""The verbs that train, convert, pack and evaluate models."""

from __future__ import annotations

import argparse
import ast
import pathlib
import textwrap

from mejax.cli import engine
from mejax.cli.verb import add_folder
from mejax.cli.verb import add_trust
from mejax.cli.verb import add_verb
from mejax.cli.verb import pair


def add_demo(verbs) -> None:
  verb = add_verb(
    verbs,
    'demo',
    _demo,
    text='Render faces, prepare them, train every fold, write the report.',
    example='  mejax demo\n  then open runs/demo/run/report/index.html',
  )
  add_folder(verb, '--workdir', 'folder of all files', 'runs/demo')
  verb.add_argument(
    '--small', action='store_true', help='fewer faces, fewer epochs'
  )


def _demo(args: argparse.Namespace) -> None:
  from mejax import experiment

  experiment.demo(args.workdir, small=args.small)


def add_train(verbs) -> None:
  verb = add_verb(
    verbs,
    'train',
    _train,
    text='Train all folds and seeds of a config together, or resume them.',
    example='  mejax train --config cnn --data_dir data --workdir runs/cnn\n\n'
    'The same command with the same workdir resumes. The top of a config file\n'
    'says how long it takes and what result to expect.\n\n'
    'A model to be used, trained on everybody, beside the folds that tell its\n'
    'score, and as a folder of its own:\n'
    '  mejax train --config cnn --workdir runs/all --config.folds=all\n'
    '  mejax pack runs/all --out models/mine\n\n'
    'Fine-tuning. People whom the model has seen would be tested by a model\n'
    'that was trained on them, so they are refused, or left out:\n'
    '  mejax train --config cnn --workdir runs/tuned --init models/mine \\\n'
    '    --config.dataset=casme2 --leave_out_seen\n',
    more=_teach_configs,
  )
  verb.add_argument(
    '--config',
    required=True,
    metavar='NAME[:VARIANT]',
    help='a config that ships with mejax, see below, the path of your own, or'
    ' the config.json of a run or of results',
  )
  add_folder(verb, '--data_dir', 'folder of all datasets', 'data')
  add_folder(verb, '--workdir', 'folder of this run')
  verb.add_argument(
    '--init',
    type=pathlib.Path,
    metavar='MODEL',
    help='start from a model that `mejax pack` or `mejax convert` wrote',
  )
  _add_leave_out(verb)
  engine.add_engine(verb)
  verb.add_argument(
    '--dry_run',
    action='store_true',
    help='print trials, memory, placement and expected time; train nothing',
  )


def _add_leave_out(verb) -> None:
  verb.add_argument(
    '--leave_out_seen',
    action='store_true',
    help='go on without the people whom the model has seen; otherwise data with'
    ' any of them are refused',
  )


def _teach_configs() -> str:
  """Lists the configs, and explains how to change values and try several."""
  from mejax.experiment import configuration

  return f"""
configs that ship:
{textwrap.fill(', '.join(configuration.list_configs()), 78, **_INDENT)}

changing values:
  --config.KEY=VALUE changes one value. All keys are listed, with default and
  meaning, in
    {configuration.DEFAULT}
  In addition, --config.model.FIELD=VALUE sets any field of the model, and
  --config.model.name=NAME chooses another model with its own defaults.
  A list is written with commas: --config.selection=last,inner

trying several values:
  --config.grid.NUMBER=VALUE,VALUE trains every fold and seed with each value,
  in the same program. Every number listed below can be varied in this way. The
  first value is the one that is reported.

numbers of a setting (--config.setting.NUMBER=VALUE), with default and bounds:
{configuration.describe_numbers()}
{engine.TEXT}"""


_INDENT = {'initial_indent': '  ', 'subsequent_indent': '  '}


def _train(args: argparse.Namespace) -> None:
  from mejax.experiment import configuration

  # First, so that a slip is reported before JAX is imported, which takes
  # seconds.
  config = configuration.load_config(args.config, args.overrides)
  who = engine.read_engine(args)
  if args.show_job_script:
    return engine.show_job_script(who, args.workdir)
  from mejax import experiment

  experiment.train(
    config,
    data_dir=args.data_dir,
    workdir=args.workdir,
    init=args.init,
    leave_out_seen=args.leave_out_seen,
    engine=who,
    dry_run=args.dry_run,
  )


def add_pretrain(verbs) -> None:
  verb = add_verb(
    verbs,
    'pretrain',
    _pretrain,
    text='Train a model on generated faces, which no database binds.',
    example='  mejax pretrain --config generated --workdir runs/generated\n'
    '  mejax evaluate runs/generated --data_dir data\n\n'
    'The same command with the same workdir resumes. The table is that of\n'
    'generated people who were held out. `mejax evaluate` applies the model\n'
    'to the dataset of the config, or to --config.dataset=NAME with its\n'
    '--config.protocol, which must have the same classes.\n'
    '--config.generated.rendered=NAME adds a dataset of rendered faces.\n',
    more=_teach_configs,
  )
  verb.add_argument(
    '--config',
    required=True,
    metavar='NAME[:VARIANT]',
    help='a config whose section `generated` says what is trained on',
  )
  add_folder(verb, '--workdir', 'folder of this run')
  add_folder(verb, '--data_dir', 'folder of all datasets', 'data')
  engine.add_engine(verb)
  verb.add_argument(
    '--dry_run',
    action='store_true',
    help='print trials, memory, placement and expected time; train nothing',
  )


def _pretrain(args: argparse.Namespace) -> None:
  from mejax.experiment import configuration

  config = configuration.load_config(args.config, args.overrides)
  who = engine.read_engine(args)
  if args.show_job_script:
    return engine.show_job_script(who, args.workdir)
  from mejax import experiment

  experiment.pretrain(
    config,
    workdir=args.workdir,
    data_dir=args.data_dir,
    engine=who,
    dry_run=args.dry_run,
  )


def add_convert(verbs) -> None:
  verb = add_verb(
    verbs,
    'convert',
    _convert,
    text='Convert PyTorch checkpoints of an original model to mejax.',
    example='  mejax convert htnet weights/*.pth --out models/htnet\n'
    '  mejax evaluate models/htnet --data_dir data\n\n'
    'Each of several files is the model of one held-out subject, and its name\n'
    'is, or ends with, the name of the subject: s01.pth, fold_s01.pth.\n'
    'A single file serves all subjects. PyTorch is needed:\n'
    "pip install 'mejax[torch]'. Only weights are read: a file that would\n"
    'run code is refused.',
  )
  verb.add_argument(
    'model', metavar='MODEL', help='the original model: htnet, mmnet or ststnet'
  )
  verb.add_argument(
    'files', nargs='+', type=pathlib.Path, metavar='FILE', help='.pth files'
  )
  add_folder(verb, '--out', 'folder of the models; it must not exist yet')
  verb.add_argument(
    '--preset', metavar='NAME', help='mejax preset (default: the published one)'
  )
  verb.add_argument(
    '--field',
    type=_field,
    action='append',
    default=[],
    metavar='KEY=VALUE',
    help='a field that differs from the preset: num_classes=7, "depths=(2, 2,'
    ' 8)"',
  )


def _convert(args: argparse.Namespace) -> None:
  from mejax.experiment import conversion

  conversion.convert(
    args.model,
    args.files,
    args.out,
    preset=args.preset,
    fields=dict(args.field),
  )


def _field(text: str) -> tuple[str, object]:
  key, value = pair(text)
  try:
    return key, ast.literal_eval(value)
  except (ValueError, SyntaxError):
    raise argparse.ArgumentTypeError(
      f'{value!r} is neither a number nor a list of them'
    ) from None


def add_pack(verbs) -> None:
  verb = add_verb(
    verbs,
    'pack',
    _pack,
    text='Make one folder of a run: a saved model, to use or to give away.',
    example='  mejax pack runs/all --out models/mine\n'
    '  mejax pack runs/small --out models/ensemble --members folds\n\n'
    'The folder holds\n'
    '  weights.safetensors  weights of all members; they are used together\n'
    '  model.json           how its inputs are made (recipe, view), classes,\n'
    '                       scores, and whom it has seen, as digests of names\n'
    '  model.jax            the model where only jax and flatbuffers are\n'
    '  MODEL.md             the card: read it, and add to it what you know\n\n'
    'The members are the seeds of a model of everybody, if the run has one\n'
    '(--config.folds=all), or else all folds and seeds. The score is that of\n'
    'the folds. One temperature makes the probabilities as sure as they were\n'
    'right on held-out people. `mejax evaluate` and `mejax train --init`\n'
    'refuse people whom the model has seen.\n\n'
    'Of a run of `mejax train --config spotter --config.folds=all` it makes\n'
    'such a folder, too, for `mejax spot --spotter`.\n\n'
    'In Python:\n'
    "  model = mejax.experiment.load_model('models/mine')\n"
    '  probabilities = model.predict(inputs)\n',
  )
  verb.add_argument(
    'run', type=pathlib.Path, metavar='RUN', help='a finished run'
  )
  add_folder(verb, '--out', 'folder of the model; an older one is replaced')
  verb.add_argument(
    '--members',
    choices=['everybody', 'folds'],
    default='',
    help='which models of the run it is made of (default: see below)',
  )
  verb.add_argument(
    '--licence',
    action='append',
    default=[],
    metavar='TEXT',
    help='terms under which you give it away, as Apache-2.0; those of the'
    ' databases are added',
  )
  verb.add_argument(
    '--notes',
    type=pathlib.Path,
    metavar='FILE',
    help='Markdown to add to the card, such as a table of results',
  )
  verb.add_argument(
    '--recipe_of',
    metavar='DATASET',
    help='for a model of generated examples: the prepared dataset whose recipe'
    ' makes the clips that it shall read',
  )
  add_folder(verb, '--data_dir', 'folder of all datasets', 'data')
  add_trust(verb, 'RUN')


def _pack(args: argparse.Namespace) -> None:
  from mejax.experiment.packs import packing
  from mejax.experiment.spotting import packing as spotter_packing

  told = {
    'licences': args.licence,
    'notes': args.notes.read_text(encoding='utf-8') if args.notes else '',
  }
  if spotter_packing.is_spotter(args.run):
    if args.members or args.recipe_of:
      raise ValueError(
        f'{args.run} holds a spotter; --members and --recipe_of belong to'
        ' models of clips.'
      )
    about = spotter_packing.pack(args.run, args.out, **told).told
  else:
    about = packing.pack(
      args.run,
      args.out,
      members=args.members,
      recipe=packing.recipe_of(args.recipe_of, args.data_dir),
      trust_code=args.trust_code,
      **told,
    ).about
  count = len(about['members'])
  print(f'{count} member{"s" * (count > 1)} in {args.out}')


def add_evaluate(verbs) -> None:
  verb = add_verb(
    verbs,
    'evaluate',
    _evaluate,
    text='Evaluate saved models on people whom they have not seen.',
    example='  mejax evaluate runs/small --data_dir data\n'
    '  mejax evaluate models/htnet --config htnet_released --data_dir data\n'
    '  mejax evaluate models/mine --config.dataset=samm --out runs/on_samm\n\n'
    'Each model of a run says the people that it held out. A model of `mejax\n'
    'pack` says those whom it has not seen, and refuses all others, or leaves\n'
    'them out (--leave_out_seen).\n'
    'The default is the dataset of the run; for converted models, the dataset\n'
    'that the original was trained on. --config chooses another one, and\n'
    '--config.KEY=VALUE changes one value. Only the folder --out is written,\n'
    'and the baselines of the data if they are not in --data_dir yet.',
  )
  verb.add_argument(
    'source',
    type=pathlib.Path,
    metavar='RUN',
    help='a finished run, or a folder that `mejax convert` or `mejax pack`'
    ' wrote',
  )
  add_folder(verb, '--data_dir', 'folder of all datasets', 'data')
  verb.add_argument(
    '--config',
    metavar='NAME[:VARIANT]',
    help='a config from which dataset, protocol and view are taken',
  )
  verb.add_argument(
    '--out',
    type=pathlib.Path,
    metavar='DIR',
    help='folder of the results (default: RUN/evaluate; it must be given for a'
    ' model of `mejax pack`)',
  )
  verb.add_argument(
    '--prior',
    choices=('trained', 'em', 'published'),
    help='for models of generated faces: take all classes as equally common'
    ' (trained, the default), estimate their shares in each database from the'
    ' predictions (em), or go half way to the shares that MMEW and CAS(ME)^3'
    ' have published; none of them reads a label',
  )
  _add_leave_out(verb)
  add_trust(verb, 'RUN')


def _evaluate(args: argparse.Namespace) -> None:
  from mejax.experiment import configuration

  config = args.config and configuration.load_config(args.config)
  from mejax.experiment import evaluating

  evaluating.evaluate(
    args.source,
    data_dir=args.data_dir,
    config=config,
    overrides=args.overrides,
    prior=args.prior,
    out=args.out,
    leave_out_seen=args.leave_out_seen,
    trust_code=args.trust_code,
  )
