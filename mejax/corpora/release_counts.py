"""The published counts of each database, which a complete copy has."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses

# Clips of a class; several numbers where editions of a label sheet differ.
Count = int | tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class ReleaseCounts:
  """Counts of a release.

  Attributes:
    subjects: people with at least one clip; () if it is not published.
    clips: annotated micro-expressions.
    emotions: clips by the database's own word in lower case.
    gaps: clips that a kind of tree, e.g. `cropped`, never had.
  """

  subjects: Count
  clips: Count
  emotions: Mapping[str, Count] = dataclasses.field(default_factory=dict)
  gaps: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


RELEASE_COUNTS = {
  # 195 in the paper, 189 in the sheet that others have used.
  'casme': ReleaseCounts(subjects=19, clips=(189, 195)),
  # The sheets of 2014 and 2019.
  'casme2': ReleaseCounts(
    subjects=26,
    clips=255,
    emotions={
      'others': 99,
      'disgust': 63,
      'happiness': 32,
      'repression': 27,
      'surprise': (25, 28),
      'sadness': (7, 4),
      'fear': 2,
    },
  ),
  'smic': ReleaseCounts(
    subjects=16,
    clips=164,
    emotions={'negative': 70, 'positive': 51, 'surprise': 43},
    gaps={'cropped': ('s18_sur_03',)},
  ),
  'smic_vis': ReleaseCounts(
    subjects=8,
    clips=71,
    emotions={'negative': 24, 'positive': 28, 'surprise': 19},
  ),
  'smic_nir': ReleaseCounts(subjects=8, clips=71),
  'samm': ReleaseCounts(
    subjects=29,
    clips=159,
    emotions={
      'anger': 57,
      'other': 26,
      'happiness': 26,
      'surprise': 15,
      'contempt': 12,
      'disgust': 9,
      'fear': 8,
      'sadness': 6,
    },
  ),
  'mmew': ReleaseCounts(
    subjects=30,
    clips=300,
    emotions={
      'surprise': 89,
      'disgust': 72,
      'others': 66,
      'happiness': 36,
      'fear': 16,
      'sadness': 13,
      'anger': 8,
    },
  ),
  'fourdme': ReleaseCounts(subjects=(), clips=267),
  # The sheet for training, with that of the first test, and all of the paper.
  'dfme': ReleaseCounts(subjects=(), clips=(1856, 2330, 7526)),
  'casme3': ReleaseCounts(
    subjects=94,
    clips=860,
    emotions={
      'disgust': 250,
      'surprise': 187,
      'others': 161,
      'fear': 86,
      'anger': 64,
      'sad': 57,
      'happy': 55,
    },
  ),
  'casme3_c': ReleaseCounts(
    subjects=30,
    clips=165,
    emotions={'negative': 99, 'surprise': 30, 'others': 20, 'positive': 16},
  ),
}
