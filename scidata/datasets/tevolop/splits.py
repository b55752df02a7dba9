"""The two splits: by location, as published, and by time, without leak. Pure."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from scidata.datasets.tevolop.fortnights import BACK, REACH

WINDOW = 26
"""Fortnights of input in one sample."""
EMBARGO = REACH + (WINDOW - 1) + (max(BACK) - 1)
"""Fortnights left out before the held-out ones: the farthest training target (104 ahead) ends
before the earliest fortnight that enters a held-out input (25 back, and 25 more in its window
magnitude of a year)."""
_TRAIN, _VALIDATION = 70, 15  # per cent; the rest is the test part


@dataclass(frozen=True, kw_only=True)
class TimeSplit:
    """Ranges of time indices, each of the last input fortnight of a sample."""

    train: range
    validation: range
    test: range

    @property
    def known(self) -> int:
        """How many leading fortnights lie before every one that enters a held-out input."""
        return self.train.stop + REACH

    @property
    def isolated_test(self) -> bool:
        """Whether an embargo lies between validation and test, too."""
        return self.test.start > self.validation.stop


def by_time(count: int) -> TimeSplit | None:
    """Divide the samples of `count` fortnights: 70 % train, 15 % validation, 15 % test.

    An embargo follows the training samples. If there is room for it, another one follows the
    validation samples.

    Returns
    -------
    TimeSplit or None
        None if there are too few for one sample in each part.
    """
    first, stop = WINDOW - 1, count - 1  # the last fortnight has no target
    samples = stop - first
    second = EMBARGO if samples >= 3 * EMBARGO else 0
    usable = samples - EMBARGO - second
    train, validation = usable * _TRAIN // 100, usable * _VALIDATION // 100
    if min(train, validation) < 1:
        return None
    held_out = first + train + EMBARGO
    test = held_out + validation + second
    return TimeSplit(
        train=range(first, first + train),
        validation=range(held_out, held_out + validation),
        test=range(test, stop),
    )


def by_location(locations: Iterable[int]) -> dict[str, list[str]]:
    """Divide locations 80 to 20 in order of a hash of each, the larger part rounded up.

    Parameters
    ----------
    locations : iterable of int
        Pixel numbers, in any order.

    Returns
    -------
    dict
        ``train`` and ``validation``: sorted ids of four digits. The same on every platform.
    """
    ids = sorted({location_id(number) for number in locations}, key=_rank)
    size = math.ceil(0.8 * len(ids))
    return {"train": sorted(ids[:size]), "validation": sorted(ids[size:])}


def location_id(number: int) -> str:
    """Write a pixel number as an id."""
    return f"{number:04d}"


def time_ids(split: TimeSplit, starts: Sequence[np.datetime64]) -> dict[str, list[str]]:
    """Write each part as the first days of its fortnights, ISO 8601."""
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    return {name: [str(starts[n]) for n in part] for name, part in parts.items()}


def _rank(location: str) -> str:
    return hashlib.sha256(f"tevolop/location/{location}".encode()).hexdigest()
