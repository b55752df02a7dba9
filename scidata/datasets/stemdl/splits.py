"""Splits of samples: by material, by prototype, and at random as a warning. Pure."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from scidata.datasets.assembling import Parts
from scidata.datasets.samples import Facts

PARTS = ("train", "validation", "test")
_SEED = 42
_HELD_OUT = 0.15
_LEAST = 3
"""Members of a space group, for it to be in all three parts."""


def by_key(ids: Sequence[str], facts: Sequence[Facts], key: str) -> Parts | None:
    """Divide samples so that nothing of one material, or prototype, is in two parts.

    In every space group 15 percent of the keys test and as many validate, one at least, in
    order of a hash of each; of two keys one tests, and of a single one the samples train.

    Returns
    -------
    mapping or None
        None if nothing would be left to test.
    """
    members: dict[int, set[str]] = defaultdict(set)
    for held in facts:
        members[int(held["space_group"])].add(str(held[key]))
    part_of: dict[str, str] = {}
    for group in sorted(members):
        keys = sorted(members[group], key=lambda name: _rank(key, name))
        count = max(1, round(_HELD_OUT * len(keys))) if len(keys) > 1 else 0
        validation = count if len(keys) >= _LEAST else 0
        for n, name in enumerate(keys):
            part = "test" if n < count else "validation" if n < count + validation else "train"
            # A key of two space groups stays where it came first.
            part_of.setdefault(name, part)
    parts = _parts(ids, [part_of[str(held[key])] for held in facts])
    return parts if len(parts) == len(PARTS) else None


def as_found(ids: Sequence[str], roles: Mapping[str, str]) -> Parts | None:
    """Return the parts that samples came in; None if there are not two of them."""
    parts = _parts(ids, [roles[i] for i in ids])
    return parts if {"train", "test"} <= parts.keys() else None


def at_random(ids: Sequence[str], like: Parts) -> Parts:
    """Draw samples, as many into each part as another split has."""
    # RandomState's stream is frozen: NumPy promises that it never changes.
    order = np.random.RandomState(_SEED).permutation(len(ids))
    drawn = [sorted(ids)[n] for n in order]
    parts: dict[str, list[str]] = {}
    first = 0
    for name, held in like.items():
        parts[name] = sorted(drawn[first : first + len(held)])
        first += len(held)
    return parts


def shared(parts: Parts, materials: Mapping[str, str]) -> dict[str, int]:
    """Count the materials that the training part shares with each of the others."""
    train = {materials[i] for i in parts["train"]}
    return {
        name: len(train & {materials[i] for i in ids})
        for name, ids in parts.items()
        if name != "train"
    }


def _parts(ids: Sequence[str], where: Sequence[str]) -> Parts:
    parts = {
        name: sorted(i for i, part in zip(ids, where, strict=True) if part == name)
        for name in PARTS
    }
    return {name: held for name, held in parts.items() if held}


def _rank(key: str, name: str) -> str:
    return hashlib.sha256(f"stemdl/{key}/{name}".encode()).hexdigest()
