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
from torch.multiprocessing.spawn import spawn
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


def _train(rank: int, source: "Source", folder: Path) -> None:
    """Be one rank: an epoch as a whole, then to a batch of it, then anew from there."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=RANKS
    )
    kept = folder / f"checkpoint-{rank}.pt"
    found = [
        _epoch(rank, source),
        _epoch(rank, source, stop=STOP, save=kept),
        _epoch(rank, source, load=kept),
    ]
    torch.save([vars(trained) for trained in found], folder / f"rank-{rank}.pt")
    dist.destroy_process_group()


def _epoch(
    rank: int,
    source: "Source",
    *,
    stop: int | None = None,
    save: Path | None = None,
    load: Path | None = None,
) -> Trained:
    """Train a new model with a new stream; what a rank goes on with comes from a file."""
    order = Order(
        batch_size=BATCH, shuffle="window", seed=5, rank=rank, world_size=RANKS, last="drop"
    )
    stream = Stream(source, order, memory=MEMORY, threads=1)
    # DistributedDataParallel takes rank 0's weights; a resume's own would be others.
    torch.manual_seed(rank + 10 * (load is not None))
    model = DistributedDataParallel(torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    if load is not None:
        held = torch.load(load, weights_only=True)
        stream.load_state_dict(held["stream"])
        model.load_state_dict(held["model"])
        optimizer.load_state_dict(held["optimizer"])
    entries, gradients = [], list[float]()
    for batch in islice(stream, stop):
        entries.append(batch["entry"].tolist())
        assert batch["values"][:, 0].tolist() == entries[-1]
        optimizer.zero_grad()
        predicted = model(batch["values"][:, 1:9])
        loss: Any = torch.nn.functional.mse_loss(predicted, batch["values"][:, 9:10])
        loss.backward()  # Any: it has no types
        gradients.extend(_flat([p.grad for p in model.parameters()]))
        optimizer.step()
    if save is not None:
        states = {
            "stream": stream.state_dict(),
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        torch.save(states, save)
    stream.close()
    return Trained(entries, gradients, _flat(list(model.parameters())))


def _flat(tensors: list[Any]) -> list[float]:  # Any: parameters, and gradients that may lack
    return [float(value) for tensor in tensors for value in tensor.flatten()]


@pytest.fixture(scope="module")
def ranks(source: "Source", tmp_path_factory: pytest.TempPathFactory) -> list[list[Trained]]:
    """Of each rank: the whole epoch, its first part, and what came after the resume."""
    folder = tmp_path_factory.mktemp("trained")
    start: Any = spawn  # Any: it has no types
    start(_train, (source, folder), nprocs=RANKS)
    files = (folder / f"rank-{rank}.pt" for rank in range(RANKS))
    return [[Trained(**f) for f in torch.load(file, weights_only=True)] for file in files]


def test_the_ranks_share_an_epoch_completely_and_no_sample_twice(
    ranks: list[list[Trained]],
) -> None:
    shares = [set(chain(*whole.entries)) for whole, _, _ in ranks]
    assert shares[0].isdisjoint(shares[1])
    assert shares[0] | shares[1] == set(range(ENTRIES))
    assert [len(rank[0].entries) for rank in ranks] == [ENTRIES // BATCH // RANKS] * RANKS


def test_the_ranks_have_the_same_gradients_and_weights(ranks: list[list[Trained]]) -> None:
    for first, second in zip(*ranks, strict=True):
        assert first.gradients == second.gradients
        assert first.weights == second.weights
        assert any(first.gradients)


def test_training_that_stopped_in_the_middle_ends_as_if_it_had_not(
    ranks: list[list[Trained]],
) -> None:
    for whole, before, after in ranks:
        assert len(before.entries) == STOP
        assert before.entries + after.entries == whole.entries
        assert before.gradients + after.gradients == whole.gradients
        assert after.weights == whole.weights
