"""The apex is found in rendered faces and known warps, though heads move."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import scipy.ndimage

from mejax.corpora import synthetic
from mejax.corpora.decode import decode
from mejax.motion import apex

SIZE = 96
POINTS = np.array(
  [[33, 38], [63, 38], [48, 54], [37, 70], [59, 70]], np.float32
)


def bump(place, motion, width=9.0):
  """Returns a flow that moves the surroundings of a place."""
  y, x = np.mgrid[:SIZE, :SIZE]
  near = (x - place[0]) ** 2 + (y - place[1]) ** 2
  return np.exp(-near / (2 * width**2))[..., None] * np.float64(motion)


def head(t, shift=(0.0, 0.0), turn=0.0, grow=0.0):
  y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
  turned = turn * np.stack([-y, x], -1) + grow * np.stack([x, y], -1)
  return t * (turned + shift)


def film(flows, *, light=0.0, seed=0):
  """Returns a skin-like texture moved by each flow, in a growing light."""
  generator = np.random.default_rng(seed)
  skin = sum(
    cv2.GaussianBlur(generator.normal(size=(SIZE, SIZE)), (0, 0), s) * s
    for s in (2, 4, 8)
  )
  skin = (0.5 + 0.12 * skin / skin.std()).astype(np.float32)
  y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
  frames = []
  for t, flow in enumerate(flows):
    u, v = np.moveaxis(np.float32(flow), -1, 0)
    seen = cv2.remap(
      skin, x - u, y - v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    grey = seen * (1 + light * t / len(flows)) + light * t / len(flows) / 5
    frames.append(np.repeat(grey[..., None], 3, -1))
  noise = generator.normal(size=(len(frames), SIZE, SIZE, 3)) / 255
  return np.clip(frames + noise, 0, 1).astype(np.float32)


def rise(length, peak, width=5.0):
  t = np.arange(length)
  strength = np.exp(-((t - peak) ** 2) / (2 * width**2))
  return strength - strength[0]


def _assert_same_curve(found, expected, peak):
  """Asserts equality to a thousandth of the peak, about a grey level of 255.

  The rounding of the frames, 1e-7, is far below that.
  """
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * peak)


SMILE = bump((37, 70), (-0.8, -1.0)) + bump((59, 70), (0.8, -1.0))


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
  """Yields (frames, points, true apex, fps) of clips with a drifting head."""
  root = synthetic.write(
    tmp_path_factory.mktemp('apex') / 'corpus',
    num_subjects=4,
    clips_per_subject=2,
    size=96,
    progress=False,
  )
  return [
    (
      np.stack(decode(clip, clip.frame_numbers)),
      np.array(clip.landmarks, np.float32),
      clip.apex - clip.onset,
      clip.fps,
    )
    for clip in synthetic.read(root)
  ]


@pytest.mark.parametrize('method', apex.METHODS)
def test_the_apex_of_rendered_faces_is_found(method, rendered):
  errors, midpoints = [], []
  for frames, points, truth, fps in rendered:
    spotted = apex.spot(frames, points=points, method=method, fps=fps)
    assert spotted.is_found
    assert spotted.curve.shape == (len(frames),)
    errors.append(abs(spotted.index - truth))
    midpoints.append(abs((len(frames) - 1) // 2 - truth))
  near = [np.mean(np.array(some) <= 1) for some in (errors, midpoints)]
  assert near[0] >= 0.75 > near[1]


@pytest.mark.parametrize('method', apex.METHODS)
def test_a_head_that_moves_and_light_that_changes_hide_no_apex(method):
  strength = rise(40, 14)
  flows = [
    s * SMILE + head(t / 39, (4, -3), turn=0.05, grow=0.03)
    for t, s in enumerate(strength)
  ]
  frames = film(flows, light=0.15)
  plain = np.abs(frames - frames[0]).mean((1, 2, 3))
  assert plain.argmax() > 30
  spotted = apex.spot(frames, points=POINTS, method=method, fps=100.0)
  assert abs(spotted.index - 14) <= 1


def test_what_the_head_alone_does_leaves_next_to_nothing():
  moved = film([head(t / 9, (4, -3), 0.05, 0.03) for t in range(10)])
  smiled = film([s * SMILE for s in rise(10, 6)])
  alone = apex.spot(moved, points=POINTS, fps=100.0, smoothing=0.0)
  smile = apex.spot(smiled, points=POINTS, fps=100.0, smoothing=0.0)
  raw = np.sqrt(((moved[-1] - moved[0]) ** 2).mean())
  assert alone.curve.max() < 0.1 * raw
  assert alone.curve.max() < 0.4 * smile.curve.max()


@pytest.mark.parametrize('method', apex.METHODS)
def test_a_blink_is_left_out_if_asked_for(method):
  blink = sum(bump(eye, (0, 2.5), 2.5) for eye in POINTS[:2])
  smile, wink = rise(40, 12), rise(40, 30)
  frames = film(
    [0.4 * s * SMILE + w * blink for s, w in zip(smile, wink, strict=True)]
  )
  masked, seen = (
    apex.spot(
      frames, points=POINTS, method=method, fps=100.0, mask_eyes=mask_eyes
    )
    for mask_eyes in (True, False)
  )
  assert abs(masked.index - 12) <= 1
  blinks = [spotted.curve[30] / spotted.curve[12] for spotted in (masked, seen)]
  assert blinks[0] < 0.6 * blinks[1]


@pytest.mark.parametrize('method', apex.METHODS)
def test_a_clip_without_motion_gives_the_middle_and_says_so(method):
  frames = np.repeat(film([head(0)]), 9, axis=0)
  spotted = apex.spot(frames, points=POINTS, method=method)
  assert (spotted.index, spotted.is_found) == (4, False)
  assert np.isfinite(spotted.curve).all()


def test_a_flat_clip_is_no_fault_but_has_no_apex():
  frames = np.full((5, SIZE, SIZE, 3), 0.5, np.float32)
  assert not apex.spot(frames, points=POINTS).is_found


def test_long_clips_are_the_same_as_short_ones():
  flows = [s * SMILE for s in rise(70, 50)]
  frames = film(flows)
  options = {'points': POINTS, 'fps': 100.0, 'smoothing': 0.0}
  whole = apex.spot(frames, **options)
  some = apex.spot(frames[:9], **options)
  assert abs(whole.index - 50) <= 2
  _assert_same_curve(whole.curve[:9], some.curve, whole.curve.max())


def test_bytes_and_floats_give_the_same_and_so_does_a_repeat():
  frames = np.rint(255 * film([s * SMILE for s in rise(12, 7)]))
  floats = (frames / 255).astype(np.float32)
  first = apex.spot(floats, points=POINTS)
  again = apex.spot(floats, points=POINTS)
  np.testing.assert_array_equal(first.curve, again.curve)
  of_bytes = apex.spot(frames.astype(np.uint8), points=POINTS)
  _assert_same_curve(of_bytes.curve, first.curve, first.curve.max())


def test_smoothing_is_in_seconds():
  frames = film([s * SMILE for s in rise(40, 20, 8)])
  raw = apex.spot(frames, points=POINTS, fps=50.0, smoothing=0.0).curve
  slow = apex.spot(frames, points=POINTS, fps=50.0, smoothing=0.04)
  fast = apex.spot(frames, points=POINTS, fps=200.0, smoothing=0.01)
  tolerance = {'rtol': 0, 'atol': 1e-5 * raw.max()}
  np.testing.assert_allclose(slow.curve, fast.curve, **tolerance)
  expected = scipy.ndimage.gaussian_filter1d(raw, 2.0, mode='nearest')
  np.testing.assert_allclose(slow.curve, expected, **tolerance)
  assert abs(slow.index - 20) <= 1


def test_what_cannot_be_spotted_is_an_error():
  frames = film([head(0), SMILE])
  with pytest.raises(ValueError, match="unknown method 'magic'"):
    apex.spot(frames, points=POINTS, method='magic')
  with pytest.raises(ValueError, match='1 frames are too few'):
    apex.spot(frames[:1], points=POINTS)
  with pytest.raises(ValueError, match='one place'):
    apex.spot(frames, points=POINTS * 0)
  assert apex.spot(frames, points=POINTS).index == 1
