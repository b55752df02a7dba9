"""Any crash on a folder is continued: publish, gc, purge, materialize, mirror."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from scidata.collecting import collect
from scidata.errors import NotFoundError
from scidata.inventory import read_history
from scidata.marking import Mark, mark
from scidata.materializing import materialize
from scidata.mirroring import mirror
from scidata.publishing import PublishOptions, publish
from scidata.purging import purge
from scidata.resolve import resolve_any
from scidata.storage.base import Store
from scidata.storage.local import LocalStore
from scidata.testing.faults import Crash, FaultyStore
from scidata.verifying import verify
from tests.samples import write_bare
from tests.versions import lasting

DELTA = PublishOptions(layout="delta")
SOUND = ("bare@1.0.0", "bare@1.1.0", "bare@1.2.0")

pytestmark = pytest.mark.filterwarnings("ignore::scidata.warning.ScidataWarning")


@dataclass(frozen=True)
class Command:
    """One command, what it acts on, and what must hold whenever it is killed."""

    act: Callable[[Store, Path], object]
    sound: tuple[str, ...] = SOUND


COMMANDS = {
    "publish": Command(lambda store, here: publish(here / "next", store, version="1.3.0")),
    "delta": Command(
        lambda store, here: publish(here / "next", store, version="1.3.0", options=DELTA)
    ),
    "materialize": Command(lambda store, here: materialize("bare@1.1.0", store)),
    "gc": Command(lambda store, here: collect(store, apply=True)),
    "purge": Command(lambda store, here: purge("bare@1.2.0", "r", store), sound=SOUND[:2]),
    "mirror": Command(lambda store, here: mirror([], here / "store", to=store), sound=()),
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``store``: a version, a delta and a withdrawn delta of it, and an old killed upload."""
    folder = tmp_path_factory.mktemp("here")
    store = LocalStore(folder / "store")
    for number in range(3):
        staged = write_bare(folder / f"staged-{number}", str(number))
        (staged / "data/deep/two.txt").write_text("kept\n")
        publish(staged, store, version=f"1.{number}.0", options=DELTA if number else None)
    mark("bare@1.2.0", Mark(state="withdrawn", reason="wrong"), store)
    (write_bare(folder / "next", "next") / "data/deep/two.txt").write_text("kept\n")
    dying = FaultyStore(store, at=1, only=("create",), key="versions/2.0.0.json")
    with pytest.raises(Crash):
        publish(folder / "next", dying, version="2.0.0")
    for path in (folder / "store/bare").rglob("*2.0.0*"):
        for file in [path, *path.rglob("*")]:
            os.utime(file, (1, 1))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_at_any_operation_on_a_folder_is_continued(
    name: str, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # These crashes are of processes, not of machines: nothing has to reach the disk.
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    command = COMMANDS[name]

    def prepared(root: Path) -> LocalStore:
        if name != "mirror":
            shutil.copytree(here / "store", root)
        return LocalStore(root)

    counting = FaultyStore(prepared(tmp_path / "undisturbed"))
    command.act(counting, here)
    wanted = lasting(counting.store, timed="1.3.0")
    for fault in ("crash-before", "crash-after"):
        for at in count(1):
            root = tmp_path / f"{fault}-{at}"
            store = prepared(root)
            try:
                command.act(FaultyStore(store, at=at, fault=fault), here)
            except Crash:
                pass
            else:  # it has no operation of this number; threads that race for one vary
                assert abs(at - counting.count) < 5
                break
            look(name, store, (fault, at))
            command.act(store, here)
            assert lasting(store, timed="1.3.0") == wanted, (fault, at)
            shutil.rmtree(root)


def look(name: str, store: Store, when: tuple[str, int]) -> None:
    """Whenever a command is killed, what was committed is sound."""
    for version in COMMANDS[name].sound:
        assert verify(version, store).damage == (), when
    if name == "mirror":
        never_better_than_it_is(store, when)


def never_better_than_it_is(store: Store, when: tuple[str, int]) -> None:
    """Whatever the other store shows is whole, and withdrawn if it is."""
    for version in SOUND:
        try:
            commit = resolve_any(version, store)
        except NotFoundError:
            continue
        assert verify(version, store).damage == (), when
        withdrawn = read_history(store, "bare", commit.number).state == "withdrawn"
        assert withdrawn == (version == "bare@1.2.0"), when
