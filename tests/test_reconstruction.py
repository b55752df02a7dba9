"""STEMDL for reconstruction: LMDB, simulated rasters, and that bad input is named."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from scidata.building import build
from scidata.check import check
from scidata.datasets.reconstruction import mini, recipe
from scidata.datasets.reconstruction.environment import opened, write_environment
from scidata.datasets.reconstruction.layout import CBED, POTENTIAL, Shape
from scidata.datasets.reconstruction.raster import Scan, simulate
from scidata.datasets.samples import Sample
from scidata.datasets.stemdl.crystals import Crystal
from scidata.datasets.stemdl.zones import zones
from scidata.errors import InvalidError, NotFoundError
from scidata.record import load_record
from tests.samples import files_of

NAME = "stemdl-reconstruction"
SCAN = Scan(probes=4, pixels=16, field=4.0, box=8.0, thickness=6.0)
SALT = Crystal(
    name="salt",
    space_group=225,
    lattice=np.eye(3) * 5.64,
    places=np.array(
        [[x / 2, y / 2, z / 2] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float64
    ),
    numbers=np.array([11, 17, 17, 11, 17, 11, 11, 17], np.int64),
)


def sample_of(number: int, side: int = 8, probes: int = 4) -> Sample:
    random = np.random.default_rng(number)
    return Sample(
        id=str(number),
        arrays={
            CBED: random.random((probes, side, side)).astype(np.float16),
            POTENTIAL: random.random((1, side, side)).astype(np.float16),
        },
    )


def archive(folder: Path) -> Path:
    write_environment(folder / "batch_train_10.db", [sample_of(5)])
    write_environment(folder / "batch_train_9.db", [sample_of(n) for n in range(12)])
    write_environment(folder / "batch_eval_0.db", [sample_of(n) for n in (20, 21)])
    return folder


def put(path: Path, key: str, value: bytes) -> None:
    import lmdb

    with (
        lmdb.open(str(path), subdir=False, lock=False, map_size=2**24) as held,
        held.begin(write=True) as transaction,
    ):
        transaction.put(key.encode(), value)


def test_environments_become_one_store_in_order_of_their_numbers(tmp_path: Path) -> None:
    built = build(NAME, archive(tmp_path / "in"), tmp_path / "out")
    assert built.counts == {
        "environments": 3,
        "samples": 15,
        "other_entries": 18,
        "skipped": 0,
    }
    assert check(tmp_path / "out").errors == ()
    held = xr.open_zarr(tmp_path / "out/data/rasters.zarr", consolidated=True)
    ids = held["sample"].values.tolist()
    assert ids[0] == "batch_train_9/0"
    assert ids[10:] == [
        "batch_train_9/10",
        "batch_train_9/11",
        "batch_train_10/0",
        "batch_eval_0/0",
        "batch_eval_0/1",
    ]
    assert held["cbed"].dtype == np.float16
    assert (held["cbed"][10].values == sample_of(10).arrays[CBED]).all()
    assert (held["2d_potential"][14].values == sample_of(21).arrays[POTENTIAL]).all()
    record = load_record(tmp_path / "out/record.yaml")
    assert [rule.name for rule in record.splits] == ["published"]
    kept = (tmp_path / "out/data/splits/published/evaluation.txt").read_text().split()
    assert kept == ["batch_eval_0/0", "batch_eval_0/1"]


def test_a_single_environment_has_no_split_and_is_left_as_it_was(tmp_path: Path) -> None:
    path = archive(tmp_path / "in") / "batch_train_9.db"
    before = files_of(tmp_path / "in")
    build(NAME, path, tmp_path / "out")
    assert load_record(tmp_path / "out/record.yaml").splits == ()
    assert files_of(tmp_path / "in") == before


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cbed_1", b"\0" * 10, "cbed_1 has 10 bytes, not 512"),
        ("2d_potential_1", b"\xff" * 128, "values that are not finite"),
        ("cbed_99", b"\0" * 512, "it has one of the two arrays"),
    ],
)
def test_a_damaged_entry_is_named_and_can_be_skipped(
    tmp_path: Path, key: str, value: bytes, message: str
) -> None:
    put(archive(tmp_path / "in") / "batch_train_9.db", key, value)
    with pytest.raises(InvalidError, match=message):
        build(NAME, tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    built = build(NAME, tmp_path / "in", tmp_path / "out", options={"damaged": "skip"})
    assert built.counts["skipped"] == 1
    record = load_record(tmp_path / "out/record.yaml")
    assert any(message in limit.description for limit in record.limitations)


def test_a_build_that_was_killed_continues_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shape, "shard", 4)
    archive(tmp_path / "in")
    build(NAME, tmp_path / "in", tmp_path / "once")
    kept, read = recipe.Stretch.produce, list[tuple[int, ...]]()

    def produce(stretch: recipe.Stretch) -> Any:
        read.append(stretch.numbers)
        if len(read) == 3:
            raise KeyboardInterrupt
        return kept(stretch)

    monkeypatch.setattr(recipe.Stretch, "produce", produce)
    with pytest.raises(KeyboardInterrupt):
        build(NAME, tmp_path / "in", tmp_path / "killed")
    build(NAME, tmp_path / "in", tmp_path / "killed")
    assert read[2:] == [(8, 9, 10, 11), (8, 9, 10, 11), (0,), (0, 1)]
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "once")


def test_no_scheduler_spreads_what_is_read_in_one_piece(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="no scheduler can spread") as caught:
        build(NAME, archive(tmp_path / "in"), tmp_path / "out", scheduler="threads")
    assert "stemdl-reconstruction-mini" in caught.value.fix


def test_files_of_another_kind_are_named_and_skipped_only_if_asked(tmp_path: Path) -> None:
    folder = archive(tmp_path / "in")
    (folder / "batch_train_0.h5").write_bytes(b"another")
    (folder / "README.md").write_text("About these files.")
    with pytest.raises(InvalidError, match=r"batch_train_0\.h5: its name is neither"):
        build(NAME, folder, tmp_path / "out")
    built = build(NAME, folder, tmp_path / "out", options={"damaged": "skip"})
    assert (built.counts["samples"], built.counts["skipped"]) == (15, 1)


def test_what_is_no_environment_or_is_cut_off_is_named(tmp_path: Path) -> None:
    folder = archive(tmp_path / "in")
    whole = (folder / "batch_train_9.db").read_bytes()
    (folder / "batch_train_9.db").write_bytes(whole[: len(whole) // 8192 * 4096])
    with pytest.raises(InvalidError, match="batch_train_9: it is cut off"):
        build(NAME, folder, tmp_path / "out")
    (folder / "batch_train_9.db").write_bytes(b"no LMDB" * 4096)
    with pytest.raises(InvalidError, match="it is no LMDB environment"):
        build(NAME, folder, tmp_path / "out")
    with pytest.raises(NotFoundError, match="there is no LMDB environment"):
        build(NAME, tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(InvalidError, match="does not ship"):
        build(NAME, None, tmp_path / "out")


def test_the_shape_is_told_by_the_lengths(tmp_path: Path) -> None:
    write_environment(tmp_path / "a.db", [sample_of(0, side=16, probes=9)])
    with opened(tmp_path / "a.db", "a") as environment:
        numbers, others, problems = environment.survey()
        assert (numbers, others, problems) == ([0], 6, [])
        assert environment.shape(numbers) == Shape(probes=9, side=16)


def test_a_probe_on_an_atom_scatters_more_and_the_raster_lies_on_the_potential() -> None:
    zone = zones(SALT)[1]
    cbed, potential = simulate(SALT, zone, 0.3, (0.7, 0.3), Scan())
    assert cbed.shape == (64, 32, 32)
    assert potential.shape == (1, 32, 32)
    assert 0.8 < cbed.astype(float).mean() < 1.1
    disc = cbed.astype(float)[:, 7:25, 7:25].mean(axis=(1, 2)).reshape(8, 8)
    coarse = potential.astype(float)[0].reshape(8, 4, 8, 4).mean(axis=(1, 3))
    seen, turned = (np.corrcoef(d.ravel(), coarse.ravel())[0, 1] for d in (disc, disc.T))
    assert seen < -0.6
    assert seen < turned - 0.2


def test_a_shift_moves_the_potential_and_no_atom_leaves_the_box() -> None:
    zone = zones(SALT)[1]
    still = simulate(SALT, zone, 0.0, (0.0, 0.0), SCAN)[1].astype(float)[0]
    moved = simulate(SALT, zone, 0.0, (1.0, 0.0), SCAN)[1].astype(float)[0]
    pixels = round(SCAN.pixels / SCAN.field)
    # Two pixels of the border see atoms that only one of the boxes has.
    assert np.allclose(moved[:, 2 : -2 - pixels], still[:, 2 + pixels : -2], rtol=0.05, atol=20)


def test_a_simulated_build_is_the_same_bytes_and_has_materials_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = replace(mini.SIZES["tiny"], groups=2, scan=SCAN)
    monkeypatch.setitem(mini.SIZES, "tiny", tiny)
    options: dict[str, Any] = {"options": {"size": "tiny"}}
    kept, seen = mini.View.produce, list[str]()

    def produce(view: mini.View) -> Any:
        seen.append(view.material.name)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return kept(view)

    monkeypatch.setattr(Shape, "shard", 4)
    build(f"{NAME}-mini", None, tmp_path / "a", **options)
    monkeypatch.setattr(mini.View, "produce", produce)
    with pytest.raises(KeyboardInterrupt):
        build(f"{NAME}-mini", None, tmp_path / "b", **options)
    build(f"{NAME}-mini", None, tmp_path / "b", **options, scheduler="threads")
    # Three samples a material and four a shard: of four materials three shards are kept.
    assert len(seen) == 5 + 2
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")
    assert check(tmp_path / "a").errors == ()
    record = load_record(tmp_path / "a/record.yaml")
    assert record.synthetic
    parts = [
        {i.rpartition("-")[0] for i in path.read_text().split()}
        for path in sorted((tmp_path / "a/data/splits/material").glob("*.txt"))
    ]
    assert len(parts) == 3
    assert len(set.union(*parts)) == sum(map(len, parts)) == 6
    with pytest.raises(InvalidError, match="reads no source"):
        build(f"{NAME}-mini", tmp_path, tmp_path / "c", **options)
