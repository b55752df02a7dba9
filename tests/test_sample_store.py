"""A store of samples: what an earlier build left in it changes no byte of the next one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

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


def write(folder: Path, *units: Numbers) -> Written:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    return write_samples(folder / "data", LAYOUT, units, lambda share: None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param((range(6),), ((7,),), id="others"),
        pytest.param((range(6), range(6, 12)), (range(6), (7,)), id="fewer behind the same"),
        pytest.param((range(6), (7,)), (range(6), range(6, 12)), id="more behind the same"),
        pytest.param((range(9),), (range(9), (-1, 9)), id="one that cannot be used"),
    ],
)
def test_a_build_over_another_one_gives_the_bytes_of_one_from_nothing(
    before: Sequence[Sequence[int]], after: Sequence[Sequence[int]], tmp_path: Path
) -> None:
    first, second = ([Numbers(tuple(values)) for values in each] for each in (before, after))
    write(tmp_path / "over", *first)
    over, anew = write(tmp_path / "over", *second), write(tmp_path / "anew", *second)
    assert (over.ids, over.problems) == (anew.ids, anew.problems)
    assert files_of(tmp_path / "over/data") == files_of(tmp_path / "anew/data")
