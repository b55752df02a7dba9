"""Whatever the order in which their operations fall: no committed version misses an object.

Two processes work on one store, and each is stopped at each of its operations while the other
goes on for any number of its own, then both end, the one or the other first. One of five such
orders is played, evenly spread; all of them with ``SCIDATA_INTERLEAVINGS=all``.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scidata.collecting import collect
from scidata.errors import ConflictError, ScidataError
from scidata.inventory import read_history, version_numbers
from scidata.mirroring import MirrorOptions, mirror
from scidata.publishing import PublishOptions, Surroundings, publish
from scidata.purging import PurgeOptions, purge
from scidata.storage.memory import MemoryStore
from scidata.testing.faults import Crash, FaultyStore
from scidata.testing.turns import in_turns
from scidata.verifying import verify

START = datetime(2026, 1, 1, tzinfo=UTC)
Actor = Callable[[FaultyStore], object]
Scene = Callable[[], tuple[MemoryStore, Actor, Actor]]

pytestmark = pytest.mark.filterwarnings("ignore::scidata.warning.ScidataWarning")


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """An actor's operations come one after the other, or there is no order to speak of."""
    monkeypatch.setattr(
        "scidata.parallel.ThreadPoolExecutor", lambda _, **names: ThreadPoolExecutor(1, **names)
    )
    # Catalogs are caches of what is committed; their many operations decide nothing.
    for module in ("mirroring", "publishing", "purging"):
        monkeypatch.setattr(f"scidata.{module}._index", lambda *_: (), raising=False)
    monkeypatch.setattr("scidata.purging._indexed", lambda *_: ())


def somebody(clock: Clock, number: int) -> Surroundings:
    """A process on a machine of its own: nobody can tell whether it has ended."""
    return replace(Surroundings(now=clock), host=f"machine-{number}", user="ada", pid=number)


def unsound(store: MemoryStore) -> list[str]:
    """Name what committed versions miss, but purged ones."""
    missing = []
    for number in version_numbers(store, "bare"):
        if read_history(store, "bare", number).state != "purged":
            missing += [f"{number}: {d.path}" for d in verify(f"bare@{number}", store).damage]
    return missing


def play(scene: Scene, schedule: list[tuple[str, int]]) -> tuple[list[str], list[str]]:
    """Let both act; returns what is unsound, and how the two ended."""
    store, one, two = scene()

    def on(actor: Actor) -> Callable[[Callable[[], None]], object]:
        return lambda step: actor(FaultyStore(store, key="bare/", before=step))

    ended = in_turns({"one": on(one), "two": on(two)}, schedule)
    return unsound(store), [type(ended[name]).__name__ for name in ("one", "two")]


def counts(scene: Scene) -> tuple[int, int]:
    store, one, _ = scene()
    first = FaultyStore(store, key="bare/")
    one(first)
    store, _, two = scene()
    second = FaultyStore(store, key="bare/")
    two(second)
    return first.count, second.count


def schedules(scene: Scene) -> Iterator[list[tuple[str, int]]]:
    ones, twos = counts(scene)
    every = 1 if os.environ.get("SCIDATA_INTERLEAVINGS") == "all" else 5
    for i, j in itertools.product(range(1, ones + 1), range(1, twos + 1)):
        if (i + j) % every:
            continue
        yield [("one", i), ("two", j)]
        yield [("two", j), ("one", i)]


def never_unsound(scene: Scene) -> set[tuple[str, ...]]:
    """Play every schedule; returns the ways in which the two ended."""
    ends: set[tuple[str, ...]] = set()
    for schedule in schedules(scene):
        faults, ended = play(scene, schedule)
        assert faults == [], (schedule, ended)
        ends.add(tuple(ended))
    return ends


def changed(bare: Path) -> None:
    (bare / "data" / "one.txt").write_text("another one\n")


def with_delta(bare: Path, clock: Clock) -> MemoryStore:
    """A store with bare 1.0.0, and 1.1.0 that inherits from it."""
    store = MemoryStore("source", now=clock)
    options = PublishOptions(surroundings=somebody(clock, 8))
    publish(bare, store, version="1.0.0", options=options)
    changed(bare)
    publish(bare, store, version="1.1.0", options=replace(options, layout="delta"))
    return store


def copied(store: MemoryStore, clock: Clock) -> MemoryStore:
    other = MemoryStore("target", now=clock)
    for facts in store.list():
        other.create(facts.key, store.read(facts.key))
    return other


def test_a_collector_and_a_mirror_that_relies_on_a_prefix_without_a_version(
    bare: Path,
) -> None:
    clock = Clock()
    source = with_delta(bare, clock)
    left = MemoryStore("left", now=clock)  # what a mirror of 1.0.0 left when it was killed
    with pytest.raises(Crash):
        mirror(
            ["bare@1.0.0"],
            source,
            to=FaultyStore(left, at=1, only=("create",), key="versions/1.0.0.json"),
            options=MirrorOptions(surroundings=somebody(clock, 1)),
        )

    def scene() -> tuple[MemoryStore, Actor, Actor]:
        clock.now = START
        target = copied(left, clock)
        clock.now += timedelta(days=8)
        options = MirrorOptions(surroundings=somebody(clock, 1))
        return (
            target,
            lambda store: mirror(["bare@1.1.0"], source, to=store, options=options),
            lambda store: collect(store, apply=True, surroundings=somebody(clock, 2)),
        )

    ends = never_unsound(scene)
    assert ("NoneType", "NoneType") in ends
    assert ("ConflictError", "NoneType") in ends


def test_a_purge_and_a_delta_that_is_published(bare: Path) -> None:
    clock = Clock()
    first = MemoryStore("first", now=clock)
    options = PublishOptions(surroundings=somebody(clock, 1), layout="delta")
    publish(bare, first, version="1.0.0", options=replace(options, layout=None))
    changed(bare)

    def scene() -> tuple[MemoryStore, Actor, Actor]:
        return (
            copied(first, clock),
            lambda store: publish(bare, store, version="1.1.0", options=options),
            lambda store: purge("bare@1.0.0", "r", store, options=purging(clock)),
        )

    ends = never_unsound(scene)
    assert {("NoneType", "ConflictError"), ("ConflictError", "NoneType")} <= ends


def test_a_purge_and_a_mirror_that_relies_on_the_version(bare: Path) -> None:
    clock = Clock()
    source = with_delta(bare, clock)
    first = MemoryStore("first", now=clock)
    options = MirrorOptions(surroundings=somebody(clock, 1))
    mirror(["bare@1.0.0"], source, to=first, options=options)

    def scene() -> tuple[MemoryStore, Actor, Actor]:
        return (
            copied(first, clock),
            lambda store: mirror(["bare@1.1.0"], source, to=store, options=options),
            lambda store: purge("bare@1.0.0", "r", store, options=purging(clock)),
        )

    ends = never_unsound(scene)
    assert {("NoneType", "ConflictError"), ("ConflictError", "NoneType")} <= ends


def abandoned(bare: Path, clock: Clock) -> MemoryStore:
    """A store with an upload that was killed 8 days ago."""
    clock.now = START
    store = MemoryStore(now=clock)
    faulty = FaultyStore(store, at=1, only=("create",), key="versions/1.0.0.json")
    options = PublishOptions(surroundings=somebody(clock, 1))
    with pytest.raises(Crash):
        publish(bare, faulty, version="1.0.0", options=options)
    clock.now += timedelta(days=8)
    return store


def test_a_collector_and_a_publisher_who_continues(bare: Path) -> None:
    clock = Clock()
    options = PublishOptions(surroundings=somebody(clock, 1))

    def scene() -> tuple[MemoryStore, Actor, Actor]:
        return (
            abandoned(bare, clock),
            lambda store: publish(bare, store, version="1.0.0", options=options),
            lambda store: collect(store, apply=True, surroundings=somebody(clock, 2)),
        )

    assert ("NoneType", "NoneType") in never_unsound(scene)


def purging(clock: Clock) -> PurgeOptions:
    return PurgeOptions(surroundings=somebody(clock, 2))


def test_a_collector_who_sleeps_wakes_up_to_remove_nothing_that_is_needed(bare: Path) -> None:
    """Meanwhile another one comes, and somebody publishes anew."""
    clock = Clock()
    options = PublishOptions(surroundings=somebody(clock, 1))

    def sleeping(store: MemoryStore, at: int, days: float) -> int:
        """Sleep at an operation, or for days: then just before the clock is looked at."""
        calls = 0

        def sleep() -> None:
            nonlocal calls
            calls += 1
            if calls == at:
                clock.now += timedelta(days=days)
                collect(store, apply=True, surroundings=somebody(clock, 3))
                with suppress(ConflictError):
                    publish(bare, store, version="1.0.0", options=options)

        def now() -> datetime:
            sleep()
            return clock.now

        around = somebody(clock, 2)
        with suppress(ScidataError):
            if days:
                collect(store, apply=True, surroundings=replace(around, now=now))
            else:
                collect(FaultyStore(store, before=sleep), apply=True, surroundings=around)
        return calls

    for days in (0.0, 8.0):
        for at in range(1, sleeping(abandoned(bare, clock), 0, days) + 1):
            store = abandoned(bare, clock)
            sleeping(store, at, days)
            assert unsound(store) == [], (at, days)
