"""What a build knows of its data, as fields of the record: nothing of it is typed by hand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute
import yaml

from scidata.datasets.tevolop.assemble import ASSET, Outcome, Plan
from scidata.datasets.tevolop.completeness import by_decade
from scidata.datasets.tevolop.events import Catalogue, Counts
from scidata.datasets.tevolop.fortnights import DAYS, Gap, Quirk, Rule
from scidata.datasets.tevolop.splits import EMBARGO
from scidata.record import Limitation, Period, Provenance, Record, Step, VariableNote

pc: Any = pyarrow.compute  # Any: its functions are made at import
_HIGH_FLOOR = 1.0
_MOST_GAPS = 20
_NO_SECOND_EMBARGO = (
    "Validation targets reach into the test inputs: the source is too short for an embargo "
    "there. Training targets reach into neither."
)
_CHOSEN_OVER_ALL_TIMES = (
    "The active pixels were chosen over all times, the held-out ones, too, and the statistics "
    "computed over them."
)
_GAP_TARGETS = "In 'fortnights' a window with half or more of its days there is no target."
_WINDOWED = frozenset(("magnitude_back", "magnitude_ahead", "back", "ahead"))
_FORTNIGHTS_ONLY = _WINDOWED | {"ahead_length", "ahead_delay", "fault_label", "location"}


@dataclass(frozen=True, kw_only=True)
class Built:
    """What the record is completed with."""

    form: str
    """Key of ``origins.yaml``; empty if the record itself describes where all is from."""
    extract: bool
    """The source is one that the record itself describes."""
    plan: Plan
    assembled: Outcome
    days: tuple[int, int]
    catalogue: Catalogue | None
    """None if there is no event table."""
    benchmark: Mapping[str, int | float] | None = None
    """Counts of the benchmark's own files, if those are the source."""
    has_largest: bool = False
    """There is a table of the largest earthquakes."""
    told: tuple[str, ...] = ()
    """Of a simulation: how the catalogue came about, in place of what was read."""


def is_extract(sha256: str) -> bool:
    """Tell whether the record itself describes a source file of this digest."""
    return sha256 in _origins()["extracts"]


def complete(record: Record, built: Built) -> Record:
    """Return the record of what was built: its period, counts, limits, variables and splits."""
    if built.form and not built.extract:
        record = _of_form(record, built.form)
    first, last = np.array([built.days[0], built.days[1] - 1]).astype("datetime64[D]")
    steps = tuple(Step(activity=text) for text in _steps(built))
    provenance = record.provenance
    return record.model_copy(
        update={
            "abstract": record.abstract + _floor_sentence(built.catalogue),
            "temporal": Period(start=str(first), end=str(last)),
            "provenance": provenance.model_copy(update={"steps": provenance.steps + steps}),
            "limitations": (*record.limitations, *_limitations(built)),
            "variables": tuple(v for v in record.variables if _is_there(v, built)),
            **_splits(record, built),
        }
    )


def _of_form(record: Record, form: str) -> Record:
    """Replace what is said of the flagship's source with what is known of another one."""
    origin = dict(_origins()["forms"][form])
    sources = origin.pop("sources")
    fields = {
        **record.model_dump(mode="json", exclude_none=True),
        **origin,
        "provenance": {"sources": sources},
    }
    fields.pop("created", None)
    return Record.model_validate(fields).model_copy(
        update={
            "provenance": Provenance.model_validate(
                {"sources": sources, "software": record.provenance.software}
            )
        }
    )


def _steps(built: Built) -> Iterator[str]:
    yield from built.told
    if built.catalogue and not built.told:
        yield _sentence(built.catalogue.counts)
        yield f"The lowest magnitude of an earthquake is {built.catalogue.magnitude_floor:g}."
    if built.benchmark:
        counted = ", ".join(f"{n} {name}" for name, n in built.benchmark.items())
        yield f"Read from the published daily files: {counted}."
    for rule, count in built.assembled.active.items():
        yield f"{count} active pixels in {ASSET[rule]!r}."
    if Rule.PUBLISHED in built.plan.rules:
        quirks = "; ".join(quirk.value for quirk in Quirk)
        yield f"Published quirks in {ASSET[Rule.PUBLISHED]!r}: {quirks}."
    if not built.plan.rules:
        days = built.days[1] - built.days[0]
        yield (
            f"No fortnights and no splits: {days} days are too few for a split by time, which "
            f"leaves out {EMBARGO} fortnights of {DAYS} days before the held-out ones."
        )
    else:
        yield f"'fault_label' holds: {built.assembled.fault_labels}."


def _sentence(counts: Counts) -> str:
    return (
        f"{counts.rows} rows read, {counts.kept} events kept. Left out: {counts.outside} "
        f"outside 32..36 N, 120..114 W, {counts.early} before 1950, {counts.incomplete} "
        f"without magnitude or depth, {counts.repeated} repeated. Not in the grid: "
        f"{counts.blasts} quarry blasts, {counts.others} events of other types, "
        f"{counts.on_edge} earthquakes exactly on 32 N or 114 W. In the grid as earthquakes: "
        f"{counts.untyped} without a type."
    )


def _floor_sentence(catalogue: Catalogue | None) -> str:
    if catalogue is None or catalogue.magnitude_floor < _HIGH_FLOOR:
        return ""
    return (
        f" This build holds earthquakes of magnitude {catalogue.magnitude_floor:g} and above."
    )


def _limitations(built: Built) -> Iterator[Limitation]:
    if not built.extract:
        yield from _gaps(built.assembled.gaps)
    catalogue = built.catalogue
    if catalogue is None:
        return
    counts, floor = catalogue.counts, catalogue.magnitude_floor
    if decades := by_decade(catalogue.completeness):
        told = ", ".join(f"{magnitude} in the {d}s" for d, magnitude in decades.items())
        yield Limitation(
            description=f"Complete only from some magnitude on, which changes: {told} "
            "(maximum curvature plus 0.2, median of the years; those of magnitude 0.0 left "
            "out). Counts below it rise because detection did. By year in data/statistics.json."
        )
    if floor >= _HIGH_FLOOR:
        yield Limitation(description=f"The source has no earthquake below magnitude {floor:g}.")
    zero = int(pc.sum(pc.equal(catalogue.table["magnitude"], 0.0)).as_py())
    for number, what in (
        (counts.blasts, "quarry blasts: in the event table, not in the grid or the fortnights"),
        (counts.untyped, "without an event type: in the grid as earthquakes"),
        (zero, "of magnitude 0.0, which may mean that none was found"),
    ):
        if number:
            yield Limitation(description=f"{number} of {counts.kept} events are {what}.")


def _gaps(found: Sequence[Gap]) -> Iterator[Limitation]:
    """Name the longest of them."""
    longest = sorted(found, key=lambda gap: -gap.days)[:_MOST_GAPS]
    for gap in sorted(longest, key=lambda gap: gap.first):
        first, last = np.array([gap.first, gap.stop - 1]).astype("datetime64[D]")
        yield Limitation(
            description=f"No earthquake at all for {gap.days} days. {_GAP_TARGETS}",
            start=str(first),
            end=str(last),
        )


def _is_there(note: VariableNote, built: Built) -> bool:
    if note.asset == "events":
        return built.catalogue is not None
    if note.asset == "largest":
        return built.has_largest
    return bool(built.plan.rules) or note.name not in _FORTNIGHTS_ONLY


def _splits(record: Record, built: Built) -> dict[str, object]:
    time, rules = built.plan.time, built.plan.rules
    if time is None:
        return {"splits": (), "samples": None}
    own = ASSET[rules[0]]
    leaks = [] if time.isolated_test else [_NO_SECOND_EMBARGO]
    if Rule.PHYSICAL not in rules:
        leaks.append(_CHOSEN_OVER_ALL_TIMES)
    located = ASSET[Rule.PUBLISHED if Rule.PUBLISHED in rules else rules[0]]
    changes: dict[str, dict[str, object]] = {
        "time": {"asset": own, "leaks": " ".join(leaks) or None},
        "location": {"asset": located},
    }
    updated = tuple(s.model_copy(update=changes.get(s.name, {})) for s in record.splits)
    samples = record.samples and record.samples.model_copy(update={"asset": own})
    return {"splits": updated, "samples": samples}


@cache
def _origins() -> dict[str, Any]:  # Any: YAML
    path = Path(__file__).with_name("origins.yaml")
    origins: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return origins
