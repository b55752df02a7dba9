"""What the built TEvolOp holds: real earthquakes, described, split, judged by the benchmark."""

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import xarray as xr

import scidata
from scidata import split
from scidata.building import build
from scidata.check import check
from scidata.datasets.tevolop import grid
from scidata.datasets.tevolop.events import SCHEMA
from scidata.publishing import publish
from scidata.record import load_record

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build of the shipped earthquakes makes."""
    folder = tmp_path_factory.mktemp("shipped") / "tevolop"
    build("tevolop", None, folder, now=NOW)
    return folder


def fortnights(folder: Path, asset: str = "fortnights") -> xr.Dataset:
    opened: xr.Dataset = xr.open_zarr(folder / "data" / f"{asset}.zarr", consolidated=True)
    return opened


def test_the_shipped_earthquakes_build_a_sound_staged_dataset(shipped: Path) -> None:
    checked = check(shipped)
    assert checked.errors == ()
    assert {path.name for path in (shipped / "data").iterdir()} == {
        "events.parquet",
        "grid.zarr",
        "fortnights.zarr",
        "fortnights-published.zarr",
        "splits",
        "statistics.json",
    }


def test_the_shipped_grid_holds_every_earthquake_of_the_event_table(shipped: Path) -> None:
    events = pq.read_table(shipped / "data/events.parquet")
    assert events.schema.equals(SCHEMA)
    assert events.num_rows == 51_891
    grid_ = xr.open_zarr(shipped / "data/grid.zarr", consolidated=True)
    assert dict(grid_.sizes) == {"time": 27_977, "y": 40, "x": 60}
    # 1,956 quarry blasts, and 10 earthquakes on the edge that no pixel holds.
    assert int(grid_["multiplicity"].sum()) == 51_891 - 1_956 - 10
    assert float(grid_["magnitude"].max()) == pytest.approx(7.5, abs=0.01)


def test_the_grid_describes_itself_by_the_cf_conventions(shipped: Path) -> None:
    grid_ = xr.open_zarr(shipped / "data/grid.zarr", consolidated=True)
    assert grid_.attrs["Conventions"].startswith("CF-")
    assert grid_["time"].values[0] == np.datetime64("1950-01-01")
    assert grid_["time"].attrs["standard_name"] == "time"
    assert grid_["latitude"].attrs["units"] == "degrees_north"
    assert (grid_["latitude"].dims, grid_["longitude"].dims) == (("y",), ("x",))
    assert float(grid_["latitude"][0]) == 35.95  # the north comes first
    for name in grid.VARIABLES:
        assert grid_[name].attrs["units"] in ("1", "km")
        assert (
            grid_[name].attrs["grid_mapping"] == "crs" or "grid_mapping" in grid_[name].encoding
        )
        assert "latitude" in grid_[name].coords


def test_the_arrays_are_sharded_and_consolidated(shipped: Path) -> None:
    root = json.loads((shipped / "data/grid.zarr/zarr.json").read_text())
    held = root["consolidated_metadata"]["metadata"]
    assert held["magnitude"]["codecs"][0]["name"] == "sharding_indexed"
    assert len(list((shipped / "data/grid.zarr/magnitude/c").rglob("*"))) < 60


def test_the_published_variant_has_the_benchmarks_dimensions(shipped: Path) -> None:
    published = fortnights(shipped, "fortnights-published")
    assert published.sizes["time"] == 1801
    assert str(published["time"].values[0])[:10] == "1950-12-20"
    # The published number is 500; it comes from another catalogue.
    assert published.sizes["location"] == 492
    assert float(published["magnitude"].min()) == pytest.approx(0.764, abs=5e-4)
    assert float(published["magnitude"].max()) == pytest.approx(7.501, abs=1e-3)
    assert published["magnitude_back"].dims == ("location", "time", "back")
    assert published["magnitude_ahead"].shape[2] == 10


def _gap_days(series: xr.Dataset) -> dict[int, int]:
    """How many days of a fortnight are among the 57 without any earthquake."""
    gap = set(np.arange("2019-10-16", "2019-12-12", dtype="datetime64[D]").tolist())
    days = series["time"].values.astype("datetime64[D]")[:, None] + np.arange(14)
    counts = [len(gap.intersection(each)) for each in days.tolist()]
    return {n: count for n, count in enumerate(counts) if count}


def test_the_gap_of_the_catalogue_is_no_target_of_the_physical_fortnights(
    shipped: Path,
) -> None:
    series = fortnights(shipped)
    assert list(_gap_days(series).values()) == [7, 14, 14, 14, 8]
    inside = list(_gap_days(series))
    before = [t - 1 for t in inside]
    assert np.isnan(series["magnitude_ahead"][:, before, 0].values).all()
    # What was not seen stays in the inputs, and in the published targets.
    assert (series["magnitude"][:, inside[1:4]].values == 0).all()
    published = fortnights(shipped, "fortnights-published")
    times = series["time"].values[before]
    assert not np.isnan(published["magnitude_ahead"].sel(time=times)[:, :, 0].values).any()


def test_every_split_can_be_streamed_from_a_default_build(
    shipped: Path, tmp_path: Path
) -> None:
    publish(shipped, tmp_path / "store", version="1.0.0")
    opened = scidata.open("tevolop@1.0.0", tmp_path / "store")
    for part in opened.splits:
        assert next(iter(opened.stream(part, batch_size=2)))["magnitude"].shape == (2, 26)
    # The benchmark has 1,775 windows of each pixel: the last fortnight has no target.
    assert opened.stream("location/validation", batch_size=1).samples == 98 * 1775


def test_missing_futures_are_nan_and_inputs_are_whole(shipped: Path) -> None:
    series = fortnights(shipped)
    ahead = series["magnitude_ahead"]
    missing = _gap_days(series)
    lengths, delays = series["ahead_length"].values, series["ahead_delay"].values
    for n, (length, delay) in enumerate(zip(lengths.tolist(), delays.tolist(), strict=True)):
        gone = np.isnan(ahead[0, :, n].values)
        assert gone[-length - delay :].all()
        for t in range(series.sizes["time"] - length - delay):
            window = range(t + 1 + delay, t + 1 + delay + length)
            assert gone[t] == (sum(missing.get(n, 0) for n in window) >= 7 * length)
    for name in (*grid.VARIABLES, "magnitude_back"):
        assert not np.isnan(series[name].values).any()


def test_fault_labels_are_numbers_from_0_to_35(shipped: Path) -> None:
    series = fortnights(shipped)
    assert series["fault_label"].dims == ("location", "curve")
    labels = series["fault_label"].values
    assert labels.min() >= 0
    assert labels.max() <= 35
    assert "stand-in" in series["fault_label"].attrs["long_name"]


def test_the_split_by_time_names_fortnights_of_the_store(shipped: Path) -> None:
    times = {str(t)[:10] for t in fortnights(shipped)["time"].values}
    parts = {
        path.stem: split.parse(path.read_bytes(), where=path.name)
        for path in (shipped / "data/splits/time").iterdir()
    }
    assert set(parts) == {"train", "validation", "test"}
    assert all(set(ids) <= times for ids in parts.values())
    gap = date.fromisoformat(parts["validation"][0]) - date.fromisoformat(parts["train"][-1])
    assert gap.days > (104 + 25 + 25) * 14


def test_the_split_by_location_is_80_to_20_of_the_published_pixels(shipped: Path) -> None:
    locations = fortnights(shipped, "fortnights-published")["location"].values
    folder = shipped / "data/splits/location"
    train, held_out = (
        split.parse((folder / f"{part}.txt").read_bytes(), where=part)
        for part in ("train", "validation")
    )
    assert sorted(train + held_out) == [f"{n:04d}" for n in locations]
    assert (len(train), len(held_out)) == (394, 98)


def test_statistics_are_those_of_the_training_samples(shipped: Path) -> None:
    document = json.loads((shipped / "data/statistics.json").read_text())
    assert document["schema"] == "scidata-statistics/1"
    own = document["assets"]["fortnights"]
    assert own["over"] == "time/train"
    train = split.parse((shipped / "data/splits/time/train.txt").read_bytes(), where="train")
    series = fortnights(shipped).sel(time=slice(None, train[-1]))
    found = own["variables"]["depth"]
    values = series["depth"].values.astype(np.float64)
    assert found["count"] == values.size
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-5)
    assert found["std"] == pytest.approx(values.std(), rel=1e-5)
    each = own["variables"]["magnitude_back"]["each"]
    assert [entry["count"] for entry in each] == [values.size] * 5


def test_published_statistics_are_over_all_pixels_as_the_benchmark_took_them(
    shipped: Path,
) -> None:
    own = json.loads((shipped / "data/statistics.json").read_text())["assets"][
        "fortnights-published"
    ]
    magnitude = own["variables"]["magnitude"]
    assert own["over"] == "all"
    assert magnitude["count"] == 1801 * 2400
    assert magnitude["min"] == pytest.approx(0.764, abs=5e-4)
    assert magnitude["max"] == pytest.approx(7.501, abs=1e-3)
    # Published: 0.804, with the small events that this source does not have.
    assert magnitude["mean"] == pytest.approx(0.7754, abs=1e-4)


def test_the_record_tells_what_was_found(shipped: Path) -> None:
    record = load_record(shipped / "record.yaml")
    assert record.temporal is not None
    assert (record.temporal.start, record.temporal.end) == ("1950-01-01", "2026-08-06")
    text = (shipped / "record.yaml").read_text().replace("\n", " ")
    text = " ".join(text.split())
    assert "85efcf941572528c9628c6bdfbfec4c2450e89fc90a20c2df79b0ef9ac209d33" in text
    assert "51891 rows read, 51891 events kept" in text
    assert "1956 quarry blasts" in text
    assert "no earthquake below magnitude 2.5" in text
    assert "492 active pixels in 'fortnights-published'" in text
    assert "58 days" in text
    assert "1956 of 51891 events are quarry blasts" in text


def test_what_the_record_says_before_a_build_is_true_of_any(shipped: Path) -> None:
    metadata = load_record(Path(__file__).parents[1] / "metadata" / "tevolop.yaml")
    assert metadata.temporal is not None
    assert metadata.temporal.end is None, "the last day is computed"
    for known in metadata.limitations:
        assert not re.search(r"\d,\d{3}|events a year|all magnitudes", known.description)
        assert known in load_record(shipped / "record.yaml").limitations


@pytest.mark.slow
def test_the_full_catalogue_reproduces_the_published_statistics(
    shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "tevolop/scedc_socal_1950_2026.csv.gz"
    built = build("tevolop", source, tmp_path / "out", now=NOW)
    assert (built.counts["kept"], built.counts["blasts"]) == (805_003, 47_521)
    own = json.loads((tmp_path / "out/data/statistics.json").read_text())["assets"]
    found = own["fortnights-published"]["variables"]
    # As the benchmark's authors print them for their state of the catalogue.
    for name, number, published, tolerance in (
        ("magnitude", "min", 0.764, 1e-3),
        ("magnitude", "max", 7.501, 1e-3),
        ("magnitude", "mean", 0.804, 2e-3),
        ("magnitude", "std", 0.241, 2e-3),
        ("depth", "min", -2.108, 0.03),
        ("multiplicity", "max", 3038, 10),
        ("multiplicity_3p29", "max", 86, 0),
    ):
        assert found[name][number] == pytest.approx(published, abs=tolerance), (name, number)
    floors = [each["min"] for each in found["magnitude_back"]["each"]]
    assert floors[2:] == pytest.approx([1.327, 1.507, 1.707], abs=1e-3)
