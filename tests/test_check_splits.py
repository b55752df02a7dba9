"""Checking splits: each part is a sorted list of ids that the data have; no id is in two."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from scidata.check import check
from scidata.check.ids import read_labels, unknown_ids
from scidata.measure import survey
from tests.checked import change_record, change_split, found


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        (lambda text: text + "0000\n", "split-part", "splits[0].parts[0]"),
        (lambda text: "0009\n" + text, "split-part", "splits[0].parts[0]"),
        (lambda text: text.rstrip(), "split-part", "splits[0].parts[0]"),
        (lambda text: "", "split-part", "splits[0].parts[0]"),
        (lambda text: text + "0017\n", "split-overlap", "splits[0].parts"),
        (lambda text: text + "0100\n", "split-unknown-id", "splits[0].parts[0]"),
    ],
    ids=["repeated", "unsorted", "cut off", "empty", "overlapping", "unknown"],
)
def test_a_part_that_is_no_list_of_its_own_sorted_ids_is_named(
    staged: Path, change: Callable[[str], str], code: str, path: str
) -> None:
    assert (code, path) in found(change_split(staged, change))


@pytest.mark.parametrize(
    ("values", "units", "good", "bad"),
    [
        ([0, 14, 28], "days since 1950-01-04", ["1950-01-18", "1950-02-01"], "1950-01-19"),
        ([0.0, 0.5], "days since 1950-01-04", ["1950-01-04", "1950-01-04T12:00:00Z"], "noon"),
        ([0, 60], "minutes since 2000-01-01 00:00", ["2000-01-01T01:00"], "2000-01-01T02:00"),
        ([7, 40, 2399], "1", ["0007", "2399", "40"], "-7"),
    ],
    ids=["days", "halves of days", "minutes", "numbers"],
)
def test_ids_are_compared_with_the_coordinate_they_are_of(
    tmp_path: Path, values: list[float], units: str, good: list[str], bad: str
) -> None:
    group = zarr.open_group(str(tmp_path / "data" / "grid.zarr"), mode="w", zarr_format=3)
    array = group.create_array(
        "key", data=np.asarray(values), dimension_names=("key",), attributes={"units": units}
    )
    assert array.shape == (len(values),)
    surveyed = survey(tmp_path)
    assert surveyed.problems == ()
    assets = surveyed.variables
    labels = read_labels("key", staged=tmp_path, assets=assets)
    assert unknown_ids(good, labels) == []
    assert unknown_ids([*good, bad], labels) == [bad]
    assert read_labels("day", staged=tmp_path, assets=assets) == []


def test_a_coordinate_that_cannot_be_decoded_is_named(staged: Path) -> None:
    for chunk in (staged / "data" / "array.zarr" / "sample" / "c").iterdir():
        chunk.write_bytes(b"damaged")
    assert found(check(staged)) == [("split-dimension", "splits[0].dimension")]


def test_a_coordinate_that_claims_to_be_huge_is_not_read(staged: Path) -> None:
    for path in (
        staged / "data/array.zarr/zarr.json",
        staged / "data/array.zarr/sample/zarr.json",
    ):
        text = re.sub(
            r'"chunk_shape":\s*\[\s*24\s*\]', '"chunk_shape": [99999999999]', path.read_text()
        )
        path.write_text(text)
    (problem,) = check(staged).errors
    assert problem.code == "split-dimension"
    assert "takes more than" in problem.message


def test_ids_are_compared_with_the_column_they_are_of(staged: Path) -> None:
    assets = survey(staged).variables
    table = {key: assets[key] for key in assets if key == "table"}
    labels = read_labels("sample", staged=staged, assets=table)
    assert unknown_ids(["0000", "0023"], labels) == []
    assert unknown_ids(["0", "24"], labels) == ["0", "24"]


def test_ids_are_compared_with_the_asset_that_the_split_is_of(staged: Path) -> None:
    def change(fields: dict[str, Any]) -> None:
        fields["splits"][0]["asset"] = "table"

    folder = staged / "data" / "splits" / "sample"
    # The array store knows numbers, so it would take both spellings; the table's are text.
    folder.joinpath("validation.txt").write_text("0016\n17\n")
    assert found(check(staged)) == []
    assert found(change_record(staged, change)) == [("split-unknown-id", "splits[0].parts[1]")]


def test_a_split_of_an_asset_that_is_not_there_is_named(staged: Path) -> None:
    checked = change_record(staged, lambda fields: fields["splits"][0].update(asset="tables"))
    assert found(checked) == [("asset-missing", "splits[0].asset")]


def test_two_ids_of_one_entry_are_named(staged: Path) -> None:
    problems = change_split(staged, lambda text: "000\n" + text).errors
    assert [(p.code, p.path) for p in problems] == [("split-repeated-id", "splits[0].parts[0]")]
    assert "'000' and '0000'" in problems[0].message


def test_parts_without_a_file_and_files_without_a_part_are_named(staged: Path) -> None:
    folder = staged / "data" / "splits" / "sample"
    (folder / "train.txt").rename(folder / "training.txt")
    checked = check(staged)
    assert ("split-part", "splits[0].parts[0]") in found(checked)
    assert ("split-undescribed", "data/splits/sample/training.txt") in found(checked)


def test_a_split_along_an_unknown_dimension_is_a_warning(staged: Path) -> None:
    checked = change_record(staged, lambda fields: fields["splits"][0].update(dimension="day"))
    assert checked.errors == ()
    assert ("split-dimension", "splits[0].dimension") in [
        (problem.code, problem.path) for problem in checked.warnings
    ]
