"""What is fetched before there is room for it: as far as latency asks, and never in the way."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scidata
from scidata.errors import StorageError
from scidata.loaders import program
from scidata.loaders.fetch import Buffer, Objects, Range, open_objects
from scidata.loaders.order import SHUFFLES, Order, Shuffle
from scidata.loaders.pace import Pace
from scidata.loaders.reader import Reader
from scidata.loaders.requests import box
from scidata.loaders.source import Source
from scidata.loaders.stream import Stream
from scidata.loaders.turns import Turns
from scidata.record import Samples
from tests import streams, zarrs
from tests.watchdog import watched
from tests.windows import publish_quakes

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:zarr.errors.ZarrUserWarning"),
    pytest.mark.usefixtures(watched.__name__),
]
__all__ = ["watched"]

ENTRIES, WIDTH, SHARD = 128, 256, 8
VALUES = np.random.default_rng(1).random((ENTRIES, WIDTH), np.float32)
MEMORY = 48 * 2**10
LATENCY_S = 0.02


@dataclass
class Far:
    """Objects that are far away: each answer comes late, and some do not come at first."""

    near: Objects
    latency_s: float
    asked: list[str] = field(default_factory=list)
    failing: dict[str, int] = field(default_factory=dict)
    """By path, how often it fails yet."""

    async def read(self, path: str, ranges: Sequence[Range]) -> Sequence[Buffer]:
        """Answer late."""
        self.asked.append(path)
        await asyncio.sleep(self.latency_s)
        if self.failing.get(path, 0):
            self.failing[path] -= 1
            raise StorageError(f"{path} cannot be read", where="far away", fix="wait")
        return await self.near.read(path, ranges)

    async def edge(self, path: str, length: int, *, at_end: bool) -> Buffer:
        """Answer late."""
        await asyncio.sleep(self.latency_s)
        return await self.near.edge(path, length, at_end=at_end)

    async def whole(self, path: str, *, limit: int) -> Buffer:
        """Answer late."""
        await asyncio.sleep(self.latency_s)
        return await self.near.whole(path, limit=limit)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    array = zarrs.Written(
        name="values",
        dims=("entry", "x"),
        values=VALUES,
        chunks=(1, WIDTH),
        shards=(SHARD, WIDTH),
        fill=-1.0,
    )
    folder = zarrs.write(
        tmp_path_factory.mktemp("ahead") / "stored.zarr", [array], zarr_format=3
    )
    return streams.source_of(
        streams.asset_of(folder, consolidated=False),
        Samples(asset="stored", each=("entry",), inputs=("values",)),
        dimension="entry",
        ids=tuple(sorted(map(str, range(ENTRIES)))),
    )


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    with streams.small_tiles():
        yield


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> list[Far]:
    """Let every store that is opened be far away; the last one is the newest."""
    opened: list[Far] = []

    def open_far(objects: Any, where: str) -> Far:  # Any: whatever holds objects
        opened.append(Far(open_objects(objects, where), LATENCY_S))
        return opened[-1]

    monkeypatch.setattr(program, "open_objects", open_far)
    return opened


def _stream(source: Source, shuffle: Shuffle = "window", **order: Any) -> Stream:
    return Stream(
        source, Order(**{"batch_size": 2, **order}, shuffle=shuffle), memory=MEMORY, threads=2
    )


def _entries(stream: Stream, step: int = 1) -> list[int]:
    """Go through every so many-th batch; returns the entries, compared with what is stored."""
    way, found = stream._walk(), list[int]()
    for _, batch in stream._running().batches(way, range(0, len(way), step)):
        entries = batch["entry"].tolist()
        assert np.array_equal(batch["values"].numpy(), VALUES[entries])
        found += entries
    return found


def _asked_of_a_loop_that_waits(source: Source, latency_s: float, far: list[Far]) -> int:
    """Return how many tiles were asked for when a loop is at the end of its first epochs."""
    stream = _stream(source)
    stream._running()
    far[-1].latency_s = latency_s
    asked = 0
    for number, _ in enumerate(stream):
        if number == 8:
            asyncio.run(asyncio.sleep(0.3))  # what is fetched ahead comes meanwhile
            asked = len(far[-1].asked)
            break
    stream.close()
    return asked


def test_a_store_that_is_far_away_is_asked_for_more_than_there_is_room_for(
    source: Source, far: list[Far]
) -> None:
    assert _asked_of_a_loop_that_waits(source, 0.05, far) > (
        _asked_of_a_loop_that_waits(source, 0.0, far)
    )


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_what_is_fetched_and_not_decoded_keeps_to_its_limit(
    source: Source, far: list[Far], monkeypatch: pytest.MonkeyPatch, shuffle: Shuffle
) -> None:
    most = 0
    decode = Reader._decode

    def watch(self: Reader, *args: Any) -> None:  # Any: as `_decode` takes them
        nonlocal most
        most = max(most, self._budget._limit - self._budget._free)
        assert self._budget._free >= 0
        decode(self, *args)

    monkeypatch.setattr(Reader, "_decode", watch)
    stream = _stream(source, shuffle)
    assert sorted(_entries(stream)) == list(range(ENTRIES))
    assert 0 < most <= stream._open().program.in_flight < MEMORY
    assert far
    reader = stream._running()._reader
    assert reader._budget._free == reader._budget._limit  # all was given back
    stream.close()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    shuffle=st.sampled_from(SHUFFLES),
    order=st.fixed_dictionaries(
        {
            "batch_size": st.integers(1, 5),
            "seed": st.integers(0, 2**32),
            "rank": st.integers(0, 2),
            "world_size": st.just(3),
        }
    ),
    step=st.integers(1, 9),
)
def test_fetching_ahead_changes_neither_the_samples_nor_their_order(
    source: Source, far: list[Far], shuffle: Shuffle, order: dict[str, int], step: int
) -> None:
    found = []
    for further in (0, 4):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(program, "MOST_PACKED", further)
            patched.setattr(Pace, "asked_for", float(2**20 * further))
            stream = _stream(source, shuffle, **order)
            stream._running()
            far[-1].latency_s = 0.002
            found.append([_entries(stream, step) for _ in range(2)])
            stream.close()
    assert found[0] == found[1]


@pytest.mark.parametrize("times", [1, 3])
def test_a_tile_that_fails_while_it_is_ahead_holds_nothing_up(
    source: Source, far: list[Far], times: int
) -> None:
    stream = _stream(source)
    stream._running()
    far[-1].failing = {f"values/c/{n}/0": times for n in range(0, ENTRIES // SHARD, 3)}
    seen: list[int] | None = None
    for _ in range(4 * ENTRIES // SHARD):
        try:
            seen = _entries(stream)
        except StorageError:
            continue
        break
    assert seen is not None
    assert sorted(seen) == list(range(ENTRIES))
    stream.close()


def test_an_iteration_that_is_left_gives_back_what_it_fetched_ahead(
    source: Source, far: list[Far]
) -> None:
    stream = _stream(source)
    for number, _ in enumerate(stream):
        if number == 9:
            break
    assert far[-1].asked
    assert sorted(_entries(stream)) == list(range(ENTRIES))
    stream.close()


def test_a_tile_that_is_dropped_takes_no_index_from_its_neighbours(
    source: Source, far: list[Far]
) -> None:
    stream = _stream(source)
    reader, (values,) = stream._running()._reader, stream._open().program.tiled
    kept, dropped = np.empty((1, WIDTH), np.float32), np.empty((1, WIDTH), np.float32)
    gone = reader.submit([box(values.layout, (3, 0), dropped)], placed=Future())
    done = reader.submit([box(values.layout, (2, 0), kept)])
    asyncio.run(asyncio.sleep(LATENCY_S / 4))  # both wait for the index of their shard
    gone.cancel()
    done.result(timeout=10)
    assert np.array_equal(kept[0], VALUES[2])
    assert far
    stream.close()


# The rules alone


def _pace(*answers: tuple[int, float, float]) -> Pace:
    pace = Pace()
    for nbytes, at, took in answers:
        pace.answered(nbytes, at=at, took=took)
    return pace


def test_rate_times_latency_is_asked_for() -> None:
    assert _pace((50, 0.0, 0.3), (50, 1.0, 0.5), (50, 2.0, 0.2)).asked_for == 50 * 0.2


def test_one_answer_is_no_rate_and_asks_for_nothing() -> None:
    assert _pace((50, 0.0, 0.3)).asked_for == 0


def test_who_waits_goes_on_when_the_store_turns_out_to_be_far_or_its_place_is_ready() -> None:
    async def play() -> list[str]:
        pace, said = _pace((50, 0.0, 0.0), (50, 1.0, 0.0)), list[str]()
        first, second = asyncio.Event(), asyncio.Event()

        async def keep(name: str, place: asyncio.Event) -> None:
            await pace.keep(40, place)
            said.append(name)

        waiting = [asyncio.create_task(keep("first", first))]
        await asyncio.sleep(0.01)
        assert not said
        for at in range(2, 40):
            pace.answered(50, at=at, took=1.0)  # rate 50, latency 1: 50 bytes
        await asyncio.sleep(0.01)
        assert said == ["first"]
        waiting.append(asyncio.create_task(keep("second", second)))
        await asyncio.sleep(0.01)
        assert said == ["first"]  # 80 would be too many
        pace.tell(first)
        await asyncio.gather(*waiting)
        return said

    assert asyncio.run(play()) == ["first", "second"]


def test_whoever_came_first_has_the_turn_until_it_leaves_and_others_may_leave_before() -> None:
    async def play() -> list[str]:
        turns, said = Turns(), list[str]()

        async def take(name: str, work_s: float) -> None:
            with turns.drawn() as turn:
                await asyncio.sleep(work_s)
                await turn.wait()
                said.append(name)

        tasks = [
            asyncio.create_task(take(name, work_s))
            for name, work_s in (("slow", 0.03), ("gone", 0.0), ("fast", 0.0))
        ]
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return said

    assert asyncio.run(play()) == ["slow", "fast"]


def test_what_a_stream_needs_to_begin_is_asked_for_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = scidata.open("quakes@1.0.0", publish_quakes(tmp_path))
    together = threading.Barrier(3)
    read = type(opened.store).read

    def meet(store: Any, key: str, **options: Any) -> bytes:  # Any: as any store takes them
        if key.endswith(("manifest-sha256.txt", "record.yaml", "facts.json")):
            together.wait(timeout=10)  # one after the other, none would come through
        return read(store, key, **options)

    monkeypatch.setattr(type(opened.store), "read", meet)
    assert opened.stream("train", batch_size=8).samples > 0
