"""The two splits of scenes: by orbit, without leak, and by file, as published. Pure."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from scidata.datasets.assembling import Parts
from scidata.datasets.cloudmask.folder import SceneFile

_SEED = 42
_TRAIN, _VALIDATION = 0.7, 0.15
_LEAST = 3


@dataclass(frozen=True, kw_only=True)
class Divided:
    """How scenes were divided."""

    parts: Mapping[str, Parts] = field(default_factory=dict)
    """By split, the default first; empty if there are too few scenes."""
    orbits_apart: int = 0
    """Inference files that were left out of the split by orbit."""


def divided(scenes: Sequence[SceneFile], ids: Collection[str]) -> Divided:
    """Divide the scenes that were written."""
    there = [scene for scene in scenes if scene.said.stem in set(ids)]
    parts: dict[str, Parts] = {}
    left_out = 0
    if (found := by_orbit(there)) is not None:
        parts["orbit"], left_out = found
    if (drawn := as_published(there)) is not None:
        parts["published"] = drawn
    return Divided(parts=parts, orbits_apart=left_out)


def by_orbit(scenes: Sequence[SceneFile]) -> tuple[Parts, int] | None:
    """Divide scenes so that no orbit has frames in two parts.

    Training files go to train and validation, and inference files to test; without inference
    files a third part of the orbits tests. Orbits come in order of a hash of each.

    Returns
    -------
    tuple or None
        The parts, and how many inference files were left out, since a training file is of the
        same orbit. None if there are too few orbits.
    """
    training = sorted({s.said.passage for s in scenes if s.role == "training"}, key=_rank)
    inference = [s for s in scenes if s.role == "inference" and s.said.passage not in training]
    left_out = sum(s.role == "inference" for s in scenes) - len(inference)
    count = len(training)
    if count < _LEAST - bool(inference):
        return None
    if inference:
        held_out = max(1, round((1 - _TRAIN - _VALIDATION) * count))
        groups = {"train": training[held_out:], "validation": training[:held_out]}
    else:
        validation = max(1, round(_VALIDATION * count))
        groups = {
            "train": training[2 * validation :],
            "validation": training[:validation],
            "test": training[validation : 2 * validation],
        }
    if not groups["train"]:
        return None
    parts = {
        name: sorted(
            s.said.stem for s in scenes if s.role == "training" and s.said.passage in of
        )
        for name, of in ((name, set(passages)) for name, passages in groups.items())
    }
    if inference:
        parts["test"] = sorted(s.said.stem for s in inference)
    return parts, left_out


def as_published(scenes: Sequence[SceneFile]) -> Parts | None:
    """Draw four fifths of the training files with the published seed, from a sorted list.

    Returns
    -------
    mapping or None
        None if there are too few files.

    Notes
    -----
    The published code calls scikit-learn's ``train_test_split(train_size=0.8,
    random_state=42)`` on files in the order of the file system. This is the same draw on the
    sorted list: the first n - floor(0.8 n) of a permutation are held out.
    """
    training = sorted(s.said.stem for s in scenes if s.role == "training")
    inference = sorted(s.said.stem for s in scenes if s.role == "inference")
    size = int(0.8 * len(training))
    if not 0 < size < len(training):
        return None
    # RandomState's stream is frozen: NumPy promises that it never changes.
    order = np.random.RandomState(_SEED).permutation(len(training))
    held_out = len(training) - size
    parts = {
        "train": sorted(training[n] for n in order[held_out:]),
        "validation": sorted(training[n] for n in order[:held_out]),
    }
    return {**parts, "test": inference} if inference else parts


def _rank(passage: str) -> str:
    return hashlib.sha256(f"cloudmask/orbit/{passage}".encode()).hexdigest()
