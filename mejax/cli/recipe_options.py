"""The command-line options that set how frames become examples."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib


def add_recipe(group) -> None:
  """Adds an option for every field of `datasets.recipe.Recipe`."""
  group.add_argument(
    '--levels',
    type=levels_of,
    metavar='1,2,4',
    help='amplification factors; 1 keeps the motion as it is (default: 1)',
  )
  group.add_argument(
    '--magnify',
    metavar='METHOD',
    help='how motion is amplified: flow (default), phase, linear, learned',
  )
  group.add_argument(
    '--weights',
    type=pathlib.Path,
    metavar='FILE',
    help='for --magnify learned: file of weights, of mejax or of PyTorch',
  )
  group.add_argument(
    '--flow',
    metavar='METHOD',
    help='how motion is measured: tvl1 (default), farneback, dis, tvl1_plain'
    ' (as up to 0.2: a change of light is taken for motion)',
  )
  group.add_argument(
    '--strain',
    metavar='NAME',
    help='definition of strain: shreve (default), quarter_shear, magnitude',
  )
  group.add_argument(
    '--size',
    type=int,
    metavar='PIXELS',
    help='side of the aligned face in pixels (default: 128)',
  )
  group.add_argument(
    '--neighbours',
    type=int,
    metavar='K',
    help='also keep K frames after the onset and around the apex (default: 0)',
  )
  group.add_argument(
    '--faces',
    metavar='SOURCE',
    help='source of face points: mesh (default), yunet, given (by a database'
    ' that has them, as `mejax render` makes), none (frames show aligned faces'
    ' already)',
  )
  group.add_argument(
    '--which_face',
    metavar='FACE',
    help='of several faces in the picture: largest (default; also the most'
    ' central), left, right, or a place in it in pixels, as 412,230; a column'
    ' which_face of your label sheet says it for one clip',
  )
  group.add_argument(
    '--apex',
    metavar='SOURCE',
    help='apex frame: annotated (default; spotted where the sheet has none),'
    ' spotted, midpoint (where the sheet has none)',
  )
  group.add_argument(
    '--remove_head_motion',
    action='store_true',
    help='remove the motion of the whole face, from frames and from flow',
  )
  group.add_argument(
    '--mask_eyelids',
    action='store_true',
    help='set motion around the eyes to 0, to exclude blinks',
  )


def levels_of(text: str) -> tuple[float, ...]:
  """Parses factors that are separated by commas."""
  try:
    return tuple(float(level) for level in text.split(','))
  except ValueError:
    raise argparse.ArgumentTypeError(
      f'{text!r} is not like 1,2,4: numbers with commas between them'
    ) from None


def recipe_of(args: argparse.Namespace):
  """Returns the recipe that the options set; None if none was given."""
  from mejax.datasets import recipe

  chosen = {
    field.name: getattr(args, field.name)
    for field in dataclasses.fields(recipe.Recipe)
    if getattr(args, field.name) not in (None, False)
  }
  return recipe.Recipe(**chosen) if chosen else None
