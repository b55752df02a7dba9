"""What stands beside the samples that were written: splits, statistics, and the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from scidata import split
from scidata.datasets import statistics
from scidata.datasets.damage import Damage
from scidata.datasets.sample_store import Written
from scidata.datasets.samples import Layout
from scidata.datasets.statistics import Moments
from scidata.record import Limitation, Record, Samples, SplitPart, SplitRule, Step

Parts: TypeAlias = Mapping[str, list[str]]
"""Ids of each part of a split."""


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """A store of samples that was written, with what was seen on the way."""

    origin: str
    """Begins the sentence on what was done."""
    layout: Layout
    written: Written
    parts: Mapping[str, Parts]
    """By split, the default first."""
    damage: Damage


def divide(data: Path, layout: Layout, written: Written, parts: Mapping[str, Parts]) -> None:
    """Write the lists of every part, and the statistics of the first split's training part.

    Parameters
    ----------
    data : Path
        The folder ``data/`` of a build.
    layout : Layout
    written : Written
    parts : mapping
        By split, the default first; without any the statistics are those of all samples.
    """
    write_parts(data, parts)
    first = next(iter(parts), None)
    train = set(parts[first]["train"]) if first else set(written.ids)
    seen = {name: Moments() for name, held in layout.variables.items() if held.counted}
    for i, moments in zip(written.ids, written.moments, strict=True):
        if i in train:
            for name, found in moments.items():
                seen[name].merge(found)
    document = {
        "over": f"{first}/train" if first else "all",
        "variables": {name: found.report() for name, found in seen.items()},
    }
    statistics.write(data / "statistics.json", {layout.asset: document})


def write_parts(data: Path, parts: Mapping[str, Parts]) -> None:
    """Write the lists of ids."""
    for name, lists in parts.items():
        for part, ids in lists.items():
            path = data.parent / split.split_path(name, part)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(split.to_text(ids))


def complete(
    record: Record,
    built: Assembled,
    *,
    steps: Sequence[str],
    samples: Samples | None,
    limitations: Sequence[Limitation] = (),
) -> Record:
    """Return the record of what was built.

    Its variables are those of the store, its splits those that there are; steps, limitations
    and what was left out as damaged come after what the record said before.
    """
    layout = built.layout
    known = {layout.dimension, *layout.variables, *layout.facts, *layout.coordinates}
    provenance = record.provenance
    none = () if built.parts else (f"No splits: there are too few {layout.dimension}s.",)
    more = tuple(Step(activity=text) for text in (*steps, *none))
    return record.model_copy(
        update={
            "provenance": provenance.model_copy(update={"steps": provenance.steps + more}),
            "limitations": (
                *record.limitations,
                *limitations,
                *built.damage.limitations(),
            ),
            "variables": tuple(v for v in record.variables if v.name in known),
            "splits": split_rules(record, built.parts, layout.asset, layout.dimension),
            "samples": samples,
        }
    )


def split_rules(
    record: Record, parts: Mapping[str, Parts], asset: str, dimension: str
) -> tuple[SplitRule, ...]:
    """Return the rules of the splits that there are; the first of them is the default."""
    rules = {rule.name: rule for rule in record.splits}
    found: list[SplitRule] = []
    for name, lists in parts.items():
        described = {part.name: part.description for part in rules[name].parts}
        held = tuple(
            SplitPart(
                name=part,
                description=f"{described[part].partition(';')[0]}; {len(ids)} {dimension}s",
            )
            for part, ids in lists.items()
        )
        changes = {"default": not found, "asset": asset, "dimension": dimension, "parts": held}
        found.append(rules[name].model_copy(update=changes))
    return tuple(found)
