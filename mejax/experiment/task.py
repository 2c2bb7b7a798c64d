"""What is learnt: inputs, labels and people of a run, whatever learns it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import functools
import hashlib
import inspect
import os
from typing import Any

import ml_collections
import numpy as np

from mejax.experiment import configuration
from mejax.training import sample


@dataclasses.dataclass(frozen=True)
class Task:
  """What is learnt, whatever learns it.

  Attributes:
    inputs: f32[n ...], model input of each example; or frames u8[n ...], which
      a model reads normalised (see `training.sample.decode`).
    labels: i32[n], class of each example.
    corpus: database of each example.
    subject: subject of each example, unique within its database.
    clip: clip name of each example.
    class_names: a word for each class.
    protocol: which clips count, how they are split, and what differs here.
    groups: what is left out together; `corpus/subject` unless given.
    layout: what the inputs are; unknown unless given.
    extra: what else augmentations want of each example, arrays [n ...] by name.
    baseline_inputs: what the baselines read, if not the inputs: of frames it is
      the flow, because a baseline on bare pixels is too low to mean anything.
    levels: amplification of each level of an input, where inputs have levels.
    dataset: metadata of the prepared dataset.
    scene: what to draw behind a map of places, see `datasets.backdrop`; empty
      where that is not known.
  """

  inputs: np.ndarray
  labels: np.ndarray
  corpus: np.ndarray
  subject: np.ndarray
  clip: np.ndarray
  class_names: tuple[str, ...]
  protocol: str
  groups: np.ndarray
  layout: sample.Layout = sample.Layout()
  extra: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
  baseline_inputs: np.ndarray | None = None
  levels: tuple[float, ...] = ()
  dataset: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  scene: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

  @functools.cached_property
  def sha256(self) -> str:
    """Names the data, so that a run is not resumed on other data."""
    digest = hashlib.sha256()
    extra = [self.extra[name] for name in sorted(self.extra)]
    groups = np.char.encode(self.groups)
    for array in (self.inputs, self.labels, groups, *extra):
      digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def load_task(
  config: ml_collections.ConfigDict,
  data_dir: str | os.PathLike,
  *,
  protocol: Any = None,
  view: Callable[..., np.ndarray] | None = None,
) -> Task:
  """Reads the dataset of a config and takes its view of it.

  Args:
    config: names the dataset, the protocol (one of the table, a CSV file, or
      `package.module:name`) and the view.
    data_dir: home of the prepared datasets.
    protocol: own `Protocol` in place of the config's.
    view: own function from examples to inputs, or to inputs and `extra`, in
      place of the config's.
  """
  from mejax.datasets import backdrop
  from mejax.datasets import labelling
  from mejax.datasets import load
  from mejax.datasets import protocols
  from mejax.datasets import views

  examples = load.load_examples(config.dataset, data_dir)
  metadata = load.read_metadata(config.dataset, data_dir)
  if not protocol and str(config.protocol).lower().endswith('.csv'):
    protocol = protocols.from_csv(config.protocol)
  protocol = protocol or configuration.named(
    config.protocol, protocols.PROTOCOLS, 'protocol'
  )
  selection = labelling.apply(protocol, examples, skipped=metadata['skipped'])
  for note in selection.notes:
    print(note)
  order = np.arange(len(selection.labels))
  if config.order == 'class_descending':
    # The file order of the released HTNet pipeline: surprise first.
    order = np.argsort(-selection.labels, kind='stable')
  elif config.order:
    raise ValueError(
      f"Unknown order {config.order!r}; expected '' or 'class_descending'."
    )
  chosen = selection.indices[order]
  examples = {name: array[chosen] for name, array in examples.items()}
  options = {} if view else dict(config.view)
  view = view or configuration.named(options.pop('name'), views.VIEWS, 'view')
  levels = ()
  if 'stored_levels' in inspect.signature(view).parameters:
    # A view of all levels is told how much each is amplified.
    options['stored_levels'] = metadata['levels']
    levels = options.get('levels') or metadata['levels']
  made = view(examples, **options)
  inputs, extra = made if isinstance(made, tuple) else (made, {})
  if inputs.dtype != np.uint8:
    inputs = np.asarray(inputs, np.float32)
  kind = views.KINDS.get(view, '')
  return Task(
    inputs=inputs,
    labels=selection.labels[order],
    corpus=examples['corpus'],
    subject=examples['subject'],
    clip=examples['clip'],
    class_names=selection.classes,
    protocol=' '.join([protocol.sentence, *_deviations(selection, metadata)]),
    groups=selection.groups[order],
    layout=_layout(kind, options, inputs, metadata, extra),
    extra=extra,
    baseline_inputs=views.full_flow(examples, level=options.get('level') or 0)
    if kind == 'frames'
    else None,
    levels=tuple(float(alpha) for alpha in levels),
    dataset=metadata,
    scene=backdrop.mean_face_and_motion(
      examples,
      selection.labels[order],
      selection.groups[order],
      num_classes=len(selection.classes),
      mode=options.get('mode', 'landmarks') if kind == 'mosaic' else None,
    )
    if kind
    else {},
  )


def _layout(kind, options, inputs, metadata, extra) -> sample.Layout:
  """What is known of the inputs that a view of this kind made."""
  if kind == 'frames':
    return sample.Layout(kind, windows='windows' in extra)
  if not kind:
    return sample.Layout()
  channels = options.get('channels', 'strain_v_u').split('_')
  # The blocks of the released mosaic form a transposed face.
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
  """Sentences on how the data at hand differs from the protocol's."""
  found = list(selection.notes[1:])
  if metadata['skipped']:
    found.append(f'{len(metadata["skipped"])} clips could not be used')
  sentences = (
    [f'Differs from the protocol: {"; ".join(found)}.'] if found else []
  )
  return [*sentences, f'Face points: {metadata["landmark_source"]}.']


def check_task(task: Task) -> None:
  """Refuses data that a training would only fail on later.

  Raises:
    ValueError: lengths differ, labels do not fit the classes, or inputs are
      not finite.
  """
  lengths = [len(task.inputs), len(task.labels), len(task.groups)]
  if len(set(lengths)) > 1:
    raise ValueError(
      f'{lengths[0]} inputs, {lengths[1]} labels and {lengths[2]} subjects'
      ' came; there must be one label and one subject for each input.'
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
