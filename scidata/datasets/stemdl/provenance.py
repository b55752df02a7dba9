"""The splits of samples that were built, and what the record says of them."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from scidata.datasets import assembling
from scidata.datasets.assembling import Assembled, Parts
from scidata.datasets.sample_store import Written
from scidata.datasets.samples import Facts
from scidata.datasets.stemdl.layout import ASSET, VARIABLE
from scidata.datasets.stemdl.splits import as_found, at_random, by_key, shared
from scidata.record import Limitation, Record, Samples


def parts_of(written: Written, roles: Mapping[str, str] | None = None) -> dict[str, Parts]:
    """Divide samples.

    Parameters
    ----------
    written : Written
    roles : mapping, optional
        The part that the source itself has each id in.

    Returns
    -------
    dict
        By split, the default first: ``material``, or ``published`` where the material is not
        known; then ``prototype`` where it is, and ``random``.
    """
    known = written.facts[0].keys()
    found = as_found(written.ids, roles) if roles else None
    parts: dict[str, Parts | None] = {}
    if "material" in known:
        chosen = found if found and not sum(overlap(written, found).values()) else None
        parts["material"] = chosen or by_key(written.ids, written.facts, "material")
    else:
        parts["published"] = found
    if "prototype" in known:
        parts["prototype"] = by_key(written.ids, written.facts, "prototype")
    there = {name: lists for name, lists in parts.items() if lists}
    if there:
        there["random"] = at_random(written.ids, next(iter(there.values())))
    return there


def overlap(written: Written, parts: Parts) -> dict[str, int]:
    """Count the materials that the training part shares with the others."""
    materials = {
        i: str(facts["material"]) for i, facts in zip(written.ids, written.facts, strict=True)
    }
    return shared(parts, materials)


def complete(
    record: Record, built: Assembled, overlapping: Mapping[str, int] | None = None
) -> Record:
    """Return the record of what was built: its counts, limits, variables, splits, samples.

    Parameters
    ----------
    record : Record
    built : Assembled
    overlapping : mapping, optional
        By part, the materials that the source's own training folder shares with it.
    """
    return assembling.complete(
        record,
        built,
        steps=[_summary(built)],
        samples=Samples(
            asset=ASSET, each=("sample",), inputs=(VARIABLE,), targets=("space_group",)
        ),
        limitations=list(_limitations(built.written, overlapping or {})),
    )


def _summary(built: Assembled) -> str:
    groups = Counter(int(facts["space_group"]) for facts in built.written.facts)
    (largest, count), *_ = groups.most_common(1)
    samples = len(built.written.ids)
    return (
        f"{built.origin}: {samples} samples in {len(groups)} space groups, of which "
        f"{largest} is the largest with {count / samples:.1%}."
    )


def _limitations(written: Written, overlapping: Mapping[str, int]) -> Iterator[Limitation]:
    for part, count in overlapping.items():
        if count:
            yield Limitation(
                description=f"{count} materials of the source's training folder are in its "
                f"{part} folder, too; its parts were not used, and samples divided anew."
            )
    impossible = sum(_is_impossible(facts) for facts in written.facts)
    if impossible:
        yield Limitation(
            description=f"{impossible} samples have attributes that no crystal or beam can "
            "have; these numbers are not a number here."
        )


def _is_impossible(facts: Facts) -> bool:
    numbers = [np.asarray(value) for value in facts.values() if not isinstance(value, str)]
    return any(np.isnan(held.astype(np.float64)).any() for held in numbers)
