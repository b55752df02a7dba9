"""From daily values to a staged dataset's array stores, splits and statistics.

The daily values come block by block, from an event table or from the benchmark's own files.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from scidata import split
from scidata.datasets.tevolop import splits, statistics, stores, zones
from scidata.datasets.tevolop.fortnights import (
    DROPPED,
    Rule,
    Span,
    Sums,
    active,
    ahead,
    back,
    span,
)
from scidata.datasets.tevolop.grid import VARIABLES, Days, Float, Int, Pixels
from scidata.datasets.tevolop.splits import TimeSplit
from scidata.datasets.tevolop.statistics import Moments
from scidata.errors import InvalidError

Quirks = Literal["both", "none", "published"]
Advance = Callable[[float], None]
"""Told the share of the work that is done, 0 to 1."""

ASSET: dict[Rule, str] = {"physical": "fortnights", "published": "fortnights-published"}
_TITLE: dict[Rule, str] = {
    "physical": "Fortnights of earthquakes in the active pixels; days without events add no energy",
    "published": "Fortnights of earthquakes in the active pixels, by the published rules",
}
_FEWEST_ACTIVE = 2  # one location to train with, one to validate with
_RULES: dict[Quirks, tuple[Rule, ...]] = {
    "both": ("physical", "published"),
    "none": ("physical",),
    "published": ("published",),
}


class Daily(Protocol):
    """Where daily values come from."""

    @property
    def pixels(self) -> Pixels:
        """The grid."""
        ...

    @property
    def days(self) -> tuple[int, int]:
        """First day and the day after the last, from 0 at 1970-01-01."""
        ...

    def blocks(self, length: int) -> Iterator[Days]:
        """Yield all days, `length` at a time."""
        ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be written."""

    rules: tuple[Rule, ...]
    """Empty if the days are too few for fortnights with a time split."""
    spans: Mapping[Rule, Span]
    time: TimeSplit | None
    """Of the first rule's fortnights, without those dropped."""

    @property
    def assets(self) -> tuple[str, ...]:
        """Keys of the array stores."""
        return ("grid", *(ASSET[rule] for rule in self.rules))

    @property
    def train_days(self) -> int | None:
        """The day after the last training input, from 0 at 1970-01-01."""
        if self.time is None:
            return None
        return int(self.spans[self.rules[0]].start(DROPPED + self.time.train.stop).astype(int))


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a source brings along in place of what would be computed."""

    labels: Int | None = None
    """(pixels,): fault group of each pixel."""
    locations: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    """Training and validation locations: indices into the active pixels."""


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """What was written."""

    active: Mapping[Rule, int]
    """Number of active pixels."""
    fault_labels: str
    """What ``fault_label`` holds."""


def plan(days: tuple[int, int], quirks: Quirks) -> Plan:
    """Decide from the range of days what can be made of it."""
    spans = {rule: span(days, rule) for rule in _RULES[quirks]}
    time = splits.by_time(spans[_RULES[quirks][0]].count - DROPPED)
    usable = time and all(s.count > DROPPED + splits.WINDOW for s in spans.values())
    return Plan(
        rules=_RULES[quirks] if usable else (), spans=spans, time=time if usable else None
    )


def assemble(
    daily: Daily, plan: Plan, given: Given, folder: Path, advance: Advance
) -> Assembled:
    """Write ``grid.zarr``, the fortnights, ``splits`` and ``statistics.json`` into a folder.

    One pass over the days; memory holds one block and the sums of all fortnights.
    """
    sums = {rule: Sums(plan.spans[rule], daily.pixels, rule) for rule in plan.rules}
    documents = {"grid": _write_grid(daily, plan, sums, folder / "grid.zarr", advance)}
    chosen = {rule: active(_large(sums[rule], plan, rule), daily.pixels) for rule in plan.rules}
    for rule, locations in chosen.items():
        _check_active(locations, given, rule)
    meaning = "seismic zone of the pixel, a stand-in for fault groups"
    if given.labels is not None:
        meaning = "fault group of the pixel"
    for n, (rule, locations) in enumerate(chosen.items(), start=1):
        labels = _labels(given, sums[rule], plan, rule, daily.pixels)[locations].astype(
            np.int32
        )
        _write_fortnights(
            folder,
            rule,
            sums[rule],
            locations,
            daily.pixels,
            (labels, stores.fault_attributes(meaning)),
        )
        documents[ASSET[rule]] = _describe(sums[rule], locations, plan, rule)
        advance(0.6 + 0.4 * n / len(chosen))
    if chosen:
        _write_splits(folder / "splits", plan, list(chosen.values())[-1], given)
    statistics.write(folder / "statistics.json", documents)
    return Assembled(active={r: len(p) for r, p in chosen.items()}, fault_labels=meaning)


def _check_active(locations: Int, given: Given, rule: Rule) -> None:
    if len(locations) < _FEWEST_ACTIVE:
        raise InvalidError(
            f"{len(locations)} pixels have enough earthquakes of magnitude above 3.29 to be active",
            where=ASSET[rule],
            fix="give a catalogue with more years, or with its large earthquakes",
        )
    saved = sum(map(len, given.locations)) if given.locations else len(locations)
    if rule == "published" and saved != len(locations):
        raise InvalidError(
            f"the saved location split has {saved} locations, {len(locations)} pixels are active",
            where="ValidationEARTHQN-Transformer3",
            fix="give the folder as it was published, or move the saved split away",
        )


def _write_grid(
    daily: Daily, plan: Plan, sums: Mapping[Rule, Sums], path: Path, advance: Advance
) -> statistics.Document:
    first, stop = daily.days
    grid = stores.GridStore(path, daily.pixels, first, stop - first)
    moments = {name: Moments() for name in VARIABLES}
    end = plan.train_days or stop
    for days in daily.blocks(stores.SHARD_DAYS):
        grid.write(days)
        for each in sums.values():
            each.add(days)
        for name, moment in moments.items():
            moment.add(getattr(days, name)[: max(0, end - days.first)])
        advance(0.6 * (days.first + len(days) - first) / (stop - first))
    grid.close()
    over = "time/train" if plan.time else "all"
    return {"over": over, "variables": {name: m.report() for name, m in moments.items()}}


def _known(plan: Plan, rule: Rule) -> int:
    """Count the fortnights that may choose active pixels and zones."""
    if rule == "published" or plan.time is None:
        return plan.spans[rule].count
    return DROPPED + plan.time.known


def _large(sums: Sums, plan: Plan, rule: Rule) -> Int:
    # The published rule counts after it has dropped the first 25 fortnights.
    begin = DROPPED if rule == "published" else 0
    counts = sums.multiplicity_3p29[begin : _known(plan, rule)]
    return counts.sum(axis=0, dtype=np.int64)


def _labels(given: Given, sums: Sums, plan: Plan, rule: Rule, pixels: Pixels) -> Int:
    labels = given.labels
    if labels is None:
        known = DROPPED + plan.time.known if plan.time else sums.span.count
        labels = zones.seismic_zones(sums.multiplicity_3p29[:known].sum(axis=0), pixels)
    return zones.along_curves(labels, pixels)


def _write_fortnights(
    folder: Path,
    rule: Rule,
    sums: Sums,
    locations: Int,
    pixels: Pixels,
    labels: tuple[npt.NDArray[np.int32], stores.Attributes],
) -> None:
    values = {name: _series(getattr(sums, name)[DROPPED:, locations]) for name in VARIABLES}
    energies = sums.energy[:, locations]
    for name, windows in (("magnitude_back", back), ("magnitude_ahead", ahead)):
        values[name] = np.stack(
            [_series(window[DROPPED:]) for window in windows(energies)], axis=-1
        )
    starts = np.array([sums.span.start(n) for n in range(DROPPED, sums.span.count)])
    path = folder / f"{ASSET[rule]}.zarr"
    stores.write_fortnights(path, _TITLE[rule], starts, locations, pixels, values, labels)


def _series(values: Float | npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(values.T, np.float32)


def _describe(sums: Sums, locations: Int, plan: Plan, rule: Rule) -> statistics.Document:
    """Describe active pixels in training times; by the published rule all pixels, all times."""
    everything = rule == "published" or plan.time is None
    places = np.arange(sums.energy.shape[1]) if everything else locations
    stop = None if everything or plan.time is None else DROPPED + plan.time.train.stop
    rows = slice(DROPPED, stop)
    variables: dict[str, object] = {}
    for name in VARIABLES:
        moments = Moments()
        moments.add(getattr(sums, name)[rows, places])
        variables[name] = moments.report()
    for name, dimension, windows in (
        ("magnitude_back", "back", back),
        ("magnitude_ahead", "ahead", ahead),
    ):
        whole, each = Moments(), {}
        for n, window in enumerate(windows(sums.energy[:, places])):
            each[n] = Moments()
            each[n].add(window[rows])
            whole.add(window[rows])
        variables[name] = statistics.along(dimension, each, whole)
    note = "all pixels, active or not, as published" if everything else "active pixels"
    return {
        "over": "all" if everything else "time/train",
        "pixels": note,
        "variables": variables,
    }


def _write_splits(folder: Path, plan: Plan, locations: Int, given: Given) -> None:
    parts = {"location": splits.by_location(locations.tolist())}
    if given.locations is not None:
        names = "train", "validation"
        parts["location"] = {
            name: [splits.location_id(int(locations[n])) for n in part]
            for name, part in zip(names, given.locations, strict=True)
        }
    if plan.time is not None:
        own = plan.spans[plan.rules[0]]
        starts = [own.start(n) for n in range(DROPPED, own.count)]
        parts["time"] = splits.time_ids(plan.time, starts)
    for name, lists in parts.items():
        for part, ids in lists.items():
            path = folder / name / f"{part}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(split.to_text(ids))
