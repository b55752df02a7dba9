"""A store of samples, one after another, and a journal of the shards that are written.

Samples are made unit by unit, in order, wherever `scidata.spreading.scheduled` says, and
written shard by shard by this process alone. Each line of the journal holds a shard's facts and
where the next one begins, so a build that was killed goes on there.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from scidata.about import TOOL
from scidata.datasets import JOURNAL, Advance
from scidata.datasets.array_store import CODECS, Array, ArrayStore
from scidata.datasets.samples import Facts, Layout, Sample, Unit
from scidata.datasets.statistics import Moments
from scidata.errors import Problem
from scidata.spreading import spread


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What the journal says of a shard."""

    ids: list[str]
    facts: list[Facts]
    tallies: list[dict[str, int]]
    moments: list[dict[str, list[float]]]
    """Of each sample, by variable, as `Moments.pack` gives them."""
    problems: list[dict[str, Any]]  # Any: JSON
    unit: int
    """The next shard's first unit, and how many of its results are behind."""
    offset: int
    before: str
    """Digest of the stamps of all units up to the next shard."""


@dataclass(kw_only=True)
class Written:
    """What a store holds."""

    ids: list[str] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    tallies: list[dict[str, int]] = field(default_factory=list)
    moments: list[dict[str, Moments]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def take(self, shard: Shard) -> None:
        """Add a shard."""
        self.ids += shard.ids
        self.facts += shard.facts
        self.tallies += shard.tallies
        self.problems += [Problem(**problem) for problem in shard.problems]
        self.moments += [
            {name: Moments.unpack(packed) for name, packed in held.items()}
            for held in shard.moments
        ]

    def total(self, tally: str) -> int:
        """Add up what was counted in every sample."""
        return sum(counted[tally] for counted in self.tallies)


def write_samples(
    data: Path, layout: Layout, units: Sequence[Unit], advance: Advance
) -> Written:
    """Make the samples of units, and write them; what is whole already is kept.

    Parameters
    ----------
    data : Path
        The folder ``data/`` of a build.
    layout : Layout
    units : sequence of Unit
        What is wrong with a sample is noted, and takes no place.
    advance : callable

    Returns
    -------
    Written
        Samples in order of their units, and what was wrong with others.
    """
    journal = data.parent / JOURNAL
    held = list(_read_journal(journal, layout, units))
    path = data / f"{layout.asset}.zarr"
    if not held or not path.is_dir():
        held = []
        shutil.rmtree(path, ignore_errors=True)
    store = ArrayStore(path, layout.title, resume=bool(held))
    kept = sum(len(shard.ids) for shard in held)
    arrays = _arrays(store, layout, kept, sum(unit.count for unit in units))
    _rewrite_journal(journal, layout, held)
    written = Written()
    for shard in held:
        written.take(shard)
    _continue(_Sink(journal, layout, units, arrays, written), held, advance)
    if written.ids:
        _finish(store, arrays, layout, written)
    return written


class _Sink:
    """Gathers samples, and writes them when they fill a shard."""

    def __init__(
        self,
        journal: Path,
        layout: Layout,
        units: Sequence[Unit],
        arrays: Mapping[str, Array],
        written: Written,
    ) -> None:
        self.journal, self.layout, self.units = journal, layout, units
        self.arrays, self.written = arrays, written
        self.samples: list[Sample] = []
        self.problems: list[Problem] = []
        self.digest = _digests(units)

    def put(self, found: Sample | Problem, unit: int, offset: int) -> None:
        """Take a result, after which `offset` results of `unit` are behind."""
        if isinstance(found, Problem):
            self.problems.append(found)
        else:
            self.samples.append(found)
        if len(self.samples) == self.layout.shard:
            self.flush(unit, offset)

    def flush(self, unit: int, offset: int) -> None:
        """Write what was gathered."""
        if not self.samples and not self.problems:
            return
        first = len(self.written.ids)
        for name, array in self.arrays.items():
            if self.samples:
                values = np.stack([sample.arrays[name] for sample in self.samples])
                array[first : first + len(values)] = values
        shard = Shard(
            ids=[sample.id for sample in self.samples],
            facts=[dict(sample.facts) for sample in self.samples],
            tallies=[dict(sample.tallies) for sample in self.samples],
            moments=[_moments(sample, self.layout) for sample in self.samples],
            problems=[asdict(problem) for problem in self.problems],
            unit=unit,
            offset=offset,
            before=self.digest(unit + bool(offset)),
        )
        _append(self.journal, asdict(shard))
        self.written.take(shard)
        self.samples, self.problems = [], []


def _continue(sink: _Sink, held: Sequence[Shard], advance: Advance) -> None:
    begin, behind = (held[-1].unit, held[-1].offset) if held else (0, 0)
    rest = sink.units[begin:]
    for number, results in enumerate(spread(_produce, rest), start=begin):
        count = len(results)
        for n, found in enumerate(results, start=1):
            if number > begin or n > behind:
                end = n == count
                sink.put(found, number + end, 0 if end else n)
        advance((number + 1) / len(sink.units))
    sink.flush(len(sink.units), 0)


def _produce(unit: Unit) -> Sequence[Sample | Problem]:
    return unit.produce()


def _arrays(store: ArrayStore, layout: Layout, kept: int, samples: int) -> dict[str, Array]:
    """Create the arrays of all variables, or open those that are there with what is kept."""
    arrays: dict[str, Array] = {}
    for name, variable in layout.variables.items():
        array = store.group.get(name) if store.resume else None
        if isinstance(array, zarr.Array):
            # A shard that is not kept goes: what fills it in part would leave the rest in it.
            array.resize((kept, *variable.sizes))
            array.resize((samples, *variable.sizes))
            arrays[name] = array
            continue
        chunk = variable.chunk or variable.sizes
        shard = [-(-n // c) * c for n, c in zip(variable.sizes, chunk, strict=True)]
        arrays[name] = store.create(
            name,
            {layout.dimension: samples, **variable.shape},
            variable.dtype,
            variable.attributes,
            layout=((layout.chunk, *chunk), (layout.shard, *shard)),
            codec=CODECS[variable.codec],
        )
    return arrays


def _finish(
    store: ArrayStore, arrays: Mapping[str, Array], layout: Layout, written: Written
) -> None:
    """Cut the arrays to the samples that there are, and write what is known beside them."""
    count = len(written.ids)
    for array in arrays.values():
        array.resize((count, *array.shape[1:]))
    first = layout.dimension
    store.put(first, [first], np.array(written.ids, object), {"long_name": layout.naming})
    for name, fact in layout.facts.items():
        values = [facts[name] for facts in written.facts]
        kind = object if fact.dtype == "str" else np.dtype(fact.dtype)
        each = np.array(values, kind).reshape(count, *fact.shape.values())
        store.put(name, [first, *fact.shape], each, fact.attributes)
    for name, held in layout.coordinates.items():
        store.put(name, [held.dimension], held.array, held.attributes)
    store.close()


def _moments(sample: Sample, layout: Layout) -> dict[str, list[float]]:
    counted = [name for name, variable in layout.variables.items() if variable.counted]
    return {name: Moments.of(sample.arrays[name]).pack() for name in counted}


def _digests(units: Sequence[Unit]) -> Callable[[int], str]:
    """Return what gives the digest of the stamps of so many units."""
    found = [hashlib.sha256().hexdigest()]
    for unit in units:
        found.append(hashlib.sha256(f"{found[-1]}{unit.stamp}".encode()).hexdigest())
    return found.__getitem__


def _read_journal(path: Path, layout: Layout, units: Sequence[Unit]) -> Iterator[Shard]:
    """Yield the shards that these very units gave, up to the first that they did not."""
    digest = _digests(units)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines or json.loads(lines[0]) != _header(layout):
            return
        for line in lines[1:]:
            shard = Shard(**json.loads(line))
            if digest(shard.unit + bool(shard.offset)) != shard.before:
                return
            if len(shard.ids) < layout.shard and shard.unit < len(units):
                return  # it was the last one, and there are more now: it is to be filled up
            yield shard
    except (OSError, ValueError, TypeError, KeyError, IndexError):
        return  # no journal, or a line that was cut off


def _rewrite_journal(path: Path, layout: Layout, held: Sequence[Shard]) -> None:
    """Forget what is not kept, before its bytes change."""
    lines = [json.dumps(_header(layout)), *(json.dumps(asdict(shard)) for shard in held)]
    new = path.with_suffix(".new")
    new.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    new.replace(path)


def _header(layout: Layout) -> object:
    """Return what a journal compares: another layout, or release, begins anew."""
    return json.loads(json.dumps({"layout": layout.document, "tool": TOOL}))


def _append(path: Path, document: object) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(document) + "\n")
