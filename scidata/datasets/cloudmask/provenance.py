"""What a build knows of its scenes, as fields of the record: nothing of it is typed by hand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from scidata.datasets.cloudmask.divide import Divided
from scidata.datasets.cloudmask.geometry import centre_crop, patch_of
from scidata.datasets.cloudmask.splits import Parts
from scidata.datasets.cloudmask.store import ASSET, Entry
from scidata.errors import Problem
from scidata.record import (
    Limitation,
    Period,
    Record,
    Samples,
    SplitPart,
    SplitRule,
    Step,
    Window,
)

_MOST_NAMED = 20
_SUMMARY = (
    "The label is the summary of all cloud tests of the product, not its Bayesian flags, which "
    "are not filled in."
)


_SIMULATED = {
    "synthetic": True,
    "synthetic_note": "The files are simulated: they hold a true mask, as no real file does.",
    "real_note": None,
}
"""What the record of published files says instead, if they cannot be those."""


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """What the record is completed with."""

    origin: str
    """Begins the sentence on what was built."""
    label: str
    size: tuple[int, int]
    truth: bool
    entries: Sequence[Entry]
    divided: Divided
    problems: Sequence[Problem] = ()
    """Of files that were skipped."""


def complete(record: Record, built: Assembled) -> Record:
    """Return the record of what was built: its period, counts, limits, splits and samples."""
    provenance = record.provenance
    steps = tuple(Step(activity=text) for text in _steps(built))
    return record.model_copy(
        update={
            "temporal": _period(built.entries),
            "provenance": provenance.model_copy(update={"steps": provenance.steps + steps}),
            "limitations": (*record.limitations, *_limitations(built)),
            "variables": tuple(v for v in record.variables if v.name != "truth" or built.truth),
            "splits": split_rules(record, built.divided.parts),
            "samples": samples_of(*built.size, truth=built.truth),
            **(_SIMULATED if built.truth and not record.synthetic else {}),
        }
    )


def samples_of(height: int, width: int, *, truth: bool) -> Samples | None:
    """Return the patches of the centre crop; None of scenes that are too small."""
    patch = patch_of(height, width)
    if patch is None:
        return None
    windows = tuple(
        Window(dimension=dim, size=patch, stride=patch, start=centre_crop(length, patch)[0])
        for dim, length in (("y", height), ("x", width))
    )
    return Samples(
        asset=ASSET,
        each=("scene",),
        windows=windows,
        inputs=("refs", "bts"),
        targets=("bayes", *(("truth",) if truth else ()), "day"),
    )


def split_rules(
    record: Record, parts: Mapping[str, Parts], noun: str = "scenes"
) -> tuple[SplitRule, ...]:
    """Return the rules of the splits that there are; the first of them is the default."""
    found: list[SplitRule] = []
    for rule in record.splits:
        if rule.name not in parts:
            continue
        held = tuple(
            SplitPart(name=part.name, description=_counted(part, parts[rule.name], noun))
            for part in rule.parts
            if part.name in parts[rule.name]
        )
        changes = {"default": not found, "asset": ASSET, "dimension": "scene", "parts": held}
        found.append(rule.model_copy(update=changes))
    return tuple(found)


def _counted(part: SplitPart, parts: Parts, noun: str) -> str:
    return f"{part.description.partition(';')[0]}; {len(parts[part.name])} {noun}"


def _period(entries: Sequence[Entry]) -> Period | None:
    times = [entry.facts["time"] for entry in entries if "time" in entry.facts]
    if not times:
        return None
    first, last = (
        datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d") for t in (min(times), max(times))
    )
    return Period(start=first, end=last)


def _steps(built: Assembled) -> Iterator[str]:
    entries = built.entries
    days = sum(entry.day for entry in entries)
    pixels = sum(entry.pixels for entry in entries)
    cloudy = sum(entry.cloudy for entry in entries) / max(pixels, 1)
    yield (
        f"{built.origin}: {len(entries)} scenes of {built.size[0]} by {built.size[1]} "
        f"pixels, {days} by day and {len(entries) - days} by night; the label says cloud in "
        f"{cloudy:.1%} of the pixels."
    )
    if built.label == "summary":
        yield _SUMMARY
    if not built.divided.parts:
        yield "No splits: there are too few scenes."
    if built.divided.orbits_apart:
        yield (
            f"{built.divided.orbits_apart} inference files are in no part of the split by "
            "orbit: a training file is of the same orbit."
        )


def _limitations(built: Assembled) -> Iterator[Limitation]:
    if not built.problems:
        return
    reasons = {problem.path: problem.message for problem in built.problems}
    named = "; ".join(f"{name}: {why}" for name, why in sorted(reasons.items())[:_MOST_NAMED])
    more = f"; and {len(reasons) - _MOST_NAMED} more" if len(reasons) > _MOST_NAMED else ""
    yield Limitation(
        description=f"{len(reasons)} files of the source were left out. {named}{more}."
    )
