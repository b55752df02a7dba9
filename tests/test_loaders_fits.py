"""Streams inside the tools that people train with: the same batches, in the same order."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import intake
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from scidata.loaders.order import SHUFFLES, Order, Shuffle
from scidata.loaders.stream import Stream
from scidata.record import Samples
from tests import streams, zarrs
from tests.watchdog import watched
from tests.windows import publish_quakes

if TYPE_CHECKING:
    from scidata.loaders.engine import Batch
    from scidata.loaders.source import Source

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:zarr.errors.ZarrUserWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.usefixtures(watched.__name__),
]

# So large that it is cut into tiles in a process where no test has changed anything.
ENTRIES, WIDTH = 24, 2**16
MEMORY = 2**23


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> "Source":
    values = np.arange(ENTRIES, dtype=np.float32)[:, None] + np.zeros(WIDTH, np.float32)
    array = zarrs.Written(
        name="values",
        dims=("entry", "x"),
        values=values,
        chunks=(2, WIDTH),
        shards=(4, WIDTH),
        fill=-1.0,
    )
    folder = zarrs.write(
        tmp_path_factory.mktemp("fits") / "stored.zarr", [array], zarr_format=3
    )
    return streams.source_of(
        streams.asset_of(folder, consolidated=False),
        Samples(asset="stored", each=("entry",), inputs=("values",)),
        dimension="entry",
        ids=tuple(sorted(map(str, range(ENTRIES)))),
    )


def _stream(source: "Source", shuffle: Shuffle = "window") -> Stream:
    return Stream(source, Order(batch_size=3, shuffle=shuffle, seed=2), memory=MEMORY)


def _entries(batches: "Iterable[Batch]") -> list[list[int]]:
    """Return the entries of every batch, each compared with its tensor."""
    found = []
    for batch in batches:
        entries = batch["entry"].tolist()
        assert batch["values"][:, 0].tolist() == entries == batch["values"][:, -1].tolist()
        found.append(entries)
    return found


def test_the_data_are_cut_into_tiles_of_which_some_are_mixed(source: "Source") -> None:
    assert 0 < _stream(source).reach < 1


@pytest.mark.parametrize(
    ("workers", "context"),
    [(0, None), (1, "fork"), (2, "fork"), (2, "spawn"), (2, "forkserver")],
)
@pytest.mark.parametrize("shuffle", ["window", "exact"])
def test_a_dataloader_returns_the_same_batches_in_the_same_order(
    source: "Source", shuffle: Shuffle, workers: int, context: str | None
) -> None:
    stream = _stream(source, shuffle)
    alone = _entries(stream)
    loader: DataLoader[Batch] = DataLoader(
        stream, batch_size=None, num_workers=workers, multiprocessing_context=context
    )
    assert _entries(loader) == alone
    assert len(loader) == len(alone)
    stream.set_epoch(1)
    second = _entries(loader)
    assert second != alone
    assert sorted(chain(*second)) == sorted(chain(*alone))
    stream.close()


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_workers_that_are_kept_go_through_the_epoch_that_was_chosen(
    source: "Source", context: str
) -> None:
    stream, other = _stream(source), _stream(source)
    loader: DataLoader[Batch] = DataLoader(
        stream,
        batch_size=None,
        num_workers=2,
        multiprocessing_context=context,
        persistent_workers=True,
    )
    for epoch in (0, 3, 3, 1):
        stream.set_epoch(epoch)
        other.set_epoch(epoch)
        assert _entries(loader) == _entries(other)
    stream.close()
    other.close()


def test_workers_that_are_kept_refuse_what_they_cannot_be_told(source: "Source") -> None:
    stream = _stream(source)
    loader: DataLoader[Batch] = DataLoader(
        stream,
        batch_size=None,
        num_workers=1,
        multiprocessing_context="fork",
        persistent_workers=True,
    )
    list(loader)
    stream.load_state_dict(stream.state_dict())
    # torch raises what a worker met as its own error, with the text of ours.
    with pytest.raises(RuntimeError, match="InvalidError: this worker process is kept"):
        list(loader)
    stream.close()


def test_a_stream_that_came_from_another_process_tells_workers_of_its_own(
    source: "Source",
) -> None:
    context = torch.multiprocessing.get_context("spawn")
    stream = _stream(source)
    told = context.Queue()
    process = context.Process(target=_train_two_epochs, args=(stream, told))
    process.start()
    found = told.get(timeout=50)
    process.join()
    assert found[0] == _entries(stream)
    stream.set_epoch(1)
    assert found[1] == _entries(stream)
    stream.close()


def _train_two_epochs(stream: Stream, told: Any) -> None:  # Any: a queue
    loader: DataLoader[Batch] = DataLoader(
        stream,
        batch_size=None,
        num_workers=1,
        multiprocessing_context="fork",
        persistent_workers=True,
    )
    found = []
    for epoch in range(2):
        stream.set_epoch(epoch)
        found.append(_entries(loader))
    told.put(found)


# What torchdata imports of torch is deprecated there.
@pytest.mark.filterwarnings("ignore::UserWarning:torch", "ignore::UserWarning:torchdata")
@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("taken", [0, 1, 4, 8])
def test_torchdatas_stateful_dataloader_continues_where_it_stood(
    source: "Source", shuffle: Shuffle, workers: int, taken: int
) -> None:
    from torchdata.stateful_dataloader import StatefulDataLoader

    def make() -> Any:  # Any: torchdata ships no types
        return StatefulDataLoader(
            _stream(source, shuffle),
            batch_size=None,
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,
        )

    whole = _entries(make())
    loader = make()
    first = _entries(islice(loader, taken))
    again = make()
    again.load_state_dict(loader.state_dict())
    assert first + _entries(again) == whole


def test_the_state_of_a_worker_leads_on_to_its_own_batches(source: "Source") -> None:
    stream = _stream(source, "none")
    whole = _entries(stream)
    with _worker(1, 3):
        batches = iter(stream)
        assert _entries(islice(batches, 2)) == [whole[1], whole[4]]
        state = stream.state_dict()
        again = _stream(source, "none")
        again.load_state_dict(state)
        assert _entries(again) == [whole[7]]
    stream.close()
    again.close()


class _worker:  # noqa: N801  # used as a function
    """Be worker `number` of some."""

    def __init__(self, number: int, count: int) -> None:
        self._patched = pytest.MonkeyPatch()
        self._worker = type("Worker", (), {"id": number, "num_workers": count})

    def __enter__(self) -> None:
        self._patched.setattr("scidata.loaders.stream.get_worker_info", lambda: self._worker)

    def __exit__(self, *_: object) -> None:
        self._patched.undo()


# Lightning


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of workers, loggers and the like
        yield


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("workers", [0, 2])
def test_lightning_fabric_sets_up_a_dataloader_of_a_stream(
    source: "Source", workers: int
) -> None:
    from lightning.fabric import Fabric

    alone = _entries(_stream(source))
    loader: DataLoader[Batch] = DataLoader(
        _stream(source),
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )
    fabric = Fabric(accelerator="cpu", devices=1)
    ready: Any = fabric.setup_dataloaders(loader)  # Any: lightning's own loader
    assert _entries(ready) == alone
    assert len(ready) == len(alone)


@pytest.mark.usefixtures("quiet")
def test_a_lightning_trainer_goes_through_every_epoch_once(
    source: "Source", tmp_path: Path
) -> None:
    import lightning

    seen: list[list[int]] = []

    class Model(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))

        def training_step(self, batch: "Batch", index: int) -> torch.Tensor:
            seen.extend(_entries([batch]))
            return (self.weight - batch["values"].mean()) ** 2

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=1e-3)

    stream = _stream(source)
    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Model(), DataLoader(stream, batch_size=None))
    assert seen == 2 * _entries(_stream(source))
    stream.close()


# Intake


def test_the_reader_of_a_catalog_gives_a_dataset_for_workers(tmp_path: Path) -> None:
    store = publish_quakes(tmp_path)
    # Any: intake ships no types
    catalog: Any = intake.open_catalog(str(store / "quakes" / "catalog-1.0.0.yaml"))
    stream = catalog["stream-train"].read(
        batch_size=32, shuffle="exact", seed=5, normalize=["magnitude"], memory=2**26
    )
    loader: DataLoader[Batch] = DataLoader(
        stream, batch_size=None, num_workers=2, multiprocessing_context="fork"
    )
    alone = list(stream)
    for batch, same in zip(loader, alone, strict=True):
        assert all(torch.equal(batch[n].nan_to_num(), same[n].nan_to_num()) for n in same)
    values = torch.cat([batch["magnitude"] for batch in alone])
    assert abs(float(values.mean())) < 0.2
    assert stream.order.shuffle == "exact"
    stream.close()
