"""Plots of a version: which are drawn, what they say, and how little they read."""

import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from PIL import Image

from scidata import dataset
from scidata.dataset import Dataset
from scidata.previews import Preview, arrays, draw_previews, series, tables
from scidata.previews.field_map import as_cells
from scidata.previews.images import frame_of, size_words
from scidata.previews.quantity import Quantity
from scidata.publishing import publish
from scidata.warning import ScidataWarning
from tests.pictured import write_pictured
from tests.samples import record_fields

SAMPLES = {
    "asset": "patterns",
    "each": ["sample"],
    "inputs": ["cbed_stack"],
    "targets": ["space_group"],
}
KINDS = {
    "doses-doses.png",
    "doses-values.png",
    "patterns-diffraction.png",
    "patterns-values.png",
    "scenes-images.png",
    "scenes-values.png",
    "shocks-map.png",
    "shocks-over-time.png",
    "shocks-rate.png",
    "shocks-values.png",
    "stations-map.png",
    "stations-values.png",
    "weather-map.png",
    "weather-over-time.png",
    "weather-values.png",
}


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A version with one asset for every kind of plot."""
    folder = tmp_path_factory.mktemp("pictured")
    return opened(write_pictured(folder / "staged", samples=SAMPLES), folder / "store")


@pytest.fixture(scope="module")
def drawn(pictured: Dataset) -> dict[str, Preview]:
    return {plot.name: plot for plot in draw_previews(pictured, limit=99)}


def opened(staged: Path, store: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of records without descriptions
        publish(staged, store, version="1.0.0")
    return dataset.open(yaml.safe_load((staged / "record.yaml").read_text())["id"], store)


def version_of(tmp_path: Path, **assets: Callable[[Path], Any]) -> Dataset:
    """Publish a version of a few assets, each written by a function."""
    data = tmp_path / "staged" / "data"
    data.mkdir(parents=True)
    fields = {**record_fields(), "id": "few", "variables": [], "splits": []}
    (tmp_path / "staged/record.yaml").write_text(yaml.safe_dump(fields))
    for name, write in assets.items():
        write(data / name.replace("__", "."))
    return opened(tmp_path / "staged", tmp_path / "store")


def test_each_kind_of_data_gets_its_plot(drawn: dict[str, Preview]) -> None:
    assert set(drawn) == KINDS


def test_the_first_few_plots_differ_in_kind_and_histograms_come_last(pictured: Dataset) -> None:
    names = [plot.name for plot in draw_previews(pictured)]
    assert len(names) == 12
    kinds = [name.partition("-")[2] for name in names]
    assert len(set(kinds[:5])) == 5
    first = kinds.index("values.png")
    assert set(kinds[first:]) == {"values.png"}


def test_captions_say_what_against_what_of_how_many(drawn: dict[str, Preview]) -> None:
    real = " Computed from sine functions; nothing was measured."
    assert all(plot.caption.endswith(real) for plot in drawn.values())
    captions = {name: plot.caption.removesuffix(real) for name, plot in drawn.items()}
    assert captions["shocks-over-time.png"] == (
        "Magnitude against time, 3,000 shocks, 1950-2025; median 1.47."
    )
    assert captions["weather-map.png"] == (
        "Map of air temperature (mean of 24 steps); 0°E to 350°E, 80°S to 80°N."
    )
    assert captions["scenes-images.png"].startswith(
        "Radiance, channel 1 of 3, 64 by 64 pixels: 5 scenes; below in colour cloud on"
    )
    assert captions["doses-doses.png"] == (
        "Viability against dose: 6 curves of cell and drug, of 72 doses; "
        "doses from 0.0025 to 8 µM."
    )
    assert "logarithmic" in captions["patterns-diffraction.png"]


def test_alternative_texts_tell_what_is_to_be_seen(drawn: dict[str, Preview]) -> None:
    assert "the largest on 1979-03-19" in drawn["shocks-over-time.png"].alt
    assert "K, largest at" in drawn["weather-map.png"].alt
    assert all(len(plot.alt) > 40 for plot in drawn.values())


def test_pictures_have_the_size_that_they_say_twice_over(drawn: dict[str, Preview]) -> None:
    for plot in drawn.values():
        with Image.open(BytesIO(plot.image)) as image:
            assert image.format == "PNG"
            assert image.info.keys() <= {"dpi"}  # no time, no program
            assert image.size == (2 * plot.width, 2 * plot.height)


def test_the_same_version_gives_the_same_bytes_whatever_the_user_has_set(
    pictured: Dataset, drawn: dict[str, Preview], monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib as mpl

    monkeypatch.setenv("TZ", "Pacific/Auckland")
    with mpl.rc_context({"font.size": 30, "timezone": "Asia/Tokyo", "image.cmap": "jet"}):
        again = {plot.name: plot for plot in draw_previews(pictured, limit=99)}
        assert mpl.rcParams["font.size"] == 30  # and leaves it as it was
    assert again == drawn


def test_a_plot_that_cannot_be_drawn_is_named_and_the_others_are_drawn(
    pictured: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scidata.previews import over_time

    def fail(table: tables.Table) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr(over_time, "draw", fail)
    with pytest.warns(
        ScidataWarning, match="no plot shocks-over-time of pictured@1.0.0: .*no ink"
    ):
        names = {plot.name for plot in draw_previews(pictured, limit=99)}
    assert names == KINDS - {"shocks-over-time.png"}


def test_damaged_data_are_a_named_warning(tmp_path: Path) -> None:
    found = opened(write_pictured(tmp_path / "staged"), tmp_path / "store")
    damaged = tmp_path / "store/pictured/v1.0.0/data/shocks.parquet"
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-40] + bytes(40))
    with pytest.warns(ScidataWarning) as told:
        names = {plot.name for plot in draw_previews(found, limit=99)}
    said = [str(warning.message) for warning in told]
    assert len(said) == 4
    assert "no plot shocks-map of pictured@1.0.0: bad data/shocks.parquet" in said[0]
    assert names == {name for name in KINDS if not name.startswith("shocks")}


def test_a_version_of_texts_has_no_plot_and_that_is_no_error(
    bare: Path, tmp_path: Path
) -> None:
    assert draw_previews(opened(bare, tmp_path / "store")) == ()


def test_rows_beyond_the_bound_are_left_out_and_the_caption_says_so(
    pictured: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_ROWS", 1_000)
    plot = next(p for p in draw_previews(pictured) if p.name == "shocks-over-time.png")
    assert "1,000 of 3,000 shocks, evenly chosen, 1950-2025" in plot.caption


def test_an_array_that_is_too_large_is_read_in_part_and_the_caption_says_so(
    pictured: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = 33 * 36 * 4
    monkeypatch.setattr(arrays, "MAX_BYTES", 24 * step // 3)
    monkeypatch.setattr(arrays, "BLOCK_BYTES", step)
    array = Dataset.to_xarray(pictured, "weather")["t2m"]
    array.encoding["preferred_chunks"] = {"time": 1, "lat": 33, "lon": 36}
    assert len(list(arrays.blocks(array, "time"))) == 8


def test_every_step_counts_in_a_series_whatever_the_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(series, "MAX_STEPS", 30)
    monkeypatch.setattr(arrays, "BLOCK_BYTES", 1)
    time = np.arange("2001-01-01", "2001-04-11", dtype="M8[D]").astype("M8[ns]")
    values = xr.DataArray(np.arange(100.0), dims="time", coords={"time": time})
    values.encoding["preferred_chunks"] = {"time": 7}
    line = series.mean_along(values, "time")
    assert (line.taken, line.group) == (100, 4)
    assert (line.mean.min(), line.mean.max()) == (1.5, 98.5)
    assert len(line.mean) == 14 * 2 + 1  # 4 and 3 of each chunk, and the last two


def test_what_is_left_out_of_many_levels_is_said(tmp_path: Path) -> None:
    lat, lon = np.linspace(-60, 60, 8), np.linspace(0, 300, 9)
    wind = xr.Dataset(
        {
            "u": (
                ("run", "level", "lat", "lon"),
                np.ones((2, 5, 8, 9), "f4"),
                {"units": "m s-1"},
            )
        },
        coords={
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
        },
    )

    def write(path: Path) -> None:
        wind.to_netcdf(path, engine="h5netcdf")

    plots = draw_previews(version_of(tmp_path, wind__nc=write))
    (found,) = (plot for plot in plots if plot.name == "wind-map.png")
    assert "u (mean of 2 runs, only the first of 5 level)" in found.caption


def test_large_images_are_thinned_and_that_is_said() -> None:
    large = xr.DataArray(np.zeros((1200, 1500), dtype="i1"), dims=("y", "x"))
    frame = frame_of(large)
    assert frame is not None
    assert size_words(large, frame) == "1,200 by 1,500 pixels, thinned to 400 by 500"


def test_a_chunk_that_is_too_large_is_not_read_at_all(
    pictured: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "MAX_BYTES", 1_000)
    with pytest.warns(ScidataWarning) as told:
        names = {plot.name for plot in draw_previews(pictured, limit=99)}
    assert "weather-map.png" not in names
    said = [str(w.message) for w in told]
    assert any(
        "no plot patterns-diffraction" in text and "more than 1000" in text for text in said
    )


def test_texts_of_anybodys_are_shown_and_never_obeyed(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        names = ["$\\frac{1}{", "<b>bold</b>\n\x1b[2J", "名前", "שלום"]
        values = np.random.default_rng(1).normal(size=(50, 4))
        pd.DataFrame(values, columns=names).to_parquet(path)

    (plot,) = draw_previews(version_of(tmp_path, odd__parquet=write))
    assert "$\\frac{1}{" in plot.caption
    assert "名前" in plot.caption
    assert "\x1b" not in plot.caption + plot.alt
    assert "\n" not in plot.caption + plot.alt


def test_empty_and_missing_values_are_drawn_as_what_they_are(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        nothing = np.full(5, np.nan)
        pd.DataFrame({"lon": nothing, "lat": nothing, "depth": nothing}).to_parquet(path)

    with pytest.warns(
        ScidataWarning, match="no plot holes-map of few@1.0.0: .*no point has a place"
    ):
        (plot,) = draw_previews(version_of(tmp_path, holes__parquet=write))
    assert "Depth: no value" in plot.alt


def test_a_table_without_rows_is_a_warning(tmp_path: Path) -> None:
    empty = pd.DataFrame({"depth": pd.Series([], dtype=float)})
    found = version_of(tmp_path, none__parquet=empty.to_parquet)
    (plot,) = draw_previews(found)
    assert "no value" in plot.alt


@pytest.mark.parametrize(
    ("dims", "shape", "sides", "samples", "channels"),
    [
        (("sample", "y", "x"), (9, 32, 32), ("y", "x"), "sample", None),
        (("scene", "a", "b", "c"), (5, 480, 600, 6), ("a", "b"), "scene", "c"),
        (
            ("sample", "projection", "ky", "kx"),
            (9, 3, 64, 64),
            ("ky", "kx"),
            "sample",
            "projection",
        ),
        (("y", "x"), (64, 64), ("y", "x"), None, None),
    ],
)
def test_sides_samples_and_channels_of_images_are_told_apart(
    dims: tuple[str, ...],
    shape: tuple[int, ...],
    sides: tuple[str, str],
    samples: str | None,
    channels: str | None,
) -> None:
    frame = frame_of(xr.DataArray(np.zeros(shape, dtype="i1"), dims=dims))
    assert frame is not None
    assert (frame.sides, frame.samples, frame.channels) == (sides, samples, channels)


def test_vectors_and_small_tables_are_no_images() -> None:
    assert frame_of(xr.DataArray(np.zeros((500, 8)), dims=("sample", "feature"))) is None


@pytest.mark.parametrize(
    ("name", "units", "label"),
    [
        ("dose_uM", None, "Dose (µM)"),
        ("magnitude_ahead", "1", "Magnitude ahead"),
        ("AUC", None, "AUC"),
        ("latitude", "degrees_north", "Latitude (degrees north)"),
        ("t2m", "K", "T2m (K)"),
    ],
)
def test_axes_name_quantity_and_unit(name: str, units: str | None, label: str) -> None:
    assert Quantity(name=name, kind="number", units=units).label == label


def test_no_value_falls_out_of_a_histogram() -> None:
    from matplotlib.figure import Figure

    from scidata.previews.histograms import histogram

    values = np.repeat(np.geomspace(0.0025, 8, 8), 7)
    axes = Figure().subplots()
    histogram(axes, values, Quantity(name="dose_uM", kind="number"))
    (steps,) = axes.patches
    assert steps.get_data().values.sum() == len(values)  # type: ignore[attr-defined]  # StepPatch


def test_places_are_known_by_their_units_before_their_names() -> None:
    assert Quantity(name="x", kind="number", units="degrees_east").is_longitude
    assert Quantity(name="nav_lat", kind="number", standard_name="latitude").is_latitude
    assert Quantity(name="lon", kind="number").is_longitude
    assert not Quantity(name="lon", kind="number", units="m").is_longitude


def test_places_that_are_pixels_of_a_grid_fill_its_cells() -> None:
    x, y = np.array([-118.05, -117.85, -118.05], "f4"), np.array([34.05, 34.05, 34.15], "f4")
    cells = as_cells(x.astype(float), y.astype(float), np.array([1.0, 2, 3]))
    assert cells is not None
    east, north, shown = cells
    # No two places are 0.1 degrees of longitude apart, so a cell is 0.2 wide.
    assert np.allclose(east, [-118.05, -117.85], atol=1e-5)
    assert np.allclose(north, [34.05, 34.15], atol=1e-5)
    assert shown.filled(0).tolist() == [[1, 2], [3, 0]]


@pytest.mark.parametrize(
    ("x", "y"),
    [([0.0, 1, 2.3], [0.0, 1, 2]), ([0.0, 1, 1], [0.0, 1, 1]), ([0.0, 0, 0], [0.0, 1, 2])],
    ids=["uneven", "twice the same", "on a line"],
)
def test_places_on_no_grid_stay_points(x: list[float], y: list[float]) -> None:
    assert as_cells(np.array(x), np.array(y), np.arange(3.0)) is None
