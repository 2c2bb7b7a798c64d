"""Clips as a model reads them, with the labels and groups of an experiment."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from mejax.training import sample

if TYPE_CHECKING:
  from mejax.datasets.protocols import Protocol
  from mejax.datasets.views import View


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clips:
  """Clips as a model reads them; nothing here needs a label.

  Attributes:
    inputs: f32[n ...], model input of each clip; or frames u8[n ...], which are
      normalised before the model reads them (`training.sample.decode`).
    corpus: str[n], database of each clip.
    subject: str[n], subject of each clip, unique within its database.
    clip: str[n], name of each clip.
    layout: kind and order of the inputs; unknown by default.
    extra: arrays [n ...] by name that augmentations read beside the inputs.
    levels: amplification of each level of an input; empty for inputs without
      levels.
    dataset: metadata of the prepared dataset.
    scene: arrays to draw behind an attention map, see `datasets.backdrop`;
      empty if they are not known.
  """

  inputs: np.ndarray
  corpus: np.ndarray
  subject: np.ndarray
  clip: np.ndarray
  layout: sample.Layout = sample.Layout()
  extra: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
  levels: tuple[float, ...] = ()
  dataset: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  scene: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

  @property
  def people(self) -> np.ndarray:
    """`corpus/subject` of each clip."""
    return np.char.add(np.char.add(self.corpus, '/'), self.subject)

  def describe_inputs(self) -> dict[str, Any]:
    """Describes by JSON values what a saved model must know of its inputs."""
    return {
      'shape': list(self.inputs.shape[1:]),
      'dtype': str(self.inputs.dtype),
      'levels': list(self.levels),
      'layout': dataclasses.asdict(self.layout),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task(Clips):
  """Clips with the labels and groups of a leave-one-group-out experiment.

  Attributes:
    labels: i32[n], class of each clip.
    class_names: name of each class.
    protocol: sentences that say which clips count, how they are split, and how
      these data differ from the protocol.
    groups: str[n]; all clips of a group are left out together.
    baseline_inputs: f32[n, h, w, 3], flow of the whole face as (u, v, strain),
      which the baselines read whatever the view is; None if they read `inputs`.
    home: the data folder, in which the baselines are kept; None for arrays of
      the user's own.
  """

  labels: np.ndarray
  class_names: tuple[str, ...]
  protocol: str
  groups: np.ndarray
  baseline_inputs: np.ndarray | None = None
  home: pathlib.Path | None = None

  @property
  def seen_by_baselines(self) -> np.ndarray:
    """The inputs of the baselines."""
    own = self.baseline_inputs
    return self.inputs if own is None else own

  def describe(self) -> dict[str, Any]:
    """Describes by JSON values what `sha256` does not tell apart."""
    names = [array.tolist() for array in (self.corpus, self.subject, self.clip)]
    form = {'inputs': self.inputs, **self.extra}
    return {
      'arrays': {
        name: f'{array.dtype}{list(array.shape)}'
        for name, array in form.items()
      },
      'class_names': [str(name) for name in self.class_names],
      'clips_sha256': hashlib.sha256(json.dumps(names).encode()).hexdigest(),
    }

  @property
  def baseline_u_channel(self) -> int | None:
    """Their horizontal flow; None if they are no flow of a whole face."""
    if self.baseline_inputs is not None:
      return 0
    is_face = self.layout.kind == 'image' and self.inputs.ndim == 4
    return self.layout.u_channel if is_face else None

  @functools.cached_property
  def sha256(self) -> str:
    """Identifies the values, so that a run is not resumed on other data."""
    digest = hashlib.sha256()
    extra = [self.extra[name] for name in sorted(self.extra)]
    groups = np.char.encode(self.groups)
    for array in (self.inputs, self.labels, groups, *extra):
      digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def load_task(
  dataset: str,
  data_dir: str | os.PathLike,
  *,
  protocol: Protocol,
  view: View,
  options: Mapping[str, Any],
  order: str = '',
) -> Task:
  """Reads a prepared dataset, and makes a protocol's clips with a view.

  Args:
    dataset: name of the dataset.
    data_dir: home of the prepared datasets.
    protocol: decides which clips count, their classes and their groups.
    view: makes inputs from examples.
    options: options of the view.
    order: '' for the order of the dataset, or 'class_descending'.

  Raises:
    FileNotFoundError: the dataset has not been prepared.
    ValueError: data, protocol, view and order do not fit each other.
  """
  from mejax.datasets import load

  task = make_task(
    load.load_examples(dataset, data_dir),
    load.read_metadata(dataset, data_dir),
    protocol=protocol,
    view=view,
    options=options,
    order=order,
  )
  return dataclasses.replace(task, home=pathlib.Path(data_dir))


def make_task(
  examples: Mapping[str, np.ndarray],
  metadata: Mapping[str, Any],
  *,
  protocol: Protocol,
  view: View,
  options: Mapping[str, Any],
  order: str = '',
) -> Task:
  """Makes a protocol's clips from examples; see `load_task`.

  Args:
    examples: arrays [n ...] by name, see `datasets.load.load_examples`.
    metadata: metadata of their dataset.
    protocol, view, options, order: as for `load_task`.
  """
  from mejax.datasets import backdrop
  from mejax.datasets import labelling
  from mejax.datasets import shown_units

  lacking = ''
  if protocol.units:
    examples, lacking = shown_units.listed(examples, metadata, protocol.units)
    metadata = {**metadata, 'action_units': list(protocol.units)}
  selection = labelling.apply(
    protocol, examples, skipped=metadata.get('skipped', ())
  )
  for note in selection.notes:
    print(note)
  positions = _positions(selection.labels, order)
  chosen = selection.indices[positions]
  examples = {name: array[chosen] for name, array in examples.items()}
  labels, groups = selection.labels[positions], selection.groups[positions]
  clips = make_clips(examples, metadata, view=view, options=options)
  if protocol.units:
    told = {'units': examples['action_units']}
    clips = dataclasses.replace(clips, extra={**clips.extra, **told})
  sentences = [protocol.sentence, *_deviations(selection, metadata)]
  sentences += [lacking] * bool(lacking)
  if _mosaic_mode(view, options) == 'released':
    sentences += _say_crops(examples['crop_points'])
  if view.kind:
    behind = backdrop.mean_face_and_motion(
      examples,
      labels,
      groups,
      num_classes=len(selection.classes),
      mode=_mosaic_mode(view, options),
    )
    clips = dataclasses.replace(clips, scene=behind)
  return Task(
    **vars(clips),
    labels=labels,
    class_names=selection.classes,
    protocol=' '.join(sentences),
    groups=groups,
    baseline_inputs=_baseline_inputs(examples, metadata, view, options),
  )


def make_clips(
  examples: Mapping[str, np.ndarray],
  metadata: Mapping[str, Any],
  *,
  view: View,
  options: Mapping[str, Any],
) -> Clips:
  """Makes clips from examples with a view.

  Args:
    examples: arrays [n ...] by name, see `datasets.load.load_examples`.
    metadata: metadata of their dataset.
    view: makes inputs, or inputs and `extra`, from examples.
    options: options of the view.
  """
  told, levels = {}, ()
  if view.takes_stored_levels:
    told['stored_levels'] = metadata['levels']
    levels = options.get('levels') or metadata['levels']
  made = view(examples, **options, **told)
  inputs, extra = made if isinstance(made, tuple) else (made, {})
  if inputs.dtype != np.uint8:
    inputs = np.asarray(inputs, np.float32)
  return Clips(
    inputs=inputs,
    corpus=examples['corpus'],
    subject=examples['subject'],
    clip=examples['clip'],
    layout=_layout(view.kind, options, inputs, metadata, extra),
    extra=extra,
    levels=tuple(float(alpha) for alpha in levels),
    dataset=metadata,
  )


def _baseline_inputs(examples, metadata, view, options) -> np.ndarray:
  """Returns the flow that the baselines read.

  It is the original motion, alpha 1, or the least amplified if that was not
  prepared. Beside frames it is the flow between the two frames that are shown.
  """
  level = options.get('level') if view.kind == 'frames' else None
  if level is None:
    alphas = [float(alpha) for alpha in metadata['levels']]
    level = alphas.index(1.0 if 1.0 in alphas else min(alphas))
  return examples['flow'][:, level]


def _positions(labels: np.ndarray, order: str) -> np.ndarray:
  """Returns the positions of the clips in the order that is asked for."""
  if order == 'class_descending':
    # The file order of the released HTNet pipeline: surprise first.
    return np.argsort(-labels, kind='stable')
  if order:
    raise ValueError(
      f"Unknown order {order!r}; expected '' or 'class_descending'."
    )
  return np.arange(len(labels))


def _mosaic_mode(view, options) -> str | None:
  """Returns the mode of a view's mosaic; None for a view without mosaic."""
  if view.kind != 'mosaic':
    return None
  return options.get('mode', 'landmarks')


def _layout(kind, options, inputs, metadata, extra) -> sample.Layout:
  """Describes the inputs that a view of this kind made."""
  if kind == 'frames':
    return sample.Layout(kind, windows='windows' in extra)
  if not kind:
    return sample.Layout()
  channels = options.get('channels', 'strain_v_u').split('_')
  # The blocks of the released mosaic form a transposed face, so a reversal of
  # its columns does not mirror it.
  upright = options.get('mode') != 'released'
  normalise = options.get('normalise', 'none')
  keeps_zero = normalise in ('none', 'fixed', 'std')
  in_pixels = metadata['units'] == 'pixel' and keeps_zero
  return sample.Layout(
    'image' if options.get('mode') == 'full' else kind,
    levels=inputs.shape[1] if inputs.ndim == 5 else 1,
    u_channel=channels.index('u') if upright else None,
    centred=in_pixels or normalise.startswith('centre'),
  )


def _deviations(selection, metadata) -> list[str]:
  """Returns sentences on how the data differ from the protocol's."""
  found = list(selection.notes[1:])
  # Clips that were left out by choice have a note already.
  unusable = sum(
    not clip.get('by_choice') for clip in metadata.get('skipped', ())
  )
  if unusable:
    found.append(f'{unusable} clips could not be used')
  sentences = (
    [f'Differs from the protocol: {"; ".join(found)}.'] if found else []
  )
  return [*sentences, f'Face points: {metadata["landmark_source"]}.']


def _say_crops(crop_points: np.ndarray) -> list[str]:
  """Returns a sentence if crops meant to be the released ones are not."""
  # The released code finds different points in most clips; it has one set for
  # all only where its detector was not run.
  if len(crop_points) == 1 or (crop_points != crop_points[0]).any():
    return []
  return [
    'The crops are not as released: all clips have the fall-back points of the'
    ' released code, which used them for 166 of its 442 clips. In the other 276'
    ' its crops lie 2.6 of 28 pixels away on average, and the mosaics correlate'
    ' by .88; docs/released_crops.md says how to get the exact ones.'
  ]


def check_task(task: Task) -> None:
  """Refuses data on which a training would fail later.

  Raises:
    ValueError: lengths differ, labels do not fit the classes, or inputs are
      not finite.
  """
  lengths = [len(task.inputs), len(task.labels), len(task.groups)]
  if len(set(lengths)) > 1:
    raise ValueError(
      f'{lengths[0]} inputs, {lengths[1]} labels and {lengths[2]} subjects'
      ' were given; there must be one label and one subject for each input.'
    )
  for name, array in task.extra.items():
    if len(array) != lengths[0]:
      raise ValueError(
        f'extra {name!r} has {len(array)} rows for {lengths[0]} inputs; there'
        ' must be one for each.'
      )
  labels, classes = task.labels, task.class_names
  whole = np.issubdtype(labels.dtype, np.integer)
  if not whole or labels.min() < 0 or labels.max() >= len(classes):
    raise ValueError(
      f'Labels must be integers from 0 to {len(classes) - 1}, for the classes'
      f' {", ".join(classes)}; got {labels.dtype} from {labels.min()} to'
      f' {labels.max()}.'
    )
  flat = task.inputs.reshape(len(task.inputs), -1)
  bad = np.flatnonzero(~np.isfinite(flat).all(1))
  if len(bad):
    raise ValueError(
      f'{len(bad)} inputs hold values that are not finite, the first of them'
      f' at positions {bad[:10].tolist()}. Mend them or leave them out.'
    )
