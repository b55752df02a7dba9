"""The splits of samples that were built, and what the record says of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scidata import split
from scidata.datasets import statistics
from scidata.datasets.statistics import Moments
from scidata.datasets.stemdl.splits import Parts, as_found, at_random, by_key, shared
from scidata.datasets.stemdl.stack import Facts
from scidata.datasets.stemdl.store import ASSET, VARIABLE, Written
from scidata.errors import Problem
from scidata.record import Limitation, Record, Samples, SplitPart, SplitRule, Step

_MOST_NAMED = 20


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """What the record is completed with."""

    origin: str
    """Begins the sentence on what was built."""
    written: Written
    parts: Mapping[str, Parts]
    problems: Sequence[Problem] = ()
    """Of files and samples that were skipped."""
    overlap: Mapping[str, int] | None = None
    """Materials that the source's own training folder shares with its other folders."""


def divide(
    data: Path, written: Written, roles: Mapping[str, str] | None = None
) -> dict[str, Parts]:
    """Divide samples, and write the lists and the statistics of the training ones.

    Parameters
    ----------
    data : Path
        The folder ``data/`` of a build.
    written : Written
    roles : mapping, optional
        The part that the source itself has each id in.

    Returns
    -------
    dict
        By split, the default first: ``material``, or ``published`` where the material is not
        known; then ``prototype`` where it is, and ``random``.
    """
    parts: dict[str, Parts] = {}
    known = written.facts[0].keys()
    found = as_found(written.ids, roles) if roles else None
    if "material" in known:
        chosen = found if found and not sum(overlap(written, found).values()) else None
        chosen = chosen or by_key(written.ids, written.facts, "material")
        _add(parts, "material", chosen)
    else:
        _add(parts, "published", found)
    if "prototype" in known:
        _add(parts, "prototype", by_key(written.ids, written.facts, "prototype"))
    if parts:
        parts["random"] = at_random(written.ids, next(iter(parts.values())))
    for name, lists in parts.items():
        for part, ids in lists.items():
            path = data.parent / split.split_path(name, part)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(split.to_text(ids))
    _write_statistics(data, written, parts)
    return parts


def overlap(written: Written, parts: Parts) -> dict[str, int]:
    """Count the materials that the training part shares with the others."""
    materials = {
        i: str(facts["material"]) for i, facts in zip(written.ids, written.facts, strict=True)
    }
    return shared(parts, materials)


def complete(record: Record, built: Assembled) -> Record:
    """Return the record of what was built: its counts, limits, variables, splits, samples."""
    written = built.written
    provenance = record.provenance
    known = {VARIABLE, "sample", *written.facts[0]}
    return record.model_copy(
        update={
            "provenance": provenance.model_copy(
                update={"steps": (*provenance.steps, Step(activity=_summary(built)))}
            ),
            "limitations": (*record.limitations, *_limitations(built)),
            "variables": tuple(v for v in record.variables if v.name in known),
            "splits": _rules(record, built),
            "samples": Samples(
                asset=ASSET,
                each=("sample",),
                inputs=(VARIABLE,),
                targets=("space_group",),
            ),
        }
    )


def _add(parts: dict[str, Parts], name: str, found: Parts | None) -> None:
    if found is not None:
        parts[name] = found


def _write_statistics(data: Path, written: Written, parts: Mapping[str, Parts]) -> None:
    over = next((f"{name}/train" for name in parts), "all")
    train = set(next(iter(parts.values()))["train"]) if parts else set(written.ids)
    seen = Moments()
    for i, moments in zip(written.ids, written.moments, strict=True):
        if i in train:
            seen.merge(moments)
    document = {"over": over, "variables": {VARIABLE: seen.report()}}
    statistics.write(data / "statistics.json", {ASSET: document})


def _summary(built: Assembled) -> str:
    groups = Counter(int(facts["space_group"]) for facts in built.written.facts)
    (largest, count), *_ = groups.most_common(1)
    samples = len(built.written.ids)
    none = "" if built.parts else " No splits: there are too few materials."
    return (
        f"{built.origin}: {samples} samples in {len(groups)} space groups, of which "
        f"{largest} is the largest with {count / samples:.1%}.{none}"
    )


def _rules(record: Record, built: Assembled) -> tuple[SplitRule, ...]:
    """Return the rules of the splits that there are; the first of them is the default."""
    rules = {rule.name: rule for rule in record.splits}
    found: list[SplitRule] = []
    for name, parts in built.parts.items():
        described = {part.name: part.description for part in rules[name].parts}
        held = tuple(
            SplitPart(
                name=part,
                description=f"{described[part].partition(';')[0]}; {len(parts[part])} samples",
            )
            for part in parts
        )
        changes = {"default": not found, "asset": ASSET, "dimension": "sample", "parts": held}
        found.append(rules[name].model_copy(update=changes))
    return tuple(found)


def _limitations(built: Assembled) -> Iterator[Limitation]:
    for part, count in (built.overlap or {}).items():
        if count:
            yield Limitation(
                description=f"{count} materials of the source's training folder are in its "
                f"{part} folder, too; its parts were not used, and samples divided anew."
            )
    impossible = sum(_is_impossible(facts) for facts in built.written.facts)
    if impossible:
        yield Limitation(
            description=f"{impossible} samples have attributes that no crystal or beam can "
            "have; these numbers are not a number here."
        )
    if built.problems:
        reasons = {problem.path: problem.message for problem in built.problems}
        named = sorted(reasons.items())[:_MOST_NAMED]
        text = "; ".join(f"{name}: {why}" for name, why in named)
        more = len(reasons) - len(named)
        rest = f"; and {more} more" if more else ""
        yield Limitation(
            description=f"{len(reasons)} files or samples were left out. {text}{rest}."
        )


def _is_impossible(facts: Facts) -> bool:
    numbers = [np.asarray(value) for value in facts.values() if not isinstance(value, str)]
    return any(np.isnan(held.astype(np.float64)).any() for held in numbers)
