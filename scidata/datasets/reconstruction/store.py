"""``data/rasters.zarr``: patterns and potentials, sample after sample, in shards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from scidata import split
from scidata.datasets import statistics
from scidata.datasets.array_store import ArrayStore, Attributes
from scidata.datasets.reconstruction.pair import CBED, POTENTIAL, Facts, Pair, Shape
from scidata.datasets.statistics import Moments
from scidata.datasets.stemdl.splits import Parts
from scidata.errors import Problem

ASSET = "rasters"
_SHARD_BYTES = 2**26
_DIMENSIONS = {CBED: ("probe", "ky", "kx"), POTENTIAL: ("layer", "y", "x")}

FACTS: dict[str, tuple[str, Attributes]] = {
    "material": ("str", {"long_name": "material; samples of one belong to one side"}),
    "space_group": ("int16", {"units": "1", "long_name": "number of the space group"}),
    "formula": ("str", {"long_name": "chemical formula of the cell"}),
    "prototype": ("str", {"long_name": "structure that the material was made after"}),
}
"""Type and attributes of what is known of a simulated sample."""


@dataclass(kw_only=True)
class Written:
    """What a store holds."""

    ids: list[str] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    moments: list[dict[str, Moments]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def write_pairs(
    data: Path,
    title: str,
    shape: Shape,
    most: int,
    pairs: Iterable[Pair | Problem],
    *,
    units: dict[str, str],
) -> Written:
    """Write samples as they come; one shard is in memory at a time.

    Parameters
    ----------
    data : Path
        The folder ``data/`` of a build.
    title : str
    shape : Shape
    most : int
        Samples at most.
    pairs : iterable
        A problem is noted, and takes no place.
    units : dict
        Attributes ``units`` of the two arrays, where they are known.
    """
    store = ArrayStore(data / f"{ASSET}.zarr", title)
    shapes = {CBED: shape.cbed, POTENTIAL: shape.potential}
    size = sum(2 * int(np.prod(held)) for held in shapes.values())
    shard = max(1, min(64, _SHARD_BYTES // size))
    arrays = {
        name: store.create(
            name,
            {"sample": most, **dict(zip(_DIMENSIONS[name], inner, strict=True))},
            "float16",
            {"long_name": _LONG[name], **({"units": units[name]} if name in units else {})},
            layout=((1, *inner), (shard, *inner)),
        )
        for name, inner in shapes.items()
    }
    written = Written()
    held: list[Pair] = []

    def flush() -> None:
        first = len(written.ids) - len(held)
        if held:
            arrays[CBED][first : len(written.ids)] = np.stack([p.cbed for p in held])
            arrays[POTENTIAL][first : len(written.ids)] = np.stack([p.potential for p in held])
        held.clear()

    for pair in pairs:
        if isinstance(pair, Problem):
            written.problems.append(pair)
            continue
        held.append(pair)
        written.ids.append(pair.id)
        written.facts.append(pair.facts)
        written.moments.append(_moments(pair))
        if len(held) == shard:
            flush()
    flush()
    for name, inner in shapes.items():
        arrays[name].resize((len(written.ids), *inner))
    _put_facts(store, written)
    return written


def write_splits(data: Path, written: Written, parts: dict[str, Parts]) -> None:
    """Write the lists of every part, and the statistics of the first split's training part."""
    for name, lists in parts.items():
        for part, ids in lists.items():
            path = data.parent / split.split_path(name, part)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(split.to_text(ids))
    first = next(iter(parts), None)
    train = set(parts[first]["train"]) if first else set(written.ids)
    seen = {name: Moments() for name in (CBED, POTENTIAL)}
    for i, moments in zip(written.ids, written.moments, strict=True):
        if i in train:
            for name, found in moments.items():
                seen[name].merge(found)
    document = {
        "over": f"{first}/train" if first else "all",
        "variables": {name: found.report() for name, found in seen.items()},
    }
    statistics.write(data / "statistics.json", {ASSET: document})


def _put_facts(store: ArrayStore, written: Written) -> None:
    ids: Sequence[str] = written.ids
    store.put("sample", ["sample"], np.array(ids, object), {"long_name": "name of the sample"})
    for name, (kind, attributes) in FACTS.items():
        if written.facts and name in written.facts[0]:
            values = [facts[name] for facts in written.facts]
            array = np.array(values, object if kind == "str" else np.dtype(kind))
            store.put(name, ["sample"], array, attributes)
    store.close()


def _moments(pair: Pair) -> dict[str, Moments]:
    found = {CBED: Moments(), POTENTIAL: Moments()}
    found[CBED].add(pair.cbed)
    found[POTENTIAL].add(pair.potential)
    return found


_LONG = {
    CBED: "diffracted intensity at each position of the probe, row by row",
    POTENTIAL: "electrostatic potential, projected along the beam",
}
