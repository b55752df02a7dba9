"""How streams end: read to the end, left, closed, forgotten, interrupted or killed."""

import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, get_worker_info

from scidata.errors import InvalidError
from scidata.loaders.order import Order
from scidata.loaders.source import Source
from scidata.loaders.stream import Stream
from scidata.record import Samples
from scidata.storage import open_store
from tests import streams, zarrs
from tests.servers import folder_server
from tests.watchdog import open_files, own_threads, settle, watched

if TYPE_CHECKING:
    from scidata.loaders.engine import Batch

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:zarr.errors.ZarrUserWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.usefixtures(watched.__name__),
]

ENTRIES = 60
VALUES = np.arange(ENTRIES * 8, dtype=np.float32).reshape(ENTRIES, 8)
SAMPLES = Samples(asset="stored", each=("entry",), inputs=("values",))


@pytest.fixture(autouse=True)
def small_tiles() -> Iterator[None]:
    with streams.small_tiles():
        yield


@pytest.fixture(params=["folder", "http"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    array = zarrs.Written(
        name="values",
        dims=("entry", "x"),
        values=VALUES,
        chunks=(2, 8),
        shards=(4, 8),
        fill=-1.0,
    )
    folder = zarrs.write(tmp_path / "stored.zarr", [array], zarr_format=3)
    asset = streams.asset_of(folder, consolidated=False)
    ids = tuple(sorted(map(str, range(ENTRIES))))
    found = streams.source_of(asset, SAMPLES, dimension="entry", ids=ids)
    if request.param == "folder":
        yield found
        return
    with folder_server(tmp_path) as url:
        objects = open_store(url).objects("stored.zarr")
        yield replace(found, asset=replace(asset, objects=objects))


def _stream(source: Source) -> Stream:
    order = Order(batch_size=4, shuffle="window")
    return Stream(source, order, memory=2_500, threads=2)


def _read_and_close(source: Source) -> None:
    stream = _stream(source)
    assert sum(len(batch["entry"]) for batch in stream) == ENTRIES
    stream.close()


def _leave_and_close(source: Source) -> None:
    stream = _stream(source)
    batches = iter(stream)
    next(batches)
    stream.close()


def _read_and_forget(source: Source) -> None:
    assert sum(len(batch["entry"]) for batch in _stream(source)) == ENTRIES


def _leave_and_forget(source: Source) -> None:
    next(iter(_stream(source)))


def _break_off_twice(source: Source) -> None:
    stream = _stream(source)
    for _ in range(2):
        for batch in stream:
            assert len(batch["entry"]) == 4
            break


def _fail_and_forget(source: Source) -> None:
    def refuse(sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        raise LookupError("no")

    with pytest.raises(LookupError):
        list(_stream(replace(source, transform=refuse)))


ENDS = [
    _read_and_close,
    _leave_and_close,
    _read_and_forget,
    _leave_and_forget,
    _break_off_twice,
    _fail_and_forget,
]


@pytest.mark.parametrize("end", ENDS)
def test_no_thread_file_or_socket_is_left(
    source: Source, end: Callable[[Source], None]
) -> None:
    def use() -> None:
        # Connections that wait to be used again belong to the store, and end with it.
        end(replace(source, asset=pickle.loads(pickle.dumps(source.asset))))  # noqa: S301  # our own
        gc.collect()
        settle(lambda: not own_threads(), own_threads)

    use()  # what the process keeps for good, such as the threads of Rust, is there now
    before = open_files()
    for _ in range(3):
        use()
    settle(lambda: len(open_files()) <= len(before), open_files)


def test_closing_twice_or_before_the_first_batch_does_no_harm(source: Source) -> None:
    stream = _stream(source)
    stream.close()
    _ = next(iter(stream))
    stream.close()
    stream.close()
    assert sum(len(batch["entry"]) for batch in stream) == ENTRIES
    stream.close()


def test_an_iterator_that_outlives_its_closed_stream_ends_and_does_not_hang(
    source: Source,
) -> None:
    stream = _stream(source)
    batches = iter(stream)
    next(batches)
    stream.close()
    with pytest.raises(InvalidError, match="its stream was closed"):
        next(batches)


def test_a_batch_that_the_loop_keeps_is_never_written_to_again(source: Source) -> None:
    stream = _stream(source)
    kept = [batch for _ in range(2) for batch in stream]
    for batch in kept:
        assert np.array_equal(batch["values"].numpy(), VALUES[batch["entry"]])
    views = [batch["values"][1:3] for batch in stream]
    copies = [view.clone() for view in views]
    for _ in stream:
        pass
    assert all(torch.equal(view, copy) for view, copy in zip(views, copies, strict=True))
    stream.close()


def test_a_second_iteration_ends_the_first_which_says_so(source: Source) -> None:
    # They share the memory of one stream: side by side they would write over each other's.
    stream = _stream(source)
    for _ in range(5):
        first = iter(stream)
        next(first)
        seen: list[int] = []
        for batch in stream:
            seen += batch["entry"].tolist()
            assert np.array_equal(batch["values"].numpy(), VALUES[batch["entry"]])
        assert sorted(seen) == list(range(ENTRIES))
        with pytest.raises(InvalidError, match="is iterated anew"):
            next(first)
    stream.close()


# Processes


def _die(sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    worker = get_worker_info()
    if worker is not None and worker.id == 1 and int(sample["entry"]) > 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return sample


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_worker_that_is_killed_is_an_error_and_no_hang(source: Source, context: str) -> None:
    loader: DataLoader[Batch] = DataLoader(
        _stream(replace(source, transform=_die)),
        batch_size=None,
        num_workers=2,
        multiprocessing_context=context,
    )
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(loader)


INTERRUPTED = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from scidata.loaders.order import Order
from tests import test_loaders_ends as ends

source = ends.local(sys.argv[1], slow=sys.argv[2] == "transform")
for batch in ends._stream(source):
    print("going", flush=True)
    if sys.argv[2] == "loop":
        ends.time.sleep(60)
"""


def _dawdle(sample: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    time.sleep(0.2)
    return sample


def local(folder: str, *, slow: bool) -> Source:
    """Return the source of a store in a folder; also for the program that is interrupted."""
    asset = streams.asset_of(Path(folder), consolidated=False)
    ids = tuple(sorted(map(str, range(ENTRIES))))
    transform = _dawdle if slow else None
    return streams.source_of(asset, SAMPLES, dimension="entry", ids=ids, transform=transform)


@pytest.mark.parametrize("source", ["folder"], indirect=True)
@pytest.mark.parametrize("busy", ["loop", "transform"])
def test_ctrl_c_ends_the_process_at_once(source: Source, tmp_path: Path, busy: str) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "stored.zarr"), busy]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "going\n"
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        _, complaints = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert time.monotonic() - begin < 15
    assert complaints.rstrip().endswith("KeyboardInterrupt")
    assert complaints.count("Traceback") == 1


def test_a_stream_may_be_read_in_another_thread_than_it_was_made_in(source: Source) -> None:
    stream = _stream(source)
    seen: list[int] = []

    def read() -> None:
        seen.extend(entry for batch in stream for entry in batch["entry"].tolist())

    thread = threading.Thread(target=read)
    thread.start()
    thread.join(30)
    assert sorted(seen) == list(range(ENTRIES))
    stream.close()
