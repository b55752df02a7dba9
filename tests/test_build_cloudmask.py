"""Building CloudMask: published files become one store of scenes with two splits."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import scidata
from scidata.building import build
from scidata.datasets.cloudmask import recipe, splits
from scidata.datasets.cloudmask.folder import list_scenes
from scidata.datasets.samples import Sample
from scidata.errors import InvalidError
from scidata.publishing import publish
from scidata.record import load_record
from tests.adopted import adopt_scenes, write_record
from tests.scenes import (
    HEIGHT,
    NOW,
    WIDTH,
    made,
    name_of,
    opened,
    write_folder,
    write_scene,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small scenes as they are published, which no test changes."""
    return write_folder(tmp_path_factory.mktemp("published"))


def test_published_files_become_one_array_store(whole: Path, tmp_path: Path) -> None:
    scenes = made(whole, tmp_path / "out")
    assert dict(scenes.sizes) == {
        "scene": 12, "refs_channel": 6, "bts_channel": 3, "y": HEIGHT, "x": WIDTH,
    }  # fmt: skip
    path = whole / "training" / name_of(3)
    with opened(path) as file:
        there = scenes.sel(scene=path.stem)
        assert (there["refs"].values == np.moveaxis(file["refs"][...], -1, 0)).all()
        assert (there["bts"].values == np.moveaxis(file["bts"][...], -1, 0)).all()
        assert (there["bayes"].values == file["bayes"][..., 0]).all()
    assert str(there["time"].values)[:19] == "2019-10-01T01:03:00"
    assert (int(there["cycle"]), int(there["orbit"]), int(there["frame"])) == (50, 1, 2160)
    assert list(scenes["refs_channel"].values) == ["S1", "S2", "S3", "S4", "S5", "S6"]
    metadata = json.loads((tmp_path / "out/data/scenes.zarr/refs/zarr.json").read_text())
    inner = metadata["codecs"][0]["configuration"]["codecs"]
    assert (metadata["codecs"][0]["name"], inner[1]["configuration"]["cname"]) == (
        "sharding_indexed", "lz4",
    )  # fmt: skip


def test_no_orbit_is_in_two_parts_of_the_default_split(whole: Path, tmp_path: Path) -> None:
    scenes = made(whole, tmp_path / "out")
    record = load_record(tmp_path / "out/record.yaml")
    assert [(s.name, s.default) for s in record.splits] == [
        ("orbit", True),
        ("published", False),
    ]
    orbits = {
        part: {
            int(scenes["orbit"].sel(scene=line))
            for line in (tmp_path / f"out/data/splits/orbit/{part}.txt").read_text().split()
        }
        for part in ("train", "validation", "test")
    }
    assert orbits["test"] == {5}
    assert sum(map(len, orbits.values())) == 6
    statistics = json.loads((tmp_path / "out/data/statistics.json").read_text())
    own = statistics["assets"]["scenes"]
    assert own["over"] == "orbit/train"
    train = (tmp_path / "out/data/splits/orbit/train.txt").read_text().split()
    values = scenes["bts"].sel(scene=train).values.astype("f8")
    assert own["variables"]["bts"]["mean"] == pytest.approx(values.mean())
    assert own["variables"]["bts"]["std"] == pytest.approx(values.std())


def test_the_published_draw_is_that_of_scikit_learn_on_the_sorted_list(tmp_path: Path) -> None:
    # train_test_split(range(10), train_size=0.8, random_state=42) holds out 8 and 1.
    for n in range(10):
        write_scene(tmp_path / name_of(n), n, 16, 20)
    scenes, _ = list_scenes(tmp_path)
    stems = [scene.said.stem for scene in scenes]
    drawn = splits.as_published(list(reversed(scenes)))
    assert drawn is not None
    assert drawn["validation"] == sorted(stems[n] for n in (8, 1))
    assert len(drawn["train"]) == 8


def test_samples_are_the_patches_of_the_centre_crop(whole: Path, tmp_path: Path) -> None:
    scenes = made(whole, tmp_path / "out")
    publish(tmp_path / "out", tmp_path / "store", version="1.0.0")
    stream = scidata.open("cloudmask", tmp_path / "store").stream("train", batch_size=5)
    samples = load_record(tmp_path / "out/record.yaml").samples
    assert samples is not None
    # 60 = 7 * 8 + 4: the crop begins after two columns.
    assert [(w.size, w.start) for w in samples.windows] == [(8, 0), (8, 2)]
    assert stream.samples == 6 * 7 * len(
        (tmp_path / "out/data/splits/orbit/train.txt").read_text().split()
    )
    batch = next(iter(stream))
    scene, y, x = (int(batch[dim][1]) for dim in ("scene", "y", "x"))
    there = scenes["refs"][scene, :, y - 7 : y + 1, x - 7 : x + 1].values
    assert (batch["refs"][1].numpy() == there).all()
    assert (x - 7 - 2) % 8 == 0
    assert batch["bayes"].shape == (5, 8, 8)


def test_fine_reflectance_is_averaged_over_two_by_two_pixels(tmp_path: Path) -> None:
    path = write_scene(tmp_path / name_of(0), 0)
    with opened(path, "a") as file:
        fine = np.arange(2 * HEIGHT * 2 * WIDTH * 6, dtype="f8").reshape(
            2 * HEIGHT, 2 * WIDTH, 6
        )
        fine /= fine.max()
        fine[0, 0] = np.nan
        del file["refs"]
        file["refs"] = fine
    refs = made(path, tmp_path / "out")["refs"][0].values
    assert refs[2, 5, 7] == pytest.approx(fine[10:12, 14:16, 2].mean())
    assert refs[0, 0, 0] == pytest.approx(np.nanmean(fine[:2, :2, 0]))


def test_night_is_kept_and_told_apart(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "scenes")
    night = folder / "training" / name_of(0)
    with opened(night, "a") as file:
        file["refs"][...] = 0
    scenes = made(folder, tmp_path / "out")
    assert scenes["day"].sel(scene=night.stem) == 0
    assert int(scenes["day"].sum()) == 11
    text = " ".join((tmp_path / "out/record.yaml").read_text().split())
    assert "11 by day and 1 by night" in text


def test_a_folder_that_is_all_night_builds(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for n in range(6):
        with opened(write_scene(tmp_path / "in" / name_of(n), n), "a") as file:
            file["refs"][...] = 0
    assert int(made(tmp_path / "in", tmp_path / "out")["day"].sum()) == 0


def test_what_a_process_elsewhere_is_to_read_travels_there(whole: Path) -> None:
    scenes, _ = list_scenes(whole)
    unit = recipe.Reading(scene=scenes[0], label="bayes", stamp="")
    (there,) = pickle.loads(pickle.dumps(unit)).produce()  # noqa: S301 - made here
    (here,) = unit.produce()
    assert isinstance(here, Sample)
    assert all((there.arrays[name] == here.arrays[name]).all() for name in here.arrays)


def test_a_folder_of_published_files_opens_in_place_as_one_lazy_dataset(
    whole: Path, tmp_path: Path
) -> None:
    record = write_record(tmp_path / "record")
    adopt_scenes((whole / "training").as_uri(), tmp_path / "store", record)
    adopted = scidata.open("scenes", tmp_path / "store").to_xarray("scenes")
    assert adopted["refs"].shape == (10, HEIGHT, WIDTH, 6)
    assert not adopted["refs"].variable._in_memory
    built = made(whole / "training", tmp_path / "out")
    assert list(adopted["scene"].values) == list(built["scene"].values)
    first = np.moveaxis(adopted["refs"][3].values, -1, 0)
    assert (first == built["refs"][3].values).all()


def test_the_real_granule_goes_through_the_reader(shared_data: Path, tmp_path: Path) -> None:
    granule = next((shared_data / "cloudmask/slstr").glob("*.SEN3.nc"))
    with pytest.raises(InvalidError, match="--label summary"):
        build("cloudmask", granule, tmp_path / "out", now=NOW)
    scenes = made(granule, tmp_path / "out", label="summary").load()
    assert (scenes.sizes["y"], scenes.sizes["x"]) == (24, 30)
    # 27.6 percent of it is cloud by the product's own summary.
    assert float((scenes["bayes"] != 0).mean()) == pytest.approx(0.276, abs=5e-4)
    assert 0 < float(scenes["refs"][0, 1].median()) < 1
    assert 280 < float(scenes["bts"][0, 1].median()) < 300
    record = load_record(tmp_path / "out/record.yaml")
    assert (record.splits, record.samples) == ((), None)
    assert record.temporal is not None
    assert record.temporal.start == "2017-03-13"
