"""Building: whole or not at all, the same bytes each time, and a record of what was found."""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import xarray as xr
from click.testing import CliRunner

from scidata.building import build
from scidata.check import check
from scidata.cli import cli, main
from scidata.datasets import RECIPES
from scidata.errors import ConflictError, InvalidError, NotFoundError, StorageError
from scidata.record import load_record
from tests.samples import files_of

NOW = datetime(2026, 11, 1, tzinfo=UTC)
HEADER = "id,time,latitude,longitude,depth,mag,magType,type,quality"
ROW = "ci1,1992-06-28T11:57:34.13Z,34.2,-116.437,1.1,7.3,w,eq,A"
BLAST = "ci2,1992-07-28T20:00:00Z,34.2,-116.437,0,1.3,l,qb,A"


@pytest.fixture
def little(tmp_path: Path) -> Path:
    """A catalogue of two events, too short for fortnights."""
    path = tmp_path / "little.csv"
    path.write_text(f"{HEADER}\n{ROW}\n{BLAST}\n")
    return path


@pytest.fixture(scope="module")
def decade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten years of events in a corner of the region, in no order."""
    path = tmp_path_factory.mktemp("decade") / "decade.csv"
    path.write_text("\n".join([HEADER, *_decade_rows()]) + "\n")
    return path


def _decade_rows() -> Iterator[str]:
    choose = random.Random(1)  # noqa: S311 - a fixed catalogue, no secret
    start = datetime(1990, 1, 2, tzinfo=UTC)
    numbers = list(range(3000))
    choose.shuffle(numbers)
    for n in numbers:
        when = start + timedelta(days=n * 1.215, seconds=choose.randrange(80_000))
        place = f"{choose.uniform(34, 34.4):.3f},{-choose.uniform(117, 117.5):.3f}"
        size = f"{choose.uniform(0, 20):.1f},{2 + choose.expovariate(1.2):.2f}"
        kind = choose.choice(("eq", "eq", "qb"))
        yield f"ci{n},{when:%Y-%m-%dT%H:%M:%S}Z,{place},{size},l,{kind},A"


def test_the_help_has_a_line_for_every_dataset_that_can_be_built() -> None:
    shown = CliRunner().invoke(cli, ["build", "--help"]).stdout
    assert "\\b" not in shown
    table = {line.split()[0] for line in shown.splitlines() if line.strip()}
    assert table >= RECIPES.keys()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["build", "tevolop", *arguments])
    return int(stopped.value.code or 0)


def test_the_same_build_gives_the_same_bytes(decade: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        build("tevolop", decade, tmp_path / name, now=NOW)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_shuffled_rows_give_the_same_data(decade: Path, tmp_path: Path) -> None:
    header, *rows = decade.read_text().splitlines()
    ordered = tmp_path / "ordered.csv"
    ordered.write_text("\n".join([header, *sorted(rows)]) + "\n")
    build("tevolop", decade, tmp_path / "a", now=NOW)
    build("tevolop", ordered, tmp_path / "b", now=NOW)
    assert files_of(tmp_path / "a/data") == files_of(tmp_path / "b/data")


def test_a_decade_has_samples_in_every_part_and_names_the_leak(
    decade: Path, tmp_path: Path
) -> None:
    build("tevolop", decade, str(tmp_path / "out"), now=NOW)
    assert check(tmp_path / "out").errors == ()
    assert all(path.read_text() for path in (tmp_path / "out/data/splits").rglob("*.txt"))
    record = load_record(tmp_path / "out/record.yaml")
    by_name = {rule.name: rule for rule in record.splits}
    assert "too short" in str(by_name["time"].leaks)


@pytest.mark.parametrize(
    ("quirks", "assets"),
    [
        ("none", {"fortnights"}),
        ("published", {"fortnights-published"}),
    ],
)
def test_one_kind_of_fortnights_can_be_chosen(
    decade: Path, tmp_path: Path, quirks: str, assets: set[str]
) -> None:
    built = build("tevolop", decade, tmp_path / "out", options={"quirks": quirks}, now=NOW)
    assert set(built.assets) == {"events", "grid", *assets}
    assert check(tmp_path / "out").errors == ()
    record = load_record(tmp_path / "out/record.yaml")
    assert {rule.asset for rule in record.splits} == assets
    time = next(rule for rule in record.splits if rule.name == "time")
    assert ("chosen over all times" in str(time.leaks)) == (quirks == "published")
    samples = load_record(tmp_path / "out/record.yaml").samples
    assert samples is not None
    assert {samples.asset} == assets


def test_a_short_catalogue_builds_events_and_grid_and_says_why_no_more(
    little: Path, tmp_path: Path
) -> None:
    built = build("tevolop", little, tmp_path / "out", now=NOW)
    assert built.assets == ("events", "grid")
    assert check(tmp_path / "out").errors == ()
    record = load_record(tmp_path / "out/record.yaml")
    assert record.splits == ()
    assert record.samples is None
    assert any("too few" in step.activity for step in record.provenance.steps)


def test_quarry_blasts_are_in_the_table_and_not_in_the_grid(
    little: Path, tmp_path: Path
) -> None:
    build("tevolop", little, tmp_path / "out", now=NOW)
    kinds = pq.read_table(tmp_path / "out/data/events.parquet")["event_type"].to_pylist()
    assert kinds == ["eq", "qb"]
    grid_ = xr.open_zarr(tmp_path / "out/data/grid.zarr")
    assert int(grid_["multiplicity"].sum()) == 1
    day = grid_["multiplicity"].sum(("y", "x")).argmax("time")
    assert str(grid_["time"].values[int(day)])[:10] == "1992-06-28"


def test_a_comcat_source_is_cited_as_such(tmp_path: Path) -> None:
    source = tmp_path / "query.csv"
    source.write_text(
        "time,latitude,longitude,depth,mag,magType,net,id,updated,place,type\n"
        "2019-07-06T03:19:53.040Z,35.7,-117.6,8,7.1,mw,ci,ci38457511,2023-05-05,CA,earthquake\n"
    )
    build("tevolop", source, tmp_path / "out", now=NOW)
    record = load_record(tmp_path / "out/record.yaml")
    assert [creator.full_name for creator in record.creators] == ["U.S. Geological Survey"]
    assert record.provenance.sources[0].doi == "10.5066/f7ms3qzh"


def test_the_same_build_again_is_done_already(little: Path, tmp_path: Path) -> None:
    first = build("tevolop", little, tmp_path / "out", now=NOW)
    before = files_of(tmp_path / "out")
    again = build("tevolop", little, tmp_path / "out", now=NOW)
    assert (first.written, again.written, again.already) == (True, False, True)
    assert files_of(tmp_path / "out") == before


@pytest.mark.parametrize("change", ["source", "option", "other", "file"])
def test_a_folder_that_holds_something_else_is_left_alone(
    little: Path, tmp_path: Path, change: str
) -> None:
    out = tmp_path / "out"
    options = {"quirks": "both"}
    build("tevolop", little, out, now=NOW)
    if change == "source":
        little.write_text(f"{HEADER}\n{ROW}\n")
    elif change == "option":
        options = {"quirks": "none"}
    elif change == "other":
        shutil.rmtree(out)
        out.mkdir()
        (out / "thesis.txt").write_text("years of work")
    else:
        shutil.rmtree(out)
        out.write_text("years of work")
    before = files_of(out) if out.is_dir() else out.read_bytes()
    with pytest.raises(ConflictError, match="out") as caught:
        build("tevolop", little, out, options=options, now=NOW)
    assert "--out" in caught.value.fix
    assert (files_of(out) if out.is_dir() else out.read_bytes()) == before


def test_an_empty_folder_is_filled(little: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    build("tevolop", little, tmp_path / "out", now=NOW)
    assert (tmp_path / "out/record.yaml").is_file()


def test_a_bad_source_leaves_nothing_behind(little: Path, tmp_path: Path) -> None:
    little.write_text(f"{HEADER}\n{ROW}\n{BLAST.replace('34.2', '342')}\n")
    with pytest.raises(InvalidError, match="1 problem in its rows"):
        build("tevolop", little, tmp_path / "deep/out", now=NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["little.csv"]


def test_a_dry_run_reads_everything_and_writes_nothing(little: Path, tmp_path: Path) -> None:
    built = build("tevolop", little, tmp_path / "out", dry_run=True, now=NOW)
    assert (built.written, built.counts["kept"]) == (False, 2)
    assert not (tmp_path / "out").exists()
    little.write_text(f"{HEADER}\n{ROW.replace('7.3', '73')}\n")
    with pytest.raises(InvalidError):
        build("tevolop", little, tmp_path / "out", dry_run=True, now=NOW)


def test_unknown_names_options_and_sources_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nosuch") as caught:
        build("nosuch", None, tmp_path / "out")
    assert "tevolop" in caught.value.fix
    with pytest.raises(InvalidError, match="quirks='some'"):
        build("tevolop", None, tmp_path / "out", options={"quirks": "some"})
    with pytest.raises(InvalidError, match="speed"):
        build("tevolop", None, tmp_path / "out", options={"speed": "high"})
    with pytest.raises(NotFoundError, match="gone"):
        build("tevolop", tmp_path / "gone", tmp_path / "out")


def test_options_of_a_bucket_are_refused_for_a_folder(little: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="for a bucket"):
        build("tevolop", little, tmp_path / "staged", anonymous=True)


def test_an_out_that_cannot_be_made_is_a_storage_error(little: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="little"):
        build("tevolop", little, little / "out", now=NOW)


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(
    decade: Path, tmp_path: Path
) -> None:
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "from scidata.cli import main; main(sys.argv[1:])"
    )
    out = tmp_path / "out"
    arguments = ["build", "tevolop", "--source", str(decade), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 6, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "remedy"), [(28, "free some space"), (13, "where you may")])
def test_only_a_full_disk_asks_for_space(
    decade: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match="cannot be written") as caught:
        build("tevolop", decade, tmp_path / "out")
    assert remedy in caught.value.fix


@pytest.mark.slow
def test_a_killed_build_leaves_nothing_visible_and_the_next_one_cleans_up(
    tmp_path: Path,
) -> None:
    out = tmp_path / "tevolop"
    command = [sys.executable, "-m", "scidata.cli", "build", "tevolop", "--out", str(out)]
    script = "import sys; from scidata.cli import main; main(sys.argv[1:])"
    command[1:3] = ["-c", script]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".tevolop-*.partial/data/grid.zarr")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not out.exists()
    assert list(tmp_path.glob(".tevolop-*.partial"))
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["tevolop"]


def test_the_command_line_prints_one_document(
    little: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--source", str(little), "--out", str(tmp_path / "out"), "--json")
    assert run(*arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "scidata-build/1"
    assert document["counts"]["blasts"] == 1
    assert run(*arguments) == 0
    assert json.loads(capsys.readouterr().out)["already"] is True


def test_the_command_line_lists_bad_rows_and_exits_4(
    little: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    little.write_text(
        f"{HEADER}\n{ROW.replace('34.2', '91')}\n{BLAST.replace('1992', '2992')}\n"
    )
    assert run("--source", str(little), "--out", str(tmp_path / "out")) == 4
    shown = capsys.readouterr().err
    assert "little.csv:2" in shown
    assert "'91'" in shown
    assert "little.csv:3" in shown
    assert "future" in shown


def test_the_command_line_says_that_the_data_ship_with_scidata(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--dry-run", "--out", str(tmp_path / "out")) == 0
    shown = capsys.readouterr().out
    assert "ships with scidata" in shown
    assert "would write" in shown


def test_importing_build_loads_no_heavy_library() -> None:
    code = (
        "import sys, scidata.building, scidata.cli.build;"
        "bad = {'numpy', 'zarr', 'pyarrow', 'xarray', 'torch', 'pandas'} & set(sys.modules);"
        "sys.exit(', '.join(bad) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
