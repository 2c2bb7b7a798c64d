"""Applies saved models to clips, each model to the people that it held out."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import re
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float
from jaxtyping import PyTree
from jaxtyping import Shaped
import numpy as np

from mejax.experiment import model_checks
from mejax.experiment.packs.saved import Saved
from mejax.experiment.task import Clips
from mejax.training import augment
from mejax.training import folds as folds_lib
from mejax.training import sample as sample_lib


def apply_folds(
  saved: Saved,
  clips: Clips,
  groups: Shaped[np.ndarray, ' n'] | None = None,
  *,
  keep: Callable[[Any], Any] = lambda out: out,
) -> tuple[Float[np.ndarray, 's n k'], PyTree]:
  """Applies to each clip the model that held its group out.

  Args:
    saved: the models; see `saved.read_models`.
    clips: the clips; labels are not read.
    groups: str[n], the group of each clip, which decides its model; by default
      its person, `corpus/subject`. A single model serves all groups.
    keep: takes a model's `out` and returns the part to keep, arrays with the
      clips on their first axis, e.g. `lambda out: out['head']`.

  Returns:
    The logits of every seed and clip, computed in the same way as predictions
    in training; and the arrays of `keep`, as `[s, n, ...]`.

  Raises:
    ValueError: no model, or more than one, held out a group.
  """
  model = model_checks.fill_levels(saved.model, clips.levels)
  groups = find_left_out(saved, clips.people if groups is None else groups)
  names = np.unique(groups)
  if saved.names is None:
    model_of = dict.fromkeys(names.tolist(), '')
  else:
    model_of = match(names.tolist(), saved.names)
  # Positions of each group's clips, padded with -1 to one size, so that one
  # program serves all groups. The rows of the padding are dropped below.
  index = folds_lib.held_out_index(groups == names[:, None])
  inputs = jnp.asarray(clips.inputs)

  share = saved.test_mirror
  flip = augment.flip(clips.layout) if share else None

  # The data are an argument. As a constant they would be part of the program,
  # which would then be compiled, and kept on disk, again for every dataset.
  @jax.jit
  def apply(variables, inputs, positions):
    batch = sample_lib.decode(inputs[positions])
    logits, out = model.apply(variables, batch, train=False)
    if flip:
      mirrored, _ = model.apply(variables, flip(batch), train=False)
      logits = (1 - share) * logits + share * mirrored
    return logits, keep(out)

  # Outputs come group by group; this puts them back in the order of the clips.
  order = np.argsort(index[index >= 0])
  seeds = []
  for seed in saved.seeds:
    parts = []
    for name, row in zip(model_of.values(), index, strict=True):
      found = apply(saved.load(seed, name), inputs, np.maximum(row, 0))
      parts.append(
        jax.tree.map(lambda x, row=row: np.asarray(x)[row >= 0], found)
      )
    seeds.append(jax.tree.map(lambda *x: np.concatenate(x)[order], *parts))
  return jax.tree.map(lambda *x: np.stack(x), *seeds)


def find_left_out(
  saved: Saved, groups: Shaped[np.ndarray, ' n']
) -> Shaped[np.ndarray, ' n']:
  """Returns the group of each clip, or the part of the run that held it out.

  Raises:
    ValueError: the run left people out in parts, and a group is in none of
      them.
  """
  if not saved.parts:
    return groups
  if unknown := sorted(set(groups.tolist()) - saved.parts.keys()):
    raise ValueError(
      'the run left people out in parts, and these were in none of them: '
      f'{", ".join(unknown[:5])}{", ..." * (len(unknown) > 5)}. It is not '
      'known which of its models has not seen them; evaluate it on the people '
      'of the run.'
    )
  return np.array([saved.parts[group] for group in groups.tolist()])


def match(groups: Sequence[str], names: Sequence[str]) -> dict[str, str]:
  """Returns, for each group, the name of the model that held it out.

  The name of a model is, or ends with, the name of its group or subject: `s01`,
  `fold_s01` and `smic_s01` all stand for smic/s01.

  Raises:
    ValueError: a group has no model or several, or two groups have the same.
  """
  found, problems = {}, []
  for group in groups:
    # The longest form comes first: s01 alone could mean two corpora.
    for word in (group, group.replace('/', '_'), group.rpartition('/')[2]):
      ending = re.compile(rf'(.*[^0-9A-Za-z])?{re.escape(word)}')
      fitting = [name for name in names if ending.fullmatch(name)]
      if fitting:
        break
    if len(fitting) == 1:
      found[group] = fitting[0]
    else:
      problems.append(f'{group}: {", ".join(fitting) or "none"}')
  for name in names:
    owners = [group for group in found if found[group] == name]
    if len(owners) > 1:
      problems.append(f'{", ".join(owners)}: the same, {name}')
  if problems:
    raise ValueError(
      'each group that is held out needs a model of its own, with the name of'
      ' its subject or a name that ends with it. These models were found:\n  '
      + '\n  '.join(problems)
    )
  return found
