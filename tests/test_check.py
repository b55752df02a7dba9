"""Checking a record or a staged dataset lists every problem; a new record is filled in."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import yaml
import zarr

from scidata.check import Checked, check
from scidata.check.ids import read_labels, unknown_ids
from scidata.cli import main
from scidata.errors import InvalidError, NotFoundError
from scidata.measure import measure, survey

Change = Callable[[dict[str, Any]], object]  # Any: YAML at the edge


def change_record(staged: Path, change: Change) -> Checked:
    """Check the dataset after a change of its record's fields."""
    path = staged / "record.yaml"
    fields = yaml.safe_load(path.read_bytes())
    change(fields)
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return check(staged)


def change_split(staged: Path, change: Callable[[str], str]) -> Checked:
    """Check the dataset after a change of its training part."""
    path = staged / "data" / "splits" / "sample" / "train.txt"
    path.write_text(change(path.read_text()))
    return check(staged)


def found(checked: Checked) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in checked.errors]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    assert isinstance(end.value.code, int)
    return end.value.code


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


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_record_that_may_not_be_read_exits_6(staged: Path) -> None:
    (staged / "record.yaml").chmod(0)
    assert run("check", str(staged)) == 6


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


def test_the_command_names_every_problem_and_exits_4(
    staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_record(staged, lambda fields: fields.update(id="A", license="MIT License"))
    assert run("check", str(staged)) == 4
    out = capsys.readouterr().out
    assert "error id: 'A' is not a dataset id [id-form]" in out
    assert "error license: 'MIT License' is not an SPDX licence id [spdx-unknown]" in out
    assert "2 errors" in out.splitlines()[-1]


def test_warnings_fail_only_when_they_shall(
    staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", str(staged)) == 0
    assert "ok, 0 errors" in capsys.readouterr().out
    assert run("check", str(staged), "--strict") == 4


def test_the_command_prints_one_json_document(
    staged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_split(staged, lambda text: text.replace("0003\n", "") + "0017\n")
    assert run("check", str(staged), "--json") == 4
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "scidata-check/1"
    assert document["dataset"] == "tiny"
    assert not document["passed"]
    assert document["errors"] == 1
    assert document["problems"][0]["code"] == "split-overlap"
    assert document["problems"][0]["path"] == "splits[0].parts"


def test_the_command_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "--schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Record"


def test_nothing_to_check_is_a_usage_error() -> None:
    assert run("check") == 2


def test_an_absent_file_exits_3(tmp_path: Path) -> None:
    assert run("check", str(tmp_path / "absent.yaml")) == 3


def test_a_new_record_is_listed_as_to_be_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("init", "waves") == 0
    assert capsys.readouterr().out == "wrote waves/record.yaml\n"
    assert run("check", "waves/record.yaml", "--json") == 4
    codes = {problem["code"] for problem in json.loads(capsys.readouterr().out)["problems"]}
    assert codes == {"to-fill-in"}


def test_a_record_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "record.yaml"
    path.write_text("precious")
    assert run("init", "waves", "--out", str(path)) == 7
    assert path.read_text() == "precious"


def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "record.yaml"
    assert run("init", "waves", "--out", str(path), "--dry-run") == 0
    assert "id: waves" in capsys.readouterr().out
    assert run("init", "waves", "--out", str(path), "--dry-run", "--json") == 0
    assert not json.loads(capsys.readouterr().out)["written"]
    assert not path.parent.exists()


def test_a_name_that_is_no_id_exits_4(tmp_path: Path) -> None:
    assert run("init", "../waves", "--out", str(tmp_path / "record.yaml")) == 4
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_exits_6(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run("init", "waves", "--out", str(tmp_path / "file" / "record.yaml")) == 6


def test_a_full_disk_leaves_no_half_record(tmp_path: Path) -> None:
    script = "import resource, sys; from scidata.cli import main; "
    script += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    script += "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); main(sys.argv[1:])"
    arguments = ["init", "waves", "--out", str(tmp_path / "record.yaml")]
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, *arguments], check=False, capture_output=True
    )
    assert done.returncode == 6, done.stderr.decode()
    assert list(tmp_path.iterdir()) == []
