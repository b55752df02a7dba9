"""LMDB environments as STEMDL publishes them: raw float16 by key, read and never unpickled.

The library that reads LMDB is written in C and trusts the file. So the length that the file
claims is compared with the length that it has before anything is read, and every value's length
with the shape that all have.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from scidata.datasets.reconstruction.layout import CBED, POTENTIAL, Half, Shape, problem
from scidata.datasets.samples import Sample
from scidata.errors import InvalidError, Problem

MOST_SIDE, MOST_PROBES = 1024, 4096
MOST_BYTES = 2**28
"""Of one value; the published ones have 2**25."""
MOST_ENTRIES = 10_000_000
_MOST_KEY = 64
_KEY = re.compile(rb"(cbed|2d_potential)_(0|[1-9][0-9]{0,8})")
_HALF = np.dtype("<f2")


class Environment:
    """An opened environment; see `opened`."""

    def __init__(self, name: str, held: Any) -> None:  # Any: lmdb has no types
        self.name = name
        self._held = held

    def survey(self) -> tuple[list[int], int, list[Problem]]:
        """List what is in it, by keys alone.

        Returns
        -------
        numbers : list of int
            Of the samples that have both arrays, in order.
        others : int
            Entries that are no part of a sample, such as the six published ones.
        problems : list of Problem
            Arrays without the other.
        """
        seen: dict[str, set[int]] = {CBED: set(), POTENTIAL: set()}
        others = 0
        with self._reading() as transaction:
            if transaction.stat()["entries"] > MOST_ENTRIES:
                raise _refuse(self.name, f"it has more than {MOST_ENTRIES:,} entries")
            for key in transaction.cursor().iternext(keys=True, values=False):
                found = _KEY.fullmatch(key) if len(key) <= _MOST_KEY else None
                if found:
                    seen[found[1].decode()].add(int(found[2]))
                else:
                    others += 1
        alone = sorted(seen[CBED] ^ seen[POTENTIAL])
        return (
            sorted(seen[CBED] & seen[POTENTIAL]),
            others,
            [
                problem(f"{self.name}/{n}", "alone", "it has one of the two arrays")
                for n in alone
            ],
        )

    def shape(self, numbers: Iterable[int]) -> Shape:
        """Find the shape that most of some samples have; values tell their length only."""
        found: Counter[Shape] = Counter()
        with self._reading() as transaction:
            for number in numbers:
                lengths = (
                    len(transaction.get(f"{name}_{number}".encode()) or b"")
                    for name in (CBED, POTENTIAL)
                )
                if shape := _shape(*lengths):
                    found[shape] += 1
        if not found:
            raise _refuse(
                self.name, "no two arrays have the lengths of patterns and a potential"
            )
        return found.most_common(1)[0][0]

    def samples(self, numbers: Iterable[int], shape: Shape) -> Iterator[Sample | Problem]:
        """Read samples one by one; what is wrong with one stands in its place."""
        for number in numbers:
            name = f"{self.name}/{number}"
            try:
                with self._reading() as transaction:
                    yield Sample(
                        id=name,
                        arrays={
                            CBED: _array(transaction, f"{CBED}_{number}", shape.cbed),
                            POTENTIAL: _array(
                                transaction, f"{POTENTIAL}_{number}", shape.potential
                            ),
                        },
                    )
            except (_DamagedError, InvalidError) as error:
                yield problem(name, "damaged", str(error))

    @contextmanager
    def _reading(self) -> Iterator[Any]:  # Any: lmdb has no types
        import lmdb

        try:
            with self._held.begin(buffers=False) as transaction:
                yield transaction
        except lmdb.Error as error:
            raise _refuse(self.name, f"LMDB cannot read it: {error}") from error


class _DamagedError(Exception):
    """What is wrong with a value."""


@contextmanager
def opened(path: Path, name: str) -> Iterator[Environment]:
    """Open an environment for reading; nothing is written beside it, no lock either.

    Parameters
    ----------
    path : Path
        The data file itself.
    name : str
        For messages and ids.

    Raises
    ------
    InvalidError
        If it is none, or is cut off.
    """
    require_lmdb()
    import lmdb

    try:
        held = lmdb.open(str(path), subdir=False, readonly=True, lock=False, readahead=False)
    except lmdb.Error as error:
        raise _refuse(name, f"it is no LMDB environment: {error}") from error
    try:
        wanted = (held.info()["last_pgno"] + 1) * held.stat()["psize"]
        there = path.stat().st_size
        if there < wanted:
            # The library maps the file: reading what is not there would end the process.
            raise _refuse(name, f"it is cut off: {there:,} bytes of {wanted:,}")
        yield Environment(name, held)
    finally:
        held.close()


def require_lmdb() -> None:
    """Raise `InvalidError` unless LMDB can be read."""
    if find_spec("lmdb") is None:
        raise InvalidError(
            "LMDB is read with lmdb, which is not installed",
            where="stemdl-reconstruction",
            fix='pip install "fair-scidata[stem]"',
        )


def write_environment(path: Path, samples: Iterable[Sample], others: int = 6) -> None:
    """Write samples as published, with as many entries that are none."""
    require_lmdb()
    import lmdb

    path.parent.mkdir(parents=True, exist_ok=True)
    held = list(samples)
    arrays = [array for sample in held for array in sample.arrays.values()]
    size = sum(array.nbytes + 2**13 for array in arrays) + 2**20
    with (
        lmdb.open(str(path), subdir=False, map_size=2 * size, lock=False) as environment,
        environment.begin(write=True) as transaction,
    ):
        for number, sample in enumerate(held):
            for name, array in sample.arrays.items():
                transaction.put(f"{name}_{number}".encode(), array.tobytes())
        for number in range(others):
            transaction.put(f"other_{number}".encode(), b"{}")


def _shape(cbed: int, potential: int) -> Shape | None:
    side = isqrt(potential // _HALF.itemsize)
    area = side * side * _HALF.itemsize
    if not 0 < side <= MOST_SIDE or area != potential or cbed % area:
        return None
    probes = cbed // area
    return Shape(probes=probes, side=side) if 0 < probes <= MOST_PROBES else None


def _array(transaction: Any, key: str, shape: tuple[int, ...]) -> Half:  # Any: no types
    value = transaction.get(key.encode())
    wanted = int(np.prod(shape)) * _HALF.itemsize
    if value is None or len(value) != wanted or wanted > MOST_BYTES:
        got = "nothing" if value is None else f"{len(value):,} bytes"
        raise _DamagedError(f"{key} has {got}, not {wanted:,} bytes")
    found = np.frombuffer(value, _HALF).reshape(shape)
    if not np.isfinite(found).all():
        raise _DamagedError(f"{key} has values that are not finite")
    return found


def _refuse(name: str, message: str) -> InvalidError:
    found = problem(name, "lmdb", message)
    return InvalidError.listing([found], where=name, fix=found.fix)
