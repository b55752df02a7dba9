"""From daily values to a staged dataset's array stores, splits and statistics.

The daily values come block by block, from an event table or from the benchmark's own files.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from scidata import split
from scidata.datasets import statistics
from scidata.datasets.statistics import Moments
from scidata.datasets.tevolop import splits, stores, zones
from scidata.datasets.tevolop.completeness import Completeness
from scidata.datasets.tevolop.fortnights import (
    DROPPED,
    Gap,
    Rule,
    Span,
    Sums,
    active,
    ahead,
    back,
    gaps,
    missing,
    span,
)
from scidata.datasets.tevolop.grid import VARIABLES, Days, Float, Int, Pixels
from scidata.datasets.tevolop.splits import TimeSplit
from scidata.errors import InvalidError


class Quirks(StrEnum):
    """Which fortnights to make; the first is the default."""

    BOTH = "both"
    NONE = "none"
    PUBLISHED = "published"


Advance = Callable[[float], None]
"""Told the share of the work that is done, 0 to 1."""

ASSET = {Rule.PHYSICAL: "fortnights", Rule.PUBLISHED: "fortnights-published"}
_TITLE = {
    Rule.PHYSICAL: "Fortnights of earthquakes in the active pixels",
    Rule.PUBLISHED: "Fortnights of earthquakes in the active pixels, by the published rules",
}
_RULES = {
    Quirks.BOTH: (Rule.PHYSICAL, Rule.PUBLISHED),
    Quirks.NONE: (Rule.PHYSICAL,),
    Quirks.PUBLISHED: (Rule.PUBLISHED,),
}
_WINDOWS: Mapping[str, Callable[[Sums], Iterator[Float]]] = {
    "magnitude_back": lambda sums: back(sums.energy),
    "magnitude_ahead": lambda sums: ahead(sums.energy, sums.missing),
}
_BLOCK_PIXELS = 64  # so that a block's fortnights stay in the processor's cache
_FEWEST_ACTIVE = 2  # one location to train with, one to validate with


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
    completeness: tuple[Completeness, ...] = ()
    """Of the events; kept with the statistics."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was written."""

    active: Mapping[Rule, int]
    """Number of active pixels."""
    fault_labels: str
    """What ``fault_label`` holds."""
    gaps: tuple[Gap, ...]
    """Where the catalogue lacks data."""


def plan(days: tuple[int, int], quirks: Quirks) -> Plan:
    """Decide from the range of days what can be made of it."""
    spans = {rule: span(days, rule) for rule in _RULES[quirks]}
    time = splits.by_time(spans[_RULES[quirks][0]].count - DROPPED)
    usable = time and all(s.count > DROPPED + splits.WINDOW for s in spans.values())
    return Plan(
        rules=_RULES[quirks] if usable else (), spans=spans, time=time if usable else None
    )


def assemble(daily: Daily, plan: Plan, given: Given, folder: Path, advance: Advance) -> Outcome:
    """Write ``grid.zarr``, the fortnights, ``splits`` and ``statistics.json`` into a folder.

    One pass over the days; memory holds one block and the sums of all fortnights.
    """
    sums = {rule: Sums(plan.spans[rule], daily.pixels, rule) for rule in plan.rules}
    shocks, grid = _write_grid(daily, plan, sums, folder / "grid.zarr", advance)
    documents = {"grid": grid}
    if given.completeness:
        years = [asdict(each) for each in given.completeness]
        documents["events"] = {"over": "all", "variables": {}, "completeness": years}
    found = gaps(shocks, daily.days[0])
    if Rule.PHYSICAL in sums:
        sums[Rule.PHYSICAL].missing = missing(found, plan.spans[Rule.PHYSICAL])
    chosen = {rule: active(_large(sums[rule], plan), daily.pixels) for rule in plan.rules}
    for rule, locations in chosen.items():
        _check_active(locations, given, rule)
    meaning = "seismic zone of the pixel, a stand-in for fault groups"
    if given.labels is not None:
        meaning = "fault group of the pixel"
    for n, (rule, locations) in enumerate(chosen.items(), start=1):
        own = sums.pop(rule)  # the largest thing in memory, so not kept longer than needed
        labels = _labels(given, own, plan, daily.pixels)[locations]
        series = _series(own, locations, labels, meaning)
        stores.write_series(folder / f"{ASSET[rule]}.zarr", series, daily.pixels)
        documents[ASSET[rule]] = _describe(own, locations, plan)
        advance(0.6 + 0.4 * n / len(chosen))
    if chosen:
        _write_splits(folder / "splits", plan, chosen, given)
    statistics.write(folder / "statistics.json", documents)
    counts = {rule: len(locations) for rule, locations in chosen.items()}
    return Outcome(active=counts, fault_labels=meaning, gaps=found)


def _check_active(locations: Int, given: Given, rule: Rule) -> None:
    if len(locations) < _FEWEST_ACTIVE:
        raise InvalidError(
            f"{len(locations)} pixels are active: have enough earthquakes above magnitude 3.29",
            where=ASSET[rule],
            fix="give a catalogue with more years, or with its large earthquakes",
        )
    saved = sum(map(len, given.locations)) if given.locations else len(locations)
    if rule == Rule.PUBLISHED and saved != len(locations):
        raise InvalidError(
            f"the saved split has {saved} locations, but {len(locations)} pixels are active",
            where="ValidationEARTHQN-Transformer3",
            fix="give the folder as it was published, or move the saved split away",
        )


def _write_grid(
    daily: Daily, plan: Plan, sums: Mapping[Rule, Sums], path: Path, advance: Advance
) -> tuple[Int, statistics.Document]:
    """Write the grid and fill the sums; return the earthquakes of each day, and statistics."""
    first, stop = daily.days
    shocks = np.zeros(stop - first, np.int64)
    grid = stores.GridStore(path, daily.pixels, first, stop - first)
    moments = {name: Moments() for name in VARIABLES}
    end = plan.train_days or stop
    for days in daily.blocks(stores.BLOCK_DAYS):
        grid.write(days)
        begin = days.first - first
        shocks[begin : begin + len(days)] = days.multiplicity.sum(axis=1)
        for each in sums.values():
            each.add(days)
        for name, moment in moments.items():
            moment.add(getattr(days, name)[: max(0, end - days.first)])
        advance(0.6 * (days.first + len(days) - first) / (stop - first))
    grid.close()
    reports = {name: moment.report() for name, moment in moments.items()}
    return shocks, {"over": "time/train" if plan.time else "all", "variables": reports}


def _known(plan: Plan, span: Span) -> int:
    """Count the fortnights before the held-out period."""
    return DROPPED + plan.time.known if plan.time else span.count


def _large(sums: Sums, plan: Plan) -> Int:
    """Count the large events that choose active pixels: (pixels,)."""
    # The published rule counts after it has dropped the first 25 fortnights.
    rows = (
        slice(DROPPED, None) if sums.rule == Rule.PUBLISHED else slice(_known(plan, sums.span))
    )
    large: Int = sums.multiplicity_3p29[rows].sum(axis=0, dtype=np.int64)
    return large


def _labels(given: Given, sums: Sums, plan: Plan, pixels: Pixels) -> Int:
    labels = given.labels
    if labels is None:
        known = sums.multiplicity_3p29[: _known(plan, sums.span)]
        labels = zones.seismic_zones(known.sum(axis=0, dtype=np.int64), pixels)
    return zones.along_curves(labels, pixels)


def _series(sums: Sums, locations: Int, labels: Int, meaning: str) -> stores.Series:
    there = sums.at(locations)
    values = {name: _turned(getattr(there, name)[DROPPED:]) for name in VARIABLES}
    for name, windows in _WINDOWS.items():
        turned = [_turned(window[DROPPED:]) for window in windows(there)]
        values[name] = np.stack(turned, axis=-1)
    return stores.Series(
        title=_TITLE[sums.rule],
        starts=np.array([sums.span.start(n) for n in range(DROPPED, sums.span.count)]),
        locations=locations,
        values=values,
        labels=labels.astype(np.int32),
        labels_meaning=meaning,
    )


def _turned(values: Float | npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(values.T, np.float32)


def _describe(sums: Sums, locations: Int, plan: Plan) -> statistics.Document:
    """Describe active pixels in training times; by the published rule all pixels, all times."""
    everything = sums.rule == Rule.PUBLISHED or plan.time is None
    places = np.arange(sums.energy.shape[1]) if everything else locations
    stop = None if everything or plan.time is None else DROPPED + plan.time.train.stop
    rows = slice(DROPPED, stop)
    plain: dict[str, Moments] = defaultdict(Moments)
    windowed: dict[str, dict[int, Moments]] = {n: defaultdict(Moments) for n in _WINDOWS}
    for begin in range(0, len(places), _BLOCK_PIXELS):
        part = sums.at(places[begin : begin + _BLOCK_PIXELS])
        for name in VARIABLES:
            plain[name].add(getattr(part, name)[rows])
        for name, windows in _WINDOWS.items():
            for n, window in enumerate(windows(part)):
                windowed[name][n].add(window[rows])
                plain[name].add(window[rows])
    variables = {name: moments.report() for name, moments in plain.items()}
    for name, each in windowed.items():
        variables[name] |= {"each": [moments.report() for moments in each.values()]}
    return {
        "over": "all" if everything else "time/train",
        "pixels": "all" if everything else "active",
        "variables": variables,
    }


def _write_splits(folder: Path, plan: Plan, chosen: Mapping[Rule, Int], given: Given) -> None:
    locations = chosen.get(Rule.PUBLISHED, chosen[plan.rules[0]])
    parts = {"location": splits.by_location(locations.tolist())}
    if given.locations is not None and Rule.PUBLISHED in chosen:
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
