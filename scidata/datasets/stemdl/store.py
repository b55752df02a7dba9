"""``data/patterns.zarr``: samples one after another, and a journal of the shards written.

Samples are made unit by unit, in order, and written shard by shard. Each line of the journal
holds a shard's facts and where the next one begins, so a build that was killed goes on there.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from scidata.about import TOOL
from scidata.datasets import JOURNAL, Advance
from scidata.datasets.array_store import Array, ArrayStore
from scidata.datasets.statistics import Moments
from scidata.datasets.stemdl.stack import FACTS, LENGTHS, PROJECTIONS, Facts, Stack, Unit
from scidata.errors import Problem
from scidata.spreading import spread

ASSET = "patterns"
VARIABLE = "cbed_stack"
_LZ4 = BloscCodec(cname="lz4", clevel=5, shuffle="shuffle")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What all samples of a store have in common."""

    title: str
    side: int
    """Pixels."""
    facts: tuple[str, ...]
    chunk: int
    """Samples in an inner chunk."""
    shard: int
    """Samples in a shard, a multiple of `chunk`."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """What the journal says of a shard."""

    ids: list[str]
    facts: list[Facts]
    moments: list[list[float]]
    """Of each sample: count, mean, sum of squares, lowest, highest."""
    problems: list[dict[str, Any]]
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
    moments: list[Moments] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def take(self, shard: Shard) -> None:
        """Add a shard."""
        self.ids += shard.ids
        self.facts += shard.facts
        self.problems += [Problem(**problem) for problem in shard.problems]
        for count, mean, squares, low, high in shard.moments:
            moments = Moments()
            moments.count, moments.mean, moments.squares = int(count), mean, squares
            moments.low, moments.high = low, high
            self.moments.append(moments)


def write_stacks(
    data: Path, layout: Layout, units: Sequence[Unit], advance: Advance
) -> Written:
    """Make the samples of units, and write them; what is whole already is kept.

    Returns
    -------
    Written
        Samples in order of their units, and what was wrong with others.
    """
    held = list(_read_journal(data.parent / JOURNAL, layout, units))
    path = data / f"{ASSET}.zarr"
    if not held or not path.is_dir():
        held = []
        shutil.rmtree(path, ignore_errors=True)
    store = ArrayStore(path, layout.title, resume=bool(held))
    array = _array(store, layout, sum(unit.count for unit in units))
    _rewrite_journal(data.parent / JOURNAL, layout, held)
    written = Written()
    for shard in held:
        written.take(shard)
    _continue(_Sink(data.parent / JOURNAL, layout, units, array, written), held, advance)
    if written.ids:
        _finish(store, array, layout, written)
    return written


class _Sink:
    """Gathers samples, and writes them when they fill a shard."""

    def __init__(
        self,
        journal: Path,
        layout: Layout,
        units: Sequence[Unit],
        array: Array,
        written: Written,
    ) -> None:
        self.journal, self.layout, self.units = journal, layout, units
        self.array, self.written = array, written
        self.stacks: list[Stack] = []
        self.problems: list[Problem] = []
        self.digest = _digests(units)

    def put(self, found: Stack | Problem, unit: int, offset: int) -> None:
        """Take a result, after which `offset` results of `unit` are behind."""
        if isinstance(found, Problem):
            self.problems.append(found)
        else:
            self.stacks.append(found)
        if len(self.stacks) == self.layout.shard:
            self.flush(unit, offset)

    def flush(self, unit: int, offset: int) -> None:
        """Write what was gathered."""
        if not self.stacks and not self.problems:
            return
        first = len(self.written.ids)
        if self.stacks:
            values = np.stack([stack.patterns for stack in self.stacks])
            self.array[first : first + len(values)] = values
        shard = Shard(
            ids=[stack.id for stack in self.stacks],
            facts=[dict(stack.facts) for stack in self.stacks],
            moments=[_moments(stack) for stack in self.stacks],
            problems=[asdict(problem) for problem in self.problems],
            unit=unit,
            offset=offset,
            before=self.digest(unit + bool(offset)),
        )
        _append(self.journal, asdict(shard))
        self.written.take(shard)
        self.stacks, self.problems = [], []


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


def _produce(unit: Unit) -> Sequence[Stack | Problem]:
    return unit.produce()


def _array(store: ArrayStore, layout: Layout, samples: int) -> Array:
    shape = {"sample": samples, "projection": PROJECTIONS, "y": layout.side, "x": layout.side}
    inner = tuple(shape.values())[1:]
    array = store.group.get(VARIABLE) if store.resume else None
    if isinstance(array, zarr.Array):
        array.resize((samples, *inner))
        return array
    return store.create(
        VARIABLE,
        shape,
        "float32",
        {"units": "1", "long_name": "logarithm of the diffracted intensity, 0 to 255"},
        layout=((layout.chunk, *inner), (layout.shard, *inner)),
        codec=_LZ4,
    )


def _finish(store: ArrayStore, array: Array, layout: Layout, written: Written) -> None:
    """Cut the array to the samples that there are, and write the facts beside it."""
    array.resize((len(written.ids), *array.shape[1:]))
    ids = np.array(written.ids, object)
    store.put(
        "sample", ["sample"], ids, {"long_name": "file and group, or material and energy"}
    )
    for name in layout.facts:
        dims, dtype, notes = FACTS[name]
        shape = (len(written.ids), *(LENGTHS[dim] for dim in dims))
        values = [facts[name] for facts in written.facts]
        kind = object if dtype == "str" else np.dtype(dtype)
        store.put(name, ["sample", *dims], np.array(values, kind).reshape(shape), notes)
    store.close()


def _moments(stack: Stack) -> list[float]:
    seen = Moments()
    seen.add(stack.patterns)
    return [seen.count, seen.mean, seen.squares, seen.low, seen.high]


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
    return json.loads(json.dumps({"layout": asdict(layout), "tool": TOOL}))


def _append(path: Path, document: object) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(document) + "\n")
