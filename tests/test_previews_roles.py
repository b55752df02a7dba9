"""Plots that a record's roles and splits call for: that they show the data, value by value."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from scidata import dataset, split
from scidata.dataset import Dataset
from scidata.datasets.candle_uno.hill import response
from scidata.previews import draw_previews, find_sketches, first_sentence, reality
from scidata.previews.catalogue import per_step, step_of
from scidata.previews.quantity import Quantity
from scidata.previews.sketch import Drawing
from scidata.publishing import publish
from tests.samples import record_fields

RNG = np.random.default_rng(5)
SIDE, SCENES = 24, 9
FLAGS = RNG.integers(0, 4, (SCENES, SIDE, SIDE)).astype("u1")
TRUTH = (RNG.random((SCENES, SIDE, SIDE)) < 0.5).astype("u1")
DAY = np.array([1, 1, 0, 1, 1, 1, 0, 1, 1], "u1")
LIGHT = RNG.random((SCENES, SIDE, SIDE)).astype("f4") * DAY[:, None, None]
WARMTH = (250 + 40 * RNG.random((SCENES, SIDE, SIDE))).astype("f4")
CBED = RNG.random((4, 16, 20, 20)).astype("f4") + 1
POTENTIAL = RNG.random((4, 32, 32)).astype("f4")
LOGS = RNG.integers(0, 256, (6, 24, 24)).astype("f4")
GROUPS = np.array([14, 14, 62, 62, 225, 225], "i4")
DOSES = np.linspace(-9, -5, 8)
CURVES = {
    ("a", "x"): (-7.0, 1.0, 0.2),
    ("a", "y"): (-6.0, 2.0, 0.0),
    ("b", "x"): (-8.0, 0.5, 0.5),
}
TIMES = np.datetime64("1990-01-01", "s") + np.sort(RNG.integers(0, 30 * 31_556_952, 900))
MAGNITUDES = np.round(1.5 + RNG.exponential(0.6, 900), 1)
COMPLETE = [
    {"first_year": 1990, "last_year": 1999, "magnitude": 2.5, "b_value": 1.0},
    {"first_year": 2000, "last_year": 2019, "magnitude": 1.5, "b_value": None},
    {"first_year": 2000},
]
NOTE = "The sea is simulated, e.g. its waves. No buoy was there."


def notes(**roles: str) -> list[dict[str, str]]:
    return [{"name": n, "description": f"The {n} of it", "role": r} for n, r in roles.items()]


def parts(name: str, dimension: str, held: dict[str, list[str]], **more: Any) -> dict[str, Any]:
    return {
        "name": name, "dimension": dimension, "unit": "one", "rule": "By hand.",
        "default": True, **more,
        "parts": [{"name": part, "description": f"Part {part} of it"} for part in held],
    }  # fmt: skip


def version_of(
    folder: Path, record: dict[str, Any], lists: dict[str, dict[str, list[str]]] | None = None,
    statistics: Any = None, **assets: Callable[[Path], Any],
) -> Dataset:  # fmt: skip
    """Publish a version of a few assets, each written by a function."""
    data = folder / "staged" / "data"
    data.mkdir(parents=True)
    fields = {
        **record_fields(),
        "variables": [],
        "splits": [],
        "synthetic_note": NOTE,
        **record,
    }
    (folder / "staged/record.yaml").write_text(yaml.safe_dump(fields))
    for name, write in assets.items():
        write(data / name.replace("__", "."))
    for name, held in (lists or {}).items():
        for part, ids in held.items():
            path = folder / "staged" / split.split_path(name, part)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(split.to_text(ids))
    if statistics is not None:
        document = {"schema": "scidata-statistics/1", "assets": statistics}
        (data / "statistics.json").write_text(json.dumps(document))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of records without descriptions
        publish(folder / "staged", folder / "store", version="1.0.0")
    return dataset.open("tiny", folder / "store")


def drawing(found: Dataset, name: str) -> Drawing:
    """Draw one plot, and return it before it becomes pixels."""
    from scidata.previews.style import drawing as in_style

    sketches = {sketch.name: sketch for sketch in find_sketches(found)}
    assert name in sketches, sorted(sketches)
    with in_style():
        return sketches[name].draw()


def zarr(arrays: xr.Dataset) -> Callable[[Path], Any]:
    return lambda path: arrays.to_zarr(path, zarr_format=3, consolidated=False)


def pixels(axes: Any) -> list[np.ndarray[Any, Any]]:
    return [np.ma.filled(image.get_array().astype(float), np.nan) for image in axes.images]


@pytest.fixture(scope="module")
def imaged(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Scenes with two masks, patterns with potentials, logarithms with classes."""
    where = ("scene", "y", "x")
    scenes = xr.Dataset(
        {
            "refs": (where, LIGHT), "bts": (where, WARMTH, {"units": "K"}),
            "flags": (where, FLAGS), "truth": (where, TRUTH), "day": ("scene", DAY),
        },
        coords={"scene": ("scene", np.arange(SCENES))},
    )  # fmt: skip
    rasters = xr.Dataset(
        {
            "cbed": (("sample", "probe", "ky", "kx"), CBED, {"units": "1"}),
            "potential": (("sample", "y", "x"), POTENTIAL, {"units": "V angstrom"}),
        }
    )
    stacks = xr.Dataset(
        {"stack": (("sample", "y", "x"), LOGS), "space_group": ("sample", GROUPS)}
    )
    lists = {"train": ["0", "1", "3", "4"], "test": ["2", "5", "6", "7", "8"]}
    samples = {"asset": "scenes", "each": ["scene"], "inputs": ["refs", "bts"]}
    record = {
        "variables": [
            *notes(refs="response", bts="response", flags="mask", truth="mask", cbed="pattern"),
            *notes(stack="log-pattern"),
            {"name": "day", "description": "Whether the sun is up"},
        ],
        "samples": {**samples, "targets": ["flags", "truth", "day"]},
        "splits": [parts("place", "scene", lists)],
    }
    return version_of(
        tmp_path_factory.mktemp("imaged"), record, {"place": lists},
        scenes__zarr=zarr(scenes), rasters__zarr=zarr(rasters), stacks__zarr=zarr(stacks),
    )  # fmt: skip


@pytest.fixture(scope="module")
def tabled(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Doses, the curves fitted to them, and a list of earthquakes."""
    rows = [
        {"cell": cell, "drug": drug, "dose": dose, "growth": response(dose, *curve) + 0.01 * n}
        for (cell, drug), curve in CURVES.items()
        for dose in DOSES
        for n in (-1, 0, 1)
    ]
    fitted = pd.DataFrame(
        [(*names, *curve) for names, curve in CURVES.items()],
        columns=["cell", "drug", "EC50", "HS", "Einf"],
    )
    lists = {"train": ["0", "2"], "test": ["1"]}
    unit = "lg(re 1 mol/l)"
    record = {
        "variables": [
            {**notes(dose="dose")[0], "units": unit}, {**notes(EC50="ec50")[0], "units": unit},
            *notes(growth="response", HS="slope", Einf="einf", magnitude="magnitude"),
        ],
        "samples": {"asset": "curves", "each": ["row"], "inputs": ["HS"], "targets": ["Einf"]},
        "splits": [parts("row", "row", lists, asset="curves")],
    }  # fmt: skip
    shocks = pd.DataFrame({"time": TIMES, "magnitude": MAGNITUDES})
    return version_of(
        tmp_path_factory.mktemp("tabled"), record, {"row": lists},
        {"shocks": {"over": "all", "variables": {}, "completeness": COMPLETE}},
        doses__parquet=pd.DataFrame(rows).to_parquet, curves__parquet=fitted.to_parquet,
        shocks__parquet=shocks.to_parquet,
    )  # fmt: skip


def test_two_masks_stand_below_their_image_and_their_differences_are_coloured(
    imaged: Dataset,
) -> None:
    plot = drawing(imaged, "scenes-images")
    titles = [axes.get_title(loc="left") for axes in plot.figure.axes]
    count = 6  # of small images
    shown = [int(title.split(",")[0].removeprefix("scene ")) for title in titles[:count]]
    for n, scene in enumerate(shown):
        image, flags, truth = (plot.figure.axes[row * count + n] for row in range(3))
        held = LIGHT if DAY[scene] else WARMTH  # a night has no light to be seen
        assert np.array_equal(pixels(image)[0], held[scene])
        marked, also = FLAGS[scene] != 0, TRUTH[scene] != 0
        assert np.array_equal(pixels(flags)[1] == 0, marked)
        for layer, expected in enumerate((marked & also, also & ~marked, marked & ~also)):
            assert np.array_equal(pixels(truth)[1 + layer] == 0, expected)
        assert f"{100 * marked.mean():.3g} %" in flags.get_title(loc="left")
    same = np.mean([((FLAGS[s] != 0) == (TRUTH[s] != 0)).mean() for s in shown])
    assert f"both agree on {100 * same:.3g} %" in plot.caption
    assert {0, 1} == set(DAY[shown])  # nights are among them, though they are few
    assert "bts instead in" in plot.caption


def test_a_raster_lies_as_the_probe_was_moved_and_its_potential_beside_it(
    imaged: Dataset,
) -> None:
    plot = drawing(imaged, "rasters-raster")
    one, raster, potential = plot.figure.axes[:3]
    (mosaic,) = pixels(raster)
    assert mosaic.shape == (80, 80)
    assert np.allclose(mosaic[20:40, 60:80], CBED[1, 4 + 3])
    assert np.allclose(pixels(one)[0], CBED[1, 10])
    assert np.array_equal(pixels(potential)[0], POTENTIAL[1])
    assert "Potential (V angstrom)" in [axes.get_xlabel() for axes in plot.figure.axes]
    assert "at 4 by 4 probe positions, 20 by 20 pixels each" in plot.caption


def test_patterns_are_logarithmic_and_logarithms_are_not_taken_twice(imaged: Dataset) -> None:
    from matplotlib.colors import LogNorm

    (stored, *_) = drawing(imaged, "stacks-diffraction").figure.axes[0].images
    assert not isinstance(stored.norm, LogNorm)
    assert np.array_equal(stored.get_array(), LOGS[0])  # type: ignore[arg-type]  # it is an array
    (plain, *_) = drawing(imaged, "rasters-diffraction").figure.axes[0].images
    assert isinstance(plain.norm, LogNorm)


def test_parts_of_a_split_are_compared_by_what_their_masks_mark(imaged: Dataset) -> None:
    plot = drawing(imaged, "scenes-splits")
    (axes,) = plot.figure.axes
    share = (FLAGS != 0).mean(axis=(1, 2))
    for steps, members in zip(axes.patches, ([0, 1, 3, 4], [2, 5, 6, 7, 8]), strict=True):
        values, edges, _ = steps.get_data()  # type: ignore[attr-defined]  # StepPatch
        expected, _ = np.histogram(np.clip(share[members], edges[0], edges[-1]), edges)
        assert np.allclose(values, expected / len(members))
    assert "4 entries of scene in train and 5 in test" in plot.caption
    assert axes.get_xlabel() == "Part of the pixels with flags"


def test_parts_of_a_table_are_its_rows_by_number(tabled: Dataset) -> None:
    plot = drawing(tabled, "curves-splits")
    assert "row, train: median 0.35." in plot.alt  # of 0.2 and 0.5
    assert "row, test: median 0." in plot.alt


def test_classes_are_counted_in_each_part(tmp_path: Path) -> None:
    lists = {"train": ["0", "1", "2"], "test": ["3", "4", "5"]}
    found = version_of(
        tmp_path,
        {
            "samples": {
                "asset": "stacks", "each": ["sample"], "inputs": ["stack"],
                "targets": ["space_group"],
            },
            "splits": [parts("random", "sample", lists)],
        },
        {"random": lists},
        stacks__zarr=zarr(
            xr.Dataset(
                {"stack": (("sample", "y", "x"), LOGS), "space_group": ("sample", GROUPS)}
            )
        ),
    )  # fmt: skip
    (axes,) = drawing(found, "stacks-splits").figure.axes
    heights = [[bar.get_height() for bar in bars] for bars in axes.containers]  # of bars
    assert np.allclose(heights, [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["14", "62", "225"]


def test_dots_are_what_was_measured_and_lines_the_curves_fitted_to_them(
    tabled: Dataset,
) -> None:
    plot = drawing(tabled, "doses-doses")
    axes = plot.figure.axes[0]
    assert axes.get_xlabel() == "Dose (log10 mol/l)"
    lines = axes.get_lines()
    assert len(lines) == 2 * len(CURVES)
    for n, curve in enumerate(CURVES.values()):
        dots, line = lines[2 * n : 2 * n + 2]
        assert (dots.get_linestyle(), dots.get_marker()) == ("None", "o")
        assert np.allclose(dots.get_ydata(), response(DOSES, *curve))  # medians of three
        x = np.asarray(line.get_xdata(), float)
        assert np.allclose(line.get_ydata(), response(x, *curve))
    assert "lines the Hill curves fitted to 3" in plot.caption
    names = {sketch.name for sketch in find_sketches(tabled)}
    assert "curves-doses" not in names  # they are in the other plot


@pytest.mark.parametrize(
    ("of_doses", "of_curves", "more"),
    [
        ("umol/l", None, {}),
        ("lg(re 1 umol/l)", "lg(re 1 mol/l)", {}),
        ("lg(re 1 mol/l)", "lg(re 1 mol/l)", {"drug": ["x"] * 4}),
    ],
    ids=["no logarithms", "of another unit", "of one drug each"],
)
def test_no_curve_is_drawn_over_doses_that_it_was_not_fitted_to(
    of_doses: str, of_curves: str | None, more: dict[str, list[str]], tmp_path: Path
) -> None:
    doses = pd.DataFrame({"dose": [0.01, 0.1, 1, 10], "growth": [1, 0.9, 0.4, 0.2], **more})
    fitted = pd.DataFrame({"a": [-6.5], "b": [1.0], "c": [0.1]})
    middle = {**notes(a="ec50")[0], **({"units": of_curves} if of_curves else {})}
    found = version_of(
        tmp_path,
        {
            "variables": [
                {**notes(dose="dose")[0], "units": of_doses},
                middle,
                *notes(growth="response", b="slope", c="einf"),
            ]
        },
        doses__parquet=doses.to_parquet,
        curves__parquet=fitted.to_parquet,
    )
    plot = drawing(found, "doses-doses")
    assert len(plot.figure.axes[0].get_lines()) == 1
    assert "Hill" not in plot.caption


def test_curves_without_doses_are_drawn_from_their_parameters(tmp_path: Path) -> None:
    fitted = pd.DataFrame({"drug": ["x", "y"], "a": [-7.0, -6], "b": [1.0, 2], "c": [0.1, 0]})
    found = version_of(
        tmp_path, {"variables": notes(a="ec50", b="slope", c="einf")},
        curves__parquet=fitted.to_parquet,
    )  # fmt: skip
    plot = drawing(found, "curves-doses")
    for line, row in zip(plot.figure.axes[0].get_lines(), fitted.to_numpy(), strict=True):
        x = np.asarray(line.get_xdata(), float)
        assert np.allclose(line.get_ydata(), response(x, *row[1:].astype(float)))
    assert "2 of 2 Hill curves of drug" in plot.caption


def test_rates_count_every_event_once_and_those_from_a_magnitude_on(tabled: Dataset) -> None:
    plot = drawing(tabled, "shocks-rate")
    axes = plot.figure.axes[0]
    years = TIMES.astype("M8[Y]").astype(int) + 1970
    for line, chosen in zip(axes.get_lines(), (MAGNITUDES >= 0, MAGNITUDES >= 2), strict=False):
        expected = np.bincount(years[chosen] - 1990, minlength=30).astype(float)
        assert np.array_equal(np.nan_to_num(np.asarray(line.get_ydata(), float)), expected)
    assert axes.get_ylabel() == "Shocks per year"
    assert "magnitude 2 and above" in plot.caption


def test_a_rate_counts_events_without_a_magnitude_too(tmp_path: Path) -> None:
    found = version_of(
        tmp_path,
        {},
        shocks__parquet=pd.DataFrame(
            {"time": TIMES, "longitude": 0.0, "latitude": 0.0}
        ).to_parquet,
    )
    (line,) = drawing(found, "shocks-rate").figure.axes[0].get_lines()
    assert np.nansum(np.asarray(line.get_ydata(), float)) == len(TIMES)


def test_a_rate_has_steps_that_fit_its_time() -> None:
    days = np.array(["2001-01-01", "2001-01-01T12", "2001-01-04"], dtype="M8[s]")
    assert step_of(days) == "h"
    at, counts = per_step(days, days, "D")
    assert [str(t) for t in at] == [f"2001-01-0{n}" for n in (1, 2, 3, 4)]
    assert counts.tolist() == [2, 0, 0, 1]


def test_completeness_is_a_line_over_magnitude_and_time(tabled: Dataset) -> None:
    from matplotlib.dates import date2num

    plot = drawing(tabled, "shocks-over-time")
    (axes, *_) = plot.figure.axes
    (line,) = (p for p in axes.patches if p.get_label() == "complete from here on")
    values, edges, _ = line.get_data()  # type: ignore[attr-defined]  # StepPatch
    assert values.tolist() == [2.5, 1.5]
    years: Any = date2num(np.array(["1990", "2000", "2020"], dtype="M8[Y]"))  # type: ignore[no-untyped-call]  # untyped there
    assert np.array_equal(edges, years)
    assert "taken to be complete, 1.5 to 2.5" in plot.caption


def test_every_caption_ends_with_what_is_simulated_or_else_real(tabled: Dataset) -> None:
    plots = draw_previews(tabled, limit=2)
    assert plots
    assert all(p.caption.endswith(". The sea is simulated, e.g. its waves.") for p in plots)
    record = tabled.record.model_copy(update={"synthetic_note": None, "real_note": "A buoy"})
    assert reality(record) == "A buoy."
    assert reality(record.model_copy(update={"real_note": None})) == ""
    assert first_sentence("One, e.g. 2.5 of M 3. Two.") == "One, e.g. 2.5 of M 3."


@pytest.mark.parametrize(
    ("units", "label"),
    [
        ("lg(re 1 mol/l)", "Dose (log10 mol/l)"),
        ("ln(re 1 umol/l)", "Dose (ln µmol/l)"),
        ("lg(re: 1 mW)", "Dose (log10 mW)"),
    ],
)
def test_logarithmic_units_are_said_in_words(units: str, label: str) -> None:
    assert Quantity(name="dose", kind="number", units=units).label == label
