"""Names, patches and simulated scenes: laws, and what the simulation promises."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scidata.building import build
from scidata.check import check
from scidata.datasets.cloudmask import bayes, mini, radiation
from scidata.datasets.cloudmask.geometry import Overlap, centre_crop, patch_of
from scidata.datasets.cloudmask.names import parse_name
from scidata.datasets.cloudmask.simulate import simulate
from scidata.errors import InvalidError
from scidata.record import Samples, load_record


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    patch=st.integers(1, 40),
    margin=st.integers(0, 19),
    channels=st.integers(0, 2),
)
def test_stitching_what_was_split_gives_the_image_back(
    height: int, width: int, patch: int, margin: int, channels: int
) -> None:
    if 2 * margin >= patch:
        with pytest.raises(ValueError, match="is empty"):
            Overlap(height=height, width=width, patch=patch, margin=margin)
        return
    image = np.random.default_rng(0).random((*[3] * channels, height, width))
    overlap = Overlap(height=height, width=width, patch=patch, margin=margin)
    patches = overlap.split(image)
    assert patches.shape == (overlap.count, *image.shape[:-2], patch, patch)
    assert (overlap.stitch(patches) == image).all()


def test_a_published_scene_has_63_overlapping_patches_padded_on_both_sides() -> None:
    overlap = Overlap(height=1200, width=1500)
    rows, columns = overlap.axes
    assert (rows.count, columns.count, overlap.count) == (7, 9, 63)
    assert (rows.padding, columns.padding) == ((56, 56), (82, 82))
    assert (rows.offset, columns.offset) == (16, 42)
    image = np.arange(1200 * 1500, dtype="i4").reshape(1200, 1500)
    assert (overlap.stitch(overlap.split(image)) == image).all()


def test_a_published_scene_is_trained_on_in_twenty_patches() -> None:
    assert patch_of(1200, 1500) == 256
    assert (centre_crop(1200, 256), centre_crop(1500, 256)) == ((88, 4), (110, 5))


@given(kelvin=st.floats(180, 340), wavelength=st.sampled_from([3.74, 10.85, 12.0]))
def test_brightness_temperature_is_the_inverse_of_planck(
    kelvin: float, wavelength: float
) -> None:
    light = radiation.radiance(kelvin, wavelength)
    assert float(radiation.temperature(light, wavelength)) == pytest.approx(kelvin)


def test_planck_integrates_to_stefan_and_boltzmann() -> None:
    wavelengths = np.geomspace(0.5, 2000, 20_000)
    light = np.array([float(radiation.radiance(290.0, w)) for w in wavelengths])
    total = np.pi * np.trapezoid(light, wavelengths)
    assert total == pytest.approx(5.670374419e-8 * 290.0**4, rel=1e-3)


def test_a_scene_depends_on_its_seed_and_number_alone() -> None:
    first, again, other = (simulate(s, 4, 60, 75) for s in (1, 1, 2))
    assert (first.bts == again.bts).all()
    assert not (first.bts == other.bts).all()


def test_night_scenes_have_no_reflectance_and_borders_are_zero() -> None:
    night, day = simulate(0, 1, 60, 75), simulate(0, 2, 60, 75)
    assert (night.day, day.day) == (False, True)
    assert (night.refs == 0).all()
    assert (day.refs[1] > 0).any()
    for scene in (night, day):
        assert 0 < (~scene.inside).mean() < 0.1
        assert (scene.bts[:, ~scene.inside] == 0).all()
        assert scene.bts[:, scene.inside].min() > 180
        assert scene.bts[:, scene.inside].max() < 340


def test_high_clouds_alone_are_bright_at_1_375_micrometres() -> None:
    scene = simulate(0, 4, 150, 180)
    assert scene.refs[3][scene.inside & ~scene.truth].max() < 0.01
    bright = scene.refs[3] > 0.03
    assert bright.any()
    assert scene.truth[bright].all()
    assert scene.bts[1][bright].mean() < scene.bts[1][scene.inside & ~scene.truth].mean()


def test_the_bayesian_flags_err_in_5_to_10_percent_by_day_and_by_night() -> None:
    tiny = mini.SIZES["tiny"]
    models = bayes.fit(simulate(10_000, n, *tiny) for n in range(20))
    wrong: dict[bool, list[float]] = {True: [], False: []}
    for n in range(20):
        scene = simulate(0, n, *tiny)
        flags = bayes.flags(scene, models)
        assert (flags[~scene.inside] == 0).all()
        assert set(np.unique(flags)) <= {0, 1, 3}
        wrong[scene.day].append(float(((flags > 0) != scene.truth)[scene.inside].mean()))
    assert 0.05 < np.mean([*wrong[True], *wrong[False]]) < 0.10
    assert np.mean(wrong[True]) > 0.03
    assert np.mean(wrong[False]) > 0.03


def test_files_in_the_published_layout_build_to_the_same_scenes_as_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(mini.SIZES, "tiny", (60, 75))
    built = build("cloudmask-mini", None, tmp_path / "mini", options={"scenes": "8"})
    assert built.counts == {"scenes": 8, "day": 5, "night": 3}
    assert check(tmp_path / "mini").errors == ()
    paths = mini.write_published(tmp_path / "files", count=8, size=(60, 75))
    assert [path.parent.name for path in paths] == ["training"] * 6 + ["inference"] * 2
    first_file: Any = h5py.File(paths[0])  # Any: h5py has types of its own
    with first_file as file:
        assert {name: file[name].shape for name in file} == {
            "refs": (60, 75, 6), "bts": (60, 75, 3), "bayes": (60, 75, 1), "truth": (60, 75, 1),
        }  # fmt: skip
    build("cloudmask", tmp_path / "files", tmp_path / "real")
    first, second = (
        xr.open_zarr(tmp_path / name / "data/scenes.zarr", consolidated=True)
        for name in ("mini", "real")
    )
    xr.testing.assert_equal(first, second)
    record = load_record(tmp_path / "mini/record.yaml")
    assert record.synthetic
    assert record.samples is not None
    assert record.samples.targets == ("bayes", "truth", "day")
    assert "differs from the truth" in (tmp_path / "mini/record.yaml").read_text()
    same = load_record(tmp_path / "real/record.yaml")
    assert same.synthetic  # files with a truth are not those of a satellite
    assert same.real_note is None


def test_the_simulation_reads_no_source(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="reads no source"):
        build("cloudmask-mini", tmp_path, tmp_path / "out")


def test_a_name_is_parsed_to_facts() -> None:
    said = parse_name(
        "S3A_SL_1_RBT____20191001T113221_20191001T113521_20191002T163334_0179_050_023_1980_"
        "LN2_O_NT_003.hdf"
    )
    assert said is not None
    assert said.start == datetime(2019, 10, 1, 11, 32, 21, tzinfo=UTC)
    assert (said.mission, said.duration_s, said.cycle, said.orbit) == ("S3A", 179, 50, 23)
    assert (said.frame, said.centre, said.timeliness, said.baseline) == (
        1980, "LN2", "NT", "003",
    )  # fmt: skip
    assert said.stem.endswith("LN2_O_NT_003")
    for wrong in (
        "ECOv002_L2_CLOUD.h5",
        said.stem.replace("1001T11", "1341T11"),
        said.stem + "x",
    ):
        assert parse_name(wrong) is None


def test_windows_that_start_within_are_for_windows_in_order() -> None:
    window = {"dimension": "y", "size": 8, "start": 3}
    fields = {"asset": "scenes", "each": ["scene"], "windows": [window], "inputs": ["refs"]}
    assert Samples.model_validate(fields).windows[0].start == 3
    with pytest.raises(ValidationError, match="windows in order"):
        Samples.model_validate({**fields, "crops": 2})
