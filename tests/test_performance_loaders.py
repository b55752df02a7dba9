"""The measurements of loaders: workloads, orders and reports. Nothing here is timed."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scidata.benchmarks.performance import environments, report, runner
from scidata.benchmarks.performance.peers import PEERS, Job, Terms
from scidata.benchmarks.performance.peers.pools import Selection, Values, open_pools
from scidata.benchmarks.performance.sameness import differing
from scidata.benchmarks.performance.workloads import (
    CROP,
    STRIDE,
    WINDOW,
    WORKLOADS,
    Block,
    Workload,
    crops,
    samples,
    workload,
)

SMALL = 0.001
LIMITS = report.Limits(raw_get=1e9, decode=1e9, memcpy=1e10)


def test_every_peer_has_terms_that_name_its_workloads() -> None:
    for name in PEERS:
        for terms in environments.peer(name).VARIANTS.values():
            assert set(terms.workloads) <= set(WORKLOADS)
            assert all(terms.reach(w) for w in terms.workloads)


@pytest.mark.parametrize("name", ["W2", "W3", "W4"])
def test_a_workload_is_the_same_each_time_and_as_large_as_it_says(name: str) -> None:
    work = workload(name, SMALL)
    first, again = held(work), held(work)
    assert {n: v.shape for n, v in first.items()} == {
        n: a.shape for n, a in work.arrays.items()
    }
    assert {n: str(v.dtype) for n, v in first.items()} == {
        n: a.dtype for n, a in work.arrays.items()
    }
    assert all(np.array_equal(first[n], again[n]) for n in first)


def test_samples_of_stacks_have_the_bytes_that_are_counted() -> None:
    work = workload("W2", SMALL)
    found = list(samples(work))
    assert len(found) == work.samples
    assert {sum(v.nbytes for v in sample.values()) for sample in found} == {work.sample_bytes}


@pytest.mark.parametrize(("name", "order"), [("W2", "global"), ("W2", "pool"), ("W3", "pool")])
def test_an_epoch_has_each_sample_once_in_another_order(name: str, order: str) -> None:
    work = workload(name, SMALL)
    arrays = held(work)
    large, small = work.arrays
    first, second = epochs(work, order, arrays)
    for found in (first, second):
        wanted = {row.tobytes() for row in arrays[large]}
        assert {row.tobytes() for row in found[large]} == wanted
        assert len(found[large]) == work.samples
        assert sorted(found[small].tolist()) == sorted(arrays[small].tolist())
    assert first[small].tolist() != second[small].tolist()


def test_an_epoch_of_series_has_each_window_once() -> None:
    work = workload("W4", SMALL)
    arrays = held(work)
    found, _ = epochs(work, "pool", arrays)
    assert found["series"].shape == (work.samples, WINDOW, 4)
    starts = range(0, arrays["series"].shape[1] - WINDOW + 1, STRIDE)
    wanted = {s[at : at + WINDOW].tobytes() for s in arrays["series"] for at in starts}
    assert {window.tobytes() for window in found["series"]} == wanted


@pytest.mark.parametrize("order", ["global", "pool"])
def test_crops_have_image_and_mask_of_one_place(order: str) -> None:
    y, x = np.indices((300, 400), dtype=np.float32)
    scenes = np.stack([y * 1000 + x + n * 1e6 for n in range(2)])
    work = workload("W1", SMALL)
    shapes = {"radiance": (2, 1, 300, 400), "mask": (2, 300, 400)}
    arrays = {n: replace(work.arrays[n], shape=s) for n, s in shapes.items()}
    held_there: Block = {"radiance": scenes[:, None], "mask": scenes}
    found, _ = epochs(replace(work, arrays=arrays), order, held_there)
    assert found["radiance"].shape == (56, 1, CROP, CROP)
    assert np.array_equal(found["radiance"][:, 0], found["mask"])
    assert len({int(mask[0, 0]) for mask in found["mask"]}) > 50


@pytest.mark.parametrize("name", ["W2", "W3", "W4"])
def test_samples_are_known_by_their_bits_and_a_flipped_one_is_not(name: str) -> None:
    work = workload(name, SMALL)
    arrays = held(work)

    def batches(changed: Block) -> list[Block]:
        return epochs(work, "pool", changed)[:1]

    assert differing(work, batches(arrays), limit_s=60) == ""
    for array in work.arrays:
        flipped = {**arrays, array: arrays[array].copy()}
        size = flipped[array].itemsize
        flipped[array].reshape(-1).view(np.uint8)[::size] ^= 1
        assert "0 samples are those" in differing(work, batches(flipped), limit_s=60)
    assert "lack" in differing(work, [{}], limit_s=60)


def test_crops_are_known_by_their_bits_wherever_they_were_cut() -> None:
    rng = np.random.default_rng(1)
    block: Block = {
        "radiance": rng.standard_normal((1, 9, 300, 400), dtype=np.float32),
        "mask": rng.integers(0, 2, (1, 300, 400), dtype=np.uint8),
    }
    work = replace(workload("W1", SMALL), make=lambda _rng, _length: block)
    cut = {n: np.stack([c[n] for c in crops(0, block)]) for n in block}
    assert differing(work, [cut], limit_s=60) == ""
    assert "0 samples" in differing(
        work, [{**cut, "mask": np.ones_like(cut["mask"])}], limit_s=60
    )


def test_a_crash_is_a_row_that_names_the_error() -> None:
    row = report.summary(a_row(runs=[[]], trouble="ValueError: no such bucket"), LIMITS)
    assert row["first_samples_per_s"] is None
    assert report.goals([row]) == {}


def test_samples_that_are_missing_are_named() -> None:
    row = report.summary(a_row(runs=[[an_epoch(samples=90)]]), LIMITS)
    assert row["trouble"] == "90 samples instead of 100"


def test_figures_are_medians_and_later_epochs_stand_apart() -> None:
    runs = [[an_epoch(seconds=s) for s in seconds] for seconds in ((4, 1, 2), (2, 1, 1))]
    row = report.summary(a_row(runs=runs), LIMITS)
    assert row["first_samples_per_s"] == pytest.approx(37.5)
    assert row["later_samples_per_s"] == pytest.approx(100)


def test_a_process_that_fails_or_takes_too_long_says_so(tmp_path: Path) -> None:
    python = Path(sys.executable)
    order = runner.Order(job=a_job(tmp_path), prepare=False, epochs=1, epoch_s=1)
    ended = environments.run(python, "runner", order, limit_s=60, threads="1")
    assert ended == environments.Ended(
        written="", trouble="ModuleNotFoundError: No module named 'litdata'"
    )
    ended = environments.run(python, "runner", order, limit_s=0.01, threads="1")
    assert ended.trouble == "timed out"


def test_an_order_survives_the_way_to_its_process(tmp_path: Path) -> None:
    job = a_job(tmp_path)
    order = runner.Order(job=job, prepare=False, epochs=2, epoch_s=3, servers=(1, 2))
    read = runner.read_order(order.to_json())
    assert read.job == job
    assert json.loads(read.to_json()) == json.loads(order.to_json())


def held(work: Workload) -> Block:
    """All arrays, from their blocks."""
    blocks = [block for _, block in work.blocks()]
    return {name: np.concatenate([b[name] for b in blocks]) for name in work.arrays}


def epochs(work: Workload, order: str, arrays: Block) -> list[Block]:
    """What two epochs yield, read from memory."""

    def start(name: str, selections: Sequence[Selection]) -> Callable[[], list[Values]]:
        return lambda: [arrays[name][selection] for selection in selections]

    opened = open_pools(work, order, start, seed=0)
    found = []
    for number in range(2):
        batches: list[dict[str, Any]] = list(opened(number))  # Any: torch tensors
        assert all(len(next(iter(b.values()))) == work.batch for b in batches[:-1])
        found.append({n: np.concatenate([b[n].numpy() for b in batches]) for n in batches[0]})
    return found


def a_job(root: Path) -> Job:
    return Job(
        peer="lit",
        variant="none",
        workload="W1",
        scale=0.5,
        codec="zstd",
        form="none",
        root=root,
        cache=root / "cache",
    )


def a_row(*, runs: list[list[report.Epoch]], trouble: str = "") -> report.Row:
    return report.Row(
        loader="lit",
        variant="none",
        workload="W2",
        terms=Terms(shuffle="global"),
        codec="none",
        array_bytes=1000,
        stored_bytes=500,
        runs=runs,
        trouble=trouble,
    )


def an_epoch(*, samples: int = 100, seconds: float = 1) -> report.Epoch:
    return {
        "samples": samples,
        "wanted": 100,
        "bytes": 1000,
        "wanted_bytes": 1000,
        "whole": True,
        "seconds": seconds,
        "first_batch_s": 0.1,
        "cpu_s": 1.0,
        "peak_bytes": 10,
        "others_cpu_s": 0.0,
        "loopback_bytes": 500,
        "requests": 3,
    }
