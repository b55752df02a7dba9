"""Building STEMDL: files to scaled patterns; what is wrong is named, skipped only if asked."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import scidata
from scidata.building import build
from scidata.check import check
from scidata.datasets import JOURNAL
from scidata.datasets.stemdl import published, recipe, splits
from scidata.datasets.stemdl.scaling import log_scale, shrink
from scidata.errors import InvalidError, NotFoundError
from scidata.publishing import publish
from scidata.record import load_record
from scidata.warning import ScidataWarning
from tests.patterns import GROUPS, PIXELS, intensity_of, write_archive, write_npz, write_samples
from tests.samples import files_of

NAME = "stemdl-classification"
SKIP = {"damaged": "skip"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small files as they are published: look, and copy them before changing any."""
    return write_archive(tmp_path_factory.mktemp("published"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "archive"))


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of four samples, so that these few fill several."""
    monkeypatch.setattr(recipe, "_CHUNK", 2)
    monkeypatch.setattr(recipe, "_SHARD", 4)


def made(source: Path, out: Path, **options: str) -> xr.Dataset:
    build(NAME, source, out, options=options)
    assert check(out).errors == ()
    opened: xr.Dataset = xr.open_zarr(out / "data/patterns.zarr", consolidated=True)
    return opened


def part(out: Path, split: str, name: str) -> list[str]:
    return (out / f"data/splits/{split}/{name}.txt").read_text().split()


def change(path: Path, sample: str, **attributes: Any) -> None:
    with h5py.File(path, "r+") as file:
        for name, value in attributes.items():
            del file[sample].attrs[name]
            if value is not None:
                file[sample].attrs[name] = value


def refused(source: Path, out: Path) -> dict[str, str]:
    with pytest.raises(InvalidError) as caught:
        build(NAME, source, out)
    assert not out.exists()
    return {problem.path: problem.code for problem in caught.value.problems}


def test_intensity_is_scaled_by_its_logarithm_as_published() -> None:
    values = np.array([0, 1e-19, np.exp(-17), np.exp(-16), 1, 6.5e4, 1e30], np.float32)
    want = [0, 0, 0, 10, 170, 10 * (np.log(6.5e4) + 17), 255]
    assert np.allclose(log_scale(values), np.minimum(want, 255), atol=1e-3)


def test_images_shrink_to_the_mean_of_areas_whatever_their_size() -> None:
    images = np.random.default_rng(0).random((2, 3, 12, 12)).astype(np.float32)
    blocks = images.reshape(2, 3, 4, 3, 4, 3).mean(axis=(3, 5))
    assert np.allclose(shrink(images, 4), blocks, atol=1e-6)
    odd = shrink(images, 5)
    assert odd.shape == (2, 3, 5, 5)
    assert np.allclose(odd.mean(axis=(2, 3)), images.mean(axis=(2, 3)), atol=1e-6)
    assert (shrink(images, 12) == images).all()


def test_published_files_become_one_array_store(whole: Path, tmp_path: Path) -> None:
    patterns = made(whole, tmp_path / "out")
    assert dict(patterns.sizes) == {
        "sample": 36, "projection": 3, "y": PIXELS, "x": PIXELS, "hkl": 3, "axis": 3,
    }  # fmt: skip
    one = patterns.sel(sample="batch_dev_1.sample_10_1")
    assert np.allclose(one["cbed_stack"], log_scale(intensity_of(10, 110)))
    assert (int(one["space_group"]), str(one["material"].values)) == (GROUPS[1], "mp-10")
    assert float(one["energy_keV"]) == 110
    assert one["d_hkls_angstrom"].values.tolist() == [3.343, 3.1, 3.0]
    assert one["y_dirs"].values.tolist() == np.eye(3)[::-1].tolist()
    assert one["semi_angles_rad"].dtype == np.float64


def test_full_size_patterns_shrink_to_128_pixels(tmp_path: Path) -> None:
    write_samples(tmp_path / "in/batch_train_0.h5", range(1), (100,), pixels=512)
    patterns = made(tmp_path / "in", tmp_path / "out")
    blocks = log_scale(intensity_of(0, 100, 512)).reshape(3, 128, 4, 128, 4).mean(axis=(2, 4))
    assert np.allclose(patterns["cbed_stack"][0], blocks, atol=1e-3)


def test_the_default_split_is_the_archives_and_no_material_is_in_two_parts(
    whole: Path, tmp_path: Path
) -> None:
    patterns = made(whole, tmp_path / "out")
    record = load_record(tmp_path / "out/record.yaml")
    assert [(s.name, s.default, bool(s.leaks)) for s in record.splits] == [
        ("material", True, False),
        ("random", False, True),
    ]
    held = {
        name: {
            split: set(
                patterns["material"].sel(sample=part(tmp_path / "out", name, split)).values
            )
            for split in splits.PARTS
        }
        for name in ("material", "random")
    }
    apart = held["material"]
    assert not apart["train"] & apart["test"]
    assert not apart["train"] & apart["validation"]
    assert held["random"]["train"] & held["random"]["test"]
    assert all(
        i.startswith("batch_dev") for i in part(tmp_path / "out", "material", "validation")
    )


def test_an_archive_whose_own_parts_share_materials_is_divided_anew_and_says_so(
    folder: Path, tmp_path: Path
) -> None:
    write_samples(folder / "test/batch_test_7.h5", [0], (120, 130))
    patterns = made(folder, tmp_path / "out")
    record = load_record(tmp_path / "out/record.yaml")
    assert any("1 materials of the source's training folder" in x.description
               for x in record.limitations)  # fmt: skip
    train, test = (
        set(patterns["material"].sel(sample=part(tmp_path / "out", "material", name)).values)
        for name in ("train", "test")
    )
    assert not train & test


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=40, unique=True
    )
)
def test_a_split_by_key_never_has_a_key_on_two_sides(rows: list[tuple[int, int]]) -> None:
    ids = [f"{key}-{n}" for key, n in rows]
    facts = [{"space_group": key % 3 + 1, "material": str(key)} for key, _ in rows]
    parts = splits.by_key(ids, facts, "material")
    again = splits.by_key(ids[::-1], facts[::-1], "material")
    assert parts == again
    if parts:
        keys = [{i.split("-")[0] for i in held} for held in parts.values()]
        assert sum(map(len, keys)) == len(set.union(*keys))
        assert sorted(i for held in parts.values() for i in held) == sorted(ids)


def test_long_doubles_are_read_and_garbage_in_them_is_not_a_number(
    folder: Path, tmp_path: Path
) -> None:
    path = folder / "train/batch_train_0.h5"
    wide = np.array([0.002, 0.003, 1e-300], np.longdouble)
    change(path, "sample_0_0", semi_angles_rad=wide, space_group=2)
    patterns = made(folder, tmp_path / "out").sel(sample="batch_train_0.sample_0_0")
    found = patterns["semi_angles_rad"].values
    assert np.allclose(found[:2], [0.002, 0.003])
    assert np.isnan(found[2])
    limitations = load_record(tmp_path / "out/record.yaml").limitations
    assert any(x.description.startswith("1 samples have attributes") for x in limitations)


def test_everything_wrong_is_named_and_skipped_only_if_asked(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "train/batch_train_1.h5").write_bytes(b"no HDF5")
    (folder / "dev/cloud.h5").write_bytes(b"another")
    path = folder / "train/batch_train_0.h5"
    change(path, "sample_0_0", space_group=np.bytes_("231"))
    change(path, "sample_0_1", material=None)
    file: Any
    with h5py.File(path, "r+") as file:
        file["sample_1_0/cbed_stack"][0, 0, 0] = np.nan
        file["sample_1_1/cbed_stack"][2] = 0
        del file["sample_2_0/cbed_stack"]
        file["sample_2_0/cbed_stack"] = np.ones((3, 4, 4), np.float32)
        del file["sample_2_1/cbed_stack"]
        file["sample_2_1/cbed_stack"] = h5py.ExternalLink("elsewhere.h5", "x")
    # Files that cannot be opened are found before any sample is read.
    assert refused(folder, tmp_path / "out") == {
        "train/batch_train_1.h5": "hdf5",
        "dev/cloud.h5": "other-file",
    }
    (folder / "train/batch_train_1.h5").unlink()
    (folder / "dev/cloud.h5").unlink()
    write_samples(folder / "train/batch_train_3.h5", range(60, 63), (100, 110))
    inside = {
        f"train/batch_train_0.h5/sample_{sample}": code
        for sample, code in (
            ("0_0", "space-group"), ("0_1", "attribute-missing"), ("1_0", "values"),
            ("1_1", "values"), ("2_0", "shape"), ("2_1", "variable-missing"),
        )
    }  # fmt: skip
    assert refused(folder, tmp_path / "out") == inside
    patterns = made(folder, tmp_path / "out", **SKIP)
    assert patterns.sizes["sample"] == 30
    text = load_record(tmp_path / "out/record.yaml").limitations[-1].description
    assert text.startswith("6 files or samples were left out")
    assert "train/batch_train_0.h5/sample_0_0: there is no space group '231'" in text


def test_a_file_cut_in_the_middle_is_named(folder: Path, tmp_path: Path) -> None:
    path = folder / "train/batch_train_0.h5"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert set(refused(folder, tmp_path / "out").values()) == {"hdf5"}


@pytest.mark.usefixtures("small_shards")
def test_a_build_that_was_killed_anywhere_continues_to_the_same_bytes(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(NAME, whole, tmp_path / "once")
    kept = published.Batch.produce
    for fail_at in range(6):
        read: list[str] = []

        def produce(batch: published.Batch, last: int = fail_at, read: list[str] = read) -> Any:
            if len(read) == last:
                raise KeyboardInterrupt
            read.append(batch.name)
            return kept(batch)

        out = tmp_path / f"killed-{fail_at}"
        monkeypatch.setattr(published.Batch, "produce", produce)
        with pytest.raises(KeyboardInterrupt):
            build(NAME, whole, out)
        journal = out.parent / f".{out.name}.partial" / JOURNAL
        journal.write_text(journal.read_text() + '{"ids": ["cut of')
        again: list[str] = []

        def note(batch: published.Batch, seen: list[str] = again) -> Any:
            seen.append(batch.name)
            return kept(batch)

        monkeypatch.setattr(published.Batch, "produce", note)
        build(NAME, whole, out)
        assert files_of(out) == files_of(tmp_path / "once")
        # Six samples a file, four a shard: only the file in which one ends is read twice.
        assert len(again) <= 7 - fail_at


@pytest.mark.usefixtures("small_shards")
def test_a_file_that_was_mended_is_read_again_and_those_before_it_are_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "train/batch_train_0.h5"
    good = path.read_bytes()
    change(path, "sample_2_1", material=None)
    assert len(refused(folder, tmp_path / "out")) == 1
    path.write_bytes(good)
    read: list[str] = []
    kept = published.Batch.produce

    def note(batch: published.Batch) -> Any:
        read.append(batch.name)
        return kept(batch)

    monkeypatch.setattr(published.Batch, "produce", note)
    build(NAME, folder, tmp_path / "out")
    assert "train/batch_train_0.h5" in read
    assert not any(name.startswith("test/") for name in read)  # parts come in this order


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_every_scheduler_gives_the_same_bytes(
    whole: Path, tmp_path: Path, scheduler: str
) -> None:
    build(NAME, whole, tmp_path / "alone")
    build(NAME, whole, tmp_path / scheduler, scheduler=scheduler)
    assert files_of(tmp_path / "alone") == files_of(tmp_path / scheduler)


def test_a_cluster_of_dask_builds_too(whole: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    build(NAME, whole, tmp_path / "alone")
    local: Any = LocalCluster  # its hints know neither what it takes nor what it gives
    with local(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None,
        host="127.0.0.1", protocol="tcp://", worker_dashboard_address=None,
    ) as cluster:  # fmt: skip
        build(NAME, whole, tmp_path / "cluster", scheduler=cluster.scheduler_address)
    assert files_of(tmp_path / "alone") == files_of(tmp_path / "cluster")


def test_a_scheduler_that_is_not_there_is_named(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="no scheduler 'fast'"):
        build(NAME, whole, tmp_path / "out", scheduler="fast")


def test_npz_files_are_read_with_a_warning_that_they_hide_the_leak(tmp_path: Path) -> None:
    source = write_npz(tmp_path / "npz")
    with pytest.warns(ScidataWarning, match="NPZ files name no material"):
        patterns = made(source, tmp_path / "out")
    assert dict(patterns.sizes) == {"sample": 9, "projection": 3, "y": 128, "x": 128}
    with np.load(source / "validation/sample-6.npz") as held:
        assert (patterns["cbed_stack"].sel(sample="sample-6") == held["data"]).all()
    record = load_record(tmp_path / "out/record.yaml")
    assert [(s.name, bool(s.leaks)) for s in record.splits] == [
        ("published", True),
        ("random", True),
    ]
    assert part(tmp_path / "out", "published", "test") == ["sample-7", "sample-8"]
    assert "material" not in {v.name for v in record.variables}


def test_npz_files_with_pickles_or_other_arrays_are_refused(tmp_path: Path) -> None:
    source = write_npz(tmp_path / "npz")
    good = np.zeros((3, 128, 128), np.float32)
    objects = np.empty(1, object)
    objects[0] = {"a": 1}
    for n, (data, label) in enumerate(
        ((good, objects), (good + 300, [2]), (good[:1], [2]), (good, [0]), (good, [2, 3]))
    ):
        held: Any = label  # what no reader expects
        np.savez(source / f"training/sample-{n}.npz", data=data, label=held)
    (source / "testing/sample-7.npz").write_bytes(b"PK no zip")
    with pytest.warns(ScidataWarning, match="NPZ"):
        found = refused(source, tmp_path / "out")
    assert found == {
        "training/sample-0.npz": "npz",
        "training/sample-1.npz": "values",
        "training/sample-2.npz": "shape",
        "training/sample-3.npz": "space-group",
        "training/sample-4.npz": "space-group",
        "testing/sample-7.npz": "npz",
    }


def test_what_holds_no_samples_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        build(NAME, tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(InvalidError, match="0 such files"):
        build(NAME, tmp_path, tmp_path / "out")
    with pytest.raises(InvalidError, match="does not ship"):
        build(NAME, None, tmp_path / "out")
    write_npz(tmp_path / "both")
    write_samples(tmp_path / "both/batch_train_0.h5", [0], (100,))
    with pytest.raises(InvalidError, match="both batches and NPZ"):
        build(NAME, tmp_path / "both", tmp_path / "out")


def test_what_was_built_is_published_and_streams(whole: Path, tmp_path: Path) -> None:
    build(NAME, whole, tmp_path / "staged")
    publish(tmp_path / "staged", tmp_path / "store", version="1.0.0")
    dataset = scidata.open(NAME, tmp_path / "store")
    batches = list(dataset.stream("train", batch_size=5))
    assert sum(len(batch["space_group"]) for batch in batches) == 12
    assert tuple(batches[0]["cbed_stack"].shape) == (5, 3, PIXELS, PIXELS)
    seen = dataset.statistics("patterns")["variables"]["cbed_stack"]
    values = np.concatenate([batch["cbed_stack"].numpy() for batch in batches])
    assert seen["mean"] == pytest.approx(values.mean(dtype=np.float64))
    assert json.loads(json.dumps(seen))["count"] == values.size
