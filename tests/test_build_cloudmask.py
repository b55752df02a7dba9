"""Building CloudMask: files to scenes; what is wrong is named, and skipped only if asked."""

import json
import pickle
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import scidata
from scidata.building import build
from scidata.check import check
from scidata.cli import main
from scidata.datasets.cloudmask import mini, published, recipe, splits
from scidata.datasets.cloudmask.folder import list_scenes
from scidata.datasets.cloudmask.scene import Scene
from scidata.datasets.samples import Sample
from scidata.errors import InvalidError, NotFoundError, StorageError
from scidata.publishing import publish
from scidata.record import load_record
from tests.adopted import adopt_scenes, write_record
from tests.scenes import HEIGHT, WIDTH, write_scene

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SKIP = {"damaged": "skip"}


def name_of(number: int, orbit: int | None = None) -> str:
    """Two frames an orbit, three minutes apart."""
    orbit = number // 2 if orbit is None else orbit
    time = f"20191001T{orbit:02d}{number % 2 * 3:02d}00"
    return (
        f"S3A_SL_1_RBT____{time}_{time}_20191002T000000_0179_050_{orbit:03d}_"
        f"{1980 + 180 * (number % 2):04d}_LN2_O_NT_003.hdf"
    )


def opened(path: Path, mode: str = "r") -> Any:  # Any: h5py has types of its own
    """Open a file of HDF5."""
    return h5py.File(path, mode)


def write_folder(folder: Path, training: int = 10, inference: int = 2) -> Path:
    for role, numbers in (
        ("training", range(training)),
        ("inference", range(training, training + inference)),
    ):
        for n in numbers:
            (folder / role).mkdir(parents=True, exist_ok=True)
            write_scene(folder / role / name_of(n), n)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small scenes as they are published: look, and copy them before changing any."""
    return write_folder(tmp_path_factory.mktemp("published"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "scenes"))


def made(source: Path, out: Path, **options: str) -> xr.Dataset:
    build("cloudmask", source, out, options=options, now=NOW)
    assert check(out).errors == ()
    scenes: xr.Dataset = xr.open_zarr(out / "data/scenes.zarr", consolidated=True)
    return scenes


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def codes(error: InvalidError) -> set[str]:
    return {problem.code for problem in error.problems}


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


def test_night_is_kept_and_told_apart(folder: Path, tmp_path: Path) -> None:
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


def _lacks(file: Any) -> None:
    del file["bts"]


def _wrong_shape(file: Any) -> None:
    del file["bts"]
    file["bts"] = np.zeros((HEIGHT, WIDTH, 4), "f4")


def _other_grid(file: Any) -> None:
    for key, channels in (("refs", 6), ("bts", 3), ("bayes", 1)):
        del file[key]
        file[key] = np.full((32, 32, channels), 1, "f4")


def _all_nan(file: Any) -> None:
    file["bts"][..., 1] = np.nan


def _celsius(file: Any) -> None:
    file["bts"][...] = file["bts"][...] - 273.15


def _percent(file: Any) -> None:
    file["refs"][...] = file["refs"][...] * 100


def _half_flags(file: Any) -> None:
    del file["bayes"]
    file["bayes"] = np.full((HEIGHT, WIDTH, 1), 0.5)


def _outside(file: Any) -> None:
    del file["bts"]
    file["bts"] = h5py.ExternalLink("/etc/passwd", "bts")


BROKEN: list[tuple[str, Callable[[Any], None]]] = [
    ("variable-missing", _lacks),
    ("shape", _wrong_shape),
    ("shape", _other_grid),
    ("channel-nan", _all_nan),
    ("channel-range", _celsius),
    ("channel-range", _percent),
    ("label", _half_flags),
    ("outside", _outside),
]


@pytest.mark.parametrize(("code", "broken"), BROKEN, ids=lambda v: getattr(v, "__name__", v))
def test_what_is_wrong_with_a_file_is_named_and_skipped_only_when_asked_to(
    code: str, broken: Callable[[Any], None], folder: Path, tmp_path: Path
) -> None:
    bad = folder / "training" / name_of(4)
    with opened(bad, "a") as file:
        broken(file)
    with pytest.raises(InvalidError) as caught:
        build("cloudmask", folder, tmp_path / "out", now=NOW)
    assert codes(caught.value) == {code}
    assert {problem.path for problem in caught.value.problems} == {f"training/{bad.name}"}
    assert "--damaged skip" in caught.value.fix
    assert not (tmp_path / "out").exists()
    scenes = made(folder, tmp_path / "out", **SKIP)
    assert bad.stem not in scenes["scene"].values
    assert scenes.sizes["scene"] == 11
    assert bad.name in (tmp_path / "out/record.yaml").read_text()


@pytest.mark.parametrize("where", ["header", "chunk"])
def test_a_corrupt_file_in_the_middle_of_a_folder_is_named(
    where: str, folder: Path, tmp_path: Path
) -> None:
    bad = folder / "training" / name_of(5)
    data = bytearray(bad.read_bytes())
    if where == "header":
        data = data[:600]
    else:
        with h5py.File(bad) as file:
            start = file["refs"].id.get_chunk_info(2).byte_offset
        data[start : start + 64] = b"\xff" * 64
    bad.write_bytes(data)
    with pytest.raises(
        InvalidError,
        match=f"1 of its files and samples cannot be used, first training/{bad.name}",
    ):
        build("cloudmask", folder, tmp_path / "out", now=NOW)
    assert made(folder, tmp_path / "out", **SKIP).sizes["scene"] == 11


def test_files_of_another_sensor_are_named(folder: Path, tmp_path: Path) -> None:
    with h5py.File(folder / "ECOv002_L2_CLOUD_37968.h5", "w") as file:
        file["SDS"] = np.zeros(3)
    (folder / "README.md").write_text("About these files.")
    with pytest.raises(InvalidError, match="ECOv002") as caught:
        build("cloudmask", folder, tmp_path / "out", now=NOW)
    assert codes(caught.value) == {"other-sensor"}
    assert made(folder, tmp_path / "out", **SKIP).sizes["scene"] == 12


def test_a_folder_without_scenes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(InvalidError, match="0 files are called"):
        build("cloudmask", tmp_path / "in", tmp_path / "out")
    with pytest.raises(NotFoundError, match="gone"):
        build("cloudmask", tmp_path / "gone", tmp_path / "out")
    with pytest.raises(InvalidError, match="163 GB"):
        build("cloudmask", None, tmp_path / "out")


def test_an_interrupted_build_continues_and_gives_the_same_bytes(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build("cloudmask", whole, tmp_path / "a", now=NOW)
    read: list[str] = []
    true_read = published.read_scene

    def counting(path: Path, name: str, facts: Any) -> Scene:
        if len(read) == 7:
            raise KeyboardInterrupt
        read.append(name)
        return true_read(path, name, facts)

    monkeypatch.setattr(published, "read_scene", counting)
    with pytest.raises(KeyboardInterrupt):
        build("cloudmask", whole, tmp_path / "b", now=NOW)
    assert not (tmp_path / "b").exists()
    first, read[:] = list(read), []
    build("cloudmask", whole, tmp_path / "b", now=NOW, scheduler="threads")
    assert len(first) + len(read) == 12
    assert not set(first) & set(read)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_what_was_read_with_another_label_is_read_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, read = published.read_scene, list[str]()

    def counting(path: Path, name: str, facts: Any) -> Scene:
        read.append(name)
        if len(read) == 3:
            raise KeyboardInterrupt
        return kept(path, name, facts)

    monkeypatch.setattr(published, "read_scene", counting)
    with pytest.raises(KeyboardInterrupt):
        build("cloudmask", whole, tmp_path / "out", now=NOW)
    build("cloudmask", whole, tmp_path / "out", now=NOW, options={"label": "summary"})
    assert len(read) == 3 + 12


def test_simulated_scenes_are_the_same_bytes_by_threads_and_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(mini.SIZES, "tiny", (HEIGHT, WIDTH))
    options = {"scenes": "8"}
    build("cloudmask-mini", None, tmp_path / "once", options=options)
    kept, made = mini.Simulation.produce, list[int]()

    def produce(one: mini.Simulation) -> Any:
        made.append(one.number)
        if len(made) == 5:
            raise KeyboardInterrupt
        return kept(one)

    monkeypatch.setattr(mini.Simulation, "produce", produce)
    with pytest.raises(KeyboardInterrupt):
        build("cloudmask-mini", None, tmp_path / "killed", options=options)
    build("cloudmask-mini", None, tmp_path / "killed", options=options, scheduler="threads")
    assert sorted(made) == [0, 1, 2, 3, 4, 4, 5, 6, 7]
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "once")


def test_what_a_process_elsewhere_is_to_read_travels_there(whole: Path) -> None:
    scenes, _ = list_scenes(whole)
    unit = recipe.Reading(scene=scenes[0], label="bayes", stamp="")
    (there,) = pickle.loads(pickle.dumps(unit)).produce()  # noqa: S301 - made here
    (here,) = unit.produce()
    assert isinstance(here, Sample)
    assert all((there.arrays[name] == here.arrays[name]).all() for name in here.arrays)


def test_a_file_that_changed_meanwhile_is_read_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = folder / "training" / name_of(6)
    sound = bad.read_bytes()
    with opened(bad, "a") as file:
        _all_nan(file)
    with pytest.raises(InvalidError, match="what was read before it is kept") as caught:
        build("cloudmask", folder, tmp_path / "out", now=NOW)
    assert codes(caught.value) == {"channel-nan"}
    first = folder / "training" / name_of(0)
    with opened(first, "a") as file:
        file["bts"][...] = 300
    bad.write_bytes(sound)
    scenes = made(folder, tmp_path / "out")
    assert (scenes["bts"].sel(scene=first.stem) == 300).all()
    build("cloudmask", folder, tmp_path / "fresh", now=NOW)
    assert files_of(tmp_path / "fresh/data") == files_of(tmp_path / "out/data")


def test_a_full_disk_keeps_what_was_written(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, name: str, facts: Any) -> Scene:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(published, "read_scene", full)
        with pytest.raises(StorageError, match="No space left") as caught:
            build("cloudmask", whole, tmp_path / "out", now=NOW)
    assert "the same command continues" in caught.value.fix
    assert made(whole, tmp_path / "out").sizes["scene"] == 12


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


def test_the_command_names_every_bad_file_and_exits_with_4(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in (1, 2):
        (folder / "training" / name_of(n)).write_bytes(b"not HDF5")
    arguments = ["build", "cloudmask", "--source", str(folder), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 4
    said = capsys.readouterr().err
    assert name_of(1) in said
    assert name_of(2) in said
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--damaged", "skip"])
    assert not stopped.value.code
    assert "skipped" in capsys.readouterr().out


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
