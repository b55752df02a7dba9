"""A store of samples: what an earlier build left in it changes no byte of the next one."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from scidata.datasets import sample_store
from scidata.datasets.sample_store import Written, write_samples
from scidata.datasets.samples import Layout, Sample, Variable
from scidata.errors import Problem
from tests.samples import files_of

LAYOUT = Layout(
    asset="numbers",
    title="Numbers",
    dimension="sample",
    naming="Number",
    variables={"value": Variable(shape={"x": 2}, dtype="int64", attributes={})},
    facts={},
    chunk=1,
    shard=4,
)


@dataclass(frozen=True)
class Numbers:
    """Samples with these values; what is below zero cannot be used."""

    values: tuple[int, ...]

    @property
    def stamp(self) -> str:
        return repr(self.values)

    @property
    def count(self) -> int:
        return len(self.values)

    def produce(self) -> Sequence[Sample | Problem]:
        return [
            Sample(id=str(value), arrays={"value": np.full(2, value)})
            if value >= 0
            else Problem(code="below", path=str(value), message="is below 0", fix="lift it")
            for value in self.values
        ]


def write(folder: Path, *units: Numbers, layout: Layout = LAYOUT) -> Written:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    return write_samples(folder / "data", layout, units, lambda share: None)


@pytest.mark.parametrize(
    "builds",
    [
        pytest.param(((range(6),), ((7,),)), id="others"),
        pytest.param(((range(6), range(6, 12)), (range(6), (7,))), id="fewer behind the same"),
        pytest.param(((range(6), (7,)), (range(6), range(6, 12))), id="more behind the same"),
        pytest.param(((range(9),), (range(9), (-1, 9))), id="one that cannot be used"),
        pytest.param(
            ((range(6),), (range(6), range(6, 12)), (range(6), (-1,))),
            id="fewer after more behind the same",
        ),
        pytest.param(
            ((range(6), range(6, 12)), (range(6), range(20, 26)), (range(6), range(6, 12))),
            id="back to the first",
        ),
    ],
)
def test_a_build_over_other_ones_gives_the_bytes_of_one_from_nothing(
    builds: Sequence[Sequence[Sequence[int]]], tmp_path: Path
) -> None:
    *before, last = ([Numbers(tuple(values)) for values in each] for each in builds)
    for units in before:
        write(tmp_path / "over", *units)
    over, anew = write(tmp_path / "over", *last), write(tmp_path / "anew", *last)
    assert (over.ids, over.problems) == (anew.ids, anew.problems)
    assert files_of(tmp_path / "over/data") == files_of(tmp_path / "anew/data")


@pytest.mark.parametrize("change", ["layout", "release", "store"])
def test_a_journal_of_another_layout_release_or_lost_store_is_not_believed(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Numbers(tuple(range(6)))

    def otherwise(numbers: Numbers) -> list[Sample]:
        return [Sample(id=str(v), arrays={"value": np.full(2, -v)}) for v in numbers.values]

    with monkeypatch.context() as earlier:
        earlier.setattr(Numbers, "produce", otherwise)
        if change == "release":
            earlier.setattr(sample_store, "TOOL", "scidata 0")
        other = replace(LAYOUT, title="Other") if change == "layout" else LAYOUT
        write(tmp_path / "over", unit, layout=other)
    if change == "store":
        shutil.rmtree(tmp_path / "over/data")
    write(tmp_path / "over", unit)
    write(tmp_path / "anew", unit)
    assert files_of(tmp_path / "over/data") == files_of(tmp_path / "anew/data")
