"""Building from the benchmark's own published files: another source, the same schema."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr

from scidata.building import build
from scidata.check import check
from scidata.datasets.tevolop import fortnights as fn
from scidata.datasets.tevolop import grid
from scidata.datasets.tevolop.fortnights import Rule, Sums
from scidata.datasets.tevolop.grid import Days, Pixels
from scidata.errors import InvalidError

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SMALL = Pixels(rows=8, columns=12)
DAYS = 3653


@pytest.fixture(scope="module")
def benchmark_days() -> Days:
    """Ten years in which seven pixels have earthquakes."""
    choose = np.random.default_rng(7)
    rate = np.zeros(SMALL.count)
    rate[[40, 41, 52, 53, 60, 61, 90]] = 0.05
    multiplicity = choose.poisson(rate, (DAYS, SMALL.count))
    there = multiplicity > 0
    return Days(
        first=int(np.datetime64("2000-01-01", "D").astype(int)),
        magnitude=np.where(there, choose.uniform(1, 6, there.shape).round(3), 0),
        depth=np.where(there, choose.uniform(-2, 20, there.shape).round(2), 0),
        multiplicity=multiplicity,
        multiplicity_3p29=np.where(there, choose.integers(0, 2, there.shape), 0),
    )


def opened(folder: Path, asset: str) -> xr.Dataset:
    store: xr.Dataset = xr.open_zarr(folder / "data" / f"{asset}.zarr", consolidated=True)
    return store


def saved_sums(days: Days, rule: Rule) -> Sums:
    sums = Sums(fn.span((days.first, days.first + len(days)), rule), SMALL, rule)
    sums.add(days)
    return sums


@pytest.fixture
def published(tmp_path: Path, benchmark_days: Days) -> Path:
    """A folder laid out like EarthquakeDec2020, of ten years and 96 pixels."""
    folder = tmp_path / "EarthquakeDec2020"
    (folder / "1950start").mkdir(parents=True)
    quantities = {
        "log_eng": ("magnitude", "%.3f"),
        "w_depth": ("depth", "%.2f"),
        "n_shock": ("multiplicity", "%d"),
        "n_shock-mag-3.29": ("multiplicity_3p29", "%d"),
    }
    for quantity, (name, form) in quantities.items():
        path = folder / "1950start" / f"SC_2000-2009.freq-D-3653x96-{quantity}.multi.csv"
        values = np.column_stack([np.arange(DAYS), getattr(benchmark_days, name)])
        header = "," + ",".join(map(str, range(SMALL.count)))
        forms = ["%d", *[form] * SMALL.count]
        np.savetxt(path, values, fmt=forms, delimiter=",", header=header, comments="")
    labels = np.arange(SMALL.count).reshape(8, 12) // 3
    np.savetxt(folder / "pix_faults_SmallJan21.csv", labels, fmt="%d", delimiter=",")
    (folder / "topearthquakes_20.csv").write_text(
        "date,long,lat,mag,depth,name\n7/16/2001,-119.4,35.5,6.1,3.2,Somewhere\n"
    )
    large = saved_sums(benchmark_days, Rule.PUBLISHED).multiplicity_3p29[fn.DROPPED :]
    count = len(fn.active(large.sum(axis=0), SMALL))
    (folder / "ValidationEARTHQN-Transformer3").write_text(
        f"0.2,{count - 2},2\n"
        + ",".join(str(n) for n in range(count) if n not in (1, 3))
        + "\n3,1\n"
    )
    return folder


def test_the_benchmarks_own_files_build_the_same_schema(
    published: Path, tmp_path: Path, benchmark_days: Days
) -> None:
    built = build("tevolop", published, tmp_path / "out", now=NOW)
    assert built.form == "EarthquakeDec2020"
    assert built.assets == ("largest", "grid", "fortnights", "fortnights-published")
    assert check(tmp_path / "out").errors == ()
    grid_ = xr.open_zarr(tmp_path / "out/data/grid.zarr")
    assert dict(grid_.sizes) == {"time": DAYS, "y": 8, "x": 12}
    for name in grid.VARIABLES:
        expected = getattr(benchmark_days, name).reshape(DAYS, 8, 12)
        assert np.allclose(grid_[name].values, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("asset", "rule"),
    [("fortnights", Rule.PHYSICAL), ("fortnights-published", Rule.PUBLISHED)],
)
def test_fortnights_of_the_benchmarks_files_are_those_of_their_days(
    published: Path, tmp_path: Path, benchmark_days: Days, asset: str, rule: Rule
) -> None:
    build("tevolop", published, tmp_path / "out", now=NOW)
    series = opened(tmp_path / "out", asset)
    sums = saved_sums(benchmark_days, rule).at(series["location"].values.astype(np.int64))
    expected = sums.magnitude[fn.DROPPED :].T
    assert np.allclose(series["magnitude"].values, expected, atol=1e-5)
    year = list(fn.back(sums.energy))[-1][fn.DROPPED :].T
    assert np.allclose(series["magnitude_back"].values[..., -1], year, atol=1e-5)


def test_the_benchmarks_fault_groups_and_saved_split_are_used(
    published: Path, tmp_path: Path
) -> None:
    build("tevolop", published, tmp_path / "out", now=NOW)
    series = opened(tmp_path / "out", "fortnights-published")
    assert series["fault_label"].attrs["long_name"] == "fault group of the pixel"
    locations = series["location"].values
    held_out = (tmp_path / "out/data/splits/location/validation.txt").read_text().split()
    assert held_out == sorted(f"{locations[n]:04d}" for n in (1, 3))
    table = pq.read_table(tmp_path / "out/data/largest.parquet").to_pylist()
    assert table[0]["magnitude"] == 6.1


@pytest.mark.parametrize(
    ("pattern", "change", "message"),
    [
        ("*log_eng*", ("\n1,", "\n7,"), "not day 1"),
        ("*log_eng*", ("\n5,0.000,", "\n5,many,"), "not day 5"),
        ("*log_eng*", ("\n5,0.000,", "\n5,99,"), "99 in pixel 0"),
        ("*log_eng*", ("\n5,0.000,", "\n5,nan,"), "nan in pixel 0"),
        ("*shock.multi*", ("\n5,0,", "\n5,0.5,"), "0.5 in pixel 0"),
        ("*w_depth*", (",95\n", ",96\n"), "does not name the pixels"),
        ("*w_depth*", ("\n3652,", "\n#"), "3652"),
        ("pix_faults*", ("0,0,0,", "0,0,"), "whole numbers"),
        ("Validation*", ("3,1", "3,3"), "each number from 0 once"),
        ("Validation*", ("0.2,", "0.2,x"), "does not hold"),
        ("top*", ("long", "east"), "header"),
        ("top*", ("6.1", "big"), "row is malformed"),
    ],
)
def test_damaged_benchmark_files_are_refused(
    published: Path, tmp_path: Path, pattern: str, change: tuple[str, str], message: str
) -> None:
    (path,) = published.rglob(pattern)
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change, 1))
    with pytest.raises(InvalidError, match=message):
        build("tevolop", published, tmp_path / "out", now=NOW)
    assert not (tmp_path / "out").exists()


def test_a_benchmark_folder_that_lacks_a_file_is_refused(
    published: Path, tmp_path: Path
) -> None:
    next(published.rglob("*w_depth*")).unlink()
    with pytest.raises(InvalidError, match="depth"):
        build("tevolop", published, tmp_path / "out", now=NOW)


def test_one_set_given_alone_keeps_what_lies_beside_it(published: Path, tmp_path: Path) -> None:
    build("tevolop", published, tmp_path / "whole", now=NOW)
    build("tevolop", published / "1950start", tmp_path / "set", now=NOW)
    for path in ("data/splits/location/validation.txt", "record.yaml"):
        assert (tmp_path / "set" / path).read_bytes() == (
            tmp_path / "whole" / path
        ).read_bytes()


def test_of_two_sets_one_is_to_be_named(published: Path, tmp_path: Path) -> None:
    shutil.copytree(published / "1950start", published / "1990start")
    with pytest.raises(InvalidError, match="more than one set") as caught:
        build("tevolop", published, tmp_path / "out", now=NOW)
    remedy = caught.value.problems[0].fix if caught.value.problems else caught.value.fix
    assert str(published / "1950start") in remedy
    build("tevolop", published / "1950start", tmp_path / "out", now=NOW)


def test_a_daily_file_with_a_day_too_many_is_refused(published: Path, tmp_path: Path) -> None:
    path = next(published.rglob("*n_shock.multi*"))
    path.write_text(path.read_text() + "3653" + ",0" * 96 + "\n")
    with pytest.raises(InvalidError, match="more days"):
        build("tevolop", published, tmp_path / "out", now=NOW)


def test_a_cut_off_daily_file_is_refused(published: Path, tmp_path: Path) -> None:
    path = next(published.rglob("*n_shock.multi*"))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-5]))
    with pytest.raises(InvalidError, match="3648 days"):
        build("tevolop", published, tmp_path / "out", now=NOW)
