"""Building CloudMask where files are damaged or it is interrupted: named, skipped, taken up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from scidata.building import build
from scidata.cli import main
from scidata.datasets.cloudmask import mini, published
from scidata.datasets.cloudmask.scene import Scene
from scidata.errors import InvalidError, NotFoundError, StorageError
from tests.samples import files_of
from tests.scenes import (
    HEIGHT,
    NOW,
    WIDTH,
    codes,
    made,
    name_of,
    opened,
    write_folder,
)

SKIP = {"damaged": "skip"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve small scenes as they are published."""
    return write_folder(tmp_path / "scenes")


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


def test_a_folder_of_which_nothing_is_left_is_refused_though_it_may_be_skipped(
    tmp_path: Path,
) -> None:
    folder = write_folder(tmp_path / "one", training=1, inference=0)
    with opened(folder / "training" / name_of(0), "a") as file:
        _all_nan(file)
    with pytest.raises(InvalidError, match="nothing is left"):
        build("cloudmask", folder, tmp_path / "out", now=NOW, options=SKIP)
    assert not (tmp_path / "out").exists()


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
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build("cloudmask", folder, tmp_path / "a", now=NOW)
    read: list[str] = []
    true_read = published.read_scene

    def counting(path: Path, name: str, facts: Any) -> Scene:
        if len(read) == 7:
            raise KeyboardInterrupt
        read.append(name)
        return true_read(path, name, facts)

    monkeypatch.setattr(published, "read_scene", counting)
    with pytest.raises(KeyboardInterrupt):
        build("cloudmask", folder, tmp_path / "b", now=NOW)
    assert not (tmp_path / "b").exists()
    first, read[:] = list(read), []
    build("cloudmask", folder, tmp_path / "b", now=NOW, scheduler="threads")
    assert len(first) + len(read) == 12
    assert not set(first) & set(read)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "scenes"]


def test_what_was_read_with_another_label_is_read_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, read = published.read_scene, list[str]()

    def counting(path: Path, name: str, facts: Any) -> Scene:
        read.append(name)
        if len(read) == 3:
            raise KeyboardInterrupt
        return kept(path, name, facts)

    monkeypatch.setattr(published, "read_scene", counting)
    with pytest.raises(KeyboardInterrupt):
        build("cloudmask", folder, tmp_path / "out", now=NOW)
    build("cloudmask", folder, tmp_path / "out", now=NOW, options={"label": "summary"})
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
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, name: str, facts: Any) -> Scene:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(published, "read_scene", full)
        with pytest.raises(StorageError, match="No space left") as caught:
            build("cloudmask", folder, tmp_path / "out", now=NOW)
    assert "the same command continues" in caught.value.fix
    assert made(folder, tmp_path / "out").sizes["scene"] == 12


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
