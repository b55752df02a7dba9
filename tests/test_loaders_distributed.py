"""Two processes that train one model: gloo, DistributedDataParallel, a stream for each rank."""

import os
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from scidata.loaders.order import Order
from scidata.loaders.stream import Stream
from scidata.record import Samples
from tests import streams, zarrs
from tests.watchdog import watched

if TYPE_CHECKING:
    from scidata.loaders.source import Source

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:zarr.errors.ZarrUserWarning"),
    pytest.mark.usefixtures(watched.__name__),
]

RANKS, BATCH, ENTRIES, WIDTH = 2, 4, 48, 2**14
STOP = 3
"""Batches of a rank, of six, before the resume."""
MEMORY = 2**22
SAMPLES = Samples(asset="stored", each=("entry",), inputs=("values",))


@dataclass(frozen=True)
class Trained:
    """What one rank saw, and what it ended with."""

    entries: list[list[int]]
    gradients: list[float]
    weights: list[float]
    state: dict[str, Any]  # Any: plain values


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> "Source":
    values = np.random.default_rng(7).standard_normal((ENTRIES, WIDTH), dtype=np.float32)
    values[:, 0] = np.arange(ENTRIES)
    array = zarrs.Written(
        name="values",
        dims=("entry", "x"),
        values=values,
        chunks=(2, WIDTH),
        shards=(4, WIDTH),
        fill=-1.0,
    )
    folder = zarrs.write(
        tmp_path_factory.mktemp("ranks") / "stored.zarr", [array], zarr_format=3
    )
    return streams.source_of(
        streams.asset_of(folder, consolidated=False),
        SAMPLES,
        dimension="entry",
        ids=tuple(sorted(map(str, range(ENTRIES)))),
    )


def _train(rank: int, source: "Source", folder: Path, stop: int | None, resume: bool) -> None:
    """Train one rank through an epoch, or to a batch of it, or from there to its end."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / f"meet-{stop}-{resume}"), RANKS)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=RANKS)
    order = Order(
        batch_size=BATCH, shuffle="window", seed=5, rank=rank, world_size=RANKS, last="drop"
    )
    stream = Stream(source, order, memory=MEMORY, threads=1)
    torch.manual_seed(rank)  # DistributedDataParallel takes the weights of rank 0
    model = DistributedDataParallel(torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    kept = folder / f"checkpoint-{rank}.pt"
    if resume:
        held = torch.load(kept, weights_only=True)
        stream.load_state_dict(held["stream"])
        model.load_state_dict(held["model"])
        optimizer.load_state_dict(held["optimizer"])
    entries, gradients = [], list[float]()
    for batch in islice(stream, stop):
        entries.append(batch["entry"].tolist())
        assert batch["values"][:, 0].tolist() == entries[-1]
        optimizer.zero_grad()
        predicted = model(batch["values"][:, 1:9])
        torch.nn.functional.mse_loss(predicted, batch["values"][:, 9:10]).backward()
        gradients.extend(_flat([p.grad for p in model.parameters()]))
        optimizer.step()
    states = {
        "stream": stream.state_dict(),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    if stop is not None:
        torch.save(states, kept)
    weights = _flat(list(model.parameters()))
    found = Trained(entries, gradients, weights, stream.state_dict())
    torch.save(vars(found), folder / f"rank-{rank}.pt")
    stream.close()
    dist.destroy_process_group()


def _flat(tensors: list[Any]) -> list[float]:  # Any: parameters, and gradients that may lack
    return [float(value) for tensor in tensors for value in tensor.flatten()]


def _ranks(source: "Source", folder: Path, *, stop: int | None, resume: bool) -> list[Trained]:
    torch.multiprocessing.spawn(_train, (source, folder, stop, resume), nprocs=RANKS)
    files = (folder / f"rank-{rank}.pt" for rank in range(RANKS))
    return [Trained(**torch.load(file, weights_only=True)) for file in files]


@pytest.fixture(scope="module")
def whole(source: "Source", tmp_path_factory: pytest.TempPathFactory) -> list[Trained]:
    return _ranks(source, tmp_path_factory.mktemp("whole"), stop=None, resume=False)


def test_the_ranks_share_an_epoch_completely_and_no_sample_twice(whole: list[Trained]) -> None:
    shares = [set(chain(*rank.entries)) for rank in whole]
    assert shares[0].isdisjoint(shares[1])
    assert shares[0] | shares[1] == set(range(ENTRIES))
    assert [len(rank.entries) for rank in whole] == [ENTRIES // BATCH // RANKS] * RANKS


def test_the_ranks_have_the_same_gradients_and_weights(whole: list[Trained]) -> None:
    first, second = whole
    assert first.gradients == second.gradients
    assert first.weights == second.weights
    assert any(first.gradients)


def test_training_that_stopped_in_the_middle_ends_as_if_it_had_not(
    source: "Source", whole: list[Trained], tmp_path: Path
) -> None:
    before = _ranks(source, tmp_path, stop=STOP, resume=False)
    after = _ranks(source, tmp_path, stop=None, resume=True)
    for rank, first, second in zip(whole, before, after, strict=True):
        assert first.entries + second.entries == rank.entries
        assert first.gradients + second.gradients == rank.gradients
        assert second.weights == rank.weights
