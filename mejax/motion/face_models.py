"""Loads the two networks that find faces and their points.

Each file is verified by its SHA-256. mejax/assets/README.md has origin and
licences.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pathlib
import threading

import cv2
import numpy as np

ASSETS = pathlib.Path(__file__).parent.parent / 'assets'
SHA256 = {
  'face_detection_yunet_2023mar.onnx': (
    '8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4'
  ),
  'face_landmark.tflite': (
    '1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814'
  ),
}


def read_model(name: str, *, folder: pathlib.Path = ASSETS) -> np.ndarray:
  """Returns the bytes of a model file, u8[n].

  Raises:
    OSError: the file is missing, or differs from the published one.
  """
  path = folder / name
  try:
    data = path.read_bytes()
  except FileNotFoundError as error:
    raise FileNotFoundError(
      f'{path} is missing; it ships with mejax: install mejax again'
    ) from error
  found = hashlib.sha256(data).hexdigest()
  if found != SHA256[name]:
    raise OSError(
      f'{path} is damaged: {len(data)} bytes with SHA-256 {found}, expected '
      f'{SHA256[name]}; install mejax again'
    )
  return np.frombuffer(data, np.uint8)


def detector(side: int, *, least: float) -> cv2.FaceDetectorYN:
  """Returns YuNet for squares of `side` pixels and scores from `least` on."""
  return _detector(side, least, os.getpid(), threading.get_ident())


def landmarker() -> cv2.dnn.Net:
  """Returns FaceMesh, which takes faces of 192 x 192 pixels."""
  return _landmarker(os.getpid(), threading.get_ident())


# A network holds the image that it works on. So no two threads may share one,
# nor may a process and its fork: hence both numbers in the key of the cache.
@functools.lru_cache(maxsize=32)
def _detector(
  side: int, least: float, process: int, thread: int
) -> cv2.FaceDetectorYN:
  model = read_model('face_detection_yunet_2023mar.onnx')
  none = np.zeros(0, np.uint8)
  overlap, candidates = 0.3, 5000
  return cv2.FaceDetectorYN.create(
    'onnx', model, none, (side, side), least, overlap, candidates
  )


@functools.lru_cache(maxsize=32)
def _landmarker(process: int, thread: int) -> cv2.dnn.Net:
  return cv2.dnn.readNetFromTFLite(read_model('face_landmark.tflite'))
