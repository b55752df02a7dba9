"""Checking a record or a staged dataset lists every problem."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr

from scidata.check import check
from scidata.errors import InvalidError, NotFoundError
from scidata.measure import measure
from tests.checked import change_record, found


def test_a_sound_dataset_has_no_error(staged: Path) -> None:
    checked = check(staged)
    assert checked.errors == ()
    assert checked.staged
    assert checked.record is not None


def test_a_folder_without_a_record_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no record\.yaml"):
        check(tmp_path)


def test_a_record_without_data_is_named(staged: Path) -> None:
    (staged / "data").rename(staged / "elsewhere")
    assert found(check(staged)) == [("no-data", "data")]


def test_problems_of_the_record_and_of_the_folder_come_together(staged: Path) -> None:
    (staged / "data").rename(staged / "elsewhere")
    checked = change_record(staged, lambda fields: fields.update(id="A"))
    assert found(checked) == [("id-form", "id"), ("no-data", "data")]


def test_variables_that_the_data_lack_or_contradict_are_named(staged: Path) -> None:
    def change(fields: dict[str, Any]) -> None:
        fields["variables"][0]["units"] = "m"
        fields["variables"][1]["name"] = "label"
        fields["variables"][2]["asset"] = "tables"

    checked = change_record(staged, change)
    assert found(checked) == [
        ("variable-differs", "variables[0].units"),
        ("variable-missing", "variables[1].name"),
        ("asset-missing", "variables[2].asset"),
    ]
    assert checked.errors[0].message == "'m' here, '1' in asset 'array'"
    assert "frequency, sample" in checked.errors[1].fix


def test_variables_without_description_or_units_are_warnings(staged: Path) -> None:
    def change(fields: dict[str, Any]) -> None:
        del fields["variables"][2]["units"]

    checked = change_record(staged, change)
    assert checked.errors == ()
    warnings = [(problem.code, problem.path) for problem in checked.warnings]
    assert ("recommended", "variables[2].units") in warnings
    assert ("undescribed", "variables") in warnings


def test_a_store_or_table_that_cannot_be_read_is_named(staged: Path) -> None:
    (staged / "data" / "array.zarr" / "zarr.json").write_text("{")
    (staged / "data" / "table.parquet").write_bytes(b"PAR1")
    codes = [path for code, path in found(check(staged)) if code == "asset"]
    assert codes == ["data/array.zarr", "data/table.parquet"]


def test_a_table_without_a_file_is_named(staged: Path) -> None:
    (staged / "data" / "empty.parquet").mkdir()
    assert found(check(staged)) == [("staged-path", "data/empty.parquet")]


def clear_data(data: Path) -> None:
    shutil.rmtree(data)
    data.mkdir()


def pipe_for_part(data: Path) -> None:
    part = data / "splits" / "sample" / "train.txt"
    part.unlink()
    os.mkfifo(part)


REFUSED: dict[str, Callable[[Path], object]] = {
    "data": clear_data,
    "data/link": lambda data: (data / "link").symlink_to("table.parquet"),
    "data/pipe": lambda data: os.mkfifo(data / "pipe"),
    "data/splits/sample/train.txt": pipe_for_part,
    "data/none": lambda data: (data / "none").mkdir(),
    "data/a:b": lambda data: (data / "a:b").write_text(""),
    "data/a.csv": lambda data: (
        (data / "a.csv").write_text(""),
        (data / "A.csv").write_text(""),
    ),
    "data/a.txt": lambda data: (
        (data / "a.csv").write_text(""),
        (data / "a.txt").write_text(""),
    ),
    "data/.hidden": lambda data: (data / ".hidden").write_text(""),
    "data/array.zarr": lambda data: (data / "array.zarr/zarr.json").unlink(),
    "data/table.parquet": lambda data: (data / "table.parquet").write_bytes(b"PAR1"),
}


@pytest.mark.parametrize("path", REFUSED)
def test_everything_that_publishing_refuses_is_named_once(staged: Path, path: str) -> None:
    REFUSED[path](staged / "data")
    named = [problem.path for problem in check(staged).errors]
    assert named.count(path) == 1
    with pytest.raises(InvalidError):
        measure(staged, dataset="tiny", version="1.0.0", created="2026-01-02T03:04:05Z")


def test_the_data_are_looked_at_though_the_record_has_errors(staged: Path) -> None:
    (staged / "data" / "empty").mkdir()
    checked = change_record(staged, lambda fields: fields.update(id="A"))
    assert found(checked) == [("id-form", "id"), ("staged-path", "data/empty")]
    shutil.rmtree(staged / "data")
    (staged / "data").mkdir()
    (problem,) = (p for p in check(staged).errors if p.path == "data")
    assert problem.fix == "put the files into it"
    store = zarr.open_group(staged / "data/old.zarr", mode="w", zarr_format=2)
    store.create_array("x", shape=(3,), dtype="f4")
    (staged / "data/Zürich.csv").write_text("height\n1\n")
    problems = {p.path: p for p in check(staged).problems}
    assert "drop_encoding().to_zarr(NEW, zarr_format=3" in problems["data/old.zarr"].fix
    assert "use A to Z, a to z, digits" in problems["data/Zürich.csv"].message
    assert [p.code for p in check(staged).problems].count("not-looked-into") == 0
    assert "not compared" in checked.warnings[-1].message


def test_variables_of_a_form_that_is_not_looked_into_are_believed(staged: Path) -> None:
    (staged / "data" / "notes.csv").write_text("height\n1\n")

    def change(fields: dict[str, Any]) -> None:
        fields["variables"][0] |= {"name": "height", "asset": "notes"}
        fields["splits"][0]["asset"] = "notes"

    checked = change_record(staged, change)
    assert checked.errors == ()
    (staged / "data" / "more.csv.gz").touch()
    (staged / "data" / "cut.nc").write_bytes(b"\x89HDF")
    (staged / "data" / "picture.tif").touch()
    (staged / "data" / "rows.parquet").mkdir()
    for name in ("0.parquet", "_SUCCESS"):
        (staged / "data" / "rows.parquet" / name).touch()
    with h5py.File(staged / "data" / "scene.h5", "w") as file:
        file["refs"] = [1.0]
    with h5py.File(staged / "data" / "typed.h5", "w") as file:
        file["type"] = np.dtype("f8")  # committed under a name
    warnings = {p.path: p for p in check(staged).warnings if p.code == "not-looked-into"}
    assert "such as '_SUCCESS'" in warnings.pop("data/rows.parquet").message
    assert {path: warning.fix.partition("; ")[2] for path, warning in warnings.items()} == {
        "data/notes.csv": "to_pandas reads it, and streams do not",
        "data/more.csv.gz": "to_pandas reads it, and streams do not",
        "data/cut.nc": "it is published as it is",
        "data/typed.h5": "it is published as it is",
        "data/picture.tif": "readers fetch it with scidata pull",
        "data/scene.h5": "to_xarray reads it, and scidata show lists it",
    }
    assert "NetCDF-3, empty, damaged" in warnings["data/cut.nc"].message


def test_samples_of_a_form_that_is_not_streamed_are_named(staged: Path) -> None:
    (staged / "data" / "notes.csv").write_text("height\n1\n")

    def change(fields: dict[str, Any]) -> None:
        del fields["variables"]
        fields["samples"] = SAMPLES | {"asset": "notes"}

    checked = change_record(staged, change)
    assert found(checked) == [("asset-kind", "samples.asset")]
    assert (
        checked.errors[0].message
        == "'data/notes.csv' is no Zarr v3 store, Parquet table or file in HDF5"
    )


SAMPLES = {
    "asset": "array",
    "each": ["sample"],
    "windows": [{"dimension": "channel", "size": 3}],
    "inputs": ["wave"],
    "targets": ["wave"],
}


def add_sample_variable(fields: dict[str, Any]) -> None:
    note = {"name": "sample", "asset": "array", "description": "Sample number.", "units": "1"}
    fields["variables"].append(note)


def test_samples_that_fit_the_data_pass(staged: Path) -> None:
    assert found(change_record(staged, lambda fields: fields.update(samples=SAMPLES))) == []


@pytest.mark.parametrize(
    ("wrong", "code", "path"),
    [
        ({"asset": "table", "inputs": ["frequency"], "targets": ["frequency"]}, "sample-dims",
         "samples.inputs[0]"),
        ({"windows": [{"dimension": "nowhere", "size": 1}]}, "sample-dims",
         "samples.windows[0].dimension"),
        ({"each": ["nowhere"]}, "sample-dims", "samples.inputs[0]"),
        ({"each": ["sample", "nowhere"]}, "sample-dims", "samples.each[1]"),
        ({"joins": [{"by": "wave", "asset": "cells", "variables": ["x"]}]}, "asset-missing",
         "samples.joins[0].asset"),
        ({"joins": [{"by": "cell", "asset": "table", "variables": ["frequency"]}]},
         "variable-missing", "samples.joins[0].by"),
        ({"joins": [{"by": "wave", "asset": "table", "variables": ["x"]}]}, "variable-missing",
         "samples.joins[0].variables[0]"),
        ({"windows": [{"dimension": "channel", "size": 4}]}, "sample-window",
         "samples.windows[0].size"),
    ],
)  # fmt: skip
def test_samples_that_do_not_fit_the_data_are_named(
    staged: Path,
    wrong: dict[str, Any],  # Any: YAML at the edge
    code: str,
    path: str,
) -> None:
    def change(fields: dict[str, Any]) -> None:
        add_sample_variable(fields)
        fields["samples"] = SAMPLES | wrong

    assert (code, path) in found(change_record(staged, change))


def test_samples_of_an_asset_that_is_not_there_are_named(staged: Path) -> None:
    def change(fields: dict[str, Any]) -> None:
        del fields["variables"]
        fields["samples"] = SAMPLES | {"asset": "images"}

    assert found(change_record(staged, change)) == [("asset-missing", "samples.asset")]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"assets": []}', '{"assets": {"array": {"over": 1}}}', "[" * 100_000,
     '{"assets": {"array": {"over": [], "variables": {"wave": {}}}}}',
     '{"assets": {"array": {"over": "sample/train", "variables": {"height": {}}}}}',
     '{"assets": {"array": {"over": "sample/night", "variables": {"wave": {}}}}}'],
)  # fmt: skip
def test_statistics_of_what_is_not_there_are_named(staged: Path, text: str) -> None:
    (staged / "data" / "statistics.json").write_text(text)
    assert found(check(staged)) == [("statistics", "data/statistics.json")]
    message = check(staged).problems[0].message
    assert "Error" not in message  # in words, not in Python's
